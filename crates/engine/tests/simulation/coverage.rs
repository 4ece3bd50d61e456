//! What must have happened in the histories of a test run, or they show nothing: every verb, every ending, every fault,
//! every weakness. Some more is counted that is too rare to be asked for.

use crate::faults::Fault;
use crate::options::Store;
use crate::tally::Tally;

/// Stops if anything never happened.
pub(crate) fn check(tally: &Tally, store: Store) {
    let here: &[&str] = match store {
        Store::Weak => &WITH_SEVERAL_SERVERS,
        Store::Sqlite => &ON_SQLITE,
    };
    let everything = EVERYWHERE.iter().chain(here).copied();
    let everything = everything.chain(Fault::on(store).map(Fault::name));
    let missing: Vec<_> = everything.filter(|what| tally.of(what) == 0).collect();
    assert!(missing.is_empty(), "these never happened: {missing:?}");
}

const EVERYWHERE: [&str; 70] = [
    // Every verb.
    "submit",
    "cancel",
    "read",
    "register",
    "claim",
    "start",
    "heartbeat",
    "report",
    "drain",
    "kill",
    "join",
    "promote",
    "expire",
    "prune",
    "forget",
    // What becomes of runs and tasks.
    "run",
    "run_completes",
    "run_fails",
    "run_fails_for_good",
    "run_times_out",
    "run_is_snoozed",
    "run_is_released",
    "worker_is_told",
    "run_is_let_go",
    "run_is_lost_in_silence",
    "run_is_lost_unrenewed",
    "run_is_lost_to_a_newer_process",
    "sweep_ends_a_run_that_takes_too_long",
    "sweep_in_grace",
    "suspect_waits",
    "suspect_is_dealt",
    "task_kills_its_worker",
    "held_task_is_cancelled",
    "ended_completed",
    "ended_failed",
    "ended_timeout",
    "ended_cancelled",
    // Messages and connections.
    "question_is_lost",
    "answer_is_lost",
    "message_is_doubled",
    "message_is_late",
    "answer_comes_too_late_or_twice",
    "caller_goes_away",
    "caller_has_gone_when_the_answer_is_ready",
    "unheard_runs_are_released",
    "claim_is_sent_again",
    "report_is_sent_again",
    "register_is_sent_again",
    "request_is_sent_again",
    "waiting_claim_is_repeated",
    // A server that has no room.
    "caller_is_told_to_come_back",
    "heartbeat_finds_no_room",
    "heartbeat_finds_no_room_for_its_news",
    // Nonsense and lateness.
    "stale_result_is_refused",
    "forged_result_is_sent",
    "cancel_comes_too_late",
    "key_with_another_body",
    "key_with_another_body_is_refused",
    "id_with_another_body",
    "taken_id_is_refused",
    "id_of_another_day",
    "id_of_another_day_is_refused",
    "too_many_lanes_are_refused",
    // Workers and the disk.
    "worker_drains_with_an_empty_hand",
    "worker_drains_with_work_in_hand",
    "worker_is_told_to_drain",
    "drained_worker_goes",
    "worker_was_replaced",
    "worker_is_looked_up_again",
    "batch_finds_the_disk_full",
];

const ON_SQLITE: [&str; 1] = ["run_is_lost_with_its_server"];

const WITH_SEVERAL_SERVERS: [&str; 36] = [
    "run_is_lost_beyond_belief",
    "lease_is_shortened",
    "lanes_are_forgotten",
    "hint_is_lost",
    "two_servers_are_asked_at_once",
    "unknown_submit_is_sent_again",
    "worker_is_kept_for_a_suspect",
    // What PostgreSQL lets happen between two statements.
    "pick_misses_a_free_row",
    "pick_passes_over_a_locked_row",
    "lock_is_waited_for",
    "row_goes_while_it_is_waited_for",
    "deadlock_is_broken",
    "statement_comes_late",
    "slot_moves_before_it_is_looked_for",
    "named_load_falls_between_two_places",
    "task_ends_while_it_is_looked_for",
    "read_is_old",
    // How commits end.
    "commit_meets_an_insert",
    "commit_conflicts",
    "commit_is_refused",
    "batch_fails_in_part",
    "commit_is_unknown_and_was_written",
    "commit_is_unknown_and_was_not_written",
    "database_is_unavailable",
    "batch_finds_no_database",
    "submit_has_an_unknown_outcome",
    "claim_has_an_unknown_outcome",
    "start_has_an_unknown_outcome",
    "heartbeat_has_an_unknown_outcome",
    "report_has_an_unknown_outcome",
    "cancel_has_an_unknown_outcome",
    "register_has_an_unknown_outcome",
    "join_has_an_unknown_outcome",
    "promote_has_an_unknown_outcome",
    "expire_has_an_unknown_outcome",
    "prune_has_an_unknown_outcome",
];
