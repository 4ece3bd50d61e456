//! What can be asked of a running engine: one method a verb, and the reads.

use std::pin::pin;
use std::time::Duration;

use taskyard_core::command::{self, Command, Done};
use taskyard_core::explain::{Explain, Surroundings};
use taskyard_core::hints::{Hints, Mark, Ready, Which};
use taskyard_core::id::{Epoch, TaskId, WorkerNumber};
use taskyard_core::name::Name;
use taskyard_core::query::{Answer, Query, TaskView};
use taskyard_core::refused::Refused;
use taskyard_core::rows::Server;
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::cancel::{Cancel, Cancelled};
use taskyard_core::verbs::claim::{Claim, Dealt, Hand, Named};
use taskyard_core::verbs::expire::{Expire, Expired, Sight};
use taskyard_core::verbs::heartbeat::{Beaten, Heartbeat};
use taskyard_core::verbs::join::{Join, Joined};
use taskyard_core::verbs::patch::{Patch, Patched};
use taskyard_core::verbs::register::{Register, Registered};
use taskyard_core::verbs::report::{Report, ReportedBack};
use taskyard_core::verbs::set_queue::{QueueSet, SetQueue};
use taskyard_core::verbs::start::{Start, Started};
use taskyard_core::verbs::submit::{Submit, Submitted};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Engine;
use super::again::{is_unknown, settled};
use super::claimed::Claimed;
use super::main_loop::{About, Message, Reply};
use crate::desk::{Moment, Waiting, release_unheard};
use crate::directory::{Known, Sending};
use crate::error::Error;
use crate::room::Place;
use crate::services::STEP_ROWS_MAX;

/// How soon a claim that may wait is answered at the earliest whose worker drains: one that asks all the same would ask
/// again without a pause.
const HOLD_WHILE_DRAINING: Duration = Duration::from_secs(1);

/// A claim as a worker sends it.
#[derive(Clone, Debug)]
pub struct ClaimCall {
    pub worker: Name,
    /// `None`: of whichever process is the current one.
    pub epoch: Option<Epoch>,
    /// This very task, if it is free; none: whatever is next.
    pub task: Option<Named>,
    pub limit: usize,
    /// How long to wait for something to become ready.
    pub wait: Duration,
    pub begin: bool,
    /// 0 for none.
    pub seq: i64,
    /// Its worker says that it may have reached a server before, which need not be this one.
    pub again: bool,
}

/// A claim that was sent. Dropped before it is answered, what it gets goes back.
struct Open<'a> {
    engine: &'a Engine,
    sending: Sending,
    answer: oneshot::Receiver<command::Answer>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        // What comes from here on is the loop's to give back, and one that has come already is not heard of otherwise.
        self.answer.close();
        if let Ok(unheard) = self.answer.try_recv() {
            self.engine
                .give_back(&self.sending, release_unheard(&unheard));
        }
    }
}

/// The verbs.
impl Engine {
    pub async fn submit(&self, submit: Submit) -> Result<Submitted, Error> {
        let again = Submit {
            again: true,
            ..submit.clone()
        };
        // The ids were made before: what was stored after all is found, and nothing is stored twice.
        self.call_and_again(submit, again).await
    }

    pub async fn start_run(&self, start: Start) -> Result<Started, Error> {
        // A run begins once.
        let started: Started = self.call_and_again(start.clone(), start).await?;
        self.sign_of_life_by(started.by);
        Ok(started)
    }

    pub async fn report(&self, report: Report) -> Result<ReportedBack, Error> {
        let worker = report.worker.clone();
        // Whoever is told to come back lives as well.
        if let Some((worker, epoch)) = &worker {
            self.sign_of_life(worker, *epoch);
        }
        // By their fences those are found that were taken, and are answered as they were.
        let reported: ReportedBack = self.call_and_again(report.clone(), report).await?;
        if let (None, Some(by)) = (worker, reported.by) {
            self.sign_of_life_by(by);
        }
        Ok(reported)
    }

    /// Where there is no room for the progress and checkpoints that it brings, it is told to come back, but renews its
    /// leases before. One that brings none has a place of its own, as long as no other one of its worker waits.
    pub async fn heartbeat(&self, mut heartbeat: Heartbeat) -> Result<Beaten, Error> {
        // Whoever cannot be looked up has none, and is told by the command whether there is such a worker.
        let _ = self.know(&heartbeat.worker, heartbeat.epoch).await;
        let place = self.place_for_heartbeat(&mut heartbeat);
        let Some((place, is_whole)) = place else {
            self.0.note_unheard();
            return Err(Error::Busy);
        };
        let beaten = answered(self.send_from(place, heartbeat)?).await?;
        if is_whole {
            Ok(beaten)
        } else {
            Err(Error::Busy)
        }
    }

