//! `sleep`: `{"ms": 250}` becomes null that much later.

use std::fmt;
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::input;
use crate::executor::{Context, Executor, Finish, Run};

pub struct Sleep;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Input {
    #[serde(deserialize_with = "millis")]
    ms: u64,
}

/// What is wrong is said in the words of people who write JSON, not of those who read it in Rust.
fn millis<'de, D: Deserializer<'de>>(number: D) -> Result<u64, D::Error> {
    struct Millis;

    impl Visitor<'_> for Millis {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number of milliseconds, 0 or more")
        }

        fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }
    }

    number.deserialize_u64(Millis)
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
