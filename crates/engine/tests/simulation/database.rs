//! The database that the servers share, and a server's own view of it: the weak model, or SQLite in memory.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use taskyard_core::command::Command;
use taskyard_core::filter::Filter;
use taskyard_core::id::TaskId;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::minute::Minute;
use taskyard_core::name::Name;
use taskyard_core::operation::Operation;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Counted, List, Query, TaskView, WorkerView};
use taskyard_core::queue::Queue;
use taskyard_core::random::Seeded;
use taskyard_core::rows::{LateResult, Server, Worker};
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran};
use taskyard_core::time::Timestamp;
use taskyard_store::model::weak::{self, Trouble};
use taskyard_store::sqlite::Inline;

use crate::changes::Changes;
use crate::options::{Options, Store};

pub(crate) type Running = Pin<Box<dyn Future<Output = Result<Ran, store::Error>>>>;

#[derive(Clone)]
pub(crate) enum Database {
    Weak(weak::Database),
    Sqlite(Sqlite),
}

#[derive(Clone)]
pub(crate) struct Sqlite {
    /// Out only while its server starts again.
    inline: Rc<RefCell<Option<Inline>>>,
    random: Rc<RefCell<Seeded>>,
    commits: Rc<Cell<u64>>,
    changed: Rc<RefCell<Changes>>,
}

/// One server's view.
#[derive(Clone)]
pub(crate) enum Mine {
    Weak(Rc<weak::Server>),
    Sqlite(Sqlite),
}

impl Database {
    pub(crate) fn new(options: &Options) -> Self {
        match options.store {
            Store::Weak => Self::Weak(weak::Database::new(options.seed, options.weakness)),
            Store::Sqlite => {
                let mut random = Seeded::new(options.seed);
                let inline = Inline::new(&mut random).expect("SQLite opens in memory");
                Self::Sqlite(Sqlite {
                    inline: Rc::new(RefCell::new(Some(inline))),
                    random: Rc::new(RefCell::new(random)),
                    commits: Rc::default(),
                    changed: Rc::default(),
                })
            }
        }
    }

    /// Something is wrong with it as a whole, or nothing any more. SQLite, within its server, cannot be away.
    pub(crate) fn set_trouble(&self, trouble: Option<Trouble>) {
        match self {
            Self::Weak(database) => database.set_trouble(trouble),
            Self::Sqlite(sqlite) => sqlite
                .inline
                .borrow()
                .as_ref()
                .expect("it is open")
                .set_full(trouble == Some(Trouble::Full))
                .expect("SQLite in memory can be limited"),
        }
    }

    /// As a server finds it that has just started.
    pub(crate) fn server(&self) -> Mine {
        match self {
            Self::Weak(database) => Mine::Weak(Rc::new(database.server())),
            Self::Sqlite(sqlite) => {
                let inline = sqlite.inline.take().expect("one server at a time");
                let restarted = inline.restarted().expect("it opened before");
                sqlite.inline.replace(Some(restarted));
                Mine::Sqlite(sqlite.clone())
            }
        }
    }

    /// Rises with everything that is written.
    pub(crate) fn commits(&self) -> u64 {
        match self {
            Self::Weak(database) => database.commits(),
            Self::Sqlite(sqlite) => sqlite.commits.get(),
        }
    }

    pub(crate) fn calm_down(&self) {
        self.set_trouble(None);
        if let Self::Weak(database) = self {
            database.set(weak::Weakness {
                pause: 200,
                ..weak::Weakness::default()
            });
        }
    }

    pub(crate) fn tally(&self) -> weak::Tally {
        match self {
            Self::Weak(database) => database.tally(),
            Self::Sqlite(_) => weak::Tally::new(),
        }
    }

    /// From the rows as they stand.
    pub(crate) fn read(&self, query: Query) -> Answer {
        match self {
            Self::Weak(database) => database.read(query),
            Self::Sqlite(sqlite) => sqlite.read(&query),
        }
    }

    pub(crate) fn task(&self, task: TaskId) -> Option<Box<TaskView>> {
        self.read(Query::Task(task)).task()
    }

    pub(crate) fn workers(&self) -> Vec<WorkerView> {
        let everybody = Query::Workers {
            after: None,
            limit: usize::MAX,
        };
        self.read(everybody).workers()
    }

    /// Also one that is listed no more.
    pub(crate) fn worker(&self, name: &Name) -> Option<Worker> {
        self.read(Query::Worker(name.clone()))
            .worker()
            .map(|row| *row)
    }

    /// The refused results that are kept of a task.
    pub(crate) fn late(&self, task: TaskId) -> Vec<LateResult> {
        let query = Query::Attempts {
            task,
            detail_max: usize::MAX,
        };
        self.read(query).attempts().late
    }