    fn place_for_heartbeat(&self, heartbeat: &mut Heartbeat) -> Option<(Place, bool)> {
        let (now, room) = (self.0.moment(), &self.0.room);
        self.0.directory.lock().heartbeat(heartbeat, now, room)
    }

    pub async fn cancel(&self, task: TaskId) -> Result<Cancelled, Error> {
        let cancel = Cancel { task };
        match self.call(cancel).await {
            Err(unknown) if is_unknown(&unknown) => match settled(unknown, self.call(cancel).await)
            {
                // It was this one that did it, or another one that wanted the same.
                Err(Error::Refused(Refused::AlreadyEnded(Status::Cancelled))) => Ok(Cancelled),
                answer => answer,
            },
            answer => answer,
        }
    }

    pub async fn set_queue(&self, change: SetQueue) -> Result<QueueSet, Error> {
        self.call_and_again(change.clone(), change).await
    }

    pub async fn patch(&self, patch: Patch) -> Result<Patched, Error> {
        self.call_and_again(patch, patch).await
    }

    /// Takes a number for this server, or keeps the one it has. `alone`: no other server can be up.
    pub async fn join(&self, held: Option<Server>, alone: bool) -> Result<Server, Error> {
        let joined: Joined = self.call_of_ours(Join { held, alone }).await?;
        if held.is_none() && joined.ahead > Sight::apart_max(self.0.policy.heartbeat_ttl) {
            tracing::warn!(
                seconds = joined.ahead.as_secs(),
                "a server wrote to this database whose clock was ahead of the one that is gone by now, by so much at least: \
                 look that this machine's clock is right, or the database's"
            );
        }
        self.0.store.count_as(joined.server.number);
        self.0.joined.send_replace(Some(joined.server));
        Ok(joined.server)
    }

    pub async fn register(&self, register: Register) -> Result<Registered, Error> {
        let (name, profile) = (register.name.clone(), register.profile.clone());
        let (is_internal, if_new) = (register.server.is_some(), register.if_new);
        let registered: Registered = self.call(register).await?;
        if if_new {
            // It may have been there before, as something else; it is looked up when it calls.
            return Ok(registered);
        }
        let now = self.0.moment();
        let known = Known::new(
            registered.number,
            registered.epoch,
            profile,
            is_internal,
            now,
        );
        self.0.directory.lock().put(name, known);
        if registered.epoch > Epoch(1) {
            self.0.replaced.notify_one();
        }
        Ok(registered)
    }

