//! Calls of a lease that wait for their partition, in about two bytes each.

/// Calls of a lease, by first record and count, in order.
#[derive(Debug, Default)]
pub(crate) struct DeferredCalls {
    /// For each call: records since the end of the one before, and its own, as varints.
    bytes: Vec<u8>,
    end: u32,
}

impl DeferredCalls {
    /// Adds a call behind the others.
    pub(crate) fn push(&mut self, first_record: u32, records: u32) {
        self.put(first_record.saturating_sub(self.end));
        self.put(records);
        self.end = first_record.saturating_add(records);
    }

    fn put(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// First record and count of each call.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut bytes = self.bytes.iter();
        let mut end = 0u32;
        std::iter::from_fn(move || {
            let first = end.saturating_add(take(&mut bytes)?);
            let records = take(&mut bytes)?;
            end = first.saturating_add(records);
            Some((first, records))
        })
    }
}

fn take<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u32> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        let byte = bytes.next()?;
        value |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_back_as_they_were_put() {
        let calls = [
            (0, 1),
            (1, 127),
            (500, 128),
            (100_000, 1),
            (u32::MAX - 9, 9),
        ];
        let mut deferred = DeferredCalls::default();
        for (first, records) in calls {
            deferred.push(first, records);
        }
        assert_eq!(deferred.iter().collect::<Vec<_>>(), calls);
    }
}
