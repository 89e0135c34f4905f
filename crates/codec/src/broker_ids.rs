//! A short list of brokers, as metadata has three of them for every partition.

use std::fmt;
use std::ops::Deref;

use crate::ids::BrokerId;

/// Number of brokers that take no memory of their own: as many as the replicas of most partitions.
const FEW: usize = 3;

/// Brokers in order, such as the replicas of a partition. Lists of up to three allocate nothing:
/// metadata of a large cluster has hundreds of thousands of them.
///
/// ```
/// use wolff_codec::{BrokerId, BrokerIds};
///
/// let replicas = BrokerIds::from([BrokerId(1), BrokerId(2)]);
/// assert_eq!(replicas.first(), Some(&BrokerId(1)));
/// assert_eq!(replicas, [BrokerId(1), BrokerId(2)]);
/// ```
#[derive(Clone)]
pub struct BrokerIds(Form);

#[derive(Clone)]
enum Form {
    Few {
        len: u8,
        ids: [BrokerId; FEW],
    },
    #[expect(
        clippy::box_collection,
        reason = "a thin pointer keeps the list small where it is short"
    )]
    Many(Box<Vec<BrokerId>>),
}

impl BrokerIds {
    /// No brokers; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Form::Few {
            len: 0,
            ids: [BrokerId::NONE; FEW],
        })
    }

    /// The memory that a list of that length allocates, in bytes.
    pub(crate) fn allocated_bytes(len: usize) -> usize {
        if len <= FEW {
            0
        } else {
            size_of::<Vec<BrokerId>>() + len.saturating_mul(size_of::<BrokerId>())
        }
    }
}

impl Default for BrokerIds {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for BrokerIds {
    type Target = [BrokerId];

    fn deref(&self) -> &[BrokerId] {
        match &self.0 {
            Form::Few { len, ids } => ids.get(..usize::from(*len)).unwrap_or(ids),
            Form::Many(ids) => ids,
        }
    }
}

impl FromIterator<BrokerId> for BrokerIds {
    fn from_iter<I: IntoIterator<Item = BrokerId>>(brokers: I) -> Self {
        let mut brokers = brokers.into_iter();
        let mut few = [BrokerId::NONE; FEW];
        let mut len = 0;
        for slot in &mut few {
            let Some(broker) = brokers.next() else {
                return Self(Form::Few { len, ids: few });
            };
            *slot = broker;
            len += 1;
        }
        let Some(next) = brokers.next() else {
            return Self(Form::Few { len, ids: few });
        };
        let mut many = Vec::with_capacity(FEW + 1 + brokers.size_hint().0);
        many.extend(few);
        many.push(next);
        many.extend(brokers);
        Self(Form::Many(Box::new(many)))
    }
}

impl From<Vec<BrokerId>> for BrokerIds {
    fn from(brokers: Vec<BrokerId>) -> Self {
        if brokers.len() > FEW {
            Self(Form::Many(Box::new(brokers)))
        } else {
            brokers.into_iter().collect()
        }
    }
}

impl<const N: usize> From<[BrokerId; N]> for BrokerIds {
    fn from(brokers: [BrokerId; N]) -> Self {
        brokers.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a BrokerIds {
    type Item = &'a BrokerId;
    type IntoIter = std::slice::Iter<'a, BrokerId>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for BrokerIds {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for BrokerIds {}

impl<const N: usize> PartialEq<[BrokerId; N]> for BrokerIds {
    fn eq(&self, other: &[BrokerId; N]) -> bool {
        **self == other[..]
    }
}

impl fmt::Debug for BrokerIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_any_length_hold_what_was_put_in() {
        assert_eq!(size_of::<BrokerIds>(), 16);
        for len in 0..10 {
            let brokers: Vec<BrokerId> = (0..len).map(BrokerId).collect();
            let collected: BrokerIds = brokers.iter().copied().collect();
            assert_eq!(&*collected, &brokers[..]);
            assert_eq!(BrokerIds::from(brokers), collected);
        }
        assert_ne!(BrokerIds::from([BrokerId(0)]), BrokerIds::new());
        assert_eq!(
            format!("{:?}", BrokerIds::from([BrokerId(7)])),
            "[BrokerId(7)]"
        );
    }
}
