//! Report: what became of runs. Accepted once, from whoever holds the lease; the same report again gets the same
//! answer, any other is refused and kept to be seen.

use std::sync::Arc;
use std::time::Duration;

use crate::command::{Env, halves};
use crate::id::{Epoch, Fence, WorkerNumber};
use crate::json::Json;
use crate::moves::{self, Ending};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::rows::{Digest, Digesting, End, Failure, LateResult, Reported, Said};
use crate::slot::{self, Counts, Event, Limits, Place, Slot};
use crate::status::Status;
use crate::time::Timestamp;
use crate::verbs::caller;
use crate::verbs::held::{self, Token};
use crate::view::View;

/// How much of a refused result is kept, in bytes; a longer output or detail is left out.
const LATE_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug)]
pub struct Report {
    /// Who reports, where it says so: a process that was replaced is told.
    pub worker: Option<(Name, Option<Epoch>)>,
    /// Shared, for it is said again where nobody knows what became of it.
    pub results: Arc<[RunResult]>,
}

#[derive(Clone, Debug)]
pub struct RunResult {
    pub token: Token,
    pub word: Word,
    /// When the run began, where nothing said so before.
    pub started_at: Option<Timestamp>,
    /// Of the word: tells a repetition from another result. When the run began is no part of it.
    digest: Digest,
}

#[derive(Clone, Debug)]
pub enum Word {
    Completed {
        output: Json,
    },
    /// With `retry` false another try is useless.
    Failed {
        error: Failure,
        retry: bool,
    },
    TimedOut {
        error: Failure,
    },
    /// To be tried again so much later, at no cost.
    Snoozed {
        wait: Duration,
    },
    /// Handed back, at no cost.
    Released,
    /// Handed back by the server that dealt it, whose answer nobody heard. Not where the claim was sent again, perhaps to
    /// another server, and answered with the same lease: then its worker is at it.
    Unheard,
}

impl RunResult {
    /// Reads through the whole output, so it is done before there is a batch, which others would wait for.
    pub fn new(token: Token, word: Word, started_at: Option<Timestamp>) -> Self {
        Self {
            digest: word.digest(),
            token,
            word,
            started_at,
        }
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl Word {
    /// Two results are the same if these are, on whatever way they came.
    fn digest(&self) -> Digest {
        let mut digesting = Digesting::default();
        match self {
            Self::Completed { output } => {
                digesting.part(b"completed");
                digesting.part(output.as_str().as_bytes());
            }
            Self::Failed { error, retry: true } => error_parts(&mut digesting, b"failed", error),
            Self::Failed {
                error,
                retry: false,
            } => error_parts(&mut digesting, b"failed for good", error),
            Self::TimedOut { error } => error_parts(&mut digesting, b"timed_out", error),
            Self::Snoozed { wait } => {
                digesting.part(b"snoozed");
                digesting.part(&wait.as_micros().to_be_bytes());
            }
            Self::Released => digesting.part(b"released"),
            Self::Unheard => digesting.part(b"unheard"),
        }
        digesting.finish()
    }
}

fn error_parts(digesting: &mut Digesting, what: &[u8], error: &Failure) {
    digesting.part(what);
    digesting.part(error.code.as_bytes());
    digesting.part(error.message.as_bytes());
    let detail = error.detail.as_ref().map_or("", Json::as_str);
    digesting.part(detail.as_bytes());
}

#[derive(Clone, Debug, PartialEq)]
pub struct ReportedBack {
    /// In the order of the report: where each task stands now.
    pub results: Vec<Result<Status, Refused>>,
    /// Whose the latest run was of those that it ended.
    pub by: Option<(WorkerNumber, Epoch)>,
    /// The worker, where the report names it, gets nothing more, and leaves when it has finished.
    pub drain: bool,
}

impl ReportedBack {
    pub(crate) fn join(&mut self, more: Self) {
        self.results.extend(more.results);
        self.by = more.by.or(self.by);
        self.drain |= more.drain;
    }
}

impl Report {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        let of = |results: Vec<RunResult>| Self {
            worker: self.worker.clone(),
            results: results.into(),
        };
        Some(halves(&self.results)?.map(of))
    }

    pub(crate) fn failed_part(&self) -> ReportedBack {
        let results = self.results.iter().map(|_| Err(Refused::Broken));
        ReportedBack {
            results: results.collect(),
            by: None,
            drain: false,
        }
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        if let Some((worker, _)) = &self.worker {
            needs.worker(worker, Hold::Read);
        }
        for result in &*self.results {
            held::needs(&result.token, Hold::Lock, needs);
        }
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        for result in &*self.results {
            held::more(&result.token, view, needs);
            let Some(lease) = view.leases.get(&result.token.slot) else {
                continue;
            };
            if lease.has_carry || !matches!(result.word, Word::Completed { .. }) {
                moves::need_history(lease, view, needs);
            }
        }
    }

    pub(crate) fn decide(
        &self,
        view: &mut View,
        env: &mut Env<'_>,
    ) -> Result<ReportedBack, Refused> {
        let mut drain = false;
        if let Some((worker, epoch)) = &self.worker {
            drain = caller::worker(worker, *epoch, view)?.is_draining;
        }
        let mut by = None;
        let results = self.results.iter();
        let results = results.map(|result| result.decide(view, env, &mut by));
        Ok(ReportedBack {
            results: results.collect(),
            by,
            drain,
        })
    }
}

impl RunResult {
    /// Bytes of what it brings along.
    pub fn payload_len(&self) -> usize {
        match &self.word {
            Word::Completed { output } => output.len(),
            Word::Failed { error, .. } | Word::TimedOut { error } => error.detail_len(),
            Word::Snoozed { .. } | Word::Released | Word::Unheard => 0,
        }
    }

