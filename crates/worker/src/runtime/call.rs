//! The calls that are made, and what their answers mean.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use taskyard_api::client;
use taskyard_api::report::Reported;
use taskyard_api::worker::{Heard, Registered};
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use super::Runtime;
use super::beat::Beat;
use super::doubt::Doubt;
use super::exchange::{Exchange, Room};
use super::limits::Limits;
use super::moment::Moment;
use super::settings::Error;
use super::supervise::Began;
use super::trouble::Trouble;
use crate::transport::Transport;

/// How many calls that say a run began are in the air at a time. Others wait, and the heartbeat tells of them too.
const STARTS_MAX: usize = 8;

/// A call that is over, with what it was about.
pub(super) enum Answer {
    Registered(Result<Registered, client::Error>),
    /// None: its poll was not to be waited for any longer.
    Exchanged(Exchange, Option<Result<Reported, client::Error>>),
    /// None: no answer came in time, or none is waited for any longer.
    Heard(Beat, Option<Result<Heard, client::Error>>),
    Vouched(Doubt, Option<Result<Heard, client::Error>>),
    Started {
        task: TaskId,
        number: u64,
        answer: Result<(), client::Error>,
    },
}

impl Runtime {
    /// Everything that can be said now.
    pub(super) fn make_calls(&mut self) {
        let now = Instant::now();
        let may_call = !self.retries.is_waiting(now);
        let Some(epoch) = self.registered.as_ref().map(|registered| registered.epoch) else {
            if may_call {
                self.register();
            }
            return;
        };
        let busy = self.hands.count() + self.pulse.waiting() + self.doubted;
        let limits = *self.limits.borrow();
        let room = Room {
            now,
            epoch,
            busy,
            takes_more: self.hands.unable_until().is_none_or(|until| until <= now),
            limits,
        };
        while may_call && let Some(exchange) = self.exchanges.next(&mut self.outbox, &room) {
            self.send(exchange);
        }
        if !self.beat_retries.is_waiting(now) {
            while let Some(beat) = self
                .pulse
                .next_full(&self.hands, &self.outbox, &limits, now)
            {
                self.beat(beat, epoch);
            }
        }
        if !self.news_retries.is_waiting(now) {
            while let Some(beat) = self.pulse.next_news(&self.hands, &limits, now) {
                self.beat(beat, epoch);
            }
        }
    }

    fn register(&mut self) {
        if self.is_registering {
            return;
        }
        self.is_registering = true;
        let (transport, me) = (Arc::clone(&self.transport), self.me.clone());
        self.calls.push(Box::pin(async move {
            Answer::Registered(transport.register(&me).await)
        }));
    }

    fn send(&mut self, exchange: Exchange) {
        let (transport, name) = self.way();
        let polls = self.exchanges.polls();
        self.calls.push(Box::pin(async move {
            let claims = exchange
                .report
                .claim
                .is_some_and(|claim| claim.wait_ms != Some(0));
            let answer = tokio::select! {
                biased;
                answer = exchanged(&*transport, &name, &exchange) => Some(answer),
                () = polls.cancelled(), if claims => None,
            };
            Answer::Exchanged(exchange, answer)
        }));
    }

    fn beat(&mut self, mut beat: Beat, epoch: u32) {
        beat.heartbeat.epoch = Some(epoch);
        beat.sent = Some(Moment::now());
        // News of one run cannot go in less; what they hold up is other news.
        let within = match self.lease() {
            Some(lease) if !beat.is_full && beat.len() == 1 => lease.max(self.pulse.every()),
            _ => self.pulse.every(),
        };
        let over = self.pulse.news_over();
        let (transport, name) = self.way();
        self.calls.push(Box::pin(async move {
            let call = transport.heartbeat(&name, &beat.heartbeat);
            let answer = tokio::select! {
                biased;
                answer = tokio::time::timeout(within, call) => answer.ok(),
                () = over.cancelled(), if !beat.is_full => None,
            };
            Answer::Heard(beat, answer)
        }));
    }

    pub(super) fn can_announce(&self) -> bool {
        self.starts < STARTS_MAX
            && self.registered.is_some()
            && !self.retries.is_waiting(Instant::now())
    }