    /// Whether this process of the worker runs in a server's. Not where there is none of that name.
    pub async fn is_internal(&self, worker: &Name, epoch: Option<Epoch>) -> Result<bool, Error> {
        match self.know(worker, epoch).await {
            Ok(()) => Ok(self.0.directory.lock().is_internal(worker, epoch)),
            Err(Error::Refused(Refused::NoSuchWorker)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Leases on due tasks, at most as many as asked for; waits for the first one if there is none.
    pub async fn claim(&self, call: ClaimCall) -> Result<Claimed, Error> {
        let came = Instant::now();
        let claimed = match self.claim_as_known(&call).await {
            // What this server knew of the worker was old; a claim that names no epoch is the new process's.
            Err(Error::Refused(Refused::WorkerReplaced)) if call.epoch.is_none() => {
                self.0.directory.lock().forget(&call.worker);
                self.claim_as_known(&call).await
            }
            // By its `seq` it is told what it was dealt.
            Err(unknown) if call.seq != 0 && is_unknown(&unknown) => {
                settled(unknown, self.claim_as_known(&call).await)
            }
            answer => answer,
        }?;
        self.hold_where_it_drains(&claimed, came, &call).await;
        Ok(claimed)
    }

    async fn hold_where_it_drains(&self, claimed: &Claimed, came: Instant, call: &ClaimCall) {
        let hand = claimed.hand();
        if !hand.drain || !hand.runs.is_empty() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(came + call.wait.min(HOLD_WHILE_DRAINING)) => {}
            () = self.finishing().cancelled() => {}
        }
    }

    async fn claim_as_known(&self, call: &ClaimCall) -> Result<Claimed, Error> {
        self.check_that_work_is_given()?;
        self.know(&call.worker, call.epoch).await?;
        self.sign_of_life(&call.worker, call.epoch);
        let place = self.0.room.place_for_claim().ok_or(Error::Busy)?;
        let (claim, sending) = self.0.directory.lock().claim(call)?;
        self.deal(call, claim, sending, place).await
    }

    /// The claim that got these once more, where they went to nobody. It is no new arrival of the claim: where that was
    /// sent again meanwhile, what waits is its repetition's, and this one gets nothing.
    pub async fn claim_instead(&self, call: &ClaimCall, of: Claimed) -> Result<Claimed, Error> {
        let came = Instant::now();
        self.check_that_work_is_given()?;
        self.know(&call.worker, call.epoch).await?;
        let place = self.0.room.place_for_claim().ok_or(Error::Busy)?;
        let sending = of.sending().clone();
        let claim = self.0.directory.lock().claim_again(call, &sending)?;
        let Some(claim) = claim else {
            return Ok(Claimed::of(Hand::default(), sending, self.clone()));
        };
        let claimed = self.deal(call, claim, sending, place).await?;
        self.hold_where_it_drains(&claimed, came, call).await;
        Ok(claimed)
    }

    /// Whoever asks is to ask elsewhere, or again, and so gets what a lost answer to the same claim had for it.
    fn check_that_work_is_given(&self) -> Result<(), Error> {
        if self.finishing().is_cancelled() {
            return Err(Error::Stopping);
        }
        Ok(())
    }

    async fn deal(
        &self,
        call: &ClaimCall,
        claim: Claim,
        sending: Sending,
        place: Place,
    ) -> Result<Claimed, Error> {
        let epoch = Some(claim.epoch);
        let (reply, answer) = Reply::new(Some(place), About::Claim(sending.clone()));
        let until = self.0.moment() + call.wait;
        self.send(Message::Claim(Waiting {
            claim,
            until,
            caller: reply,
        }))?;
        let mut open = Open {
            engine: self,
            sending,
            answer,
        };
        let dealt: Dealt = self
            .living_meanwhile(&call.worker, epoch, answered(&mut open.answer))
            .await?;
        let hand = dealt.hands.into_iter().next();
        let hand = hand.unwrap_or_else(|| Ok(Ok(Hand::default())))??;
        if let Some(seq) = hand.seq_before {
            self.0.directory.lock().answered(&open.sending, seq);
        }
        Ok(Claimed::of(hand, open.sending.clone(), self.clone()))
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
        let row = self.read(Query::Worker(worker.clone())).await?.worker();
        let row = row.ok_or(Refused::NoSuchWorker)?;
        let now = self.0.moment();
        let known = Known::new(
            row.number,
            row.epoch,
            row.profile.clone(),
            row.server.is_some(),
            now,
        );
        self.0.directory.lock().put(worker.clone(), known);
        Ok(())
    }

    /// What names a run, and no worker, is its worker's. Of one that never came by here, and takes its tasks at another
    /// server, nothing is said.
    pub(super) fn sign_of_life_by(&self, (number, epoch): (WorkerNumber, Epoch)) {
        let worker = self.0.directory.lock().name(number);
        if let Some(worker) = worker {
            self.sign_of_life(&worker, Some(epoch));
        }
    }

    /// Any call of a worker shows that it lives; its row is renewed when a good part of its time has gone. In the name
    /// of the process that calls, so that one that was replaced does not keep its successor alive.
    fn sign_of_life(&self, worker: &Name, epoch: Option<Epoch>) {
        let times = (self.0.moment(), self.0.policy.sign_of_life_every());
        let room = &self.0.room;
        let place = self
            .0
            .directory
            .lock()
            .sign_of_life(worker, epoch, times, room);
        let Some(place) = place else {
            return;
        };
        let heartbeat = Heartbeat {
            worker: worker.clone(),
            epoch,
            held: Vec::new(),
            leaves: false,
        };
        // It is of no use to a server that stops.
        let _ = self.send_from(place, heartbeat);
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
            () = self.finishing().cancelled() => {}
        }
        self.look(id).await
    }

    /// What decides when a task runs, and the time of which it is true.
    pub async fn explain(&self, id: TaskId) -> Result<(Surroundings, Timestamp), Error> {
        let now = self.store().now();
        let around = self.read(Query::Explain(Explain::new(id, now))).await?;
        let around = around.explain().ok_or(Refused::NoSuchTask)?;
        Ok((*around, now))
    }

    async fn look(&self, id: TaskId) -> Result<TaskView, Error> {
        let view = self.read(Query::Task(id)).await?.task();
        Ok(*view.ok_or(Refused::NoSuchTask)?)
    }

    /// What other servers have told, of which each who waits here may be concerned.
    pub async fn hear(&self, mut hints: Hints) -> Result<(), Error> {
        self.0.follows.lock().printed_any(&hints.printed);
        if !hints.cancelled.is_empty() {
            self.0.cancelled.send_modify(|runs| *runs += 1);
        }
        let ended = std::mem::take(&mut hints.ended);
        // It is of no use to a server that stops.
        let _ = self.send(Message::Heard(hints));
        self.look_for_ended(&ended).await
    }

    /// Ends the waits for those of these tasks that have ended elsewhere. One question asks for many of them, however many
    /// wait.
    async fn look_for_ended(&self, which: &Which<Mark>) -> Result<(), Error> {
        let waited_for = self.0.waits.lock().tasks(which);
        for tasks in waited_for.chunks(STEP_ROWS_MAX) {
            let ended = self.read(Query::Ended(tasks.to_vec())).await?.ended();
            let mut waits = self.0.waits.lock();
            ended.into_iter().for_each(|task| waits.ended(task));
        }
        Ok(())
    }

    /// Whatever other servers have done, some of which is told by nobody: claims look again, and whether a task has ended
    /// that somebody waits for. Whoever follows a log looks by itself.
    pub async fn look_again(&self) -> Result<(), Error> {
        let anywhere = Hints {
            ready: Ready::Anywhere,
            ended: Which::Any,
            ..Hints::default()
        };
        self.hear(anywhere).await
    }
}

impl Engine {
    pub(super) async fn call<D: TryFrom<Done>>(
        &self,
        command: impl Into<Command>,
    ) -> Result<D, Error> {
        answered(self.ask(command)?).await
    }

