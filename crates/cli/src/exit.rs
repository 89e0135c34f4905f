//! End of a command: the exit code, and what a person is told when something is wrong.

use std::fmt;
use std::process::ExitCode;

/// The exit codes of all commands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// All that was asked for is done: for `produce`, all records are acknowledged.
    Done,
    /// Wrong usage or configuration: nothing was begun.
    Usage,
    /// Some of it failed for good.
    Failed,
    /// Records wait in the queue on disk.
    LeftInQueue,
    /// Records were lost to damage of a queue on disk, or a queue is damaged.
    Damaged,
    /// All that was asked for is done, but the report of it could not be written.
    Unreported,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 1,
            Self::Failed => 2,
            Self::LeftInQueue => 3,
            Self::Damaged => 4,
            Self::Unreported => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command that could not do its work: what, where, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    advice: Option<String>,
}

impl Failure {
    /// The way the command was called, or what it was told to use, cannot work.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            what: what.into(),
            advice: None,
        }
    }

    /// The work was begun and failed.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            ..Self::usage(what)
        }
    }

    /// The problem, without the advice.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The advice, where there is any.
    pub(crate) fn advice_given(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// With what the user can do.
    pub(crate) fn advice(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.advice {
            Some(advice) => write!(f, "\n  {advice}"),
            None => Ok(()),
        }
    }
}
