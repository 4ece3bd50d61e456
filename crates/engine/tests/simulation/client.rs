//! A client: submits, cancels and reads, and says everything again that is not answered, as a careful one does.

mod acts;
mod submits;

use std::collections::BTreeMap;
use std::time::Duration;

use taskyard_core::refused::Refused;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::submit::Submit;

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
    sent: Vec<Sent>,
}

/// A request that names its ids or has a key.
#[derive(Clone)]
struct Sent {
    at: Timestamp,
    submit: Submit,
    makes_ids: bool,
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
            self.let_queues_go_on(around);
            self.read(around);
        } else {
            match around.below(20) {
                0..=8 => self.submit(around),
                9 => self.twist(around),
                10 => self.cancel(around),
                11 => self.patch(around),
                12 => self.look_after_workers(around),
                13 => self.set_queue(around),
                14 => self.retry(around),
                15 | 16 => self.operate(around),
                17 => self.look_after_operations(around),
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
                Call::Cancel(_)
                | Call::Patch(_)
                | Call::SetQueue(_)
                | Call::Operate(_)
                | Call::CancelOperation(_)
                | Call::Drain(_)
                | Call::Kill(_)
                | Call::Delete(_) => true,
                _ => false,
            };
            if can_repeat && open.first_sent + SAYS_AGAIN_FOR > around.now {
                around.tally.count("request_is_sent_again");
                self.say(open.call, open.first_sent, ticket, around);
            }
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
        Refused::TooManyOperations(_) => "too_many_operations_are_refused",
        Refused::OperationEnded => "operation_has_ended_before",
        Refused::NoSuchOperation => "operation_is_known_no_more",
        Refused::NotEnded(_) => "task_to_run_again_has_not_ended",
        Refused::NoSuchTask => "task_is_there_no_more",
        Refused::WorkerIsOnline => "worker_to_delete_is_online",
        _ => "request_is_refused_otherwise",
    }
}
