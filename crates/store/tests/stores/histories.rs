//! Random histories: everything that users, workers and time can do, in any order, and after each step what must
//! always hold. A history is its seed; a failing one is named and replays.

use std::collections::BTreeMap;
use std::time::Duration;

use taskyard_core::id::{Fence, TaskId};
use taskyard_core::query::{List, Query, TaskView};
use taskyard_core::random::Seeded;
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Digest, Failure};
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::{Claim, Run};
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::report::Word;
use taskyard_core::verbs::submit::{Begin, NewTask};

use crate::books::Books;
use crate::conformance::yard::{Yard, completed, failed, held, lane};

const SEEDS: u64 = 60;
const STEPS: usize = 150;

/// What the history has seen so far, to compare the store with.
struct History {
    yard: Yard,
    random: Seeded,
    workers: Vec<Claim>,
    runs: Vec<Run>,
    submitted: Vec<NewTask>,
    /// The highest fence handed out for each task.
    fences: BTreeMap<TaskId, Fence>,
    books: Books,
}

#[tokio::test]
async fn every_history_on_the_model_keeps_the_promises() {
    for seed in 1..=SEEDS {
        let yard = Yard::on_model().await;
        play(yard.expect("the model is always there"), seed).await;
    }
}

/// Fewer, for each has a file of its own and waits for the disk.
#[tokio::test]
async fn every_history_on_sqlite_keeps_the_promises_and_is_the_models() {
    for seed in 1..=SEEDS / 10 {
        let yard = Yard::on_both().await;
        play(yard.expect("SQLite is always there"), seed).await;
    }
}

#[tokio::test]
async fn every_history_on_postgres_keeps_the_promises_and_is_the_others() {
    for seed in SEEDS + 1..=SEEDS + SEEDS / 30 {
        let Some(yard) = Yard::on_all().await else {
            return;
        };
        play(yard, seed).await;
    }
}

async fn play(yard: Yard, seed: u64) {
    // Shown only when the test fails.
    eprintln!("seed {seed}");
    let mut history = History::new(yard, seed).await;
    for _ in 0..STEPS {
        history.step().await;
        history.check().await;
    }
    history.drain().await;
}