    /// Says that a run began, if nobody has and it still goes on.
    pub(super) fn announce(&mut self, began: Began) {
        let Began {
            task,
            number,
            start,
        } = began;
        if self.hands.get(task, number).is_none_or(|hand| hand.told) {
            return;
        }
        self.starts += 1;
        let transport = Arc::clone(&self.transport);
        self.calls.push(Box::pin(async move {
            let answer = transport.start(task, &start).await.map(drop);
            Answer::Started {
                task,
                number,
                answer,
            }
        }));
    }

    fn way(&self) -> (Arc<dyn Transport>, Arc<str>) {
        (Arc::clone(&self.transport), Arc::clone(&self.name))
    }

    pub(super) fn take(&mut self, answer: Answer) -> Result<(), Error> {
        match answer {
            Answer::Registered(answer) => self.take_registration(answer),
            Answer::Exchanged(exchange, answer) => self.take_exchange(exchange, answer),
            Answer::Heard(beat, answer) => self.take_heartbeat(beat, answer),
            Answer::Vouched(doubt, answer) => self.take_vouched(doubt, answer),
            Answer::Started {
                task,
                number,
                answer,
            } => {
                self.take_start(task, number, answer);
                Ok(())
            }
        }
    }

    fn take_registration(
        &mut self,
        answer: Result<Registered, client::Error>,
    ) -> Result<(), Error> {
        self.is_registering = false;
        let now = Instant::now();
        match answer {
            Ok(registered) => {
                tracing::info!(
                    worker = registered.worker_id,
                    number = registered.number,
                    epoch = registered.epoch,
                    "registered, and working"
                );
                // Half at least, and not all workers at once; at once if it has to learn which of its leases still hold.
                let spread = 0.5 + self.random.fraction() / 2.0;
                let first = if self.hands.count() > 0 { 0.0 } else { spread };
                let every = Duration::from_millis(registered.heartbeat_ms.max(1));
                self.pulse.set_interval(every, now, first);
                self.renewed = Some(now);
                self.limits.send_replace(Limits::of(&registered));
                self.registered = Some(registered);
                self.has_registered = true;
                self.unwelcome = None;
                // The other waits are not forgotten yet: a server that knows nobody for long is asked ever less often.
                self.beat_retries.hurry();
                self.news_retries.hurry();
                Ok(())
            }
            Err(error) => match Trouble::of(&error) {
                Trouble::Away => {
                    self.retries.failed(now, &error);
                    Ok(())
                }
                // Whoever begins with a wrong token is told so at once.
                Trouble::Unwelcome if self.has_registered => {
                    self.retries.failed(now, &error);
                    self.bear_refusal(error, now);
                    Ok(())
                }
                _ => Err(Error::Refused(error)),
            },
        }
    }

    /// What a failed call means beyond itself. `epoch` is that of the registration it was made under.
    pub(super) fn bear(
        &mut self,
        trouble: Trouble,
        error: client::Error,
        epoch: Option<u32>,
    ) -> Result<(), Error> {
        let is_current = self.registered.as_ref().map(|registered| registered.epoch) == epoch;
        match trouble {
            Trouble::Away => self.retries.failed(Instant::now(), &error),
            Trouble::Unwelcome => {
                let now = Instant::now();
                self.retries.failed(now, &error);
                self.bear_refusal(error, now);
            }
            // Made before the worker registered again.
            Trouble::Unknown | Trouble::Replaced if !is_current => {}
            Trouble::Unknown => {
                tracing::warn!("the server does not know this worker; it registers again");
                self.registered = None;
                self.exchanges.forget_claims();
                self.retries.wait(Instant::now(), Duration::ZERO, &error);
            }
            Trouble::Replaced => return Err(Error::Replaced(self.settings.name.clone())),
            Trouble::Unfit | Trouble::Refused => return Err(Error::Refused(error)),
        }
        Ok(())
    }
}

fn exchanged<'a>(
    transport: &'a dyn Transport,
    name: &'a str,
    exchange: &'a Exchange,
) -> BoxFuture<'a, Result<Reported, client::Error>> {
    let report = &exchange.report;
    Box::pin(async move {
        match &report.claim {
            Some(claim) if report.results.is_empty() => {
                let claimed = transport.claim(name, claim).await?;
                Ok(Reported {
                    results: Vec::new(),
                    tasks: Some(claimed.tasks),
                    drain: claimed.drain,
                    lease_ms: claimed.lease_ms,
                    heartbeat_ms: claimed.heartbeat_ms,
                })
            }
            _ => transport.report(name, report).await,
        }
    })
}
