//! `/workers`: what a worker asks, each a function from wire type to wire type, and the routes around them.

pub(crate) mod described;
pub(crate) mod pool;
pub(crate) mod routes;

use std::time::Duration;

use taskyard_api::answered::Answered;
use taskyard_api::payload::Payload;
use taskyard_api::problem::{FieldError, Problem};
use taskyard_api::report::{Called, Report, Reported};
use taskyard_api::worker::{Claim, Claimed, Heard, Heartbeat, Limits, Register, Registered, Run};
use taskyard_core::id::{Epoch, NotAnId, ServerNumber, TaskId};
use taskyard_core::name::Name;
use taskyard_core::refused::Refused;
use taskyard_core::verbs;
use taskyard_core::verbs::claim::Hand;
use taskyard_engine::engine::{self, ClaimCall, Told};
use taskyard_engine::error::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::tasks::runs::standing;
use crate::app::App;
use crate::problem::{self, Code};
use crate::request::no_such;
use crate::settings;
use crate::trouble;
use crate::wire;
use crate::wire::faults::{Faults, Place};
use crate::wire::payload::Source;
use crate::wire::task::{count, ms};

pub use crate::wire::payload;

/// How many tasks one claim may ask for: a fixed number that workers may go by. How many it gets, servers may set lower
/// ([`Limits::claim_max`](crate::settings::Limits::claim_max)).
pub(crate) const CLAIM_MAX: i64 = 1_000;
/// How often one claim looks again where all that it got was damaged.
const DAMAGED_HANDS_MAX: usize = 16;
const WAIT_MS_MAX: i64 = super::tasks::WAIT_MS_MAX as i64;

/// A process says who it is; with `server` it is a worker within that server.
pub async fn register(
    app: &App,
    register: &Register,
    server: Option<ServerNumber>,
) -> Result<Registered, Box<Problem>> {
    let mut faults = Faults::default();
    let registration = wire::worker::registration(register, &mut faults);
    if let (Some(registration), None) = (&registration, server) {
        let fits = app.settings().worker_ids.check(&registration.name);
        faults.take(Place::ROOT, "worker_id", fits);
    }
    faults.check()?;
    let registration = registration.expect("one that is not made has its fault named");
    let registered = app.engine().register(verbs::register::Register {
        name: registration.name,
        server,
        profile: registration.profile,
        capacity: registration.capacity,
        if_new: false,
    });
    let registered = registered.await.map_err(|error| problem::of(&error))?;
    let policy = app.engine().policy();
    let (lease_ms, heartbeat_ms) = lease_and_heartbeat(app);
    Ok(Registered {
        worker_id: register.worker_id.clone(),
        number: count(registered.number.0),
        epoch: count(registered.epoch.0),
        heartbeat_ms,
        heartbeat_ttl_ms: ms(policy.heartbeat_ttl),
        lease_ms,
        timeout_margin_ms: ms(policy.timeout_margin),
        limits: limits(app.limits()),
    })
}

/// How long a lease lasts here and how often a heartbeat is wanted, in milliseconds: what every answer says by which a
/// worker gets leases or keeps them.
fn lease_and_heartbeat(app: &App) -> (u64, u64) {
    let policy = app.engine().policy();
    (ms(policy.lease), ms(policy.heartbeat))
}

/// What workers have to keep to, as they are told when they register.
fn limits(limits: &settings::Limits) -> Limits {
    Limits {
        runs_max: limits.tasks_max,
        claim_max: limits.claim_max,
        body_bytes_max: limits.bulk_max,
        checkpoint_bytes_max: limits.checkpoint_max,
        message_bytes_max: wire::worker::MESSAGE_LEN_MAX,
    }
}

/// Takes tasks, waiting for the first one as long as the claim says. `told` makes what its worker is told; it fails where a
/// payload is no JSON any more. Dropped before it is answered, it takes none, but what was damaged may have failed.
pub async fn claim<A>(
    app: &App,
    worker_id: &str,
    claim: &Claim,
    told: impl Fn(&Claimed<Payload>) -> serde_json::Result<A>,
) -> Result<A, Box<Problem>> {
    let worker = named(worker_id)?;
    let mut faults = Faults::default();
    let mut call = claim_call(app, worker, claim, Place::ROOT, &mut faults);
    faults.check()?;
    let (lease_ms, heartbeat_ms) = lease_and_heartbeat(app);
    let told = |hand: &Hand| {
        told(&Claimed {
            tasks: runs(app, hand),
            drain: hand.drain,
            lease_ms: Some(lease_ms),
            heartbeat_ms: Some(heartbeat_ms),
        })
    };
    let until = Instant::now() + call.wait;
    let (mut left, mut before) = (Hand::default(), None);
    for _ in 0..DAMAGED_HANDS_MAX {
        let claimed = deal(app, call.clone(), before).await;
        let Some(claimed) = claimed.map_err(|error| problem::of(&error))? else {
            break;
        };
        left.drain = claimed.hand().drain;
        match tell(claimed, told).await? {
            Told::Heard(answer) => return Ok(answer),
            // What was damaged is gone, and what waited behind it is for whoever asked.
            Told::AllEnded(claimed) => before = Some(claimed),
            // Asked again, it would get the same.
            Told::NotEnded(_) => break,
        }
        call.wait = until.saturating_duration_since(Instant::now());
    }
    told(&left).map_err(|error| problem::broken(&error))
}