    fn decide(
        &self,
        view: &mut View,
        env: &mut Env<'_>,
        by: &mut Option<(WorkerNumber, Epoch)>,
    ) -> Result<Status, Refused> {
        let is_unheard = matches!(self.word, Word::Unheard);
        match held::lease(&self.token, view) {
            Ok(lease) if is_unheard && lease.is_told_again => Ok(lease.place().status()),
            Ok(lease) => {
                *by = Some((lease.worker, lease.epoch));
                Ok(moves::end_run(view, &lease, self.event(), self.ending(), env).status())
            }
            Err(Refused::NoSuchTask) => Err(Refused::NoSuchTask),
            // No worker has said anything that would be worth keeping.
            Err(refused) if is_unheard => Err(refused),
            Err(_) => self.repeated(view).inspect_err(|_| self.keep(view, env)),
        }
    }

    /// The run has no lease any more: perhaps this very report ended it.
    fn repeated(&self, view: &View) -> Result<Status, Refused> {
        let mut accepted = self.accepted(view);
        match accepted.find(|(reported, _)| reported.fence == self.token.fence) {
            Some((reported, status)) if reported.digest == self.digest => Ok(status),
            Some(_) => Err(Refused::ReportedOtherwise),
            None => Err(Refused::StaleLease),
        }
    }

    /// The report that ended the task, and the latest that gave it back, each with the answer it got.
    fn accepted(&self, view: &View) -> impl Iterator<Item = (Reported, Status)> {
        let outcome = view.outcomes.peek(&self.token.slot.task);
        let ended = outcome.and_then(|outcome| Some((outcome.reported?, outcome.status)));
        let carry = view.carries.peek(&self.token.slot);
        let given_back = carry.and_then(|carry| carry.reported);
        let given_back = given_back.map(|reported| (reported, self.answer_when_given_back()));
        [ended, given_back].into_iter().flatten()
    }

    /// Where the word led that did not end its task, as far from every limit as it then was.
    fn answer_when_given_back(&self) -> Status {
        let held = Slot {
            place: Place::Leased,
            counts: Counts::default(),
        };
        let after = slot::step(held, self.event(), Limits::FAR);
        let after = after.expect("whatever is said of a lease can happen to it");
        after.place.status()
    }