impl History {
    async fn new(yard: Yard, seed: u64) -> Self {
        let mut workers = Vec::new();
        for name in ["one", "two", "three"] {
            workers.push(yard.worker(name).await);
        }
        Self {
            yard,
            random: Seeded::new(seed),
            workers,
            runs: Vec::new(),
            submitted: Vec::new(),
            fences: BTreeMap::new(),
            books: Books::default(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).expect("below a usize")
    }

    async fn step(&mut self) {
        match self.below(12) {
            0 | 1 => self.submit().await,
            2..=4 => self.claim().await,
            5..=7 => self.report().await,
            8 => self.heartbeat().await,
            9 => self.cancel().await,
            10 => self.replace().await,
            _ => self.time().await,
        }
    }

    async fn submit(&mut self) {
        if self.below(5) == 0 && !self.submitted.is_empty() {
            let again = self.below(self.submitted.len());
            let submitted = self
                .yard
                .submit_all(vec![self.submitted[again].clone()])
                .await
                .unwrap();
            assert!(submitted.existed(), "the same id and body is the same task");
            return;
        }
        let kind = ["a", "b"][self.below(2)];
        let begin = if self.below(4) == 0 {
            Begin::After(Duration::from_secs(5))
        } else {
            Begin::Now
        };
        let task = NewTask {
            lane: lane("default", kind, None),
            begin,
            max_attempts: Some(1 + i32::from(self.below(3) > 0)),
            max_losses: Some(3),
            timeout: Some(Duration::from_secs(20)),
            digest: Some(Digest::of(kind.as_bytes())),
            ..self.yard.task()
        };
        self.yard.submit(task.clone()).await.unwrap();
        self.books.made(task.id);
        self.submitted.push(task);
    }

    async fn claim(&mut self) {
        let worker = self.below(self.workers.len());
        let claim = Claim {
            begin: self.below(2) == 0,
            ..self.workers[worker].clone()
        };
        let limit = 1 + self.below(3);
        let runs = self.yard.claim(&claim, limit).await;
        assert!(runs.len() <= limit, "a claim gets no more than it asks for");
        for run in runs {
            let latest = self.fences.insert(run.slot.task, run.fence);
            assert!(latest < Some(run.fence), "fences rise");
            self.runs.push(run);
        }
    }

    /// Reports on any run ever handed out: the newest is accepted, the others are refused or known.
    async fn report(&mut self) {
        if self.runs.is_empty() {
            return;
        }
        let chosen = self.below(self.runs.len());
        let run = self.runs[chosen].clone();
        let word = match self.below(6) {
            0 => failed(true),
            1 => failed(false),
            2 => Word::TimedOut {
                error: Failure::new("timeout", "too long"),
            },
            3 => Word::Snoozed {
                wait: Duration::from_secs(3),
            },
            4 => Word::Released,
            _ => completed(),
        };
        let answer = self.yard.report(&run, word).await;
        let is_newest = self.fences[&run.slot.task] == run.fence;
        assert!(
            is_newest || !matches!(answer, Ok(status) if status.is_final()),
            "a stale run ends nothing"
        );
        assert!(
            !matches!(answer, Err(Refused::NoSuchTask)),
            "a task that was handed out exists"
        );
    }

    async fn heartbeat(&mut self) {
        let worker = self.below(self.workers.len());
        let running = self.below(2) == 0;
        let named: Vec<Held> = self
            .runs
            .iter()
            .rev()
            .take(4)
            .map(|run| Held {
                running,
                ..held(run)
            })
            .collect();
        self.yard
            .heartbeat(&self.workers[worker], named)
            .await
            .unwrap();
    }

    async fn cancel(&mut self) {
        if self.submitted.is_empty() || self.below(3) > 0 {
            return;
        }
        let chosen = self.below(self.submitted.len());
        let task = self.submitted[chosen].id;
        let was = self.yard.status(task).await;
        let answer = self.yard.cancel(task).await;
        assert_eq!(
            answer.is_err(),
            was.is_final(),
            "cancel wins or loses, and says which"
        );
        assert_eq!(
            self.yard.status(task).await,
            if was.is_final() {
                was
            } else {
                Status::Cancelled
            }
        );
    }

    async fn replace(&mut self) {
        let chosen = self.below(self.workers.len());
        let name = self.workers[chosen].worker.to_string();
        self.workers[chosen] = self.yard.worker(&name).await;
    }

    async fn time(&mut self) {
        let seconds = [1, 4, 11, 40][self.below(4)];
        self.yard.pass(Duration::from_secs(seconds));
        let grace = self.below(4) == 0;
        self.yard.sweep(grace).await;
        self.yard.promote().await;
    }

    async fn all(&self) -> Vec<TaskView> {
        self.yard
            .list(List {
                limit: 1000,
                ..List::default()
            })
            .await
            .items
    }

    async fn check(&mut self) {
        let all = self.all().await;
        self.books.check(&[], &[], &all);
        let mut counted: BTreeMap<Status, i64> = BTreeMap::new();
        for view in &all {
            let (status, counts) = (view.status(), view.counts());
            *counted.entry(status).or_default() += 1;
            assert!(
                counts.failures <= view.task.limits.max_attempts,
                "failures stay within their limit"
            );
            assert!(
                counts.losses <= view.task.limits.max_losses,
                "losses stay within theirs"
            );
        }
        assert_eq!(self.counters().await, counted, "the counters are exact");
    }

    async fn counters(&self) -> BTreeMap<Status, i64> {
        let rows = self.yard.store.read(Query::Counts).await.unwrap().counts();
        let mut counted = BTreeMap::new();
        for (status, tasks) in rows.iter().flat_map(|row| row.tasks.iter()) {
            *counted.entry(status).or_default() += tasks;
        }
        counted
    }

    /// Once nothing goes wrong any more, everything ends.
    async fn drain(&mut self) {
        for _ in 0..200 {
            if self.all().await.iter().all(|view| view.status().is_final()) {
                return;
            }
            self.yard.pass(Duration::from_secs(31));
            self.yard.sweep(false).await;
            self.yard.promote().await;
            let worker = self.yard.worker("careful").await;
            for run in self.yard.claim(&worker, 10).await {
                self.yard.complete(&run).await.unwrap();
            }
            self.check().await;
        }
        panic!("some tasks never ended");
    }
}
