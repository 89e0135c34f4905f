//! Tokens for OAUTHBEARER that another program prints.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::Instant;
use wolff::client::{OAuthToken, SaslFailure, SaslFuture, Secret, TokenProvider};

/// Time that a token is used again: connections are often opened by the hundred.
const FRESH: Duration = Duration::from_secs(10);

/// No token is longer.
const LONGEST_TOKEN_BYTES: u64 = 64 * 1024;

/// A line for the shell, and the token that it printed last.
pub(crate) struct TokenCommand {
    line: String,
    last: Arc<Mutex<Option<(Instant, Secret)>>>,
}

impl TokenCommand {
    pub(crate) fn new(line: String) -> Self {
        Self {
            line,
            last: Arc::default(),
        }
    }

    async fn run(&self) -> Result<Secret, SaslFailure> {
        let failed = |what: String| SaslFailure::Credentials(format!("the token command {what}"));
        let mut child = shell(&self.line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("cannot be started: {error}")))?;
        let mut printed = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout
                .take(LONGEST_TOKEN_BYTES)
                .read_to_end(&mut printed)
                .await
                .map_err(|error| failed(format!("cannot be read: {error}")))?;
        }
        let printed = Secret::from(printed);
        let status = child.wait().await;
        let status = status.map_err(|error| failed(format!("is lost: {error}")))?;
        if !status.success() {
            return Err(failed(format!("ended with {status}")));
        }
        let token = printed.expose().trim_ascii();
        if token.is_empty() {
            return Err(failed("printed nothing".into()));
        }
        Ok(token.to_vec().into())
    }
}

impl TokenProvider for TokenCommand {
    fn token(&self) -> SaslFuture<'_, OAuthToken> {
        Box::pin(async {
            // Whoever comes meanwhile waits for the same token.
            let mut last = self.last.lock().await;
            if let Some((at, token)) = &*last
                && at.elapsed() < FRESH
            {
                return Ok(OAuthToken::new(token.clone()));
            }
            *last = None;
            let token = self.run().await?;
            *last = Some((Instant::now(), token.clone()));
            Ok(OAuthToken::new(token))
        })
    }
}

#[cfg(unix)]
fn shell(line: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line);
    command
}

#[cfg(not(unix))]
fn shell(line: &str) -> Command {
    let mut command = Command::new("cmd");
    command.arg("/C").arg(line);
    command
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    async fn said(line: &str) -> Result<String, String> {
        let token = TokenCommand::new(line.into()).token().await;
        token
            .map(|token| String::from_utf8(token.token.expose().to_vec()).unwrap())
            .map_err(|failure| failure.to_string())
    }

    #[tokio::test]
    async fn a_token_is_what_the_command_prints_without_blanks_around_it() {
        assert_eq!(said("printf ' abc.def \\n'").await, Ok("abc.def".into()));
    }

    #[tokio::test]
    async fn a_command_that_fails_or_prints_nothing_is_told_without_its_output() {
        let failed = said("echo sentinel; exit 3").await.unwrap_err();
        assert!(
            failed.contains("the token command ended with exit status: 3"),
            "{failed}"
        );
        assert!(!failed.contains("sentinel"));
        assert!(said("true").await.unwrap_err().contains("printed nothing"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_used_again_for_a_while_and_then_printed_anew() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = format!("echo x >> {0}; wc -l < {0}", file.path().display());
        let command = TokenCommand::new(line);
        let mut seen = Vec::new();
        for _ in 0..3 {
            for _ in 0..2 {
                seen.push(command.token().await.unwrap().token.expose().to_vec());
            }
            tokio::time::advance(FRESH).await;
        }
        assert_eq!(seen, [b"1", b"1", b"2", b"2", b"3", b"3"]);
    }
}
