use super::*;

const TIMEOUT: Duration = Duration::from_secs(30);

struct Line {
    start: Instant,
    pipeline: Pipeline<u32>,
    out: VecDeque<Bytes>,
}

impl Line {
    fn new() -> Self {
        let limits = Limits {
            requests: 8,
            waiting_bytes: 100,
            patience: Patience {
                request_timeout: TIMEOUT,
                idle_probe: None,
                idle_limit: None,
            },
        };
        let start = Instant::now();
        Self {
            start,
            pipeline: Pipeline::new(limits, start),
            out: VecDeque::new(),
        }
    }

    fn patient(&mut self, probe: Option<u64>, limit: Option<u64>) {
        let patience = Patience {
            request_timeout: TIMEOUT,
            idle_probe: probe.map(Duration::from_secs),
            idle_limit: limit.map(Duration::from_secs),
        };
        self.pipeline.deadlines = Deadlines::new(patience, self.start);
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    /// Submits a request of ten bytes; its waiter is its correlation id.
    fn submit(&mut self, id: u32, is_answered: bool) -> Result<(), u32> {
        let request = Outgoing {
            correlation_id: CorrelationId(i32::try_from(id).unwrap()),
            api: ApiKey::PRODUCE,
            frame: Bytes::from_static(&[7; 10]).into(),
            is_answered,
            waiter: id,
        };
        self.pipeline
            .submit(request)
            .map_err(|refused| refused.waiter)
    }

    fn submit_urgent(&mut self, id: u32) {
        self.pipeline.submit_urgent(Outgoing {
            correlation_id: CorrelationId(i32::try_from(id).unwrap()),
            api: ApiKey::SASL_HANDSHAKE,
            frame: Bytes::from_static(&[7; 10]).into(),
            is_answered: true,
            waiter: id,
        });
    }

    fn ask(&mut self, ids: std::ops::RangeInclusive<u32>) {
        for id in ids {
            self.submit(id, true).unwrap();
        }
    }

    /// Offers what may be written; gives how many bytes that is.
    fn offer(&mut self, seconds: u64) -> usize {
        let now = self.at(seconds);
        self.pipeline.poll_write(now, &mut self.out);
        self.out.drain(..).map(|chunk| chunk.len()).sum()
    }

    fn written(&mut self, seconds: u64, count: usize) -> Vec<u32> {
        let now = self.at(seconds);
        self.pipeline.handle_written(now, count)
    }

    /// Time at which the connection would fail, or be looked at for another reason than a silence.
    fn deadline(&mut self) -> Option<Instant> {
        loop {
            let at = self.pipeline.poll_timeout()?;
            if !self.pipeline.poll_silence(at) || self.pipeline.handle_timeout(at).is_some() {
                return Some(at);
            }
        }
    }

    fn answer(&mut self, seconds: u64, id: i32) -> Result<u32, ProtocolViolation> {
        let now = self.at(seconds);
        let waiter = self.pipeline.handle_frame(now, CorrelationId(id))?;
        Ok(waiter.expect("it was waited for"))
    }
}

#[test]
fn latency_is_the_longest_of_late_and_grows_while_the_broker_is_silent() {
    let mut line = Line::new();
    line.ask(1..=2);
    assert_eq!(line.offer(0), 20);
    line.written(0, 20);
    let latency = |line: &Line, seconds| line.pipeline.latency(line.at(seconds));
    assert_eq!(latency(&line, 5), Duration::from_secs(5));
    line.answer(8, 1).unwrap();
    line.answer(8, 2).unwrap();
    assert_eq!(latency(&line, 60), Duration::from_secs(8));
    for id in 3..100 {
        line.ask(id..=id);
        line.offer(60);
        line.written(60, 10);
        line.answer(61, i32::try_from(id).unwrap()).unwrap();
    }
    assert_eq!(latency(&line, 61), Duration::from_secs(1));
}

#[test]
fn answers_belong_to_the_oldest() {
    let mut line = Line::new();
    line.ask(1..=3);
    assert_eq!(line.offer(0), 30);
    line.written(0, 30);
    assert_eq!(line.answer(0, 1), Ok(1));
    assert_eq!(line.answer(0, 2), Ok(2));
    let (expected, got) = (CorrelationId(3), CorrelationId(9));
    let violation = ProtocolViolation::OutOfOrder { expected, got };
    assert_eq!(line.answer(0, 9), Err(violation));
    assert_eq!(
        line.pipeline.handle_failure().in_doubt,
        [3],
        "told with the others"
    );
}

#[test]
fn an_answer_before_the_request_was_sent_is_none() {
    let mut line = Line::new();
    let got = CorrelationId(1);
    assert_eq!(line.answer(0, 1), Err(ProtocolViolation::Unasked { got }));
    line.ask(1..=1);
    line.offer(0);
    line.written(0, 9);
    assert_eq!(line.answer(0, 1), Err(ProtocolViolation::Unasked { got }));
    assert_eq!(line.pipeline.handle_failure().not_sent, [1]);
}

#[test]
fn in_doubt_is_what_was_taken_to_its_last_byte() {
    for written in 0..=40 {
        let mut line = Line::new();
        line.ask(1..=3);
        line.submit(4, false).unwrap();
        line.offer(0);
        let done = line.written(0, written);
        line.submit(5, true).unwrap();
        let Abandoned { in_doubt, not_sent } = line.pipeline.handle_failure();
        assert_eq!(in_doubt.len(), (written / 10).min(3));
        assert_eq!(done.len(), written / 40);
        let mut all: Vec<_> = [in_doubt, not_sent, done].concat();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4, 5]);
        assert!(line.pipeline.is_idle());
    }
}

