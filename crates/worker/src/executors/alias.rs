//! One kind that is run as another one is.

use std::sync::Arc;
use std::time::Duration;

use crate::executor::{Context, Executor, Finish, Run};

/// Tasks of this kind, each run as those of `runs_as` are.
#[derive(Clone)]
pub struct Alias {
    pub kind: &'static str,
    pub runs_as: Arc<dyn Executor>,
}

#[async_trait::async_trait]
impl Executor for Alias {
    fn kind(&self) -> &str {
        self.kind
    }

    fn is_instant(&self) -> bool {
        self.runs_as.is_instant()
    }

    fn begins_after(&self) -> Duration {
        self.runs_as.begins_after()
    }

    async fn run(&self, run: Run, context: Context) -> Finish {
        self.runs_as.run(run, context).await
    }
}