/// What the claim gets, in place of what it got before, if that is given: nothing where it is held back when the server
/// begins to leave.
async fn deal(
    app: &App,
    call: ClaimCall,
    before: Option<engine::Claimed>,
) -> Result<Option<engine::Claimed>, Error> {
    let hold = app.hold(call.wait);
    let call = ClaimCall {
        wait: hold.wait,
        ..call
    };
    let engine = app.engine();
    let claiming = async {
        match before {
            None => engine.claim(call).await,
            Some(before) => engine.claim_instead(&call, before).await,
        }
    };
    tokio::select! {
        biased;
        claimed = claiming => claimed.map(Some),
        () = hold.is_over() => Ok(None),
    }
}

async fn tell<A>(
    claimed: engine::Claimed,
    told: impl FnMut(&Hand) -> serde_json::Result<A>,
) -> Result<Told<A>, Box<Problem>> {
    let told = claimed.tell_as(told).await;
    told.map_err(|unwritten| problem::broken(&unwritten))
}

/// Takes results, and gives new tasks if the report holds a claim; `told` makes what its worker is told, as of a claim. The
/// two go to the engine together, so that they are usually one commit; nothing hangs on it.
///
/// A result that cannot be taken as it is keeps none of the others from being taken.
pub async fn report<P: Source, I: Copy + Into<Called>, A>(
    app: &App,
    worker_id: &str,
    report: &Report<P, I>,
    told: impl Fn(&Reported<Payload>) -> serde_json::Result<A>,
) -> Result<A, Box<Problem>> {
    let worker = named(worker_id)?;
    let max = app.limits().tasks_max;
    if report.results.len() > max {
        let detail = format!("a report holds at most {max} results");
        return Err(problem::new(Code::TooLarge, detail));
    }
    let mut faults = Faults::default();
    let epoch = faults.epoch(Place::ROOT, report.epoch);
    let call = report.claim.as_ref().map(|claim| {
        let call = claim_call(app, worker.clone(), claim, CLAIM_PLACE, &mut faults);
        ClaimCall {
            epoch: call.epoch.or(epoch),
            ..call
        }
    });
    faults.check()?;

    let is_refused = CancellationToken::new();
    let reporting = async {
        let results = results(app, (worker, epoch), report).await;
        let is_taken = |result: &Answered| matches!(result, Answered::Taken(_));
        if !results
            .as_ref()
            .is_ok_and(|(results, _)| results.iter().all(is_taken))
        {
            is_refused.cancel();
        }
        results
    };
    let claiming = async {
        tokio::select! {
            biased;
            claimed = deal(app, call?, None) => Some(claimed),
            // Whoever reported what is refused has to hear of it first, and claims again.
            () = is_refused.cancelled() => None,
        }
    };
    let (results, claimed) = tokio::join!(reporting, claiming);
    // Without them the worker is not told what it claimed, which goes back.
    let (results, drain) = results?;
    let mut reported = Reported {
        results,
        tasks: None,
        drain,
        lease_ms: None,
        heartbeat_ms: None,
    };
    let claimed = claimed.and_then(|claimed| {
        // The results were taken, which must be told; what keeps the claim from being served will meet it again.
        let unserved = |error: &_| tracing::debug!(%error, "a report's claim was not served");
        claimed.inspect_err(unserved).ok()
    });
    let Some(claimed) = claimed else {
        return told(&reported).map_err(|error| problem::broken(&error));
    };
    let (lease_ms, heartbeat_ms) = lease_and_heartbeat(app);
    (reported.lease_ms, reported.heartbeat_ms) = (Some(lease_ms), Some(heartbeat_ms));
    let mut told = |hand: &Hand| {
        reported.tasks = Some(runs(app, hand));
        reported.drain = drain || hand.drain;
        told(&reported)
    };
    let mut left = Hand::default();
    if let Some(claimed) = claimed {
        left.drain = claimed.hand().drain;
        if let Told::Heard(answer) = tell(claimed, &mut told).await? {
            return Ok(answer);
        }
    }
    told(&left).map_err(|error| problem::broken(&error))
}

const CLAIM_PLACE: Place = Place::within("/claim");

