//! Random programs, with reopening and kills in between, against the model.

use proptest::prelude::*;
use replayq::vfs::sim::SimVfs;

use crate::driver::Driver;
use crate::program::{Op, any_op, run_cases};
use crate::setup::{Mode, Setup};

fn any_setup(mode: Mode) -> impl Strategy<Value = Setup> {
    (4096_u64..9000, 0_u64..4000, 0_usize..3, 1_u32..6).prop_map(
        move |(segment_bytes, resident_bytes, spare_segments, lease_slots)| Setup {
            mode,
            segment_bytes,
            resident_bytes,
            spare_segments,
            lease_slots,
        },
    )
}

fn behaves_as_the_model(mode: Mode) {
    let strategy = (any_setup(mode), proptest::collection::vec(any_op(), 1..80));
    run_cases(200, &strategy, |(setup, program): (Setup, Vec<Op>)| {
        let mut driver = Driver::start(setup, SimVfs::new()).expect("an empty directory opens");
        driver.run(&program);
        driver.drain();
        Ok(())
    });
}

#[test]
fn a_queue_in_memory_behaves_as_the_model() {
    behaves_as_the_model(Mode::Memory);
}

#[test]
fn a_queue_on_disk_behaves_as_the_model() {
    behaves_as_the_model(Mode::Os);
}

#[test]
fn a_synced_queue_behaves_as_the_model() {
    behaves_as_the_model(Mode::Fsync);
}

#[test]
fn a_queue_that_spills_behaves_as_the_model() {
    behaves_as_the_model(Mode::Offload);
}

#[test]
fn a_volatile_queue_that_spills_behaves_as_the_model() {
    behaves_as_the_model(Mode::OffloadVolatile);
}
