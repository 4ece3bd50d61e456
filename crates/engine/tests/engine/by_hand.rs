//! The desk driven by hand, and the few words that its tests are written in.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::id::{Epoch, TaskId, WorkerNumber};
use taskyard_core::labels::Labels;
use taskyard_core::lane::{Lane, LaneKey, Lanes};
use taskyard_core::name::Name;
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::topic::Topic;
use taskyard_core::verbs::cancel::{Cancel, Cancelled};
use taskyard_core::verbs::claim::{Claim, Dealt, Given, Hand};
use taskyard_core::verbs::heartbeat::Heartbeat;
use taskyard_core::verbs::submit::Submit;
use taskyard_core::worker::Profile;
use taskyard_engine::desk::{Caller, Desk, Waiting};

use super::yard::new_task;

#[derive(Debug)]
pub(super) struct Who {
    name: &'static str,
    gone: Rc<Cell<bool>>,
}

impl Caller for Who {
    fn is_gone(&self) -> bool {
        self.gone.get()
    }
}

impl PartialEq for Who {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

pub(super) fn who(name: &'static str) -> Who {
    let gone = Rc::default();
    Who { name, gone }
}

pub(super) fn cancel() -> Command {
    let task = TaskId::new(Timestamp::default(), 0);
    Cancel { task }.into()
}

pub(super) fn cancelled() -> Answer {
    Ok(Ok(Done::Cancel(Cancelled)))
}

/// Of a worker that has nothing in hand.
pub(super) fn heartbeat() -> Command {
    let heartbeat = Heartbeat {
        worker: Name::plain("idles").unwrap(),
        epoch: None,
        held: Vec::new(),
        leaves: false,
    };
    heartbeat.into()
}

/// One task of this kind.
pub(super) fn submit(kind: &str) -> Command {
    let id = TaskId::new(Timestamp::default(), 0);
    Submit::of(vec![new_task(id, kind)]).into()
}

/// Of a worker that runs these kinds only, one at a time, for a minute.
pub(super) fn claim(name: &'static str, kinds: &[&str]) -> Waiting<Who> {
    let kinds = kinds.iter().map(|kind| Name::path(kind).unwrap());
    let claim = Claim {
        worker: Name::plain(name).unwrap(),
        number: WorkerNumber(1),
        epoch: Epoch(1),
        profile: Arc::new(Profile::new(Some(kinds.collect()), None, Labels::default())),
        limit: 1,
        begin: false,
        seq: 0,
        maybe_again: false,
        task: None,
    };
    Waiting {
        claim,
        until: Duration::from_mins(1),
        caller: who(name),
    }
}

pub(super) fn nothing() -> Given {
    let dry = true;
    Ok(Ok(Hand {
        dry,
        ..Hand::default()
    }))
}

pub(super) fn failed() -> Error {
    Error::Failed("no".to_owned())
}

pub(super) fn dealt(hands: Vec<Given>) -> Answer {
    Ok(Ok(Done::Claims(Dealt { hands })))
}

/// Lane 1 is of kind `a`, lane 2 of kind `b`.
pub(super) fn lanes() -> Lanes {
    let mut lanes = Lanes::default();
    lanes.add(Lane(1), lane("a"));
    lanes.add(Lane(2), lane("b"));
    lanes
}

pub(super) fn lane(kind: &str) -> Arc<LaneKey> {
    Arc::new(LaneKey::of(
        Name::path("default").unwrap(),
        Name::path(kind).unwrap(),
    ))
}

/// Takes off the next batch, which has so many commands, and finishes it with these answers, and with something ready
/// in these lanes.
pub(super) fn finish_with(
    desk: &mut Desk<Who>,
    replies: Vec<Answer>,
    ready: &[Lane],
) -> Vec<(Who, Answer)> {
    let batch = desk.next_batch().expect("something waits");
    assert_eq!(batch.commands.len(), replies.len());
    let ran = Ran {
        replies,
        topics: ready.iter().map(|lane| Topic::Ready(*lane)).collect(),
        wrote: true,
        now: Timestamp::default(),
    };
    desk.finished(batch, Ok(ran), &lanes(), Duration::ZERO)
}

pub(super) fn finish(desk: &mut Desk<Who>, replies: Vec<Answer>) -> Vec<(Who, Answer)> {
    finish_with(desk, replies, &[])
}

/// Lets these workers' claims find nothing, so that they wait.
pub(super) fn park(desk: &mut Desk<Who>, claims: Vec<Waiting<Who>>) {
    let hands = claims.iter().map(|_| nothing()).collect();
    for claim in claims {
        assert!(desk.claim(claim).is_none());
    }
    assert!(finish(desk, vec![dealt(hands)]).is_empty());
    assert!(desk.is_idle());
}

/// Takes off the next batch; whose claims are in it, which holds nothing else.
pub(super) fn claims_of_next(desk: &mut Desk<Who>) -> Vec<String> {
    let batch = desk.next_batch().expect("somebody looks again");
    let [Command::Claims(claims)] = &batch.commands[..] else {
        panic!("only claims wait")
    };
    let names = claims.claims.iter().map(|claim| claim.worker.to_string());
    names.collect()
}

impl Who {
    pub(super) fn line(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.gone)
    }
}
