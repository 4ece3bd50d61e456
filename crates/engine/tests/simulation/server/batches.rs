//! The engine's loop, one step at a time: takes batches off the desk, lets them run, answers.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::topic::Topic;
use taskyard_core::verbs::claim::Dealt;
use taskyard_core::verbs::expire::Expire;
use taskyard_core::verbs::report::Report;
use taskyard_core::verbs::submit::Submit;
use taskyard_engine::desk::{self, Batch};
use taskyard_engine::directory::Sending;
use taskyard_engine::engine::ClaimCall;
use taskyard_engine::room::Place;
use taskyard_store::model::weak;

use super::stopping::note_left;
use super::{About, Caller, Server, Who};
use crate::database::Running;
use crate::losses;
use crate::network::{Body, Call, Node, Ticket, Told};
use crate::surroundings::Surroundings;

/// The batches that a server has taken and not answered, oldest first: run in this order, and answered in it.
#[derive(Default)]
pub(super) struct UnderWay(VecDeque<Under>);

struct Under {
    batch: Batch<Caller>,
    stage: Stage,
    /// By its server's clock.
    now: Timestamp,
    /// The number of the last commit before it began.
    since: u64,
}

enum Stage {
    Running {
        running: Running,
        /// How often it was polled.
        polls: u32,
    },
    /// Committed, or not, and to be answered once the disk has it.
    Held(Result<Ran, store::Error>),
}

