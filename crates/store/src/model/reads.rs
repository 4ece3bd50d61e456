//! The model's answers to queries: plain walks over the maps.

use std::sync::Arc;

use taskyard_core::explain::{Explain, Surroundings};
use taskyard_core::id::{RunKey, SlotKey, TaskId, WorkerNumber};
use taskyard_core::lane::{Lane, LaneKey};
use taskyard_core::name::Name;
use taskyard_core::needs::{ReadyKey, ScheduledKey};
use taskyard_core::operation::Operation;
use taskyard_core::query::{
    Answer, AtWork, Attempts, Freeable, Held, Holder, Holding, List, Listed, Minutes, Query,
    RunView, Staff, Standing, Survey, TaskView, WorkerCounts, WorkerView,
};
use taskyard_core::rows::{Attempt, LateResult, Lease, Task, Unique, Worker};
use taskyard_core::store::Error;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::Lost;
use taskyard_core::verbs::held::Token;

use super::tables::Tables;

impl Tables {
    /// Why one task that is asked for cannot be shown.
    pub(super) fn blotted(&self, query: &Query) -> Option<Error> {
        let (Query::Task(id) | Query::Explain(Explain { task: id, .. })) = query else {
            return None;
        };
        let is_blotted = self.unreadable.contains(id);
        is_blotted.then(|| Error::Unreadable("task.origin cannot be 99".to_owned()))
    }

