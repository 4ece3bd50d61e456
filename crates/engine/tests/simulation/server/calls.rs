//! What a server makes of the questions that arrive.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::id::{Epoch, TaskId};
use taskyard_core::name::Name;
use taskyard_core::query;
use taskyard_core::random::Random;
use taskyard_core::refused::Refused;
use taskyard_core::verbs::cancel::Cancel;
use taskyard_core::verbs::cancel_operation::CancelOperation;
use taskyard_core::verbs::forget::Forget;
use taskyard_core::verbs::heartbeat::Heartbeat;
use taskyard_core::verbs::kill::Kill;
use taskyard_core::verbs::operate::Operate;
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::submit::{NewTask, Submit};
use taskyard_core::worker::Profile;
use taskyard_engine::desk::Waiting;
use taskyard_engine::directory::Known;
use taskyard_engine::engine::ClaimCall;

use super::{About, Caller, Connection, Server, Who};
use crate::network::{Body, Call, Node, Ticket, Told};
use crate::surroundings::Surroundings;

/// Few, so that some is left to the sweep.
const KILLED_RUNS_MAX: usize = 2;

impl Server {
    pub(super) fn asked(
        &mut self,
        node: Node,
        ticket: Ticket,
        call: Call,
        around: &mut Surroundings,
    ) {
        around.tally.count(call.name());
        let command: Command = match &call {
            Call::Read { task, .. } => {
                let view = self.database.task(*task);
                around.ledger.read(&call, view.as_deref());
                around.send(self.node(), node, ticket, Body::Told(Told::Task));
                return;
            }
            Call::Claim(claim) => {
                self.claim(node, ticket, claim.clone(), false, around);
                return;
            }
            Call::Submit {
                submit,
                makes_ids: true,
            } => {
                let submit = self.with_ids(submit.clone(), around);
                let call = Call::Submit {
                    submit: submit.clone(),
                    makes_ids: true,
                };
                self.ask(node, ticket, call, submit.into(), around);
                return;
            }
            Call::Submit { submit, .. } => submit.clone().into(),
            Call::Cancel(task) => Cancel { task: *task }.into(),
            Call::Patch(patch) => (*patch).into(),
            Call::Retry(of) => {
                self.retry(node, ticket, *of, around);
                return;
            }
            Call::SetQueue(set) => set.clone().into(),
            Call::Operate(operate) => self.operation_of(operate, around).into(),
            Call::CancelOperation(operation) => CancelOperation {
                operation: *operation,
            }
            .into(),
            Call::Delete(worker) => Forget {
                workers: vec![worker.clone()],
                is_asked_for: true,
            }
            .into(),
            Call::Register(register) => {
                let server = match (register.server, self.joined) {
                    (None, _) => None,
                    (Some(_), Some(joined)) => Some(joined.number),
                    // The pool begins once its server has joined.
                    (Some(_), None) => return,
                };
                let register = Register {
                    server,
                    ..register.clone()
                };
                register.into()
            }
            Call::Drain(drain) => drain.clone().into(),
            Call::Kill(kill) => self.kill_with_runs(kill).into(),
            Call::Start(start) => start.clone().into(),
            Call::Heartbeat(heartbeat) => {
                self.heartbeat(node, ticket, heartbeat.clone(), around);
                return;
            }
            Call::Report(report) => {
                if let Some((worker, epoch)) = &report.worker {
                    self.sign_of_life(worker, *epoch, around);
                }
                report.clone().into()
            }
        };
        self.ask(node, ticket, call, command, around);
    }

    /// The first of what the worker holds goes back with it, and the sweep takes away the rest.
    fn kill_with_runs(&self, kill: &Kill) -> Kill {
        let query = query::Query::Takeable {
            worker: kill.worker.clone(),
            before: None,
            limit: KILLED_RUNS_MAX,
        };
        let runs = self.mine.read(query).takeable();
        Kill {
            runs,
            ..kill.clone()
        }
    }

    /// Where its caller has a key for it, it has another id each time that it arrives. So it has where it was under way for
    /// so long that the first one may be forgotten: a server sends its own again at once.
    fn operation_of(&mut self, operate: &Operate, around: &mut Surroundings) -> Operate {
        let mut operate = operate.clone();
        let is_late =
            around.now > TaskId::from(operate.id).made_at() + around.policy.operation_life / 2;
        if operate.once.is_some() || is_late {
            let bits = (u128::from(around.random.bits()) << 64) | u128::from(around.random.bits());
            operate.id = TaskId::new(self.clock.now(around.now), bits).into();
        }
        operate
    }

    /// What has ended once more, as another task.
    fn retry(&mut self, node: Node, ticket: Ticket, of: TaskId, around: &mut Surroundings) {
        let view = self.mine.read(query::Query::Task(of)).task();
        let view = view.ok_or(Refused::NoSuchTask);
        let again = view.and_then(|view| NewTask::again(&view, of));
        match again {
            Ok(task) => {
                let submit = Submit::of(vec![task]);
                let submit = self.with_ids(submit, around);
                let call = Call::Submit {
                    submit: submit.clone(),
                    makes_ids: true,
                };
                self.ask(node, ticket, call, submit.into(), around);
            }
            Err(refused) => {
                let answer = Told::Answer(Ok(Err(refused)));
                around.send(self.node(), node, ticket, Body::Told(answer));
            }
        }
    }

