//! Answers held against the rows: what a server told somebody must be so.

use std::collections::BTreeSet;
use std::sync::Arc;

use taskyard_core::command::Done;
use taskyard_core::id::{Fence, SlotKey, TaskId};
use taskyard_core::refused::Refused;
use taskyard_core::rows::Digest;
use taskyard_core::verbs::claim::{Dealt, Hand, Run};
use taskyard_core::verbs::heartbeat::{Beaten, Heartbeat};
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::report::{Report, ReportedBack, RunResult, Word};
use taskyard_core::verbs::submit::{Submit, Submitted};
use taskyard_engine::engine::ClaimCall;

use crate::ledger::{Ledger, Post};
use crate::network::Call;
use crate::{staff, unique};

impl Ledger {
    /// Holds the answers against the rows as last looked at.
    pub(crate) fn check_answers(&mut self) {
        self.losses.check_grace();
        for given in std::mem::take(&mut self.to_check) {
            match (&given.call, &given.answer) {
                (Call::Claim(claim), Ok(Ok(Done::Claims(dealt)))) => {
                    self.check_hand(claim, dealt, given.since);
                }
                (Call::Report(report), Ok(Ok(Done::Report(back)))) => {
                    if let Some((worker, epoch)) = &report.worker {
                        self.staff.check_heard(worker, *epoch, given.since);
                    }
                    self.check_report(report, back)
                }
                (Call::Heartbeat(heartbeat), Ok(Ok(Done::Heartbeat(beaten)))) => {
                    let Heartbeat { worker, epoch, .. } = heartbeat;
                    self.staff.check_heard(worker, *epoch, given.since);
                    self.check_heartbeat(heartbeat, beaten, given.since);
                }
                (Call::Start(start), Ok(Ok(Done::Start(_)))) => assert!(
                    !self.was_over(&start.token, given.since),
                    "I4: a run that is over does not begin"
                ),
                (Call::Submit { submit, .. }, Ok(Ok(Done::Submit(submitted)))) => {
                    unique::check_submitted(submit, submitted, given.since, self);
                    self.check_key_names_what_is_there(submit, submitted, given.since);
                }
                (Call::Operate(operate), Ok(Ok(Done::Operate(operated)))) => {
                    let key = operate.once.as_ref().map(|(key, _)| &*key.key);
                    self.operations.operated(key, operated);
                }
                (Call::CancelOperation(operation), Ok(Ok(Done::CancelOperation(_)))) => {
                    self.operations.cancelled(*operation);
                }
                (Call::Kill(_), Ok(Ok(Done::Kill(killed)))) => {
                    staff::check_killed(killed, given.since, self);
                }
                (Call::Cancel(task), Ok(Err(refused))) => self.check_found(*task, refused),
                (Call::Patch(patch), Ok(Err(refused))) if *refused != Refused::NotWaiting => {
                    self.check_found(patch.task, refused);
                }
                _ => {}
            }
        }
    }

    /// I10: a cancel or a patch that came too late says how the task ended. I1: one of a stored task finds it, wherever it
    /// stands.
    fn check_found(&self, task: TaskId, refused: &Refused) {
        if self.discarded.contains_key(&task) && *refused == Refused::NoSuchTask {
            return;
        }
        let status = self.outcomes.get(&task).map(|outcome| outcome.status);
        assert_eq!(
            Some(refused),
            status.map(Refused::AlreadyEnded).as_ref(),
            "I1, I10: a cancel or a patch finds its task, or its end"
        );
    }

    /// I2: whoever sends a request again finds what it made, as long as its key is known.
    fn check_key_names_what_is_there(&self, submit: &Submit, submitted: &Submitted, since: u64) {
        let is_gone = |task: &TaskId| {
            let gone_with = self.discarded.get(task);
            gone_with.is_some_and(|commit| *commit <= since)
        };
        // By a clock that is set, a key may outlive what it names.
        assert!(
            !self.is_steady || submit.once.is_none() || !submitted.ids.iter().any(is_gone),
            "a key that is known names what is there: {submitted:?}"
        );
    }

