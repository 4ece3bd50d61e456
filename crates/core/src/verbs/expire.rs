//! Expire: runs whose worker is gone, or that take too long, are taken away. The sweep brings candidates; each is
//! judged here again, under its lock, so that any number of servers may sweep.

use std::time::Duration;

use crate::command::{Env, halves};
use crate::id::{RunKey, TaskId};
use crate::moves::{self, Ending};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::rows::{End, Failure, Lease, Worker};
use crate::slot::Event;
use crate::time::Timestamp;
use crate::verbs::kill;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Expire {
    /// Each with its worker, if that is known.
    pub runs: Vec<(RunKey, Option<Name>)>,
    pub sight: Sight,
}

/// What the server that sweeps knows of its own view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sight {
    /// What the clock showed when the server looked. Silence counts only where it is judged by the same clock, soon.
    pub at: Timestamp,
    /// While the server has a reason to doubt its own view, nobody's silence counts.
    pub grace: bool,
    /// Since when this server is the only one, where it can be the only one: internal workers that registered before
    /// went with the process before it.
    pub alone_since: Option<Timestamp>,
    pub steps: ClockSteps,
}

impl Sight {
    /// One that nothing is to be said against.
    pub fn clear(at: Timestamp) -> Self {
        Self {
            at,
            grace: false,
            alone_since: None,
            steps: ClockSteps::default(),
        }
    }

    /// How far a sweep and the time may come apart before it is to be doubted whether workers could be heard.
    pub fn apart_max(heartbeat_ttl: Duration) -> Duration {
        heartbeat_ttl / 3
    }

    /// A sight of a later time is one from before the clock was set back: whoever was heard since seems silent to it. One
    /// that was long on its way does not know who was heard meanwhile.
    fn counts_silence(&self, env: &Env<'_>) -> bool {
        let age_max = Self::apart_max(env.policy.heartbeat_ttl);
        !self.grace && self.at <= env.now && env.now.since(self.at) <= age_max
    }
}

/// The clock was set forward: runs that began before `at` by it have `by` more time, for it did not pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    pub at: Timestamp,
    pub by: Duration,
}

/// The times that the clock was set forward, the latest last. Of so many of them each run is given what came after it
/// began; those before are taken as one, by which runs that began between them have too much rather than too little.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClockSteps([Step; ClockSteps::MAX]);

impl ClockSteps {
    pub const MAX: usize = 4;

    pub fn add(&mut self, step: Step) {
        let [oldest, next, ..] = &mut self.0;
        next.at = next.at.max(oldest.at);
        next.by = next.by.saturating_add(oldest.by);
        self.0.rotate_left(1);
        self.0[Self::MAX - 1] = step;
    }

    /// The clock was set back to this time, by so much: nobody is given any more what that took back of the steps to
    /// later times, the latest first, and what begins from here on never saw the rest of them.
    pub fn back_to(&mut self, now: Timestamp, by: Duration) {
        let mut taken = by;
        for step in self.0.iter_mut().rev().filter(|step| step.at > now) {
            let rest = step.by.saturating_sub(taken);
            taken = taken.saturating_sub(step.by);
            *step = if rest.is_zero() {
                Step::default()
            } else {
                Step { at: now, by: rest }
            };
        }
        self.0.sort_by_key(|step| step.at);
    }

    /// As many as can be; those that were not are of no time at all.
    pub fn all(&self) -> [Step; Self::MAX] {
        self.0
    }

    /// How much more time a run has that began then.
    fn given_to(&self, began: Timestamp) -> Duration {
        let after = self.0.iter().filter(|step| began < step.at);
        after.fold(Duration::ZERO, |sum, step| sum.saturating_add(step.by))
    }
}

#[derive(Clone, Debug, PartialEq, Default)]
pub struct Expired {
    pub tasks: Vec<TaskId>,
    /// The workers among theirs that were given up because they gave no sign of life, each with when its time was up.
    pub silent: Vec<(Name, Timestamp)>,
}

