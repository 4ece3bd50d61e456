//! What the server says of the runs in hand, in answer to a heartbeat or a start.

use std::time::Duration;

use taskyard_api::client;
use taskyard_api::task::Status;
use taskyard_api::worker::Heard;
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use super::Runtime;
use super::beat::Beat;
use super::settings::Error;
use super::trouble::Trouble;
use crate::executor::Stop;

impl Runtime {
    pub(super) fn take_heartbeat(
        &mut self,
        beat: Beat,
        answer: Option<Result<Heard, client::Error>>,
    ) -> Result<(), Error> {
        let now = Instant::now();
        self.pulse.landed();
        match answer {
            Some(Ok(heard)) => {
                self.renewed = Some(now);
                self.hear(&beat, &heard);
                self.pulse.arrived(&beat, &mut self.outbox);
                self.note_through();
                Ok(())
            }
            Some(Err(error)) => match Trouble::of(&error) {
                Trouble::Unfit => {
                    self.refuse(beat, &error);
                    self.note_through();
                    Ok(())
                }
                Trouble::Away => {
                    self.pulse.failed(beat, &mut self.hands, now);
                    self.warn_of_expiry(now);
                    self.beat_retries.failed(now, &error);
                    Ok(())
                }
                trouble => {
                    let epoch = beat.heartbeat.epoch;
                    self.pulse.failed(beat, &mut self.hands, now);
                    self.bear(trouble, error, epoch)
                }
            },
            None => {
                self.pulse.failed(beat, &mut self.hands, now);
                self.warn_of_expiry(now);
                let why = "no answer to a heartbeat came in time";
                self.beat_retries.wait(now, Duration::ZERO, &why);
                Ok(())
            }
        }
    }

    /// One call that gets through says nothing of the others, and must not cut short the wait that one of them began.
    fn note_through(&mut self) {
        if self.pulse.is_through() {
            self.beat_retries.succeeded();
        }
    }

    /// Something in a heartbeat does not fit. In halves, what does not stands alone in the end and is left out, so that
    /// it costs no other run its lease.
    fn refuse(&mut self, mut beat: Beat, error: &client::Error) {
        if beat.len() > 1 {
            self.pulse.say(beat.halves());
            return;
        }
        let task = beat.runs().next().map(|(task, _)| task);
        let task = task.map_or_else(String::new, |task| task.to_string());
        self.pulse.arrived(&beat, &mut self.outbox);
        if beat.leave_out_news() {
            tracing::warn!(task.id = task, %error, "progress and checkpoint of a run were not taken");
            self.pulse.say([beat]);
        } else {
            tracing::warn!(task.id = task, %error, "a heartbeat was refused, so it renewed nothing");
        }
    }

    fn hear(&mut self, beat: &Beat, heard: &Heard) {
        for (task, number) in beat.runs() {
            if let Some(hand) = self.hands.get(task, number) {
                hand.told = true;
            }
        }
        let gone = [
            (&heard.lost, Stop::LeaseLost),
            (&heard.cancel, Stop::Cancelled),
        ];
        for (tasks, why) in gone {
            for task in tasks {
                let number = beat.run_of(*task);
                if number.is_some_and(|number| self.hands.get(*task, number).is_some()) {
                    self.hands.drop_run(*task, why);
                }
            }
        }
        if heard.drain {
            self.drain();
        }
    }

    /// By the worker's own clock. It does not end its runs for that: the server may have been away as long.
    fn warn_of_expiry(&mut self, now: Instant) {
        let lease = self
            .registered
            .as_ref()
            .map(|registered| Duration::from_millis(registered.lease_ms));
        if let (Some(renewed), Some(lease)) = (self.renewed, lease)
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
