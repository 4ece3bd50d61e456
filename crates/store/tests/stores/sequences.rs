//! Random batches, sensible or not: all stores must answer alike and hold the same rows after each, no task is forgotten,
//! and at the end the rows hang together. Nothing else is asked of the answers themselves; the histories do that.

mod books;
mod harm;
mod lists;
mod operations;
mod servers;
mod workers;

use std::time::Duration;

use taskyard_core::command::{Command, Done};
use taskyard_core::explain::Explain;
use taskyard_core::id::{Fence, OperationId, TaskId};
use taskyard_core::json::Json;
use taskyard_core::labels::Labels;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::policy::COMMAND;
use taskyard_core::query::{Query, QueueList};
use taskyard_core::random::Seeded;
use taskyard_core::retention::Retention;
use taskyard_core::retry::Retry;
use taskyard_core::rows::{Digest, Failure, IdempotencyKey, Origin, Progress, Server, UniqueKey};
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::cancel::Cancel;
use taskyard_core::verbs::cancel_operation::CancelOperation;
use taskyard_core::verbs::claim::{Claim, Run};
use taskyard_core::verbs::clear::Clear;
use taskyard_core::verbs::discard::Discard;
use taskyard_core::verbs::expire::{ClockSteps, Expire, Lost, Sight};
use taskyard_core::verbs::free::Free;
use taskyard_core::verbs::heartbeat::{Heartbeat, Held};
use taskyard_core::verbs::patch::Patch;
use taskyard_core::verbs::proceed::Proceeded;
use taskyard_core::verbs::promote::Promote;
use taskyard_core::verbs::prune::Prune;
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::set_queue::SetQueue;
use taskyard_core::verbs::start::Start;
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};
use taskyard_core::worker::Profile;

use crate::books::Books;
use crate::conformance::yard::{Yard, completed, failed, held, lane, report, token};

const SEEDS: u64 = 2;
const BATCHES: usize = 100;
const LOOK_EVERY: usize = 50;
const LISTS: usize = 20;
const COMMANDS_MAX: usize = 6;
/// So many keys are sent, and all of them may be pruned at once: which of two that are equally old would go first is each
/// store's own.
const KEYS: usize = 5;

#[tokio::test]
async fn random_batches_leave_the_same_on_the_model_and_sqlite() {
    for seed in 1..=SEEDS {
        let yard = Yard::on_both().await.expect("SQLite is always there");
        let played = play(Sequence::new(yard, seed).await).await;
        played.has_met_the_rare();
    }
}

#[tokio::test]
async fn random_batches_leave_the_same_on_all_stores() {
    for seed in SEEDS + 1..=2 * SEEDS {
        let Some(yard) = Yard::on_all().await else {
            return;
        };
        let played = play(Sequence::new(yard, seed).await).await;
        played.has_met_the_rare();
    }
}

#[tokio::test]
async fn batches_that_fail_in_part_leave_the_same_on_all_stores() {
    for seed in 1..=SEEDS {
        let yard = match Yard::on_all().await {
            Some(yard) => Some(yard),
            None => Yard::on_both().await,
        };
        let yard = yard.expect("SQLite is always there");
        let played = play(Sequence::with_harm(yard, seed).await).await;
        assert!(played.failed > 0, "no harm was done");
    }
}

async fn play(mut sequence: Sequence) -> Sequence {
    for batch in 1..=BATCHES {
        sequence.step().await;
        if batch % LOOK_EVERY == 0 {
            sequence.look().await;
        }
    }
    if !sequence.harm {
        sequence.check_rows().await;
    }
    sequence
}

struct Sequence {
    yard: Yard,
    random: Seeded,
    workers: Vec<Claim>,
    tasks: Vec<TaskId>,
    submits: Vec<Submit>,
    runs: Vec<Run>,
    operations: Vec<OperationId>,
    /// As each of them said last that it is up.
    servers: Vec<Server>,
    books: Books,
    /// Tasks are refused and lost behind the stores' backs, and nothing is claimed.
    harm: bool,
    /// How many commands failed.
    failed: usize,
    /// How many workers were forgotten.
    forgotten: usize,
    /// How many tasks operations acted on.
    proceeded: usize,
    /// How many servers left that were up.
    left: usize,
}

