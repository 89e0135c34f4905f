//! Errors of a configuration.

/// An option is out of its range, or contradicts another one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{option} is {value}: expected {range}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The option's name, as in [`ProducerConfig`](crate::ProducerConfig).
    pub option: &'static str,
    /// The value that it has.
    pub value: String,
    /// Range of valid values.
    pub range: String,
}

impl ConfigError {
    /// An option that is not what it can be.
    pub(crate) fn new(option: &'static str, value: String, range: impl Into<String>) -> Self {
        Self {
            option,
            value,
            range: range.into(),
        }
    }
}
