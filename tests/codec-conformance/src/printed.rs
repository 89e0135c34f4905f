//! Values as `Debug` prints them: so that two implementations' structs can be compared field by
//! field, without a line of conversion for each of them.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// A value, freed of the names of types.
#[derive(Clone, Debug, PartialEq)]
pub enum Printed {
    /// A number, a string, bytes, `None` …, as it is printed.
    Leaf(String),
    /// The elements of a list.
    List(Vec<Printed>),
    /// The fields of a struct, by name.
    Fields(BTreeMap<String, Printed>),
}

/// A topic id that is not known.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

impl Printed {
    /// Text that `value` prints.
    ///
    /// # Errors
    /// The rest of the text from where on it is not understood.
    pub fn of(value: &impl Debug) -> Result<Self, String> {
        let text = format!("{value:?}");
        let mut parser = Parser { rest: &text };
        parser
            .value()
            .filter(|_| parser.rest.is_empty())
            .ok_or_else(|| parser.rest.to_owned())
    }

    /// Returns whether this is what a field holds in versions that lack it: the other side may have
    /// a struct without it for them.
    fn is_absent(&self) -> bool {
        matches!(self, Self::Leaf(leaf) if leaf == NO_ID || leaf == "None")
    }

    /// Returns whether it says nothing: numbers that stand for none, and empty lists.
    fn is_unset(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf == "-1",
            Self::List(elements) => elements.is_empty(),
            Self::Fields(fields) => fields.values().all(Self::is_unset),
        }
    }

    /// The first field of `self` that `other` lacks or has another value of, as a path; none if
    /// there is no such field. Fields that only `other` has do not count, nor do those named in
    /// `except`.
    #[must_use]
    pub fn difference(&self, other: &Self, except: &[&str]) -> Option<String> {
        match (self, other) {
            (Self::Leaf(ours), Self::Leaf(theirs)) => {
                // What a version does not have has other defaults there.
                let is_absent = matches!(
                    (ours.as_str(), theirs.as_str()),
                    ("-1", "0") | ("None", "\"\"")
                );
                (ours != theirs && !is_absent).then(|| format!(": {ours} is not {theirs}"))
            }
            (Self::Leaf(ours), Self::List(theirs)) if ours == "None" && theirs.is_empty() => None,
            // A structure that is seldom sent is in memory of its own here.
            (Self::Leaf(ours), Self::Fields(_)) if ours == "None" && other.is_unset() => None,
            (Self::List(ours), Self::List(theirs)) if ours.len() == theirs.len() => ours
                .iter()
                .zip(theirs)
                .enumerate()
                .find_map(|(index, (ours, theirs))| {
                    ours.difference(theirs, except)
                        .map(|path| format!("[{index}]{path}"))
                }),
            (Self::Fields(ours), Self::Fields(theirs)) => ours
                .iter()
                .filter(|(name, _)| !except.contains(&name.as_str()))
                .find_map(|(name, ours)| match theirs.get(name) {
                    Some(theirs) => ours
                        .difference(theirs, except)
                        .map(|path| format!(".{name}{path}")),
                    None if ours.is_absent() => None,
                    None => Some(format!(".{name} is missing")),
                }),
            _ => Some(format!(": {self:?} is not {other:?}")),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn value(&mut self) -> Option<Printed> {
        if self.skip("[") {
            let mut elements = Vec::new();
            while !self.skip("]") {
                elements.push(self.value()?);
                self.skip(", ");
            }
            return Some(Printed::List(elements));
        }
        if self.rest.starts_with('"') || self.rest.starts_with("b\"") {
            return Some(Printed::Leaf(self.quoted()));
        }
        if self.skip("{") {
            return self.map();
        }
        let name = self.word();
        if self.skip(" {") {
            return self.fields();
        }
        if self.skip("(") {
            // `Some(x)` and newtypes are what they hold; `None` stays a word.
            let inner = self.value()?;
            return self.skip(")").then_some(inner);
        }
        (!name.is_empty()).then_some(Printed::Leaf(name))
    }

    fn fields(&mut self) -> Option<Printed> {
        let mut fields = BTreeMap::new();
        while !self.skip("}") {
            self.skip(" ");
            let name = self.word();
            // The rest is not shown: it may be a secret. Bytes are compared as well.
            if name == ".." {
                self.skip(" ");
                continue;
            }
            if !self.skip(": ") {
                return None;
            }
            fields.insert(name, self.value()?);
            self.skip(",");
            self.skip(" ");
        }
        Some(Printed::Fields(fields))
    }

    fn map(&mut self) -> Option<Printed> {
        let mut entries = Vec::new();
        while !self.skip("}") {
            entries.push(self.value()?);
            self.skip(": ");
            entries.push(self.value()?);
            self.skip(", ");
        }
        Some(Printed::List(entries))
    }

    fn skip(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> String {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        self.split(self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len()))
    }

    fn quoted(&mut self) -> String {
        let start = self.rest.find('"').unwrap_or_default() + 1;
        let mut escaped = false;
        let end = self.rest.char_indices().find(|&(position, c)| {
            let is_end = position >= start && c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        self.split(end.map_or(self.rest.len(), |(position, _)| position + 1))
    }

    fn split(&mut self, position: usize) -> String {
        let (text, rest) = self.rest.split_at(position);
        self.rest = rest;
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Id(#[expect(dead_code, reason = "it is printed")] i32);

    #[derive(Debug)]
    #[expect(dead_code, reason = "they are printed")]
    struct Sample {
        id: Id,
        name: Option<&'static str>,
        list: Vec<Sample>,
        tags: BTreeMap<i32, Option<i8>>,
    }

    fn sample(id: i32, name: Option<&'static str>, list: Vec<Sample>) -> Sample {
        Sample {
            id: Id(id),
            name,
            list,
            tags: BTreeMap::from([(1, None), (2, Some(3))]),
        }
    }

    #[test]
    fn a_difference_has_a_path() {
        let left = sample(1, Some("say \"hi\", {"), vec![sample(2, None, vec![])]);
        let right = sample(1, Some("say \"hi\", {"), vec![sample(3, None, vec![])]);
        let left = Printed::of(&left).unwrap();
        let right = Printed::of(&right).unwrap();
        assert_eq!(left.difference(&left, &[]), None);
        assert_eq!(
            left.difference(&right, &[]).unwrap(),
            ".list[0].id: 2 is not 3"
        );
        assert_eq!(left.difference(&right, &["id"]), None);
    }
}
