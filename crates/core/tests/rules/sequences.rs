//! Random sequences of commands, decided over rows in maps: no store is needed to see that the rules keep their
//! promises. What each batch changes is held against what must always be true; in the end everything ends.

mod operations;
mod servers;
mod submits;
mod workers;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use taskyard_core::command::{self, Command, Done, Env, Reply};
use taskyard_core::id::{Fence, OperationId, RunKey, TaskId};
use taskyard_core::json::Json;
use taskyard_core::lane::{Heads, Lanes};
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::policy::Policy;
use taskyard_core::random::Seeded;
use taskyard_core::retention::Retention;
use taskyard_core::rows::{Progress, Reported, Server};
use taskyard_core::time::Timestamp;
use taskyard_core::topic::Topic;
use taskyard_core::verbs::cancel::Cancel;
use taskyard_core::verbs::claim::{Claim, Claims, Named, Run};
use taskyard_core::verbs::discard::Discard;
use taskyard_core::verbs::expire::{Expire, Sight};
use taskyard_core::verbs::forget::Forget;
use taskyard_core::verbs::free::Free;
use taskyard_core::verbs::heartbeat::{Heartbeat, Held};
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::patch::Patch;
use taskyard_core::verbs::proceed::Proceed;
use taskyard_core::verbs::promote::Promote;
use taskyard_core::verbs::prune::Prune;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_core::verbs::set_queue::SetQueue;
use taskyard_core::verbs::start::Start;
use taskyard_core::verbs::submit::{Begin, Submit};
use taskyard_core::view::View;

use self::workers::register;
use crate::acts::{Act, NAMES, batch};
use crate::tables::{Locked, Tables};

const NOON: i64 = 1_790_000_000_000_000;
/// So many of the latest runs and registrations are spoken of, some of which are over.
const LATEST: usize = 6;
/// How often one batch may ask for more rows.
const LOADS_MAX: usize = 8;

