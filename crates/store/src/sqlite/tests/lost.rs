//! What looks lost is said in the rules and in SQL: both must find every lease that the rules would take away.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use futures_util::FutureExt;
use proptest::option;
use proptest::prelude::*;
use taskyard_core::diff::Diff;
use taskyard_core::id::{Epoch, Fence, RunKey, ServerNumber, SlotKey, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::order::OrderKey;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Input, Lease, Task, Worker};
use taskyard_core::slot::Limits;
use taskyard_core::store::Ran;
use taskyard_core::verbs::expire::{ClockSteps, Expire, Expired, Sight, Step};
use taskyard_core::view::Change;

use super::*;
use crate::model::Model;

const NUMBERS: i32 = 3;

/// Around noon, so near that all that is compared is often the same.
fn around() -> impl Strategy<Value = Timestamp> {
    (-2_i64..=2).prop_map(|micros| Timestamp::from_micros(NOON + micros))
}

fn worker(number: i32) -> impl Strategy<Value = Worker> {
    let server = option::of(Just(ServerNumber(1)));
    (1..=3, server, around(), around()).prop_map(
        move |(epoch, server, registered_at, expires_at)| Worker {
            name: name(number),
            number: WorkerNumber(number),
            epoch: Epoch(epoch),
            server,
            profile: Arc::default(),
            capacity: 1,
            registered_at,
            expires_at,
            kept_for: None,
            is_draining: false,
            is_killed: false,
            killed_before: None,
            completed: 0,
            failed: 0,
            is_forgotten: false,
        },
    )
}

/// Of a worker that may not be there.
fn lease() -> impl Strategy<Value = Lease> {
    let margin = Policy::default().timeout_margin;
    let overdue = around().prop_map(move |at| at - margin);
    let far_ahead = Policy::default().believed_until(Timestamp::default());
    let ahead = around().prop_map(move |at| at + far_ahead.since(Timestamp::default()));
    let expires_at = prop_oneof![3 => around(), 1 => ahead];
    (
        1..=NUMBERS,
        1..=3,
        expires_at,
        option::of(overdue),
        any::<bool>(),
    )
        .prop_map(|(worker, epoch, expires_at, deadline, is_exclusive)| {
            let claimed_at = Timestamp::from_micros(NOON) - Duration::from_hours(1);
            Lease {
                slot: SlotKey::only(TaskId::new(claimed_at, 0)),
                fence: Fence(1),
                secret: 0,
                worker: WorkerNumber(worker),
                epoch: Epoch(epoch),
                seq: 0,
                is_told_again: false,
                lane: Lane(1),
                has_carry: false,
                claimed_at,
                started_at: deadline.map(|_| claimed_at),
                expires_at,
                deadline,
                progress: None,
                checkpoint: None,
                is_exclusive,
            }
        })
}

/// Leases and those of their workers that are there.
fn rows() -> impl Strategy<Value = (Vec<Lease>, Vec<Worker>)> {
    let leases = prop::collection::vec(lease(), 1..6).prop_map(|mut leases| {
        for (serial, lease) in (0_u32..).zip(&mut leases) {
            lease.slot = SlotKey::only(TaskId::new(lease.claimed_at, u128::from(serial) << 40));
        }
        leases
    });
    let workers = (1..=NUMBERS).map(|number| option::of(worker(number)));
    let workers = workers.collect::<Vec<_>>();
    (leases, workers)
        .prop_map(|(leases, workers)| (leases, workers.into_iter().flatten().collect()))
}

/// Also more than are told apart.
fn steps() -> impl Strategy<Value = ClockSteps> {
    let step = (around(), 0_u64..=4).prop_map(|(at, micros)| Step {
        at,
        by: Duration::from_micros(micros),
    });
    prop::collection::vec(step, 0..=ClockSteps::MAX + 1).prop_map(|all| {
        let mut steps = ClockSteps::default();
        all.into_iter().for_each(|step| steps.add(step));
        steps
    })
}

fn name(number: i32) -> Name {
    Name::plain(&format!("worker-{number}")).unwrap()
}

fn task_of(lease: &Lease) -> Arc<Task> {
    Arc::new(Task {
        id: lease.slot.task,
        lane: lease.lane,
        order_key: OrderKey(0),
        priority: Priority::default(),
        run_at: lease.claimed_at,
        created_at: lease.claimed_at,
        input: Input::Here(Json::null()),
        limits: Limits {
            max_attempts: 1,
            max_losses: 1,
        },
        timeout: Duration::from_secs(1),
        retry: Retry::default(),
        labels: Some(Labels::default()),
        digest: None,
        is_exclusive: lease.is_exclusive,
        unique_key: None,
        retry_of: None,
        origin: None,
    })
}

fn diff(leases: &[Lease], workers: &[Worker]) -> Diff {
    Diff {
        workers: workers.iter().cloned().map(Change::Insert).collect(),
        tasks: leases.iter().map(task_of).collect(),
        leases: leases.iter().cloned().map(Change::Insert).collect(),
        ..Diff::default()
    }
}

fn expired(ran: Ran) -> Vec<TaskId> {
    let done = ran.replies.into_iter().next().unwrap().unwrap().unwrap();
    Expired::try_from(done).unwrap().tasks
}

fn candidates(answer: Answer) -> Vec<(RunKey, Option<Name>)> {
    answer.lost()
}

proptest! {
    #[test]
    fn whatever_the_rules_would_take_away_is_found_by_the_sweep(
        (leases, workers) in rows(),
        grace: bool,
        alone_since in option::of(around()),
        steps in steps(),
    ) {
        let (policy, now) = (Policy::default(), Timestamp::from_micros(NOON));
        let seeing = Sight {
            alone_since,
            steps,
            ..Sight::clear(now)
        };
        let query = Query::lost(&policy, seeing, 100);
        let there = |number| workers.iter().any(|row| row.number == number);
        let everything = Command::from(Expire {
            runs: leases
                .iter()
                .map(|lease| (lease.run(), there(lease.worker).then(|| name(lease.worker.0))))
                .collect(),
            sight: Sight { grace, ..seeing },
        });
        let mut random = Seeded::new(1);
        let mut sqlite = Inline::new(&mut random).unwrap();
        commit::write(sqlite.connection(), &diff(&leases, &workers)).unwrap();
        let model = Model::holding(diff(&leases, &workers), 1, Arc::new(move || now));

        let found = candidates(sqlite.read_blocking(&query).unwrap());
        let ran = sqlite.run_blocking(std::slice::from_ref(&everything), &policy, now, &mut random);
        let taken = expired(ran.unwrap());
        let found_by_model = model.read(query).now_or_never().unwrap().unwrap();
        let ran = model.run(vec![everything], &policy).now_or_never().unwrap();

        prop_assert_eq!(&found, &candidates(found_by_model));
        prop_assert_eq!(&taken, &expired(ran.unwrap()));
        let found: BTreeSet<TaskId> = found.iter().map(|(run, _)| run.slot.task).collect();
        prop_assert!(taken.iter().all(|task| found.contains(task)), "{taken:?} of {found:?}");
    }
}

#[test]
fn a_new_database_is_its_owners_alone() {
    let place = Place::new();
    let _store = open(&place.path("new.db"));
    for file in ["new.db", "new.db-wal", "new.db.logs"] {
        let mode = place.path(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}