    pub(super) fn read(&self, query: Query) -> Answer {
        match query {
            Query::Task(id) => {
                Answer::Task(self.tasks.get(&id).map(|task| Box::new(self.view(task))))
            }
            Query::Tasks(list) => Answer::Tasks(self.list(&list)),
            Query::Attempts { task, detail_max } => self.attempts(task, detail_max),
            Query::Explain(asked) => {
                let task = self.tasks.get(&asked.task);
                let without = |task| without_payloads(self.view(task));
                Answer::Explain(task.map(|task| Box::new(self.around(without(task), &asked))))
            }
            Query::Counts => Answer::Counts(self.counts()),
            Query::Sums { names } => Answer::Sums(self.sums(names)),
            Query::Minutes { from } => {
                let minutes = self.minutes.values();
                Answer::Minutes(Minutes {
                    minutes: minutes
                        .filter(|row| row.key.minute >= from)
                        .cloned()
                        .collect(),
                    lanes: self.lanes_above(0),
                })
            }
            Query::Workers { after, limit } => {
                let behind = |row: &&Worker| after.as_ref().is_none_or(|after| row.name > *after);
                let listed = self.remembered().filter(behind).take(limit);
                Answer::Workers(listed.map(|row| self.worker(&row.name)).collect())
            }
            Query::WorkerCounts(now) => {
                let mut counts = WorkerCounts::default();
                for row in self.remembered() {
                    if row.is_offline(now) {
                        counts.offline += 1;
                    } else {
                        counts.online += 1;
                    }
                }
                Answer::WorkerCounts(counts)
            }
            Query::Survey { now, lanes } => Answer::Survey(self.survey(now, lanes)),
            Query::Gone {
                expired,
                ahead,
                limit,
            } => {
                let is_gone = |row: &&Worker| row.is_offline(expired) || row.expires_at > ahead;
                let gone = self.remembered().filter(is_gone);
                Answer::Gone(gone.take(limit).map(|row| row.name.clone()).collect())
            }
            Query::Worker(name) => Answer::Worker(self.workers.get(&name).cloned().map(Box::new)),
            Query::AtWork { worker, limit } => Answer::AtWork(self.at_work(&worker, limit)),
            Query::Named(numbers) => {
                let named = |number: WorkerNumber| Some((number, self.name(number)?));
                Answer::Named(numbers.into_iter().filter_map(named).collect())
            }
            Query::Queues => Answer::Queues(self.queues.values().cloned().collect()),
            Query::QueuePage(list) => Answer::QueuePage(self.queue_page(&list)),
            Query::Operation(id) => {
                Answer::Operation(self.operations.get(&id).cloned().map(Box::new))
            }
            Query::Operations { after, limit } => {
                let rows = self.operations.values().rev();
                let behind = rows.filter(|row| after.is_none_or(|after| row.id < after));
                Answer::Operations(behind.take(limit).cloned().collect())
            }
            Query::OpenOperations { limit } => {
                Answer::Operations(self.open_operations().take(limit).cloned().collect())
            }
            Query::OldOperations { ended, limit } => {
                let ended_at = |row: &Operation| row.ended_at().map(|at| (at, row.id));
                let rows = self.operations.values().filter_map(ended_at);
                let mut old: Vec<_> = rows.filter(|(at, _)| *at <= ended).collect();
                old.sort_unstable();
                Answer::OldOperations(old.into_iter().take(limit).map(|(_, id)| id).collect())
            }
            Query::Freeable { after, limit } => {
                let mut held: Vec<Unique> = self.uniques.values().cloned().collect();
                held.retain(|row| after.is_none_or(|after| row.task > after));
                held.sort_by_key(|row| row.task);
                held.truncate(limit);
                let ended = |row: Unique| {
                    let has_ended = self.outcomes.contains_key(&row.task);
                    (row, has_ended)
                };
                Freeable::of(held.into_iter().map(ended).collect(), limit).into()
            }
            Query::Relics {
                after,
                until,
                limit,
            } => {
                let ended = self.outcomes.keys().copied();
                let wanted = ended.filter(|task| *task > after && *task <= until);
                let wanted = wanted.take(limit);
                Answer::Relics(wanted.filter_map(|task| self.ended(task)).collect())
            }
            Query::Lost { looks, limit } => Answer::Lost(self.lost(looks, limit)),
            Query::Takeable {
                worker,
                before,
                limit,
            } => {
                let number = self.workers.get(&worker).map(|row| row.number);
                let goes = |lease: &&Lease| {
                    Some(lease.worker) == number
                        && before.is_none_or(|epoch| lease.epoch < epoch)
                        && !lease.is_exclusive
                };
                let takeable = self.leases.values().filter(goes).take(limit);
                Answer::Takeable(takeable.map(Lease::run).collect())
            }
            Query::Ended(tasks) => {
                let ended = |task: &TaskId| self.outcomes.contains_key(task);
                Answer::Ended(tasks.into_iter().filter(ended).collect())
            }
            Query::Known(tasks) => {
                let known = |task: &TaskId| self.tasks.contains_key(task);
                Answer::Known(tasks.into_iter().filter(known).collect())
            }
            Query::Holder(task) => {
                let there = self.tasks.contains_key(&task);
                Answer::Holder(there.then(|| self.holder(task)))
            }
            Query::Holdings { worker, limit } => Answer::Holdings(self.holdings(worker, limit)),
            Query::NextDue { skip } => {
                Answer::NextDue(self.scheduled.keys().nth(skip).map(|key| key.run_at))
            }
            Query::Ping => Answer::Pong,
        }
    }

    fn holder(&self, task: TaskId) -> Holder {
        let slot = SlotKey::only(task);
        if let Some(outcome) = self.outcomes.get(&task) {
            return Holder::Ended(outcome.status);
        }
        self.leases.get(&slot).map_or(Holder::Nobody, |lease| {
            Holder::Worker(Held::new(lease, self.carries.get(&slot)))
        })
    }

    fn holdings(&self, worker: Option<WorkerNumber>, limit: usize) -> Vec<Holding> {
        let leases = self.leases.values();
        let its = leases.filter(|lease| worker.is_none_or(|worker| lease.worker == worker));
        let mut held: Vec<Holding> = its
            .map(|lease| Holding {
                by: (lease.worker, lease.epoch),
                token: Token {
                    slot: lease.slot,
                    fence: lease.fence,
                    secret: lease.secret,
                },
            })
            .collect();
        held.sort_unstable_by_key(|holding| (holding.by.0, holding.token.slot));
        held.truncate(limit);
        held
    }

