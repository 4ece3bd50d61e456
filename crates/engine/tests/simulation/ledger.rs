//! What the servers have promised so far, and what of the rows may never change: what invariants are checked against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use taskyard_core::command::{Answer, Done};
use taskyard_core::id::{Fence, TaskId};
use taskyard_core::json::Json;
use taskyard_core::name::Name;
use taskyard_core::query::TaskView;
use taskyard_core::rows::{Digest, Lease, Outcome};
use taskyard_core::status::Status;
use taskyard_core::store;
use taskyard_core::verbs::claim::{Dealt, Hand, Run};
use taskyard_core::verbs::heartbeat::{Beaten, Heartbeat};
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::report::{Report, ReportedBack, Word};
use taskyard_core::verbs::submit::Submit;
use taskyard_core::worker::Profile;
use taskyard_engine::engine::ClaimCall;

use crate::known::{Ask, Known};
use crate::network::Call;

/// What a client asked to have made.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tasks: usize,
    /// Requests with the same key exclude each other.
    pub(crate) key: Option<String>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) asked: BTreeMap<Ask, Asked>,
    /// Ids that a server said are stored.
    pub(crate) stored: BTreeSet<TaskId>,
    /// Ids that a server said are not, and that were sent only once.
    pub(crate) not_stored: BTreeSet<TaskId>,
    /// What each key was answered with first.
    keys: BTreeMap<String, Arc<[TaskId]>>,
    /// Ids of another day: never to be stored.
    pub(crate) never: BTreeSet<TaskId>,
    pub(crate) cancelled: BTreeSet<TaskId>,
    /// Accepted results that ended their task: the fence, and what came out.
    pub(crate) completed: BTreeMap<TaskId, (Fence, Json)>,
    /// How each task ended, as first seen.
    pub(crate) outcomes: BTreeMap<TaskId, Arc<Outcome>>,
    /// The newest lease of each task, as last seen; also when it is gone.
    pub(crate) leases: BTreeMap<TaskId, Lease>,
    /// The reports that were accepted, as seen in the rows.
    pub(crate) reported: BTreeSet<(TaskId, Fence, Digest)>,
    /// With which commit each run was over.
    pub(crate) over: BTreeMap<(TaskId, Fence), u64>,
    /// The tasks as last seen.
    pub(crate) known: Known,
    pub(crate) profiles: BTreeMap<Name, Arc<Profile>>,
    /// Answers to be held against the rows once those have been looked at.
    to_check: Vec<Given>,
}

/// An answer, and the number of the last commit before its batch began.
struct Given {
    call: Call,
    answer: Answer,
    since: u64,
}

impl Ledger {
    /// A server has made up its mind, in a batch that began after commit number `since`.
    pub(crate) fn answered(&mut self, call: &Call, answer: &Answer, since: u64) {
        match (call, answer) {
            (Call::Submit { submit, makes_ids }, Ok(Ok(Done::Submit(submitted)))) => {
                self.keep_to_the_key(submit, &submitted.ids);
                self.stored.extend(submitted.ids.iter());
                assert!(
                    *makes_ids
                        || submit.once.is_some()
                        || submitted
                            .ids
                            .iter()
                            .eq(submit.tasks.iter().map(|task| &task.id)),
                    "a client's own ids are kept"
                );
            }
            (
                Call::Submit {
                    submit,
                    makes_ids: true,
                },
                answer,
            ) if says_no(answer) => {
                self.not_stored
                    .extend(submit.tasks.iter().map(|task| task.id));
            }
            (Call::Cancel(task), Ok(Ok(Done::Cancel(_)))) => {
                self.cancelled.insert(*task);
            }
            (Call::Report(report), Ok(Ok(Done::Report(back)))) => self.accepted(report, back),
            _ => {}
        }
        self.to_check.push(Given {
            call: call.clone(),
            answer: answer.clone(),
            since,
        });
    }

    /// I2: one key, one set of ids.
    fn keep_to_the_key(&mut self, submit: &Submit, ids: &Arc<[TaskId]>) {
        let Some((key, _)) = &submit.once else { return };
        let first = self
            .keys
            .entry(key.key.to_string())
            .or_insert_with(|| Arc::clone(ids));
        assert_eq!(first, ids, "I2: one key stands for one set of ids");
    }

