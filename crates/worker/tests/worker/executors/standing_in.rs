//! What stands in where a kind is not to run: runs that are simulated, and runs that are refused.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use taskyard_worker::executor::{Executor, Stop};
use taskyard_worker::executors::{Alias, Refused, Simulated};
use tokio::time::Instant;

use super::{completed, context, failed, run_of, stopped};

const SIMULATED: Simulated = Simulated {
    kind: "command",
    begins_after: Duration::from_secs(2),
    takes: Duration::from_secs(5),
};

#[tokio::test(start_paused = true)]
async fn a_simulated_run_takes_its_time_and_says_what_it_is() {
    let begin = Instant::now();

    let output = completed(&SIMULATED, &json!({"command": "rm -r /"})).await;

    assert_eq!(output, json!({"simulated": true}));
    assert_eq!(begin.elapsed(), Duration::from_secs(7));
    assert_eq!(SIMULATED.begins_after(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_simulated_run_can_be_stopped() {
    let (stopper, context) = context();
    let run = tokio::spawn(async move { SIMULATED.run(run_of(&json!({})), context).await });

    stopper.stop(Stop::Cancelled);

    assert_eq!(stopped(run.await.unwrap()), (Stop::Cancelled, None));
}

#[tokio::test]
async fn a_refused_run_fails_for_good_with_what_to_do_about_it() {
    let refused = Refused {
        kind: "command-refused",
        message: "give a flag",
    };

    let failure = failed(&refused, &json!({"command": "true"})).await;

    assert_eq!((&*failure.code, failure.retry), (Refused::CODE, false));
    assert_eq!(failure.message, "give a flag");
}

#[tokio::test(start_paused = true)]
async fn another_kind_is_run_as_the_one_that_it_stands_for() {
    let alias = Alias {
        kind: "command-refused",
        runs_as: Arc::new(SIMULATED),
    };

    let output = completed(&alias, &json!({"command": "true"})).await;

    assert_eq!(output, json!({"simulated": true}));
    assert_eq!(alias.kind(), "command-refused");
    assert_eq!(alias.begins_after(), SIMULATED.begins_after());
}