    fn view(&self, task: &Arc<Task>) -> TaskView {
        let slot = SlotKey::only(task.id);
        let standing = self.standing(task, slot).expect("a task stands somewhere");
        let worker = match &standing {
            Standing::Ended(outcome) => outcome.worker,
            Standing::Leased(lease) => Some(lease.worker),
            Standing::Scheduled(_) | Standing::Ready => None,
        };
        TaskView {
            task: Arc::clone(task),
            lane: self.lane(task),
            standing,
            carry: self.carries.get(&slot).cloned(),
            worker: worker.and_then(|number| self.name(number)),
        }
    }

    fn around(&self, view: TaskView, asked: &Explain) -> Surroundings {
        let before = view.ready_key().map_or(0, |key| {
            let of_lane = self.ready.keys().filter(|other| other.lane == key.lane);
            of_lane.filter(|other| **other < key).count()
        });
        let online = self.remembered().filter(|row| !row.is_offline(asked.now));
        let workers = online.take(if view.waits() { asked.workers } else { 0 });
        Surroundings {
            is_queue_paused: (self.queues.get(&view.lane.queue))
                .is_some_and(|queue| queue.is_paused),
            before: before.min(asked.before),
            workers: workers.map(|row| self.worker(&row.name)).collect(),
            holder: view
                .holder()
                .and_then(|name| self.workers.get(name).cloned()),
            view,
        }
    }

    fn standing(&self, task: &Task, slot: SlotKey) -> Option<Standing> {
        if let Some(outcome) = self.outcomes.get(&task.id) {
            return Some(Standing::Ended(Arc::clone(outcome)));
        }
        if let Some(lease) = self.leases.get(&slot) {
            return Some(Standing::Leased(Box::new(lease.clone())));
        }
        let carry = self.carries.get(&slot);
        let (run_at, order_key) = carry.map_or((task.run_at, task.order_key), |carry| {
            (carry.run_at, carry.order_key)
        });
        if let Some(row) = self.scheduled.get(&ScheduledKey { run_at, slot }) {
            return Some(Standing::Scheduled(*row));
        }
        let in_lane = |lane| ReadyKey {
            lane,
            order_key,
            slot,
        };
        let lanes = [task.lane, task.lane.twin()];
        let is_ready = lanes
            .map(in_lane)
            .iter()
            .any(|key| self.ready.contains_key(key));
        is_ready.then_some(Standing::Ready)
    }

    fn lane(&self, task: &Task) -> Arc<LaneKey> {
        Arc::clone(&self.lanes[place(task.lane)])
    }

    pub(super) fn remembered(&self) -> impl Iterator<Item = &Worker> {
        self.workers.values().filter(|row| !row.is_forgotten)
    }

    fn name(&self, number: WorkerNumber) -> Option<Name> {
        self.workers
            .values()
            .find(|row| row.number == number)
            .map(|row| row.name.clone())
    }

    fn worker(&self, name: &Name) -> WorkerView {
        let worker = self.workers[name].clone();
        let held = self
            .leases
            .values()
            .filter(|lease| lease.worker == worker.number)
            .count();
        WorkerView { worker, held }
    }

    fn at_work(&self, name: &Name, limit: usize) -> Option<Box<AtWork>> {
        let row = self.workers.get(name).filter(|row| !row.is_forgotten)?;
        let its = self.leases.values();
        let mut leases: Vec<&Lease> = its.filter(|lease| lease.worker == row.number).collect();
        leases.sort_by_key(|lease| (lease.claimed_at, lease.slot));
        let runs = leases.into_iter().take(limit).map(|lease| {
            let lane = &self.lanes[place(lease.lane)];
            RunView {
                task: lease.slot.task,
                queue: lane.queue.clone(),
                kind: lane.kind.clone(),
                attempt: lease.attempt(self.carries.get(&lease.slot)),
                claimed_at: lease.claimed_at,
                started_at: lease.started_at,
                expires_at: lease.expires_at,
                progress: lease.progress.clone(),
            }
        });
        Some(Box::new(AtWork {
            runs: runs.collect(),
            view: self.worker(name),
        }))
    }

