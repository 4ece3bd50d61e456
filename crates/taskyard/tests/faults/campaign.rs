//! One run: load, a fault, its healing, the drain, and the verdict.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use taskyard_api::client::Client;
use taskyard_api::page::TasksQuery;
use taskyard_api::task::Task;
use tokio::task::JoinSet;

use crate::checker::{Judge, Verdict};
use crate::history::{Found, History, Op, Outcome, Record, Run, write_found};
use crate::load::{Caller, Load, Plan, Servers};
use crate::stage::{Directory, Stage, until};

/// How long everything may take to end once nothing is broken any more.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
/// How long the load may take for what it is waited for.
pub(crate) const LOAD_WITHIN: Duration = Duration::from_secs(90);

/// How much a run has to have done to count: the whole set, and the short one in brackets.
const OK_MIN: [u64; 2] = [1_000, 200];
const DURING_MIN: [u64; 2] = [50, 10];

/// Set where the faults of a cluster of Patroni are asked for.
pub(crate) const PATRONI: &str = "FAULTS_PATRONI";

/// How many ask at once what became of the tasks.
const LINES: usize = 8;

/// `FAULTS=whole`, as `make faults` says.
pub(crate) fn is_whole() -> bool {
    std::env::var("FAULTS").is_ok_and(|said| said == "whole")
}

fn of_size(of: [u64; 2]) -> u64 {
    of[usize::from(!is_whole())]
}

/// The seeds of the rounds, from `FAULTS_SEED` (1) on, `FAULTS_ROUNDS` (1) of them.
pub(crate) fn seeds() -> impl Iterator<Item = u64> {
    let number = |name: &str| {
        let said = std::env::var(name).ok().filter(|said| !said.is_empty());
        said.map_or(1, |said| {
            said.parse()
                .unwrap_or_else(|_| panic!("{name} is no number: {said}"))
        })
    };
    (number("FAULTS_SEED")..).take(number("FAULTS_ROUNDS") as usize)
}

pub(crate) struct Trial {
    fault: &'static str,
    variant: &'static str,
    seed: u64,
    pub(crate) random: StdRng,
    pub(crate) judge: Judge,
    /// Before the stage, so that those who call end before the servers do.
    load: Option<Load>,
    pub(crate) stage: Stage,
    pub(crate) history: Arc<History>,
    /// When the fault began, and when it was healed.
    broken_at: Option<u64>,
    healed_at: Option<u64>,
    notes: Vec<String>,
    failed: Vec<String>,
}

