//! Two servers whose batches run through each other, at every point at which PostgreSQL lets them: on the weak model,
//! polled by hand. The simulation comes upon such moments by chance; what it found is tried here moment by moment.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use taskyard_core::command::{Command, Done};
use taskyard_core::id::{Epoch, Fence, SlotKey, TaskId, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Query, Standing};
use taskyard_core::retention::Retention;
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::cancel::Cancel;
use taskyard_core::verbs::claim::{Claim, Claims, Run};
use taskyard_core::verbs::discard::{Discard, Discarded};
use taskyard_core::verbs::expire::{Expire, Sight};
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::set_queue::SetQueue;
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_core::worker::Profile;
use taskyard_store::model::weak::{Database, Server, Weakness};

use crate::conformance::yard::{lane, report};

const NOON: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);
/// More often than any of these batches is polled.
const POLLS_MAX: usize = 25;

#[test]
fn a_cancel_ends_a_task_with_its_newest_run_whatever_happens_meanwhile() {
    for polls in 0..POLLS_MAX {
        let yard = Yard::new();
        let task = yard.task;
        let mut ours = Beside::new(&yard.ours, vec![Cancel { task }.into()]);

        ours.poll(polls);
        let run = yard.claim(&mut ours);
        yard.give_back(run.as_ref(), &mut ours);
        let cancelled = ours.finish();

        assert!(cancelled.is_ok(), "{polls}: {cancelled:?}");
        let Standing::Ended(outcome) = yard.standing() else {
            panic!("{polls}: a cancelled task has ended");
        };
        let newest = run.map_or(Fence(0), |run| run.fence);
        assert_eq!(outcome.fence, newest, "after {polls} polls");
    }
}

#[test]
fn a_claim_never_uses_a_fence_again_whatever_else_its_batch_looked_at() {
    for (first, second) in (0..POLLS_MAX).flat_map(|first| (0..POLLS_MAX).map(move |n| (first, n)))
    {
        let yard = Yard::new();
        let run = yard.claim(&mut Beside::nothing()).unwrap();
        let key = SlotKey::only(yard.task).run(run.fence);
        let expire = Expire {
            runs: vec![(key, Some(Name::plain("theirs").unwrap()))],
            sight: Sight {
                grace: true,
                ..Sight::clear(NOON)
            },
        };
        let claims = claim("ours", WorkerNumber(1));
        let mut ours = Beside::new(&yard.ours, vec![expire.into(), claims]);

        ours.poll(first);
        yard.give_back(Some(&run), &mut ours);
        ours.poll(second);
        let again = yard.claim(&mut ours);
        yard.give_back(again.as_ref(), &mut ours);
        ours.finish().unwrap();

        let newest = again.map_or(run.fence, |run| run.fence);
        if let Standing::Leased(lease) = yard.standing() {
            assert_eq!(lease.fence, newest.next(), "{first} and {second} polls");
        }
    }
}

#[test]
fn nothing_is_taken_away_that_another_server_has_said_to_keep() {
    let yard = Yard::new();
    let task = yard.task;
    let keep = |retention| SetQueue {
        retention: Some(Some(retention)),
        ..SetQueue::of(Name::path("default").unwrap())
    };
    let hour = Retention::all(Duration::from_hours(1));
    let commands = vec![Cancel { task }.into(), keep(hour).into()];
    Beside::new(&yard.theirs, commands).finish().unwrap();
    // Started now, it has heard of the hour, and then not that it is to be for good.
    let ours = yard.database.server();
    let for_good = keep(Retention::default()).into();
    Beside::new(&yard.theirs, vec![for_good]).finish().unwrap();

    let discard = Discard { tasks: vec![task] };
    let later = NOON + Duration::from_hours(100);
    let ran = Beside::at(&ours, vec![discard.into()], later).finish();

    let nothing = Discarded { count: 0 };
    assert_eq!(ran.unwrap().replies, [Ok(Ok(Done::Discard(nothing)))]);
    assert!(matches!(yard.standing(), Standing::Ended(_)));
}

