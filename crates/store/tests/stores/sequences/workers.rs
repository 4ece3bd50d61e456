//! What happens to workers, and what they do themselves.

use std::sync::Arc;

use taskyard_core::command::Command;
use taskyard_core::id::ServerNumber;
use taskyard_core::query::Query;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::claim::{Claim, Claims, Named};
use taskyard_core::verbs::drain::Drain;
use taskyard_core::verbs::forget::{self, Forget};
use taskyard_core::verbs::kill::{Kill, Part};
use taskyard_core::verbs::register::{Register, Registered};

use super::Sequence;

impl Sequence {
    /// What happens to a worker from outside: most often a process takes its name.
    pub(super) fn look_after(&mut self) -> Command {
        let worker = self.any(|it| &it.workers).expect("there are some").worker;
        match self.below(8) {
            0 => Command::Drain(Drain { worker }),
            1 => Command::Kill(Kill {
                worker,
                runs: self
                    .any(|it| &it.runs)
                    .map(|run| run.slot.run(run.fence))
                    .into_iter()
                    .collect(),
                part: Part::First,
            }),
            2 => Command::Forget(Forget {
                workers: vec![worker],
                is_asked_for: true,
            }),
            _ => self.register(),
        }
    }

    /// Its older leases come back; claims go on with the older epoch, and get nothing.
    fn register(&mut self) -> Command {
        let chosen = self.below(self.workers.len());
        let if_new = self.one_in(4);
        let worker = &mut self.workers[chosen];
        if !if_new {
            worker.epoch = worker.epoch.next();
        }
        Command::Register(Register {
            name: worker.worker.clone(),
            server: (chosen == 1).then_some(ServerNumber(1)),
            profile: Arc::clone(&worker.profile),
            capacity: 3,
            if_new,
        })
    }

    /// A kill counts as well, and is not foreseen.
    pub(super) fn registered(&mut self, registered: Registered) {
        let mut workers = self.workers.iter_mut();
        let its = workers.find(|claim| claim.number == registered.number);
        its.expect("nobody else registers").epoch = registered.epoch;
    }

    /// Those that may be, and one that perhaps may not.
    pub(super) async fn forget(&mut self) -> Command {
        let expired = forget::expired_before(&self.yard.policy, self.yard.now());
        let query = Query::Gone {
            expired,
            ahead: Timestamp::MAX,
            limit: 2,
        };
        let mut workers = self.yard.store.read(query).await.unwrap().gone();
        workers.extend(self.any(|it| &it.workers).map(|claim| claim.worker));
        Command::Forget(Forget {
            workers,
            is_asked_for: false,
        })
    }

    fn named(&mut self) -> Option<Named> {
        let submit = self.any(|it| &it.submits)?;
        let (task, lane) = (submit.tasks[0].id, Arc::new(submit.tasks[0].lane.clone()));
        Some(Named { task, lane })
    }

    /// All that are made at once.
    pub(super) fn claims(&mut self) -> Command {
        let claims = (0..1 + self.below(3)).map(|_| Claim {
            limit: 1 + self.below(4),
            begin: self.one_in(2),
            seq: i64::from(self.one_in(3)),
            maybe_again: self.one_in(2),
            task: self.one_in(4).then(|| self.named()).flatten(),
            ..self.any(|it| &it.workers).expect("there are some")
        });
        Command::Claims(Claims {
            claims: claims.collect(),
        })
    }
}
