//! The desk by itself: who hears what of a batch that failed in part, and how much goes into one.

use std::time::Duration;

use taskyard_core::command::Command;
use taskyard_core::id::{Fence, SlotKey, TaskId};
use taskyard_core::json::Json;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::claim::Claims;
use taskyard_core::verbs::discard::Discard;
use taskyard_core::verbs::expire::{Expire, Sight};
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_engine::desk::{Batch, Caller, Desk, Moment};

use super::by_hand::{Who, cancel, cancelled, claim, failed, finish, who};

#[test]
fn each_caller_hears_of_its_own_command() {
    let mut desk = Desk::default();
    for name in ["one", "two", "three"] {
        desk.command(cancel(), who(name));
    }

    let answers = finish(&mut desk, vec![cancelled(), Err(failed()), cancelled()]);

    let expected = [
        (who("one"), cancelled()),
        (who("two"), Err(failed())),
        (who("three"), cancelled()),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn claims_that_failed_as_one_command_each_hear_of_it() {
    let mut desk = Desk::default();
    desk.command(cancel(), who("one"));
    assert!(desk.claim(claim("two", &["a"])).is_none());
    assert!(desk.claim(claim("three", &["b"])).is_none());

    let answers = finish(&mut desk, vec![cancelled(), Err(failed())]);

    // Claims first: whoever reported beside one may go with the answer to the report.
    let expected = [
        (who("two"), Err(failed())),
        (who("three"), Err(failed())),
        (who("one"), cancelled()),
    ];
    assert_eq!(answers, expected);
    assert!(desk.is_idle());
}

/// Else a claim that is sent again could be told of runs that are about to go.
#[test]
fn all_that_goes_back_goes_before_whatever_waits() {
    const RUNS: usize = 1_500;
    let mut desk = Desk::default();
    for _ in 0..1_000 {
        desk.command(cancel(), who("waits"));
    }
    assert!(desk.claim(claim("claims", &["a"])).is_none());
    for _ in 0..RUNS {
        desk.give_back(report_of(10), who("went"));
    }
    assert!(!desk.is_idle());

    let batch = desk.next_batch().unwrap();

    let is_report = |command: &Command| matches!(command, Command::Report(_));
    let first = batch
        .commands
        .iter()
        .take_while(|command| is_report(command));
    assert_eq!(first.count(), RUNS);
    assert!(matches!(batch.commands[RUNS..], [Command::Claims(_)]));
}

struct Sweep {
    looked_at: Moment,
}

impl Caller for Sweep {
    fn is_gone(&self) -> bool {
        false
    }

    fn looked_at(&self) -> Option<Moment> {
        Some(self.looked_at)
    }
}

#[test]
fn a_sweep_that_looked_before_something_was_lost_spares_the_silent() {
    let (mut desk, seconds) = (Desk::default(), Duration::from_secs);
    for second in [1, 2, 3] {
        let expire = Expire {
            runs: Vec::new(),
            sight: Sight::clear(Timestamp::default()),
        };
        let looked_at = seconds(second);
        desk.command(expire.into(), Sweep { looked_at });
    }
    let mut batch = desk.next_batch().unwrap();

    let spares = |batch: &Batch<Sweep>| -> Vec<bool> {
        let spares =
            |command: &Command| matches!(command, Command::Expire(expire) if expire.sight.grace);
        batch.commands.iter().map(spares).collect()
    };

    // The first was looked over before.
    batch.spare_the_silent(seconds(2), 1);
    assert_eq!(spares(&batch), [false, true, false]);
    batch.spare_the_silent(seconds(2), 0);
    assert_eq!(spares(&batch), [true, true, false]);
}

#[test]
fn a_batch_that_waits_is_added_to_as_far_as_it_goes() {
    let mut desk = Desk::default();
    let rows = |rows| {
        let tasks = vec![TaskId::new(Timestamp::default(), 0); rows];
        Command::from(Discard { tasks })
    };
    desk.command(rows(600), who("one"));
    assert!(desk.claim(claim("two", &["a"])).is_none());
    let mut batch = desk.next_batch().unwrap();

    desk.give_back(report_of(10), who("three"));
    assert!(desk.claim(claim("four", &["a"])).is_none());
    desk.command(rows(300), who("five"));
    desk.command(rows(200), who("six"));
    desk.add_to(&mut batch);

    let kinds: Vec<_> = batch.commands.iter().map(what).collect();
    assert_eq!(kinds, ["discard", "report", "discard", "2 claims"]);
    let next = desk.next_batch().unwrap();
    assert_eq!(
        next.commands.iter().map(what).collect::<Vec<_>>(),
        ["discard"]
    );
    assert!(desk.is_idle());
}

fn what(command: &Command) -> String {
    match command {
        Command::Claims(Claims { claims }) => format!("{} claims", claims.len()),
        Command::Discard(_) => "discard".to_owned(),
        Command::Report(_) => "report".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Else it would not find what its first sending was dealt.
#[test]
fn a_claim_that_was_sent_again_runs_in_a_batch_behind_its_first_sending() {
    let mut desk = Desk::default();
    let sent = |name| {
        let mut waiting = claim(name, &["a"]);
        waiting.claim.seq = 5;
        waiting
    };
    assert!(desk.claim(sent("one")).is_none());
    let mut batch = desk.next_batch().unwrap();

    assert!(desk.claim(sent("one")).is_none());
    desk.command(cancel(), who("two"));
    desk.add_to(&mut batch);

    assert_eq!(batch.size(), 2);
    assert_eq!(desk.next_batch().unwrap().size(), 1);
}

/// Else so many of them could come together that no database takes the batch.
#[test]
fn large_outputs_do_not_share_a_batch() {
    let mut desk = Desk::default();
    for (name, bytes) in [("one", 600_000), ("two", 600_000), ("three", 10)] {
        desk.command(report_of(bytes).into(), who(name));
    }

    let commands = |desk: &mut Desk<Who>| desk.next_batch().unwrap().commands.len();

    assert_eq!([commands(&mut desk), commands(&mut desk)], [1, 2]);
}

#[test]
fn a_batch_writes_a_bounded_number_of_rows_though_one_command_may_write_more() {
    let mut desk = Desk::default();
    for (name, rows) in [
        ("one", 600),
        ("two", 400),
        ("three", 1),
        ("four", 1_500),
        ("five", 1),
    ] {
        let tasks = vec![TaskId::new(Timestamp::default(), 0); rows];
        desk.command(Discard { tasks }.into(), who(name));
    }

    let mut commands = || desk.next_batch().unwrap().commands.len();

    assert_eq!(
        [commands(), commands(), commands(), commands()],
        [2, 1, 1, 1]
    );
}

/// A run that completed with so many bytes.
fn report_of(bytes: usize) -> Report {
    let task = TaskId::new(Timestamp::default(), 0);
    let token = Token {
        slot: SlotKey::only(task),
        fence: Fence(1),
        secret: 0,
    };
    let word = Word::Completed {
        output: Json::stored("x".repeat(bytes)),
    };
    let result = RunResult::new(token, word, None);
    Report {
        worker: None,
        results: [result].into(),
    }
}
