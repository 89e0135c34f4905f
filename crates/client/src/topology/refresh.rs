//! Schedule of requests about topics: once for all who wait, and not too often.
//!
//! ```text
//! lookup: known and not stale -> answered at once;   else -> wait
//! poll_fetch: nobody is asking, and a topic's pause is over -> ask for all such topics together
//! handle_outcome: everybody who waited is told; a failure makes the next pause longer
//! ```
//! `W` is whoever waits. `mark_stale` while an answer is on its way makes a second question
//! necessary: that answer may be older than the mark.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use wolff_backoff::{Backoff, BackoffPolicy};
use wolff_codec::Str;

use crate::error::MetadataError;

/// The shortest pause between two questions about a topic whose leader was lost in between.
const PAUSE_AFTER_DISCONNECT: Duration = Duration::from_millis(100);

/// As many topics are asked for in one request.
const TOPICS_PER_FETCH: usize = 1_000;

/// So many answers in a row may bring nothing new about what has proved wrong; then another broker
/// is asked, since this one may have lost its controller and not know better.
const ANSWERS_WITHOUT_NEWS: u32 = 3;

/// Questions that are further apart than this are not in a row, unless the interval is longer.
const IN_A_ROW: Duration = Duration::from_secs(10);

/// Outcome of [`Refresh::lookup`].
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Lookup {
    /// The known metadata can be used.
    Known,
    /// The cluster has just refused, and would refuse again.
    Refused(MetadataError),
    /// Join those who wait.
    Ask,
}

#[derive(Debug)]
struct Record<W> {
    is_known: bool,
    is_stale: bool,
    is_asked: bool,
    /// Since the last question, a connection to one of its leaders was lost.
    is_disconnected: bool,
    last_asked: Option<Instant>,
    refused: Option<MetadataError>,
    /// The last question was asked because an answer shortly before it had proved wrong, or had
    /// been a refusal.
    is_asked_again: bool,
    /// Answers in a row, to questions that were asked again, that brought no news.
    without_news: u32,
    /// Wait for the answer that is on its way.
    asked: Vec<W>,
    /// Wait for the next question.
    waiting: Vec<W>,
}

impl<W> Default for Record<W> {
    fn default() -> Self {
        Self {
            is_known: false,
            is_stale: false,
            is_asked: false,
            is_disconnected: false,
            last_asked: None,
            refused: None,
            is_asked_again: false,
            without_news: 0,
            asked: Vec::new(),
            waiting: Vec::new(),
        }
    }
}

impl<W> Record<W> {
    fn due(&self, interval: Duration) -> Option<Instant> {
        let pause = if self.is_disconnected {
            PAUSE_AFTER_DISCONNECT.min(interval)
        } else {
            interval
        };
        self.last_asked.map(|asked| asked + pause)
    }
}

/// Throttled, single-flight questions about topics.
#[derive(Debug)]
pub(crate) struct Refresh<W> {
    interval: Duration,
    /// In a defined order, since closing goes through all of them.
    topics: BTreeMap<Str, Record<W>>,
    /// Topics with somebody in `waiting`, in a defined order.
    wanted: BTreeSet<Str>,
    is_asking: bool,
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl<W> Refresh<W> {
    /// Asks about the same topic at most once per `interval`.
    pub(crate) fn new(interval: Duration, after_failure: BackoffPolicy) -> Self {
        Self {
            interval,
            topics: BTreeMap::new(),
            wanted: BTreeSet::new(),
            is_asking: false,
            backoff: Backoff::new(after_failure),
            not_before: None,
        }
    }

    /// Decides if the known metadata of `topic` can be used.
    pub(crate) fn lookup(&self, now: Instant, topic: &str) -> Lookup {
        let Some(record) = self.topics.get(topic) else {
            return Lookup::Ask;
        };
        if record.is_stale || record.is_asked {
            return Lookup::Ask;
        }
        if let Some(error) = &record.refused {
            let is_recent = record.due(self.interval).is_some_and(|due| now < due);
            return if is_recent {
                Lookup::Refused(error.clone())
            } else {
                Lookup::Ask
            };
        }
        if record.is_known {
            Lookup::Known
        } else {
            Lookup::Ask
        }
    }

    /// Somebody waits for the next answer about `topic`.
    pub(crate) fn handle_wait(&mut self, topic: &Str, waiter: W) {
        let record = self.topics.entry(topic.clone()).or_default();
        if record.is_asked && !record.is_stale {
            record.asked.push(waiter);
        } else {
            record.waiting.push(waiter);
            self.wanted.insert(topic.clone());
        }
    }

    /// Marks the known metadata of `topic` as wrong.
    pub(crate) fn mark_stale(&mut self, topic: &str) {
        if let Some(record) = self.topics.get_mut(topic) {
            record.is_stale = true;
        }
    }

    /// Marks the known metadata of `topic` as wrong once another request is allowed, and not
    /// before.
    pub(crate) fn mark_stale_if_old(&mut self, now: Instant, topic: &str) {
        if let Some(record) = self.topics.get_mut(topic)
            && !record.is_asked
            && record.due(self.interval).is_none_or(|due| due <= now)
        {
            record.is_stale = true;
        }
    }

    /// A connection to a leader of `topic` was lost: the next question need not wait long.
    pub(crate) fn handle_disconnect(&mut self, topic: &str) {
        if let Some(record) = self.topics.get_mut(topic) {
            record.is_stale = true;
            record.is_disconnected = true;
        }
    }

    /// Forgets `topic`, as if it had never been asked for. Those who wait still get an answer.
    pub(crate) fn forget(&mut self, topic: &str) {
        if self
            .topics
            .get(topic)
            .is_some_and(|record| record.waiting.is_empty() && !record.is_asked)
        {
            self.topics.remove(topic);
        }
    }

    /// True if somebody waits for an answer or for a question.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_asking || !self.wanted.is_empty()
    }

