//! What can be asked of a running engine: one method a verb, and the reads.

use std::pin::pin;
use std::time::Duration;

use taskyard_core::command::{self, Command, Done};
use taskyard_core::id::{Epoch, TaskId, WorkerNumber};
use taskyard_core::lane::Lane;
use taskyard_core::name::Name;
use taskyard_core::query::{Answer, Query, TaskView};
use taskyard_core::refused::Refused;
use taskyard_core::rows::Server;
use taskyard_core::store;
use taskyard_core::verbs::cancel::{Cancel, Cancelled};
use taskyard_core::verbs::claim::{Dealt, Hand};
use taskyard_core::verbs::heartbeat::{Beaten, Heartbeat};
use taskyard_core::verbs::join::{Join, Joined};
use taskyard_core::verbs::register::{Register, Registered};
use taskyard_core::verbs::report::{Report, ReportedBack};
use taskyard_core::verbs::start::{Start, Started};
use taskyard_core::verbs::submit::{Submit, Submitted};
use tokio::sync::oneshot;

use super::{Engine, Message, Reply};
use crate::desk::{Waiting, give_back};
use crate::directory::Known;
use crate::error::Error;
use crate::services::STEP_ROWS_MAX;

/// A claim as a worker sends it.
#[derive(Clone, Debug)]
pub struct ClaimCall {
    pub worker: Name,
    /// `None`: of whichever process is the current one.
    pub epoch: Option<Epoch>,
    pub limit: usize,
    /// How long to wait for something to become ready.
    pub wait: Duration,
    pub begin: bool,
    /// 0 for none.
    pub seq: i64,
}

/// The verbs.
impl Engine {
    pub async fn submit(&self, submit: Submit) -> Result<Submitted, Error> {
        let again = Submit {
            again: true,
            ..submit.clone()
        };
        match self.call(submit).await {
            // The ids were made before: what was stored after all is found, and nothing is stored twice.
            Err(unknown @ Error::Store(store::Error::Unknown(_))) => match self.call(again).await {
                // Of the first one it is still not known.
                Err(Error::Busy | Error::Stopping | Error::Store(_)) => Err(unknown),
                answer => answer,
            },
            answer => answer,
        }
    }

    pub async fn start_run(&self, start: Start) -> Result<Started, Error> {
        let started: Started = self.call(start).await?;
        self.sign_of_life_by(started.by);
        Ok(started)
    }

    pub async fn report(&self, report: Report) -> Result<ReportedBack, Error> {
        let worker = report.worker.clone();
        let answer = self.ask(report)?;
        if let Some((worker, epoch)) = &worker {
            self.sign_of_life(worker, *epoch);
        }
        let reported: ReportedBack = answered(answer).await?;
        if let (None, Some(by)) = (worker, reported.by) {
            self.sign_of_life_by(by);
        }
        Ok(reported)
    }

    /// Gives back what was claimed for somebody who cannot be told.
    pub async fn give_back(&self, hand: &Hand) {
        if let Some(report) = give_back(std::iter::once(hand))
            && let Err(error) = self.call_of_ours::<ReportedBack>(report).await
        {
            tracing::debug!(%error, "what nobody could be told of waits for its lease to end");
        }
    }

    pub async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<Beaten, Error> {
        let (worker, epoch) = (&heartbeat.worker, heartbeat.epoch);
        let now = self.0.moment();
        self.0.directory.lock().heard(worker, epoch, now);
        self.call(heartbeat).await
    }

    pub async fn cancel(&self, task: TaskId) -> Result<Cancelled, Error> {
        self.call(Cancel { task }).await
    }

    /// Takes a number for this server, or keeps the one it has. `alone`: no other server can be up.
    pub async fn join(&self, held: Option<Server>, alone: bool) -> Result<Server, Error> {
        let joined: Joined = self.call_of_ours(Join { held, alone }).await?;
        self.0.store.count_as(joined.server.number);
        self.0.joined.send_replace(Some(joined.server));
        Ok(joined.server)
    }

    pub async fn register(&self, register: Register) -> Result<Registered, Error> {
        let (name, profile) = (register.name.clone(), register.profile.clone());
        let registered: Registered = self.call(register).await?;
        let now = self.0.moment();
        let known = Known::new(registered.number, registered.epoch, profile, now);
        self.0.directory.lock().put(name, known);
        Ok(registered)
    }

    /// Leases on due tasks, at most as many as asked for; waits for the first one if there is none.
    pub async fn claim(&self, call: ClaimCall) -> Result<Hand, Error> {
        match self.claim_as_known(&call).await {
            // What this server knew of the worker was old; a claim that names no epoch is the new process's.
            Err(Error::Refused(Refused::WorkerReplaced)) if call.epoch.is_none() => {
                self.0.directory.lock().forget(&call.worker);
                self.claim_as_known(&call).await
            }
            answer => answer,
        }
    }

    async fn claim_as_known(&self, call: &ClaimCall) -> Result<Hand, Error> {
        self.know(&call.worker, call.epoch).await?;
        let place = self.0.room.place_for_claim().ok_or(Error::Busy)?;
        let claim = self.0.directory.lock().claim(call)?;
        let epoch = Some(claim.epoch);
        let (reply, receiver) = Reply::new(Some(place));
        let until = self.0.moment() + call.wait;
        self.send(Message::Claim(Waiting {
            claim,
            until,
            caller: reply,
        }))?;
        self.sign_of_life(&call.worker, epoch);
        let dealt: Dealt = self
            .living_meanwhile(&call.worker, epoch, answered(receiver))
            .await?;
        let hand = dealt.hands.into_iter().next();
        Ok(hand.unwrap_or_else(|| Ok(Ok(Hand::default())))??)
    }

