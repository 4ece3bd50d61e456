//! What stands for a kind that nobody may run: each task of it fails, and says what to do about it.

use crate::executor::{Context, Executor, Failure, Finish, Run};

/// Tasks of one kind, all of which fail with this message.
#[derive(Clone, Debug)]
pub struct Refused {
    pub kind: &'static str,
    pub message: &'static str,
}

impl Refused {
    /// The code of each failure.
    pub const CODE: &str = "not_allowed";
}

#[async_trait::async_trait]
impl Executor for Refused {
    fn kind(&self) -> &str {
        self.kind
    }

    fn is_instant(&self) -> bool {
        true
    }

    async fn run(&self, _: Run, _: Context) -> Finish {
        Finish::Failed(Failure::lasting(Self::CODE, self.message))
    }
}
