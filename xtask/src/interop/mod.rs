//! A matrix of brokers and clients that are not ours: the producer against foreign brokers, foreign
//! clients against `wolff broker`; and programs outside of the workspace with the packaged crates.
//!
//! A cell sends numbered records one way and reads each of them back once. What a cell runs comes
//! from registries, by their ordinary clients: Python packages, Go modules, Maven artifacts, kcat.
//! A cell whose programs cannot be had has failed: a cell that was left out shows nothing.

mod cells;

mod packaged;

mod tools;

mod server;

mod command;

use std::time::{Duration, Instant};

use clap::Args;

use self::cells::{CELLS, Cell};
use self::tools::Tools;
use crate::failure::Failure;

/// Which cells to run.
#[derive(Args, Debug)]
pub(crate) struct InteropArguments {
    /// Names of cells; default: all.
    #[arg(value_name = "CELL")]
    cells: Vec<String>,
}

/// A cell after it has run.
struct Outcome {
    cell: &'static Cell,
    result: Result<String, Failure>,
    took: Duration,
}

/// Runs the cells one after the other, and prints a table of them. A cell that fails is a
/// [`Failure`].
pub(crate) fn run(arguments: &InteropArguments) -> Result<(), Failure> {
    let chosen = chosen(&arguments.cells)?;
    let tools = Tools::prepare()?;
    let mut outcomes = Vec::new();
    for cell in chosen {
        eprintln!("{} …", cell.name);
        let start = Instant::now();
        let result = (cell.run)(&tools);
        if let Err(failure) = &result {
            eprintln!("{} failed: {failure}", cell.name);
        }
        outcomes.push(Outcome {
            cell,
            result,
            took: start.elapsed(),
        });
    }
    print_table(&outcomes);
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err());
    match failed.count() {
        0 => Ok(()),
        1 => Err(Failure::new("1 cell failed")),
        count => Err(Failure::new(format!("{count} cells failed"))),
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Cell>, Failure> {
    let known = || {
        let names: Vec<&str> = CELLS.iter().map(|cell| cell.name).collect();
        format!("Cells: {}", names.join(", "))
    };
    if let Some(unknown) = names
        .iter()
        .find(|name| CELLS.iter().all(|cell| cell.name != **name))
    {
        return Err(Failure::new(format!("there is no cell `{unknown}`")).advise(known()));
    }
    let is_chosen = |cell: &&Cell| names.is_empty() || names.iter().any(|name| name == cell.name);
    Ok(CELLS.iter().filter(is_chosen).collect())
}

fn print_table(outcomes: &[Outcome]) {
    println!("| client | broker | outcome | seconds |");
    println!("|---|---|---|---|");
    for Outcome { cell, result, took } in outcomes {
        let outcome = match result {
            Ok(words) => words.as_str(),
            Err(_) => "FAILED",
        };
        let seconds = took.as_secs_f64();
        println!(
            "| {} | {} | {outcome} | {seconds:.1} |",
            cell.client, cell.broker
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_chosen_by_name_and_an_unknown_one_is_refused() {
        assert_eq!(chosen(&[]).map(|cells| cells.len()).ok(), Some(CELLS.len()));
        let two = chosen(&["kfake".to_owned(), "kcat".to_owned()]);
        assert_eq!(two.map(|cells| cells.len()).ok(), Some(2));
        assert!(chosen(&["sarama".to_owned()]).is_err());
    }

    #[test]
    fn the_cells_that_must_run_are_there() {
        for name in [
            "kcat",
            "confluent-kafka",
            "kafka-python",
            "aiokafka",
            "java",
            "franz-go",
            "kfake",
            "librdkafka-mock",
            "tansu",
        ] {
            assert!(CELLS.iter().any(|cell| cell.name == name), "{name}");
        }
    }
}
