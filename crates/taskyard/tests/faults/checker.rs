//! Judges a run by its history and by what was found when all was over.
//!
//! A task is claimed any number of times, each time under another token, and ends once. So what two calls on it say goes
//! together, or not, pair by pair: whatever was asked after the answer to an earlier call came must agree with that
//! answer. Calls that overlap may have been done in either order, and of what is unknown nothing is concluded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use taskyard_api::attempt;
use taskyard_api::task::Status;

use crate::history::{Found, Op, Outcome, Record, Run};

#[cfg(test)]
mod tests;

/// By what a run is judged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judge {
    /// How far the servers' readings of the database's clock may be apart.
    pub(crate) clocks_apart: Duration,
    /// What was answered before may be gone: a standby that was not waited for was promoted then.
    pub(crate) forgives_until: Option<u64>,
}

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// It was acknowledged and is not there.
    Lost,
    /// Two tasks of one submission.
    Doubled,
    /// It was refused and is there.
    RefusedButThere,
    /// A call under an older token was taken.
    StaleAccepted,
    /// Two had the task at once.
    LeasesOverlap,
    /// It failed, or was lost, more often than it may.
    TooManyAttempts,
    /// Two answers say that it ended, and not in the same way.
    TwoEnds,
    /// It had ended, and then it had not.
    Revived,
    /// It never ended.
    Unended,
    /// Nobody is told when to come back.
    NoRetryAfter,
}

#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) wrong: Wrong,
    /// The task, or the name of its submission, and what contradicts what.
    pub(crate) what: String,
}

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) submitted: usize,
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
    /// With those that are forgiven.
    pub(crate) lost: usize,
    pub(crate) duplicated: usize,
    pub(crate) executions: u64,
    /// Taken away from workers.
    pub(crate) runs_lost: usize,
    /// Those of them that count: one that never began costs nothing.
    pub(crate) losses: u64,
    pub(crate) stale_refused: u64,
    pub(crate) violations: Vec<Violation>,
}

impl Verdict {
    fn add(&mut self, wrong: Wrong, what: String) {
        self.violations.push(Violation { wrong, what });
    }
}

impl Judge {
    pub(crate) fn check(&self, records: &[Record], found: &[Found]) -> Verdict {
        let mut verdict = Verdict::default();
        submissions(self, records, found, &mut verdict);
        let mut of_task: HashMap<&str, Vec<&Record>> = HashMap::new();
        for record in records {
            if let Some(task) = &record.task {
                of_task.entry(task).or_default().push(record);
            }
            if record.without_retry_after {
                let what = format!("{:?} at server {}", record.op, record.server);
                verdict.add(Wrong::NoRetryAfter, what);
            }
        }
        for task in found {
            let calls = of_task.get(task.id.as_str()).map_or(&[][..], Vec::as_slice);
            leases(self, task, calls, &mut verdict);
            ends(self, task, calls, &mut verdict);
            limits(task, &mut verdict);
            runs(self, task, &mut verdict);
            verdict.executions += u64::from(task.attempts);
            verdict.losses += u64::from(task.losses);
            let is_lost = |run: &&Run| run.outcome == Some(attempt::Outcome::Lost);
            verdict.runs_lost += task.runs.iter().filter(is_lost).count();
            verdict.stale_refused += u64::from(task.late_results);
        }
        handed_out_twice(records, &mut verdict);
        verdict
    }

    fn is_forgiven(&self, record: &Record) -> bool {
        self.forgives_until.is_some_and(|at| record.t_return <= at)
    }
}

/// What was submitted is there once if that was acknowledged, not at all if it was refused, and else at most once.
fn submissions(judge: &Judge, records: &[Record], found: &[Found], verdict: &mut Verdict) {
    let mut sent: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.op == Op::Submit) {
        let name = record.name.as_deref().expect("a submission has a name");
        sent.entry(name).or_default().push(record);
    }
    let ids: BTreeSet<&str> = found.iter().map(|task| task.id.as_str()).collect();
    let mut there: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for task in found {
        if let Some(name) = &task.name {
            there.entry(name).or_default().push(&task.id);
        }
    }
    for (name, tasks) in &there {
        if tasks.len() > 1 {
            verdict.duplicated += tasks.len() - 1;
            verdict.add(Wrong::Doubled, format!("{name} is {}", tasks.join(" and ")));
        }
    }
    for (name, calls) in sent {
        verdict.submitted += 1;
        let acknowledged: Vec<&&Record> = calls
            .iter()
            .filter(|call| call.outcome == Outcome::Ok)
            .collect();
        if acknowledged.is_empty() {
            if calls.iter().any(|call| call.outcome == Outcome::Unknown) {
                verdict.unknown += 1;
                continue;
            }
            verdict.refused += 1;
            if let Some(tasks) = there.get(name) {
                verdict.add(Wrong::RefusedButThere, format!("{name} is {}", tasks[0]));
            }
            continue;
        }
        verdict.acknowledged += 1;
        let named: BTreeSet<&str> = acknowledged
            .iter()
            .filter_map(|call| call.task.as_deref())
            .collect();
        let forgiven = |id: &str| {
            let of_it = |call: &&&&Record| call.task.as_deref() == Some(id);
            acknowledged
                .iter()
                .filter(of_it)
                .all(|call| judge.is_forgiven(call))
        };
        if named.len() > 1 && !named.iter().any(|id| forgiven(id)) {
            verdict.duplicated += 1;
            verdict.add(
                Wrong::Doubled,
                format!("{name} was acknowledged as {named:?}"),
            );
        }
        for id in named {
            if !ids.contains(id) {
                verdict.lost += 1;
                if !forgiven(id) {
                    verdict.add(Wrong::Lost, format!("{name}, acknowledged as {id}"));
                }
            }
        }
    }
}