impl Sequence {
    async fn new(mut yard: Yard, seed: u64) -> Self {
        // Shown only when the test fails.
        eprintln!("seed {seed}");
        yard.policy.worker_life = Duration::from_secs(40);
        yard.policy.key_life = Duration::from_secs(30);
        yard.policy.retention = Retention::all(Duration::from_secs(10));
        let mut workers = Vec::new();
        let kinds = Some(vec![Name::path("a").unwrap()]);
        let labels = Labels::new([("gpu", "yes")]).unwrap();
        for (name, profile) in [
            ("one", Profile::default()),
            ("two", Profile::new(kinds, None, Labels::default())),
            ("three", Profile::new(None, None, labels)),
        ] {
            workers.push(yard.worker_with(name, profile).await);
        }
        Self {
            yard,
            random: Seeded::new(seed),
            workers,
            tasks: Vec::new(),
            submits: Vec::new(),
            runs: Vec::new(),
            operations: Vec::new(),
            servers: Vec::new(),
            books: Books::default(),
            harm: false,
            failed: 0,
            forgotten: 0,
            proceeded: 0,
            left: 0,
        }
    }

    /// Else nothing was compared of it.
    fn has_met_the_rare(&self) {
        assert!(self.forgotten > 0, "nobody was forgotten");
        assert!(self.proceeded > 0, "no operation did anything");
        assert!(self.left > 0, "no server left");
        assert!(self.books.refused > 0, "no command was refused");
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).expect("below a usize")
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn any<T: Clone>(&mut self, of: fn(&Self) -> &[T]) -> Option<T> {
        let bound = of(self).len();
        let chosen = (bound > 0).then(|| self.below(bound))?;
        Some(of(self)[chosen].clone())
    }

    async fn step(&mut self) {
        if self.one_in(3) {
            let millis = [1, 900, 4000, 31_000][self.below(4)];
            self.yard.pass(Duration::from_millis(millis));
        }
        if self.one_in(4) {
            // As another server that is up says.
            let may_run = self.one_in(4);
            self.yard.policy.commands_refused = (!may_run).then_some("none may be run");
        }
        let mut batch = Vec::new();
        for _ in 0..1 + self.below(COMMANDS_MAX) {
            let command = self.command().await;
            batch.extend(command);
        }
        if self.harm {
            self.do_harm(&batch).await;
        } else if self.one_in(2) {
            // All claims of a batch are one command, and the last.
            batch.push(self.claims());
        }
        let answers = self.yard.answers(batch.clone()).await;
        self.check_books(&batch, &answers).await;
        self.failed += answers.iter().filter(|answer| answer.is_err()).count();
        for done in answers.into_iter().flatten().flatten() {
            match done {
                Done::Submit(submitted) => self.tasks.extend(submitted.ids.iter()),
                Done::Claims(dealt) => {
                    let hands = dealt.hands.into_iter().flatten().flatten();
                    self.runs.extend(hands.flat_map(|hand| hand.runs));
                }
                Done::Proceed(Proceeded {
                    operation: Some(operation),
                    ..
                }) => {
                    self.proceeded += usize::try_from(operation.done).unwrap_or_default();
                }
                Done::Join(joined) => self.servers.push(joined.server),
                Done::Leave(left) => self.left += usize::from(left.was_up),
                Done::Forget(forgotten) => self.forgotten += forgotten.count,
                Done::Register(registered) => self.registered(registered),
                _ => {}
            }
        }
    }

