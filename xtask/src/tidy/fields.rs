//! Fields are private to their file, where their type keeps its invariant. What other files may
//! reach into is plain data: all of its fields are shared, and nothing changes it in place.

use super::lexer::{Kind, Token, tokens};
use super::problem::Problem;
use super::text_file::TextFile;
use std::path::Path;

/// Folders whose Rust files comply, and stay so.
const CHECKED: [&str; 2] = ["crates/core/src", "crates/wolff/src"];

/// Most fields of a type that is no plain data.
const MOST: usize = 10;

/// Looks through the types of the folders that comply.
pub(crate) fn check(files: &[TextFile]) -> Vec<Problem> {
    let checked = files.iter().filter(|file| is_checked(&file.path));
    checked.flat_map(check_file).collect()
}

fn is_checked(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
        && CHECKED.iter().any(|folder| path.starts_with(folder))
}

fn check_file(file: &TextFile) -> Vec<Problem> {
    let tokens = tokens(&file.text);
    let changed = changed_types(&tokens);
    let mut problems = Vec::new();
    for found in structs(&tokens) {
        let Struct {
            name,
            line,
            fields,
            shared,
            public,
        } = found;
        let is_changed = changed.contains(&name);
        let what = if shared > 0 && shared < fields {
            format!(
                "`{name}` shares {shared} of its {fields} fields: make them all private, or all shared where it is plain data"
            )
        } else if shared > 0 && is_changed {
            format!(
                "`{name}` shares its fields with other files, and has methods that change it: make them private"
            )
        } else if fields > MOST && shared < fields && public < fields {
            format!("`{name}` has {fields} fields, more than {MOST}: look for the types within it")
        } else {
            continue;
        };
        problems.push(Problem::in_line(&file.path, line, what));
    }
    problems
}

/// A struct with named fields.
#[derive(Debug, Eq, PartialEq)]
struct Struct<'a> {
    name: &'a str,
    line: usize,
    fields: usize,
    /// Fields that other files of the crate may use, and other crates may not.
    shared: usize,
    /// Fields that everybody may use.
    public: usize,
}

fn structs<'a>(tokens: &[Token<'a>]) -> Vec<Struct<'a>> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(Kind::Word(name)) = kind(tokens, at + 1) else {
            continue;
        };
        if token.kind != Kind::Word("struct") {
            continue;
        }
        // A `{` before any `;` and `(`: bounds of parameters have neither.
        let is_end = |kind| matches!(kind, Kind::Mark('{' | '(' | ';'));
        let body = (at..tokens.len()).find(|at| kind(tokens, *at).is_some_and(is_end));
        if let Some(body) = body.filter(|body| kind(tokens, *body) == Some(Kind::Mark('{'))) {
            let mut found_here = Struct {
                name,
                line: token.line,
                fields: 0,
                shared: 0,
                public: 0,
            };
            count_fields(tokens, body, &mut found_here);
            found.push(found_here);
        }
    }
    found
}