    /// What may have changed since this was last asked.
    pub(crate) fn changed(&self) -> Changes {
        match self {
            Self::Weak(database) => Changes::of_tasks(database.changed()),
            Self::Sqlite(sqlite) => sqlite.changed.take(),
        }
    }

    pub(crate) fn queues(&self) -> Vec<Queue> {
        self.read(Query::Queues).queues()
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let all = Query::Operations {
            after: None,
            limit: 1000,
        };
        self.read(all).operations()
    }

    pub(crate) fn minutes(&self) -> Vec<Minute> {
        self.read(Query::Minutes { from: 0 }).minutes().minutes
    }

    /// Also those that are up no more.
    pub(crate) fn servers(&self) -> Vec<Server> {
        match self {
            Self::Weak(database) => database.servers(),
            Self::Sqlite(sqlite) => {
                let inline = sqlite.inline.borrow();
                let inline = inline.as_ref().expect("it is open");
                inline.servers().expect("SQLite in memory answers")
            }
        }
    }

    /// The tasks that stand in some place or have ended, each as often as it does, in order.
    pub(crate) fn places(&self) -> Vec<TaskId> {
        match self {
            Self::Weak(database) => database.places(),
            // These lists walk the table of each place.
            Self::Sqlite(_) => {
                let lists = Status::ALL.map(|status| self.list(status));
                let mut ids: Vec<TaskId> = lists.into_iter().flatten().collect();
                ids.sort_unstable();
                ids
            }
        }
    }

    pub(crate) fn counts(&self) -> Vec<Counted> {
        self.read(Query::Counts).counts()
    }

    fn list(&self, status: Status) -> Vec<TaskId> {
        let mut list = List {
            filter: Filter {
                statuses: vec![status],
                ..Filter::default()
            },
            limit: 1000,
            ..List::default()
        };
        let mut ids = Vec::new();
        loop {
            let listed = self.read(Query::Tasks(list.clone())).tasks();
            ids.extend(listed.items.iter().map(|view| view.task.id));
            list.after = listed.next;
            if list.after.is_none() {
                return ids;
            }
        }
    }
}

impl Sqlite {
    fn read(&self, query: &Query) -> Answer {
        let inline = self.inline.borrow();
        let inline = inline.as_ref().expect("it is open");
        inline
            .read_blocking(query)
            .expect("SQLite in memory answers")
    }
}

impl Mine {
    /// No other server can be up on this database.
    pub(crate) fn is_alone(&self) -> bool {
        match self {
            Self::Weak(_) => false,
            Self::Sqlite(_) => true,
        }
    }

    /// How many batches are taken before the first is answered. SQLite runs on while the disk takes the last.
    pub(crate) fn batches_max(&self) -> usize {
        match self {
            Self::Weak(_) => 1,
            Self::Sqlite(_) => 3,
        }
    }

    /// A batch, to be polled by hand.
    pub(crate) fn run(&self, batch: Vec<Command>, policy: &Policy, now: Timestamp) -> Running {
        let policy = policy.clone();
        match self {
            Self::Weak(server) => {
                let server = Rc::clone(server);
                Box::pin(async move { server.run(&batch, &policy, now).await })
            }
            Self::Sqlite(sqlite) => {
                let sqlite = sqlite.clone();
                Box::pin(async move {
                    let mut inline = sqlite.inline.borrow_mut();
                    let inline = inline.as_mut().expect("it is open");
                    let random = &mut *sqlite.random.borrow_mut();
                    sqlite.commits.set(sqlite.commits.get() + 1);
                    let ran = inline.run_blocking(&batch, &policy, now, random);
                    if let Ok(ran) = &ran {
                        sqlite.changed.borrow_mut().ran(&batch, ran);
                    }
                    ran
                })
            }
        }
    }

    pub(crate) fn read(&self, query: Query) -> Answer {
        match self {
            Self::Weak(server) => server.read(query),
            Self::Sqlite(sqlite) => sqlite.read(&query),
        }
    }

    pub(crate) fn lanes(&self) -> Arc<Lanes> {
        match self {
            Self::Weak(server) => server.lanes(),
            Self::Sqlite(sqlite) => sqlite.inline.borrow().as_ref().expect("it is open").lanes(),
        }
    }

    /// It has asked which lanes these are, that others have made.
    pub(crate) fn learn(&self, lanes: &[Lane]) {
        if let Self::Weak(server) = self {
            server.learn(lanes);
        }
    }

    pub(crate) fn unsure(&self, lane: Option<Lane>) {
        match self {
            Self::Weak(server) => server.unsure(lane),
            Self::Sqlite(sqlite) => sqlite
                .inline
                .borrow()
                .as_ref()
                .expect("it is open")
                .unsure(lane),
        }
    }
}
