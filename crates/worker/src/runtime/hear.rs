//! What the server says of the runs in hand, in answer to a heartbeat or a start.

use std::collections::HashSet;
use std::time::Duration;

use taskyard_api::client;
use taskyard_api::task::Status;
use taskyard_api::worker::Heard;
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use super::Runtime;
use super::beat::Beat;
use super::limits::Limits;
use super::settings::Error;
use super::trouble::{Retries, Trouble};
use crate::executor::Stop;

impl Runtime {
    pub(super) fn take_heartbeat(
        &mut self,
        beat: Beat,
        answer: Option<Result<Heard, client::Error>>,
    ) -> Result<(), Error> {
        let (now, is_full) = (Instant::now(), beat.is_full);
        self.pulse.landed(is_full);
        match answer {
            Some(Ok(heard)) => {
                self.unwelcome = None;
                if is_full {
                    self.renewed = Some(now);
                }
                self.hear(&beat, &heard);
                self.pulse.arrived(&beat, &mut self.outbox);
                self.note_through(is_full);
            }
            Some(Err(error)) => match Trouble::of(&error) {
                Trouble::Unfit => {
                    self.refuse(beat, &error);
                    self.note_through(is_full);
                }
                Trouble::Away => {
                    self.pulse.failed(beat, &mut self.hands, now);
                    self.warn_of_expiry(now);
                    self.retries_of(is_full).failed(now, &error);
                }
                Trouble::Unwelcome => {
                    self.pulse.failed(beat, &mut self.hands, now);
                    self.retries_of(is_full).failed(now, &error);
                    self.bear_refusal(error, now);
                }
                trouble => {
                    let epoch = beat.heartbeat.epoch;
                    self.pulse.failed(beat, &mut self.hands, now);
                    return self.bear(trouble, error, epoch);
                }
            },
            None => self.bear_silence(beat, now),
        }
        Ok(())
    }

    /// No answer came in time. What there is to say may be too much for the line.
    fn bear_silence(&mut self, beat: Beat, now: Instant) {
        let is_full = beat.is_full;
        if is_full {
            self.pulse.end_news();
        } else if beat.len() > 1 {
            self.pulse.say_instead(beat.halves());
            return;
        }
        self.pulse.failed(beat, &mut self.hands, now);
        self.warn_of_expiry(now);
        let why = "no answer to a heartbeat came in time";
        self.retries_of(is_full).wait(now, Duration::ZERO, &why);
    }

    /// One call that gets through says nothing of the others, and must not cut short the wait that one of them began.
    fn note_through(&mut self, is_full: bool) {
        if self.pulse.got_through(is_full) {
            self.retries_of(is_full).succeeded();
            let now = Instant::now();
            self.retries.others_get_through(now);
            self.retries_of(!is_full).others_get_through(now);
        }
    }

    fn retries_of(&mut self, is_full: bool) -> &mut Retries {
        if is_full {
            &mut self.beat_retries
        } else {
            &mut self.news_retries
        }
    }

    /// Something in a heartbeat does not fit. In halves, what does not stands alone in the end and is given up, so that
    /// it costs the others nothing.
    fn refuse(&mut self, beat: Beat, error: &client::Error) {
        if beat.len() > 1 {
            self.pulse.say_instead(beat.halves());
            return;
        }
        let task = beat.runs().next().map(|(task, _)| task);
        let task = task.map_or_else(String::new, |task| task.to_string());
        self.pulse.arrived(&beat, &mut self.outbox);
        if beat.is_full {
            tracing::warn!(task.id = task, %error, "a heartbeat was refused, so it renewed nothing");
        } else {
            tracing::warn!(task.id = task, %error, "progress and checkpoint of a run were not taken");
        }
    }