    fn list(&self, list: &List) -> Listed {
        let mut tasks: Vec<&Arc<Task>> = self.tasks.values().collect();
        if !list.oldest_first {
            tasks.reverse();
        }
        let behind = |task: &&&Arc<Task>| match list.after {
            None => true,
            Some(after) if list.oldest_first => task.id > after,
            Some(after) => task.id < after,
        };
        let mut listed = Listed::default();
        let mut after = list.after;
        let ids = list.filter.ids();
        let in_time = |task: &&&Arc<Task>| ids.contains(&task.id.as_uuid().as_u128());
        let candidates = tasks.iter().filter(behind).filter(in_time);
        for (looked_at, task) in candidates.enumerate() {
            if looked_at == list.look_at_max {
                listed.next = after;
                break;
            }
            let view = (!self.unreadable.contains(&task.id)).then(|| self.view(task));
            if view
                .as_ref()
                .is_none_or(|view| list.filter.lets_through(view))
            {
                if listed.items.len() == list.limit {
                    listed.next = listed.items.last().map(|view| view.task.id);
                    break;
                }
                match view {
                    Some(view) => listed.items.push(view),
                    None => listed.unreadable.push(task.id),
                }
            }
            after = Some(task.id);
        }
        listed
    }

    fn attempts(&self, id: TaskId, detail_max: usize) -> Answer {
        let mut ended: Vec<(Attempt, Option<Name>)> = self
            .attempts
            .values()
            .filter(|row| row.run.slot.task == id)
            .map(|row| (row.clone(), self.name(row.worker)))
            .collect();
        let mut late: Vec<LateResult> = self
            .late_results
            .values()
            .filter(|row| row.run.slot.task == id)
            .cloned()
            .collect();
        let errors = ended.iter_mut().map(|(row, _)| &mut row.error);
        let errors = errors.chain(late.iter_mut().map(|row| &mut row.error));
        for error in errors.flatten() {
            error.leave_out_above(detail_max);
        }
        Answer::Attempts(Attempts { ended, late })
    }

    fn survey(&self, now: Timestamp, lanes: usize) -> Survey {
        let mut staff = Staff::default();
        for row in self.remembered() {
            match (row.server.is_some(), row.is_offline(now)) {
                (false, false) => staff.online += 1,
                (false, true) => staff.offline += 1,
                (true, false) => staff.internal += 1,
                (true, true) => {}
            }
        }
        let mut waiting = self.waiting();
        waiting.truncate(lanes);
        Survey {
            tasks: self.sums(0).all,
            pending: self.pending(),
            waiting,
            staff,
        }
    }

    /// The queue of each lane in which something is ready, and when what is next in turn there became due.
    pub(super) fn waiting(&self) -> Vec<(Name, Timestamp)> {
        let mut last = None;
        let mut waiting = Vec::new();
        for key in self.ready.keys() {
            if last.replace(key.lane) == Some(key.lane) {
                continue;
            }
            let carried = self.carries.get(&key.slot).map(|carry| carry.run_at);
            let task = self.tasks.get(&key.slot.task);
            if let Some(due) = carried.or(task.map(|task| task.run_at)) {
                let queue = &self.lanes[place(key.lane)].queue;
                waiting.push((queue.clone(), due));
            }
        }
        waiting
    }

    fn lost(&self, looks: Lost, limit: usize) -> Vec<(RunKey, Option<Name>)> {
        let looks_lost = |lease: &&Lease| {
            let worker = self.workers.values().find(|row| row.number == lease.worker);
            looks.looks_lost(lease, worker)
        };
        let lost = self.leases.values().filter(looks_lost).take(limit);
        lost.map(|lease| (lease.run(), self.name(lease.worker)))
            .collect()
    }
}

/// As a database answers that reads neither inputs nor outputs.
fn without_payloads(mut view: TaskView) -> TaskView {
    view.task = Arc::new(view.task.without_input());
    if let Standing::Ended(outcome) = &mut view.standing {
        Arc::make_mut(outcome).output = None;
    }
    view
}

/// Where its key stands, or that of the lane whose twin it is.
fn place(lane: Lane) -> usize {
    usize::try_from(lane.plain().0 - 1).expect("lanes are numbered from 1")
}