    /// I3: at most as many as asked for, each once, and only what its worker serves.
    fn check_hand(&mut self, claim: &ClaimCall, dealt: &Dealt, since: u64) {
        let profile = Arc::clone(&self.profiles[&claim.worker]);
        for Hand { runs, is_again, .. } in dealt.hands.iter().flatten().flatten() {
            if *is_again {
                runs.iter().for_each(|run| self.note_told_again(run));
            }
            assert!(
                runs.len() <= claim.limit,
                "I3: a claim gets no more than it asks for"
            );
            let tasks: BTreeSet<_> = runs.iter().map(|run| run.slot).collect();
            assert_eq!(tasks.len(), runs.len(), "I3: a claim gets each task once");
            self.check_suspects(runs);
            self.check_named(claim, runs, since);
            if claim.epoch.is_none() {
                let call = (claim.worker.clone(), claim.seq);
                self.of_no_process.insert(call);
            }
            self.check_same_again(claim, runs, *is_again, since);
            for run in runs {
                assert!(
                    profile.serves(&run.lane),
                    "a worker gets only what it serves"
                );
                assert!(run.input.is_some(), "a run comes with its input");
            }
        }
    }

    /// I3: what a claim was told of when it was sent again does not go back unheard, whichever server dealt it.
    fn note_told_again(&mut self, run: &Run) {
        let (task, fence) = (run.slot.task, run.fence);
        self.told_again.insert((task, fence));
        self.tally.count("run_is_told_again");
        self.check_stays(task, fence);
    }

    pub(crate) fn check_stays(&self, task: TaskId, fence: Fence) {
        let went = self.reported.contains(&(task, fence, unheard()));
        assert!(
            !(went && self.told_again.contains(&(task, fence))),
            "I3: {task} {fence:?} was told again, and went back unheard"
        );
    }

    /// Who names a task gets that or nothing. A claim that named no process may be taken for another's, which may have been
    /// dealt to before, by a batch that began after commit number `since`.
    fn check_named(&mut self, claim: &ClaimCall, runs: &[Run], since: u64) {
        let Some(named) = &claim.task else { return };
        let is_it = |run: &Run| run.slot.task == named.task;
        let call = (claim.worker.clone(), claim.seq);
        let began_with = |run: &Run| self.began_with.get(&(run.slot.task, run.fence));
        let was_dealt = |run: &Run| began_with(run).is_some_and(|commit| *commit <= since);
        let is_taken_for_anothers = claim.epoch.is_none() && runs.iter().all(was_dealt);
        assert!(
            runs.iter().all(is_it) || is_taken_for_anothers || self.of_no_process.contains(&call),
            "who names a task gets that or nothing: {claim:?} {runs:?}"
        );
        if !runs.is_empty() {
            self.tally.count("named_task_is_claimed");
        }
    }

    /// A suspect is dealt alone. Where two servers have dealt to one claim, the other may have dealt beside it.
    fn check_suspects(&self, runs: &[Run]) {
        // A later run of a task may be suspect by now.
        let lease = |run: &Run| {
            let newest = self.leases.get(&run.slot.task);
            newest.filter(|lease| lease.fence == run.fence)
        };
        let is_suspect = |run: &Run| lease(run).is_some() && self.known.is_suspect(run.slot.task);
        for suspect in runs.iter().filter(|run| is_suspect(run)) {
            let dealt_at = lease(suspect).map(|lease| lease.claimed_at);
            let beside = runs
                .iter()
                .filter(|run| lease(run).map(|lease| lease.claimed_at) == dealt_at);
            assert!(
                beside.count() == 1,
                "{suspect:?} is suspect and was not dealt alone: {runs:?}"
            );
        }
    }

