//! Servers that tell each other what they did: those who wait at another hear of it at once, long before it looks by
//! itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::hints::{Hints, Ready};
use taskyard_core::log::{Line, Position, Stream, Wanted};
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::status::Status;
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::verbs::submit::Submit;
use taskyard_engine::engine::{News, Print};
use taskyard_engine::upkeep::{Services, Upkeep};
use taskyard_store::model::Model;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::front::{Front, Fronted};
use super::upkeep::keep_up;
use super::yard::{NOW, Yard, claim_call, claimed, model, settle, token};

const MINUTE: Duration = Duration::from_mins(1);
/// Nobody looks so soon by itself.
const NEVER: Duration = Duration::from_hours(1);

/// A store that tells another one what it committed.
struct Speaks {
    model: Arc<Model>,
    to: mpsc::UnboundedSender<Hints>,
    from: Mutex<mpsc::UnboundedReceiver<Hints>>,
}

#[async_trait]
impl Front for Speaks {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        let ran = self.model.run(batch, policy).await?;
        let mut hints = Hints::default();
        hints.note_all(&ran.topics);
        if !hints.is_empty() {
            self.to.send(hints).unwrap();
        }
        Ok(ran)
    }

    async fn heard(&self) -> Hints {
        let hints = self.from.lock().await.recv().await;
        hints.expect("the other store is still there")
    }
}

struct Two {
    here: Yard,
    there: Yard,
    _services: [Services; 2],
}

