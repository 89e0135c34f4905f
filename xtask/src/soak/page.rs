//! RELIABILITY.md: the rows about what was run.

use crate::failure::{Context as _, Failure};
use crate::workspace;
use std::time::{SystemTime, UNIX_EPOCH};

const PAGE: &str = "RELIABILITY.md";

/// Appends a row to the table that ends the page.
pub(super) fn append(row: &str) -> Result<(), Failure> {
    let path = workspace::root().join(PAGE);
    let mut page = std::fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
    page.push_str(row);
    page.push('\n');
    std::fs::write(&path, page).context(format!("writing {}", path.display()))
}

/// The date, in UTC.
pub(super) fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let (year, month, day) = date(since.unwrap_or_default().as_secs() / (24 * 60 * 60));
    format!("{year}-{month:02}-{day:02}")
}

/// The date of a day, counted from the beginning of 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        match days.checked_sub(length) {
            Some(rest) => days = rest,
            None => break,
        }
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        match days.checked_sub(length) {
            Some(rest) => days = rest,
            None => break,
        }
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (20_787, (2026, 11, 30)),
            (20_818, (2026, 12, 31)),
            (20_819, (2027, 1, 1)),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}
