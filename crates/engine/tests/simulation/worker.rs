//! A worker: registers, claims, begins, keeps its leases alive, reports; says everything again that is not answered.

mod exclusive;
mod hand;
mod leaving;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::command::Done;
use taskyard_core::id::{Epoch, ServerNumber, TaskId};
use taskyard_core::json::Json;
use taskyard_core::name::Name;
use taskyard_core::refused::Refused;
use taskyard_core::rows::Progress;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::claim::{Hand, Named};
use taskyard_core::verbs::heartbeat::{Beaten, Heartbeat, Held};
use taskyard_core::verbs::register::Register;
use taskyard_core::verbs::report::{Report, ReportedBack};
use taskyard_core::verbs::start::Start;
use taskyard_core::worker::Profile;
use taskyard_engine::engine::ClaimCall;

pub(crate) use self::hand::SNOOZE_MAX;

use self::hand::{Mine, forged, is_poison, result, token};
use crate::network::{Body, Call, Node, Ticket, Told};
use crate::options::Options;
use crate::surroundings::{Event, Surroundings};

/// How long it waits for an answer before it asks again, perhaps another server.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How often it sends one claim at most.
const CLAIMS_MAX: u32 = 4;

pub(crate) struct Worker {
    number: usize,
    pub(crate) name: Name,
    pub(crate) profile: Arc<Profile>,
    capacity: usize,
    /// Within the process of the first server: lives and dies with it.
    pub(crate) internal: bool,
    /// By how much its clock is ahead, in microseconds.
    clock_error: i64,
    pub(crate) life: u32,
    pub(crate) alive: bool,
    /// Stopped until then.
    pub(crate) paused_until: Timestamp,
    /// Takes nothing more, hands back what it has, and goes.
    drains: bool,
    epoch: Option<Epoch>,
    seq: i64,
    open: BTreeMap<Ticket, Open>,
    hand: BTreeMap<TaskId, Mine>,
    next_heartbeat: Timestamp,
}

/// A question without an answer yet.
struct Open {
    call: Call,
    first_sent: Timestamp,
    sent: Timestamp,
    times: u32,
}

impl Worker {
    pub(crate) fn new(
        number: usize,
        profile: Profile,
        options: &Options,
        around: &mut Surroundings,
    ) -> Self {
        Self {
            number,
            name: Name::plain(&format!("worker-{number}")).expect("a name"),
            profile: Arc::new(profile),
            capacity: options.capacity,
            internal: number == 0 && options.internal,
            clock_error: around.error_up_to(options.clock_error),
            life: 0,
            alive: false,
            paused_until: Timestamp::default(),
            drains: false,
            epoch: None,
            seq: 0,
            open: BTreeMap::new(),
            hand: BTreeMap::new(),
            next_heartbeat: Timestamp::default(),
        }
    }

    pub(crate) fn node(&self) -> Node {
        Node::Worker(self.number)
    }

    pub(crate) fn start(&mut self, around: &mut Surroundings) {
        around
            .ledger
            .profiles
            .insert(self.name.clone(), Arc::clone(&self.profile));
        self.forget();
        self.alive = true;
        self.turn_soon(around);
    }

    /// Whatever it had in memory is gone.
    pub(crate) fn forget(&mut self) {
        self.life += 1;
        self.alive = false;
        self.drains = false;
        self.epoch = None;
        self.seq = 0;
        self.open.clear();
        self.hand.clear();
    }

    pub(crate) fn holds_anything(&self) -> bool {
        !self.hand.is_empty()
    }

    /// By its own clock.
    fn time(&self, around: &Surroundings) -> Timestamp {
        Timestamp::from_micros(around.now.as_micros() + self.clock_error)
    }

    fn turn_soon(&self, around: &mut Surroundings) {
        let wait = around.millis(20, 300);
        let event = Event::WorkerTurn {
            worker: self.number,
            life: self.life,
        };
        around.after(wait, event);
    }

    /// What it does every now and then. True when it is over with it: a task in its hand kills it, or it has drained.
    pub(crate) fn turn(&mut self, around: &mut Surroundings) -> bool {
        if self.paused_until > around.now {
            let event = Event::WorkerTurn {
                worker: self.number,
                life: self.life,
            };
            around.after(self.paused_until.since(around.now), event);
            return false;
        }
        if self.hand.values().any(|mine| is_poison(&mine.run)) && around.happens(700) {
            around.tally.count("task_kills_its_worker");
            return true;
        }
        if self.has_drained() {
            around.tally.count("drained_worker_goes");
            return true;
        }
        self.say_again(around);
        self.end_unconfirmed(around);
        if self.epoch.is_none() {
            self.register(around);
        } else {
            self.begin(around);
            self.heartbeat(around);
            self.report(around);
            self.claim(around);
        }
        self.turn_soon(around);
        false
    }

    fn ask(&mut self, call: Call, times: u32, ticket: Ticket, around: &mut Surroundings) {
        let first_sent = around.now;
        self.say(call, (first_sent, times), ticket, around);
    }