/// Two servers that are kept up, on one database.
async fn two() -> Two {
    let model = Arc::new(model());
    let (to_here, at_here) = mpsc::unbounded_channel();
    let (to_there, at_there) = mpsc::unbounded_channel();
    let yard = |to, from| {
        let policy = Policy {
            poll: NEVER,
            ..Policy::default()
        };
        let (model, from) = (Arc::clone(&model), Mutex::new(from));
        Yard::under(policy, Arc::new(Fronted(Speaks { model, to, from })))
    };
    let (here, there) = (yard(to_there, at_here), yard(to_here, at_there));
    let services = [
        keep_up(&here, Upkeep::default()).await,
        keep_up(&there, Upkeep::default()).await,
    ];
    settle().await;
    Two {
        here,
        there,
        _services: services,
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_hears_at_once_of_what_another_server_made_ready() {
    let Two { here, there, .. } = &two().await;
    here.worker("w", "work").await;
    let engine = here.engine.clone();
    let claim = tokio::spawn(async move { claimed(&engine, claim_call("w", MINUTE)).await });
    settle().await;
    let started = Instant::now();

    let task = there.submit("work").await.unwrap();

    let runs = claim.await.unwrap().unwrap().runs;
    let tasks = runs.iter().map(|run| run.slot.task);
    assert_eq!(tasks.collect::<Vec<_>>(), [task]);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn claims_share_what_another_server_made_ready_all_at_once() {
    let Two { here, there, .. } = &two().await;
    let mut claims = Vec::new();
    for name in ["u", "v", "w"] {
        here.worker(name, "work").await;
        let (engine, mut call) = (here.engine.clone(), claim_call(name, MINUTE));
        call.limit = 1;
        claims.push(tokio::spawn(async move {
            claimed(&engine, call).await.unwrap()
        }));
    }
    settle().await;
    let started = Instant::now();

    there.submit_many("work", 3).await;

    // One hint for the three of them.
    for claim in claims {
        assert_eq!(claim.await.unwrap().runs.len(), 1);
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_reader_hears_at_once_of_an_end_at_another_server() {
    let Two { here, there, .. } = &two().await;
    there.worker("w", "work").await;
    let task = there.submit("work").await.unwrap();
    let run = there.claim_one("w").await;
    let engine = here.engine.clone();
    let reader = tokio::spawn(async move { engine.task(task, MINUTE).await });
    settle().await;
    let started = Instant::now();

    there.complete(&run).await.unwrap();

    assert_eq!(reader.await.unwrap().unwrap().status(), Status::Completed);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_a_task_with_the_same_mark_waits_on() {
    let Two { here, there, .. } = &two().await;
    let task = there.submit("work").await.unwrap();
    let engine = here.engine.clone();
    let reader = tokio::spawn(async move { engine.task(task, MINUTE).await });
    settle().await;

    let ended = Hints {
        ended: [task.into()].into_iter().collect(),
        ..Hints::default()
    };
    here.engine.hear(ended).await.unwrap();
    settle().await;

    assert!(!reader.is_finished(), "another one has ended");
    there.engine.cancel(task).await.unwrap();
    assert_eq!(reader.await.unwrap().unwrap().status(), Status::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn workers_inside_hear_at_once_of_a_cancel_at_another_server() {
    let Two { here, there, .. } = &two().await;
    here.worker("w", "work").await;
    let [waits, runs] = [here.submit("work"), here.submit("work")];
    let (runs, waits) = (runs.await.unwrap(), waits.await.unwrap());
    let mut call = claim_call("w", Duration::ZERO);
    call.limit = 1;
    let hand = claimed(&here.engine, call).await.unwrap();
    assert_eq!(hand.runs[0].slot.task, runs);
    let cancelled = here.engine.cancelled();

    there.engine.cancel(waits).await.unwrap();
    settle().await;
    assert!(!cancelled.has_changed().unwrap(), "nobody had it");
    there.engine.cancel(runs).await.unwrap();
    settle().await;

    assert!(cancelled.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_drained_at_another_server_waits_no_longer() {
    let Two { here, there, .. } = &two().await;
    here.worker("w", "work").await;
    let engine = here.engine.clone();
    let mut call = claim_call("w", MINUTE);
    // One that drains is held back for a moment where it asks again.
    call.wait = NEVER;
    let claim = tokio::spawn(async move { claimed(&engine, call).await });
    settle().await;
    let started = Instant::now();

    there.engine.drain(Name::plain("w").unwrap()).await.unwrap();

    assert!(claim.await.unwrap().unwrap().drain);
    assert!(started.elapsed() <= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn who_follows_hears_at_once_of_lines_at_another_server() {
    let Two { here, there, .. } = &two().await;
    there.worker("w", "work").await;
    let task = there.submit("work").await.unwrap();
    let run = there.begin_one("w").await;
    let mut follow = here.engine.follow(Wanted {
        task,
        attempt: None,
        stream: None,
        after: Position::default(),
        limit: 100,
    });
    let following = tokio::spawn(async move { follow.next().await });
    settle().await;
    let print = Print {
        token: token(&run),
        first: Some(1),
        lines: vec![Line {
            at: NOW,
            stream: Stream::Stdout,
            text: "there".to_owned(),
        }],
    };
    there.engine.append_logs(print).await.unwrap();
    settle().await;
    assert!(!following.is_finished(), "nobody has told it");

    let mut hints = Hints::default();
    hints.note_lines(task);
    here.engine.hear(hints).await.unwrap();
    settle().await;

    assert!(following.is_finished());
    let told = following.await.unwrap();
    assert!(matches!(told, Ok(News::Lines(_))), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn who_hears_that_it_may_be_anything_looks_at_everything() {
    let Two { here, there, .. } = &two().await;
    here.worker("w", "work").await;
    let engine = here.engine.clone();
    let claim = tokio::spawn(async move { claimed(&engine, claim_call("w", MINUTE)).await });
    settle().await;
    // By no server that tells.
    let task = there.task("work");
    let submit = Submit::of(vec![task]);
    let quietly = here
        .engine
        .store()
        .run(vec![submit.into()], here.engine.policy());
    quietly.await.unwrap();
    settle().await;
    assert!(!claim.is_finished());
    let started = Instant::now();

    let vague = Hints {
        ready: Ready::Anywhere,
        ..Hints::default()
    };
    here.engine.hear(vague).await.unwrap();

    assert_eq!(claim.await.unwrap().unwrap().runs.len(), 1);
    assert_eq!(started.elapsed(), Duration::ZERO);
}
