//! Everything together: lets time pass, lets happen what is due, and looks after each commit whether the promises hold.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_core::labels::Labels;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::query::TaskView;
use taskyard_core::status::Status;
use taskyard_core::worker::Profile;

use crate::breakdowns;
use crate::changes::Changes;
use crate::client::Client;
use crate::database::Database;
use crate::faults;
use crate::invariants::{self, Moment};
use crate::network::{Body, Message, Node};
use crate::options::{Options, Rates, Store};
use crate::server::{Server, State};
use crate::staff;
use crate::surroundings::{Event, Surroundings};
use crate::tally::Tally;
use crate::worker::Worker;

/// How much time one step lets pass.
const STEP: Duration = Duration::from_millis(200);
/// How many steps everything may take to end once nothing goes wrong any more: longer than every lease, back-off and
/// suspicion of one task after the other.
const CALM_STEPS_MAX: usize = 3000;
/// SQLite is asked for the sum of its counters and for all its places only with one commit in so many, for these are most
/// of its time: a counter that is off and a place too many or too few stay, and are seen at the end at the latest.
const WHOLE_EVERY: u64 = 50;

pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) around: Surroundings,
    pub(crate) database: Database,
    pub(crate) servers: Vec<Server>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) clients: Vec<Client>,
    /// The last commit that was looked at.
    looked_at: u64,
    trace: Rc<Cell<Trace>>,
}

/// Of everything that happened so far, in its order: two histories of one seed have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Trace {
    events: u64,
    hash: u64,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} of trace {:016x}", self.events, self.hash)
    }
}

