//! Every crate that is published can be packed: what it depends on has a version, and the files
//! that it names are there.
//!
//! Nothing is compiled from the packages. That would take a second build of everything, and what it
//! could find beyond this is a file that a source includes from outside its crate.

use super::package::Package;
use super::problem::Problem;
use crate::program;
use crate::workspace;
use std::path::Path;

/// Packs all of them in one go, which lets those not yet in any registry depend on each other.
pub(crate) fn check(packages: &[Package], root: &Path) -> Vec<Problem> {
    let published = packages.iter().filter(|package| package.is_published);
    let names: Vec<&str> = published.map(|package| package.name.as_str()).collect();
    pack(&names, root)
}

fn pack(names: &[&str], root: &Path) -> Vec<Problem> {
    let mut command = workspace::cargo();
    command
        .current_dir(root)
        .args(["package", "--no-verify", "--allow-dirty", "--quiet"]);
    for name in names {
        command.args(["--package", name]);
    }
    match program::output_of(&mut command) {
        Ok(_) => Vec::new(),
        Err(failure) => vec![Problem::in_file(
            Path::new("Cargo.toml"),
            failure.to_string(),
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Packs a crate with this manifest behind its `[package]` table, beside a crate called
    /// `other`.
    fn found(rest_of_manifest: &str) -> Vec<Problem> {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let fields =
            "version = \"0.1.0\"\nedition = \"2024\"\ndescription = \"d\"\nlicense = \"MIT\"\n";
        for (name, rest) in [("one", rest_of_manifest), ("other", "")] {
            fs::create_dir_all(root.join(name).join("src")).unwrap();
            fs::write(root.join(name).join("src/lib.rs"), "").unwrap();
            fs::write(
                root.join(name).join("Cargo.toml"),
                format!("[package]\nname = \"{name}\"\n{fields}{rest}"),
            )
            .unwrap();
        }
        fs::write(
            root.join("Cargo.toml"),
            "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"other\"]\n",
        )
        .unwrap();
        let mut command = workspace::cargo();
        program::output_of(
            command
                .current_dir(root)
                .args(["generate-lockfile", "--offline"]),
        )
        .unwrap();
        pack(&["one"], root)
    }

    #[test]
    fn a_crate_that_can_be_packed_is_fine() {
        assert_eq!(found(""), Vec::new());
    }

    #[test]
    fn a_dependency_without_a_version_is_found() {
        let problems = found("[dependencies]\nother = { path = \"../other\" }\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().contains("version"), "{problems:?}");
    }

    #[test]
    fn a_readme_that_is_not_there_is_found() {
        assert_eq!(found("readme = \"GONE.md\"\n").len(), 1);
    }
}
