//! The desk by itself: who hears what of a batch that failed in part.

use std::sync::Arc;
use std::time::Duration;

use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::id::{Epoch, Fence, SlotKey, TaskId, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::lane::Lanes;
use taskyard_core::name::Name;
use taskyard_core::rows::Digest;
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::cancel::{Cancel, Cancelled};
use taskyard_core::verbs::claim::{Claim, Dealt, Given, Hand};
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::worker::Profile;
use taskyard_engine::desk::{Caller, Desk, Waiting};

#[derive(Debug, PartialEq)]
struct Who(&'static str);

impl Caller for Who {
    fn is_gone(&self) -> bool {
        false
    }
}

fn cancel() -> Command {
    let task = TaskId::new(Timestamp::default(), 0);
    Cancel { task }.into()
}

fn cancelled() -> Answer {
    Ok(Ok(Done::Cancel(Cancelled)))
}

/// Of a worker that runs this kind only, for a minute.
fn claim(who: &'static str, kind: &str) -> Waiting<Who> {
    let kinds = Some(vec![Name::path(kind).unwrap()]);
    let claim = Claim {
        worker: Name::plain(who).unwrap(),
        number: WorkerNumber(1),
        epoch: Epoch(1),
        profile: Arc::new(Profile::new(kinds, None, Labels::default())),
        limit: 1,
        begin: false,
        seq: 0,
        maybe_again: false,
    };
    Waiting {
        claim,
        until: Duration::from_mins(1),
        caller: Who(who),
    }
}

fn nothing() -> Given {
    let dry = true;
    Ok(Ok(Hand {
        dry,
        ..Hand::default()
    }))
}

fn failed() -> Error {
    Error::Failed("no".to_owned())
}

/// Takes off the next batch, which has so many commands, and finishes it with these answers.
fn finish(desk: &mut Desk<Who>, replies: Vec<Answer>) -> Vec<(Who, Answer)> {
    let batch = desk.next_batch().expect("something waits");
    assert_eq!(batch.commands.len(), replies.len());
    let ran = Ran {
        replies,
        topics: Vec::new(),
        now: Timestamp::default(),
    };
    desk.finished(batch, Ok(ran), &Lanes::default(), Duration::ZERO)
}

fn dealt(hands: Vec<Given>) -> Answer {
    Ok(Ok(Done::Claims(Dealt { hands })))
}

#[test]
fn each_caller_hears_of_its_own_command() {
    let mut desk = Desk::default();
    for who in ["one", "two", "three"] {
        desk.command(cancel(), Who(who));
    }

    let answers = finish(&mut desk, vec![cancelled(), Err(failed()), cancelled()]);

    let expected = [
        (Who("one"), cancelled()),
        (Who("two"), Err(failed())),
        (Who("three"), cancelled()),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn claims_that_failed_as_one_command_each_hear_of_it() {
    let mut desk = Desk::default();
    desk.command(cancel(), Who("one"));
    assert!(desk.claim(claim("two", "a")).is_none());
    assert!(desk.claim(claim("three", "b")).is_none());

    let answers = finish(&mut desk, vec![cancelled(), Err(failed())]);

    let expected = [
        (Who("one"), cancelled()),
        (Who("two"), Err(failed())),
        (Who("three"), Err(failed())),
    ];
    assert_eq!(answers, expected);
    assert!(desk.is_idle());
}

#[test]
fn a_claim_that_failed_leaves_what_woke_it_to_another_like_it() {
    let mut desk = Desk::default();
    for (who, kind) in [("other", "b"), ("alike", "a")] {
        assert!(desk.claim(claim(who, kind)).is_none());
    }
    assert!(finish(&mut desk, vec![dealt(vec![nothing(), nothing()])]).is_empty());
    assert!(desk.claim(claim("bad", "a")).is_none());
    assert!(desk.claim(claim("good", "a")).is_none());

    let hands = vec![Err(failed()), nothing()];
    let answers = finish(&mut desk, vec![dealt(hands)]);

    assert_eq!(answers, [(Who("bad"), Err(failed()))]);
    let batch = desk.next_batch().expect("one looks again");
    let [Command::Claims(claims)] = &batch.commands[..] else {
        panic!("only claims wait")
    };
    let workers: Vec<_> = claims
        .claims
        .iter()
        .map(|claim| claim.worker.as_str())
        .collect();
    assert_eq!(workers, ["alike"]);
}

/// Else so many of them could come together that no database takes the batch.
#[test]
fn large_outputs_do_not_share_a_batch() {
    let mut desk = Desk::default();
    for (who, bytes) in [("one", 600_000), ("two", 600_000), ("three", 10)] {
        desk.command(report_of(bytes).into(), Who(who));
    }

    let commands = |desk: &mut Desk<Who>| desk.next_batch().unwrap().commands.len();

    assert_eq!([commands(&mut desk), commands(&mut desk)], [1, 2]);
}

/// A run that completed with so many bytes.
fn report_of(bytes: usize) -> Report {
    let task = TaskId::new(Timestamp::default(), 0);
    let result = RunResult {
        token: Token {
            slot: SlotKey::only(task),
            fence: Fence(1),
            secret: 0,
        },
        word: Word::Completed {
            output: Json::stored("x".repeat(bytes)),
        },
        started_at: None,
        digest: Digest::of(b"x"),
    };
    Report {
        worker: None,
        results: vec![result],
    }
}
