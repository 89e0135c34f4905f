//! Sources of input: files and stdin.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::stored;

/// One file of the input, or stdin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
    /// The records in a queue on disk, as JSON lines.
    Queue(PathBuf),
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}")]
pub(crate) struct SourceError {
    path: Source,
    source: io::Error,
}

impl Source {
    /// The sources that the command line names: all are looked at before the first one is read, so
    /// that a typing error is told before anything is produced.
    pub(crate) fn all(files: &[PathBuf]) -> Result<Vec<Self>, SourceError> {
        if files.is_empty() {
            return Ok(vec![Self::Stdin]);
        }
        files.iter().map(|path| Self::check(path)).collect()
    }

    fn check(path: &Path) -> Result<Self, SourceError> {
        if path == Path::new("-") {
            return Ok(Self::Stdin);
        }
        let source = Self::File(path.to_owned());
        let looked = fs::metadata(path).and_then(|metadata| {
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            // A pipe must be opened once only: its writer would see the first reader go away.
            if metadata.is_file() {
                File::open(path)?;
            }
            Ok(())
        });
        match looked {
            Ok(()) => Ok(source),
            Err(error) => Err(source.error(error)),
        }
    }

    pub(super) fn open(&self) -> io::Result<Box<dyn Read>> {
        match self {
            Self::Stdin => Ok(Box::new(io::stdin().lock())),
            Self::File(path) => Ok(Box::new(File::open(path)?)),
            Self::Queue(path) => Ok(Box::new(stored::Lines::of(path)?)),
        }
    }

    pub(super) fn error(&self, source: io::Error) -> SourceError {
        SourceError {
            path: self.clone(),
            source,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("<stdin>"),
            Self::File(path) | Self::Queue(path) => path.display().fmt(f),
        }
    }
}

/// True if a person has to type the input.
pub(crate) fn waits_for_typing(sources: &[Source]) -> bool {
    sources.contains(&Source::Stdin) && io::stdin().is_terminal()
}

/// Lets go of stdin, so that whoever writes to it learns at once that nothing more is read.
pub(crate) fn close_stdin() {
    #[cfg(unix)]
    {
        let replaced =
            File::open("/dev/null").and_then(|null| Ok(rustix::stdio::dup2_stdin(null)?));
        if let Err(error) = replaced {
            // The writer learns it when this process ends.
            tracing::debug!(%error, "stdin stays open");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_means_stdin_and_so_does_a_dash() {
        assert_eq!(Source::all(&[]).unwrap(), [Source::Stdin]);
        assert_eq!(Source::all(&["-".into()]).unwrap(), [Source::Stdin]);
    }

    #[test]
    fn what_cannot_be_read_is_told_by_name_before_anything_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        File::create(&file).unwrap();
        assert_eq!(
            Source::all(std::slice::from_ref(&file)).unwrap(),
            [Source::File(file.clone())]
        );
        for bad in [
            directory.path().join("missing"),
            directory.path().to_owned(),
            file.join("b"),
        ] {
            let error = Source::all(&[file.clone(), bad.clone()])
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("cannot read {}: ", bad.display())),
                "{error}"
            );
        }
    }
}
