//! Tagged fields that this crate does not know.

use std::fmt;

use bytes::Bytes;

/// A tagged field as it came: a number and the bytes of its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TaggedField {
    /// The number.
    pub tag: u32,
    /// The value's bytes, without their length.
    pub value: Bytes,
}

/// Tagged fields by number, ascending, each at most once. They are kept, so that whoever passes a
/// message on loses nothing.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct TaggedFields(
    /// None if there are no fields. A thin pointer: every structure of every message has one.
    #[expect(clippy::box_collection, reason = "a slice's pointer is twice as large")]
    Option<Box<Vec<TaggedField>>>,
);

impl TaggedFields {
    /// Fields that ascend by number already.
    pub(super) fn ascending(fields: Vec<TaggedField>) -> Self {
        debug_assert!(fields.is_sorted_by(|left, right| left.tag < right.tag));
        Self((!fields.is_empty()).then(|| Box::new(fields)))
    }

    fn as_slice(&self) -> &[TaggedField] {
        self.0.as_ref().map_or(&[], |fields| fields.as_slice())
    }

    /// No tagged fields; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The fields, ascending by number.
    pub fn iter(&self) -> impl Iterator<Item = &TaggedField> {
        self.as_slice().iter()
    }

    /// The value of a tag.
    #[must_use]
    pub fn value(&self, tag: u32) -> Option<&Bytes> {
        self.iter()
            .find(|field| field.tag == tag)
            .map(|field| &field.value)
    }
}

/// In any order; of several fields with one number the first one counts.
impl FromIterator<TaggedField> for TaggedFields {
    fn from_iter<I: IntoIterator<Item = TaggedField>>(fields: I) -> Self {
        let mut fields: Vec<TaggedField> = fields.into_iter().collect();
        fields.sort_by_key(|field| field.tag);
        fields.dedup_by_key(|field| field.tag);
        Self::ascending(fields)
    }
}

impl fmt::Debug for TaggedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaggedFields")
            .field(&self.as_slice())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted_and_unique() {
        let field = |tag, value| TaggedField {
            tag,
            value: Bytes::from_static(value),
        };
        let fields: TaggedFields = [field(9, b"a"), field(2, b"b"), field(9, b"c")]
            .into_iter()
            .collect();
        assert_eq!(fields.len(), 2);
        assert_eq!(
            fields.iter().map(|field| field.tag).collect::<Vec<_>>(),
            [2, 9]
        );
        assert_eq!(fields.value(9), Some(&Bytes::from_static(b"a")));
        assert_eq!(fields.value(3), None);
    }
}