/// What becomes of each result, in their order, and whether the worker drains.
async fn results<P: Source, I: Copy + Into<Called>>(
    app: &App,
    worker: (Name, Option<Epoch>),
    report: &Report<P, I>,
) -> Result<(Vec<Answered>, bool), Box<Problem>> {
    let mut taken = Vec::with_capacity(report.results.len());
    let mut judged: Vec<Result<TaskId, Box<Problem>>> = Vec::with_capacity(report.results.len());
    for (index, said) in report.results.iter().enumerate() {
        let place = Place::element("/results", index);
        let Called(task) = said.task_id.into();
        let task = task.map_err(|why| no_task(place, why));
        judged.push(task.and_then(|task| {
            let mut faults = Faults::default();
            let result = wire::result::run_result(app, task, said, place, &mut faults);
            faults.check().map_err(|fault| of_task(fault, task))?;
            taken.extend(result);
            Ok(task)
        }));
    }
    // Sent also when it is empty: it tells a worker that was replaced.
    let reported = app.engine().report(verbs::report::Report {
        worker: Some(worker),
        results: taken.into(),
    });
    let reported = reported.await.map_err(|error| problem::of(&error))?;
    let drain = reported.drain;
    let mut reported = reported.results.into_iter();
    let answered = judged.into_iter().map(|judged| {
        let standing = judged.and_then(|task| {
            let answered = reported.next();
            let answered = answered.ok_or_else(|| problem::broken(&"a result was not answered"));
            let standing = answered.and_then(|answered| standing(task, answered));
            standing.map_err(|problem| of_task(problem, task))
        });
        match standing {
            Ok(standing) => Answered::Taken(standing),
            Err(mut problem) => {
                problem.request_id = trouble::request_id();
                Answered::Refused(problem)
            }
        }
    });
    Ok((answered.collect(), drain))
}

fn of_task(mut problem: Box<Problem>, task: TaskId) -> Box<Problem> {
    problem.task_id = Some(task);
    problem
}

/// What is no id names no task.
fn no_task(place: Place, why: NotAnId) -> Box<Problem> {
    let mut problem = problem::refused(&Refused::NoSuchTask);
    problem.errors.push(FieldError {
        pointer: place.pointer("task_id"),
        detail: why.to_string(),
    });
    problem
}

/// Renews the listed leases, and tells which of them are lost or cancelled.
pub async fn heartbeat<P: Source>(
    app: &App,
    worker_id: &str,
    heartbeat: &Heartbeat<P>,
) -> Result<Heard, Box<Problem>> {
    let worker = named(worker_id)?;
    let max = app.limits().tasks_max;
    if heartbeat.held.len() > max {
        let detail = format!("a heartbeat names at most {max} runs");
        return Err(problem::new(Code::TooLarge, detail));
    }
    let mut faults = Faults::default();
    let epoch = faults.epoch(Place::ROOT, heartbeat.epoch);
    let held = heartbeat.held.iter().enumerate();
    let held = held
        .filter_map(|(index, held)| {
            let place = Place::element("/held", index);
            wire::worker::held(app, held, place, &mut faults)
        })
        .collect();
    if heartbeat.leaves && !heartbeat.held.is_empty() {
        let detail = "a worker that leaves holds nothing: report its runs, or release them, before";
        faults.add(Place::ROOT, "leaves", detail);
    }
    faults.check()?;
    let now = app.engine().store().now();
    let beaten = app.engine().heartbeat(verbs::heartbeat::Heartbeat {
        worker,
        epoch,
        held,
        leaves: heartbeat.leaves,
    });
    let beaten = beaten.await.map_err(|error| problem::of(&error))?;
    let (lease_ms, heartbeat_ms) = lease_and_heartbeat(app);
    let mut unconfirmed = beaten.unknown;
    unconfirmed.extend(beaten.ending);
    Ok(Heard {
        // Of leases that nobody can look at it is not known that they hold any longer.
        expires_at: beaten.expires_at.unwrap_or(now).into(),
        lost: beaten.lost,
        cancel: beaten.cancel,
        unconfirmed,
        drain: beaten.drain,
        lease_ms: Some(lease_ms),
        heartbeat_ms: Some(heartbeat_ms),
    })
}

/// What is no name names no worker.
fn named(worker_id: &str) -> Result<Name, Box<Problem>> {
    Name::plain(worker_id).map_err(|why| no_such(&Refused::NoSuchWorker, why.to_string()))
}

fn claim_call(
    app: &App,
    worker: Name,
    claim: &Claim,
    place: Place,
    faults: &mut Faults,
) -> ClaimCall {
    let limit = faults.ranged(place, "limit", i64::from(claim.limit), 1..=CLAIM_MAX);
    let wait = i64::try_from(claim.wait_ms.unwrap_or_default()).unwrap_or(i64::MAX);
    let wait = faults.ranged(place, "wait_ms", wait, 0..=WAIT_MS_MAX);
    let seq = claim
        .seq
        .map(|seq| faults.ranged(place, "seq", seq, 1..=i64::MAX));
    ClaimCall {
        worker,
        epoch: faults.epoch(place, claim.epoch),
        task: None,
        limit: usize::try_from(limit)
            .unwrap_or(1)
            .min(app.limits().claim_max),
        wait: Duration::from_millis(u64::try_from(wait).unwrap_or_default()),
        begin: claim.begin,
        seq: seq.unwrap_or_default(),
        again: claim.again,
    }
}

fn runs(app: &App, hand: &Hand) -> Vec<Run<Payload>> {
    let incarnation = app.engine().store().incarnation();
    let runs = hand.runs.iter();
    runs.map(|run| wire::worker::run(run, &incarnation))
        .collect()
}
