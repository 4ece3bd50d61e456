//! What a server counts of what it does, and writes down every second.

use taskyard_core::command::{self, Command, Done};
use taskyard_core::minute::{MinuteKey, What};
use taskyard_core::query::Query;
use taskyard_core::rows::End;
use taskyard_core::status::Status;
use taskyard_core::store::{self, Ran};
use taskyard_core::topic::Topic;
use taskyard_core::verbs::tally::Tally;
use taskyard_engine::gathered;

use super::{Caller, Server, State, Who};
use crate::surroundings::Surroundings;

impl Server {
    /// What a batch did.
    pub(super) fn gather(&mut self, commands: &[Command], ran: &Ran) {
        let minute = MinuteKey::minute_of(ran.now);
        let lanes = self.mine.lanes();
        for (command, reply) in commands.iter().zip(&ran.replies) {
            let Ok(Ok(done)) = reply else {
                continue;
            };
            let tasks = command.new_tasks().iter().enumerate();
            for (_, task) in tasks.filter(|(at, _)| done.has_made(*at)) {
                let key = gathered::key(minute, lanes.number(&task.lane));
                self.gathered.events(key).happened(What::Submitted);
            }
        }
        for topic in &ran.topics {
            match topic {
                Topic::Ended(outcome) => {
                    let key = gathered::key(minute, Some(outcome.lane));
                    let what = match outcome.status {
                        Status::Completed => What::Completed,
                        Status::Failed => What::Failed,
                        Status::Timeout => What::Timeout,
                        _ => What::Cancelled,
                    };
                    self.gathered.events(key).happened(what);
                    if let Some(worker) = outcome.worker {
                        let worked = self.gathered.worked(worker);
                        match outcome.status {
                            Status::Completed => worked.completed += 1,
                            Status::Failed | Status::Timeout => worked.failed += 1,
                            _ => {}
                        }
                    }
                }
                Topic::GivenBack {
                    worker,
                    lane,
                    end: Some(End::Failed | End::TimedOut),
                } => {
                    let key = gathered::key(minute, Some(*lane));
                    self.gathered.events(key).happened(What::Retried);
                    self.gathered.worked(*worker).failed += 1;
                }
                Topic::GivenBack { .. }
                | Topic::Ready(_)
                | Topic::Scheduled(_)
                | Topic::Told(_) => {}
            }
        }
    }

    /// Sends what happened since the last time; false where there is nothing.
    pub(super) fn write_down(&mut self, around: &mut Surroundings) -> bool {
        let minutes = self.gathered.take(around.policy.stats_lanes_max);
        let worked = self.gathered.take_workers();
        let numbers = worked.iter().map(|(number, _)| *number).collect();
        let named = self.mine.read(Query::Named(numbers)).named();
        let name = |number| named.iter().find(|(known, _)| *known == number);
        let workers = worked.into_iter();
        let workers =
            workers.filter_map(|(number, worked)| Some((name(number)?.1.clone(), worked)));
        let tally = Tally {
            minutes,
            workers: workers.collect(),
        };
        if tally.minutes.is_empty() && tally.workers.is_empty() {
            return false;
        }
        around.ledger.minutes.sent(&tally);
        let caller = Caller::of(Who::Tally(tally.clone()));
        self.command(tally, caller, around);
        true
    }

    /// What the database refused, or may have taken, is not sent again.
    pub(super) fn tallied(
        &mut self,
        tally: Tally,
        answer: &command::Answer,
        around: &mut Surroundings,
    ) {
        match answer {
            Ok(Ok(Done::Tally(tallied))) if tallied.rows == tally.rows() => {
                around.tally.count("tally");
                around.ledger.minutes.taken(&tally);
            }
            // What was refused of it is gone, as if all of it was.
            Ok(_) => {}
            Err(store::Error::Failed(_) | store::Error::Unknown(_)) => {}
            // There will be no next time.
            Err(_) if self.state == State::Leaving => {}
            Err(_) => {
                around.tally.count("tally_is_sent_again");
                around.ledger.minutes.put_back(&tally);
                self.gathered.put_back(tally.minutes);
                let rows = self
                    .database
                    .read(Query::Workers {
                        after: None,
                        limit: usize::MAX,
                    })
                    .workers();
                for (name, worked) in tally.workers {
                    let row = rows.iter().find(|view| view.worker.name == name);
                    if let Some(row) = row {
                        self.gathered.put_back_worker(row.worker.number, worked);
                    }
                }
            }
        }
    }
}
