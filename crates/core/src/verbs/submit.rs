//! Submit: one task or many, all or none. Durable when it is answered; the same again answers the same.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use crate::command::Env;
use crate::id::TaskId;
use crate::json::Json;
use crate::labels::Labels;
use crate::lane::LaneKey;
use crate::moves;
use crate::needs::Needs;
use crate::order::{OrderKey, Priority};
use crate::query::TaskView;
use crate::refused::Refused;
use crate::retry::Retry;
use crate::rows::{Digest, IdempotencyKey, Input, Origin, Task, Unique, UniqueKey};
use crate::slot::Limits;
use crate::status::Status;
use crate::time::Timestamp;
use crate::verbs::{once, unique};
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
    /// `None`: what its queue says, or the policy for its kind.
    pub max_attempts: Option<i32>,
    pub max_losses: Option<i32>,
    pub timeout: Option<Duration>,
    pub retry: Option<Retry>,
    pub labels: Labels,
    /// Of the request, where the client made the id.
    pub digest: Option<Digest>,
    /// Nobody can send it again once it was taken, so that its id may have been made any time ago.
    pub is_of_any_age: bool,
    /// It never runs twice at once.
    pub is_exclusive: bool,
    /// While another task of its queue with this key has not ended, that one stands in its place.
    pub unique_key: Option<Arc<str>>,
    /// The task that it runs again.
    pub retry_of: Option<TaskId>,
    /// The older form that it came in; none for our own.
    pub origin: Option<Origin>,
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
    /// In the same order.
    pub made: Vec<Made>,
}

/// How a task came to be there. Where one stands that was there already is not said: it may have come far since, and to
/// look would be one more read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    Now(Status),
    /// By an earlier sending of this request.
    Before,
    /// By another request: it has the unique key.
    ByAnother,
}

impl Submitted {
    /// Whether they were all there already.
    pub fn existed(&self) -> bool {
        let now = |made: &Made| matches!(made, Made::Now(_));
        !self.made.iter().any(now)
    }
}

impl Submit {
    /// Of these, for the first time, and without a key.
    pub fn of(tasks: Vec<NewTask>) -> Self {
        Self {
            tasks,
            once: None,
            again: false,
        }
    }

    pub(crate) fn needs(&self, needs: &mut Needs, env: &Env<'_>) {
        need_places(&self.tasks, needs, env);
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

    /// A key whose task has ended is free.
    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        unique::more(self.unique_keys(), view, needs);
    }

    fn unique_keys(&self) -> impl Iterator<Item = UniqueKey> {
        self.tasks.iter().filter_map(NewTask::unique_key)
    }

    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Submitted, Refused> {
        if let Some(known) = self.known(view, env)? {
            return Ok(known);
        }
        // It only asked what its key stands for, which must be free for whoever makes something.
        if self.tasks.is_empty() {
            return Ok(Submitted {
                ids: [].into(),
                made: Vec::new(),
            });
        }
        let there = self.there(view, env)?;
        let tasks = self.tasks.iter().zip(&there);
        let fresh = tasks.filter_map(|(task, there)| there.is_none().then_some(&task.lane));
        take_up_lanes(fresh, view, env)?;
        let tasks = self.tasks.iter().zip(there);
        let (ids, made): (Vec<_>, _) = tasks
            .map(|(task, there)| there.unwrap_or_else(|| (task.id, task.make(view, env))))
            .unzip();
        let ids: Arc<[TaskId]> = ids.into();
        once::keep(self.once.as_ref(), Arc::clone(&ids), view, env);
        Ok(Submitted { ids, made })
    }

    /// What an earlier sending of this request made.
    fn known(&self, view: &View, env: &Env<'_>) -> Result<Option<Submitted>, Refused> {
        let known = once::known(self.once.as_ref(), view, env)?;
        Ok(known.map(|ids| Submitted {
            ids: Arc::clone(ids),
            made: vec![Made::Before; ids.len()],
        }))
    }

    /// For each task the one that stands in its place already.
    fn there(&self, view: &View, env: &Env<'_>) -> Result<Vec<Option<(TaskId, Made)>>, Refused> {
        let mut there = Vec::with_capacity(self.tasks.len());
        let mut chosen = HashSet::new();
        // By this very request.
        let mut taken: HashMap<UniqueKey, TaskId> = HashMap::new();
        for task in &self.tasks {
            if task.digest.is_some() && !chosen.insert(task.id) {
                return Err(Refused::IdTaken(task.id));
            }
            if self.exists(task, view, env)? {
                there.push(Some((task.id, Made::Before)));
                continue;
            }
            let holder = task.unique_key().and_then(|key| {
                let holder = unique::holder(&key, view).or_else(|| taken.get(&key).copied());
                taken.entry(key).or_insert(task.id);
                holder
            });
            there.push(holder.map(|holder| (holder, Made::ByAnother)));
        }
        Ok(there)
    }