    fn say(
        &mut self,
        call: Call,
        (first_sent, times): (Timestamp, u32),
        ticket: Ticket,
        around: &mut Surroundings,
    ) {
        // Mostly the same server, so that its memory of this worker is used.
        let to = if around.happens(700) {
            Node::Server(self.number % around.servers)
        } else {
            around.any_server()
        };
        let sent = around.now;
        around.send(self.node(), to, ticket, Body::Call(call.clone()));
        let open = Open {
            call,
            first_sent,
            sent,
            times,
        };
        self.open.insert(ticket, open);
    }

    fn say_again(&mut self, around: &mut Surroundings) {
        let late: Vec<Ticket> = self
            .open
            .iter()
            .filter(|(_, open)| open.sent + ANSWER_WITHIN <= around.now)
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in late {
            let Some(mut open) = self.open.remove(&ticket) else {
                continue;
            };
            let again = match &open.call {
                Call::Claim(_) => open.times < CLAIMS_MAX,
                Call::Report(_) | Call::Register(_) => true,
                _ => false,
            };
            if again {
                if let Call::Claim(claim) = &mut open.call {
                    claim.again = true;
                }
                around.tally.count(match open.call {
                    Call::Claim(_) => "claim_is_sent_again",
                    Call::Register(_) => "register_is_sent_again",
                    _ => "report_is_sent_again",
                });
                let times = open.times + 1;
                self.say(open.call, (open.first_sent, times), ticket, around);
            }
        }
    }

    fn has_open(&self, is: impl Fn(&Call) -> bool) -> bool {
        self.open.values().any(|open| is(&open.call))
    }

    fn register(&mut self, around: &mut Surroundings) {
        if self.has_open(|call| matches!(call, Call::Register(_))) {
            return;
        }
        let ticket = around.ticket();
        self.ask(Call::Register(self.registration()), 0, ticket, around);
    }

    fn registration(&self) -> Register {
        Register {
            name: self.name.clone(),
            // Its server knows its own number.
            server: self.internal.then_some(ServerNumber(0)),
            profile: Arc::clone(&self.profile),
            capacity: 1,
            if_new: false,
        }
    }

    /// Sometimes the connection breaks at once, and it goes on with the same claim elsewhere.
    fn claim(&mut self, around: &mut Surroundings) {
        let room = self.capacity.saturating_sub(self.hand.len());
        if room == 0 || self.drains || self.has_open(|call| matches!(call, Call::Claim(_))) {
            return;
        }
        self.seq += 1;
        let claim = ClaimCall {
            worker: self.name.clone(),
            epoch: self.epoch.filter(|_| around.happens(700)),
            task: self.named(around),
            limit: room,
            wait: Duration::from_secs(2),
            begin: around.happens(300),
            seq: self.seq,
            again: false,
        };
        let ticket = around.ticket();
        self.ask(Call::Claim(claim.clone()), 0, ticket, around);
        if around.happens(100) {
            around.tally.count("claim_goes_on_at_another_server");
            let again = ClaimCall {
                again: true,
                ..claim
            };
            let to = around.any_server();
            let again = Body::Call(Call::Claim(again));
            around.send(self.node(), to, ticket, again);
        }
    }

    /// Sometimes it wants this very task, whatever has become of it.
    fn named(&self, around: &mut Surroundings) -> Option<Named> {
        let tasks = &around.ledger.known.tasks;
        let newest = tasks.values().rev().take(15);
        let served = newest.filter(|view| self.profile.serves(&view.lane));
        let named = served.map(|view| Named {
            task: view.task.id,
            lane: Arc::clone(&view.lane),
        });
        let named: Vec<Named> = named.collect();
        let chosen = named.get(around.below(named.len())).cloned();
        chosen.filter(|_| around.happens(100))
    }

    fn begin(&mut self, around: &mut Surroundings) {
        let now = self.time(around);
        let mut fresh = Vec::new();
        for mine in self.hand.values_mut() {
            if !std::mem::replace(&mut mine.begun, true) && mine.tells_start {
                fresh.push(token(&mine.run));
            }
        }
        for token in fresh {
            let started_at = Some(now);
            let ticket = around.ticket();
            self.ask(Call::Start(Start { token, started_at }), 0, ticket, around);
        }
    }

    fn heartbeat(&mut self, around: &mut Surroundings) {
        if self.next_heartbeat > around.now {
            return;
        }
        self.next_heartbeat = around.now + around.policy.heartbeat;
        let mut held = Vec::new();
        for mine in self.hand.values() {
            let says_more = around.happens(200);
            held.push(Held {
                token: token(&mine.run),
                running: mine.begun && mine.tells_start,
                progress: says_more.then_some(Progress {
                    fraction: Some(0.5),
                    message: None,
                }),
                checkpoint: says_more.then(|| Json::stored("{\"half\":true}")),
            });
        }
        let heartbeat = Heartbeat {
            worker: self.name.clone(),
            epoch: self.epoch,
            held,
            leaves: false,
        };
        let ticket = around.ticket();
        self.ask(Call::Heartbeat(heartbeat), 0, ticket, around);
    }