    /// An open claim is a sign of life for as long as it is open.
    async fn living_meanwhile<T>(
        &self,
        worker: &Name,
        epoch: Option<Epoch>,
        answer: impl Future<Output = T>,
    ) -> T {
        let mut answer = pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(self.0.policy.sign_of_life_every()) => {
                    self.sign_of_life(worker, epoch);
                }
            }
        }
    }

    /// Looks the worker up if this process of it has not come by here yet: it may have registered at another server,
    /// as something else than the one before it.
    async fn know(&self, worker: &Name, epoch: Option<Epoch>) -> Result<(), Error> {
        if self.0.directory.lock().knows(worker, epoch) {
            return Ok(());
        }
        let Answer::Worker(Some(row)) = self.read(Query::Worker(worker.clone())).await? else {
            return Err(Refused::NoSuchWorker.into());
        };
        let now = self.0.moment();
        let known = Known::new(row.number, row.epoch, row.profile.clone(), now);
        self.0.directory.lock().put(worker.clone(), known);
        Ok(())
    }

    /// What names a run, and no worker, is its worker's. Of one that never came by here, and takes its tasks at another
    /// server, nothing is said.
    fn sign_of_life_by(&self, (number, epoch): (WorkerNumber, Epoch)) {
        let worker = self.0.directory.lock().name(number);
        if let Some(worker) = worker {
            self.sign_of_life(&worker, Some(epoch));
        }
    }

    /// Any call of a worker shows that it lives; its row is renewed when a good part of its time has gone. In the name
    /// of the process that calls, so that one that was replaced does not keep its successor alive.
    fn sign_of_life(&self, worker: &Name, epoch: Option<Epoch>) {
        let (now, every) = (self.0.moment(), self.0.policy.sign_of_life_every());
        let is_due = self
            .0
            .directory
            .lock()
            .is_sign_of_life_due(worker, epoch, now, every);
        if !is_due {
            return;
        }
        let heartbeat = Heartbeat {
            worker: worker.clone(),
            epoch,
            held: Vec::new(),
        };
        if self.ask(heartbeat).is_err() {
            // There is no room for it: its next call, or the claim that it has open, tries again.
            self.0.directory.lock().was_not_renewed(worker);
        }
    }
}

/// Reads and waits.
impl Engine {
    pub async fn read(&self, query: Query) -> Result<Answer, Error> {
        Ok(self.0.store.read(query).await?)
    }

    /// The task; held back until it has ended, or for so long.
    pub async fn task(&self, id: TaskId, wait: Duration) -> Result<TaskView, Error> {
        let mut news = self.0.waits.lock().on(id);
        let view = self.look(id).await?;
        if wait.is_zero() || view.status().is_final() {
            return Ok(view);
        }
        tokio::select! {
            // Nothing is sent: it has ended.
            _ = news.changed() => {}
            () = tokio::time::sleep(wait) => {}
            () = self.stopping() => {}
        }
        self.look(id).await
    }

    async fn look(&self, id: TaskId) -> Result<TaskView, Error> {
        match self.read(Query::Task(id)).await? {
            Answer::Task(Some(view)) => Ok(*view),
            _ => Err(Refused::NoSuchTask.into()),
        }
    }

    /// Ends the waits for tasks that have ended elsewhere. One question asks for many of them, however many wait.
    pub async fn look_for_ended(&self) -> Result<(), Error> {
        let waited_for = self.0.waits.lock().tasks();
        for tasks in waited_for.chunks(STEP_ROWS_MAX) {
            if let Answer::Ended(ended) = self.read(Query::Ended(tasks.to_vec())).await? {
                let mut waits = self.0.waits.lock();
                ended.into_iter().for_each(|task| waits.ended(task));
            }
        }
        Ok(())
    }

    /// Something may have become ready in this lane that this server did not do itself; with none, in any.
    pub fn look_again(&self, lane: Option<Lane>) {
        self.0.store.unsure(lane);
        // It is of no use to a server that stops.
        let _ = self.send(Message::Look(lane));
    }
}

impl Engine {
    async fn call<D: TryFrom<Done>>(&self, command: impl Into<Command>) -> Result<D, Error> {
        answered(self.ask(command)?).await
    }

    /// A command of this server's own, which takes no room: of each of its services one waits at most, and they have to go
    /// on also where callers are told to come back.
    pub(crate) async fn call_of_ours<D: TryFrom<Done>>(
        &self,
        command: impl Into<Command>,
    ) -> Result<D, Error> {
        let (reply, answer) = Reply::new(None);
        self.send(Message::Command(command.into(), reply))?;
        answered(answer).await
    }

    fn ask(
        &self,
        command: impl Into<Command>,
    ) -> Result<oneshot::Receiver<command::Answer>, Error> {
        let command = command.into();
        let place = self.0.room.place(&command).ok_or(Error::Busy)?;
        let (reply, answer) = Reply::new(Some(place));
        self.send(Message::Command(command, reply))?;
        Ok(answer)
    }

    fn send(&self, message: Message) -> Result<(), Error> {
        if self.is_stopping() {
            return Err(Error::Stopping);
        }
        let sent = self.0.messages.send(message);
        sent.map_err(|_| Error::Stopping)
    }
}

async fn answered<D: TryFrom<Done>>(
    receiver: oneshot::Receiver<command::Answer>,
) -> Result<D, Error> {
    let done = receiver.await.map_err(|_| Error::Stopping)???;
    Ok(D::try_from(done)
        .ok()
        .expect("a verb is answered in its own kind"))
}
