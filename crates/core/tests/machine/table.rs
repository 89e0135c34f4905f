//! The table of codes, cell by cell: the end that a caller gets is compared with the broker's log.

use wolff_codec::ErrorCode;
use wolff_core::{
    Acks, Answer, Config, DoubtReason, FailReason, Idempotence, OnRefused, Outcome, Proof, Storage,
    TABLE, classify,
};
use wolff_testbroker::partition::{ACKS_ALL, ACKS_LEADER};

use crate::support::{Stage, config, values_of};

/// The fate of an earlier attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Earlier {
    None,
    /// Its answer was lost.
    Lost {
        was_appended: bool,
    },
    /// It was answered with an error that can follow an append.
    Answered {
        was_appended: bool,
    },
}

/// A cell of the table, and what the broker does beside answering.
#[derive(Clone, Copy, Debug)]
struct Cell {
    code: ErrorCode,
    earlier: Earlier,
    idempotence: Idempotence,
    on_refused: OnRefused,
    acks: Acks,
    /// The broker appends the attempt that it answers with the code.
    appends: bool,
    /// The broker gives the same answer to every attempt.
    is_persistent: bool,
}

const SUBJECT: &[u8] = b"subject";

fn answer(code: ErrorCode) -> Answer {
    Answer {
        code,
        ..Answer::default()
    }
}

impl Cell {
    fn stage(self) -> Stage {
        let mut stage = Stage::new(Config {
            storage: Storage::Memory,
            idempotence: self.idempotence,
            on_refused: self.on_refused,
            acks: self.acks,
            max_in_flight: if self.idempotence == Idempotence::Off || self.acks == Acks::Leader {
                1
            } else {
                5
            },
            // Every call is a batch.
            max_batch_bytes: 62,
            ..config()
        });
        if self.acks == Acks::Leader {
            stage.broker.acks = ACKS_LEADER;
        }
        stage
    }

    /// Sends a record before, the subject, and one behind it; the subject is answered with the
    /// code.
    fn run(self) -> (Stage, Outcome) {
        let mut stage = self.stage();
        stage.send_one(b"before");
        stage.drain();
        let subject = stage.send_one(SUBJECT);
        stage.send_one(b"behind");
        self.go_wrong_before(&mut stage);
        let mut was_answered = false;
        for _ in 0..60 {
            let Some(transmit) = stage.next_send() else {
                if stage.end_of(subject).is_some() || !stage.wait_for_timer() {
                    break;
                }
                continue;
            };
            let is_subject = values_of(&transmit).iter().any(|value| value == SUBJECT);
            if is_subject && (self.is_persistent || !was_answered) {
                was_answered = true;
                if self.appends {
                    stage.broker.produce(&transmit);
                }
                stage.answer(&transmit, answer(self.code));
            } else {
                stage.apply(&transmit);
            }
        }
        assert!(was_answered);
        if stage.end_of(subject).is_none() {
            assert!(self.is_persistent, "{self:?}: no end: {:#?}", stage.driver);
            let stopped = FailReason::Stopped;
            stage
                .driver
                .machine()
                .abandon(&stopped, DoubtReason::Stopped);
            stage.settle();
        }
        let end = stage.end_of(subject).unwrap();
        (stage, end)
    }

    fn go_wrong_before(self, stage: &mut Stage) {
        let was_appended = match self.earlier {
            Earlier::None => return,
            Earlier::Lost { was_appended } | Earlier::Answered { was_appended } => was_appended,
        };
        let attempt = stage.next_send().unwrap();
        if was_appended {
            stage.broker.produce(&attempt);
        }
        if matches!(self.earlier, Earlier::Lost { .. }) {
            stage.disconnect();
        } else {
            // Of a leader that waits for nobody only these say that it may be there.
            let code = match self.acks {
                Acks::Leader => ErrorCode::KAFKA_STORAGE_ERROR,
                _ => ErrorCode::REQUEST_TIMED_OUT,
            };
            stage.answer(&attempt, answer(code));
        }
    }

    fn check(self) {
        let (stage, end) = self.run();
        let in_log = stage.broker.count(SUBJECT);
        match end {
            Outcome::Acked {
                possibly_duplicated,
                ..
            } => {
                assert!(in_log > 0, "{self:?}: acked, and not in the log");
                assert!(
                    in_log == 1 || possibly_duplicated,
                    "{self:?}: {in_log} times in the log, not counted"
                );
            }
            Outcome::Failed(reason) => {
                assert_eq!(in_log, 0, "{self:?}: failed ({reason}), and in the log");
            }
            Outcome::InDoubt(_) => {
                let was_perhaps_sent = self.earlier != Earlier::None
                    || classify(self.code, self.acks).0 != Proof::NotAppended;
                assert!(
                    was_perhaps_sent,
                    "{self:?}: {end:?}, and nothing was in doubt"
                );
            }
            other => panic!("{self:?}: {other:?}"),
        }
    }
}

/// Returns whether a broker can give this answer to an attempt that it appends, or does not.
fn is_true(code: ErrorCode, acks: Acks, earlier: Earlier, appends: bool) -> bool {
    let was_appended = matches!(
        earlier,
        Earlier::Lost { was_appended: true } | Earlier::Answered { was_appended: true }
    );
    match classify(code, acks).0 {
        Proof::Appended if code == ErrorCode::DUPLICATE_SEQUENCE_NUMBER => was_appended,
        Proof::Appended => appends,
        Proof::NotAppended | Proof::Unknown => !appends,
        Proof::Perhaps => true,
    }
}

fn cells(acks: Acks) -> Vec<Cell> {
    let earlier = [
        Earlier::None,
        Earlier::Lost { was_appended: true },
        Earlier::Lost {
            was_appended: false,
        },
        Earlier::Answered { was_appended: true },
        Earlier::Answered {
            was_appended: false,
        },
    ];
    let mut cells = Vec::new();
    for (code, ..) in TABLE.iter().chain([&(
        ErrorCode(999),
        Proof::Perhaps,
        wolff_core::Class::Unclassified,
    )]) {
        for bits in 0..16u8 {
            for earlier in earlier {
                let cell = Cell {
                    code: *code,
                    earlier,
                    idempotence: if bits & 1 == 0 {
                        Idempotence::Auto
                    } else {
                        Idempotence::Off
                    },
                    on_refused: if bits & 2 == 0 {
                        OnRefused::Hold
                    } else {
                        OnRefused::Fail
                    },
                    acks,
                    appends: bits & 4 != 0,
                    is_persistent: bits & 8 != 0,
                };
                if is_true(*code, acks, earlier, cell.appends) {
                    cells.push(cell);
                }
            }
        }
    }
    cells
}

#[test]
fn every_cell_of_the_table_ends_as_the_log_says() {
    let cells = cells(Acks::All);
    assert!(cells.len() > 5_000, "{}", cells.len());
    cells.into_iter().for_each(Cell::check);
}

#[test]
fn with_the_acks_of_the_leader_alone_every_cell_ends_as_the_log_says() {
    cells(Acks::Leader)
        .into_iter()
        .filter(|cell| cell.idempotence == Idempotence::Off)
        .for_each(Cell::check);
}

#[test]
fn the_model_and_the_table_agree_on_what_can_follow_an_append() {
    for code in ErrorCode::NAMED {
        for (acks, number) in [(Acks::All, ACKS_ALL), (Acks::Leader, ACKS_LEADER)] {
            if wolff_testbroker::partition::follows_append(*code, number) {
                assert_eq!(classify(*code, acks).0, Proof::Perhaps, "{code} {acks:?}");
            }
        }
    }
}
