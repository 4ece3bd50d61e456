//! What stands in for a kind where nothing is to happen: each run goes through its life in its time, and says so.

use std::time::Duration;

use serde_json::value::to_raw_value;

use crate::executor::{Context, Executor, Finish, Run};

/// Tasks of one kind, none of which is run.
#[derive(Clone, Debug)]
pub struct Simulated {
    pub kind: &'static str,
    /// How long a run only holds its task.
    pub begins_after: Duration,
    /// And how long it takes from there.
    pub takes: Duration,
}

#[async_trait::async_trait]
impl Executor for Simulated {
    fn kind(&self) -> &str {
        self.kind
    }

    fn begins_after(&self) -> Duration {
        self.begins_after
    }

    async fn run(&self, _: Run, context: Context) -> Finish {
        tokio::select! {
            () = tokio::time::sleep(self.begins_after + self.takes) => {
                let output = serde_json::json!({"simulated": true});
                Finish::Completed(to_raw_value(&output).expect("it is JSON"))
            }
            why = context.stop.stopped() => Finish::Stopped { why, detail: None },
        }
    }
}