/// Whoever was given a task last has it: calls under earlier tokens are refused from then on.
fn leases(judge: &Judge, task: &Found, calls: &[&Record], verdict: &mut Verdict) {
    let claims: Vec<&&Record> = calls
        .iter()
        .filter(|call| call.op == Op::Claim && call.outcome == Outcome::Ok)
        .filter(|call| !judge.is_forgiven(call))
        .collect();
    for call in calls {
        let is_under_lease = matches!(call.op, Op::Heartbeat | Op::Report);
        if !is_under_lease || call.outcome != Outcome::Ok || judge.is_forgiven(call) {
            continue;
        }
        let own = claims.iter().find(|claim| claim.token == call.token);
        let newer = claims.iter().find(|claim| {
            claim.token != call.token
                && claim.t_return < call.t_invoke
                && own.is_some_and(|own| own.t_return < claim.t_invoke)
        });
        if let Some(newer) = newer {
            let what = format!(
                "{}: {:?} of {} at {} was taken, though {} had it since {}",
                task.id, call.op, call.proc, call.t_invoke, newer.proc, newer.t_return
            );
            verdict.add(Wrong::StaleAccepted, what);
        }
    }
}

/// The first end is the only one.
fn ends(judge: &Judge, task: &Found, calls: &[&Record], verdict: &mut Verdict) {
    if !task.status.is_final() {
        let what = format!("{} is {}", task.id, task.status);
        verdict.add(Wrong::Unended, what);
    }
    let ended = |call: &&&Record| {
        let is_final = call.status.is_some_and(Status::is_final);
        is_final && call.outcome != Outcome::Unknown && !judge.is_forgiven(call)
    };
    let Some(first) = calls.iter().filter(ended).min_by_key(|call| call.t_return) else {
        return;
    };
    let mut different = calls
        .iter()
        .filter(ended)
        .filter(|call| call.status != first.status);
    if let Some(other) = different.next() {
        let what = format!(
            "{}: {} told {:?}, {} {:?}",
            task.id, first.proc, first.status, other.proc, other.status
        );
        verdict.add(Wrong::TwoEnds, what);
    } else if task.status.is_final() && first.status != Some(task.status) {
        let what = format!(
            "{}: {} told {:?}, and it is {}",
            task.id, first.proc, first.status, task.status
        );
        verdict.add(Wrong::TwoEnds, what);
    } else if !task.status.is_final() {
        let what = format!(
            "{}: {} told {:?}, and it is {}",
            task.id, first.proc, first.status, task.status
        );
        verdict.add(Wrong::Revived, what);
    }
    // A run's own result may be told twice; nobody else gets it any more, and nobody sees it open.
    let later = calls.iter().find(|call| {
        let goes_on = match call.op {
            Op::Claim | Op::Heartbeat => call.outcome == Outcome::Ok,
            Op::Report | Op::Read => {
                call.outcome == Outcome::Ok && call.status.is_some_and(|status| !status.is_final())
            }
            Op::Submit | Op::Cancel | Op::Ready => false,
        };
        goes_on && call.t_invoke > first.t_return
    });
    if let Some(later) = later {
        let what = format!(
            "{}: it had ended at {} ({:?}), and {} was answered a {:?} at {}",
            task.id, first.t_return, first.status, later.proc, later.op, later.t_invoke
        );
        verdict.add(Wrong::Revived, what);
    }
}

/// Failures and losses are counted, and bounded, each for itself.
fn limits(task: &Found, verdict: &mut Verdict) {
    let of = |outcomes: &[attempt::Outcome]| {
        let is_one = |run: &&Run| {
            run.outcome
                .is_some_and(|outcome| outcomes.contains(&outcome))
        };
        u32::try_from(task.runs.iter().filter(is_one).count()).unwrap_or(u32::MAX)
    };
    let failed = of(&[attempt::Outcome::Failed, attempt::Outcome::TimedOut]).max(task.failures);
    if failed > task.max_attempts || task.losses > task.max_losses {
        let what = format!(
            "{}: {failed} failures of {}, {} losses of {}",
            task.id, task.max_attempts, task.losses, task.max_losses
        );
        verdict.add(Wrong::TooManyAttempts, what);
    }
    if of(&[attempt::Outcome::Completed]) > 1 {
        verdict.add(
            Wrong::TwoEnds,
            format!("{}: two runs completed it", task.id),
        );
    }
}

/// By the database's own account each run begins when the one before it has ended, under a number of its own.
fn runs(judge: &Judge, task: &Found, verdict: &mut Verdict) {
    let mut runs: Vec<&Run> = task.runs.iter().collect();
    runs.sort_by_key(|run| run.fence);
    for pair in runs.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        let overlap = match before.ended_at {
            // Each server reads the clock for itself.
            Some(ended) => ended.0.since(after.claimed_at.0) > judge.clocks_apart,
            None => true,
        };
        if before.fence == after.fence || overlap {
            let what = format!(
                "{}: run {} of {} and run {} of {}",
                task.id, before.fence, before.worker, after.fence, after.worker
            );
            verdict.add(Wrong::LeasesOverlap, what);
        }
    }
}

/// A token is one worker's: a claim that is sent again brings it again to the same one.
fn handed_out_twice(records: &[Record], verdict: &mut Verdict) {
    let mut holders: HashMap<&str, &str> = HashMap::new();
    for record in records.iter().filter(|record| record.op == Op::Claim) {
        let Some(token) = record.token.as_deref() else {
            continue;
        };
        let holder = *holders.entry(token).or_insert(&record.proc);
        if holder != record.proc {
            let what = format!(
                "{:?}: {holder} and {} were given it under one token",
                record.task, record.proc
            );
            verdict.add(Wrong::LeasesOverlap, what);
        }
    }
}