    fn hear(&mut self, beat: &Beat, heard: &Heard) {
        self.take_times(heard.lease_ms, heard.heartbeat_ms);
        let within = self.limits.borrow().unconfirmed_within;
        let unconfirmed: HashSet<TaskId> = heard.unconfirmed.iter().copied().collect();
        let told = beat.told();
        for (task, number, has_begun) in told.filter(|(task, ..)| !unconfirmed.contains(task)) {
            if let Some(hand) = self.hands.get(task, number) {
                hand.told |= has_begun;
                hand.confirm(beat.sent, within);
            }
        }
        let gone = [
            (&heard.lost, Stop::LeaseLost),
            (&heard.cancel, Stop::Cancelled),
        ];
        for (tasks, why) in gone {
            for task in tasks {
                let Some(number) = beat.run_of(*task) else {
                    continue;
                };
                if self.hands.get(*task, number).is_some() {
                    self.hands.drop_run(*task, why);
                } else {
                    self.pulse.part_now(number, &mut self.outbox);
                }
            }
        }
        if heard.drain {
            self.drain();
        }
    }

    /// Servers may differ in them, and have others once they start again.
    pub(super) fn take_times(&mut self, lease_ms: Option<u64>, heartbeat_ms: Option<u64>) {
        let Some(registered) = &mut self.registered else {
            return;
        };
        let before = (registered.lease_ms, registered.heartbeat_ms);
        let (lease_ms, heartbeat_ms) = (
            lease_ms.unwrap_or(before.0),
            heartbeat_ms.unwrap_or(before.1),
        );
        if (lease_ms, heartbeat_ms) == before {
            return;
        }
        registered.lease_ms = lease_ms;
        registered.heartbeat_ms = heartbeat_ms;
        self.limits.send_replace(Limits::of(registered));
        let every = Duration::from_millis(heartbeat_ms.max(1));
        self.pulse.change_interval(every, Instant::now());
    }

    /// The next heartbeat, which is answered with what is lost or cancelled, need not wait for its time.
    pub(super) fn ask_what_goes_on(&mut self, now: Instant) {
        if self.hands.count() > 0 {
            self.pulse.hurry(now);
        }
    }

    /// Ends what must not go on because others may begin it.
    pub(super) fn end_unconfirmed(&mut self) {
        if !self.hands.has_exclusive() {
            return;
        }
        let ended = self.hands.end_unconfirmed();
        if ended > 0 {
            tracing::warn!(
                runs = ended,
                "exclusive runs are ended: the server has not confirmed their leases, and may give them to others soon"
            );
        }
    }

    /// By the worker's own clock. It does not end its runs for that: the server may have been away as long.
    fn warn_of_expiry(&mut self, now: Instant) {
        if let (Some(renewed), Some(lease)) = (self.renewed, self.lease())
            && now.saturating_duration_since(renewed) > lease
            && self.hands.count() > 0
        {
            self.renewed = None;
            tracing::warn!(
                runs = self.hands.count(),
                "leases have run out unrenewed; the runs go on, and the server will say whose results count"
            );
        }
    }

    /// How long leases last; none while the worker is not registered.
    pub(super) fn lease(&self) -> Option<Duration> {
        let registered = self.registered.as_ref()?;
        Some(Duration::from_millis(registered.lease_ms))
    }

    pub(super) fn take_start(
        &mut self,
        task: TaskId,
        number: u64,
        answer: Result<(), client::Error>,
    ) {
        self.starts -= 1;
        let Some(hand) = self.hands.get(task, number) else {
            return;
        };
        let Err(error) = answer else {
            hand.told = true;
            return;
        };
        match &error {
            client::Error::Problem(problem) if matches!(problem.status, 404 | 409) => {
                let why = match problem.task_status {
                    Some(Status::Cancelled) => Stop::Cancelled,
                    _ => Stop::LeaseLost,
                };
                self.hands.drop_run(task, why);
            }
            // The next heartbeat, or the result, says it as well.
            _ => self.retries.failed(Instant::now(), &error),
        }
    }
}
