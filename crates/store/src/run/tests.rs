//! What is tried in parts and what is not, how often, and what is answered; on a database that does as it is told.

mod in_part;
mod looking;

use std::time::Duration;

use futures_util::FutureExt;
use taskyard_core::diff::Diff;
use taskyard_core::id::{Epoch, Fence, SlotKey, TaskId, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::labels::Demands;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::needs::Needs;
use taskyard_core::random::Seeded;
use taskyard_core::refused::Refused;
use taskyard_core::rows::Lease;
use taskyard_core::verbs::cancel::Cancel;
use taskyard_core::verbs::claim::{Claim, Claims, Dealt};
use taskyard_core::verbs::expire::{Expire, Sight};
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_core::worker::Profile;

use super::*;
use crate::tx::Undone;

/// Has no rows, and answers the commit of each attempt as it is told to.
struct Told<F> {
    commit: F,
    begin: Result<(), Error>,
    attempts: usize,
    committed: Vec<TaskId>,
    /// Leases that the first loads find, one each, though their task was not there when it was looked for.
    in_between: Vec<Lease>,
    /// Whoever asks for a lease by its slot finds it.
    all_leased: bool,
}

struct Attempt<'a, F>(&'a mut Told<F>);

impl<F: FnMut(usize, &Diff) -> Result<(), Error>> Writer for Told<F> {
    type Tx<'a>
        = Attempt<'a, F>
    where
        Self: 'a;

    async fn begin(&mut self) -> Result<Attempt<'_, F>, Error> {
        self.attempts += 1;
        self.begin.clone()?;
        Ok(Attempt(self))
    }

    async fn open_among(&mut self, lanes: &[Lane]) -> Result<Vec<Lane>, Error> {
        Ok(lanes.to_vec())
    }
}

impl<F: FnMut(usize, &Diff) -> Result<(), Error>> Tx for Attempt<'_, F> {
    async fn load(&mut self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        view.found_last_lane(Lane(0));
        if let Some(lease) = self.0.in_between.pop() {
            view.lease_of(lease);
        }
        for (slot, _) in needs.leases.iter().filter(|_| self.0.all_leased) {
            view.leases.loaded(*slot, lease(slot.task));
        }
        for pick in &needs.picks {
            view.picked(pick.clone(), Vec::new());
        }
        Ok(())
    }

    async fn commit(self, diff: Diff) -> Result<Inputs, Undone> {
        (self.0.commit)(self.0.attempts, &diff).map_err(|error| {
            if error == taken() {
                Undone::Taken(TAKEN.to_owned())
            } else {
                error.into()
            }
        })?;
        self.0
            .committed
            .extend(diff.tasks.iter().map(|task| task.id));
        Ok(Inputs::default())
    }
}

/// Runs the commands where `commit` says what becomes of each attempt, counted from 1.
fn on_told<F: FnMut(usize, &Diff) -> Result<(), Error>>(
    commands: &[Command],
    begin: Result<(), Error>,
    commit: F,
) -> (Result<Ran, Error>, Told<F>) {
    run_on(told(commit, begin), commands)
}

fn told<F: FnMut(usize, &Diff) -> Result<(), Error>>(
    commit: F,
    begin: Result<(), Error>,
) -> Told<F> {
    Told {
        commit,
        begin,
        attempts: 0,
        committed: Vec::new(),
        in_between: Vec::new(),
        all_leased: false,
    }
}

fn run_on<F: FnMut(usize, &Diff) -> Result<(), Error>>(
    mut told: Told<F>,
    commands: &[Command],
) -> (Result<Ran, Error>, Told<F>) {
    let ran = run_by(&mut Seeded::new(1), &mut told, commands);
    (ran, told)
}

fn run_by<F: FnMut(usize, &Diff) -> Result<(), Error>>(
    random: &mut Seeded,
    told: &mut Told<F>,
    commands: &[Command],
) -> Result<Ran, Error> {
    let (memory, policy) = (Memory::default(), Policy::default());
    let running = run(told, &memory, commands, &policy, &|| NOON, random);
    running.now_or_never().expect("nothing waits here")
}

