//! Modules of one source file: which it declares, in which paragraphs, and which paths
//! it uses.

use super::lexer::{Kind, Token, tokens};

/// A module path from the crate's root, which is empty.
pub(crate) type ModulePath = Vec<String>;

/// A module that the file declares by `mod name;`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Child {
    /// Its name.
    pub(crate) name: String,
    /// The paragraph of `mod` lines that it stands in, counted from the top: higher numbers are
    /// lower layers.
    pub(crate) layer: usize,
    /// True if it is compiled for tests only.
    pub(crate) is_test: bool,
}

/// A path that is used outside of test code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reference {
    /// The module it is used in: the file's own or one written inside the file.
    pub(crate) from: ModulePath,
    /// The path that is named, from the crate's root. The last part may be `*`.
    pub(crate) target: ModulePath,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// A name that a `use` brings into the file's module.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Import {
    /// The name it has here.
    pub(crate) name: String,
    /// The path that it stands for, from the crate's root; `None` for something of another crate.
    pub(crate) target: Option<ModulePath>,
}

/// One file's declarations and references.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Modules declared in it, in order.
    pub(crate) children: Vec<Child>,
    /// Paths that begin with `crate`, `self` or `super`, and those that begin with a module of its
    /// own.
    pub(crate) references: Vec<Reference>,
    /// Names imported into the file's own module.
    pub(crate) imports: Vec<Import>,
}

impl Source {
    /// Reads the text of the module at `path`.
    pub(crate) fn parse(text: &str, path: &[String]) -> Self {
        let tokens = tokens(text);
        let mut reader = Reader {
            tokens: &tokens,
            at: 0,
            blank_lines: blank_lines(text),
            last_child_line: None,
            layer: 0,
            module: path.to_vec(),
            scopes: Vec::new(),
            is_test_next: false,
            source: Self::default(),
        };
        reader.read();
        let mut source = reader.source;
        source.resolve_own_modules(path);
        source
    }

    /// `use child::Name` means a module of this file only if it declares one of that name;
    /// otherwise another crate.
    fn resolve_own_modules(&mut self, path: &[String]) {
        for import in &mut self.imports {
            let Some(target) = &import.target else {
                continue;
            };
            if target.first().is_some_and(|first| first == RELATIVE) {
                let name = target.get(1);
                let is_own = self.children.iter().any(|child| Some(&child.name) == name);
                let rest = target.iter().skip(1);
                import.target = is_own.then(|| path.iter().chain(rest).cloned().collect());
            }
        }
    }
}

/// First part of a path whose root is not known until all children are.
const RELATIVE: &str = "?";

fn blank_lines(text: &str) -> Vec<usize> {
    (1_usize..)
        .zip(text.lines())
        .filter(|(_, line)| line.trim().is_empty())
        .map(|(number, _)| number)
        .collect()
}

/// Scope that an opening brace has opened.
enum Scope {
    Module,
    Other,
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    blank_lines: Vec<usize>,
    last_child_line: Option<usize>,
    layer: usize,
    /// The module that the reader is in, including modules written inside the file.
    module: ModulePath,
    scopes: Vec<Scope>,
    is_test_next: bool,
    source: Source,
}

impl<'a> Reader<'a> {
    fn read(&mut self) {
        while let Some(kind) = self.kind(0) {
            match kind {
                Kind::Mark('#') => self.read_attribute(),
                Kind::Word("mod") => self.read_module(),
                _ if self.is_test_next => self.skip_item(),
                Kind::Word("use") => self.read_use(),
                Kind::Word("crate" | "self" | "super")
                    if self.kind(1) == Some(Kind::PathSeparator) =>
                {
                    self.read_path()
                }
                Kind::Mark('{') => self.open(Scope::Other),
                Kind::Mark('}') => self.close(),
                _ => self.advance(1),
            }
        }
    }

