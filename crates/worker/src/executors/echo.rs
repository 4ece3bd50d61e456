//! `echo` and `simple`: the input is the output, byte for byte.

use crate::executor::{Context, Executor, Finish, Run};

/// Holds the kind it answers to: `simple` is the older name of `echo`.
pub struct Echo(pub &'static str);

#[async_trait::async_trait]
impl Executor for Echo {
    fn kind(&self) -> &str {
        self.0
    }

    fn is_instant(&self) -> bool {
        true
    }

    async fn run(&self, run: Run, _: Context) -> Finish {
        Finish::Completed(run.input)
    }
}
