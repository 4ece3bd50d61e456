//! One transaction of the weak model. It lets others run between its statements, waits for the rows that it locks
//! by name, passes over locked ones in picks, and reads the rest as it stands at that moment.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use taskyard_core::diff::Diff;
use taskyard_core::id::{SlotKey, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::needs::{Hold, Needs};
use taskyard_core::rows::Closed;
use taskyard_core::store::Error;
use taskyard_core::view::View;

use super::locks::{Number, Row, Wish};
use super::{Shared, Trouble, Weakness};
use crate::model::tables::{ready_key, scheduled_key};
use crate::tx::{Inputs, Tx, Undone, Writer};

/// How often others may run before a statement that comes late: enough for several batches.
const STALL: usize = 20;
/// How often they may run at most until a slot moves.
const TEAR: usize = 50;

/// Lets whoever polls this transaction do something else first.
pub(super) async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

pub(super) struct WeakWriter(pub(super) Rc<RefCell<Shared>>);

pub(super) struct WeakTx {
    shared: Rc<RefCell<Shared>>,
    number: Number,
}

impl Writer for WeakWriter {
    type Tx<'a> = WeakTx;

    async fn begin(&mut self) -> Result<WeakTx, Error> {
        let mut shared = self.0.borrow_mut();
        shared.latest += 1;
        Ok(WeakTx {
            number: shared.latest,
            shared: Rc::clone(&self.0),
        })
    }

    async fn open_among(&mut self, lanes: &[Lane]) -> Result<Vec<Lane>, Error> {
        pause().await;
        let mut shared = self.0.borrow_mut();
        if shared.trouble == Some(Trouble::Away) {
            return Err(Error::Unavailable("the model is away".into()));
        }
        let open = shared.tables.open_lanes(lanes);
        if open.len() < lanes.len() {
            shared.count("lanes_are_forgotten");
        }
        Ok(open)
    }
}

impl Drop for WeakTx {
    fn drop(&mut self) {
        self.shared.borrow_mut().locks.release(self.number);
    }
}

impl Tx for WeakTx {
    async fn load(&mut self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        self.load_servers_and_workers(needs, view).await?;
        self.load_queues(needs, view).await?;
        self.load_places(needs, view).await?;
        self.load_keys(needs, view).await?;
        self.read(needs, view).await?;
        self.pick(needs, view).await?;
        self.note_gaps(needs, view);
        Ok(())
    }

    async fn commit(self, diff: Diff) -> Result<Inputs, Undone> {
        pause().await;
        let written = self.shared.borrow_mut().commit(self.number, diff);
        // What others do now happens before anybody hears of this commit.
        self.statement().await;
        written
    }
}

impl WeakTx {
    /// Before each statement others may run. Answers the number of the last commit that it sees.
    async fn statement(&self) -> u64 {
        let pauses = self.shared.borrow_mut().happens(|weakness| weakness.pause);
        if pauses {
            pause().await;
        }
        self.stall(|weakness| weakness.stall).await;
        self.shared.borrow().commits
    }

    async fn stall(&self, rate: impl Fn(&Weakness) -> u64) {
        if !self.shared.borrow_mut().happens(rate) {
            return;
        }
        self.shared.borrow_mut().count("statement_comes_late");
        for _ in 0..STALL {
            pause().await;
        }
    }

    /// Comes late to the places where slots should stand: once one of them has moved, if one does, and at times so much
    /// later that it may have come back.
    async fn tear(&self, needs: &Needs) {
        if !self.shared.borrow_mut().happens(|weakness| weakness.tear) {
            return;
        }
        let stands = |shared: &Shared| {
            let scheduled = needs.scheduled.iter();
            let ready = needs.ready.iter();
            scheduled
                .filter(|key| shared.tables.scheduled.contains_key(key))
                .count()
                + ready
                    .filter(|key| shared.tables.ready.contains_key(key))
                    .count()
        };
        let before = stands(&self.shared.borrow());
        for _ in 0..TEAR {
            if stands(&self.shared.borrow()) != before {
                self.shared
                    .borrow_mut()
                    .count("slot_moves_before_it_is_looked_for");
                break;
            }
            pause().await;
        }
        self.stall(|_| 500).await;
    }

    /// The same, and the database may be gone.
    async fn begin_statement(&self) -> Result<u64, Error> {
        let since = self.statement().await;
        let mut shared = self.shared.borrow_mut();
        let is_away = shared.trouble == Some(Trouble::Away);
        if is_away || shared.happens(|weakness| weakness.unavailable) {
            shared.count("database_is_unavailable");
            return Err(Error::Unavailable("the model plays dead".into()));
        }
        Ok(since)
    }

    /// Whether the row is there for a statement of that time; then it is held.
    async fn lock(&self, row: Row, since: u64) -> Result<bool, Error> {
        let mut waited = false;
        loop {
            let wish = {
                let mut shared = self.shared.borrow_mut();
                if !shared.has(&row) || !shared.locks.is_seen(&row, since) {
                    if waited {
                        shared.count("row_goes_while_it_is_waited_for");
                    }
                    return Ok(false);
                }
                shared.locks.wish(&row, self.number)
            };
            match wish {
                Wish::Held => return Ok(true),
                Wish::Waits => pause().await,
                Wish::Deadlock => {
                    self.shared.borrow_mut().count("deadlock_is_broken");
                    return Err(Error::Conflict);
                }
            }
            if !waited {
                self.shared.borrow_mut().count("lock_is_waited_for");
            }
            waited = true;
        }
    }

    async fn load_queues(&self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        if needs.queues {
            let since = self.begin_statement().await?;
            let names: Vec<_> = self.shared.borrow().tables.queues.keys().cloned().collect();
            for name in names {
                if self.lock(Row::Queue(name.clone()), since).await? {
                    let row = self.shared.borrow().tables.queues[&name].clone();
                    view.queues.loaded(name, row);
                }
            }
        }
        if !needs.operations.is_empty() {
            let since = self.begin_statement().await?;
            for id in &needs.operations {
                if self.lock(Row::Operation(*id), since).await? {
                    let row = self.shared.borrow().tables.operations[id].clone();
                    view.operations.loaded(*id, row);
                }
            }
        }
        if let Some(max) = needs.open_operations {
            self.begin_statement().await?;
            let open = self
                .shared
                .borrow()
                .tables
                .open_operations()
                .take(max)
                .count();
            view.found_open_operations(open);
        }
        if needs.paused {
            self.begin_statement().await?;
            view.found_paused(self.shared.borrow().tables.paused());
        }
        Ok(())
    }

    async fn load_servers_and_workers(&self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        if needs.servers {
            let since = self.begin_statement().await?;
            let numbers: Vec<_> = self
                .shared
                .borrow()
                .tables
                .servers
                .keys()
                .copied()
                .collect();
            for number in numbers {
                if self.lock(Row::Server(number), since).await? {
                    view.servers
                        .loaded(number, self.shared.borrow().tables.servers[&number]);
                }
            }
        }
        if !needs.lanes.is_empty() {
            self.begin_statement().await?;
            let tables = &self.shared.borrow().tables;
            tables.load_lanes(&needs.lanes, view);
        }
        if needs.last_worker {
            let tables = &self.shared.borrow().tables;
            let last = tables.workers.values().map(|row| row.number).max();
            view.found_last_worker(last.unwrap_or(WorkerNumber(0)), tables.given_before);
        }
        if let Some(max) = needs.live_workers {
            let tables = &self.shared.borrow().tables;
            view.found_live_workers(tables.remembered().take(max).count());
        }
        if needs.workers.is_empty() {
            return Ok(());
        }
        let since = self.begin_statement().await?;
        for (name, hold) in &needs.workers {
            if *hold == Hold::Lock && !self.lock(Row::Worker(name.clone()), since).await? {
                continue;
            }
            if let Some(row) = self.shared.borrow().tables.workers.get(name) {
                view.workers.loaded(name.clone(), row.clone());
            }
        }
        Ok(())
    }

    async fn load_places(&self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        if !needs.scheduled.is_empty() || !needs.ready.is_empty() {
            self.tear(needs).await;
        }
        if !needs.scheduled.is_empty() {
            let since = self.begin_statement().await?;
            for key in &needs.scheduled {
                if self.lock(Row::Scheduled(*key), since).await? {
                    let row = self.shared.borrow().tables.scheduled[key];
                    view.scheduled.loaded(key.slot, row);
                }
            }
        }
        if !needs.ready.is_empty() {
            let since = self.begin_statement().await?;
            for key in &needs.ready {
                if self.lock(Row::Ready(*key), since).await? {
                    let row = self.shared.borrow().tables.ready[key];
                    view.ready.loaded(key.slot, row);
                }
            }
        }
        if !needs.leases.is_empty() {
            let since = self.begin_statement().await?;
            for (slot, hold) in &needs.leases {
                if *hold == Hold::Lock && !self.lock(Row::Lease(*slot), since).await? {
                    continue;
                }
                if let Some(row) = self.shared.borrow().tables.leases.get(slot) {
                    view.leases.loaded(*slot, row.clone());
                }
            }
        }
        Ok(())
    }

    /// Counts what moved while it was looked for: a slot whose places were all named and that was found in none.
    fn note_gaps(&self, needs: &Needs, view: &View) {
        let mut shared = self.shared.borrow_mut();
        let nowhere = |slot: &SlotKey| {
            view.leases.peek(slot).is_none()
                && view.ready.peek(slot).is_none()
                && view.scheduled.peek(slot).is_none()
                && view.outcomes.peek(&slot.task).is_none()
        };
        for slot in needs.ready.iter().map(|key| key.slot).filter(nowhere) {
            shared.count("named_load_falls_between_two_places");
            if shared.tables.outcomes.contains_key(&slot.task) {
                shared.count("task_ends_while_it_is_looked_for");
            }
        }
        if view.is_torn() {
            shared.count("task_comes_while_it_is_looked_for");
        }
    }

    async fn load_keys(&self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        if !needs.uniques.is_empty() {
            let since = self.begin_statement().await?;
            for key in &needs.uniques {
                if self.lock(Row::Unique(key.clone()), since).await? {
                    let row = self.shared.borrow().tables.uniques[key].clone();
                    view.uniques.loaded(key.clone(), row);
                }
            }
        }
        if !needs.minutes.is_empty() {
            let since = self.begin_statement().await?;
            for key in &needs.minutes {
                if self.lock(Row::Minute(*key), since).await? {
                    let row = self.shared.borrow().tables.minutes[key].clone();
                    view.minutes.loaded(*key, row);
                }
            }
        }
        if needs.idempotency.is_empty() {
            return Ok(());
        }
        let since = self.begin_statement().await?;
        for key in &needs.idempotency {
            if self.lock(Row::Key(key.clone()), since).await? {
                let row = self.shared.borrow().tables.idempotency[key].clone();
                view.idempotency.loaded(key.clone(), row);
            }
        }
        Ok(())
    }

    async fn read(&self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        if !needs.relics.is_empty() {
            self.begin_statement().await?;
            let shared = &mut *self.shared.borrow_mut();
            for task in &needs.relics {
                let row = Row::Relic(*task);
                if shared.has(&row) && shared.locks.is_free(&row, self.number) {
                    shared.locks.wish(&row, self.number);
                    if let Some(relic) = shared.tables.relic(*task) {
                        view.relics.loaded(*task, relic);
                    }
                }
            }
        }
        if !needs.tasks.is_empty() {
            self.begin_statement().await?;
            let shared = self.shared.borrow();
            let found = needs
                .tasks
                .iter()
                .filter_map(|id| shared.tables.tasks.get(id));
            found.for_each(|row| view.tasks.loaded(row.id, Arc::new(row.without_input())));
        }
        if !needs.carries.is_empty() {
            self.begin_statement().await?;
            let shared = self.shared.borrow();
            let found = needs
                .carries
                .iter()
                .filter_map(|slot| shared.tables.carries.get(slot));
            found.for_each(|row| view.carries.loaded(row.slot, row.clone().without_error()));
        }
        if !needs.outcomes.is_empty() {
            self.begin_statement().await?;
            let shared = self.shared.borrow();
            let found = needs
                .outcomes
                .iter()
                .filter_map(|id| shared.tables.outcomes.get(id));
            found.for_each(|row| view.outcomes.loaded(row.task, Closed::from(&**row)));
        }
        if !needs.leases_of.is_empty() {
            self.begin_statement().await?;
            let shared = self.shared.borrow();
            let leases = shared.tables.leases.values();
            leases
                .filter(|lease| needs.leases_of.contains(&lease.worker))
                .for_each(|lease| view.lease_of(lease.clone()));
        }
        Ok(())
    }

    async fn pick(&self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        if !needs.picks.is_empty() && needs.tasks.iter().any(|id| view.tasks.peek(id).is_none()) {
            // Meanwhile another server may put in what was not there, for the pick to find.
            self.stall(|weakness| weakness.tear).await;
        }
        for pick in &needs.picks {
            self.begin_statement().await?;
            let shared = &mut *self.shared.borrow_mut();
            let rows = shared.pick(pick, self.number);
            for (row, _) in &rows {
                shared.locks.wish(&Row::Ready(ready_key(row)), self.number);
            }
            view.picked(pick.clone(), rows);
        }
        if let Some(due) = needs.due {
            self.begin_statement().await?;
            let shared = &mut *self.shared.borrow_mut();
            let rows = shared.due(due, self.number);
            for row in &rows {
                shared
                    .locks
                    .wish(&Row::Scheduled(scheduled_key(row)), self.number);
            }
            view.found_due(rows);
        }
        if let Some(due) = needs.old_keys {
            self.begin_statement().await?;
            let shared = &mut *self.shared.borrow_mut();
            let rows = shared.old_keys(due, self.number);
            for row in &rows {
                shared.locks.wish(&Row::Key(row.key.clone()), self.number);
            }
            view.found_old_keys(rows);
        }
        Ok(())
    }
}