impl World {
    pub(crate) fn new(options: Options, trace: Rc<Cell<Trace>>) -> Self {
        let mut around = Surroundings::new(&options);
        let database = Database::new(&options);
        let servers = (0..options.servers)
            .map(|number| Server::new(number, &database, options.clock_lag, &around))
            .collect();
        let workers = (0..options.workers)
            .map(|number| Worker::new(number, profile(number), &options, &mut around))
            .collect();
        let clients = (0..options.clients)
            .map(|number| Client::new(number, &options, &mut around))
            .collect();
        let mut world = Self {
            options,
            around,
            database,
            servers,
            workers,
            clients,
            looked_at: 0,
            trace,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        for server in &mut self.servers {
            server.start(&mut self.around);
        }
        for worker in &mut self.workers {
            worker.start(&mut self.around);
        }
        for client in &self.clients {
            client.turn_soon(&mut self.around);
        }
        self.plan_next_fault();
    }

    fn plan_next_fault(&mut self) {
        faults::plan_next(&self.options, &mut self.around);
    }

    /// Lets a little time pass.
    pub(crate) fn step(&mut self) {
        let until = self.around.now + STEP;
        while let Some(event) = self.around.next(until) {
            self.note(&event);
            self.happen(event);
            breakdowns::check();
            self.look();
        }
    }

    fn note(&self, event: &Event) {
        let micros = self.around.now.as_micros().unsigned_abs();
        let parts = [micros, event.number(), self.database.commits()];
        let mix =
            |hash: u64, part: &u64| (hash ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        let Trace { events, hash } = self.trace.get();
        self.trace.set(Trace {
            events: events + 1,
            hash: parts.iter().fold(hash, mix),
        });
    }

    fn look(&mut self) {
        let commits = self.database.commits();
        if commits == self.looked_at {
            self.around.ledger.check_answers();
        } else {
            self.looked_at = commits;
            let whole = self.options.store == Store::Weak || commits.is_multiple_of(WHOLE_EVERY);
            self.look_at_rows(commits, whole);
        }
        if self.options.store == Store::Sqlite {
            self.look_at_those_who_wait();
        }
        for (task, fence) in std::mem::take(&mut self.around.ledger.refused) {
            if self.around.ledger.discarded.contains_key(&task) {
                continue;
            }
            invariants::refused_result_is_kept(&self.database.late(task), task, fence);
        }
    }

    /// Where there is no other server, nobody waits while there is something for it, as no poll would tell it; unless it is
    /// kept free for a suspect.
    fn look_at_those_who_wait(&self) {
        let known = &self.around.ledger.known;
        if known.free.is_empty() {
            return;
        }
        for (worker, epoch) in self.servers[0].waiting_workers() {
            let worker = &self.workers[worker];
            let queues = &self.around.ledger.queues;
            let serves = |lane: &&Arc<LaneKey>| {
                worker.profile.serves(lane) && !queues.is_paused(&lane.queue)
            };
            let Some(lane) = known.free.values().find(serves) else {
                continue;
            };
            let workers = self.database.workers();
            let mut rows = workers.iter().map(|view| &view.worker);
            let row = rows.find(|row| row.name == worker.name && row.epoch == epoch);
            assert!(
                row.is_none_or(|row| row.kept_for.is_some()),
                "{} waits, and something is ready in {lane:?}",
                worker.name
            );
        }
    }

    /// At the tasks that may have changed, and at the whole of the tables.
    fn look_at_rows(&mut self, commit: u64, whole: bool) {
        let changes = self.database.changed();
        let (views, gone) = self.look_at_tasks(&changes);
        let around = &mut self.around;
        if changes.queues {
            around.ledger.queues.see(self.database.queues(), commit);
        }
        let operations = changes.operations.then(|| self.database.operations());
        let moment = Moment {
            commit,
            since: around.since,
            latest: around.now.max(around.latest_batch),
            now: around.batch,
            policy: &around.policy,
        };
        invariants::check(&views, &gone, operations, &mut around.ledger, &moment);
        // SQLite takes long over this question.
        if changes.workers || whole || around.ledger.losses.has_suspects() {
            let workers = self.database.workers();
            let row_of = |name: &Name| self.database.worker(name);
            staff::see(&workers, row_of, &mut around.ledger, &moment);
            around.ledger.losses.check_workers(&workers, &moment);
            around.ledger.minutes.check_workers(&workers);
        }
        around.ledger.check_answers();
        if self.options.servers == 1 {
            invariants::suspects_are_alone(&around.ledger);
        }
        if whole {
            invariants::counters_are_exact(&self.database.counts(), &around.ledger);
            invariants::one_place_each(&self.database.places(), &around.ledger);
        }
        if whole && commit.is_multiple_of(WHOLE_EVERY) {
            around.ledger.minutes.check(&self.database.minutes());
        }
        if whole {
            around.ledger.presence.check(&self.database.servers());
        }
    }

    /// As they are now, and those of them that were there and are not.
    fn look_at_tasks(&self, changes: &Changes) -> (Vec<TaskView>, Vec<TaskId>) {
        let known = &self.around.ledger.known;
        let mut ids = changes.tasks.clone();
        if changes.scheduled {
            ids.extend(known.scheduled());
        }
        let (mut views, mut gone) = (Vec::new(), Vec::new());
        for id in ids {
            match self.database.task(id) {
                Some(view) => views.push(*view),
                None if known.tasks.contains_key(&id) => gone.push(id),
                None => {}
            }
        }
        (views, gone)
    }

    /// What is exclusive is done by one worker at a time; where no clock is set, or leases end when they should not.
    fn exclusive_runs_are_alone(&self, worker: usize) {
        if !self.options.is_steady {
            return;
        }
        let now = self.around.now;
        for task in self.workers[worker].exclusive(now) {
            let others = self.workers.iter().enumerate();
            let mut others = others.filter(|(other, _)| *other != worker);
            let other = others.find(|(_, other)| other.exclusive(now).any(|it| it == task));
            assert!(
                other.is_none(),
                "what is exclusive runs once at a time: {task} at {worker} and {:?}",
                other.map(|(other, _)| other)
            );
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(message) => self.arrives(message),
            Event::ServerTurn { server, life } => {
                let event = Event::ServerTurn { server, life };
                if self.servers[server].takes(Some(life), event).is_some() {
                    self.servers[server].turn(&mut self.around);
                }
            }
            Event::Service {
                server,
                life,
                service,
            } => {
                let event = Event::Service {
                    server,
                    life,
                    service,
                };
                if self.servers[server].takes(Some(life), event).is_some() {
                    self.servers[server].serve(service, &mut self.around);
                }
            }
            Event::ServerLeaves { server, life } => {
                let event = Event::ServerLeaves { server, life };
                if self.servers[server].takes(Some(life), event).is_some() {
                    self.server_leaves(server);
                }
            }
            Event::ServerReturns(server) => self.server_returns(server),
            Event::WorkerTurn { worker, life } => {
                if self.workers[worker].life == life && self.workers[worker].turn(&mut self.around)
                {
                    let away = self.around.millis(100, 2_000);
                    self.worker_dies(worker, away);
                }
                self.exclusive_runs_are_alone(worker);
            }
            Event::WorkerReturns(worker) => self.workers[worker].start(&mut self.around),
            Event::ClientTurn(client) => self.clients[client].turn(&mut self.around),
            Event::Happens(fault) if !self.around.calm => self.happens(fault),
            Event::NextFault if !self.around.calm => self.plan_next_fault(),
            Event::DatabaseRecovers => self.database.set_trouble(None),
            Event::Happens(_) | Event::NextFault => {}
        }
    }

    fn arrives(&mut self, message: Message) {
        match message.to {
            Node::Server(server) => {
                let event = Event::Arrives(message);
                if let Some(Event::Arrives(message)) = self.servers[server].takes(None, event) {
                    self.servers[server].hears(message, &mut self.around);
                }
            }
            Node::Worker(worker) => {
                let worker = &mut self.workers[worker];
                if let (Body::Told(told), true) = (message.body, worker.alive) {
                    worker.hears(message.ticket, told, &mut self.around);
                }
            }
            Node::Client(client) => {
                if let Body::Told(told) = message.body {
                    self.clients[client].hears(message.ticket, told, &mut self.around);
                }
            }
        }
    }

    fn server_returns(&mut self, server: usize) {
        match self.servers[server].state {
            State::Up => {}
            State::Paused { .. } => self.servers[server].resume(&mut self.around),
            State::Leaving => self.servers[server].is_killed_while_leaving(&mut self.around),
            State::Down => {}
        }
        if self.servers[server].state == State::Down {
            self.servers[server].start(&mut self.around);
        }
    }

    /// Faults stop; what was begun must end.
    pub(crate) fn calm_down(&mut self) {
        self.around.calm = true;
        self.around.network.rates = Rates::default();
        self.database.calm_down();
        for _ in 0..CALM_STEPS_MAX {
            if self.has_ended() {
                return self.look_back();
            }
            self.step();
        }
        let open = self.around.ledger.known.open();
        let open: Vec<_> = open.filter_map(|id| self.database.task(id)).collect();
        let workers = self.database.workers();
        let operations: Vec<_> = self.around.ledger.operations.running().collect();
        panic!(
            "I8: these never ended: {open:#?}, workers {workers:#?}, operations {operations:#?}"
        );
    }

    fn has_ended(&self) -> bool {
        let ledger = &self.around.ledger;
        ledger.known.open().next().is_none() && ledger.operations.running().next().is_none()
    }

    /// I1, I13: what was acknowledged is read back.
    fn look_back(&mut self) {
        self.look_at_rows(self.database.commits(), true);
        let minutes = self.database.minutes();
        self.around.ledger.minutes.check(&minutes);
        for task in self.around.ledger.known.tasks.keys() {
            let kept = self.database.late(*task).len();
            let most = usize::try_from(self.around.policy.history_max).expect("few");
            assert!(kept <= most + 1, "I4: few refused results are kept: {kept}");
        }
        let ledger = &self.around.ledger;
        let completed = ledger.completed.iter();
        let kept = completed.filter(|(task, _)| !ledger.discarded.contains_key(*task));
        for (task, (fence, output)) in kept {
            let view = self
                .database
                .task(*task)
                .expect("I1: a completed task is there");
            let taskyard_core::query::Standing::Ended(outcome) = &view.standing else {
                panic!("I13: an acknowledged completion is read back: {view:?}");
            };
            assert_eq!(
                (outcome.status, outcome.fence, outcome.output.as_ref()),
                (Status::Completed, *fence, Some(output)),
                "I13: an acknowledged completion is read back"
            );
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = self.around.tally.clone();
        tally.add(self.database.tally());
        tally.add(self.around.ledger.tally.clone().into_counts());
        for outcome in self.around.ledger.outcomes.values() {
            tally.count(match outcome.status {
                Status::Completed => "ended_completed",
                Status::Failed => "ended_failed",
                Status::Timeout => "ended_timeout",
                _ => "ended_cancelled",
            });
        }
        tally
    }
}

/// The first serves everything, the others a part.
fn profile(number: usize) -> Profile {
    let names = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Name::path(text).expect("a name"))
            .collect()
    };
    let gpu = Labels::new([("gpu", "a100")]).expect("a label");
    match number % 4 {
        0 => Profile::new(None, None, gpu),
        1 => Profile::new(Some(names(&["a", "poison"])), None, Labels::default()),
        2 => Profile::new(
            Some(names(&["b"])),
            Some(names(&["default"])),
            Labels::default(),
        ),
        _ => Profile::new(None, Some(names(&["bulk"])), Labels::default()),
    }
}
