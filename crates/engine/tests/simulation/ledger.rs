//! What the servers have promised so far, and what of the rows may never change: what invariants are checked against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use taskyard_core::command::{Answer, Done};
use taskyard_core::id::{Epoch, Fence, TaskId, WorkerNumber};
use taskyard_core::json::Json;
use taskyard_core::name::Name;
use taskyard_core::query::TaskView;
use taskyard_core::rows::{Digest, Lease, Outcome};
use taskyard_core::status::Status;
use taskyard_core::store;
use taskyard_core::verbs::report::{Report, ReportedBack, Word};
use taskyard_core::verbs::submit::{Made, NewTask, Submit};
use taskyard_core::worker::Profile;

use crate::known::{Ask, Known};
use crate::losses::Losses;
use crate::minutes::Minutes;
use crate::network::Call;
use crate::operations::Operations;
use crate::options::Options;
use crate::patches::Patches;
use crate::presence::Presence;
use crate::queues::Queues;
use crate::staff::Staff;
use crate::tally::Tally;

/// What a client asked to have made.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tasks: usize,
    /// How many of them have a unique key.
    pub(crate) unique: usize,
    /// Requests with the same key exclude each other.
    pub(crate) key: Option<String>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) servers: usize,
    /// No clock is set.
    pub(crate) is_steady: bool,
    pub(crate) asked: BTreeMap<Ask, Asked>,
    /// Ids that a server said are stored.
    pub(crate) stored: BTreeSet<TaskId>,
    /// Ids that a server said are not, and that were sent only once.
    pub(crate) not_stored: BTreeSet<TaskId>,
    /// What each key was answered with first.
    keys: BTreeMap<String, Arc<[TaskId]>>,
    /// Ids of another day: never to be stored.
    pub(crate) never: BTreeSet<TaskId>,
    /// What each task was to be, by its id and, where its client chose that, its digest.
    pub(crate) wanted: BTreeMap<(TaskId, Option<Digest>), NewTask>,
    /// What was taken away, and with which commit.
    pub(crate) discarded: BTreeMap<TaskId, u64>,
    /// What somebody asked to have cancelled, by its id.
    pub(crate) cancels: BTreeSet<TaskId>,
    pub(crate) cancelled: BTreeSet<TaskId>,
    /// Accepted results that ended their task: the fence, and what came out.
    pub(crate) completed: BTreeMap<TaskId, (Fence, Json)>,
    /// How each task ended, as first seen.
    pub(crate) outcomes: BTreeMap<TaskId, Arc<Outcome>>,
    /// With which commit each task ended.
    pub(crate) ended_with: BTreeMap<TaskId, u64>,
    /// The newest lease of each task, as last seen; also when it is gone.
    pub(crate) leases: BTreeMap<TaskId, Lease>,
    /// The secret of each run.
    pub(crate) secrets: BTreeMap<(TaskId, Fence), i64>,
    /// The reports that were accepted, as seen in the rows.
    pub(crate) reported: BTreeSet<(TaskId, Fence, Digest)>,
    /// Runs that a claim was told of when it was sent again.
    pub(crate) told_again: BTreeSet<(TaskId, Fence)>,
    /// With which commit each run was given out.
    pub(crate) began_with: BTreeMap<(TaskId, Fence), u64>,
    /// With which commit each run was over.
    pub(crate) over: BTreeMap<(TaskId, Fence), u64>,
    /// The tasks as last seen.
    pub(crate) known: Known,
    pub(crate) profiles: BTreeMap<Name, Arc<Profile>>,
    /// The live leases of each claim, and with which commit they came.
    posts: BTreeMap<Post, BTreeMap<TaskId, u64>>,
    /// Claims that named no process: one that comes late is taken for the same number of the process that follows.
    pub(crate) of_no_process: BTreeSet<(Name, i64)>,
    /// What each accepted report was answered with.
    pub(crate) told: BTreeMap<(TaskId, Fence, Digest), Status>,
    /// Results that were refused, to be looked for among what is kept of them.
    pub(crate) refused: Vec<(TaskId, Fence)>,
    /// Answers to be held against the rows once those have been looked at.
    pub(crate) to_check: Vec<Given>,
    pub(crate) losses: Losses,
    pub(crate) queues: Queues,
    pub(crate) operations: Operations,
    pub(crate) staff: Staff,
    pub(crate) minutes: Minutes,
    pub(crate) patches: Patches,
    pub(crate) presence: Presence,
    /// What of the rows is worth counting.
    pub(crate) tally: Tally,
}