impl Expire {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        let of = |runs| Self {
            runs,
            sight: self.sight,
        };
        Some(halves(&self.runs)?.map(of))
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        for (run, worker) in &self.runs {
            needs.leases.push((run.slot, Hold::Lock));
            worker
                .iter()
                .for_each(|name| needs.worker(name, Hold::Lock));
            needs.tasks.push(run.slot.task);
            needs.carries.push(run.slot);
        }
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Expired, Refused> {
        let mut tasks = Vec::new();
        let mut silent: Vec<(Name, Timestamp)> = Vec::new();
        for (run, worker) in &self.runs {
            let Some(lease) = view
                .leases
                .get(&run.slot)
                .filter(|lease| lease.fence == run.fence)
                .cloned()
            else {
                continue;
            };
            let worker = worker.as_ref().and_then(|name| view.workers.get(name));
            let worker = worker.filter(|row| row.number == lease.worker);
            let Some(judgement) = self.judge(&lease, worker, env) else {
                continue;
            };
            if let (Judgement::Lost(Loss::Silence), Some(worker)) = (&judgement, worker)
                && silent.iter().all(|(known, _)| *known != worker.name)
            {
                silent.push((worker.name.clone(), worker.expires_at));
            }
            let (event, ending) = judgement.ending();
            moves::end_run(view, &lease, event, ending, env);
            tasks.push(run.slot.task);
        }
        Ok(Expired { tasks, silent })
    }

    /// Every reason here must be one of [`Lost`] as well, or no sweep ever brings the lease.
    fn judge(&self, lease: &Lease, worker: Option<&Worker>, env: &Env<'_>) -> Option<Judgement> {
        let is_ahead = lease.expires_at > env.policy.believed_until(env.now);
        // Its worker may run it as long as it has the lease, whatever is known of the worker; once its time is up, that
        // is not renewed.
        if lease.is_exclusive && lease.expires_at > env.now && !is_ahead {
            return None;
        }
        // However long it took and whatever it was: who killed its worker meant it to go on elsewhere.
        if worker.is_some_and(|worker| kill::ended(worker, lease)) {
            return Some(Judgement::Killed);
        }
        if is_overdue(
            lease,
            env.now - env.policy.timeout_margin,
            &self.sight.steps,
        ) {
            return Some(Judgement::TimedOut);
        }
        let since = self.sight.alone_since;
        let loss = if worker.is_some_and(|worker| went_with_its_server(worker, lease, since)) {
            Loss::ServerEnded
        } else if worker.is_some_and(|worker| worker.epoch > lease.epoch) {
            Loss::NewerProcess
        } else if !self.sight.counts_silence(env) {
            return None;
        } else if worker.is_none_or(|worker| worker.is_offline(env.now)) {
            Loss::Silence
        } else if lease.expires_at <= env.now {
            Loss::NotRenewed
        } else if is_ahead {
            Loss::BeyondBelief
        } else {
            return None;
        };
        Some(Judgement::Lost(loss))
    }
}

/// Why a run is taken away.
enum Judgement {
    Killed,
    TimedOut,
    Lost(Loss),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    ServerEnded,
    NewerProcess,
    Silence,
    NotRenewed,
    BeyondBelief,
}

impl Judgement {
    fn ending(&self) -> (Event, Ending) {
        let (event, end, error) = match self {
            Self::Killed => return kill::gives_back(),
            Self::TimedOut => {
                let error = Failure::new("timeout", "the run took longer than its timeout_ms");
                (Event::TimedOut, End::TimedOut, error)
            }
            Self::Lost(loss) => {
                let error = Failure::new(Failure::LOST, loss.words());
                (Event::Lost, End::Lost, error)
            }
        };
        let ending = Ending {
            end: Some(end),
            error: Some(error),
            ..Ending::default()
        };
        (event, ending)
    }
}

impl Loss {
    fn words(self) -> &'static str {
        match self {
            Self::ServerEnded => "its server has ended",
            Self::NewerProcess => "another process took this worker's name",
            Self::Silence => "the worker gave no sign of life",
            Self::NotRenewed => "the worker did not renew the lease",
            Self::BeyondBelief => {
                "the lease ends later than any that is given now, and was not renewed"
            }
        }
    }
}

/// Which leases have to be brought before [`Expire`], which judges again.
///
/// `lease_lost.sql` says the same; a test compares the two, and both with the judgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Those whose deadline was over by then; of those that began before a step, so much earlier. Neither these nor those
    /// of workers that are gone if they are exclusive.
    pub overdue: Timestamp,
    pub steps: ClockSteps,
    /// Those that expired by then, or whose worker did.
    pub silent: Timestamp,
    /// Those that expire later.
    pub ahead: Timestamp,
    /// Those of internal workers that registered before.
    pub internal_before: Option<Timestamp>,
}

