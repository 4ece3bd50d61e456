//! `sleep`: `{"ms": 250}` becomes null that much later.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::input;
use crate::executor::{Context, Executor, Finish, Run};

pub struct Sleep;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    ms: u64,
}

#[async_trait::async_trait]
impl Executor for Sleep {
    fn kind(&self) -> &str {
        "sleep"
    }

    async fn run(&self, run: Run, context: Context) -> Finish {
        let Input { ms } = match input::object(&run.input, r#"{"ms": 250}"#) {
            Ok(input) => input,
            Err(failure) => return Finish::Failed(failure),
        };

        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => Finish::Completed(RawValue::NULL.to_owned()),
            why = context.stop.stopped() => Finish::Stopped { why, detail: None },
        }
    }
}