    fn kind(&self, ahead: usize) -> Option<Kind<'a>> {
        self.tokens
            .get(self.at.checked_add(ahead)?)
            .map(|token| token.kind)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    fn advance(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    fn open(&mut self, scope: Scope) {
        self.scopes.push(scope);
        self.advance(1);
    }

    fn close(&mut self) {
        if matches!(self.scopes.pop(), Some(Scope::Module)) {
            self.module.pop();
        }
        self.advance(1);
    }

    /// Reads `#[…]` or `#![…]` and remembers whether what follows is for tests only.
    fn read_attribute(&mut self) {
        self.advance(1);
        if self.kind(0) == Some(Kind::Mark('!')) {
            self.advance(1);
        }
        if self.kind(0) != Some(Kind::Mark('[')) {
            return;
        }
        let start = self.at;
        self.skip_brackets();
        let inside = self.tokens.get(start..self.at).unwrap_or_default();
        let has = |word| inside.iter().any(|token| token.kind == Kind::Word(word));
        self.is_test_next |= has("cfg") && has("test") && !has("not");
    }

    /// From an opening bracket of any kind to behind the one that closes it.
    fn skip_brackets(&mut self) {
        let mut depth = 0_usize;
        while let Some(kind) = self.kind(0) {
            match kind {
                Kind::Mark('(' | '[' | '{') => depth = depth.saturating_add(1),
                Kind::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance(1);
            if depth == 0 {
                return;
            }
        }
    }

    /// Skips what an attribute has marked as test code: an item up to its `;` or block, or a field
    /// or arm up to its comma.
    fn skip_item(&mut self) {
        self.is_test_next = false;
        const ITEMS: [&str; 15] = [
            "pub",
            "fn",
            "impl",
            "use",
            "struct",
            "enum",
            "trait",
            "const",
            "static",
            "type",
            "async",
            "unsafe",
            "extern",
            "macro_rules",
            "let",
        ];
        let is_item = matches!(self.kind(0), Some(Kind::Word(word)) if ITEMS.contains(&word));
        while let Some(kind) = self.kind(0) {
            match kind {
                Kind::Mark('{') => return self.skip_brackets(),
                Kind::Mark('(' | '[') => self.skip_brackets(),
                Kind::Mark('}') => return,
                Kind::Mark(';') => return self.advance(1),
                Kind::Mark(',') if !is_item => return self.advance(1),
                _ => self.advance(1),
            }
        }
    }

    /// Reads `mod name;` or enters `mod name {`.
    fn read_module(&mut self) {
        let is_test = std::mem::take(&mut self.is_test_next);
        let line = self.line();
        match (self.kind(1), self.kind(2)) {
            (Some(Kind::Word(name)), Some(Kind::Mark(';'))) => {
                if let Some(last) = self.last_child_line
                    && self
                        .blank_lines
                        .iter()
                        .any(|blank| (last..line).contains(blank))
                {
                    self.layer = self.layer.saturating_add(1);
                }
                self.last_child_line = Some(line);
                self.source.children.push(Child {
                    name: name.to_owned(),
                    layer: self.layer,
                    is_test,
                });
                self.advance(3);
            }
            (Some(Kind::Word(_)), Some(Kind::Mark('{'))) if is_test => {
                self.advance(2);
                self.skip_brackets();
            }
            (Some(Kind::Word(name)), Some(Kind::Mark('{'))) => {
                self.module.push(name.to_owned());
                self.advance(2);
                self.open(Scope::Module);
            }
            _ => self.advance(1),
        }
    }

    /// Reads `use …;` with all its groups.
    fn read_use(&mut self) {
        self.advance(1);
        // `use<'a>` in a return type is no import.
        if self.kind(0) == Some(Kind::Mark('<')) {
            return;
        }
        if self.kind(0) == Some(Kind::PathSeparator) {
            while !matches!(self.kind(0), None | Some(Kind::Mark(';'))) {
                self.advance(1);
            }
            return;
        }
        self.read_use_tree(&[]);
    }

    /// Reads one branch of a `use`, whose parts before it are `prefix`, up to the `,`, `}` or `;`
    /// behind it.
    fn read_use_tree(&mut self, prefix: &[&'a str]) {
        let line = self.line();
        let mut parts = prefix.to_vec();
        let mut alias = None;
        loop {
            match self.kind(0) {
                Some(Kind::Mark('{')) => {
                    self.advance(1);
                    while !matches!(self.kind(0), None | Some(Kind::Mark('}'))) {
                        self.read_use_tree(&parts);
                        if self.kind(0) == Some(Kind::Mark(',')) {
                            self.advance(1);
                        }
                    }
                    return self.advance(1);
                }
                Some(Kind::Mark('*')) => parts.push("*"),
                Some(Kind::Word("as")) => {
                    if let Some(Kind::Word(name)) = self.kind(1) {
                        alias = Some(name);
                    }
                    self.advance(1);
                }
                // A `self` that ends a group means the group's own module.
                Some(Kind::Word("self")) if !parts.is_empty() => {}
                Some(Kind::Word(part)) => parts.push(part),
                Some(Kind::PathSeparator) => {}
                _ => break,
            }
            self.advance(1);
        }
        self.record_import(&parts, alias, line);
    }

    fn record_import(&mut self, parts: &[&str], alias: Option<&str>, line: usize) {
        let target = self.absolute(parts);
        let is_rooted = matches!(parts.first(), Some(&("crate" | "self" | "super")));
        if is_rooted {
            self.source.references.push(Reference {
                from: self.module.clone(),
                target: target.clone(),
                line,
            });
        }
        if self.scopes.is_empty()
            && let Some(name) = alias.or(parts.last().copied())
        {
            self.source.imports.push(Import {
                name: name.to_owned(),
                target: Some(target),
            });
        }
    }

    /// Reads a path in an expression, type or visibility.
    fn read_path(&mut self) {
        let line = self.line();
        let mut parts = Vec::new();
        while let Some(Kind::Word(part)) = self.kind(0) {
            parts.push(part);
            self.advance(1);
            if self.kind(0) != Some(Kind::PathSeparator) {
                break;
            }
            self.advance(1);
        }
        // An exported macro lives at the root wherever it is written.
        let is_macro =
            self.kind(0) == Some(Kind::Mark('!')) && self.kind(1) != Some(Kind::Mark('='));
        if is_macro && parts.len() == 2 {
            return;
        }
        let target = self.absolute(&parts);
        self.source.references.push(Reference {
            from: self.module.clone(),
            target,
            line,
        });
    }

    /// The path from the crate's root.
    fn absolute(&self, parts: &[&str]) -> ModulePath {
        let mut path = match parts.first() {
            Some(&"crate") => Vec::new(),
            Some(&("self" | "super")) => self.module.clone(),
            _ => vec![RELATIVE.to_owned()],
        };
        for part in parts {
            match *part {
                "crate" | "self" => {}
                "super" => drop(path.pop()),
                part => path.push(part.to_owned()),
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Source {
        Source::parse(text, &["a".to_owned(), "b".to_owned()])
    }

    fn targets(text: &str) -> Vec<String> {
        parse(text)
            .references
            .iter()
            .map(|reference| reference.target.join("::"))
            .collect()
    }

    #[test]
    fn paragraphs_of_mod_lines_are_layers() {
        let source = parse(
            "//! Docs.\n\nmod x;\n// why\npub mod y;\n\n#[cfg(test)]\nmod t;\n\npub(crate) mod z;\n\nuse x::X;\n",
        );
        let layers: Vec<_> = source
            .children
            .iter()
            .map(|child| (child.name.as_str(), child.layer, child.is_test))
            .collect();
        assert_eq!(
            layers,
            [
                ("x", 0, false),
                ("y", 0, false),
                ("t", 1, true),
                ("z", 2, false)
            ]
        );
    }

    #[test]
    fn every_path_of_a_use_is_found() {
        let text = "use crate::{x::{self, Y as Z}, w::*};\nuse super::v;\npub(crate) use self::c::D;\nuse std::fmt;";
        assert_eq!(targets(text), ["x", "x::Y", "w::*", "a::v", "a::b::c::D"]);
    }

    #[test]
    fn paths_in_code_and_visibilities_are_found() {
        assert_eq!(
            targets("pub(in crate::x) fn f() { super::y::g::<crate::z::T>(); }"),
            ["x", "a::y::g", "z::T"]
        );
        assert_eq!(
            targets(
                "pub(crate) fn f(self) { self.g(); crate::ensure!(x); let _ = crate::x != 1; }"
            ),
            ["x"]
        );
    }

    #[test]
    fn test_code_may_import_anything() {
        let text = "#[cfg(test)]\nmod tests { use super::*; fn f() { crate::x(); } }\n\
                    #[cfg(test)]\nuse crate::y;\n\
                    #[cfg(test)]\nfn g<A, B>() { crate::z(); }\n\
                    struct S { #[cfg(test)] count: crate::w::W, other: crate::v::V }";
        assert_eq!(targets(text), ["v::V"]);
    }

    #[test]
    fn a_module_inside_the_file_is_a_step_of_its_own() {
        let source = parse("mod inner { use super::X; use super::super::y; } use super::z;");
        let found: Vec<_> = source
            .references
            .iter()
            .map(|r| (r.from.len(), r.target.join("::")))
            .collect();
        assert_eq!(
            found,
            [
                (3, "a::b::X".into()),
                (3, "a::y".into()),
                (2, "a::z".into())
            ]
        );
    }

    #[test]
    fn imports_know_what_they_stand_for() {
        let source = parse("mod c;\npub use c::{D, e::F as G};\nuse std::fmt;\nuse crate::x::Y;");
        let found: Vec<_> = source
            .imports
            .iter()
            .map(|i| {
                (
                    i.name.as_str(),
                    i.target.as_ref().map(|target| target.join("::")),
                )
            })
            .collect();
        let expected = [
            ("D", Some("a::b::c::D".to_owned())),
            ("G", Some("a::b::c::e::F".to_owned())),
            ("fmt", None),
            ("Y", Some("x::Y".to_owned())),
        ];
        assert_eq!(found, expected);
    }
}
