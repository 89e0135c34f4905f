//! No file names the host of a package registry: where packages come from is the business of the
//! machine's own settings, and a project that names a host stops building where that host is
//! replaced by a mirror.

use super::problem::Problem;
use super::text_file::TextFile;

/// The hosts in pieces, so that this file names none of them.
const HOSTS: &[&[&str]] = &[
    &["crates", "io"],
    &["static", "rust-lang", "org"],
    &["sh", "rustup", "rs"],
    &["pypi", "org"],
    &["files", "pythonhosted", "org"],
    &["registry", "npmjs", "org"],
    &["npmjs", "com"],
    &["proxy", "golang", "org"],
    &["sum", "golang", "org"],
    &["repo", "maven", "apache", "org"],
    &["repo1", "maven", "org"],
    &["central", "sonatype", "com"],
    &["deb", "debian", "org"],
    &["archive", "ubuntu", "com"],
    &["hub", "docker", "com"],
    &["docker", "io"],
    &["ghcr", "io"],
    &["quay", "io"],
];

/// Written by Cargo, which names the registry's index in it.
const LOCK_FILE: &str = "Cargo.lock";

/// Looks through the lines of all files.
pub(crate) fn check(files: &[TextFile]) -> Vec<Problem> {
    let hosts: Vec<String> = HOSTS.iter().map(|parts| parts.join(".")).collect();
    let is_checked = |file: &&TextFile| file.path.file_name().is_none_or(|name| name != LOCK_FILE);
    let in_file = |file| lines_with_host(file, &hosts);
    files.iter().filter(is_checked).flat_map(in_file).collect()
}

fn lines_with_host(file: &TextFile, hosts: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in (1_usize..).zip(file.text.lines()) {
        if let Some(host) = hosts.iter().find(|host| names(line, host)) {
            let what =
                format!("names a registry's host, `{host}`: leave that to the machine's settings");
            problems.push(Problem::in_line(&file.path, number, what));
        }
    }
    problems
}

/// Returns whether the host stands in the line, as itself or behind further labels, but not as the
/// end of another word.
fn names(line: &str, host: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.match_indices(host).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().last());
        let after = line
            .get(at.saturating_add(host.len())..)
            .and_then(|after| after.chars().next());
        let is_letter = |letter: char| letter.is_alphanumeric();
        !before.is_some_and(|letter| is_letter(letter) || letter == '_')
            && !after.is_some_and(is_letter)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let text = text.replace('#', ".");
        check(&[TextFile {
            path: path.into(),
            text,
        }])
        .len()
    }

    #[test]
    fn a_host_is_found_wherever_it_stands() {
        assert_eq!(
            found("a.md", "see https://crates#io/x\nand index.CRATES#io, too"),
            2
        );
        assert_eq!(found(".ci/run", "curl https://repo1#maven#org/x"), 1);
        assert_eq!(found("x.yml", "image: docker#io/apache/kafka"), 1);
    }

    #[test]
    fn other_words_and_the_lock_file_are_fine() {
        assert_eq!(
            found(
                "a.rs",
                "let x = my_crates#iolink; notcrates#io; crates#iox; docs#rs"
            ),
            0
        );
        assert_eq!(found("fuzz/Cargo.lock", "registry+https://crates#io"), 0);
    }
}