    /// A claim that was sent again is answered with the runs that it was answered with before, as far as they are still
    /// its worker's, and as many as it asks for. Two servers may both deal to it: one of them takes for new what comes
    /// there late and does not say that it was sent again. Then there may be more of its runs than it asks for.
    fn check_same_again(&mut self, claim: &ClaimCall, runs: &[Run], is_again: bool, since: u64) {
        let lease = runs.first().and_then(|run| self.leases.get(&run.slot.task));
        let Some(post) = lease.and_then(Post::of) else {
            return;
        };
        let given = |task: &TaskId| runs.iter().any(|run| run.slot.task == *task);
        let before = self.dealt(post).filter(|(_, born)| *born <= since);
        let missing: Vec<TaskId> = before
            .map(|(task, _)| task)
            .filter(|task| !given(task))
            .collect();
        let is_full = is_again && runs.len() == claim.limit;
        if missing.is_empty() || is_full {
            return;
        }
        if self
            .of_no_process
            .contains(&(claim.worker.clone(), claim.seq))
        {
            self.tally
                .count("claim_of_no_process_is_taken_for_anothers");
            return;
        }
        self.tally.count("claim_is_dealt_to_by_two_servers");
        assert!(
            self.servers > 1 && !claim.again,
            "I3: {claim:?}, sent again, is answered with the same: {missing:?} are missing from {runs:?}"
        );
    }

    /// I4: what was accepted stands in the rows, under its own fence.
    fn check_report(&mut self, report: &Report, back: &ReportedBack) {
        for (result, answer) in report.results.iter().zip(&back.results) {
            let (task, fence) = (result.token.slot.task, result.token.fence);
            let status = match answer {
                Ok(status) => status,
                Err(refused @ (Refused::StaleLease | Refused::ReportedOtherwise)) => {
                    self.refused.push((task, fence));
                    let was_accepted = self.told.contains_key(&(task, fence, result.digest()));
                    assert!(
                        !was_accepted || self.has_reported_since(task, fence),
                        "I4: the same report again is answered the same, not {refused:?}: {result:?}"
                    );
                    continue;
                }
                Err(refused) => {
                    assert!(
                        *refused != Refused::NoSuchTask || self.discarded.contains_key(&task),
                        "I1: a run's task is there: {result:?}"
                    );
                    continue;
                }
            };
            let secret = self.secrets.get(&(task, fence));
            assert_eq!(
                secret,
                Some(&result.token.secret),
                "I4: a report is accepted from who holds the run"
            );
            let report = (task, fence, result.digest());
            let first = *self.told.entry(report).or_insert(*status);
            assert_eq!(
                first, *status,
                "I4: the same report again is answered the same: {result:?}"
            );
            assert!(
                self.reported.contains(&(task, fence, result.digest())),
                "I4: an accepted report is in the rows: {result:?}"
            );
            let outcome = self.outcomes.get(&task).filter(|_| status.is_final());
            assert!(
                outcome.is_none_or(|outcome| outcome.fence == fence && outcome.status == *status),
                "I4: an accepted end is the task's: {result:?} {status} {outcome:?}"
            );
        }
    }

    /// Whether a later run of the task has reported: of those before it nothing is known any more.
    fn has_reported_since(&self, task: TaskId, fence: Fence) -> bool {
        let mut reports = self.reported.range((task, fence.next(), Digest([0; 16]))..);
        reports.next().is_some_and(|(other, ..)| *other == task)
    }

    /// I9: a run that was over is not renewed.
    fn check_heartbeat(&self, heartbeat: &Heartbeat, beaten: &Beaten, since: u64) {
        for held in &heartbeat.held {
            let task = held.token.slot.task;
            let told = [&beaten.lost, &beaten.cancel, &beaten.unknown];
            let is_told = told.iter().any(|tasks| tasks.contains(&task));
            assert!(
                is_told || !self.was_over(&held.token, since),
                "I9: a heartbeat revives nothing"
            );
            assert!(
                !beaten.cancel.contains(&task)
                    || self.cancelled.contains(&task)
                    || self.outcomes.contains_key(&task),
                "only what was cancelled is told to be"
            );
        }
    }

    fn was_over(&self, token: &Token, since: u64) -> bool {
        let over = self.over.get(&(token.slot.task, token.fence));
        over.is_some_and(|commit| *commit <= since)
    }
}

/// What a server says that gives back what nobody heard of.
fn unheard() -> Digest {
    let token = Token {
        slot: SlotKey::only(TaskId::NIL),
        fence: Fence(0),
        secret: 0,
    };
    RunResult::new(token, Word::Unheard, None).digest()
}