/// At these seconds after noon the clock is looked at; how often it was begun, and the time by which it was decided.
fn begun_at(looks: &[u64]) -> (usize, Timestamp) {
    let looks = Mutex::new(looks.iter());
    let time = || {
        let next = looks.lock().next();
        NOON + Duration::from_secs(*next.expect("it looks no more often"))
    };
    let (memory, policy) = (Memory::default(), Policy::default());
    let mut told = told(|_, _| Ok(()), Ok(()));
    let (commands, mut random) = (submits(1), Seeded::new(1));
    let running = run(&mut told, &memory, &commands, &policy, &time, &mut random);
    let ran = running.now_or_never().expect("nothing waits here").unwrap();
    assert_eq!(memory.latest(), ran.now);
    assert_eq!(told.committed, [id(0)]);
    (told.attempts, ran.now)
}

#[test]
fn a_batch_whose_rows_came_late_is_begun_again_at_a_later_time_but_not_for_ever() {
    let at = |second| NOON + Duration::from_secs(second);

    assert_eq!(begun_at(&[0, 1]), (1, at(0)));
    assert_eq!(begun_at(&[0, 13, 13, 13]), (2, at(13)));
    assert_eq!(begun_at(&[0, 2, 2, 4, 4]), (3, at(4)));
}

const TAKEN: &str = "a row stands there";

/// That is how a commit that meets one ends here.
fn taken() -> Error {
    Error::Failed(TAKEN.to_owned())
}

const NOON: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

fn id(serial: usize) -> TaskId {
    TaskId::new(NOON, (serial as u128) << 40)
}

fn submits(count: usize) -> Vec<Command> {
    let lane = LaneKey::of(Name::path("default").unwrap(), Name::path("work").unwrap());
    let task = |serial| NewTask {
        timeout: Some(Duration::from_secs(1)),
        ..NewTask::new(id(serial), lane.clone(), Json::stored("1"))
    };
    let submit = |serial| Submit::of(vec![task(serial)]);
    (0..count).map(|serial| submit(serial).into()).collect()
}

fn claims(count: usize) -> Command {
    let claim = Claim {
        worker: Name::plain("w").unwrap(),
        number: WorkerNumber(1),
        epoch: Epoch(1),
        profile: Arc::new(Profile::default()),
        limit: 1,
        begin: false,
        seq: 0,
        maybe_again: false,
        task: None,
    };
    let claims = vec![claim; count];
    Claims { claims }.into()
}

fn lease(task: TaskId) -> Lease {
    Lease {
        slot: SlotKey::only(task),
        fence: Fence(1),
        secret: 0,
        worker: WorkerNumber(1),
        epoch: Epoch(1),
        seq: 1,
        is_told_again: false,
        lane: Lane(1),
        has_carry: false,
        claimed_at: NOON,
        started_at: None,
        expires_at: NOON,
        deadline: None,
        progress: None,
        checkpoint: None,
        is_exclusive: false,
    }
}

fn holds(diff: &Diff, serial: usize) -> bool {
    diff.tasks.iter().any(|task| task.id == id(serial))
}

fn refused() -> Error {
    Error::Failed("no".to_owned())
}

fn unavailable() -> Error {
    Error::Unavailable("gone".into())
}

fn unknown() -> Error {
    Error::Unknown("gone".to_owned())
}

/// Each command's error, if it has one.
fn errors(ran: Result<Ran, Error>) -> Vec<Option<Error>> {
    ran.unwrap().replies.into_iter().map(Result::err).collect()
}

#[test]
fn one_bad_command_in_a_thousand_is_found_after_twenty_more_attempts() {
    let (ran, told) = on_told(&submits(1000), Ok(()), |_, diff| {
        if holds(diff, 617) {
            Err(refused())
        } else {
            Ok(())
        }
    });

    let errors = errors(ran);
    assert_eq!((errors.len(), &errors[617]), (1000, &Some(refused())));
    assert_eq!(errors.iter().flatten().count(), 1);
    let all_but_one = (0..1000).filter(|serial| *serial != 617).map(id);
    assert!(told.committed.iter().copied().eq(all_but_one));
    assert!(told.attempts <= 21, "{} attempts", told.attempts);
}

#[test]
fn a_database_that_refuses_everything_is_left_alone_soon() {
    let (ran, told) = on_told(&submits(1024), Ok(()), |_, _| Err(refused()));

    assert_eq!(errors(ran), vec![Some(refused()); 1024]);
    // Six halvings down to the first sixteen commands, all the parts of these, and what the halvings left.
    assert_eq!(told.attempts, 6 + 31 + 6);
}

