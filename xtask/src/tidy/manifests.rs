//! Rules for the manifests of the workspace.

use super::package::Package;
use super::problem::Problem;

/// Keys of `[package]` that come from the workspace.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "authors"];

/// The registry takes no more keywords, and no longer ones.
const MAX_KEYWORDS: usize = 5;
const MAX_KEYWORD_BYTES: usize = 20;

/// Checks that every member inherits what is common, and that what can be published has what
/// readers and the registry want.
pub(crate) fn check(packages: &[Package]) -> Vec<Problem> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Problem> {
    let mut missing = Vec::new();
    if !inherits(&package.text, "lints", None) {
        missing.push("add `[lints]` with `workspace = true`".to_owned());
    }
    for key in INHERITED {
        if !inherits(&package.text, "package", Some(key)) {
            missing.push(format!("write `{key}.workspace = true`"));
        }
    }
    if package.description.is_empty() {
        missing.push("give it a `description`".to_owned());
    }
    if package.is_published {
        if package.license.is_empty() {
            missing.push("a published crate names its `license`".to_owned());
        }
        if package.readme.is_none() {
            missing.push("a published crate has a README and names it by `readme`".to_owned());
        }
        let too_long = |keyword: &String| keyword.len() > MAX_KEYWORD_BYTES;
        if package.keywords.len() > MAX_KEYWORDS || package.keywords.iter().any(too_long) {
            missing.push(format!(
                "at most {MAX_KEYWORDS} keywords of at most {MAX_KEYWORD_BYTES} bytes"
            ));
        }
    }
    missing
        .into_iter()
        .map(|what| Problem::in_file(&package.manifest, what))
        .collect()
}

/// Returns whether a table of the manifest (`[lints]`), or one key of it, is taken from the
/// workspace.
fn inherits(manifest: &str, table: &str, key: Option<&str>) -> bool {
    let header = format!("[{table}]");
    let lines = manifest
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let body = lines
        .skip_while(|line| **line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let wanted = match key {
        None => vec!["workspace=true".to_owned()],
        Some(key) => vec![
            format!("{key}.workspace=true"),
            format!("{key}={{workspace=true}}"),
        ],
    };
    body.map(|line| line.replace(' ', ""))
        .any(|line| wanted.contains(&line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Package {
        Package {
            manifest: "crates/x/Cargo.toml".into(),
            text: "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                   license = { workspace = true }\nauthors.workspace = true # all of them\n\n\
                   [lints]\nworkspace = true\n"
                .to_owned(),
            is_published: true,
            description: "A crate.".to_owned(),
            license: "Apache-2.0".to_owned(),
            readme: Some("README.md".into()),
            ..Package::default()
        }
    }

    fn found(change: impl FnOnce(&mut Package)) -> Vec<String> {
        let mut package = good();
        change(&mut package);
        check(&[package]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_complete_manifest_is_fine() {
        assert_eq!(found(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn lints_that_are_not_inherited_are_found() {
        for text in [
            "",
            "[lints.rust]\nunsafe_code = \"warn\"\n",
            "[lints]\nworkspace = false\n",
            "# [lints]\nworkspace = true\n",
        ] {
            let problems = found(|package| {
                package.text = package.text.replace("[lints]\nworkspace = true\n", text)
            });
            assert_eq!(
                problems,
                ["crates/x/Cargo.toml: add `[lints]` with `workspace = true`"],
                "{text}"
            );
        }
    }

    #[test]
    fn every_key_that_is_not_inherited_is_found() {
        for key in INHERITED {
            let is_of_key = |line: &&str| line.split(['.', ' ']).next() == Some(key);
            let problems = found(|package| {
                let lines: Vec<&str> = package
                    .text
                    .lines()
                    .filter(|line| !is_of_key(line))
                    .collect();
                package.text = lines.join("\n");
            });
            assert_eq!(
                problems,
                [format!(
                    "crates/x/Cargo.toml: write `{key}.workspace = true`"
                )]
            );
        }
    }

    #[test]
    fn what_a_published_crate_lacks_is_found() {
        assert_eq!(found(|package| package.readme = None).len(), 1);
        assert_eq!(found(|package| package.description.clear()).len(), 1);
        assert_eq!(found(|package| package.license.clear()).len(), 1);
        assert_eq!(
            found(|package| package.keywords = vec!["k".to_owned(); 6]).len(),
            1
        );
        assert_eq!(
            found(|package| package.keywords = vec!["k".repeat(21)]).len(),
            1
        );
        let private = found(|package| {
            package.is_published = false;
            package.readme = None;
        });
        assert_eq!(private, Vec::<String>::new());
    }
}
