//! The load: submitters, cancellers, readers, and workers in this process, whose every call is in the history.

mod calls;
pub(crate) mod hands;
mod submitters;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use taskyard_core::time::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use self::calls::{Caller, Servers};
use crate::history::{History, Op};
use crate::yard::PATIENCE;

/// What is driven, and how hard.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) submitters: u32,
    /// Workers in this process.
    pub(crate) hands: u32,
    /// Those who cancel, and as many who read.
    pub(crate) cancellers: u32,
    /// The kinds of tasks, one as likely as the other. `hand` is for workers in this process.
    pub(crate) kinds: Vec<&'static str>,
    /// Some submissions have neither id nor key, and are sent once.
    pub(crate) with_plain: bool,
    /// Between two calls of one submitter: the rate of the load, which is meant to leave the servers room.
    pub(crate) pause: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            submitters: 6,
            hands: 3,
            cancellers: 1,
            kinds: vec!["hand", "echo"],
            with_plain: true,
            pause: Duration::from_millis(20),
        }
    }
}

/// Load that goes on until it is stopped.
pub(crate) struct Load {
    history: Arc<History>,
    /// Who makes work, and who does it.
    callers: JoinSet<()>,
    hands: JoinSet<()>,
    no_more: CancellationToken,
    go_home: CancellationToken,
}

/// What those who drive it share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    /// Tasks of late, for those who cancel and read.
    recent: Mutex<Vec<String>>,
}

const RECENT: usize = 64;

impl Shared {
    fn note(&self, task: &str, random: &mut StdRng) {
        let mut recent = self.recent.lock();
        if recent.len() < RECENT {
            recent.push(task.to_owned());
        } else {
            let place = random.random_range(0..RECENT);
            task.clone_into(&mut recent[place]);
        }
    }

    fn any(&self, random: &mut StdRng) -> Option<String> {
        let recent = self.recent.lock();
        let place = random.random_range(0..recent.len().max(1));
        recent.get(place).cloned()
    }
}

impl Load {
    pub(crate) fn start(plan: Plan, history: &Arc<History>, urls: &[String], seed: u64) -> Self {
        let mut load = Self {
            history: Arc::clone(history),
            callers: JoinSet::new(),
            hands: JoinSet::new(),
            no_more: CancellationToken::new(),
            go_home: CancellationToken::new(),
        };
        let shared = Arc::new(Shared {
            plan,
            recent: Mutex::default(),
        });
        let mut seeds = StdRng::seed_from_u64(seed);
        let servers = Servers::new(urls);
        let mut caller = |name: String| {
            let random = StdRng::seed_from_u64(seeds.random());
            Caller::new(name, Arc::clone(history), servers.clone(), random)
        };
        for number in 0..shared.plan.submitters {
            let caller = caller(format!("submitter-{number}"));
            let (shared, no_more) = (Arc::clone(&shared), load.no_more.clone());
            load.callers
                .spawn(submitters::submit(caller, shared, no_more));
        }
        for number in 0..shared.plan.cancellers {
            for op in [Op::Cancel, Op::Read] {
                let caller = caller(format!("{op:?}-{number}").to_lowercase());
                let (shared, no_more) = (Arc::clone(&shared), load.no_more.clone());
                load.callers
                    .spawn(submitters::look(caller, shared, no_more, op));
            }
        }
        for number in 0..shared.plan.hands {
            let caller = caller(format!("hand-{number}"));
            load.hands.spawn(hands::work(caller, load.go_home.clone()));
        }
        for server in 0..urls.len() {
            let caller = caller(format!("probe-{server}"));
            let go_home = load.go_home.clone();
            load.hands.spawn(submitters::probe(caller, server, go_home));
        }
        load
    }

    /// Nothing new is submitted, and what was is known for sure where it can be.
    pub(crate) async fn submits_no_more(&mut self) {
        self.no_more.cancel();
        end(&mut self.callers, "submitters").await;
    }

    pub(crate) async fn stop(mut self) -> Arc<History> {
        self.submits_no_more().await;
        self.go_home.cancel();
        end(&mut self.hands, "workers").await;
        self.history
    }
}

async fn end(all: &mut JoinSet<()>, who: &str) {
    let joined = timeout(PATIENCE, async {
        while let Some(ended) = all.join_next().await {
            ended.unwrap();
        }
    });
    assert!(joined.await.is_ok(), "the {who} do not end");
}

/// The pause that makes the rate of a load; over at once when the load ends.
async fn pause(length: Duration, ends: &CancellationToken) {
    tokio::select! {
        () = sleep(length) => {}
        () = ends.cancelled() => {}
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "ids are made by the clock that the servers have"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
