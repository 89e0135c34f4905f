//! Sources of names and passwords, anew for every authentication.

use std::future::Future;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::mechanism::SaslFuture;
use crate::error::SaslFailure;
use crate::secret::Secret;

/// No password comes near this; what does is another file by mistake.
const LARGEST_FILE_BYTES: usize = 64 * 1024;

/// A user and the password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The user's password, in UTF-8.
    pub password: Secret,
}

impl Credentials {
    /// That user with that password.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }
}

/// Gives credentials whenever somebody has to authenticate, so that a changed password is used from
/// the next time on. A closure that returns a future is one as well.
pub trait CredentialsProvider: Send + Sync + 'static {
    /// The credentials that are right now.
    ///
    /// # Errors
    /// [`SaslFailure::Credentials`], in words that hold no secret.
    fn credentials(&self) -> SaslFuture<'_, Credentials>;
}

impl CredentialsProvider for Credentials {
    fn credentials(&self) -> SaslFuture<'_, Credentials> {
        let credentials = self.clone();
        Box::pin(std::future::ready(Ok(credentials)))
    }
}

impl<F, T> CredentialsProvider for F
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = Result<Credentials, SaslFailure>> + Send + 'static,
{
    fn credentials(&self) -> SaslFuture<'_, Credentials> {
        Box::pin(self())
    }
}

/// A file with the user's name in the first line and the password in the second.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CredentialsFile {
    path: PathBuf,
}

impl CredentialsFile {
    /// The file at `path`, read at every authentication.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl CredentialsProvider for CredentialsFile {
    fn credentials(&self) -> SaslFuture<'_, Credentials> {
        Box::pin(async {
            let content = read(&self.path).await?;
            let wrong = || {
                SaslFailure::Credentials(format!(
                    "{} must hold the user's name in its first line and the password in its second",
                    self.path.display()
                ))
            };
            let mut lines = content.expose().split(|byte| *byte == b'\n');
            let (username, password) = lines.next().zip(lines.next()).ok_or_else(wrong)?;
            let username = std::str::from_utf8(trim_return(username)).map_err(|_| wrong())?;
            let password = trim_return(password).to_vec();
            Ok(Credentials::new(username, password))
        })
    }
}

/// A user whose password is the content of a file, without the line break at its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PasswordFile {
    username: String,
    path: PathBuf,
}

impl PasswordFile {
    /// That user, and the file at `path`, read at every authentication.
    pub fn new(username: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            username: username.into(),
            path: path.into(),
        }
    }
}

impl CredentialsProvider for PasswordFile {
    fn credentials(&self) -> SaslFuture<'_, Credentials> {
        Box::pin(async {
            let content = read(&self.path).await?;
            let password = content.expose();
            let password = password.strip_suffix(b"\n").unwrap_or(password);
            let password = trim_return(password).to_vec();
            Ok(Credentials::new(self.username.clone(), password))
        })
    }
}

fn trim_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Reads a small file, where waiting for the disk is allowed.
async fn read(path: &Path) -> Result<Secret, SaslFailure> {
    let owned = path.to_owned();
    let content = tokio::task::spawn_blocking(move || read_beginning(&owned));
    let told = |what: String| SaslFailure::Credentials(format!("{} {what}", path.display()));
    let content = content
        .await
        .map_err(|_gone| told("cannot be read: the async runtime has ended".into()))?
        .map_err(|error| told(format!("cannot be read: {error}")))?;
    if content.expose().len() > LARGEST_FILE_BYTES {
        return Err(told("is too large to be a file with a password".into()));
    }
    Ok(content)
}

/// No more of a file than shows that it is too large: some never end.
#[expect(
    clippy::disallowed_methods,
    reason = "credentials that a user keeps in a file are read anew for each login"
)]
fn read_beginning(path: &Path) -> std::io::Result<Secret> {
    // In one piece, since growing would leave copies behind.
    let mut content = Vec::with_capacity(LARGEST_FILE_BYTES + 64);
    let most = LARGEST_FILE_BYTES as u64 + 1;
    std::fs::File::open(path)?
        .take(most)
        .read_to_end(&mut content)?;
    Ok(content.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn from_file(
        content: &[u8],
        provider: impl FnOnce(&Path) -> Box<dyn CredentialsProvider>,
    ) -> Result<Credentials, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let outcome = provider(file.path()).credentials().await;
        outcome.map_err(|failure| failure.to_string())
    }

    #[tokio::test]
    async fn a_file_has_a_name_and_a_password_line_by_line() {
        let provider = |path: &Path| Box::new(CredentialsFile::new(path)) as Box<_>;
        let expected = Ok(Credentials::new("alice", " p,w "));
        for content in ["alice\n p,w ", "alice\n p,w \n", "alice\r\n p,w \r\nmore"] {
            assert_eq!(from_file(content.as_bytes(), provider).await, expected);
        }
        for content in [&b"alice"[..], b"", b"\xff\npw"] {
            let said = from_file(content, provider).await.unwrap_err();
            assert!(said.contains("in its first line"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_password_file_loses_one_line_break_and_nothing_else() {
        let provider = |path: &Path| Box::new(PasswordFile::new("alice", path)) as Box<_>;
        for (content, password) in [
            ("pw", "pw"),
            ("pw\n", "pw"),
            ("pw\r\n", "pw"),
            ("a b\n\n", "a b\n"),
            (" pw ", " pw "),
        ] {
            let expected = Ok(Credentials::new("alice", password));
            assert_eq!(from_file(content.as_bytes(), provider).await, expected);
        }
        let huge = vec![b'x'; LARGEST_FILE_BYTES + 1];
        let said = from_file(&huge, provider).await.unwrap_err();
        assert!(said.contains("too large"), "{said}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_without_an_end_is_too_large() {
        let outcome = PasswordFile::new("alice", "/dev/zero").credentials().await;
        let said = outcome.unwrap_err().to_string();
        assert!(said.contains("too large"), "{said}");
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let outcome = CredentialsFile::new("/no/such/file").credentials().await;
        let said = outcome.unwrap_err().to_string();
        assert!(said.starts_with("no credentials: /no/such/file cannot be read"));
    }
}
