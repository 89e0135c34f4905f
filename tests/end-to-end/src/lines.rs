//! Files of text lines as people and programs write them: mixed lengths and scripts, empty lines,
//! some very long ones.

use std::io::{self, Write};

/// Words of several scripts, one to four bytes a character.
const WORDS: [&str; 40] = [
    "the",
    "quick",
    "record",
    "waits",
    "in",
    "a",
    "queue",
    "until",
    "someone",
    "asks",
    "für",
    "Straße",
    "größer",
    "Übermut",
    "année",
    "garçon",
    "señal",
    "över",
    "λόγος",
    "θάλασσα",
    "слово",
    "очередь",
    "ждёт",
    "שלום",
    "سلام",
    "データ",
    "記録",
    "東京",
    "안녕",
    "नमस्ते",
    "🐺",
    "🚀✨",
    "{\"id\":",
    "\"value\"}",
    "2024-11-05T12:00:00Z",
    "0x1f",
    "key=value",
    "a\tb",
    "\\n",
    "…",
];

/// Length of the very long lines, bytes.
const LONG_BYTES: usize = 100 * 1024;

/// Makes lines, the same ones for the same seed.
///
/// Of 10,000 lines about 100 are empty, one has some 100 KiB, 300 have up to 4 KiB, and the others
/// between 10 and 500 bytes. Each line that is not empty begins with its number, so that no two are
/// alike.
#[derive(Clone, Debug)]
pub struct Lines {
    number: u64,
    random: u64,
}

impl Lines {
    /// Lines by this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            number: 0,
            random: seed,
        }
    }

    /// Writes so many lines, each with a line feed behind it.
    ///
    /// # Errors
    /// The writer fails.
    pub fn write(&mut self, count: u64, out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for _ in 0..count {
            self.next_into(&mut line);
            out.write_all(line.as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn next_into(&mut self, line: &mut String) {
        let number = self.number;
        self.number = number.wrapping_add(1);
        line.clear();
        let length = match self.draw(10_000) {
            0..100 => return,
            100 => LONG_BYTES,
            101..=400 => 500 + self.draw(3_500),
            401..2_000 => 100 + self.draw(400),
            _ => 10 + self.draw(90),
        };
        line.push_str(&number.to_string());
        while line.len() < length {
            line.push(' ');
            let word = self.draw(WORDS.len());
            line.push_str(WORDS.get(word).copied().unwrap_or_default());
        }
    }

    /// A number below `bound`, by splitmix64.
    fn draw(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn lines_are_mixed_and_no_two_but_empty_ones_are_alike() {
        let mut text = Vec::new();
        Lines::new(7).write(30_000, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 30_000);
        let (empty, others): (Vec<&str>, Vec<&str>) =
            lines.iter().partition(|line| line.is_empty());
        assert!(
            (100..1_000).contains(&empty.len()),
            "{} empty lines",
            empty.len()
        );
        assert!(others.iter().any(|line| line.len() >= LONG_BYTES));
        assert!(others.iter().any(|line| !line.is_ascii()));
        assert_eq!(others.iter().collect::<HashSet<_>>().len(), others.len());
    }

    #[test]
    fn the_same_seed_makes_the_same_lines() {
        let make = |seed| {
            let mut text = Vec::new();
            Lines::new(seed).write(500, &mut text).unwrap();
            text
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }
}
