//! What must have happened in the histories of a test run, or they show nothing: every verb, every ending, every fault,
//! every weakness.

use crate::faults::Fault;
use crate::options::Store;
use crate::tally::Tally;

/// Stops if anything never happened.
pub(crate) fn check(tally: &Tally, store: Store) {
    let faults = Fault::ALL.map(Fault::name);
    let everywhere = EVERYWHERE.iter().chain(&faults);
    let weak = WITH_SEVERAL_SERVERS.iter().filter(|_| store == Store::Weak);
    let missing: Vec<_> = everywhere
        .chain(weak)
        .filter(|what| tally.of(what) == 0)
        .collect();
    assert!(missing.is_empty(), "these never happened: {missing:?}");
}

const EVERYWHERE: [&str; 31] = [
    "submit",
    "cancel",
    "read",
    "register",
    "claim",
    "start",
    "heartbeat",
    "report",
    "join",
    "promote",
    "expire",
    "prune",
    "run",
    "ended_completed",
    "ended_failed",
    "ended_timeout",
    "ended_cancelled",
    "question_is_lost",
    "answer_is_lost",
    "message_is_doubled",
    "message_is_late",
    "answer_comes_too_late_or_twice",
    "claim_is_sent_again",
    "report_is_sent_again",
    "request_is_sent_again",
    "waiting_claim_is_repeated",
    "stale_result_is_refused",
    "key_with_another_body",
    "id_with_another_body",
    "id_of_another_day",
    "task_kills_its_worker",
];

const WITH_SEVERAL_SERVERS: [&str; 16] = [
    "hint_is_lost",
    "worker_is_looked_up_again",
    "unknown_submit_is_sent_again",
    "pick_misses_a_free_row",
    "pick_passes_over_a_locked_row",
    "lock_is_waited_for",
    "row_goes_while_it_is_waited_for",
    "deadlock_is_broken",
    "named_load_falls_between_two_places",
    "task_ends_while_it_is_looked_for",
    "task_comes_while_it_is_looked_for",
    "commit_meets_an_insert",
    "commit_conflicts",
    "commit_is_unknown_and_was_written",
    "commit_is_unknown_and_was_not_written",
    "read_is_old",
];
