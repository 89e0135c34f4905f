//! Compiles each published crate without its features and with each of them alone: what compiles
//! with all features may lack an import without one.

use std::process::Command;

use serde_json::Value;

use crate::failure::Failure;
use crate::program;
use crate::workspace;

/// A crate, and one feature of it or none.
type Combination = (String, Option<String>);

/// Checks every combination with this toolchain, and the crates with the oldest supported one if it
/// is installed.
pub(crate) fn run() -> Result<(), Failure> {
    let metadata = workspace::metadata()?;
    for (package, feature) in combinations(&metadata) {
        let mut check = workspace::cargo();
        check.args(["check", "--quiet", "--locked", "--no-default-features"]);
        check.args(["--package", &package]);
        if let Some(feature) = &feature {
            check.args(["--features", feature]);
        }
        program::run(&mut check)?;
    }
    check_with_oldest(&metadata)
}

/// The crates of `crates/` and their features.
fn combinations(metadata: &Value) -> Vec<Combination> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    let mut combinations = Vec::new();
    for package in packages.into_iter().flatten() {
        let text = |name: &str| package.get(name).and_then(Value::as_str);
        let (Some(name), Some(manifest)) = (text("name"), text("manifest_path")) else {
            continue;
        };
        if !manifest.contains("/crates/") {
            continue;
        }
        combinations.push((name.to_owned(), None));
        let features = package.get("features").and_then(Value::as_object);
        let named = features.into_iter().flat_map(|features| features.keys());
        let alone = named.filter(|feature| *feature != "default");
        combinations.extend(alone.map(|feature| (name.to_owned(), Some(feature.clone()))));
    }
    combinations
}

/// `rust-version` of the manifests is a promise. It is kept where this toolchain, or one that is
/// installed beside it, is the oldest supported one; none is installed for it, and where there is
/// none, this says so.
fn check_with_oldest(metadata: &Value) -> Result<(), Failure> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    let mut versions = packages
        .into_iter()
        .flatten()
        .filter_map(|package| package.get("rust_version")?.as_str());
    let Some(oldest) = versions.next() else {
        return Ok(());
    };
    let in_use = program::output_of(Command::new("rustc").arg("--version"))?;
    if in_use
        .split(' ')
        .nth(1)
        .is_some_and(|version| is_release_of(version, oldest))
    {
        println!("Rust {oldest}, the oldest that is supported, has compiled it");
        return Ok(());
    }
    let installed = program::output_of(Command::new("rustup").args(["toolchain", "list"]));
    let installed = installed.unwrap_or_default();
    let Some(toolchain) = installed
        .split_whitespace()
        .find(|name| is_release_of(name, oldest))
    else {
        println!("Rust {oldest} is not installed: nothing was compiled with it");
        return Ok(());
    };
    let mut check = Command::new("cargo");
    check.arg(format!("+{toolchain}"));
    check.args(["check", "--quiet", "--locked"]);
    program::run(check.current_dir(workspace::root()).env_remove("CARGO"))?;
    println!("Rust {oldest}, the oldest that is supported, has compiled it");
    Ok(())
}

/// Returns whether a version such as `1.95.0`, or a toolchain such as `1.95.0-x86_64-…`, is of the
/// release `1.95`.
fn is_release_of(version: &str, release: &str) -> bool {
    let rest = version.strip_prefix(release);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_feature_is_compiled_alone_and_none_as_well() {
        let metadata = json!({"packages": [
            {
                "name": "a",
                "manifest_path": "/w/crates/a/Cargo.toml",
                "features": {"default": ["tls"], "tls": [], "zstd": []},
            },
            {"name": "x", "manifest_path": "/w/xtask/Cargo.toml", "features": {"y": []}},
        ]});
        let feature = |name: &str| Some(name.to_owned());
        let expected = [None, feature("tls"), feature("zstd")];
        let expected = expected.map(|feature| ("a".to_owned(), feature));
        assert_eq!(combinations(&metadata), expected);
    }
    #[test]
    fn a_toolchain_is_known_by_its_release() {
        for version in ["1.95", "1.95.0", "1.95.1-x86_64-unknown-linux-gnu"] {
            assert!(is_release_of(version, "1.95"), "{version}");
        }
        for version in ["1.950.0", "1.9.5", "stable-1.95.0"] {
            assert!(!is_release_of(version, "1.95"), "{version}");
        }
    }
}