    fn report(&mut self, around: &mut Surroundings) {
        let mut results = Vec::new();
        let (now, drains) = (self.time(around), self.drains);
        for mine in self.hand.values_mut() {
            let ends = drains || mine.ends_at <= around.now && !is_poison(&mine.run);
            if mine.result.is_none() && ends {
                let result = result(&mine.run, drains, now, around);
                if around.happens(20) {
                    results.push(forged(&result, around));
                }
                mine.result = Some(result.clone());
                results.push(result);
            }
        }
        if results.is_empty() {
            return;
        }
        let report = Report {
            worker: around.happens(500).then(|| (self.name.clone(), self.epoch)),
            results: results.into(),
        };
        let ticket = around.ticket();
        self.ask(Call::Report(report), 0, ticket, around);
    }

    pub(crate) fn hears(&mut self, ticket: Ticket, told: Told, around: &mut Surroundings) {
        let Some(open) = self.open.remove(&ticket) else {
            around.tally.count("answer_comes_too_late_or_twice");
            return;
        };
        let Told::Answer(answer) = told else {
            // It is said again when its time is up, or told anew.
            self.open.insert(ticket, open);
            return;
        };
        let (asked, first_asked) = (open.sent, open.first_sent);
        match (open.call, answer) {
            (_, Ok(Ok(Done::Register(registered)))) => {
                self.epoch = Some(registered.epoch);
                self.seq = 0;
            }
            (_, Ok(Ok(Done::Claims(dealt)))) => {
                for hand in dealt.hands.into_iter().flatten() {
                    self.take(hand, first_asked, around);
                }
            }
            (call, Ok(Ok(Done::Heartbeat(beaten)))) => {
                self.is_told_to_drain(beaten.drain, around);
                self.let_go(&beaten, around);
                if let Call::Heartbeat(heartbeat) = call {
                    self.confirm(&heartbeat, &beaten, asked);
                }
            }
            (Call::Report(report), Ok(Ok(Done::Report(back)))) => {
                self.reported(&report, &back, around)
            }
            (
                _,
                Ok(Err(Refused::NoSuchWorker | Refused::WorkerReplaced | Refused::WorkerKilled)),
            ) => self.start_over(around),
            // Not answered in kind: a report is sent again as if nothing had come back.
            (call @ Call::Report(_), Err(_)) => {
                let sent = around.now;
                self.open.insert(
                    ticket,
                    Open {
                        call,
                        first_sent: first_asked,
                        sent,
                        times: open.times,
                    },
                );
            }
            _ => {}
        }
    }

    fn take(&mut self, hand: Result<Hand, Refused>, asked: Timestamp, around: &mut Surroundings) {
        let hand = match hand {
            Ok(hand) => hand,
            Err(Refused::NotClaimable | Refused::NoSuchTask) => {
                around.tally.count("named_task_is_not_free");
                return;
            }
            Err(_) => return self.start_over(around),
        };
        self.is_told_to_drain(hand.drain, around);
        for run in hand.runs {
            around.tally.count("run");
            let ends_at = around.now + around.millis(0, 3_000);
            let tells_start = around.happens(500);
            // One that is exclusive its worker ends in time, whatever it does.
            let is_slow = around.happens(30) && !run.is_exclusive;
            let mine = Mine {
                run,
                begun: false,
                tells_start,
                ends_at: if is_slow {
                    ends_at + Duration::from_secs(30)
                } else {
                    ends_at
                },
                confirmed: asked,
                result: None,
            };
            self.hand.insert(mine.run.slot.task, mine);
        }
    }

    fn let_go(&mut self, beaten: &Beaten, around: &mut Surroundings) {
        for task in beaten.lost.iter().chain(&beaten.cancel) {
            if self.hand.remove(task).is_some() {
                around.tally.count("run_is_let_go");
            }
        }
    }

    fn reported(&mut self, report: &Report, back: &ReportedBack, around: &mut Surroundings) {
        let mut broken = Vec::new();
        for (result, answer) in report.results.iter().zip(&back.results) {
            around.tally.count(match answer {
                Ok(_) => "result_is_accepted",
                Err(Refused::StaleLease) => "stale_result_is_refused",
                Err(Refused::Broken) => {
                    around.tally.count("result_fails_alone");
                    broken.push(result.clone());
                    continue;
                }
                Err(_) => "result_is_refused",
            });
            let task = result.token.slot.task;
            if self
                .hand
                .get(&task)
                .is_some_and(|mine| mine.run.fence == result.token.fence)
            {
                self.hand.remove(&task);
            }
        }
        // The others were taken.
        if !broken.is_empty() {
            let again = Report {
                results: broken.into(),
                ..report.clone()
            };
            let ticket = around.ticket();
            self.ask(Call::Report(again), 0, ticket, around);
        }
    }
}
