//! Why something was not served, for the log alone: the caller learns only what is fit for callers.
//!
//! A failing database fails everything that is asked of it. So whatever goes wrong has a line when it begins, and while
//! it lasts one every so often with how many there were besides; the single ones have theirs at debug level.

use std::cell::RefCell;
use std::time::Duration;

use hashbrown::HashMap;
use http::HeaderValue;
use parking_lot::Mutex;
use taskyard_api::problem::Problem;
use taskyard_core::id::TaskId;
use taskyard_core::store;
use taskyard_engine::error::Error;
use tokio::time::Instant;

use crate::app::App;
use crate::problem::Code;
use crate::request_id;

/// A trouble that lasts is told again so often.
const EVERY: Duration = Duration::from_secs(10);
/// So many troubles are told apart, by what they say. Further ones count as one.
const KINDS_MAX: usize = 64;

pub(crate) struct Cause {
    pub(crate) error: String,
    /// Of ours, or of the database: nothing that goes by itself.
    pub(crate) is_bug: bool,
}

impl Cause {
    /// In these words.
    pub(crate) fn of(what: &store::Error, error: String) -> Self {
        let is_bug = match what {
            store::Error::Failed(_) | store::Error::Unreadable(_) | store::Error::Damaged(_) => {
                true
            }
            store::Error::Unavailable(_)
            | store::Error::Unknown(_)
            | store::Error::Full
            | store::Error::Conflict => false,
        };
        Self { error, is_bug }
    }

    /// The server is full of something, which its operator should know.
    pub(crate) fn of_refusal(problem: &Problem) -> Option<Self> {
        let full = [
            Code::QueueFull,
            Code::BodiesFull,
            Code::AnswersFull,
            Code::ConnectionsFull,
            Code::FollowsFull,
        ];
        full.map(Code::word)
            .contains(&&*problem.code)
            .then(|| Self {
                error: problem.title.clone(),
                is_bug: false,
            })
    }
}

/// What this task serves.
#[derive(Default)]
struct Served {
    /// Of the request, where it is one.
    id: Option<HeaderValue>,
    cause: RefCell<Option<Cause>>,
}

tokio::task_local! {
    static SERVED: Served;
}

/// Notes why what is being served is not. The first one counts.
pub(crate) fn note(cause: Cause) {
    let noted = SERVED.try_with(|served| {
        served.cause.borrow_mut().get_or_insert(cause);
    });
    debug_assert!(noted.is_ok(), "whatever is served is served within `heard`");
}

/// The name of the request that is being served, for an answer that holds problems of its own.
pub(crate) fn request_id() -> Option<String> {
    let text = |served: &Served| served.id.as_ref().map(request_id::text).map(str::to_owned);
    SERVED.try_with(text).ok().flatten()
}

/// Serves something, a request where it has an id, and hears why not.
pub(crate) async fn heard<F: Future>(
    id: Option<HeaderValue>,
    served: F,
) -> (F::Output, Option<Cause>) {
    let served = async {
        let answer = served.await;
        (answer, SERVED.with(|served| served.cause.take()))
    };
    let begun = Served {
        id,
        ..Served::default()
    };
    SERVED.scope(begun, served).await
}

/// Serves a worker of this process, whose call is no request.
pub async fn logged<F: Future>(app: &App, served: F) -> F::Output {
    let (answer, cause) = heard(None, served).await;
    if let Some(Cause { error, is_bug }) = cause {
        match app.troubles().tell(&error) {
            Some(others) if is_bug => tracing::error!(error, others, "a call from inside failed"),
            Some(others) => tracing::warn!(error, others, "a call from inside was not served"),
            None => tracing::debug!(error, "a call from inside was not served"),
        }
    }
    answer
}

/// An answer that had begun could not go on, so its reader is not told why.
pub(crate) fn log_streaming(app: &App, error: &Error) {
    let error = error.to_string();
    match app.troubles().tell(&error) {
        Some(others) => tracing::warn!(error, others, "an answer broke off"),
        None => tracing::debug!(error, "an answer broke off"),
    }
}

/// A list could not show these.
pub(crate) fn log_left_out(tasks: &[TaskId]) {
    tracing::error!(
        ?tasks,
        "tasks cannot be read and are left out of a list; `taskyard db check` tells more"
    );
}

/// What was told, and when.
#[derive(Default)]
pub(crate) struct Troubles(Mutex<HashMap<String, Told>>);

struct Told {
    at: Instant,
    /// How many there were since, which had no line.
    others: u64,
}

impl Troubles {
    /// Whether one more of these is worth a line; then, how many had none since the last line.
    pub(crate) fn tell(&self, what: &str) -> Option<u64> {
        let now = Instant::now();
        let mut told = self.0.lock();
        if told.len() >= KINDS_MAX && !told.contains_key(what) {
            told.retain(|_, last| now < last.at + EVERY);
        }
        let what = if told.len() < KINDS_MAX || told.contains_key(what) {
            what
        } else {
            ""
        };
        let Some(last) = told.get_mut(what) else {
            let first = Told { at: now, others: 0 };
            told.insert(what.to_owned(), first);
            return Some(0);
        };
        if now < last.at + EVERY {
            last.others += 1;
            return None;
        }
        last.at = now;
        Some(std::mem::take(&mut last.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_trouble_is_told_at_once_and_then_every_ten_seconds() {
        let troubles = Troubles::default();

        assert_eq!(troubles.tell("one"), Some(0));
        assert_eq!(troubles.tell("two"), Some(0));
        tokio::time::advance(EVERY - Duration::from_millis(1)).await;
        assert_eq!([troubles.tell("one"), troubles.tell("one")], [None; 2]);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(troubles.tell("one"), Some(2));
        assert_eq!(troubles.tell("one"), None);
        assert_eq!(troubles.tell("two"), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn more_troubles_than_are_told_apart_count_as_one() {
        let troubles = Troubles::default();
        for n in 0..KINDS_MAX {
            assert_eq!(troubles.tell(&format!("{n}")), Some(0));
        }

        assert_eq!(troubles.tell("more"), Some(0));
        assert_eq!(troubles.tell("and more"), None);
        assert_eq!(troubles.tell("0"), None);
        tokio::time::advance(EVERY).await;
        assert_eq!(troubles.tell("and more"), Some(0));
        assert_eq!(troubles.0.lock().len(), 1);
    }
}
