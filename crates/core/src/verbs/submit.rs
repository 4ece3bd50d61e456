//! Submit: one task or many, all or none. Durable when it is answered; the same again answers the same.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;

use crate::command::Env;
use crate::id::TaskId;
use crate::json::Json;
use crate::labels::Labels;
use crate::lane::LaneKey;
use crate::moves;
use crate::needs::Needs;
use crate::order::{OrderKey, Priority};
use crate::refused::Refused;
use crate::retry::Retry;
use crate::rows::{Digest, Idempotency, IdempotencyKey, Task};
use crate::slot::Limits;
use crate::status::Status;
use crate::time::Timestamp;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Submit {
    pub tasks: Vec<NewTask>,
    /// The caller's key for this request, and the request's digest.
    pub once: Option<(IdempotencyKey, Digest)>,
    /// Sent a second time because the first commit's fate is unknown: what is there already is its own.
    pub again: bool,
}

#[derive(Clone, Debug)]
pub struct NewTask {
    pub id: TaskId,
    pub lane: LaneKey,
    pub priority: Priority,
    pub begin: Begin,
    pub input: Json,
    /// `None`: what the policy says for its kind.
    pub max_attempts: Option<i32>,
    pub max_losses: Option<i32>,
    pub timeout: Option<Duration>,
    pub retry: Option<Retry>,
    pub labels: Labels,
    /// Of the request, where the client made the id.
    pub digest: Option<Digest>,
}

/// When a task may first be handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    Now,
    At(Timestamp),
    After(Duration),
}

impl Begin {
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::At(time) => time,
            Self::After(wait) => now + wait,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Submitted {
    /// In the order of the request.
    pub ids: Arc<[TaskId]>,
    /// Where each of them stands that this request has made, in the same order. None for one that an earlier request
    /// had made: it may have come far since, and to look would be one more read.
    pub made: Vec<Option<Status>>,
}

impl Submitted {
    /// Whether an earlier request had made them all.
    pub fn existed(&self) -> bool {
        self.made.iter().all(Option::is_none)
    }
}

impl Submit {
    pub(crate) fn needs(&self, needs: &mut Needs, env: &Env<'_>) {
        let lanes = self.tasks.iter().map(|task| &task.lane);
        let unknown = lanes.filter(|lane| env.lanes.number(lane).is_none());
        needs.lanes.extend(unknown.cloned().map(Arc::new));
        needs
            .idempotency
            .extend(self.once.iter().map(|(key, _)| key.clone()));
        // An id made by this server for this request cannot be taken.
        let looked_for = self
            .tasks
            .iter()
            .filter(|task| self.again || task.digest.is_some());
        needs.tasks.extend(looked_for.map(|task| task.id));
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Submitted, Refused> {
        if let Some(known) = self.known(view)? {
            return Ok(known);
        }
        let mut fresh = Vec::with_capacity(self.tasks.len());
        let mut chosen = HashSet::new();
        for task in &self.tasks {
            if task.digest.is_some() && !chosen.insert(task.id) {
                return Err(Refused::IdTaken(task.id));
            }
            let is_fresh = !self.exists(task, view, env)?;
            fresh.push(is_fresh.then_some(task));
        }
        take_up_lanes(fresh.iter().flatten().map(|task| &task.lane), view, env)?;
        let mut make = |task: &NewTask| {
            let row = task.row(view, env);
            let status = moves::place_new(view, &row, env.now);
            view.tasks.insert(row.id, Arc::new(row));
            status
        };
        let made = fresh.into_iter().map(|task| task.map(&mut make)).collect();
        let ids: Arc<[TaskId]> = self.tasks.iter().map(|task| task.id).collect();
        if let Some((key, digest)) = &self.once {
            let row = Idempotency {
                key: key.clone(),
                digest: *digest,
                tasks: Arc::clone(&ids),
                created_at: env.now,
            };
            view.idempotency.put(key.clone(), row);
        }
        Ok(Submitted { ids, made })
    }

    /// What the idempotency key stands for already.
    fn known(&self, view: &View) -> Result<Option<Submitted>, Refused> {
        let Some((key, digest)) = &self.once else {
            return Ok(None);
        };
        match view.idempotency.get(key) {
            None => Ok(None),
            Some(row) if row.digest == *digest => Ok(Some(Submitted {
                ids: Arc::clone(&row.tasks),
                made: vec![None; row.tasks.len()],
            })),
            Some(_) => Err(Refused::KeyReused),
        }
    }

    fn exists(&self, task: &NewTask, view: &View, env: &Env<'_>) -> Result<bool, Refused> {
        if !self.again && task.digest.is_none() {
            return Ok(false);
        }
        match view.tasks.get(&task.id) {
            Some(row) if row.digest == task.digest => Ok(true),
            Some(_) => Err(Refused::IdTaken(task.id)),
            None if task.digest.is_some() && !is_recent(task.id, env) => {
                Err(Refused::IdNotRecent {
                    id: task.id,
                    life: env.policy.key_life,
                    skew: env.policy.clock_skew,
                })
            }
            None => Ok(false),
        }
    }
}

/// Gives numbers to the lanes that have none, if there is room for them. Done for tasks that are surely made, so that no
/// refused one uses a lane up.
fn take_up_lanes<'a>(
    wanted: impl Iterator<Item = &'a LaneKey>,
    view: &mut View,
    env: &Env<'_>,
) -> Result<(), Refused> {
    if !view.meets_unknown_lanes() {
        return Ok(());
    }
    let mut seen = HashSet::new();
    let mut unknown: Vec<&LaneKey> = Vec::new();
    for key in wanted {
        if view.lane(key, env.lanes).is_none() && seen.insert(key) {
            unknown.push(key);
        }
    }
    let max = env.policy.lanes_max;
    if !unknown.is_empty() && env.lanes.len() + view.lanes_taken_up() + unknown.len() > max {
        return Err(Refused::TooManyLanes(max));
    }
    unknown.into_iter().for_each(|key| view.take_up(key));
    Ok(())
}

/// A client's id must be of our time: ids order the lists, and a forgotten one must not come back after its task
/// was pruned.
fn is_recent(id: TaskId, env: &Env<'_>) -> bool {
    let made = id.made_at();
    made >= env.now - env.policy.key_life && made <= env.now + env.policy.clock_skew
}

impl NewTask {
    fn row(&self, view: &View, env: &Env<'_>) -> Task {
        let lane = view.lane(&self.lane, env.lanes);
        let lane = lane.expect("lanes are taken up before tasks are made");
        // A time in the past means now; it must not overtake those who waited.
        let run_at = self.begin.at(env.now).max(env.now);
        Task {
            id: self.id,
            lane,
            order_key: OrderKey::new(run_at, self.priority, env.policy.priority_level),
            priority: self.priority,
            run_at,
            created_at: env.now,
            input: self.input.clone(),
            limits: Limits {
                max_attempts: self
                    .max_attempts
                    .unwrap_or_else(|| env.policy.max_attempts_of(self.lane.kind.as_str())),
                max_losses: self.max_losses.unwrap_or(env.policy.max_losses),
            },
            timeout: self.timeout.unwrap_or(env.policy.timeout),
            retry: self.retry.unwrap_or(env.policy.retry),
            labels: self.labels.clone(),
            digest: self.digest,
        }
    }
}
