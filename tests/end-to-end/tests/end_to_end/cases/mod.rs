//! Promises that hold at every site.

pub(crate) mod delivery;
pub(crate) mod limits;
pub(crate) mod outages;
pub(crate) mod restarts;
pub(crate) mod semantics;

mod workload;

/// Every case with what it does to its cluster.
macro_rules! for_each_case {
    ($test:ident) => {
        $test!(delivery, each_compression_through_memory, Peaceful);
        $test!(
            delivery,
            each_compression_through_the_queue_on_disk,
            Peaceful
        );
        $test!(delivery, acks_of_all_of_the_leader_and_of_nobody, Peaceful);
        $test!(delivery, keys_land_where_librdkafka_puts_them, Peaceful);
        $test!(
            delivery,
            null_and_empty_stay_apart_and_headers_and_timestamps_intact,
            Peaceful
        );
        $test!(delivery, an_ack_says_where_the_record_is, Peaceful);
        $test!(delivery, the_records_of_a_call_stay_together, Peaceful);
        $test!(limits, only_the_call_that_is_too_large_fails, Peaceful);
        $test!(limits, an_unknown_topic_is_said_at_the_start, Peaceful);
        $test!(limits, a_full_queue_refuses_or_blocks_as_told, Peaceful);
        $test!(
            outages,
            an_outage_neither_loses_nor_doubles_nor_reorders_in_memory,
            Disruptive
        );
        $test!(
            outages,
            an_outage_neither_loses_nor_doubles_nor_reorders_on_disk,
            Disruptive
        );
        $test!(outages, the_leader_moves_again_and_again, TestBrokerOnly);
        $test!(outages, started_while_nobody_answers, Disruptive);
        $test!(
            outages,
            started_while_nobody_answers_with_a_queue_on_disk,
            Disruptive
        );
        $test!(
            restarts,
            what_stop_leaves_on_disk_is_sent_by_the_next_producer,
            Peaceful
        );
        $test!(
            restarts,
            what_an_outage_leaves_on_disk_is_sent_by_the_next_producer,
            Disruptive
        );
        $test!(
            restarts,
            what_a_dropped_runtime_leaves_on_disk_is_sent_by_the_next_producer,
            Peaceful
        );
        $test!(
            restarts,
            a_queue_without_routes_survives_a_restart,
            Disruptive
        );
        $test!(
            semantics,
            flush_ends_linger_and_waits_for_the_acknowledgements,
            Peaceful
        );
        $test!(
            semantics,
            nothing_is_accepted_or_called_back_after_stop,
            Peaceful
        );
        $test!(semantics, callbacks_come_once_each_and_in_order, Peaceful);
        $test!(
            semantics,
            send_sync_returns_with_the_acknowledgement,
            Peaceful
        );
        $test!(semantics, dropped_futures_lose_nothing, Peaceful);
    };
}

pub(crate) use for_each_case;
