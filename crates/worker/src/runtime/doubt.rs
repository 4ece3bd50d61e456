//! Runs that come so long after they were asked for that their leases may have run out: the worker was stopped, or its
//! machine slept, with the answer on its way. They begin once the server has said that they are still the worker's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use taskyard_api::client;
use taskyard_api::worker::{Heard, Heartbeat, Held, Run};
use tokio::time::Instant;

use super::Runtime;
use super::call::Answer;
use super::drain::Phase;
use super::moment::Moment;
use super::settings::Error;
use super::trouble::Trouble;
use super::verdict::Leased;

/// Such runs, and the question about them.
pub(super) struct Doubt {
    runs: Vec<Run>,
    /// Those that are asked about next, since so many at most go together.
    rest: Vec<Run>,
    together: usize,
    epoch: Option<u32>,
    asked: Moment,
}

impl Runtime {
    /// Whether leases that were given out since then hold for certain.
    ///
    /// A lease ends with its own time or with its worker's, if that gives no sign of life. Of either a third is sure:
    /// the worker's last sign may have come long before the claim, but servers want two of them in that time and note
    /// at least each that comes a sixth of it after the last.
    pub(super) fn is_sure(&self, asked: Moment) -> bool {
        self.registered.as_ref().is_some_and(|registered| {
            let ms = registered.lease_ms.min(registered.heartbeat_ttl_ms);
            asked.elapsed() < Duration::from_millis(ms) / 3
        })
    }

    /// Asks the server for as many as it takes at once: a heartbeat that names them renews those that hold.
    pub(super) fn ask_about(&mut self, runs: Vec<Run>) {
        let together = self.limits.borrow().bare_runs();
        self.ask(runs, together);
    }

    fn ask(&mut self, mut runs: Vec<Run>, together: usize) {
        self.doubted += runs.len();
        let rest = runs.split_off(together.min(runs.len()));
        let doubt = Doubt {
            runs,
            rest,
            together,
            epoch: self.registered.as_ref().map(|registered| registered.epoch),
            asked: Moment::now(),
        };
        let heartbeat = Heartbeat {
            held: doubt.runs.iter().map(not_begun).collect(),
            epoch: doubt.epoch,
            leaves: false,
        };
        let within = self.pulse.every();
        let (transport, name) = (Arc::clone(&self.transport), Arc::clone(&self.name));
        self.calls.push(Box::pin(async move {
            let call = transport.heartbeat(&name, &heartbeat);
            let answer = tokio::time::timeout(within, call).await.ok();
            Answer::Vouched(doubt, answer)
        }));
    }

    pub(super) fn take_vouched(
        &mut self,
        doubt: Doubt,
        answer: Option<Result<Heard, client::Error>>,
    ) -> Result<(), Error> {
        let Doubt {
            mut runs,
            rest,
            together,
            epoch,
            asked,
        } = doubt;
        self.doubted -= runs.len() + rest.len();
        let error = match answer {
            Some(Ok(heard)) => {
                self.begin_held(runs, heard, asked);
                self.go_on_with(rest, together);
                return Ok(());
            }
            Some(Err(error)) if Trouble::of(&error) == Trouble::Unfit => {
                tracing::warn!(runs = runs.len(), %error, "the question whether leases still hold was refused");
                if runs.len() == 1 {
                    self.hand_back(runs);
                    self.go_on_with(rest, together);
                } else {
                    let half = runs.len() / 2;
                    runs.extend(rest);
                    self.go_on_with(runs, half);
                }
                return Ok(());
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        runs.extend(rest);
        self.hand_back(runs);
        match error {
            Some(error) => self.bear(Trouble::of(&error), error, epoch),
            None => {
                let why = "no answer came in time to whether leases still hold";
                self.retries.wait(Instant::now(), Duration::ZERO, &why);
                Ok(())
            }
        }
    }

    fn begin_held(&mut self, runs: Vec<Run>, heard: Heard, asked: Moment) {
        self.take_times(heard.lease_ms, heard.heartbeat_ms);
        if heard.drain {
            self.drain();
        }
        let gone: HashSet<_> = heard.lost.into_iter().chain(heard.cancel).collect();
        let (gone, runs): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|run| gone.contains(&run.id));
        let unsure: HashSet<_> = heard.unconfirmed.into_iter().collect();
        let (unsure, held): (Vec<_>, Vec<_>) =
            runs.into_iter().partition(|run| unsure.contains(&run.id));
        if !unsure.is_empty() {
            self.hand_back(unsure);
        }
        for run in gone {
            tracing::warn!(
                task.id = %run.id, kind = run.kind, attempt = run.attempt,
                "a run came too late and is not begun: its lease is lost, or its task was cancelled"
            );
        }
        self.begin(held, asked);
    }

    fn go_on_with(&mut self, runs: Vec<Run>, together: usize) {
        if self.phase != Phase::Working {
            self.hand_back(runs);
        } else if !runs.is_empty() {
            self.ask(runs, together);
        }
    }

    /// Others can have them sooner than when their leases have run out.
    fn hand_back(&mut self, runs: Vec<Run>) {
        for run in runs {
            let result = Leased::released(run.id, run.lease_token);
            self.summary.count(result.outcome);
            self.outbox.push(result);
        }
    }
}

fn not_begun(run: &Run) -> Held {
    Held {
        task_id: run.id,
        lease_token: run.lease_token.clone(),
        running: false,
        progress: None,
        checkpoint: None,
    }
}