    /// A command of one of this server's services, which takes no room: of each service one waits at most, and they have
    /// to go on also where callers are told to come back.
    pub(crate) async fn call_of_ours<D: TryFrom<Done>>(
        &self,
        command: impl Into<Command>,
    ) -> Result<D, Error> {
        self.call_about(command, About::Command).await
    }

    /// The same of the sweep, which looked at this time whose silence counts.
    pub(crate) async fn expire(&self, expire: Expire, looked_at: Moment) -> Result<Expired, Error> {
        self.call_about(expire, About::Sweep(looked_at)).await
    }

    async fn call_about<D: TryFrom<Done>>(
        &self,
        command: impl Into<Command>,
        about: About,
    ) -> Result<D, Error> {
        let (reply, answer) = Reply::new(None, about);
        self.send(Message::Command(command.into(), reply))?;
        answered(answer).await
    }

    /// What nobody was told of, if there is anything.
    pub(super) fn give_back(&self, sending: &Sending, report: Option<Report>) {
        if let Some(report) = report {
            // Where the loop takes nothing more, it waits for its leases to end.
            let message = Message::GiveBack(sending.clone(), report);
            let _ = self.0.messages.send(message);
        }
    }

    fn ask(
        &self,
        command: impl Into<Command>,
    ) -> Result<oneshot::Receiver<command::Answer>, Error> {
        let command = command.into();
        let place = self.0.room.place(&command).ok_or(Error::Busy)?;
        self.send_from(place, command)
    }

    fn send_from(
        &self,
        place: Place,
        command: impl Into<Command>,
    ) -> Result<oneshot::Receiver<command::Answer>, Error> {
        let (reply, answer) = Reply::new(Some(place), About::Command);
        self.send(Message::Command(command.into(), reply))?;
        Ok(answer)
    }

    pub(super) fn send(&self, message: Message) -> Result<(), Error> {
        if self.is_stopping() {
            return Err(Error::Stopping);
        }
        let sent = self.0.messages.send(message);
        sent.map_err(|_| Error::Stopping)
    }
}

async fn answered<D: TryFrom<Done>>(
    receiver: impl Future<Output = Result<command::Answer, oneshot::error::RecvError>>,
) -> Result<D, Error> {
    let done = receiver.await.map_err(|_| Error::Stopping)???;
    Ok(D::try_from(done)
        .ok()
        .expect("a verb is answered in its own kind"))
}