#[test]
fn while_a_session_is_renewed_only_what_renews_it_goes_out() {
    let mut line = Line::new();
    line.ask(1..=2);
    assert_eq!(line.offer(0), 20);
    line.written(0, 20);
    line.ask(3..=3);
    line.pipeline.hold();
    assert_eq!(line.offer(0), 0);
    line.submit_urgent(4);
    assert_eq!(line.offer(0), 10, "behind what was in flight");
    line.written(0, 10);
    for id in [1, 2, 4] {
        assert_eq!(line.answer(0, id), Ok(u32::try_from(id).unwrap()));
    }
    line.submit_urgent(5);
    assert_eq!(line.offer(0), 10);
    line.written(0, 10);
    assert_eq!(line.answer(0, 5), Ok(5));
    assert_eq!(line.offer(0), 0, "still held");
    assert!(!line.pipeline.is_idle());
    line.pipeline.resume();
    assert_eq!(line.offer(0), 10);
    line.written(0, 10);
    assert_eq!(line.answer(0, 3), Ok(3));
}

#[test]
fn a_renewal_that_fails_leaves_what_was_held_unsent() {
    let mut line = Line::new();
    line.pipeline.hold();
    line.ask(1..=2);
    line.submit_urgent(3);
    line.offer(0);
    line.written(0, 10);
    line.submit_urgent(4);
    let abandoned = line.pipeline.handle_failure();
    assert_eq!(abandoned.in_doubt, [3]);
    assert_eq!(abandoned.not_sent, [4, 1, 2]);
}

#[test]
fn a_mute_counts_for_what_is_urgent_and_not_for_what_is_held() {
    let mut line = Line::new();
    line.pipeline.hold();
    line.ask(1..=1);
    let now = line.at(0);
    line.pipeline.handle_throttle(now, Duration::from_secs(5));
    assert_eq!(line.pipeline.poll_timeout(), None);
    line.submit_urgent(2);
    assert_eq!(line.offer(0), 0);
    assert_eq!(line.pipeline.poll_timeout(), Some(line.at(5)));
    assert_eq!(line.offer(5), 10);
}

#[test]
fn a_failed_write_leaves_in_doubt_what_it_was_given_as_a_whole() {
    for (written, given, in_doubt) in [
        (0, 9, vec![]),
        (0, 10, vec![1]),
        (5, 14, vec![1]),
        (5, 15, vec![1, 2]),
        (20, 100, vec![1, 2]),
    ] {
        let mut line = Line::new();
        line.ask(1..=2);
        assert_eq!(line.offer(0), 20);
        line.ask(3..=3);
        line.written(0, written);
        line.pipeline.handle_write_error(given);
        let abandoned = line.pipeline.handle_failure();
        assert_eq!(abandoned.in_doubt, in_doubt);
        let not_sent: Vec<u32> = (1..=3).filter(|id| !in_doubt.contains(id)).collect();
        assert_eq!(abandoned.not_sent, not_sent);
    }
}

