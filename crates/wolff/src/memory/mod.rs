//! How much memory producers may hold, all partitions together.

mod allowance;

mod budget;

#[cfg(test)]
mod tests;
