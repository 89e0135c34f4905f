//! Programs outside of the workspace, written from the READMEs of codec and client alone: built
//! with the crates as they are packaged.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::tools::{Tools, sources};
use crate::failure::{Context as _, Failure};
use crate::program;
use crate::workspace;

/// The crates that are packaged; the last one is a development dependency of another.
const PACKAGES: [&str; 4] = [
    "wolff-backoff",
    "wolff-codec",
    "wolff-client",
    "wolff-testbroker",
];

/// The crates that the programs depend on, directly or not.
const USED: [&str; 3] = ["wolff-backoff", "wolff-codec", "wolff-client"];

/// Builds the program of this name.
pub(super) fn program(tools: &Tools, name: &str) -> Result<Command, Failure> {
    let folder = tools.file("packaged");
    unpack(&folder)?;
    // Dependencies that are built for the workspace serve here as well.
    let target = workspace::target_directory()?;
    let manifest = manifest(&folder);
    fs::write(folder.join("Cargo.toml"), manifest).context("writing a manifest")?;
    let lock = workspace::root().join("Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).context("copying Cargo.lock")?;
    let mut build = workspace::cargo();
    build.current_dir(&folder);
    build.args(["build", "--quiet", "--offline", "--bin", name]);
    build.arg("--target-dir").arg(&target);
    program::run(&mut build)?;
    Ok(Command::new(target.join("debug").join(name)))
}

/// Packages the crates, and unpacks what others would get.
fn unpack(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).context(folder.display())?;
    let mut package = workspace::cargo();
    package.args([
        "package",
        "--quiet",
        "--offline",
        "--no-verify",
        "--allow-dirty",
    ]);
    package
        .args(["--exclude-lockfile", "--target-dir"])
        .arg(folder);
    for name in PACKAGES {
        package.args(["--package", name]);
    }
    program::run(&mut package)?;
    for name in USED {
        let archive = folder
            .join("package")
            .join(format!("{}.crate", versioned(name)));
        let mut unpack = Command::new("tar");
        unpack.arg("-xzf").arg(archive).arg("-C").arg(folder);
        program::run(&mut unpack)?;
    }
    Ok(())
}

fn versioned(name: &str) -> String {
    format!("{name}-{}", env!("CARGO_PKG_VERSION"))
}

fn manifest(folder: &Path) -> String {
    let bins = ["use_codec", "use_client"].map(|name| {
        let path = sources().join("packaged").join(format!("{name}.rs"));
        format!("[[bin]]\nname = {name:?}\npath = {path:?}\n")
    });
    let patches =
        USED.map(|name| format!("{name} = {{ path = {:?} }}\n", folder.join(versioned(name))));
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "[package]\nname = \"packaged\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n{}\n\
         [dependencies]\nbytes = \"1\"\ntokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n\
         wolff-codec = \"={version}\"\nwolff-client = \"={version}\"\n\n\
         [patch.crates-io]\n{}\n[workspace]\n",
        bins.concat(),
        patches.concat(),
    )
}
