//! What runs print: a sign of life, and told to its end to those who follow.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use taskyard_core::json::Json;
use taskyard_core::log::{Append, Limits, Line, Owner, Position, Stream, Wanted};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::status::Status;
use taskyard_core::store::{self, Store};
use taskyard_core::verbs::claim::Run;
use taskyard_core::verbs::report::{Report, RunResult, Word};
use taskyard_engine::engine::{News, Print};
use taskyard_store::model::Model;
use tokio::time::timeout;

use super::front::{Front, Fronted};
use super::yard::{NOW, Yard, model, model_whose_time_passes, settle, take_time, token};

fn line(text: &str) -> Line {
    Line {
        at: NOW,
        stream: Stream::Stdout,
        text: text.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_run_prints_is_a_sign_of_life_of_its_worker() {
    let policy = Policy::default();
    let yard = Yard::around(Arc::new(model_whose_time_passes()));
    yard.worker("w", "work").await;
    yard.submit("work").await.unwrap();
    let run = yard.begin_one("w").await;
    tokio::time::advance(policy.heartbeat_ttl * 2 / 3).await;

    let print = Print {
        token: token(&run),
        first: Some(1),
        lines: vec![line("here")],
    };
    yard.engine.append_logs(print).await.unwrap();

    take_time().await;
    let heard_until = yard.worker_row("w").await.expires_at;
    let now = yard.engine.store().now();
    assert_eq!(heard_until, now + policy.heartbeat_ttl);
}

/// A store whose run prints its last line, and ends, just before it is looked who runs the task.
struct EndsFirst {
    model: Model,
    run: Mutex<Option<Run>>,
}

impl EndsFirst {
    async fn end(&self, run: Run) {
        let owner = Owner {
            run: run.slot.run(run.fence),
            attempt: run.attempt,
            claimed_at: NOW,
        };
        let append = Append {
            owner,
            first: None,
            lines: vec![line("last")],
            limits: Limits {
                bytes_max: 1_000,
                line_bytes_max: 100,
            },
        };
        self.model.logs().append(append).await.unwrap();
        let output = Json::null();
        let results = vec![RunResult::new(
            token(&run),
            Word::Completed { output },
            None,
        )];
        let report = Report {
            worker: None,
            results: results.into(),
        };
        let policy = Policy::default();
        let ran = self.model.run(vec![report.into()], &policy);
        ran.await.unwrap();
    }
}

#[async_trait]
impl Front for EndsFirst {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn read(&self, query: Query) -> Result<Answer, store::Error> {
        let run = matches!(query, Query::Holder(_)).then(|| self.run.lock().take());
        if let Some(run) = run.flatten() {
            self.end(run).await;
        }
        self.model.read(query).await
    }
}

#[tokio::test(start_paused = true)]
async fn who_follows_misses_no_line_that_comes_just_before_the_end() {
    let store = Arc::new(Fronted(EndsFirst {
        model: model(),
        run: Mutex::new(None),
    }));
    let yard = Yard::around(store.clone());
    yard.worker("w", "work").await;
    let task = yard.submit("work").await.unwrap();
    let run = yard.begin_one("w").await;
    let mut follow = yard.engine.follow(Wanted {
        task,
        attempt: None,
        stream: None,
        after: Position::default(),
        limit: 100,
    });
    *store.run.lock() = Some(run);

    let told = follow.next().await.unwrap();

    let News::Lines(page) = told else {
        panic!("the last line is told first: {told:?}")
    };
    assert_eq!(page.lines.len(), 1);
    let end = follow.next().await.unwrap();
    assert!(matches!(end, News::Ended(Status::Completed)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn who_follows_hears_of_lines_that_come_in_at_another_server() {
    let store = Arc::new(model());
    let (here, there) = (Yard::around(store.clone()), Yard::around(store));
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
    assert!(!following.is_finished());

    let print = Print {
        token: token(&run),
        first: Some(1),
        lines: vec![line("there")],
    };
    there.engine.append_logs(print).await.unwrap();

    let told = timeout(Duration::from_secs(5), following).await;
    let told = told.expect("it looks by itself").unwrap();
    assert!(matches!(told, Ok(News::Lines(_))), "{told:?}");
}