/// Counts the fields in the braces that open at `body`.
fn count_fields(tokens: &[Token<'_>], body: usize, found: &mut Struct<'_>) {
    let mut depth = 0_usize;
    let mut visibility = None;
    for at in body..tokens.len() {
        let Some(kind_here) = kind(tokens, at) else {
            return;
        };
        match kind_here {
            Kind::Mark('{' | '(' | '[') => depth += 1,
            Kind::Mark('}' | ')' | ']') => depth = depth.saturating_sub(1),
            Kind::Word("pub") if depth == 1 => {
                let is_restricted = kind(tokens, at + 1) == Some(Kind::Mark('('));
                visibility = Some(is_restricted);
            }
            // A single colon follows the name of a field, and nothing else at this depth.
            Kind::Mark(':') if depth == 1 => {
                found.fields += 1;
                found.shared += usize::from(visibility == Some(true));
                found.public += usize::from(visibility == Some(false));
                visibility = None;
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// The types that have a method with `&mut self`.
fn changed_types<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut changed = Vec::new();
    let mut depth = 0_usize;
    // The type of the `impl` that the walk is in, and the depth of its braces.
    let mut inside: Option<(&'a str, usize)> = None;
    let mut header: Option<&'a str> = None;
    let mut is_header = false;
    let mut angles = 0_usize;
    for at in 0..tokens.len() {
        match kind(tokens, at) {
            Some(Kind::Word("impl")) if inside.is_none() => {
                (is_header, header, angles) = (true, None, 0);
            }
            Some(Kind::Word("for")) if is_header => header = None,
            Some(Kind::Word("where")) if is_header && header.is_some() => is_header = false,
            Some(Kind::Mark('<')) if is_header => angles += 1,
            Some(Kind::Mark('>')) if is_header => angles = angles.saturating_sub(1),
            Some(Kind::Word(name)) if is_header && angles == 0 => header = Some(name),
            Some(Kind::Mark('{')) => {
                if inside.is_none()
                    && let Some(name) = header.take()
                {
                    inside = Some((name, depth));
                }
                is_header = false;
                depth += 1;
            }
            Some(Kind::Mark('}')) => {
                depth = depth.saturating_sub(1);
                if inside.is_some_and(|(_, outer)| outer == depth) {
                    inside = None;
                }
            }
            Some(Kind::Mark('&')) => {
                let next = [kind(tokens, at + 1), kind(tokens, at + 2)];
                // `&mut self.field` is no receiver.
                let is_receiver = matches!(kind(tokens, at + 3), Some(Kind::Mark(',' | ')')));
                if next == [Some(Kind::Word("mut")), Some(Kind::Word("self"))]
                    && is_receiver
                    && let Some((name, _)) = inside
                {
                    changed.push(name);
                }
            }
            _ => {}
        }
    }
    changed
}

fn kind<'a>(tokens: &[Token<'a>], at: usize) -> Option<Kind<'a>> {
    tokens.get(at).map(|token| token.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn found(text: &str) -> Vec<String> {
        let file = TextFile {
            path: PathBuf::from("crates/core/src/a.rs"),
            text: text.to_owned(),
        };
        check(&[file]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn private_fields_and_plain_data_are_fine() {
        let text = "pub struct A<T: Copy> where T: Clone { a: Vec<T>, b: [u8; 4] }\n\
                    impl<T> A<T> { fn f(&mut self) {} }\n\
                    struct B { pub(crate) a: (u8, u8), pub(crate) b: u8 }\n\
                    impl B { fn f(&self) -> u8 { self.b } fn g(mut self) { h(&mut self.b) } }\n\
                    pub struct C { pub a: u8 }\nimpl C { fn f(&mut self) {} }\n\
                    struct D(pub(crate) u8);";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn a_type_that_shares_some_fields_is_found() {
        let text = "struct B<T> { pub(super) a: u8, b: Vec<T> }";
        assert_eq!(found(text).len(), 1, "{:?}", found(text));
        assert!(found(text)[0].contains("1 of its 2"));
    }

    #[test]
    fn shared_fields_of_a_type_that_changes_are_found() {
        for header in ["B<T>", "fmt::Write for B<T>", "B<T> where T: Copy"] {
            let text = format!(
                "struct B<T> {{ pub(crate) a: T }}\nimpl<T> {header} {{ fn f(&mut self) {{}} }}"
            );
            assert_eq!(found(&text).len(), 1, "{text}");
        }
        let other = "struct B { pub(crate) a: u8 }\nimpl C { fn f(&mut self) {} }";
        assert_eq!(found(other), Vec::<String>::new());
    }

    #[test]
    fn a_type_of_many_fields_is_found_unless_it_is_data() {
        let fields = |prefix: &str| -> String {
            (0..=MOST).map(|n| format!("{prefix} f{n}: u8, ")).collect()
        };
        assert_eq!(found(&format!("struct A {{ {} }}", fields(""))).len(), 1);
        assert_eq!(found(&format!("struct A {{ {} }}", fields("pub"))).len(), 0);
        let shared = fields("pub(crate)");
        assert_eq!(found(&format!("struct A {{ {shared} }}")).len(), 0);
    }
}