impl Trial {
    pub(crate) fn new(fault: &'static str, variant: &'static str, seed: u64) -> Self {
        let size = if is_whole() { "" } else { " FAULTS=short" };
        let again = if std::env::var_os(PATRONI).is_some() {
            format!("again with: make patroni FAULTS_SEED={seed}{size}")
        } else {
            format!("again with: make faults ONLY={fault} FAULTS_SEED={seed}{size}")
        };
        let stage = Stage::new(Arc::new(Directory::new(again)));
        let history = History::new(&stage.directory.path().join("history.jsonl"));
        Self {
            fault,
            variant,
            seed,
            random: StdRng::seed_from_u64(seed),
            judge: Judge::default(),
            load: None,
            stage,
            history: Arc::new(history),
            broken_at: None,
            healed_at: None,
            notes: Vec::new(),
            failed: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.stage.directory.path().join(name)
    }

    /// Begins the load at all servers, and goes on once it is under way.
    pub(crate) async fn load(&mut self, plan: Plan) {
        let urls = self.stage.urls();
        self.load_at(plan, &urls).await;
    }

    pub(crate) async fn load_at(&mut self, plan: Plan, urls: &[String]) {
        self.load = Some(Load::start(plan, &self.history, urls, self.seed));
        self.goes_on(of_size(OK_MIN) / 4).await;
    }

    /// Somebody who calls besides.
    pub(crate) fn caller(&self, name: &str) -> Caller {
        let servers = Servers::new(&self.stage.urls());
        let random = StdRng::seed_from_u64(self.seed);
        Caller::new(name.to_owned(), Arc::clone(&self.history), servers, random)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Until so many more calls were answered well.
    pub(crate) async fn goes_on(&self, calls: u64) {
        let ok = self.history.counts().ok + calls;
        self.history
            .until(LOAD_WITHIN, |counts| counts.ok >= ok)
            .await;
    }

    /// Until so many more calls were answered in any way, or given up.
    pub(crate) async fn goes_on_in_any_way(&self, calls: u64) {
        let operations = self.history.counts().operations + calls;
        self.history
            .until(LOAD_WITHIN, |counts| counts.operations >= operations)
            .await;
    }

    /// As many calls as a run needs while something is broken.
    pub(crate) async fn goes_on_while_broken(&self) {
        self.goes_on_in_any_way(of_size(DURING_MIN) + 10).await;
    }

    /// From now on something is broken.
    pub(crate) fn breaks(&mut self) -> u64 {
        let now = self.history.now();
        *self.broken_at.get_or_insert(now)
    }

    /// From now on nothing is.
    pub(crate) fn heals(&mut self) -> u64 {
        let now = self.history.now();
        self.healed_at = Some(now);
        now
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// A criterion of the fault: one that is not met fails the run at its end, with its line.
    pub(crate) fn must(&mut self, is_met: bool, criterion: impl Into<String>) {
        if !is_met {
            self.failed.push(criterion.into());
        }
    }

    /// How long after this moment a server said first that it is not ready, or nothing; waited for.
    pub(crate) async fn unready(
        &self,
        server: usize,
        since: u64,
        within: Duration,
    ) -> Option<Duration> {
        self.probed(server, since, within, |outcome| outcome != Outcome::Ok)
            .await
    }

    /// The same until it is ready.
    pub(crate) async fn ready(
        &self,
        server: usize,
        since: u64,
        within: Duration,
    ) -> Option<Duration> {
        self.probed(server, since, within, |outcome| outcome == Outcome::Ok)
            .await
    }

    async fn probed(
        &self,
        server: usize,
        since: u64,
        within: Duration,
        is_it: impl Fn(Outcome) -> bool,
    ) -> Option<Duration> {
        until(within, async || {
            self.history.first(|record| {
                let is_probe = record.op == Op::Ready && record.server == server;
                is_probe && record.t_invoke >= since && is_it(record.outcome)
            })
        })
        .await
        .map(|record| Duration::from_micros(record.t_return - since))
    }

    /// How long after this moment a submission was acknowledged that was sent since.
    pub(crate) async fn success(&self, since: u64, within: Duration) -> Option<Duration> {
        let is_it = |record: &Record| {
            record.op == Op::Submit && record.outcome == Outcome::Ok && record.t_invoke >= since
        };
        let first = until(within, async || self.history.first(is_it)).await;
        first.map(|record| Duration::from_micros(record.t_return - since))
    }

    /// The longest that a server, between these two moments, took no write.
    pub(crate) fn stood_still(&self, server: usize, from: u64, to: u64) -> Duration {
        let records = self.history.records();
        let writes = records.iter().filter(|record| {
            let is_write = matches!(record.op, Op::Submit | Op::Report | Op::Cancel);
            is_write && record.server == server && record.outcome == Outcome::Ok
        });
        let mut moments: Vec<u64> = writes.map(|record| record.t_return).collect();
        moments.retain(|at| (from..to).contains(at));
        moments.extend([from, to]);
        moments.sort_unstable();
        let longest = moments.windows(2).map(|pair| pair[1] - pair[0]).max();
        Duration::from_micros(longest.unwrap_or_default())
    }

    /// How long a server said, between these two moments, that it is not ready, or said nothing.
    pub(crate) fn not_ready(&self, server: usize, from: u64, to: u64) -> Duration {
        let records = self.history.records();
        let mut probes: Vec<&Record> = records
            .iter()
            .filter(|record| record.op == Op::Ready && record.server == server)
            .collect();
        probes.sort_by_key(|record| record.t_return);
        let unready = probes
            .windows(2)
            .filter(|pair| pair[0].outcome != Outcome::Ok);
        let lengths = unready.map(|pair| {
            let (begins, ends) = (pair[0].t_return.max(from), pair[1].t_return.min(to));
            ends.saturating_sub(begins)
        });
        Duration::from_micros(lengths.sum())
    }

    /// Until so long after this moment, as a fault that lasts.
    pub(crate) async fn lasts(&self, since: u64, length: Duration) {
        let end = since + u64::try_from(length.as_micros()).unwrap();
        let left = Duration::from_micros(end.saturating_sub(self.history.now()));
        tokio::time::sleep(left).await;
    }

    /// The load ends, everything ends, and it is judged. Everybody has ended well by then.
    pub(crate) async fn ends(mut self) -> Verdict {
        let mut load = self.load.take().expect("there was load");
        self.goes_on(of_size(OK_MIN) / 4).await;
        self.history
            .until(LOAD_WITHIN, |counts| counts.ok >= of_size(OK_MIN))
            .await;
        load.submits_no_more().await;
        let server = self.stage.servers.first().expect("there is a server");
        let client = Client::new(&[server.url.parse().unwrap()], None).unwrap();
        let drained = drain(&client).await;
        self.must(
            drained,
            format!("not everything ended within {DRAINED_WITHIN:?}"),
        );
        drop(load.stop().await);
        let found = found(&client).await;
        write_found(&self.path("found.jsonl"), &found);
        let records = self.history.records();
        let verdict = self.judge.check(&records, &found);
        let line = self.line(&records, &verdict);
        self.stage.stop().await;
        show(&line);
        let wrong = verdict
            .violations
            .iter()
            .map(|one| format!("{:?}: {}", one.wrong, one.what));
        let wrong: Vec<String> = self.failed.iter().cloned().chain(wrong).collect();
        let shown = wrong[..wrong.len().min(20)].join("\n  ");
        assert!(
            wrong.is_empty(),
            "{line}\n{} things are wrong:\n  {shown}",
            wrong.len()
        );
        verdict
    }

    fn line(&mut self, records: &[Record], verdict: &Verdict) -> String {
        let (broken, healed) = (
            self.broken_at.unwrap_or(0),
            self.healed_at.unwrap_or(u64::MAX),
        );
        let mut calls: Vec<&Record> = records
            .iter()
            .filter(|record| record.op != Op::Ready)
            .collect();
        calls.sort_by_key(|record| (&record.proc, record.seq));
        calls.dedup_by_key(|record| (&record.proc, record.seq));
        let during = |record: &&&Record| record.t_invoke < healed && record.t_return > broken;
        let is_ok = |record: &&&Record| record.outcome == Outcome::Ok;
        let ok = calls.iter().filter(is_ok).count() as u64;
        let all_during = calls.iter().filter(during).count() as u64;
        let ok_during = calls.iter().filter(during).filter(is_ok).count();
        self.must(
            ok >= of_size(OK_MIN),
            format!("{ok} calls were answered well, which is too few"),
        );
        self.must(
            all_during >= of_size(DURING_MIN),
            format!("{all_during} calls fell into the fault, which is too few"),
        );
        let first = records
            .iter()
            .filter(|record| record.op == Op::Submit && record.outcome == Outcome::Ok)
            .filter(|record| record.t_return >= healed)
            .map(|record| record.t_return - healed)
            .min();
        let first = first.map_or("never".to_owned(), |micros| format!("{} ms", micros / 1000));
        let notes: String = self.notes.iter().map(|note| format!("; {note}")).collect();
        format!(
            "{}{}: seed {}; {ok} of {} calls ok, {ok_during} of {all_during} during the fault; submitted {}, acknowledged {}, \
             refused {}, unknown {}, lost {}, duplicated {}, executions {}, runs lost {}, stale refused {}; first success {first} after \
             the heal{notes}",
            self.fault,
            self.variant,
            self.seed,
            calls.len(),
            verdict.submitted,
            verdict.acknowledged,
            verdict.refused,
            verdict.unknown,
            verdict.lost,
            verdict.duplicated,
            verdict.executions,
            verdict.runs_lost,
            verdict.stale_refused,
        )
    }
}

#[expect(clippy::print_stdout, reason = "what `make faults` is asked for")]
fn show(line: &str) {
    println!("{line}");
}

/// Once nothing is open any more.
async fn drain(client: &Client) -> bool {
    let is_over = until(DRAINED_WITHIN, async || {
        let counts = client.stats().await.ok()?.by_status;
        let open = counts.scheduled + counts.pending + counts.assigned + counts.running;
        (open == 0).then_some(())
    });
    is_over.await.is_some()
}

/// All tasks there are, with all of their runs.
async fn found(client: &Client) -> Vec<Found> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut query = TasksQuery {
        limit: Some(1_000),
        ..TasksQuery::default()
    };
    loop {
        let page = client.list(&query).await.unwrap();
        tasks.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    // A few at a time.
    let mut lines = JoinSet::new();
    for part in tasks.chunks(tasks.len().div_ceil(LINES).max(1)) {
        let (client, part) = (client.clone(), part.to_vec());
        lines.spawn(async move {
            let mut found = Vec::new();
            for task in &part {
                found.push(with_runs(&client, task).await);
            }
            found
        });
    }
    lines.join_all().await.concat()
}

async fn with_runs(client: &Client, task: &Task) -> Found {
    let attempts = client.attempts(task.id).await.unwrap();
    let runs = attempts.items.into_iter().map(|run| Run {
        fence: run.fence,
        worker: run.worker_id,
        outcome: run.outcome,
        claimed_at: run.claimed_at,
        ended_at: run.ended_at,
    });
    Found {
        id: task.id.to_string(),
        name: task.labels.get("name").cloned(),
        status: task.status,
        attempts: task.attempts,
        failures: task.failures,
        losses: task.losses,
        max_attempts: task.max_attempts,
        max_losses: task.max_losses,
        runs: runs.collect(),
        late_results: u32::try_from(attempts.late_results.len()).unwrap(),
    }
}

/// A file that somebody waits for.
pub(crate) fn open_gate(gate: &Path) {
    std::fs::write(gate, "").unwrap();
}