    /// What can be asked is answered alike too.
    async fn look(&mut self) {
        for _ in 0..LISTS {
            let list = self.list();
            self.read_all(list).await;
        }
        let general = [
            Query::WorkerCounts(self.yard.now()),
            Query::Survey {
                now: self.yard.now(),
                lanes: 100,
            },
            Query::Workers {
                after: None,
                limit: 100,
            },
            Query::AtWork {
                worker: self.workers[0].worker.clone(),
                limit: 3,
            },
            Query::Counts,
            Query::Sums { names: 2 },
            Query::QueuePage(QueueList {
                limit: 2,
                look_at_max: 3,
                ..QueueList::default()
            }),
            Query::NextDue { skip: 0 },
            Query::Holdings {
                worker: None,
                limit: 100,
            },
        ];
        let attempts = self.tasks.iter().map(|task| Query::Attempts {
            task: *task,
            detail_max: 64 << 10,
        });
        let now = self.yard.now();
        let why = self
            .tasks
            .iter()
            .map(|task| Query::Explain(Explain::new(*task, now)));
        for query in general.into_iter().chain(attempts).chain(why) {
            self.yard.store.read(query).await.unwrap();
        }
    }

    async fn command(&mut self) -> Option<Command> {
        Some(match self.below(28) {
            0..=4 => self.submit(),
            5 => Command::Cancel(Cancel {
                task: self.any(|it| &it.tasks)?,
            }),
            6..=9 => self.report()?,
            10 => Command::Start(Start {
                token: token(&self.any(|it| &it.runs)?),
                started_at: None,
            }),
            11 | 12 => self.heartbeat(),
            13 => self.look_after(),
            14 => self.expire().await,
            15 => self.forget().await,
            16 => self.free().await,
            17 => self.set_queue(),
            18 => self.operate(),
            19..=21 => self.proceed().await?,
            22 => Command::Patch(Patch {
                task: self.any(|it| &it.tasks)?,
                priority: self.one_in(2).then(|| self.priority()),
                begin: self.one_in(2).then(|| self.begin()),
            }),
            23 | 24 => self.server_says()?,
            25 | 26 => Command::Promote(Promote {
                limit: 1 + self.below(5),
                skip: self.below(2),
            }),
            _ => match self.below(4) {
                0 => Command::Prune(Prune {
                    limit: KEYS,
                    skip: 0,
                }),
                1 => self.discard().await,
                2 => Command::CancelOperation(CancelOperation {
                    operation: self.any(|it| &it.operations)?,
                }),
                _ => Command::Clear(Clear {
                    operations: self.operations.clone(),
                }),
            },
        })
    }

    fn submit(&mut self) -> Command {
        if self.one_in(5)
            && let Some(again) = self.any(|it| &it.submits)
        {
            return Command::Submit(Submit {
                again: true,
                ..again
            });
        }
        let tasks = (0..1 + self.below(3)).map(|_| self.task()).collect();
        let once = self.one_in(3).then(|| {
            let (scope, key) = ("scope".into(), ["x", "y", "z"][self.below(3)].into());
            (IdempotencyKey { scope, key }, Digest::of(b"request"))
        });
        let submit = Submit {
            tasks,
            once,
            again: false,
        };
        self.submits.push(submit.clone());
        Command::Submit(submit)
    }

    fn task(&mut self) -> NewTask {
        let demands = self.one_in(4).then_some(("gpu", "yes"));
        let queue = ["default", "other"][self.below(2)];
        let kind = ["a", "b", COMMAND, COMMAND][self.below(4)];
        let lane: LaneKey = lane(queue, kind, demands);
        let is_older = kind == COMMAND && !self.one_in(4);
        NewTask {
            lane,
            origin: is_older.then_some(Origin::Taskmaster),
            priority: self.priority(),
            begin: self.begin(),
            max_attempts: Some(1 + i32::from(self.one_in(2))),
            max_losses: Some(2),
            timeout: Some(Duration::from_secs(40)),
            labels: Labels::new([("team", ["blue", "red"][self.below(2)])]).unwrap(),
            digest: self.one_in(2).then(|| Digest::of(b"body")),
            is_exclusive: self.one_in(4),
            unique_key: self
                .one_in(4)
                .then(|| ["once", "twice"][self.below(2)].into()),
            ..self.yard.task()
        }
    }

    fn priority(&mut self) -> Priority {
        Priority::new([0, 0, 5, -3][self.below(4)]).unwrap()
    }