impl UnderWay {
    /// How long the one that runs has been at it, in polls.
    pub(super) fn polls(&self) -> u32 {
        let polls = self.0.iter().find_map(|under| match &under.stage {
            Stage::Running { polls, .. } => Some(*polls),
            Stage::Held(_) => None,
        });
        polls.unwrap_or(0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// The last, if nothing of it has begun.
    fn pop_waiting(&mut self) -> Option<Batch<Caller>> {
        let waits = |under: &mut Under| matches!(under.stage, Stage::Running { polls: 0, .. });
        self.0.pop_back_if(waits).map(|under| under.batch)
    }

    fn push(&mut self, batch: Batch<Caller>, running: Running, now: Timestamp, since: u64) {
        let stage = Stage::Running { running, polls: 0 };
        self.0.push_back(Under {
            batch,
            stage,
            now,
            since,
        });
    }

    /// The oldest, if it only waits to be answered.
    fn pop_held(&mut self) -> Option<(Batch<Caller>, Result<Ran, store::Error>, u64)> {
        let is_held = |under: &mut Under| matches!(under.stage, Stage::Held(_));
        let Under {
            batch,
            stage,
            since,
            ..
        } = self.0.pop_front_if(is_held)?;
        match stage {
            Stage::Held(ran) => Some((batch, ran, since)),
            Stage::Running { .. } => None,
        }
    }

    /// Lets the first that runs go on; so many commits there were before. True when it has ended.
    fn go_on(&mut self, commits: u64, around: &mut Surroundings) -> bool {
        for Under {
            stage, now, since, ..
        } in &mut self.0
        {
            let Stage::Running { running, polls } = stage else {
                continue;
            };
            if *polls == 0 {
                *since = commits;
            }
            (around.batch, around.since) = (*now, *since);
            *polls += 1;
            let mut context = Context::from_waker(Waker::noop());
            let Poll::Ready(ran) = running.as_mut().poll(&mut context) else {
                return false;
            };
            *stage = Stage::Held(ran);
            return true;
        }
        false
    }
}

impl Server {
    /// One step of the engine's loop: answers what is done, takes another batch, and lets the one that runs go on.
    pub(crate) fn turn(&mut self, around: &mut Surroundings) {
        self.turn_is_due = false;
        let over = self.desk.expired(self.moment(around));
        self.answer(over, 0, around);
        self.finish_held(around);
        if let Some(mut last) = self.under_way.pop_waiting() {
            self.desk.add_to(&mut last);
            self.send(last, around);
        }
        while self.under_way.len() < self.mine.batches_max() && self.begin(around) {}
        let commits = self.database.commits();
        if self.under_way.go_on(commits, around) && self.mine.batches_max() == 1 {
            self.finish_held(around);
        }
        self.go_on_leaving(around);
        if !self.under_way.is_empty() || !self.desk.is_idle() {
            self.turn_soon(around);
        }
    }

    /// False when nothing waits to be run.
    fn begin(&mut self, around: &mut Surroundings) -> bool {
        let Some(batch) = self.desk.next_batch() else {
            return false;
        };
        around.tally.count("batch");
        self.send(batch, around);
        true
    }

    fn send(&mut self, mut batch: Batch<Caller>, around: &mut Surroundings) {
        if let Some(lost_at) = self.unheard {
            batch.spare_the_silent(lost_at, 0);
        }
        let now = self.time_of(&batch.commands, around);
        around.latest_batch = around.latest_batch.max(now);
        let running = self.mine.run(batch.commands.clone(), &around.policy, now);
        let since = self.database.commits();
        self.under_way.push(batch, running, now, since);
    }

    /// PostgreSQL is asked for it where it was not for a while, and for each sweep's batch.
    fn time_of(&mut self, commands: &[Command], around: &mut Surroundings) -> Timestamp {
        let sweeps = commands.iter().filter_map(|command| match command {
            Command::Expire(expire) => Some(expire),
            _ => None,
        });
        let sweeps: Vec<&Expire> = sweeps.collect();
        if !self.mine.is_alone() && (!sweeps.is_empty() || self.clock.is_stale(around.now)) {
            self.read_clock(around);
        }
        let now = self.clock.now(around.now);
        for sweep in sweeps {
            let seen_at = self.seen_at[&sweep.sight.at];
            losses::check_sight(sweep.sight, seen_at, now, around);
        }
        now
    }

    fn finish_held(&mut self, around: &mut Surroundings) {
        while let Some((batch, ran, since)) = self.under_way.pop_held() {
            self.finish(batch, ran, since, around);
        }
    }

    fn finish(
        &mut self,
        batch: Batch<Caller>,
        ran: Result<Ran, store::Error>,
        since: u64,
        around: &mut Surroundings,
    ) {
        match &ran {
            Ok(ran) => {
                let failed = ran.replies.iter().filter(|reply| reply.is_err()).count();
                if (1..ran.replies.len()).contains(&failed) {
                    around.tally.count("batch_fails_in_part");
                }
                self.spread(ran, around);
                self.gather(&batch.commands, ran);
                note_left(&batch.commands, ran, around);
            }
            Err(error) => {
                if !matches!(error, store::Error::Conflict) {
                    self.unheard = Some(self.moment(around));
                }
                note_failure(&batch, error, around);
            }
        }
        let lanes = self.mine.lanes();
        let answers = self.desk.finished(batch, ran, &lanes, self.moment(around));
        self.answer(answers, since, around);
    }

    /// Tells the promoter and the other servers what the batch changed.
    fn spread(&mut self, ran: &Ran, around: &mut Surroundings) {
        self.tell_others(&ran.topics, around);
        for topic in &ran.topics {
            match topic {
                Topic::Ready(_) => {}
                Topic::Scheduled(_) => self.promote_at(around.now, around),
                Topic::Ended(outcome) => {
                    around.tally.count("task_ends");
                    if outcome.status == Status::Cancelled && outcome.worker.is_some() {
                        around.tally.count("held_task_is_cancelled");
                    }
                }
                Topic::GivenBack { .. } => around.tally.count("run_is_given_back"),
                Topic::Told(_) => around.tally.count("worker_is_told"),
            }
        }
    }

    pub(super) fn answer(
        &mut self,
        answers: impl IntoIterator<Item = (Caller, Answer)>,
        since: u64,
        around: &mut Surroundings,
    ) {
        for (caller, answer) in answers {
            if let Err(store::Error::Failed(reason)) = &answer {
                assert_eq!(reason, weak::REFUSED, "the rules never break down");
            }
            let Caller {
                who,
                gone,
                place,
                about,
            } = caller;
            match who {
                Who::Nobody => {
                    drop(place);
                    if stay_with_their_worker(&answer) {
                        around.tally.count("unheard_runs_were_told_again");
                    }
                }
                Who::Service(service) => self.served(service, &answer, around),
                Who::Sweep(expire) => self.swept(&expire, &answer, around),
                Who::Tally(tally) => self.tallied(tally, &answer, around),
                Who::Node { node, ticket, call } => {
                    let asked = Asked {
                        node,
                        ticket,
                        call,
                        gone,
                        place,
                        about,
                    };
                    self.reply(asked, answer, since, around);
                }
            }
        }
    }

    fn reply(&mut self, asked: Asked, answer: Answer, since: u64, around: &mut Surroundings) {
        let Asked {
            node,
            ticket,
            call,
            gone,
            place,
            about,
        } = asked;
        if let Some(again) = again(&call, &answer) {
            around.tally.count("unknown_submit_is_sent_again");
            let call = Call::Submit {
                submit: again.clone(),
                makes_ids: false,
            };
            let caller = Caller {
                gone,
                place,
                ..Caller::of(Who::Node { node, ticket, call })
            };
            self.command(again, caller, around);
            return;
        }
        drop(place);
        self.learn(&call, &about, &answer, around);
        around.ledger.answered(&call, &answer, since);
        if gone.get() || around.network.hangs_up(&mut around.tally) {
            if let (Some(release), About::Claim { sending, .. }) =
                (desk::release_unheard(&answer), about)
            {
                self.give_back(&sending, release, around);
            }
            return;
        }
        match &call {
            // What this server knew of the worker was old; it looks again, once, as the engine does.
            Call::Claim(claim) if !is_second_try(&about) && is_replaced(claim, &answer) => {
                around.tally.count("worker_is_looked_up_again");
                self.directory.forget(&claim.worker);
                self.claim(node, ticket, claim.clone(), true, around);
            }
            _ => {
                let told = match about {
                    About::HeartbeatWithoutNews if matches!(answer, Ok(Ok(_))) => Told::Busy,
                    _ => Told::Answer(answer),
                };
                around.send(self.node(), node, ticket, Body::Told(told));
            }
        }
    }

    fn give_back(&mut self, sending: &Sending, release: Report, around: &mut Surroundings) {
        if !self.directory.may_give_back(sending) {
            around.tally.count("unheard_runs_are_left_to_a_repetition");
            return;
        }
        around.tally.count("unheard_runs_are_released");
        self.desk.give_back(release, Caller::of(Who::Nobody));
        self.turn_soon(around);
    }
}

/// Of what goes back unheard.
fn stay_with_their_worker(answer: &Answer) -> bool {
    let Ok(Ok(Done::Report(back))) = answer else {
        return false;
    };
    let is_held = |status: &Status| matches!(status, Status::Assigned | Status::Running);
    back.results.iter().flatten().any(is_held)
}

fn is_second_try(about: &About) -> bool {
    matches!(
        about,
        About::Claim {
            second_try: true,
            ..
        }
    )
}

/// What the batch held when the database did not take it. That it breaks down over one is no fault of a database.
fn note_failure(batch: &Batch<Caller>, error: &store::Error, around: &mut Surroundings) {
    let what = match error {
        store::Error::Unknown(_) => {
            for command in &batch.commands {
                around.tally.count(unknown(command));
            }
            return;
        }
        store::Error::Unavailable(_) => "batch_finds_no_database",
        store::Error::Full => "batch_finds_the_disk_full",
        store::Error::Conflict => "batch_gives_up_after_conflicts",
        store::Error::Failed(reason)
        | store::Error::Unreadable(reason)
        | store::Error::Damaged(reason) => {
            panic!("a whole batch failed: {reason}")
        }
    };
    around.tally.count(what);
}

fn unknown(command: &Command) -> &'static str {
    match command {
        Command::Submit(_) => "submit_has_an_unknown_outcome",
        Command::Claims(_) => "claim_has_an_unknown_outcome",
        Command::Start(_) => "start_has_an_unknown_outcome",
        Command::Heartbeat(_) => "heartbeat_has_an_unknown_outcome",
        Command::Report(_) => "report_has_an_unknown_outcome",
        Command::Cancel(_) => "cancel_has_an_unknown_outcome",
        Command::SetQueue(_) => "set_queue_has_an_unknown_outcome",
        Command::Patch(_) => "patch_has_an_unknown_outcome",
        Command::Register(_) => "register_has_an_unknown_outcome",
        Command::Drain(_) => "drain_has_an_unknown_outcome",
        Command::Kill(_) => "kill_has_an_unknown_outcome",
        Command::Join(_) => "join_has_an_unknown_outcome",
        Command::Leave(_) => "leave_has_an_unknown_outcome",
        Command::Discard(_) => "discard_has_an_unknown_outcome",
        Command::Tally(_) => "tally_has_an_unknown_outcome",
        Command::Promote(_) => "promote_has_an_unknown_outcome",
        Command::Expire(_) => "expire_has_an_unknown_outcome",
        Command::Prune(_) => "prune_has_an_unknown_outcome",
        Command::Forget(_) => "forget_has_an_unknown_outcome",
        Command::Free(_) => "free_has_an_unknown_outcome",
        Command::Operate(_) => "operate_has_an_unknown_outcome",
        Command::Proceed(_) => "proceed_has_an_unknown_outcome",
        Command::CancelOperation(_) => "cancel_operation_has_an_unknown_outcome",
        Command::Clear(_) => "clear_has_an_unknown_outcome",
    }
}

/// The submit to send a second time, where the first one's fate is unknown.
fn again(call: &Call, answer: &Answer) -> Option<Submit> {
    match (call, answer) {
        (Call::Submit { submit, .. }, Err(store::Error::Unknown(_))) if !submit.again => {
            Some(Submit {
                again: true,
                ..submit.clone()
            })
        }
        _ => None,
    }
}

/// A claim that named no epoch was refused for its epoch.
fn is_replaced(claim: &ClaimCall, answer: &Answer) -> bool {
    let replaced =
        |dealt: &Dealt| matches!(dealt.hands.first(), Some(Ok(Err(Refused::WorkerReplaced))));
    claim.epoch.is_none() && matches!(answer, Ok(Ok(Done::Claims(dealt))) if replaced(dealt))
}

/// A question that is to be answered.
struct Asked {
    node: Node,
    ticket: Ticket,
    call: Call,
    gone: Rc<Cell<bool>>,
    place: Option<Place>,
    about: About,
}
