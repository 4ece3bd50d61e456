//! The database that the servers share, and a server's own view of it: the weak model, or SQLite in memory.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Counted, Filter, List, Query, TaskView, WorkerView};
use taskyard_core::random::Seeded;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran};
use taskyard_core::time::Timestamp;
use taskyard_store::model::weak;
use taskyard_store::sqlite::Inline;

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
}

/// One server's view.
#[derive(Clone)]
pub(crate) enum Mine {
    Weak(Rc<weak::Server>),
    Sqlite(Sqlite),
}

/// Everything that invariants look at.
pub(crate) struct Rows {
    pub(crate) tasks: Vec<TaskView>,
    /// The tasks that stand in some place or have ended, each as often as it does.
    pub(crate) places: Vec<TaskId>,
    pub(crate) counts: Vec<Counted>,
    pub(crate) workers: Vec<WorkerView>,
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
                })
            }
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
        match self.read(Query::Task(task)) {
            Answer::Task(view) => view,
            other => panic!("a query is answered in kind: {other:?}"),
        }
    }

    pub(crate) fn rows(&self) -> Rows {
        let Answer::Counts(counts) = self.read(Query::Counts) else {
            panic!("a query is answered in kind")
        };
        let Answer::Workers(workers) = self.read(Query::Workers) else {
            panic!("a query is answered in kind")
        };
        let places = match self {
            Self::Weak(database) => database.places(),
            // These lists walk the table of each place.
            Self::Sqlite(_) => Status::ALL
                .into_iter()
                .flat_map(|status| self.list(vec![status]))
                .map(|view| view.task.id)
                .collect(),
        };
        Rows {
            tasks: self.list(Vec::new()),
            places,
            counts,
            workers,
        }
    }

    fn list(&self, statuses: Vec<Status>) -> Vec<TaskView> {
        let list = List {
            filter: Filter {
                statuses,
                ..Filter::default()
            },
            limit: 1000,
            oldest_first: true,
            ..List::default()
        };
        let Answer::Tasks(listed) = self.read(Query::Tasks(list)) else {
            panic!("a query is answered in kind")
        };
        assert!(
            listed.next.is_none(),
            "a history has fewer tasks than a page"
        );
        listed.items
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
                    inline.run_blocking(&batch, &policy, now, random)
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
