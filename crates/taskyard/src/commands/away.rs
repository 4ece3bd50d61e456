//! A server that is away for a while: what is safe to repeat is asked again until it is back.

use std::time::Duration;

use taskyard_api::client::Error;
use taskyard_core::id::TaskId;
use tokio::time::Instant;

use crate::failure::{About, Failure, UNREACHABLE};
use crate::output;
use crate::settings::units::duration_text;

/// How long to wait before a server that is away is asked again.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a command goes on over a server that is away.
pub(crate) struct Patience {
    within: Duration,
    /// Since when it has been away; none while it answers.
    since: Option<Instant>,
    /// It was there once.
    was_there: bool,
    /// It may have done what it was asked last: an answer was lost on the way.
    is_in_doubt: bool,
    is_silent: bool,
}

impl Patience {
    pub(crate) fn of(within: Duration) -> Self {
        Self {
            within,
            since: None,
            was_there: false,
            is_in_doubt: false,
            is_silent: false,
        }
    }

    /// The same, where what is to be said is said otherwise.
    pub(crate) fn silently(self) -> Self {
        Self {
            is_silent: true,
            ..self
        }
    }

    /// Of somebody who asks beside another that says what is to be said, for as long as that one waits.
    pub(crate) fn silent() -> Self {
        Self {
            was_there: true,
            ..Self::of(Duration::MAX).silently()
        }
    }

    /// Asks what is safe to repeat until it is answered.
    pub(crate) async fn until_answered<T>(
        &mut self,
        ask: impl AsyncFn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            match ask().await {
                Ok(answer) => {
                    self.answered();
                    return Ok(answer);
                }
                Err(error) => {
                    if !self.goes_on(&error).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Whether what failed may have been done all the same: not if it was refused, however often, or reached nobody.
    pub(crate) fn may_be_done(&self, error: &Error) -> bool {
        self.is_in_doubt && error.is_worth_repeating()
    }

    /// The server is here.
    pub(crate) fn answered(&mut self) {
        self.was_there = true;
        self.is_in_doubt = false;
        if self.since.take().is_some() && !self.is_silent {
            output::note("The server is back.");
        }
    }

    /// Waits a moment, and answers whether to ask again. Where no server has ever been there, to wait would only hide it.
    pub(crate) async fn goes_on(&mut self, error: &Error) -> bool {
        self.was_there |= !error.reached_nobody();
        self.is_in_doubt |= error.may_be_done();
        self.was_there && self.bear(error).await
    }

    /// Not if waiting would not mend it, and not after too long. That the server is away is said once.
    async fn bear(&mut self, error: &Error) -> bool {
        if !error.is_worth_repeating() || self.within.is_zero() {
            return false;
        }
        let since = *self.since.get_or_insert_with(|| {
            if !self.is_silent {
                let within = duration_text(self.within);
                output::note(&format!("{}; waiting up to {within}", trouble(error)));
            }
            Instant::now()
        });
        let left = self.within.saturating_sub(since.elapsed());
        tokio::time::sleep(LOOK_EVERY.min(left)).await;
        !left.is_zero()
    }

    /// Why a command that waited for a task has stopped waiting.
    pub(super) fn gave_up(&self, task: TaskId, error: Error) -> Failure {
        if !self.was_there || !error.is_worth_repeating() {
            return Failure::about(error, About::Task(task));
        }
        let message = format!(
            "{error}\n  The task goes on without this command; `taskyard wait {task}` waits for it again."
        );
        Failure::with_code(UNREACHABLE, message)
    }
}

fn trouble(error: &Error) -> String {
    match error {
        Error::Unreachable { url, .. } | Error::Unexpected { url, .. } => {
            let server = url.origin().ascii_serialization();
            format!("The server at {server} is away")
        }
        Error::Several(_) if error.is_unreachable() => format!("No server is there: {error}"),
        Error::Several(_) => format!("No server can serve now: {error}"),
        Error::Problem(_) | Error::Unusable(_) => format!("The server cannot serve now: {error}"),
    }
}
