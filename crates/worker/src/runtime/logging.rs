//! Beside a run, its log goes to the server: the first line at once, what comes then in batches, the last before the
//! run's result is said, since the server takes none after it.
//!
//! The log is worth less than the result: a server that takes no lines holds a result only for so long, and what is not
//! sent by then is lost.

use std::sync::Arc;
use std::time::Duration;

use taskyard_api::client;
use taskyard_api::logs::{AppendLogs, AppendedLogs, NewLine};
use taskyard_core::id::TaskId;
use taskyard_core::random::Seeded;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Clock;
use super::limits::Limits;
use super::log::{Batch, Log};
use super::notes::Notes;
use super::settings::Logs;
use super::trouble::{Retries, Trouble};
use super::verdict::Leased;
use crate::executor::{Finish, Stop, StopSignal};
use crate::transport::Transport;

/// A batch is not filled beyond this, and goes at once when it is full.
const BATCH_BYTES: usize = 128 << 10;

/// How many calls with lines a worker has in the air; others wait for their turn.
const CALLS_MAX: usize = 16;

/// After so long without an answer a call is made again.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// What the logs of all runs have in common.
#[derive(Clone)]
pub(super) struct Logger {
    settings: Logs,
    clock: Clock,
    transport: Arc<dyn Transport>,
    limits: watch::Receiver<Limits>,
    calls: Arc<Semaphore>,
}

/// Sends one run's log.
pub(super) struct Logging {
    task: TaskId,
    lease_token: String,
    notes: Arc<Notes>,
    by: Logger,
}

/// What became of lines that were sent.
enum Sent {
    /// So many of them have arrived.
    Lines(usize),
    /// They do not fit into a call.
    Unfit,
    /// No lines of this run are taken any more.
    Over,
    Failed(client::Error),
    /// The call was not answered in time.
    Unanswered,
}

impl Logger {
    pub(super) fn new(
        settings: Logs,
        clock: Clock,
        transport: Arc<dyn Transport>,
        limits: watch::Receiver<Limits>,
    ) -> Self {
        Self {
            settings,
            clock,
            transport,
            limits,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }

    pub(super) fn log(&self) -> Log {
        Log::new(self.settings, Arc::clone(&self.clock))
    }

    pub(super) fn logging(&self, leased: &Leased, notes: Arc<Notes>) -> Logging {
        Logging {
            task: leased.task,
            lease_token: leased.lease_token.clone(),
            notes,
            by: self.clone(),
        }
    }
}

impl Logging {
    /// Sees the run through while its log is sent, and then sends what is left of it. One whose time is up may take no
    /// more than its server bears; of one that is nobody's any more nothing would be taken.
    pub(super) async fn beside(
        self,
        running: impl Future<Output = Finish>,
        signal: &StopSignal,
        overdue_within: Duration,
    ) -> Finish {
        let sending = self.send_all();
        tokio::pin!(sending);
        let finish = tokio::select! {
            biased;
            finish = running => finish,
            () = &mut sending => unreachable!("more may come before the log is closed"),
        };
        self.notes.log.close();
        let within = match signal.reason() {
            Some(Stop::Cancelled | Stop::LeaseLost) => Duration::ZERO,
            // It has half of what the server gives it beyond the time to end.
            Some(Stop::TimedOut) => self.by.settings.deliver_within.min(overdue_within / 8),
            Some(Stop::ShuttingDown) | None => self.by.settings.deliver_within,
        };
        if !within.is_zero() && timeout(within, sending).await.is_err() {
            let unsent = self.notes.log.unsent();
            tracing::warn!(task.id = %self.task, "the server takes no lines of a run's log, and its last ones are lost: {unsent}, and those under way");
        }
        // Its notes may be kept for long yet.
        self.notes.log.end();
        finish
    }