    fn accepted(&mut self, report: &Report, back: &ReportedBack) {
        for (result, answer) in report.results.iter().zip(&back.results) {
            let task = result.token.slot.task;
            if let (Word::Completed { output }, Ok(Status::Completed)) = (&result.word, answer) {
                let accepted = (result.token.fence, output.clone());
                let first = self
                    .completed
                    .entry(task)
                    .or_insert_with(|| accepted.clone());
                assert_eq!(*first, accepted, "I6: one result of a task is accepted");
            }
        }
    }

    /// I13: what has ended reads as ended, by every server.
    pub(crate) fn read(&self, call: &Call, view: Option<&TaskView>) {
        let Call::Read { task, had_ended } = call else {
            return;
        };
        assert!(
            !self.stored.contains(task) || view.is_some(),
            "I1: a stored task is read back"
        );
        if let (true, Some(outcome)) = (had_ended, self.outcomes.get(task)) {
            let status = view.map(TaskView::status);
            assert_eq!(status, Some(outcome.status), "I13: an end is read back");
        }
    }

    /// Holds the answers against the rows as last looked at.
    pub(crate) fn check_answers(&mut self) {
        for given in std::mem::take(&mut self.to_check) {
            match (&given.call, &given.answer) {
                (Call::Claim(claim), Ok(Ok(Done::Claims(dealt)))) => self.check_hand(claim, dealt),
                (Call::Report(report), Ok(Ok(Done::Report(back)))) => {
                    self.check_report(report, back)
                }
                (Call::Heartbeat(heartbeat), Ok(Ok(Done::Heartbeat(beaten)))) => {
                    self.check_heartbeat(heartbeat, beaten, given.since);
                }
                (Call::Start(start), Ok(Ok(Done::Start(_)))) => assert!(
                    !self.was_over(&start.token, given.since),
                    "I4: a run that is over does not begin"
                ),
                _ => {}
            }
        }
    }

    /// I3: at most as many as asked for, each once, and only what its worker serves.
    fn check_hand(&self, claim: &ClaimCall, dealt: &Dealt) {
        let profile = &self.profiles[&claim.worker];
        for Hand { runs, .. } in dealt.hands.iter().flatten().flatten() {
            assert!(
                runs.len() <= claim.limit,
                "I3: a claim gets no more than it asks for"
            );
            let tasks: BTreeSet<_> = runs.iter().map(|run| run.slot).collect();
            assert_eq!(tasks.len(), runs.len(), "I3: a claim gets each task once");
            let is_suspect = |run: &Run| self.known.is_suspect(run.slot.task);
            assert!(
                runs.len() == 1 || !runs.iter().any(is_suspect),
                "a suspect is dealt alone"
            );
            for run in runs {
                assert!(
                    profile.serves(&run.lane),
                    "a worker gets only what it serves"
                );
                assert!(run.input.is_some(), "a run comes with its input");
            }
        }
    }

    /// I4: what was accepted stands in the rows, under its own fence.
    fn check_report(&self, report: &Report, back: &ReportedBack) {
        for (result, answer) in report.results.iter().zip(&back.results) {
            let Ok(status) = answer else { continue };
            let (task, fence) = (result.token.slot.task, result.token.fence);
            assert!(
                self.reported.contains(&(task, fence, result.digest)),
                "I4: an accepted report is in the rows: {result:?}"
            );
            let outcome = self.outcomes.get(&task).filter(|_| status.is_final());
            assert!(
                outcome.is_none_or(|outcome| outcome.fence == fence && outcome.status == *status),
                "I4: an accepted end is the task's: {result:?} {status} {outcome:?}"
            );
        }
    }

    /// I9: a run that was over is not renewed.
    fn check_heartbeat(&self, heartbeat: &Heartbeat, beaten: &Beaten, since: u64) {
        for held in &heartbeat.held {
            let task = held.token.slot.task;
            let is_told = beaten.lost.contains(&task) || beaten.cancel.contains(&task);
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

/// The answer says that nothing happened.
fn says_no(answer: &Answer) -> bool {
    match answer {
        Ok(reply) => reply.is_err(),
        Err(store::Error::Unknown(_)) => false,
        Err(
            store::Error::Unavailable(_)
            | store::Error::Full
            | store::Error::Conflict
            | store::Error::Failed(_),
        ) => true,
    }
}