/// Two servers, and a task that the worker of theirs can claim and give back.
struct Yard {
    database: Database,
    ours: Server,
    theirs: Server,
    task: TaskId,
}

impl Yard {
    fn new() -> Self {
        // Every statement of a batch waits until it is polled again.
        let database = Database::new(
            1,
            Weakness {
                pause: 1000,
                ..Weakness::default()
            },
        );
        let theirs = database.server();
        let task = TaskId::new(NOON, 1);
        let commands = vec![register("ours"), register("theirs"), submit(task)];
        Beside::new(&theirs, commands).finish().unwrap();
        Self {
            // Started now, it knows the task's lane.
            ours: database.server(),
            theirs,
            task,
            database,
        }
    }

    /// `None` where the task is not to be had.
    fn claim(&self, ours: &mut Beside<'_>) -> Option<Run> {
        self.theirs.unsure(None);
        let ran = ours.meanwhile(&self.theirs, claim("theirs", WorkerNumber(2)));
        let Ok(Ok(Done::Claims(dealt))) = ran.unwrap().replies.remove(0) else {
            panic!("a claim is answered with hands");
        };
        dealt
            .hands
            .into_iter()
            .flatten()
            .flatten()
            .next()?
            .runs
            .pop()
    }

    fn give_back(&self, run: Option<&Run>, ours: &mut Beside<'_>) {
        if let Some(run) = run {
            let released = report(run, Word::Released).into();
            ours.meanwhile(&self.theirs, released).unwrap();
        }
    }

    fn standing(&self) -> Standing {
        let view = self.database.read(Query::Task(self.task)).task();
        view.expect("the task is there").standing
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Ran, Error>> + 'a>>;

/// A batch under way, beside which others run.
struct Beside<'a> {
    running: Option<Running<'a>>,
    ran: Option<Result<Ran, Error>>,
}

impl<'a> Beside<'a> {
    fn nothing() -> Self {
        Self {
            running: None,
            ran: None,
        }
    }

    fn new(server: &'a Server, commands: Vec<Command>) -> Self {
        Self::at(server, commands, NOON)
    }

    fn at(server: &'a Server, commands: Vec<Command>, now: Timestamp) -> Self {
        let running = async move { server.run(&commands, &Policy::default(), now).await };
        Self {
            running: Some(Box::pin(running)),
            ran: None,
        }
    }

    /// Lets it go on so often, if it has not ended.
    fn poll(&mut self, times: usize) {
        for _ in 0..times {
            let Some(running) = &mut self.running else {
                return;
            };
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(ran) = running.as_mut().poll(&mut context) {
                self.running = None;
                self.ran = Some(ran);
            }
        }
    }

    fn finish(mut self) -> Result<Ran, Error> {
        self.poll(1000);
        self.ran.expect("no batch takes so long")
    }

    /// Runs a batch of another server to its end; only where that one waits for rows of this one, this one goes on.
    fn meanwhile(&mut self, server: &Server, command: Command) -> Result<Ran, Error> {
        let mut other = Beside::new(server, vec![command]);
        while other.ran.is_none() {
            other.poll(POLLS_MAX);
            if other.ran.is_none() {
                self.poll(1);
            }
        }
        other.finish()
    }
}

fn register(name: &str) -> Command {
    Register {
        name: Name::plain(name).unwrap(),
        server: None,
        profile: everything(),
        capacity: 1,
        if_new: false,
    }
    .into()
}

fn everything() -> Arc<Profile> {
    Arc::new(Profile::new(None, None, Labels::default()))
}

fn submit(id: TaskId) -> Command {
    let task = NewTask::new(id, lane("default", "work", None), Json::null());
    Submit::of(vec![task]).into()
}

fn claim(name: &str, number: WorkerNumber) -> Command {
    let claim = Claim {
        worker: Name::plain(name).unwrap(),
        number,
        epoch: Epoch(1),
        profile: everything(),
        limit: 1,
        begin: false,
        seq: 0,
        maybe_again: false,
        task: None,
    };
    Claims {
        claims: vec![claim],
    }
    .into()
}
