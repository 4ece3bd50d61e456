//! What stands in where a kind is not to run: runs that are simulated.

use std::time::Duration;

use serde_json::json;
use taskyard_worker::executor::{Executor, Stop};
use taskyard_worker::executors::Simulated;
use tokio::time::Instant;

use super::{completed, context, run_of, stopped};

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
