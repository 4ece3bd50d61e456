//! A client: submits, cancels and reads, and says everything again that is not answered, as a careful one does.

use std::collections::BTreeMap;
use std::time::Duration;

use taskyard_core::command::Done;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::random::Random;
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::drain::Drain;
use taskyard_core::verbs::kill::Kill;
use taskyard_core::verbs::patch::Patch;
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};

use crate::invariants::ASK;
use crate::known::Ask;
use crate::ledger::Asked;
use crate::network::{Body, Call, Node, Ticket, Told};
use crate::options::Options;
use crate::surroundings::{Event, Surroundings};

const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// For how long it says one request again: shorter than keys and ids are known, also by a clock that is set ahead.
const SAYS_AGAIN_FOR: Duration = Duration::from_secs(15);

pub(crate) struct Client {
    number: usize,
    ask_every: Duration,
    /// By how much its clock is ahead, in microseconds.
    clock_error: i64,
    open: BTreeMap<Ticket, Open>,
    /// Requests to repeat with a twist: the same key or id with another body.
    sent: Vec<(Timestamp, Submit)>,
}

struct Open {
    call: Call,
    first_sent: Timestamp,
    sent: Timestamp,
}

impl Client {
    pub(crate) fn new(number: usize, options: &Options, around: &mut Surroundings) -> Self {
        Self {
            number,
            ask_every: options.ask_every,
            clock_error: around.error_up_to(options.clock_error),
            open: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    fn node(&self) -> Node {
        Node::Client(self.number)
    }

    pub(crate) fn turn_soon(&self, around: &mut Surroundings) {
        let most = u64::try_from(self.ask_every.as_millis()).expect("seconds") * 2;
        let wait = around.millis(1, most);
        around.after(wait, Event::ClientTurn(self.number));
    }

    pub(crate) fn turn(&mut self, around: &mut Surroundings) {
        self.say_again(around);
        if around.calm {
            self.read(around);
        } else {
            match around.below(12) {
                0..=5 => self.submit(around),
                6 => self.twist(around),
                7 => self.cancel(around),
                8 => self.patch(around),
                9 => self.look_after_workers(around),
                _ => self.read(around),
            }
        }
        self.turn_soon(around);
    }

    fn ask(&mut self, call: Call, ticket: Ticket, around: &mut Surroundings) {
        self.say(call, around.now, ticket, around);
    }

    fn say(
        &mut self,
        call: Call,
        first_sent: Timestamp,
        ticket: Ticket,
        around: &mut Surroundings,
    ) {
        let to = around.any_server();
        around.send(self.node(), to, ticket, Body::Call(call.clone()));
        let open = Open {
            call,
            first_sent,
            sent: around.now,
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
            let Some(open) = self.open.remove(&ticket) else {
                continue;
            };
            let can_repeat = match &open.call {
                Call::Submit { submit, makes_ids } => !makes_ids || submit.once.is_some(),
                Call::Cancel(_) | Call::Patch(_) | Call::Drain(_) | Call::Kill(_) => true,
                _ => false,
            };
            if can_repeat && open.first_sent + SAYS_AGAIN_FOR > around.now {
                around.tally.count("request_is_sent_again");
                self.say(open.call, open.first_sent, ticket, around);
            }
        }
    }

    fn submit(&mut self, around: &mut Surroundings) {
        let size = 1 + around.below(3);
        let tasks: Vec<NewTask> = (0..size).map(|_| new_task(around)).collect();
        let mut submit = Submit {
            tasks,
            once: None,
            again: false,
        };
        let ask = around.ledger.asked.len() as Ask + 1;
        let makes_ids = match around.below(3) {
            0 => true,
            1 => {
                self.name_ids(&mut submit, around);
                false
            }
            _ => {
                let key = format!("key-{ask}");
                name_key(&mut submit, &key, &ask.to_string());
                true
            }
        };
        if submit.once.is_some() || !makes_ids {
            self.sent.push((around.now, submit.clone()));
        }
        self.send(submit, makes_ids, ask, around);
    }

    fn name_ids(&self, submit: &mut Submit, around: &mut Surroundings) {
        let ask = around.ledger.asked.len() as Ask + 1;
        let now = Timestamp::from_micros(around.now.as_micros() + self.clock_error);
        for task in &mut submit.tasks {
            let bits = (u128::from(around.random.bits()) << 64) | u128::from(around.random.bits());
            task.id = TaskId::new(now, bits);
            task.digest = Some(digest(ask));
        }
    }

    /// Uses a key or an id that stands for another request already, or an id of another day.
    fn twist(&mut self, around: &mut Surroundings) {
        // Older ones may arrive, after a server's pause, when their key is forgotten.
        self.sent
            .retain(|(at, _)| *at + Duration::from_secs(15) > around.now);
        let ask = around.ledger.asked.len() as Ask + 1;
        if around.happens(200) || self.sent.is_empty() {
            around.tally.count("id_of_another_day");
            let mut submit = Submit {
                tasks: vec![new_task(around)],
                once: None,
                again: false,
            };
            let then = around.now - around.policy.key_life - Duration::from_mins(1);
            submit.tasks[0].id = TaskId::new(then, u128::from(around.random.bits()));
            submit.tasks[0].digest = Some(digest(ask));
            around.ledger.never.insert(submit.tasks[0].id);
            return self.send(submit, false, ask, around);
        }
        let place = self.sent.len() - 1 - around.below(self.sent.len().min(4));
        let mut submit = self.sent[place].1.clone();
        if let Some((key, _)) = submit.once.clone() {
            around.tally.count("key_with_another_body");
            name_key(&mut submit, &key.key, &format!("another {ask}"));
            self.send(submit, true, ask, around);
        } else {
            around.tally.count("id_with_another_body");
            submit.tasks.truncate(1);
            submit.tasks[0].digest = Some(digest(ask));
            self.send(submit, false, ask, around);
        }
    }

    fn send(&mut self, mut submit: Submit, makes_ids: bool, ask: Ask, around: &mut Surroundings) {
        let labels = Labels::new([(ASK, ask.to_string())]).expect("a label");
        for task in &mut submit.tasks {
            task.labels = labels.clone();
            task.input = Json::stored(format!(
                "{{\"ask\":{ask},\"long\":\"{}\"}}",
                "x".repeat(around.below(60))
            ));
        }
        let asked = Asked {
            tasks: submit.tasks.len(),
            key: submit.once.as_ref().map(|(key, _)| key.key.to_string()),
        };
        around.ledger.asked.insert(ask, asked);
        let ticket = around.ticket();
        let call = Call::Submit { submit, makes_ids };
        if call.can_be_doubled() && around.happens(250) {
            around.tally.count("two_servers_are_asked_at_once");
            let to = around.any_server();
            around.send(self.node(), to, ticket, Body::Call(call.clone()));
        }
        self.ask(call, ticket, around);
    }

    fn any_task(around: &mut Surroundings) -> Option<TaskId> {
        let tasks = around.ledger.stored.len();
        // The newest are more interesting.
        let back = around.below(tasks.min(15));
        around.ledger.stored.iter().rev().nth(back).copied()
    }

    fn cancel(&mut self, around: &mut Surroundings) {
        if let Some(task) = Self::any_task(around) {
            let ticket = around.ticket();
            self.ask(Call::Cancel(task), ticket, around);
        }
    }

    /// Sometimes it is somebody who wants a worker to go.
    fn look_after_workers(&mut self, around: &mut Surroundings) {
        let known = around.ledger.profiles.len();
        let chosen = around.below(known.max(1));
        let Some(worker) = around.ledger.profiles.keys().nth(chosen).cloned() else {
            return;
        };
        let call = if around.happens(500) {
            Call::Drain(Drain { worker })
        } else {
            // The sweep takes away what it holds.
            Call::Kill(Kill {
                worker,
                runs: Vec::new(),
                since: None,
            })
        };
        let ticket = around.ticket();
        self.ask(call, ticket, around);
    }

    fn patch(&mut self, around: &mut Surroundings) {
        let Some(task) = Self::any_task(around) else {
            return;
        };
        let begin = match around.below(4) {
            0 => Some(Begin::Now),
            1 => Some(Begin::After(Duration::from_secs(
                1 + around.below(20) as u64,
            ))),
            _ => None,
        };
        let priority = Priority::new(around.below(3) as i64 - 1).ok();
        let patch = Patch {
            task,
            priority,
            begin,
        };
        let ticket = around.ticket();
        self.ask(Call::Patch(patch), ticket, around);
    }

    /// Sometimes cancels what it has just submitted, while servers give it out.
    fn change_its_mind(&mut self, done: &Done, around: &mut Surroundings) {
        if let Done::Submit(submitted) = done
            && around.happens(200)
        {
            let task = submitted.ids[around.below(submitted.ids.len())];
            let ticket = around.ticket();
            self.ask(Call::Cancel(task), ticket, around);
        }
    }

    fn read(&mut self, around: &mut Surroundings) {
        if let Some(task) = Self::any_task(around) {
            let had_ended = around.ledger.outcomes.contains_key(&task);
            let ticket = around.ticket();
            self.ask(Call::Read { task, had_ended }, ticket, around);
        }
    }

    pub(crate) fn hears(&mut self, ticket: Ticket, told: Told, around: &mut Surroundings) {
        let Some(open) = self.open.remove(&ticket) else {
            around.tally.count("answer_comes_too_late_or_twice");
            return;
        };
        match told {
            Told::Answer(Ok(Ok(done))) => {
                around.tally.count("request_is_granted");
                self.change_its_mind(&done, around);
            }
            Told::Answer(Ok(Err(refused))) => around.tally.count(name(&refused)),
            // Asked again when its time is up.
            Told::Answer(Err(_)) => {
                around.tally.count("request_fails");
                self.open.insert(ticket, open);
            }
            Told::Busy => {
                self.open.insert(ticket, open);
            }
            Told::Task => {}
        }
    }
}

fn name(refused: &Refused) -> &'static str {
    match refused {
        Refused::AlreadyEnded(_) => "cancel_comes_too_late",
        Refused::IdTaken(_) => "taken_id_is_refused",
        Refused::IdNotRecent { .. } => "id_of_another_day_is_refused",
        Refused::KeyReused => "key_with_another_body_is_refused",
        Refused::TooManyLanes(_) => "too_many_lanes_are_refused",
        Refused::TooManyWorkers(_) => "too_many_workers_are_refused",
        _ => "request_is_refused_otherwise",
    }
}

fn digest(ask: Ask) -> Digest {
    Digest::of(&ask.to_be_bytes())
}

fn name_key(submit: &mut Submit, key: &str, body: &str) {
    let key = IdempotencyKey {
        scope: "client".into(),
        key: key.into(),
    };
    submit.once = Some((key, Digest::of(body.as_bytes())));
}

/// Its id is no more than a place holder.
fn new_task(around: &mut Surroundings) -> NewTask {
    let queue = ["default", "bulk"][around.below(2)];
    let (kind, demands) = match around.below(100) {
        0..=44 => ("a".to_owned(), Demands::default()),
        45..=84 => ("b".to_owned(), Demands::default()),
        85..=91 => (
            "a".to_owned(),
            Demands::new([("gpu", "a100")]).expect("a demand"),
        ),
        92..=96 => ("poison".to_owned(), Demands::default()),
        _ => (format!("odd-{}", around.below(20)), Demands::default()),
    };
    let priority = i64::try_from(around.below(11)).expect("small") - 5;
    NewTask {
        id: TaskId::new(around.now, 0),
        lane: LaneKey {
            queue: Name::path(queue).expect("a queue"),
            kind: Name::path(&kind).expect("a kind"),
            demands,
        },
        priority: Priority::new(priority).expect("within its range"),
        begin: match around.below(10) {
            0..=6 => Begin::Now,
            7 => Begin::At(around.now - Duration::from_secs(5)),
            _ => Begin::After(around.millis(1, 8_000)),
        },
        input: Json::null(),
        max_attempts: around.happens(700).then_some(2),
        max_losses: around.happens(500).then_some(2),
        timeout: around.happens(300).then_some(Duration::from_secs(4)),
        retry: None,
        labels: Labels::default(),
        is_exclusive: false,
        unique_key: None,
        retry_of: None,
        origin: None,
        digest: None,
    }
}