    fn event(&self) -> Event {
        match &self.word {
            Word::Completed { .. } => Event::Completed,
            Word::Failed { retry, .. } => Event::Failed { retry: *retry },
            Word::TimedOut { .. } => Event::TimedOut,
            Word::Snoozed { .. } => Event::Snoozed,
            Word::Released | Word::Unheard => Event::Released,
        }
    }

    fn ending(&self) -> Ending {
        let reported = Some(Reported {
            fence: self.token.fence,
            digest: self.digest,
        });
        let ending = Ending {
            started_at: self.started_at,
            reported,
            ..Ending::default()
        };
        match &self.word {
            Word::Completed { output } => Ending {
                output: Some(output.clone()),
                ..ending
            },
            Word::Failed { error, .. } => Ending {
                end: Some(End::Failed),
                error: Some(error.clone()),
                ..ending
            },
            Word::TimedOut { error } => Ending {
                end: Some(End::TimedOut),
                error: Some(error.clone()),
                ..ending
            },
            Word::Snoozed { wait } => Ending {
                end: Some(End::Snoozed),
                wait: Some(*wait),
                ..ending
            },
            Word::Released | Word::Unheard => Ending {
                end: Some(End::Released),
                ..ending
            },
        }
    }

    fn said(&self) -> Said {
        match &self.word {
            Word::Completed { .. } => Said::Completed,
            Word::Failed { .. } => Said::Failed,
            Word::TimedOut { .. } => Said::TimedOut,
            Word::Snoozed { .. } => Said::Snoozed,
            Word::Released | Word::Unheard => Said::Released,
        }
    }

    /// A refused result is kept beside the run it names; one whose run never was is kept as number 0, so that
    /// guessing fills nothing.
    fn keep(&self, view: &mut View, env: &Env<'_>) {
        let slot = self.token.slot;
        let carried = view.carries.peek(&slot).map(|carry| carry.fence);
        let ended = view.outcomes.peek(&slot.task).map(|outcome| outcome.fence);
        let leased = view.leases.peek(&slot).map(|lease| lease.fence);
        let newest = carried.max(ended).max(leased).unwrap_or(Fence(0));
        let oldest = newest.0 - env.policy.history_max;
        let was_there = self.token.fence > Fence(oldest.max(0)) && self.token.fence <= newest;
        let ending = self.ending();
        let fits = |json: &Json| json.len() <= LATE_BYTES_MAX;
        view.record_late(LateResult {
            run: slot.run(if was_there {
                self.token.fence
            } else {
                Fence(0)
            }),
            at: env.now,
            said: self.said(),
            output: ending.output.filter(fits),
            error: ending.error.map(|error| Failure {
                detail: error.detail.filter(fits),
                ..error
            }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_results_are_the_same_only_if_they_say_the_same() {
        let error = |message: &str, detail: Option<&'static str>| Failure {
            detail: detail.map(Json::stored),
            ..Failure::new("boom", message)
        };
        let completed = |output: &'static str| Word::Completed {
            output: Json::stored(output),
        };
        let failed = |error, retry| Word::Failed { error, retry };
        let snoozed = |seconds| Word::Snoozed {
            wait: Duration::from_secs(seconds),
        };
        let different = || {
            [
                completed("1"),
                completed("\"1\""),
                failed(error("1", None), true),
                failed(error("1", None), false),
                failed(error("", Some("1")), true),
                Word::TimedOut {
                    error: error("1", None),
                },
                snoozed(1),
                snoozed(2),
                Word::Released,
                Word::Unheard,
            ]
        };

        for (place, word) in different().iter().enumerate() {
            let same = different().map(|other| other.digest() == word.digest());
            assert_eq!(same.iter().position(|same| *same), Some(place), "{word:?}");
            assert_eq!(same.iter().filter(|same| **same).count(), 1, "{word:?}");
        }
    }
}
