//! Numbers with a meaning: newtypes for the ids, offsets and epochs that a signature could swap by
//! mistake.
//!
//! Where Kafka has a number for "none" or "unknown", it is the type's default.

use std::fmt;

/// Declares a number newtype with its conversions.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty) default $default:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub $inner);

        impl Default for $name {
            fn default() -> Self {
                Self($default)
            }
        }

        impl From<$inner> for $name {
            fn from(number: $inner) -> Self {
                Self(number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A partition of a topic, counted from 0.
    PartitionId(i32) default 0
}

number! {
    /// A broker, as the cluster numbers it. Default: [`BrokerId::NONE`].
    BrokerId(i32) default -1
}

impl BrokerId {
    /// No broker: a partition without a leader, a cluster without a known controller, a client
    /// instead of a replica.
    pub const NONE: Self = Self(-1);
}

number! {
    /// Number of times that a partition has changed its leader. Default: [`LeaderEpoch::UNKNOWN`].
    LeaderEpoch(i32) default -1
}

impl LeaderEpoch {
    /// The epoch is not known, or the broker shall not check it.
    pub const UNKNOWN: Self = Self(-1);
}

number! {
    /// The place of a record in a partition. Default: [`Offset::UNKNOWN`].
    Offset(i64) default -1
}

impl Offset {
    /// No offset, or one that the broker does not know.
    pub const UNKNOWN: Self = Self(-1);
}

number! {
    /// An idempotent or transactional producer, as the cluster numbers it. Default:
    /// [`ProducerId::NONE`].
    ProducerId(i64) default -1
}

impl ProducerId {
    /// Not an idempotent producer.
    pub const NONE: Self = Self(-1);
}

number! {
    /// The incarnation of a producer id. Default: [`ProducerEpoch::NONE`].
    ProducerEpoch(i16) default -1
}

impl ProducerEpoch {
    /// Not an idempotent producer.
    pub const NONE: Self = Self(-1);
}

number! {
    /// Number that ties a response to its request on one connection. Any number; it only has to be
    /// unique among those in flight.
    CorrelationId(i32) default 0
}

/// Declares a newtype for 16 bytes that print like a UUID.
macro_rules! uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// All zero: none, or not known.
            pub const ZERO: Self = Self([0; 16]);

            /// True if this is [`Self::ZERO`].
            #[must_use]
            pub fn is_zero(&self) -> bool {
                *self == Self::ZERO
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, f)
            }
        }
    };
}

uuid! {
    /// Id that distinguishes a topic from an earlier one of the same name (KIP-516).
    TopicId
}

uuid! {
    /// A client, as the cluster numbers those that push telemetry (KIP-714).
    ClientInstanceId
}

uuid! {
    /// A directory of a broker that holds logs (KIP-858).
    DirectoryId
}

/// The usual form: `01234567-89ab-cdef-0123-456789abcdef`.
fn write_uuid(bytes: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_kafkas_numbers_for_none() {
        assert_eq!(BrokerId::default(), BrokerId::NONE);
        assert_eq!(LeaderEpoch::default(), LeaderEpoch::UNKNOWN);
        assert_eq!(Offset::default(), Offset::UNKNOWN);
        assert_eq!(ProducerId::default(), ProducerId::NONE);
        assert_eq!(ProducerEpoch::default(), ProducerEpoch::NONE);
        assert!(TopicId::default().is_zero());
    }

    #[test]
    fn topic_ids_print_as_uuids() {
        let id = TopicId([
            0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0, 1, 2, 3, 4, 5, 6, 7,
        ]);
        assert_eq!(id.to_string(), "01234567-89ab-cdef-0001-020304050607");
    }
}
