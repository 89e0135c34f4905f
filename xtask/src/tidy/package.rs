//! The packages of the workspace, as `cargo metadata` and their manifests describe them.

use crate::failure::{Context as _, Failure};
use crate::workspace;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Purpose of a dependency.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DependencyKind {
    /// The product.
    Normal,
    /// A build script.
    Build,
    /// Tests, examples, benchmarks.
    Development,
}

/// One dependency.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Dependency {
    /// Package name.
    pub(crate) name: String,
    /// Its purpose.
    pub(crate) kind: DependencyKind,
}

/// A package as Cargo knows it, and the text of its manifest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its folder, from the workspace's root.
    pub(crate) folder: PathBuf,
    /// Its `Cargo.toml`, from the workspace's root.
    pub(crate) manifest: PathBuf,
    /// The text of that file.
    pub(crate) text: String,
    /// True if it may be published.
    pub(crate) is_published: bool,
    /// Its dependencies of all kinds.
    pub(crate) dependencies: Vec<Dependency>,
    /// Root files of its library and binaries.
    pub(crate) sources: Vec<PathBuf>,
    /// `description`
    pub(crate) description: String,
    /// `license`
    pub(crate) license: String,
    /// `readme`, if that file exists.
    pub(crate) readme: Option<PathBuf>,
    /// `keywords`
    pub(crate) keywords: Vec<String>,
}

/// The members of the workspace, from the output of `cargo metadata`.
pub(crate) fn packages(metadata: &Value) -> Result<Vec<Package>, Failure> {
    let members = metadata.get("packages").and_then(Value::as_array);
    members.into_iter().flatten().map(package).collect()
}

fn package(value: &Value) -> Result<Package, Failure> {
    let text = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let list = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let root = workspace::root();
    let whole_manifest = PathBuf::from(text("manifest_path"));
    let manifest = whole_manifest
        .strip_prefix(&root)
        .unwrap_or(&whole_manifest)
        .to_path_buf();
    let whole_folder = whole_manifest.parent().unwrap_or(Path::new(""));
    let readme = Some(text("readme"))
        .filter(|readme| !readme.is_empty())
        .map(|readme| whole_folder.join(readme));
    Ok(Package {
        name: text("name"),
        folder: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
        text: fs::read_to_string(&whole_manifest).context(manifest.display())?,
        manifest,
        is_published: value.get("publish").is_none_or(Value::is_null),
        dependencies: list("dependencies").map(dependency).collect(),
        sources: list("targets").filter_map(source).collect(),
        description: text("description"),
        license: text("license"),
        readme: readme.filter(|readme| readme.is_file()),
        keywords: list("keywords")
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    })
}

fn dependency(value: &Value) -> Dependency {
    Dependency {
        name: value
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        kind: match value.get("kind").and_then(Value::as_str) {
            Some("dev") => DependencyKind::Development,
            Some("build") => DependencyKind::Build,
            _ => DependencyKind::Normal,
        },
    }
}

fn source(target: &Value) -> Option<PathBuf> {
    let kinds = target.get("kind")?.as_array()?;
    let is_product = kinds
        .iter()
        .any(|kind| matches!(kind.as_str(), Some("lib" | "bin" | "proc-macro" | "rlib")));
    let path = target.get("src_path")?.as_str()?;
    is_product.then(|| PathBuf::from(path))
}