#[test]
fn the_clock_runs_for_the_oldest_only() {
    let mut line = Line::new();
    assert_eq!(line.deadline(), None);
    line.ask(1..=2);
    line.offer(0);
    line.written(0, 20);
    assert_eq!(line.deadline(), Some(line.at(30)));
    line.answer(25, 1).unwrap();
    assert_eq!(line.deadline(), Some(line.at(55)));
    let now = line.at(54);
    assert_eq!(line.pipeline.handle_timeout(now), None);
    let (now, api) = (line.at(55), ApiKey::PRODUCE);
    let failure = ConnectionFailure::TimedOut {
        api,
        after: TIMEOUT,
    };
    assert_eq!(line.pipeline.handle_timeout(now), Some(failure));
    line.answer(55, 2).unwrap();
    assert_eq!(line.deadline(), None);
}

#[test]
fn bytes_that_nobody_takes_have_a_deadline_too() {
    let mut line = Line::new();
    line.submit(1, false).unwrap();
    line.offer(0);
    line.written(20, 5);
    assert_eq!(line.pipeline.poll_timeout(), Some(line.at(50)));
    let (now, after) = (line.at(50), TIMEOUT);
    let failure = ConnectionFailure::WriteStalled { after };
    assert_eq!(line.pipeline.handle_timeout(now), Some(failure));
    assert_eq!(line.written(50, 5), [1]);
    assert_eq!(line.pipeline.poll_timeout(), None);
}

#[test]
fn a_mute_holds_writes_back_and_stops_the_clock() {
    let mut line = Line::new();
    line.ask(1..=2);
    line.offer(0);
    line.written(0, 20);
    line.answer(10, 1).unwrap();
    let now = line.at(10);
    line.pipeline.handle_throttle(now, Duration::from_secs(40));
    line.pipeline.handle_throttle(now, Duration::from_secs(1));
    line.ask(3..=3);
    assert_eq!(line.offer(49), 0);
    assert_eq!(line.deadline(), Some(line.at(50)));
    assert_eq!(line.offer(50), 10);
    line.written(50, 10);
    assert_eq!(line.deadline(), Some(line.at(80)));
    let now = line.at(79);
    assert_eq!(line.pipeline.handle_timeout(now), None);
}

#[test]
fn no_broker_mutes_for_longer_than_a_minute() {
    let mut line = Line::new();
    let now = line.at(0);
    line.pipeline.handle_throttle(now, Duration::MAX);
    line.ask(1..=1);
    assert_eq!(line.pipeline.poll_timeout(), Some(line.at(60)));
}

#[test]
fn requests_and_bytes_are_bounded() {
    let mut line = Line::new();
    line.ask(1..=8);
    assert_eq!(line.submit(9, true), Err(9), "eight requests are the limit");
    line.offer(0);
    assert_eq!(line.submit(9, true), Err(9), "in flight they count as well");
    line.written(0, 80);
    line.answer(0, 1).unwrap();
    line.submit(9, true).unwrap();

    let mut line = Line::new();
    line.pipeline.limits.waiting_bytes = 15;
    line.ask(1..=1);
    assert_eq!(line.submit(2, true), Err(2));
    line.offer(0);
    line.pipeline.limits.waiting_bytes = 5;
    line.submit(3, true).unwrap();
}

#[test]
fn a_part_of_a_long_queue_is_offered_at_a_time() {
    let mut line = Line::new();
    line.pipeline.limits.waiting_bytes = usize::MAX;
    for id in 1..=4 {
        let request = Outgoing {
            correlation_id: CorrelationId(id),
            api: ApiKey::PRODUCE,
            frame: Bytes::from(vec![0; 200_000]).into(),
            is_answered: false,
            waiter: 0,
        };
        line.pipeline.submit(request).unwrap();
    }
    assert_eq!(line.offer(0), 400_000);
    assert_eq!(line.offer(0), 0);
    line.written(0, 400_000);
    assert_eq!(line.offer(0), 400_000);
}

/// A request of that many bytes; its waiter is its correlation id.
fn sized(id: u32, bytes: usize) -> Outgoing<u32> {
    Outgoing {
        correlation_id: CorrelationId(i32::try_from(id).unwrap()),
        api: ApiKey::PRODUCE,
        frame: Bytes::from(vec![0; bytes]).into(),
        is_answered: true,
        waiter: id,
    }
}

