//! Crates point down: which crate of the workspace may depend on which, and what must not get into
//! it at all.

use super::package::{DependencyKind, Package};
use super::problem::Problem;

/// One layer of the product.
struct Layer {
    package: &'static str,
    /// Crates of the workspace that it may depend on.
    may_use: &'static [&'static str],
    /// Crates from outside that must not get into it; `ARCHITECTURE.md` says why.
    must_not_use: &'static [&'static str],
}

/// Crates that wait for the world. What decides or encodes has no business with them.
const WORLD: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "rustls",
    "tokio-rustls",
    "async-std",
    "smol",
];

/// From the bottom up; each uses only what stands above it here.
const LAYERS: &[Layer] = &[
    Layer {
        package: "wolff-backoff",
        may_use: &[],
        must_not_use: WORLD,
    },
    Layer {
        package: "wolff-codec",
        may_use: &[],
        must_not_use: WORLD,
    },
    Layer {
        package: "replayq",
        may_use: &[],
        must_not_use: WORLD,
    },
    Layer {
        package: "wolff-partitioner",
        may_use: &[],
        must_not_use: WORLD,
    },
    Layer {
        package: "wolff-client",
        may_use: &["wolff-backoff", "wolff-codec"],
        must_not_use: &[],
    },
    Layer {
        package: "wolff-core",
        may_use: &["wolff-backoff", "wolff-codec"],
        must_not_use: WORLD,
    },
    Layer {
        package: "wolff",
        may_use: &[
            "wolff-backoff",
            "wolff-codec",
            "replayq",
            "wolff-partitioner",
            "wolff-client",
            "wolff-core",
        ],
        must_not_use: &[],
    },
    Layer {
        package: "wolff-testbroker",
        may_use: &["wolff-backoff", "wolff-codec"],
        must_not_use: &[],
    },
    Layer {
        package: "wolff-cli",
        may_use: &["replayq", "wolff", "wolff-testbroker"],
        must_not_use: &[],
    },
    Layer {
        package: "wolff-sim",
        may_use: &[
            "wolff-backoff",
            "wolff-codec",
            "replayq",
            "wolff-client",
            "wolff",
            "wolff-testbroker",
        ],
        must_not_use: &[],
    },
];

/// Checks normal and build dependencies. Those for tests and examples may point anywhere.
pub(crate) fn check(packages: &[Package]) -> Vec<Problem> {
    let members: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    packages
        .iter()
        .flat_map(|package| check_package(package, &members))
        .collect()
}

fn check_package(package: &Package, members: &[&str]) -> Vec<Problem> {
    let problem = |what: String| Problem::in_file(&package.manifest, what);
    let Some(layer) = LAYERS.iter().find(|layer| layer.package == package.name) else {
        // Automation, benchmarks and test packages stand above the product: they use what they
        // like.
        return if package.folder.starts_with("crates") {
            vec![problem(format!(
                "`{}` has no layer: add it to the list in xtask/src/tidy/crates.rs",
                package.name
            ))]
        } else {
            Vec::new()
        };
    };
    let judge = |name: &str| {
        if layer.must_not_use.contains(&name) {
            Some(format!(
                "`{}` must not depend on `{name}`: it belongs to a crate above",
                layer.package
            ))
        } else if members.contains(&name) && !layer.may_use.contains(&name) {
            let allowed = if layer.may_use.is_empty() {
                "none".to_owned()
            } else {
                layer.may_use.join(", ")
            };
            Some(format!(
                "`{}` must not depend on `{name}`; of the workspace it may use: {allowed}",
                layer.package
            ))
        } else {
            None
        }
    };
    let dependencies = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development);
    dependencies
        .filter_map(|dependency| judge(&dependency.name))
        .map(problem)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::package::Dependency;

    fn package(name: &str, folder: &str, dependencies: &[(&str, DependencyKind)]) -> Package {
        Package {
            name: name.to_owned(),
            folder: folder.into(),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: *kind,
                })
                .collect(),
            ..Package::default()
        }
    }

    fn found(dependent: Package) -> Vec<String> {
        let others = LAYERS
            .iter()
            .map(|layer| package(layer.package, "crates/x", &[]));
        let packages: Vec<_> = others
            .filter(|other| other.name != dependent.name)
            .chain([dependent.clone()])
            .collect();
        check(&packages).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_layer_uses_only_layers_before_it() {
        for (position, layer) in LAYERS.iter().enumerate() {
            for used in layer.may_use {
                assert!(
                    LAYERS[..position]
                        .iter()
                        .any(|earlier| earlier.package == *used),
                    "{used}"
                );
            }
        }
    }

    #[test]
    fn what_points_down_is_fine() {
        let client = package(
            "wolff-client",
            "crates/client",
            &[
                ("wolff-codec", DependencyKind::Normal),
                ("tokio", DependencyKind::Normal),
            ],
        );
        assert_eq!(found(client), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_upwards_or_sideways_is_found() {
        for (name, used) in [
            ("wolff-codec", "wolff-client"),
            ("wolff-core", "replayq"),
            ("wolff-testbroker", "wolff"),
        ] {
            for kind in [DependencyKind::Normal, DependencyKind::Build] {
                let problems = found(package(name, "crates/x", &[(used, kind)]));
                assert_eq!(problems.len(), 1, "{name} {used}");
                assert!(
                    problems[0].contains(&format!("`{name}` must not depend on `{used}`")),
                    "{problems:?}"
                );
            }
        }
    }

    #[test]
    fn the_sans_io_crates_keep_the_world_out() {
        for name in [
            "wolff-backoff",
            "wolff-codec",
            "replayq",
            "wolff-partitioner",
            "wolff-core",
        ] {
            assert_eq!(
                found(package(
                    name,
                    "crates/x",
                    &[("tokio", DependencyKind::Normal)]
                ))
                .len(),
                1,
                "{name}"
            );
        }
    }

    #[test]
    fn tests_may_depend_on_anything() {
        let core = package(
            "wolff-core",
            "crates/core",
            &[
                ("wolff", DependencyKind::Development),
                ("tokio", DependencyKind::Development),
            ],
        );
        assert_eq!(found(core), Vec::<String>::new());
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert_eq!(found(package("wolff-new", "crates/new", &[])).len(), 1);
        assert_eq!(
            found(package(
                "wolff-peers",
                "benches/peers",
                &[("wolff", DependencyKind::Normal)]
            )),
            Vec::<String>::new()
        );
    }
}
