//! Submits: with ids or a key of the client's own or without, and now and then what a careful client would not send.

use std::time::Duration;

use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::labels::{Demands, Labels};
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::policy::COMMAND;
use taskyard_core::random::Random;
use taskyard_core::rows::{Digest, IdempotencyKey, Origin};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};

use super::{Client, SAYS_AGAIN_FOR, Sent};
use crate::invariants::ASK;
use crate::known::Ask;
use crate::ledger::Asked;
use crate::network::{Body, Call};
use crate::surroundings::Surroundings;

pub(super) const QUEUES: [&str; 2] = ["default", "bulk"];
/// How much later a request is made once more where no clock is set: as long as its key is surely known.
const STEADY_REPEAT_MAX: Duration = Duration::from_secs(30);

impl Client {
    pub(super) fn submit(&mut self, around: &mut Surroundings) {
        let size = 1 + around.below(3);
        let tasks: Vec<NewTask> = (0..size).map(|_| new_task(around)).collect();
        let mut submit = Submit::of(tasks);
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
        let submit = self.send(submit, makes_ids, ask, around);
        if submit.once.is_some() || !makes_ids {
            let at = around.now;
            self.sent.push(Sent {
                at,
                submit,
                makes_ids,
            });
        }
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

    /// Uses a key or an id that stands for another request already, or an id of another day; or says once more, much
    /// later, what it has said.
    pub(super) fn twist(&mut self, around: &mut Surroundings) {
        // Older ones may arrive, after a server's pause, when their key is forgotten.
        let known_for = if around.ledger.is_steady {
            STEADY_REPEAT_MAX
        } else {
            SAYS_AGAIN_FOR
        };
        self.sent.retain(|sent| sent.at + known_for > around.now);
        if !self.sent.is_empty() && around.happens(400) {
            around.tally.count("request_is_made_once_more");
            let sent = self.sent[around.below(self.sent.len())].clone();
            let ticket = around.ticket();
            let Sent {
                at,
                submit,
                makes_ids,
            } = sent;
            return self.say(Call::Submit { submit, makes_ids }, at, ticket, around);
        }
        let ask = around.ledger.asked.len() as Ask + 1;
        if around.happens(200) || self.sent.is_empty() {
            around.tally.count("id_of_another_day");
            let mut submit = Submit::of(vec![new_task(around)]);
            let then = around.now - around.policy.key_life - Duration::from_mins(1);
            submit.tasks[0].id = TaskId::new(then, u128::from(around.random.bits()));
            submit.tasks[0].digest = Some(digest(ask));
            around.ledger.never.insert(submit.tasks[0].id);
            self.send(submit, false, ask, around);
            return;
        }
        let place = self.sent.len() - 1 - around.below(self.sent.len().min(4));
        let mut submit = self.sent[place].submit.clone();
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

    /// Answers what was sent.
    fn send(
        &mut self,
        mut submit: Submit,
        makes_ids: bool,
        ask: Ask,
        around: &mut Surroundings,
    ) -> Submit {
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
            unique: submit
                .tasks
                .iter()
                .filter(|task| task.unique_key.is_some())
                .count(),
            key: submit.once.as_ref().map(|(key, _)| key.key.to_string()),
        };
        around.ledger.asked.insert(ask, asked);
        let ticket = around.ticket();
        if !makes_ids {
            submit
                .tasks
                .iter()
                .for_each(|task| around.ledger.wants(task));
        }
        let call = Call::Submit {
            submit: submit.clone(),
            makes_ids,
        };
        if call.can_be_doubled() && around.happens(250) {
            around.tally.count("two_servers_are_asked_at_once");
            let to = around.any_server();
            around.send(self.node(), to, ticket, Body::Call(call.clone()));
        }
        self.ask(call, ticket, around);
        submit
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
    let queue = QUEUES[around.below(2)];
    let (kind, demands) = match around.below(100) {
        0..=44 => ("a".to_owned(), Demands::default()),
        45..=74 => ("b".to_owned(), Demands::default()),
        75..=84 => (COMMAND.to_owned(), Demands::default()),
        85..=91 => (
            "a".to_owned(),
            Demands::new([("gpu", "a100")]).expect("a demand"),
        ),
        92..=96 => ("poison".to_owned(), Demands::default()),
        _ => (format!("odd-{}", around.below(20)), Demands::default()),
    };
    // Of the commands some, for another sort of client.
    let origin = (kind == COMMAND && around.happens(700)).then_some(Origin::Taskmaster);
    let priority = i64::try_from(around.below(11)).expect("small") - 5;
    NewTask {
        priority: Priority::new(priority).expect("within its range"),
        begin: match around.below(10) {
            0..=6 => Begin::Now,
            7 => Begin::At(around.now - Duration::from_secs(5)),
            _ => Begin::After(around.millis(1, 8_000)),
        },
        max_attempts: around.happens(700).then_some(2),
        max_losses: around.happens(500).then_some(2),
        timeout: around.happens(300).then_some(Duration::from_secs(4)),
        origin,
        is_exclusive: around.happens(150),
        unique_key: around
            .happens(150)
            .then(|| ["one", "two"][around.below(2)].into()),
        ..NewTask::new(
            TaskId::new(around.now, 0),
            LaneKey {
                queue: Name::path(queue).expect("a queue"),
                kind: Name::path(&kind).expect("a kind"),
                demands,
            },
            Json::null(),
        )
    }
}