#[test]
fn what_stands_behind_many_bad_commands_is_taken_but_for_those_beside_them() {
    let (ran, told) = on_told(&submits(1024), Ok(()), |_, diff| {
        if (0..20).any(|serial| holds(diff, serial)) {
            Err(refused())
        } else {
            Ok(())
        }
    });

    let errors = errors(ran);
    let failed = errors.iter().take_while(|error| error.is_some()).count();
    // The part behind the first sixteen is as long as they are.
    assert_eq!(failed, 32);
    assert!(errors[failed..].iter().all(Option::is_none));
    assert_eq!(told.committed.len(), 1024 - failed);
}

#[test]
fn several_bad_commands_fail_alone_wherever_they_stand() {
    // A good one between them each time, and fifteen one after the other.
    let is_bad = |serial: usize| serial < 40 && serial % 2 == 1 || (100..115).contains(&serial);
    let (ran, told) = on_told(&submits(1000), Ok(()), |_, diff| {
        if (0..1000).any(|serial| is_bad(serial) && holds(diff, serial)) {
            Err(refused())
        } else {
            Ok(())
        }
    });

    let failed = errors(ran).into_iter().map(|error| error.is_some());
    assert!(failed.eq((0..1000).map(is_bad)));
    assert!(told.attempts < 200, "{} attempts", told.attempts);
}

#[test]
fn what_no_command_causes_is_not_tried_in_parts() {
    for error in [unavailable(), unknown(), Error::Full] {
        let (ran, told) = on_told(&submits(8), Ok(()), |_, _| Err(error.clone()));

        assert_eq!((ran.err(), told.attempts), (Some(error), 1));
    }
    let (ran, told) = on_told(&submits(8), Err(refused()), |_, _| Ok(()));
    assert_eq!((ran.err(), told.attempts), (Some(refused()), 1));
}

#[test]
fn a_conflict_is_tried_three_times_more_and_not_in_parts() {
    let (ran, told) = on_told(&submits(8), Ok(()), |_, _| Err(Error::Conflict));

    assert_eq!((ran.err(), told.attempts), (Some(Error::Conflict), 4));
}

#[test]
fn a_row_that_another_server_was_quicker_to_put_in_costs_nobody_anything() {
    let (ran, told) = on_told(&submits(4), Ok(()), |attempt, _| match attempt {
        1..=3 => Err(taken()),
        _ => Ok(()),
    });

    assert_eq!((errors(ran), told.attempts), (vec![None; 4], 4));
}

#[test]
fn a_row_that_stands_in_the_way_for_good_fails_who_would_put_one_there() {
    let (ran, told) = on_told(&submits(4), Ok(()), |_, diff| {
        if holds(diff, 2) { Err(taken()) } else { Ok(()) }
    });

    assert_eq!(errors(ran), [None, None, Some(taken()), None]);
    assert_eq!(told.committed, [id(0), id(1), id(3)]);
    // The batch, its second half and the one in it, four times each; what is beside them, once.
    assert_eq!(told.attempts, 14);
}

#[test]
fn what_came_in_between_two_looks_has_the_batch_loaded_again() {
    let told = Told {
        commit: |_, _: &Diff| Ok(()),
        begin: Ok(()),
        attempts: 0,
        committed: Vec::new(),
        in_between: vec![lease(id(0))],
        all_leased: false,
    };
    let cancel = Cancel { task: id(0) };

    let (ran, told) = run_on(told, &[cancel.into()]);

    // It is not there the second time either, which can be believed.
    assert_eq!(ran.unwrap().replies, [Ok(Err(Refused::NoSuchTask))]);
    assert_eq!(told.attempts, 2);
}

#[test]
fn what_does_not_fit_load_after_load_fails_who_asked_for_it() {
    let told = Told {
        commit: |_, _: &Diff| Ok(()),
        begin: Ok(()),
        attempts: 0,
        committed: Vec::new(),
        in_between: vec![lease(id(9)); 100],
        all_leased: false,
    };
    let mut batch = submits(3);
    batch.push(Cancel { task: id(9) }.into());

    let (ran, told) = run_on(told, &batch);

    let errors = errors(ran);
    assert!(
        matches!(errors[..], [None, None, None, Some(Error::Failed(_))]),
        "{errors:?}"
    );
    assert_eq!(told.committed, [id(0), id(1), id(2)]);
    // The batch, its second half and the one in it, four times each; what is beside them, once.
    assert_eq!(told.attempts, 14);
}