#[test]
fn a_slow_upload_is_not_late_while_its_bytes_move() {
    let mut line = Line::new();
    line.pipeline.submit(sized(1, 500_000)).unwrap();
    assert_eq!(line.offer(0), 500_000);
    // 10 kB/s: 50 s for the request, with 30 s for the response.
    for second in 1..=50 {
        line.written(second, 10_000);
        let now = line.at(second);
        assert_eq!(line.pipeline.handle_timeout(now), None, "{second}");
    }
    let now = line.at(79);
    assert_eq!(line.pipeline.handle_timeout(now), None);
    assert_eq!(line.answer(79, 1), Ok(1));
}

#[test]
fn a_slow_response_is_not_late_while_its_bytes_come() {
    let mut line = Line::new();
    line.ask(1..=1);
    line.offer(0);
    line.written(0, 10);
    for second in (20..=100).step_by(20) {
        let now = line.at(second);
        assert_eq!(line.pipeline.handle_timeout(now), None, "{second}");
        line.pipeline.handle_received(now);
    }
    assert_eq!(line.deadline(), Some(line.at(130)));
}

#[test]
fn a_peer_that_drips_bytes_does_not_hold_a_request_for_ever() {
    let mut line = Line::new();
    line.ask(1..=1);
    line.offer(0);
    line.written(0, 10);
    let mut second = 0;
    while line.pipeline.handle_timeout(line.at(second)).is_none() {
        let now = line.at(second);
        line.pipeline.handle_received(now);
        second += 10;
    }
    assert_eq!(second, 20 * TIMEOUT.as_secs());
}

#[test]
fn later_requests_that_are_written_do_not_keep_a_silent_broker_alive() {
    let mut line = Line::new();
    line.ask(1..=1);
    line.offer(0);
    line.written(0, 10);
    for second in 1..=7 {
        let id = u32::try_from(second).unwrap() + 1;
        line.ask(id..=id);
        line.offer(second * 4);
        line.written(second * 4, 10);
    }
    assert_eq!(line.deadline(), Some(line.at(30)));
}

#[test]
fn a_silence_is_reported_once_a_second() {
    let mut line = Line::new();
    line.ask(1..=1);
    line.offer(0);
    line.written(0, 10);
    let silent = |line: &mut Line, millis| {
        let now = line.start + Duration::from_millis(millis);
        line.pipeline.poll_silence(now)
    };
    assert!(!silent(&mut line, 999));
    assert!(silent(&mut line, 1_000));
    assert!(!silent(&mut line, 1_500));
    assert!(silent(&mut line, 2_000));
    line.answer(3, 1).unwrap();
    assert!(!silent(&mut line, 10_000), "nothing is waited for");
}

#[test]
fn a_silent_broker_that_leads_no_more_is_not_waited_for() {
    let mut line = Line::new();
    line.ask(1..=2);
    line.offer(0);
    line.written(0, 20);
    line.pipeline.handle_suspicion();
    assert_eq!(line.deadline(), Some(line.at(1)));
    let (now, api) = (line.at(1), ApiKey::PRODUCE);
    let failure = ConnectionFailure::LeaderMoved { api };
    assert_eq!(line.pipeline.handle_timeout(now), Some(failure));
    // A response takes the suspicion away.
    line.answer(1, 1).unwrap();
    assert_eq!(line.deadline(), Some(line.at(31)));
}

#[test]
fn after_idleness_a_probe_goes_first_and_alone() {
    let mut line = Line::new();
    line.patient(Some(20), None);
    line.ask(1..=1);
    let now = line.at(19);
    assert!(!line.pipeline.is_probe_due(now));
    let now = line.at(20);
    assert!(line.pipeline.is_probe_due(now));
    line.pipeline.submit_probe(now, sized(100, 7));
    assert_eq!(line.offer(20), 7);
    line.written(20, 7);
    assert!(!line.pipeline.is_probe_due(now));
    assert_eq!(line.offer(20), 0, "nothing follows before the response");
    assert_eq!(line.answer(21, 100), Ok(100));
    assert_eq!(line.offer(21), 10);
}