    /// The topics to ask about now. The answer must be given to [`Self::handle_outcome`].
    pub(crate) fn poll_fetch(&mut self, now: Instant) -> Option<Vec<Str>> {
        if self.is_asking || self.not_before.is_some_and(|until| now < until) {
            return None;
        }
        let interval = self.interval;
        let mut due = Vec::new();
        for topic in &self.wanted {
            if let Some(record) = self.topics.get_mut(topic)
                && record.due(interval).is_none_or(|due| due <= now)
                && due.len() < TOPICS_PER_FETCH
            {
                let is_in_a_row = record.last_asked.is_some_and(|last| {
                    now.saturating_duration_since(last) <= IN_A_ROW.max(interval * 2)
                });
                record.is_asked_again =
                    is_in_a_row && (record.is_stale || record.refused.is_some());
                record.is_asked = true;
                record.is_stale = false;
                record.is_disconnected = false;
                record.last_asked = Some(now);
                record.asked.append(&mut record.waiting);
                due.push(topic.clone());
            }
        }
        if due.is_empty() {
            return None;
        }
        for topic in &due {
            self.wanted.remove(topic);
        }
        self.is_asking = true;
        Some(due)
    }

    /// Time at which [`Self::poll_fetch`] will have something, if nothing else happens.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.is_asking {
            return None;
        }
        let records = self
            .wanted
            .iter()
            .filter_map(|topic| self.topics.get(topic));
        let earliest = records.map(|record| record.due(self.interval)).min()?;
        earliest.max(self.not_before)
    }

    /// The question about `topics` is answered: `verdict` says how, for each of them.
    ///
    /// Gives everybody who waited, with the topic that they waited for.
    pub(crate) fn handle_answer(
        &mut self,
        topics: &[Str],
        mut verdict: impl FnMut(&Str) -> Option<MetadataError>,
    ) -> Vec<(Str, Vec<W>)> {
        self.is_asking = false;
        self.backoff.reset();
        self.not_before = None;
        let mut told = Vec::new();
        for topic in topics {
            if let Some(record) = self.topics.get_mut(topic) {
                record.is_asked = false;
                record.refused = verdict(topic);
                record.is_known |= record.refused.is_none();
                told.push((topic.clone(), std::mem::take(&mut record.asked)));
            }
        }
        told
    }

    /// The answer about `topic` brought something new, or nothing. Gives whether that is a reason
    /// to ask another broker.
    pub(crate) fn handle_news(&mut self, topic: &str, is_news: bool) -> bool {
        let Some(record) = self.topics.get_mut(topic) else {
            return false;
        };
        if is_news || !record.is_asked_again {
            record.without_news = 0;
            return false;
        }
        record.without_news += 1;
        record.without_news >= ANSWERS_WITHOUT_NEWS
    }

    /// Another broker will be asked from now on.
    pub(crate) fn handle_other_broker(&mut self) {
        for record in self.topics.values_mut() {
            record.without_news = 0;
        }
    }

    /// The question about `topics` failed as a whole; `random` is any number.
    pub(crate) fn handle_failure(&mut self, now: Instant, topics: &[Str], random: u64) -> Vec<W> {
        self.is_asking = false;
        self.not_before = Some(now + self.backoff.next_delay(random));
        let mut told = Vec::new();
        for topic in topics {
            if let Some(record) = self.topics.get_mut(topic) {
                record.is_asked = false;
                record.is_stale = true;
                // The question got no answer, so that the next one is the first again; `not_before`
                // keeps it from coming too soon.
                record.last_asked = None;
                told.append(&mut record.asked);
            }
        }
        told
    }

    /// Gives everybody who waits for anything.
    pub(crate) fn handle_close(&mut self) -> Vec<W> {
        self.is_asking = false;
        self.wanted.clear();
        let records = std::mem::take(&mut self.topics).into_iter();
        records
            .flat_map(|(_, record)| record.asked.into_iter().chain(record.waiting))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wolff_codec::ErrorCode;

    const INTERVAL: Duration = Duration::from_secs(1);

    struct Clock(Instant);

    impl Clock {
        fn at(&self, millis: u64) -> Instant {
            self.0 + Duration::from_millis(millis)
        }
    }

    fn start() -> (Clock, Refresh<u32>) {
        let policy = BackoffPolicy {
            jitter: 0.0,
            ..BackoffPolicy::default()
        };
        (Clock(Instant::now()), Refresh::new(INTERVAL, policy))
    }

    fn topics(names: &[&str]) -> Vec<Str> {
        names.iter().map(|name| Str::from(*name)).collect()
    }

    fn waiters(told: Vec<(Str, Vec<u32>)>) -> Vec<u32> {
        told.into_iter().flat_map(|(_, waiters)| waiters).collect()
    }

    fn refused(topic: &Str) -> Option<MetadataError> {
        Some(MetadataError::Topic {
            topic: topic.clone(),
            code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            context: Box::new(crate::RequestContext::new(
                crate::Address::new("a", 9092),
                None,
                wolff_codec::ApiKey::METADATA,
                Duration::ZERO,
            )),
        })
    }

    #[test]
    fn all_who_wait_share_one_question() {
        let (clock, mut refresh) = start();
        let names = topics(&["a", "b"]);
        refresh.handle_wait(&names[0], 1);
        refresh.handle_wait(&names[1], 2);
        assert_eq!(refresh.poll_fetch(clock.at(0)), Some(names.clone()));
        refresh.handle_wait(&names[0], 3);
        assert_eq!(refresh.poll_fetch(clock.at(5)), None, "one at a time");
        assert_eq!(refresh.poll_timeout(), None);
        assert_eq!(waiters(refresh.handle_answer(&names, |_| None)), [1, 3, 2]);
        assert_eq!(refresh.lookup(clock.at(6), "a"), Lookup::Known);
        assert!(!refresh.is_busy());
    }

    #[test]
    fn a_topic_is_asked_for_once_per_interval_and_others_do_not_wait_for_it() {
        let (clock, mut refresh) = start();
        let a = topics(&["a"]);
        refresh.handle_wait(&a[0], 1);
        refresh.poll_fetch(clock.at(0)).unwrap();
        refresh.handle_answer(&a, |_| None);

        refresh.mark_stale("a");
        assert_eq!(refresh.lookup(clock.at(10), "a"), Lookup::Ask);
        refresh.handle_wait(&a[0], 2);
        assert_eq!(refresh.poll_fetch(clock.at(10)), None);
        assert_eq!(refresh.poll_timeout(), Some(clock.at(1000)));
        refresh.handle_wait(&"b".into(), 3);
        assert_eq!(refresh.poll_fetch(clock.at(10)), Some(topics(&["b"])));
        refresh.handle_answer(&topics(&["b"]), |_| None);
        assert_eq!(refresh.poll_fetch(clock.at(999)), None);
        assert_eq!(refresh.poll_fetch(clock.at(1000)), Some(a));
    }

    #[test]
    fn a_lost_leader_shortens_the_pause_once() {
        let (clock, mut refresh) = start();
        let a = topics(&["a"]);
        refresh.handle_wait(&a[0], 1);
        refresh.poll_fetch(clock.at(0)).unwrap();
        refresh.handle_answer(&a, |_| None);
        for round in 1..4 {
            refresh.handle_disconnect("a");
            refresh.handle_wait(&a[0], 2);
            assert_eq!(refresh.poll_fetch(clock.at(round * 100 - 1)), None);
            assert_eq!(refresh.poll_fetch(clock.at(round * 100)), Some(a.clone()));
            refresh.handle_answer(&a, |_| None);
        }
        refresh.mark_stale("a");
        refresh.handle_wait(&a[0], 3);
        assert_eq!(refresh.poll_timeout(), Some(clock.at(1300)));
    }

    #[test]
    fn a_mark_during_a_question_makes_a_second_one() {
        let (clock, mut refresh) = start();
        let a = topics(&["a"]);
        refresh.handle_wait(&a[0], 1);
        refresh.poll_fetch(clock.at(0)).unwrap();
        refresh.mark_stale("a");
        refresh.handle_wait(&a[0], 2);
        assert_eq!(waiters(refresh.handle_answer(&a, |_| None)), [1]);
        assert_eq!(refresh.lookup(clock.at(1), "a"), Lookup::Ask);
        assert_eq!(refresh.poll_fetch(clock.at(1000)), Some(a.clone()));
        assert_eq!(waiters(refresh.handle_answer(&a, |_| None)), [2]);
    }

    #[test]
    fn a_broker_without_news_about_what_proved_wrong_is_doubted() {
        let (clock, mut refresh) = start();
        let a = topics(&["a"]);
        let mut ask = |millis, is_wrong: bool, is_news| {
            if is_wrong {
                refresh.mark_stale("a");
            }
            refresh.handle_wait(&a[0], 1);
            refresh.poll_fetch(clock.at(millis)).unwrap();
            refresh.handle_answer(&a, |_| None);
            refresh.handle_news("a", is_news)
        };
        assert!(!ask(0, false, false), "what was never known is not wrong");
        assert!(!ask(1_000, true, false));
        assert!(!ask(2_000, true, false));
        assert!(!ask(3_000, true, true), "there are news");
        assert!(!ask(4_000, true, false));
        assert!(!ask(5_000, true, false));
        // Somebody who looks now and then has no complaint.
        assert!(!ask(65_000, true, false));
        assert!(!ask(125_000, true, false));
        assert!(!ask(126_000, true, false));
        assert!(!ask(127_000, true, false));
        assert!(ask(128_000, true, false));
        refresh.handle_other_broker();
        assert!(
            !refresh.handle_news("a", false),
            "another broker, another chance"
        );
        assert!(!refresh.handle_news("no such topic", false));
    }

    #[test]
    fn a_refusal_is_remembered_for_one_interval() {
        let (clock, mut refresh) = start();
        let a = topics(&["a"]);
        refresh.handle_wait(&a[0], 1);
        refresh.poll_fetch(clock.at(0)).unwrap();
        refresh.handle_answer(&a, refused);
        let refusal = refused(&a[0]).unwrap();
        assert_eq!(refresh.lookup(clock.at(999), "a"), Lookup::Refused(refusal));
        assert_eq!(refresh.lookup(clock.at(1000), "a"), Lookup::Ask);
        refresh.mark_stale("a");
        assert_eq!(refresh.lookup(clock.at(10), "a"), Lookup::Ask);
    }

    #[test]
    fn failures_make_the_pause_longer_for_everybody() {
        let (clock, mut refresh) = start();
        let mut now = 0;
        refresh.handle_wait(&"a".into(), 7);
        for pause in [0, 50, 100, 200] {
            let asked = refresh.poll_fetch(clock.at(now)).unwrap();
            assert_eq!(refresh.handle_failure(clock.at(now), &asked, 0), [7]);
            refresh.handle_wait(&"a".into(), 7);
            now += pause;
            assert_eq!(refresh.poll_timeout(), Some(clock.at(now)));
        }
    }

    #[test]
    fn closing_gives_back_everybody() {
        let (clock, mut refresh) = start();
        refresh.handle_wait(&"a".into(), 1);
        refresh.poll_fetch(clock.at(0)).unwrap();
        refresh.handle_wait(&"a".into(), 2);
        refresh.handle_wait(&"b".into(), 3);
        let mut told = refresh.handle_close();
        told.sort_unstable();
        assert_eq!(told, [1, 2, 3]);
        assert!(!refresh.is_busy());
    }

    #[test]
    fn a_forgotten_topic_is_asked_for_as_if_new() {
        let (clock, mut refresh) = start();
        let a = topics(&["a"]);
        refresh.handle_wait(&a[0], 1);
        refresh.forget("a");
        refresh.poll_fetch(clock.at(0)).unwrap();
        refresh.forget("a");
        assert_eq!(waiters(refresh.handle_answer(&a, |_| None)), [1]);
        refresh.forget("a");
        assert_eq!(refresh.lookup(clock.at(0), "a"), Lookup::Ask);
        refresh.handle_wait(&a[0], 2);
        assert_eq!(refresh.poll_fetch(clock.at(1)), Some(a));
    }
}
