//! The value of a numbered record.

/// Which record it is: of each run and partition, numbers count from 0 in the order of acceptance.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The run of the producer; a later run has a higher number.
    pub run: u32,
    /// The partition that it was handed over for.
    pub partition: i32,
    /// Its number within run and partition.
    pub number: u64,
}

/// Bytes of most records.
const USUAL_BYTES: usize = 100;

/// Every so many records one is large.
const LARGE_EVERY: u64 = 997;

/// Bytes of a large record.
const LARGE_BYTES: usize = 40_000;

impl Place {
    /// The record's value: run, partition and number, then filler.
    #[must_use]
    pub fn to_value(self) -> String {
        let Self {
            run,
            partition,
            number,
        } = self;
        let length = match number % LARGE_EVERY {
            1 => LARGE_BYTES,
            _ => USUAL_BYTES,
        };
        let mut value = format!("{run} {partition} {number} ");
        let filler = length.saturating_sub(value.len());
        value.extend(std::iter::repeat_n('.', filler));
        value
    }

    /// The place in a record's value, if it is one of ours and whole.
    #[must_use]
    pub fn from_value(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut words = text.split(' ');
        let place = Self {
            run: words.next()?.parse().ok()?,
            partition: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
        };
        (place.to_value() == text).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_its_place_and_a_damaged_one_does_not() {
        for number in [0, 1, 998, 12_345] {
            let place = Place {
                run: 3,
                partition: 7,
                number,
            };
            let value = place.to_value();
            assert_eq!(Place::from_value(value.as_bytes()), Some(place));
            let cut = &value.as_bytes()[..value.len() - 1];
            assert_eq!(Place::from_value(cut), None);
        }
        assert_eq!(Place::from_value(b"1 2 x"), None);
    }
}
