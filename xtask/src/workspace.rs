//! Where things are: the root of the workspace and Cargo's target directory.

use crate::failure::{Context as _, Failure};
use crate::program;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// A `cargo` command that runs in the root of the workspace, with the cargo that started this
/// program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Output of `cargo metadata --no-deps` for the workspace.
pub(crate) fn metadata() -> Result<Value, Failure> {
    let text = program::output_of(cargo().args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]))?;
    serde_json::from_str(&text).context("reading the output of `cargo metadata`")
}

/// Cargo's target directory, wherever the environment or Cargo's configuration puts it.
pub(crate) fn target_directory() -> Result<PathBuf, Failure> {
    let metadata = metadata()?;
    let directory = metadata.get("target_directory").and_then(Value::as_str);
    directory
        .map(PathBuf::from)
        .ok_or_else(|| Failure::new("`cargo metadata` names no target directory"))
}

/// Names of the workspace's members.
pub(crate) fn package_names() -> Result<Vec<String>, Failure> {
    let metadata = metadata()?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let names = packages
        .into_iter()
        .flatten()
        .filter_map(|package| package.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

/// Names of the programs and benchmarks of all members.
pub(crate) fn runnable_targets() -> Result<Vec<String>, Failure> {
    let metadata = metadata()?;
    let array =
        |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let is_runnable = |target: &Value| {
        let kinds = array(target.get("kind"));
        kinds
            .iter()
            .any(|kind| matches!(kind.as_str(), Some("bin" | "bench")))
    };
    let packages = array(metadata.get("packages"));
    let targets = packages
        .iter()
        .flat_map(|package| array(package.get("targets")));
    let name = |target: Value| target.get("name")?.as_str().map(str::to_owned);
    Ok(targets.filter(is_runnable).filter_map(name).collect())
}