impl Lost {
    /// Besides: whether its worker is unknown or has a later epoch.
    pub fn looks_lost(&self, lease: &Lease, worker: Option<&Worker>) -> bool {
        let is_gone = |worker: &Worker| {
            worker.epoch > lease.epoch
                || worker.is_offline(self.silent)
                || is_of_an_earlier_server(worker, self.internal_before)
        };
        let has_run_out = lease.expires_at <= self.silent || lease.expires_at > self.ahead;
        has_run_out
            || (!lease.is_exclusive
                && (is_overdue(lease, self.overdue, &self.steps) || worker.is_none_or(is_gone)))
    }
}

fn is_overdue(lease: &Lease, now: Timestamp, steps: &ClockSteps) -> bool {
    let more = lease.started_at.map(|began| steps.given_to(began));
    let now = now - more.unwrap_or_default();
    lease.deadline.is_some_and(|deadline| deadline <= now)
}

/// One that has been registered anew since under the name of an earlier one did not take it from a living process.
fn went_with_its_server(worker: &Worker, lease: &Lease, alone_since: Option<Timestamp>) -> bool {
    let is_inside = worker.server.is_some();
    let was_given_before = alone_since.is_some_and(|since| lease.claimed_at < since);
    let is_heir = is_inside && worker.epoch > lease.epoch && was_given_before;
    is_heir || is_of_an_earlier_server(worker, alone_since)
}

fn is_of_an_earlier_server(worker: &Worker, alone_since: Option<Timestamp>) -> bool {
    worker.server.is_some() && alone_since.is_some_and(|since| worker.registered_at < since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_given_the_steps_after_it_began_and_of_old_ones_too_much_rather_than_too_little() {
        let (at, by) = (Timestamp::from_micros, Duration::from_micros);
        // One at 10, 20, and so on, each by a number of its own.
        let check = |steps: u32, expected: &[u64]| {
            let mut clock = ClockSteps::default();
            for step in 1..=steps {
                clock.add(Step {
                    at: at(i64::from(step) * 10),
                    by: by(10_u64.pow(step - 1)),
                });
            }
            let began = [5, 10, 15, 25, 35, 45, 55, 65].map(at);
            let given = began.map(|began| clock.given_to(began));
            let expected: Vec<Duration> = expected.iter().copied().map(by).collect();
            assert_eq!(given[..], expected, "{steps} steps");
        };

        check(0, &[0; 8]);
        check(1, &[1, 0, 0, 0, 0, 0, 0, 0]);
        check(2, &[11, 10, 10, 0, 0, 0, 0, 0]);
        check(4, &[1111, 1110, 1110, 1100, 1000, 0, 0, 0]);
        check(5, &[11111, 11111, 11111, 11100, 11000, 10000, 0, 0]);
        check(
            6,
            &[
                111_111, 111_111, 111_111, 111_111, 111_000, 110_000, 100_000, 0,
            ],
        );
    }

    #[test]
    fn a_clock_set_back_takes_as_much_of_the_steps_to_later_times_the_latest_first() {
        let (at, by) = (Timestamp::from_micros, Duration::from_micros);
        // From 0 to 100, from 110 to 210, and then from 215 back to `now`.
        let check = |now: i64, expected: [u64; 4]| {
            let mut clock = ClockSteps::default();
            for step in [100, 210].map(at) {
                let by = by(100);
                clock.add(Step { at: step, by });
            }
            clock.back_to(at(now), by(u64::try_from(215 - now).unwrap()));
            // Before the first, between the two, after the second, and now.
            let given = [-5, 105, 212, now].map(|began| clock.given_to(at(began)));
            assert_eq!(given, expected.map(by), "{now}");
        };

        // Not so far that it was before the second: who began before that one has a little too much.
        check(211, [200, 100, 0, 0]);
        check(207, [192, 92, 0, 0]);
        check(115, [100, 0, 0, 0]);
        // More than the second gave: who began between the two has too much all the same, by the clock that was set back.
        check(98, [83, 0, 0, 0]);
        check(0, [0, 0, 0, 0]);
        check(-50, [0, 0, 0, 0]);
    }

    #[test]
    fn steps_that_were_taken_back_leave_room_for_later_ones() {
        let (at, by) = (Timestamp::from_micros, Duration::from_micros(1));
        let mut clock = ClockSteps::default();
        let mut expected = clock;
        for hour in 1..=ClockSteps::MAX {
            let hour = i64::try_from(hour).unwrap() * 10;
            clock.add(Step {
                at: at(hour + 5),
                by,
            });
            clock.back_to(at(hour + 4), by);
            let step = Step { at: at(hour), by };
            clock.add(step);
            expected.add(step);
        }

        assert_eq!(clock, expected);
    }
}