    /// Until the log is closed and empty, or until nobody takes it any more and it is closed.
    async fn send_all(&self) {
        let mut retries = Retries::of("lines of a log", &mut Seeded::new(self.seed()));
        loop {
            self.notes.log.some().await;
            let begun = Instant::now();
            let batch = self.take();
            let is_last = batch.is_last;
            if !self.send(batch, &mut retries).await {
                self.notes.log.end();
                // The run may go on for long, and says nothing that would be heard.
                return self.notes.log.closed().await;
            }
            if is_last {
                return;
            }
            tokio::select! {
                () = sleep_until(begun + self.by.settings.every) => {}
                () = self.notes.log.many(BATCH_BYTES) => {}
            }
        }
    }

    /// What spreads its retries in time.
    fn seed(&self) -> u64 {
        let (_, random) = self.task.as_uuid().as_u64_pair();
        random
    }

    fn take(&self) -> Batch {
        let limits = *self.by.limits.borrow();
        // A byte may take six as JSON.
        let bytes_max = BATCH_BYTES.min(limits.call_bytes / 3);
        self.notes.log.take(bytes_max, limits.runs)
    }

    /// Sends these lines until they have arrived; false if no lines are taken any more.
    async fn send(&self, batch: Batch, retries: &mut Retries) -> bool {
        let Batch {
            mut first_seq,
            mut lines,
            ..
        } = batch;
        let mut together = lines.len();
        while !lines.is_empty() {
            let rest = lines.split_off(together.min(lines.len()));
            let append = AppendLogs {
                lease_token: self.lease_token.clone(),
                first_seq: Some(first_seq),
                lines,
            };
            let sent = self.call(&append).await;
            lines = append.lines;
            match sent {
                Sent::Lines(count) => {
                    retries.succeeded();
                    self.notes.log.sent(&lines[..count]);
                    first_seq = first_seq.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                    lines.drain(..count);
                }
                Sent::Unfit if lines.len() > 1 => together = lines.len() / 2,
                Sent::Unfit if self.reduce(&mut lines) => {}
                Sent::Over | Sent::Unfit => {
                    self.notes.log.sent(&lines);
                    self.notes.log.sent(&rest);
                    return false;
                }
                Sent::Failed(error) => retries.failed(Instant::now(), &error),
                Sent::Unanswered => {
                    retries.wait(Instant::now(), Duration::ZERO, &"no answer came in time")
                }
            }
            lines.extend(rest);
            if let Some(until) = retries.until() {
                sleep_until(until).await;
            }
        }
        true
    }

    /// Puts a word in the place of a line that stands alone and does not fit. False if it is that already.
    fn reduce(&self, lines: &mut [NewLine]) -> bool {
        const SAID: &str = "… a line that the server does not take …";
        let is_long = |line: &&mut NewLine| line.line != SAID;
        let Some(line) = lines.first_mut().filter(is_long) else {
            return false;
        };
        self.notes.log.replaced(&line.line, SAID);
        SAID.clone_into(&mut line.line);
        true
    }

    async fn call(&self, append: &AppendLogs) -> Sent {
        let Ok(_turn) = self.by.calls.acquire().await else {
            return Sent::Over;
        };
        let answer = timeout(
            CALL_WITHIN,
            self.by.transport.append_logs(self.task, append),
        )
        .await;
        match answer {
            Ok(Ok(AppendedLogs { full: true, .. })) => Sent::Over,
            Ok(Ok(AppendedLogs { next_seq, .. })) => {
                let first = append.first_seq.unwrap_or_default();
                let count = next_seq.saturating_sub(first) as usize;
                match count.min(append.lines.len()) {
                    // One that takes nothing of what it is given would be given it for ever.
                    0 => Sent::Over,
                    count => Sent::Lines(count),
                }
            }
            Ok(Err(error)) => match Trouble::of(&error) {
                Trouble::Away | Trouble::Unwelcome => Sent::Failed(error),
                Trouble::Unfit => Sent::Unfit,
                // The lease is not ours any more, or the server knows no logs. Whatever else it means is found out by
                // what the worker says of itself.
                Trouble::Unknown | Trouble::Replaced | Trouble::Refused => Sent::Over,
            },
            Err(_) => Sent::Unanswered,
        }
    }
}