    /// Takes the command if there is room for it.
    fn ask(
        &mut self,
        node: Node,
        ticket: Ticket,
        call: Call,
        command: Command,
        around: &mut Surroundings,
    ) {
        let Some(place) = self.room.place(&command) else {
            return self.turn_away(node, ticket, around);
        };
        let mut caller = self.caller(node, ticket, call);
        caller.place = Some(place);
        self.command(command, caller, around);
    }

    fn turn_away(&self, node: Node, ticket: Ticket, around: &mut Surroundings) {
        around.tally.count("caller_is_told_to_come_back");
        around.send(self.node(), node, ticket, Body::Told(Told::Busy));
    }

    fn heartbeat(
        &mut self,
        node: Node,
        ticket: Ticket,
        mut heartbeat: Heartbeat,
        around: &mut Surroundings,
    ) {
        self.know(&heartbeat.worker, heartbeat.epoch, around);
        let moment = self.moment(around);
        let place = self.directory.heartbeat(&mut heartbeat, moment, &self.room);
        let Some((place, is_whole)) = place else {
            around.tally.count("heartbeat_finds_no_room");
            self.unheard = Some(moment);
            return self.turn_away(node, ticket, around);
        };
        let mut caller = self.caller(node, ticket, Call::Heartbeat(heartbeat.clone()));
        caller.place = Some(place);
        if !is_whole {
            around.tally.count("heartbeat_finds_no_room_for_its_news");
            caller.about = About::HeartbeatWithoutNews;
        }
        self.command(heartbeat, caller, around);
    }

    fn caller(&mut self, node: Node, ticket: Ticket, call: Call) -> Caller {
        let gone: Rc<Cell<bool>> = Rc::default();
        self.open.retain(Connection::is_open);
        self.open.push(Connection {
            node,
            gone: Rc::clone(&gone),
            claims_as: None,
        });
        Caller {
            gone,
            ..Caller::of(Who::Node { node, ticket, call })
        }
    }

    fn with_ids(&mut self, mut submit: Submit, around: &mut Surroundings) -> Submit {
        let now = self.clock.now(around.now);
        for task in &mut submit.tasks {
            let bits = (u128::from(around.random.bits()) << 64) | u128::from(around.random.bits());
            task.id = TaskId::new(now, bits);
            around.ledger.wants(task);
        }
        submit
    }

    pub(super) fn claim(
        &mut self,
        node: Node,
        ticket: Ticket,
        call: ClaimCall,
        second_try: bool,
        around: &mut Surroundings,
    ) {
        self.know(&call.worker, call.epoch, around);
        self.sign_of_life(&call.worker, call.epoch, around);
        let Some(place) = self.room.place_for_claim() else {
            return self.turn_away(node, ticket, around);
        };
        let mut caller = self.caller(node, ticket, Call::Claim(call.clone()));
        caller.place = Some(place);
        let claim = match self.directory.claim(&call) {
            Ok((claim, sending)) => {
                caller.about = About::Claim {
                    sending,
                    second_try,
                };
                claim
            }
            Err(refused) => {
                let answer = Told::Answer(Ok(Err(refused)));
                around.send(self.node(), node, ticket, Body::Told(answer));
                return;
            }
        };
        if let Some(connection) = self.open.last_mut() {
            connection.claims_as = Some(claim.epoch);
        }
        let repeated = self.desk.claim(Waiting {
            claim,
            until: self.moment(around) + call.wait,
            caller,
        });
        if repeated.is_some() {
            around.tally.count("waiting_claim_is_repeated");
        }
        self.answer(repeated, 0, around);
        self.turn_soon(around);
    }

    fn know(&mut self, worker: &Name, epoch: Option<Epoch>, around: &Surroundings) {
        if self.directory.knows(worker, epoch) {
            return;
        }
        let row = self
            .mine
            .read(query::Query::Worker(worker.clone()))
            .worker();
        if let Some(row) = row {
            let (profile, now) = (of_this_server(&row.profile), self.moment(around));
            let known = Known::new(row.number, row.epoch, profile, row.server.is_some(), now);
            self.directory.put(worker.clone(), known);
        }
    }

    /// What a call's answer teaches about a worker.
    pub(super) fn learn(
        &mut self,
        call: &Call,
        about: &About,
        answer: &Answer,
        around: &Surroundings,
    ) {
        if let (About::Claim { sending, .. }, Ok(Ok(Done::Claims(dealt)))) = (about, answer) {
            for hand in dealt.hands.iter().flatten().flatten() {
                if let Some(seq) = hand.seq_before {
                    self.directory.answered(sending, seq);
                }
            }
        }
        if let (Call::Register(register), Ok(Ok(Done::Register(registered)))) = (call, answer) {
            let known = Known::new(
                registered.number,
                registered.epoch,
                of_this_server(&register.profile),
                register.server.is_some(),
                self.moment(around),
            );
            self.directory.put(register.name.clone(), known);
        }
    }

    fn sign_of_life(&mut self, worker: &Name, epoch: Option<Epoch>, around: &mut Surroundings) {
        let times = (self.moment(around), around.policy.sign_of_life_every());
        let place = self
            .directory
            .sign_of_life(worker, epoch, times, &self.room);
        if place.is_some() {
            let heartbeat = Heartbeat {
                worker: worker.clone(),
                epoch,
                held: Vec::new(),
                leaves: false,
            };
            let caller = Caller {
                place,
                ..Caller::of(Who::Nobody)
            };
            self.command(heartbeat, caller, around);
        }
    }
}

/// Servers share no memory: each works out for itself which of its lanes a worker serves.
fn of_this_server(profile: &Arc<Profile>) -> Arc<Profile> {
    Arc::new(Profile::clone(profile))
}