struct World {
    tables: Tables,
    lanes: Lanes,
    heads: Heads,
    policy: Policy,
    random: Seeded,
    now: Timestamp,
    serial: u32,
    submits: Vec<Submit>,
    tasks: Vec<TaskId>,
    /// Every registration there ever was.
    workers: Vec<Claim>,
    /// Every run that was ever given out.
    runs: Vec<Run>,
    /// Those that their claim was told of more than once.
    told_again: HashSet<RunKey>,
    /// As each of them said last that it is up.
    servers: Vec<Server>,
    discarded: BTreeSet<TaskId>,
    /// Every piece of an operation that was ever sent, and where those began that were done.
    pieces: Vec<Proceed>,
    done: HashSet<(OperationId, Option<TaskId>)>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            tables: Tables::default(),
            lanes: Lanes::default(),
            heads: Heads::default(),
            // Short, so that some are forgotten.
            policy: Policy {
                worker_life: Duration::from_secs(60),
                key_life: Duration::from_secs(40),
                retention: Retention::all(Duration::from_secs(20)),
                operation_life: Duration::from_secs(60),
                operations_max: 3,
                ..Policy::default()
            },
            random: Seeded::new(1),
            now: Timestamp::from_micros(NOON),
            serial: 0,
            submits: Vec::new(),
            tasks: Vec::new(),
            workers: Vec::new(),
            runs: Vec::new(),
            told_again: HashSet::new(),
            servers: Vec::new(),
            discarded: BTreeSet::new(),
            pieces: Vec::new(),
            done: HashSet::new(),
        };
        for name in NAMES {
            world.register(name);
        }
        world
    }

    /// What a store does with a batch.
    fn run(&mut self, commands: &[Command]) -> Vec<Reply> {
        let queues = self.tables.queues.values().cloned().collect();
        let mut env = Env {
            queues: &queues,
            now: self.now,
            policy: &self.policy,
            lanes: &self.lanes,
            heads: &self.heads,
            workers_full: false,
            random: &mut self.random,
        };
        let (mut view, mut locked) = (View::default(), Locked::default());
        let mut needs = command::needs(commands, &env);
        for _ in 0..LOADS_MAX {
            self.tables.load(&needs, &mut view, &mut locked);
            needs = command::more(commands, &view, &env);
        }
        assert!(needs.is_empty(), "nobody else moves anything: {needs:?}");
        assert!(!view.is_torn());

        let replies = command::decide(commands, &mut view, &mut env).collect();

        let learned = view.learned();
        let taken_up = view.taken_up();
        let (diff, topics) = view.into_diff();
        let told = |outcome: &TaskId| {
            let of_it = |topic: &Topic| matches!(topic, Topic::Ended(row) if row.task == *outcome);
            topics.iter().any(of_it)
        };
        let ended = diff.outcomes.iter().map(|row| row.task);
        assert!(
            ended.into_iter().all(|task| told(&task)),
            "who waits is told"
        );
        let set = commands.iter().filter_map(|command| match command {
            Command::SetQueue(set) => set.retention,
            _ => None,
        });
        let set: Vec<Option<Retention>> = set.collect();
        for task in &diff.discarded {
            self.tables
                .check_kept_enough(*task, self.now, &self.policy, &set);
            self.discarded.insert(*task);
        }
        self.tables.write(diff, &locked);
        taken_up
            .into_iter()
            .for_each(|(lane, key)| self.lanes.add(lane, key));
        learned
            .into_iter()
            .for_each(|learned| self.heads.learn(learned));
        self.tables.check(&self.heads);
        replies
    }

    fn play(&mut self, seconds: u64, acts: &[Act]) {
        self.now = self.now + Duration::from_secs(seconds);
        let mut commands = Vec::new();
        let mut claims = Vec::new();
        for act in acts {
            match act {
                Act::Claim {
                    by,
                    limit,
                    begin,
                    seq,
                    named,
                } => claims.push(Claim {
                    task: named.and_then(|task| self.named(&task)),
                    limit: *limit,
                    begin: *begin,
                    seq: *seq,
                    maybe_again: true,
                    ..by.get(latest(&self.workers)).clone()
                }),
                Act::Register { name, if_new } => {
                    commands.push(register(name, *if_new));
                }
                Act::KillAlone(name) => self.kill_alone(name),
                Act::LeaveAlone(server) => self.leave_alone(server),
                other => commands.extend(self.command(other)),
            }
        }
        if !claims.is_empty() {
            // All claims of a batch are one command, and the last.
            commands.push(Claims { claims }.into());
        }
        let replies = self.run(&commands);
        for (command, reply) in commands.iter().zip(replies) {
            self.note(command, reply);
        }
    }

    fn named(&self, index: &Index) -> Option<Named> {
        let tasks = latest(&self.tasks);
        let task = (!tasks.is_empty()).then(|| *index.get(tasks))?;
        let lane = self.lanes.key(self.tables.tasks.get(&task)?.lane)?;
        let lane = Arc::clone(lane);
        Some(Named { task, lane })
    }

    /// None where there is nothing yet that it could happen to.
    fn command(&mut self, act: &Act) -> Option<Command> {
        let any = |runs: &[Run], index: &Index| {
            let latest = latest(runs);
            (!latest.is_empty()).then(|| index.get(latest).clone())
        };
        Some(match act {
            Act::Submit { .. } | Act::SubmitAgain(_) => return self.submit(act),
            Act::Start(run) => Start {
                token: token(&any(&self.runs, run)?),
                started_at: None,
            }
            .into(),
            Act::Heartbeat {
                by,
                runs,
                running,
                says_more,
            } => {
                let by = by.get(latest(&self.workers));
                let held = runs.iter().filter_map(|run| any(&self.runs, run));
                let leaves = runs.is_empty() && *says_more;
                let held = held.map(|run| Held {
                    token: token(&run),
                    running: *running,
                    progress: says_more.then_some(Progress {
                        fraction: Some(0.5),
                        message: None,
                    }),
                    checkpoint: says_more.then(Json::null),
                });
                Heartbeat {
                    worker: by.worker.clone(),
                    epoch: Some(by.epoch),
                    held: held.collect(),
                    leaves,
                }
                .into()
            }
            Act::Report { runs, named } => {
                let worker = self.workers.last().filter(|_| *named);
                let results = runs.iter().filter_map(|(run, word)| {
                    let run = any(&self.runs, run)?;
                    Some(RunResult::new(token(&run), word.clone(), None))
                });
                Report {
                    worker: worker.map(|claim| (claim.worker.clone(), None)),
                    results: results.collect(),
                }
                .into()
            }
            Act::Cancel(task) => Cancel {
                task: *(!self.tasks.is_empty()).then(|| task.get(&self.tasks))?,
            }
            .into(),
            Act::Patch {
                task,
                priority,
                delay,
            } => Patch {
                task: *(!self.tasks.is_empty()).then(|| task.get(&self.tasks))?,
                priority: priority.map(|value| Priority::new(value).expect("in range")),
                begin: delay.map(|delay| Begin::After(Duration::from_secs(delay))),
            }
            .into(),
            Act::Promote(limit) => Promote {
                limit: *limit,
                skip: 0,
            }
            .into(),
            Act::Expire { grace, alone } => self.expire(*grace, alone.then_some(self.now)),
            Act::Prune => Prune { limit: 2, skip: 0 }.into(),
            Act::Pause(paused) => SetQueue {
                paused: Some(*paused),
                ..SetQueue::of(Name::path("default").unwrap())
            }
            .into(),
            Act::Forget => self.forget(),
            Act::Free => {
                let keys = self.tables.uniques.keys().cloned().collect();
                Free { keys }.into()
            }
            Act::Discard => Discard {
                tasks: self.tasks.clone(),
            }
            .into(),
            Act::Retain(seconds) => SetQueue {
                retention: Some(seconds.map(|seconds| Retention {
                    completed: Some(Duration::from_secs(seconds)),
                    ..Retention::default()
                })),
                ..SetQueue::of(Name::path("default").unwrap())
            }
            .into(),
            Act::Operate { .. }
            | Act::Proceed { .. }
            | Act::ProceedAgain(_)
            | Act::CancelOperation(_)
            | Act::Clear => return self.operate(act),
            Act::Join(_) | Act::Leave(_) => return self.server_says(act),
            Act::Claim { .. } | Act::Register { .. } => return None,
            Act::KillAlone(_) | Act::LeaveAlone(_) => return None,
            Act::Drain(_) | Act::Kill(_) | Act::Delete(_) => return workers::command(act),
        })
    }

    /// Every lease, as if all looked lost: the rules judge.
    fn expire(&self, grace: bool, alone_since: Option<Timestamp>) -> Command {
        let leases = self.tables.leases.values();
        let runs = leases.map(|lease| {
            let of_it = |row: &&taskyard_core::rows::Worker| row.number == lease.worker;
            let worker = self.tables.workers.values().find(of_it);
            (lease.run(), worker.map(|row| row.name.clone()))
        });
        Expire {
            runs: runs.collect(),
            sight: Sight {
                grace,
                alone_since,
                ..Sight::clear(self.now)
            },
        }
        .into()
    }

    /// Every worker, as if all were gone: the rules judge.
    fn forget(&self) -> Command {
        let workers = self.tables.workers.keys().cloned().collect();
        Forget {
            workers,
            is_asked_for: false,
        }
        .into()
    }

    /// What a reply promises, and what later acts go by.
    fn note(&mut self, command: &Command, reply: Reply) {
        match (command, reply) {
            (Command::Submit(submit), Ok(Done::Submit(submitted))) => {
                assert_eq!(submitted.ids.len(), submit.tasks.len());
                for id in submitted.ids.iter() {
                    assert!(
                        self.tables.tasks.contains_key(id) || self.discarded.contains(id),
                        "what was accepted is there, unless it ended long ago"
                    );
                }
                self.tasks.extend(submitted.ids.iter());
            }
            (Command::Claims(claims), Ok(Done::Claims(dealt))) => {
                self.check_hands(claims, &dealt);
                for (claim, hand) in claims.claims.iter().zip(dealt.hands) {
                    let is_refused = hand.as_ref().is_ok_and(Result::is_err);
                    let hand = hand.unwrap().unwrap_or_default();
                    let runs = hand.runs;
                    assert!(runs.len() <= claim.limit, "no more than was asked for");
                    // With a number it may be the answer to another claim.
                    if let (Some(named), 0) = (&claim.task, claim.seq) {
                        let is_it = matches!(&runs[..], [run] if run.slot.task == named.task);
                        assert!(is_it || is_refused, "who names a task gets that or nothing");
                    }
                    for run in &runs {
                        let lease = &self.tables.leases[&run.slot];
                        assert_eq!((lease.fence, lease.worker), (run.fence, claim.number));
                    }
                    if hand.is_again {
                        let told = runs.iter().map(|run| run.slot.run(run.fence));
                        self.told_again.extend(told);
                    }
                    self.runs.extend(runs);
                }
            }
            (Command::Report(report), Ok(Done::Report(back))) => {
                for (result, answer) in report.results.iter().zip(back.results) {
                    let task = result.token.slot.task;
                    let ended = self.tables.outcomes.get(&task);
                    let fence = ended.map_or(Fence(0), |outcome| outcome.fence);
                    let is_final = answer.is_ok_and(|status| status.is_final());
                    // One that is answered again may go in the same batch.
                    let is_gone = self.discarded.contains(&task);
                    assert!(
                        !is_final || is_gone || fence == result.token.fence,
                        "a stale run ends nothing"
                    );
                    self.check_unheard(result);
                }
            }
            (Command::Register(register), Ok(Done::Register(registered))) => {
                let profile = Arc::clone(&register.profile);
                self.workers.push(Claim {
                    worker: register.name.clone(),
                    number: registered.number,
                    epoch: registered.epoch,
                    profile,
                    limit: 1,
                    begin: false,
                    seq: 0,
                    maybe_again: false,
                    task: None,
                });
            }
            (Command::Proceed(piece), Ok(Done::Proceed(proceeded))) => {
                self.proceeded(piece, proceeded);
            }
            (Command::Join(_), Ok(Done::Join(joined))) => self.servers.push(joined.server),
            _ => {}
        }
    }

    /// What a claim was told of again, its worker may be at.
    fn check_unheard(&self, result: &RunResult) {
        let Token { slot, fence, .. } = result.token;
        if !matches!(result.word, Word::Unheard) || !self.told_again.contains(&slot.run(fence)) {
            return;
        }
        let carry = self.tables.carries.get(&slot);
        let given_back = carry.and_then(|carry| carry.reported);
        let is_it = |given_back: Reported| {
            (given_back.fence, given_back.digest) == (fence, result.digest())
        };
        assert!(
            !given_back.is_some_and(is_it),
            "what was told again does not go back unheard"
        );
    }

    fn register(&mut self, name: &str) {
        let command = register(name, false);
        let reply = self.run(std::slice::from_ref(&command)).remove(0);
        self.note(&command, reply);
    }

    /// Once nothing goes wrong any more, everything ends.
    fn drain(&mut self) {
        let resume = SetQueue {
            paused: Some(false),
            ..SetQueue::of(Name::path("default").unwrap())
        };
        self.run(&[resume.into()]);
        for _ in 0..50 {
            if self.tables.outcomes.len() == self.tables.tasks.len() {
                return;
            }
            self.now = self.now + Duration::from_secs(31);
            let expire = self.expire(false, None);
            self.run(&[
                expire,
                Promote {
                    limit: 100,
                    skip: 0,
                }
                .into(),
            ]);
            self.register("careful");
            let claim = Claim {
                limit: 100,
                ..self.workers.last().expect("it registered").clone()
            };
            let claims: Command = Claims {
                claims: vec![claim],
            }
            .into();
            let known = self.runs.len();
            let reply = self.run(std::slice::from_ref(&claims)).remove(0);
            self.note(&claims, reply);
            let results = self.runs[known..].iter().map(|run| {
                let output = Json::null();
                RunResult::new(token(run), Word::Completed { output }, None)
            });
            let report = Report {
                worker: None,
                results: results.collect(),
            };
            self.run(&[report.into()]);
        }
        panic!("some tasks never ended");
    }
}

fn latest<T>(all: &[T]) -> &[T] {
    &all[all.len().saturating_sub(LATEST)..]
}

fn token(run: &Run) -> Token {
    Token {
        slot: run.slot,
        fence: run.fence,
        secret: run.secret,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_sequence_of_commands_keeps_the_promises(batches in vec(batch(), 1..80)) {
        let mut world = World::new();
        for (seconds, acts) in &batches {
            world.play(*seconds, acts);
        }
        world.drain();
    }
}