/// An answer, and the number of the last commit before its batch began.
pub(crate) struct Given {
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) since: u64,
}

/// One claim of a worker, however often it is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Post(WorkerNumber, Epoch, i64);

impl Post {
    /// `None` for a claim that has no number.
    pub(crate) fn of(lease: &Lease) -> Option<Self> {
        (lease.seq != 0).then_some(Self(lease.worker, lease.epoch, lease.seq))
    }
}

impl Ledger {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            servers: options.servers,
            is_steady: options.is_steady,
            ..Self::default()
        }
    }

    /// It is going to be asked for, under this id.
    pub(crate) fn wants(&mut self, task: &NewTask) {
        let wanted = self.wanted.entry((task.id, task.digest));
        wanted.or_insert_with(|| task.clone());
    }

    /// A server has made up its mind, in a batch that began after commit number `since`.
    pub(crate) fn answered(&mut self, call: &Call, answer: &Answer, since: u64) {
        match (call, answer) {
            (Call::Submit { submit, makes_ids }, Ok(Ok(Done::Submit(submitted)))) => {
                self.keep_to_the_key(submit, &submitted.ids);
                self.stored.extend(submitted.ids.iter());
                let is_own = |((id, made), task): ((&TaskId, &Made), &NewTask)| {
                    *id == task.id || *made == Made::ByAnother
                };
                let ids = submitted.ids.iter().zip(&submitted.made);
                assert!(
                    *makes_ids || submit.once.is_some() || ids.zip(&submit.tasks).all(is_own),
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
            (Call::Patch(patch), Ok(Ok(Done::Patch(_)))) if patch.priority.is_some() => {
                self.patches.taken(patch.task);
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

    /// The lease came with this commit.
    pub(crate) fn lease_begins(&mut self, lease: &Lease, commit: u64) {
        let run = (lease.slot.task, lease.fence);
        self.secrets.insert(run, lease.secret);
        self.began_with.insert(run, commit);
        if let Some(post) = Post::of(lease) {
            let dealt = self.posts.entry(post).or_default();
            dealt.insert(lease.slot.task, commit);
        }
    }

    /// The lease was gone with this commit, if it was not before.
    pub(crate) fn lease_ends(&mut self, lease: &Lease, commit: u64) {
        let run = (lease.slot.task, lease.fence);
        self.over.entry(run).or_insert(commit);
        if let Some(post) = Post::of(lease)
            && let Some(dealt) = self.posts.get_mut(&post)
        {
            dealt.remove(&lease.slot.task);
            if dealt.is_empty() {
                self.posts.remove(&post);
            }
        }
    }

    /// The live leases of a claim.
    pub(crate) fn dealt(&self, post: Post) -> impl Iterator<Item = (TaskId, u64)> {
        let dealt = self.posts.get(&post).into_iter().flatten();
        dealt.map(|(task, commit)| (*task, *commit))
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
        if self.discarded.contains_key(task) {
            return;
        }
        assert!(
            !self.stored.contains(task) || view.is_some(),
            "I1: a stored task is read back"
        );
        if let (true, Some(outcome)) = (had_ended, self.outcomes.get(task)) {
            let status = view.map(TaskView::status);
            assert_eq!(status, Some(outcome.status), "I13: an end is read back");
        }
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
            | store::Error::Failed(_)
            | store::Error::Unreadable(_)
            | store::Error::Damaged(_),
        ) => true,
    }
}