    fn exists(&self, task: &NewTask, view: &View, env: &Env<'_>) -> Result<bool, Refused> {
        if !self.again && task.digest.is_none() {
            return Ok(false);
        }
        match view.tasks.get(&task.id) {
            Some(row) if row.digest == task.digest => Ok(true),
            Some(_) => Err(Refused::IdTaken(task.id)),
            None if !may_be_new(task, env) => Err(Refused::IdNotRecent {
                id: task.id,
                life: env.policy.key_life,
                skew: env.policy.clock_skew,
            }),
            None => Ok(false),
        }
    }
}

/// What making these tasks touches: lanes that have no number here yet, and unique keys.
pub(super) fn need_places(tasks: &[NewTask], needs: &mut Needs, env: &Env<'_>) {
    let lanes = tasks.iter().map(|task| &task.lane);
    let unknown = lanes.filter(|lane| env.lanes.number(lane).is_none());
    needs.lanes.extend(unknown.cloned().map(Arc::new));
    let keys = tasks.iter().filter_map(NewTask::unique_key);
    needs.uniques.extend(keys);
}

/// Gives numbers to the lanes that have none, if there is room for them. Done for tasks that are surely made, so that no
/// refused one uses a lane up.
pub(super) fn take_up_lanes<'a>(
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

/// No id may come back after its task was discarded. A client's id must be of our time besides: ids order the lists.
fn may_be_new(task: &NewTask, env: &Env<'_>) -> bool {
    let made = task.id.made_at();
    let is_old = made < env.now - env.policy.key_life;
    let is_ahead = made > env.now + env.policy.clock_skew;
    !(is_old && !task.is_of_any_age || is_ahead && task.digest.is_some())
}

impl NewTask {
    /// Of which nothing else is said.
    pub fn new(id: TaskId, lane: LaneKey, input: Json) -> Self {
        Self {
            id,
            lane,
            priority: Priority::default(),
            begin: Begin::Now,
            input,
            max_attempts: None,
            max_losses: None,
            timeout: None,
            retry: None,
            labels: Labels::default(),
            digest: None,
            is_of_any_age: false,
            is_exclusive: false,
            unique_key: None,
            retry_of: None,
            origin: None,
        }
    }

    /// The same task once more, which can only be said of one that has ended.
    pub fn again(view: &TaskView, id: TaskId) -> Result<Self, Refused> {
        if !view.status().is_final() {
            return Err(Refused::NotEnded(view.status()));
        }
        let task = &view.task;
        let input = task.input.here();
        let input = input.expect("what is run again was read with its input");
        if !input.is_whole() {
            return Err(Refused::Damaged("input"));
        }
        Ok(Self {
            id,
            lane: LaneKey::clone(&view.lane),
            priority: view.priority(),
            begin: Begin::Now,
            input: input.clone(),
            max_attempts: Some(task.limits.max_attempts),
            max_losses: Some(task.limits.max_losses),
            timeout: Some(task.timeout),
            retry: Some(task.retry),
            labels: task.labels.clone().ok_or(Refused::Damaged("labels"))?,
            digest: None,
            is_of_any_age: false,
            is_exclusive: task.is_exclusive,
            unique_key: task.unique_key.clone(),
            retry_of: Some(task.id),
            origin: task.origin,
        })
    }

    pub(super) fn unique_key(&self) -> Option<UniqueKey> {
        let key = self.unique_key.clone()?;
        let queue = self.lane.queue.clone();
        Some(UniqueKey { queue, key })
    }

    pub(super) fn make(&self, view: &mut View, env: &Env<'_>) -> Made {
        let row = self.row(view, env);
        if let Some(key) = self.unique_key() {
            let task = row.id;
            view.uniques.put(key.clone(), Unique { key, task });
        }
        let status = moves::place_new(view, &row, env);
        view.tasks.insert(row.id, Arc::new(row));
        Made::Now(status)
    }

    fn row(&self, view: &View, env: &Env<'_>) -> Task {
        let lane = view.lane(&self.lane, env.lanes);
        let lane = lane.expect("lanes are taken up before tasks are made");
        let defaults = env.queues.defaults(&self.lane.queue);
        // A time in the past means now; it must not overtake those who waited.
        let run_at = self.begin.at(env.now).max(env.now);
        Task {
            id: self.id,
            lane,
            order_key: OrderKey::new(run_at, self.priority, env.policy.priority_level),
            priority: self.priority,
            run_at,
            created_at: env.now,
            input: Input::Here(self.input.clone()),
            limits: Limits {
                max_attempts: self.max_attempts.unwrap_or_else(|| {
                    let kind = self.lane.kind.as_str();
                    env.policy.max_attempts_of(kind, defaults.max_attempts)
                }),
                max_losses: self.max_losses.unwrap_or(env.policy.max_losses),
            },
            timeout: self
                .timeout
                .or(defaults.timeout)
                .unwrap_or(env.policy.timeout),
            retry: self.retry.or(defaults.retry).unwrap_or(env.policy.retry),
            labels: Some(self.labels.clone()),
            digest: self.digest,
            is_exclusive: self.is_exclusive,
            unique_key: self.unique_key.clone(),
            retry_of: self.retry_of,
            origin: self.origin,
        }
    }
}
