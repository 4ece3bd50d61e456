//! What can happen to the rules in a random sequence.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use taskyard_core::json::Json;
use taskyard_core::rows::Failure;
use taskyard_core::verbs::report::Word;

pub(crate) const KINDS: [&str; 3] = ["a", "b", "c"];
pub(crate) const NAMES: [&str; 3] = ["one", "two", "three"];

/// Something that happens. What it happens to is chosen among what is there by then.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Submit {
        kind: &'static str,
        priority: i64,
        delay: u64,
        limits: (i32, i32),
        of_client: bool,
        key: Option<u8>,
        exclusive: bool,
        unique: Option<u8>,
    },
    SubmitAgain(Index),
    Claim {
        by: Index,
        limit: usize,
        begin: bool,
        seq: i64,
        named: Option<Index>,
    },
    Start(Index),
    Heartbeat {
        by: Index,
        runs: Vec<Index>,
        running: bool,
        says_more: bool,
    },
    Report {
        runs: Vec<(Index, Word)>,
        named: bool,
    },
    Cancel(Index),
    Patch {
        task: Index,
        priority: Option<i64>,
        delay: Option<u64>,
    },
    Register {
        name: &'static str,
        if_new: bool,
    },
    Drain(&'static str),
    /// Beside what else happens.
    Kill(&'static str),
    /// Before it.
    KillAlone(&'static str),
    Delete(&'static str),
    Promote(usize),
    Expire {
        grace: bool,
        alone: bool,
    },
    Prune,
    Pause(bool),
    Forget,
    Free,
    /// All tasks, those too that may not go.
    Discard,
    /// Its completed tasks are kept for so many seconds, or as the policy says.
    Retain(Option<u64>),
    /// A bulk act: retry, or cancel.
    Operate {
        retry: bool,
        key: Option<u8>,
    },
    Proceed {
        operation: Index,
        limit: usize,
    },
    /// A piece that was sent before.
    ProceedAgain(Index),
    CancelOperation(Index),
    Clear,
    /// A server starts, or one of the latest says that it is still up.
    Join(Option<Index>),
    /// Beside what else happens.
    Leave(Index),
    /// Before it.
    LeaveAlone(Index),
}

fn word() -> impl Strategy<Value = Word> {
    let error = Failure::new("boom", "it broke");
    prop_oneof![
        3 => Just(Word::Completed { output: Json::null() }),
        2 => any::<bool>().prop_map({
            let error = error.clone();
            move |retry| Word::Failed { error: error.clone(), retry }
        }),
        1 => Just(Word::TimedOut { error }),
        1 => (0_u64..5).prop_map(|s| Word::Snoozed { wait: Duration::from_secs(s) }),
        1 => Just(Word::Released),
        1 => Just(Word::Unheard),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let index = any::<Index>;
    let runs = || vec(index(), 0..4);
    let submit = (
        select(&KINDS[..]),
        -1_i64..=1,
        prop_oneof![3 => Just(0), 1 => 1_u64..5],
        (1..=3, 1..=3),
        any::<bool>(),
        prop::option::weighted(0.2, 0_u8..2),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.3, 0_u8..2),
    );
    prop_oneof![
        6 => submit.prop_map(|(kind, priority, delay, limits, of_client, key, exclusive, unique)| {
            Act::Submit { kind, priority, delay, limits, of_client, key, exclusive, unique }
        }),
        1 => index().prop_map(Act::SubmitAgain),
        8 => (
            index(),
            1_usize..4,
            prop::bool::weighted(0.2),
            0_i64..3,
            prop::option::weighted(0.3, index()),
        )
            .prop_map(|(by, limit, begin, seq, named)| Act::Claim { by, limit, begin, seq, named }),
        1 => index().prop_map(Act::Start),
        3 => (index(), runs(), any::<bool>(), any::<bool>()).prop_map(
            |(by, runs, running, says_more)| Act::Heartbeat { by, runs, running, says_more }
        ),
        6 => (vec((index(), word()), 1..3), any::<bool>())
            .prop_map(|(runs, named)| Act::Report { runs, named }),
        1 => index().prop_map(Act::Cancel),
        2 => (index(), prop::option::of(-1_i64..=1), prop::option::of(0_u64..5))
            .prop_map(|(task, priority, delay)| Act::Patch { task, priority, delay }),
        1 => (select(&NAMES[..]), prop::bool::weighted(0.3))
            .prop_map(|(name, if_new)| Act::Register { name, if_new }),
        1 => select(&NAMES[..]).prop_map(Act::Drain),
        1 => select(&NAMES[..]).prop_map(Act::Kill),
        1 => select(&NAMES[..]).prop_map(Act::KillAlone),
        1 => select(&NAMES[..]).prop_map(Act::Delete),
        3 => (1_usize..5).prop_map(Act::Promote),
        3 => (prop::bool::weighted(0.2), prop::bool::weighted(0.2))
            .prop_map(|(grace, alone)| Act::Expire { grace, alone }),
        1 => Just(Act::Prune),
        2 => Just(Act::Forget),
        1 => prop::bool::weighted(0.3).prop_map(Act::Pause),
        1 => Just(Act::Free),
        2 => Just(Act::Discard),
        1 => prop::option::of(0_u64..50).prop_map(Act::Retain),
        1 => (any::<bool>(), prop::option::weighted(0.3, 0_u8..2))
            .prop_map(|(retry, key)| Act::Operate { retry, key }),
        3 => (index(), 1_usize..4).prop_map(|(operation, limit)| Act::Proceed { operation, limit }),
        1 => index().prop_map(Act::ProceedAgain),
        1 => index().prop_map(Act::CancelOperation),
        1 => Just(Act::Clear),
        2 => prop::option::of(index()).prop_map(Act::Join),
        1 => index().prop_map(Act::Leave),
        1 => index().prop_map(Act::LeaveAlone),
    ]
}

/// What happens at once, and how much time has passed since what was before.
pub(crate) fn batch() -> impl Strategy<Value = (u64, Vec<Act>)> {
    let short = prop_oneof![3 => Just(0), 1 => 1_u64..6];
    let seconds = prop_oneof![8 => short, 1 => Just(11), 1 => Just(31), 1 => Just(90)];
    (seconds, vec(act(), 1..5))
}
