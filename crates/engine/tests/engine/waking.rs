//! The desk by itself: what one claim was woken for and does not take, another one is woken for. Where a server has its
//! database for itself nothing else would tell.

use std::time::Duration;

use taskyard_core::command::Command;
use taskyard_core::id::{Fence, SlotKey, TaskId, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::topic::Topic;
use taskyard_core::verbs::claim::{Given, Hand, Run};
use taskyard_engine::desk::Desk;

use super::by_hand::{
    Who, cancel, cancelled, claim, claims_of_next, dealt, failed, finish, finish_with, heartbeat,
    lane, lanes, nothing, park, submit, who,
};

const A: Lane = Lane(1);

/// A full hand, from a lane of this kind.
fn one_of(kind: &str) -> Given {
    let run = Run {
        slot: SlotKey::only(TaskId::new(Timestamp::default(), 0)),
        fence: Fence(1),
        secret: 0,
        attempt: 1,
        lane: lane(kind),
        expires_at: Timestamp::default(),
        timeout: Duration::ZERO,
        is_exclusive: false,
        checkpoint: None,
        input: None,
    };
    Ok(Ok(Hand {
        runs: vec![run],
        ..Hand::default()
    }))
}

#[test]
fn a_claim_that_waits_joins_the_batch_that_submits_something_for_it() {
    let mut desk = Desk::default();
    park(
        &mut desk,
        vec![claim("other", &["b"]), claim("serves", &["a"])],
    );
    desk.command(submit("a"), who("submitter"));

    let batch = desk.next_batch().expect("a submit waits");

    let [Command::Submit(_), Command::Claims(claims)] = &batch.commands[..] else {
        panic!("one commit hands the task over: {:?}", batch.commands)
    };
    let names = claims.claims.iter().map(|claim| claim.worker.to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["serves"]);
}

/// Both wait; something becomes ready that both could take, and the first is to look.
fn first_is_woken() -> Desk<Who> {
    let mut desk = Desk::default();
    park(
        &mut desk,
        vec![claim("first", &["a", "b"]), claim("second", &["a"])],
    );
    desk.command(cancel(), who("somebody"));
    finish_with(&mut desk, vec![cancelled()], &[A]);
    desk
}

#[test]
fn who_takes_something_else_leaves_it_to_another() {
    let mut desk = first_is_woken();

    finish(&mut desk, vec![dealt(vec![one_of("b")])]);

    assert_eq!(claims_of_next(&mut desk), ["second"]);
}

#[test]
fn who_takes_it_wakes_nobody() {
    let mut desk = first_is_woken();

    finish(&mut desk, vec![dealt(vec![one_of("a")])]);

    assert!(desk.is_idle());
}

#[test]
fn who_finds_nothing_left_wakes_nobody() {
    let mut desk = first_is_woken();

    finish(&mut desk, vec![dealt(vec![nothing()])]);

    assert!(desk.is_idle());
}

#[test]
fn who_is_kept_for_a_suspect_leaves_it_to_another_and_waits() {
    let mut desk = first_is_woken();
    let kept = Hand {
        dry: true,
        waits_for_hand: true,
        ..Hand::default()
    };

    let answers = finish(&mut desk, vec![dealt(vec![Ok(Ok(kept))])]);

    assert!(answers.is_empty());
    assert_eq!(claims_of_next(&mut desk), ["second"]);
}

#[test]
fn who_was_kept_for_a_suspect_looks_again_once_its_worker_is_not() {
    let mut desk = Desk::default();
    let kept = Hand {
        dry: true,
        waits_for_hand: true,
        ..Hand::default()
    };
    desk.claim(claim("kept", &["a"]));
    assert!(finish(&mut desk, vec![dealt(vec![Ok(Ok(kept.clone()))])]).is_empty());

    // All of these are one worker's.
    desk.claim(claim("too", &["a"]));
    finish(&mut desk, vec![dealt(vec![Ok(Ok(kept))])]);
    assert!(desk.is_idle());
    desk.claim(claim("free", &["b"]));
    finish(&mut desk, vec![dealt(vec![nothing()])]);

    assert_eq!(claims_of_next(&mut desk), ["kept", "too"]);
}

#[test]
fn who_fails_alone_leaves_it_to_another() {
    let mut desk = first_is_woken();

    let answers = finish(&mut desk, vec![dealt(vec![Err(failed())])]);

    assert_eq!(answers, [(who("first"), Err(failed()))]);
    assert_eq!(claims_of_next(&mut desk), ["second"]);
}

#[test]
fn who_fails_with_its_batch_leaves_it_until_one_goes_well() {
    let mut desk = first_is_woken();
    let batch = desk.next_batch().unwrap();

    desk.finished(batch, Err(Error::Full), &lanes(), Duration::ZERO);

    assert!(desk.is_idle(), "the next would only fail as well");
    desk.command(cancel(), who("somebody"));
    finish(&mut desk, vec![cancelled()]);
    assert_eq!(claims_of_next(&mut desk), ["second"]);
}

#[test]
fn who_goes_away_before_it_looked_leaves_it_to_another() {
    let mut desk = Desk::default();
    let first = claim("first", &["a", "b"]);
    let gone = first.caller.line();
    park(&mut desk, vec![first, claim("second", &["a"])]);
    desk.command(cancel(), who("somebody"));
    finish_with(&mut desk, vec![cancelled()], &[A]);

    gone.set(true);

    assert_eq!(claims_of_next(&mut desk), ["second"]);
}

/// It may have looked before its worker was to go.
#[test]
fn who_is_under_way_when_its_worker_is_told_something_looks_again() {
    let mut desk = Desk::default();
    desk.command(cancel(), who("somebody"));
    let tells = desk.next_batch().unwrap();
    assert!(desk.claim(claim("told", &["a"])).is_none());
    let looks = desk.next_batch().unwrap();
    let ran = |replies, topics| {
        Ok(Ran {
            replies,
            topics,
            wrote: true,
            now: Timestamp::default(),
        })
    };
    let told = vec![Topic::Told(WorkerNumber(1))];
    desk.finished(
        tells,
        ran(vec![cancelled()], told),
        &lanes(),
        Duration::ZERO,
    );

    let found = ran(vec![dealt(vec![nothing()])], Vec::new());
    let answers = desk.finished(looks, found, &lanes(), Duration::ZERO);

    assert!(answers.is_empty());
    assert_eq!(claims_of_next(&mut desk), ["told"]);
}

#[test]
fn a_worker_that_idles_is_no_batch_of_its_own_but_goes_with_the_next() {
    let at = Duration::from_millis;
    let mut desk = Desk::default();
    park(&mut desk, vec![claim("waits", &["a"])]);

    desk.command(heartbeat(), who("idles"));
    assert!(desk.claim(claim("is-alike", &["a"])).is_none());

    assert!(!desk.is_due(at(100)));
    let due = desk.due_at().expect("it goes by itself some time");
    assert!(!desk.is_due(due - at(1)) && desk.is_due(due));
    desk.command(cancel(), who("somebody"));
    assert!(desk.is_due(at(101)));
    let batch = desk.next_batch().expect("a cancel waits");
    assert_eq!(batch.size(), 3);
    assert!(desk.is_idle() && !desk.is_due(due));
}

#[test]
fn who_waits_longer_comes_before_one_that_just_came() {
    let mut desk = Desk::default();
    park(&mut desk, vec![claim("waits", &["a"])]);
    assert!(desk.claim(claim("comes", &["a"])).is_none());

    desk.command(submit("a"), who("submitter"));

    let batch = desk.next_batch().expect("a submit waits");
    let [Command::Submit(_), Command::Claims(claims)] = &batch.commands[..] else {
        panic!("one commit hands the task over: {:?}", batch.commands)
    };
    let names = claims.claims.iter().map(|claim| claim.worker.to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["waits", "comes"]);
}

#[test]
fn one_that_waits_for_company_and_is_sent_again_is_answered() {
    let again = || {
        let mut waiting = claim("again", &["a"]);
        waiting.claim.seq = 7;
        waiting
    };
    let mut desk = Desk::default();
    park(&mut desk, vec![claim("waits", &["a"])]);
    assert!(desk.claim(again()).is_none());

    assert!(desk.claim(again()).is_some());

    assert!(
        desk.is_due(Duration::ZERO),
        "its worker has missed an answer"
    );
    assert_eq!(claims_of_next(&mut desk), ["again"]);
}

#[test]
fn whoever_may_find_something_that_nobody_alike_waits_for_looks_at_once() {
    let mut desk = Desk::default();
    assert!(desk.claim(claim("first", &["a"])).is_none());
    assert!(desk.is_due(Duration::ZERO));
    finish(&mut desk, vec![dealt(vec![nothing()])]);

    assert!(desk.claim(claim("other", &["b"])).is_none());

    assert!(desk.is_due(Duration::ZERO));
}