    fn begin(&mut self) -> Begin {
        match self.below(5) {
            0 => Begin::After(Duration::from_secs(2)),
            1 => Begin::At(self.yard.now()),
            _ => Begin::Now,
        }
    }

    fn report(&mut self) -> Option<Command> {
        let mut run = self.any(|it| &it.runs)?;
        if self.one_in(8) {
            run.fence = Fence(run.fence.0 + 1);
        }
        let word = match self.below(8) {
            0 => failed(true),
            1 => failed(false),
            2 => Word::TimedOut {
                error: Failure::new("timeout", "too long, said \"ü\"\n"),
            },
            3 => Word::Snoozed {
                wait: Duration::from_secs(3),
            },
            4 => Word::Released,
            5 => Word::Unheard,
            _ => completed(),
        };
        Some(Command::Report(report(&run, word)))
    }

    fn heartbeat(&mut self) -> Command {
        let worker = self.any(|it| &it.workers).expect("there are some");
        let newest: Vec<Run> = self.runs.iter().rev().take(5).cloned().collect();
        let held = newest.iter().map(|run| Held {
            running: self.one_in(2),
            progress: self.one_in(2).then(|| Progress {
                fraction: Some(0.25),
                message: Some("a quarter".into()),
            }),
            checkpoint: self
                .one_in(3)
                .then(|| Json::stored(format!("{{\"at\":{}}}", self.below(100)))),
            ..held(run)
        });
        Command::Heartbeat(Heartbeat {
            held: held.collect(),
            leaves: newest.is_empty(),
            worker: worker.worker,
            epoch: Some(worker.epoch),
        })
    }

    async fn expire(&mut self) -> Command {
        let alone_since = self.one_in(2).then(|| self.yard.now());
        let looks = Lost {
            overdue: self.yard.now(),
            steps: ClockSteps::default(),
            silent: self.yard.now(),
            ahead: self.yard.policy.believed_until(self.yard.now()),
            internal_before: alone_since,
        };
        let query = Query::Lost { looks, limit: 5 };
        let runs = self.yard.store.read(query).await.unwrap().lost();
        let grace = self.one_in(4);
        Command::Expire(Expire {
            runs,
            sight: Sight {
                grace,
                alone_since,
                ..Sight::clear(self.yard.now())
            },
        })
    }

    fn set_queue(&mut self) -> Command {
        let default = |it: &mut Self| it.one_in(3).then(|| it.one_in(2));
        let (max_attempts, timeout) = (default(self), default(self));
        let retry = default(self);
        Command::SetQueue(SetQueue {
            queue: Name::path(["default", "other", "third"][self.below(3)]).unwrap(),
            paused: self.one_in(2).then(|| self.one_in(4)),
            max_attempts: max_attempts.map(|set| set.then_some(3)),
            timeout: timeout.map(|set| set.then_some(Duration::from_secs(50))),
            retry: retry.map(|set| set.then(Retry::default)),
            retention: self.one_in(3).then(|| {
                let completed = Some(Duration::from_secs(5));
                let set = self.one_in(2);
                set.then(|| Retention {
                    completed,
                    ..Retention::default()
                })
            }),
        })
    }

    /// Those that have ended, and one that perhaps has not.
    async fn discard(&mut self) -> Command {
        let query = Query::Relics {
            after: TaskId::NIL,
            until: TaskId::new(Timestamp::MAX, u128::MAX),
            limit: 5,
        };
        let ended = self.yard.store.read(query).await.unwrap().relics();
        let tasks = ended.into_iter().map(|ended| ended.task);
        let tasks = tasks.chain(self.any(|it| &it.tasks)).collect();
        Command::Discard(Discard { tasks })
    }

    async fn free(&mut self) -> Command {
        let query = Query::Freeable {
            after: None,
            limit: 3,
        };
        let found = self.yard.store.read(query).await.unwrap().freeable();
        // Also what has not ended: the rules judge.
        let known = ["once", "twice"].map(|key| UniqueKey {
            queue: Name::path("default").unwrap(),
            key: key.into(),
        });
        let keys = found.keys.into_iter().chain(known).collect();
        Command::Free(Free { keys })
    }
}