#[test]
fn a_connection_that_was_dropped_while_idle_sends_nothing_and_is_noticed_soon() {
    let mut line = Line::new();
    line.patient(Some(20), None);
    line.ask(1..=1);
    let now = line.at(300);
    line.pipeline.submit_probe(now, sized(100, 7));
    line.offer(300);
    line.written(300, 7);
    let after = Duration::from_millis(1_500);
    assert_eq!(line.pipeline.poll_timeout(), Some(now + after));
    let failure = ConnectionFailure::LostWhileIdle {
        idle: Duration::from_secs(300),
        after,
    };
    assert_eq!(line.pipeline.handle_timeout(now + after), Some(failure));
    let abandoned = line.pipeline.handle_failure();
    assert_eq!(
        abandoned.not_sent,
        [1],
        "the record's request is not in doubt"
    );
}

#[test]
fn a_connection_that_nobody_uses_is_closed() {
    let mut line = Line::new();
    line.patient(None, Some(180));
    assert_eq!(line.pipeline.poll_timeout(), Some(line.at(180)));
    line.ask(1..=1);
    assert_eq!(line.pipeline.poll_timeout(), None, "something waits");
    line.offer(100);
    line.written(100, 10);
    line.answer(101, 1).unwrap();
    let now = line.at(280);
    assert_eq!(line.pipeline.handle_timeout(now), None);
    let after = Duration::from_secs(180);
    let now = line.at(281);
    assert_eq!(
        line.pipeline.handle_timeout(now),
        Some(ConnectionFailure::Idle { after })
    );
}

#[test]
fn responses_to_requests_that_need_none_are_ignored() {
    let mut line = Line::new();
    line.submit(1, false).unwrap();
    line.ask(2..=2);
    line.submit(3, false).unwrap();
    line.offer(0);
    line.written(0, 30);
    let now = line.at(0);
    assert_eq!(line.pipeline.handle_frame(now, CorrelationId(1)), Ok(None));
    let got = CorrelationId(1);
    let (expected, repeated) = (CorrelationId(2), line.pipeline.handle_frame(now, got));
    assert_eq!(
        repeated,
        Err(ProtocolViolation::OutOfOrder { expected, got })
    );
    assert_eq!(line.answer(0, 2), Ok(2));
    assert_eq!(line.pipeline.handle_frame(now, CorrelationId(3)), Ok(None));
    let got = CorrelationId(9);
    let unknown = line.pipeline.handle_frame(now, got);
    assert_eq!(unknown, Err(ProtocolViolation::Unasked { got }));
}

#[test]
fn a_broker_far_behind_may_still_respond_to_requests_that_need_no_response() {
    const MANY: u32 = 5_000;
    let mut line = Line::new();
    for id in 1..=MANY {
        line.submit(id, false).unwrap();
        line.offer(0);
        line.written(0, 10);
    }
    let now = line.at(0);
    for id in 1..=MANY {
        let got = CorrelationId(i32::try_from(id).unwrap());
        assert_eq!(line.pipeline.handle_frame(now, got), Ok(None), "{id}");
        let repeated = line.pipeline.handle_frame(now, got);
        assert_eq!(repeated, Err(ProtocolViolation::Unasked { got }), "{id}");
    }
}

#[test]
fn a_response_that_is_awaited_is_never_taken_for_one_that_is_not() {
    let mut line = Line::new();
    for id in 1..=2_000 {
        let is_answered = id % 2 == 0;
        line.submit(id, is_answered).unwrap();
        line.offer(0);
        line.written(0, 10);
        if is_answered {
            let got = i32::try_from(id).unwrap();
            assert_eq!(line.answer(0, got), Ok(id));
        }
    }
    line.ask(2_001..=2_001);
    line.submit(2_002, false).unwrap();
    line.ask(2_003..=2_003);
    line.submit(2_004, false).unwrap();
    line.offer(0);
    line.written(0, 40);
    let (now, got) = (line.at(0), CorrelationId(2_003));
    let expected = CorrelationId(2_001);
    let early = line.pipeline.handle_frame(now, got);
    assert_eq!(early, Err(ProtocolViolation::OutOfOrder { expected, got }));
    for id in (1..2_000).step_by(2) {
        let got = CorrelationId(id);
        assert_eq!(line.pipeline.handle_frame(now, got), Ok(None), "{id}");
    }
    assert_eq!(line.answer(0, 2_001), Ok(2_001));
    assert_eq!(
        line.pipeline.handle_frame(now, CorrelationId(2_002)),
        Ok(None)
    );
    assert_eq!(line.answer(0, 2_003), Ok(2_003));
}