#[test]
fn a_part_that_conflicts_costs_the_others_nothing() {
    let (ran, told) = on_told(&submits(4), Ok(()), |attempt, diff| match attempt {
        1 => Err(refused()),
        _ if holds(diff, 0) => Err(Error::Conflict),
        _ => Ok(()),
    });

    let conflict = Some(Error::Conflict);
    assert_eq!(errors(ran), [conflict.clone(), conflict, None, None]);
    assert_eq!(told.committed, [id(2), id(3)]);
}

#[test]
fn a_database_that_goes_away_between_parts_leaves_the_rest_untried() {
    for (error, left) in [
        (unavailable(), unavailable()),
        (Error::Full, Error::Full),
        // Of what was not begun it is known that it did not happen.
        (unknown(), unavailable()),
    ] {
        // The batch, its first half, the first half of that, the second half of that.
        let (ran, told) = on_told(&submits(8), Ok(()), |attempt, _| match attempt {
            1 | 2 => Err(refused()),
            4 => Err(error.clone()),
            _ => Ok(()),
        });

        assert_eq!((cut_short(&ran), told.attempts), (Some(&left), 4));
        assert_eq!(told.committed, [id(0), id(1)]);
        let expected = [vec![None; 2], vec![Some(error); 2], vec![Some(left); 4]];
        assert_eq!(errors(ran), expected.concat());
    }
}

#[test]
fn claims_that_stand_alone_are_tried_in_parts_as_commands_are() {
    let mut batch = submits(1);
    batch.push(claims(4));
    // The batch, its submit, its claims, the first two of these, the first of these.
    let (ran, told) = on_told(&batch, Ok(()), |attempt, _| match attempt {
        1 | 3 | 4 | 5 => Err(refused()),
        7 => Err(unknown()),
        _ => Ok(()),
    });

    assert_eq!(cut_short(&ran), Some(&unknown()));
    let answer = ran.unwrap().replies.remove(1).unwrap().unwrap();
    let hands = Dealt::try_from(answer).unwrap().hands;
    let errors: Vec<_> = hands.into_iter().map(Result::err).collect();
    let unknown = Some(unknown());
    assert_eq!(errors, [Some(refused()), None, unknown.clone(), unknown]);
    assert_eq!(told.attempts, 7);
}

/// Which lanes are looked at again, lowest first, twins before them.
fn looked_at(memory: &Memory) -> Vec<i32> {
    let borrowed = memory.heads(NOON);
    let lanes = borrowed.heads.iter().map(|(lane, _)| lane.0);
    lanes.collect()
}

#[test]
fn doubts_that_no_batch_takes_up_are_kept_once() {
    let memory = Memory::default();
    let key = |lane: i32| {
        Arc::new(LaneKey {
            queue: Name::path("default").unwrap(),
            kind: Name::path(&format!("kind-{lane}")).unwrap(),
            demands: Demands::default(),
        })
    };
    memory.learn((1..=3).map(|lane| (Lane(lane), key(lane))));
    for _ in 0..100 {
        memory.unsure(Some(Lane(2)));
        memory.unsure(Some(Lane(-2)));
    }
    assert!(matches!(&*memory.doubts.lock(), Doubts::Of(lanes) if lanes.len() == 1));
    assert_eq!(looked_at(&memory), [-2, 2]);

    for _ in 0..100 {
        memory.unsure(None);
        memory.unsure(Some(Lane(2)));
    }
    assert!(matches!(*memory.doubts.lock(), Doubts::All));
    memory.learn([(Lane(4), key(4))]);

    assert_eq!(looked_at(&memory), [-4, -3, -2, -1, 1, 2, 3, 4]);
    assert!(matches!(&*memory.doubts.lock(), Doubts::Of(lanes) if lanes.is_empty()));
}

#[test]
fn room_is_looked_for_every_second_and_again_once_the_clock_was_set_back() {
    let memory = Memory::default();
    let noon = Timestamp::from_micros(1_790_000_000_000_000);
    let (moment, hour) = (Duration::from_micros(1), Duration::from_hours(1));
    *memory.full_of_workers.lock() = Some(noon);
    assert!(memory.may_look_through(noon));

    let later = noon + LOOK_FOR_ROOM_EVERY;
    for (now, is_recent) in [
        (noon, true),
        (later - moment, true),
        (later, false),
        (later - hour, false),
    ] {
        assert_eq!(memory.is_full_of_workers(now), is_recent, "{now}");
        assert_eq!(memory.may_look_through(now), !is_recent, "{now}");
    }
}
