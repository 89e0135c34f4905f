//! Columns of text, aligned.

use std::fmt;

use crate::visible::write_visible;

/// A table; numbers stand right, everything else left.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(titles: [&str; N]) -> Self {
        Self {
            rows: vec![titles.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row. Nothing in a cell ends its line.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let visible = |cell: String| {
            let mut shown = String::with_capacity(cell.len());
            for letter in cell.chars() {
                // A string takes whatever is written to it.
                let _ = write_visible(&mut shown, letter);
            }
            shown
        };
        self.rows.push(cells.map(visible).to_vec());
    }

    fn columns(&self) -> Vec<Column> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let column = |number: usize| {
            let cells = || self.rows.iter().filter_map(move |row| row.get(number));
            let is_number = |cell: &String| cell.starts_with(|first: char| first.is_ascii_digit());
            Column {
                width: cells()
                    .map(|cell: &String| cell.chars().count())
                    .max()
                    .unwrap_or(0),
                is_right: cells().skip(1).all(is_number),
            }
        };
        (0..count).map(column).collect()
    }
}

struct Column {
    width: usize,
    is_right: bool,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, Column { width, is_right }) in row.iter().zip(&columns) {
                let cell = if *is_right {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                };
                line.push_str(&cell);
                line.push_str("  ");
            }
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["name", "count"]);
        table.row(["a".to_owned(), "5".to_owned()]);
        table.row(["longer".to_owned(), "1,000".to_owned()]);
        assert_eq!(
            table.to_string(),
            "name    count\na           5\nlonger  1,000"
        );
    }
}
