//! The logs of runs: lines on their way in, pages, and those who follow.
//!
//! They take a way of their own, beside the desk: no batch waits for them. What is left to the rules is whose run it is:
//! a look at the lease shows that mostly, and where it does not, saying that the run began is judged under the lock.

use taskyard_core::id::TaskId;
use taskyard_core::log::{Append, Appended, Limits, Line, Owner, Page, Position, Wanted};
use taskyard_core::query::{Held, Holder, Query};
use taskyard_core::refused::Refused;
use taskyard_core::status::Status;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::start::Start;
use tokio::sync::watch;

use super::Engine;
use crate::error::Error;

/// Lines from somebody who names a run's lease.
#[derive(Debug)]
pub struct Print {
    pub token: Token,
    /// The number of the first of them, at most [`SEQ_MAX`](taskyard_core::log::SEQ_MAX). None: behind what is there.
    pub first: Option<u32>,
    pub lines: Vec<Line>,
}

impl Engine {
    /// Puts lines into a run's log. They show that it began, and that its worker lives. Sent again with the same numbers,
    /// they are kept once.
    ///
    /// # Errors
    /// [`Refused::StaleLease`], [`Refused::AlreadyEnded`] and [`Refused::NoSuchTask`] as a report has them;
    /// [`Error::Logs`] where logs cannot be written, which concerns no task.
    pub async fn append_logs(&self, print: Print) -> Result<Appended, Error> {
        let limits = Limits {
            bytes_max: self.policy().log_bytes_max,
            line_bytes_max: self.policy().log_line_bytes_max,
        };
        let place = self.0.room.place_for_lines(&print.lines);
        let place = place.ok_or(Error::Busy)?;
        let owner = self.owner(print.token).await?;
        let append = Append {
            owner,
            first: print.first,
            lines: print.lines,
            limits,
        };
        let engine = self.clone();
        // Also where its caller goes away meanwhile: the lines hold their place until they are written, and wake whoever
        // follows them.
        let appending = tokio::spawn(async move {
            let appended = engine.store().logs().append(append).await;
            drop(place);
            engine.0.follows.lock().printed(owner.run.slot.task);
            appended
        });
        let appended = appending.await.map_err(|_| Error::Stopping)?;
        appended.map_err(Error::Logs)
    }

    /// The run whose lease this is the token of, begun.
    async fn owner(&self, token: Token) -> Result<Owner, Error> {
        if self.is_stopping() {
            return Err(Error::Stopping);
        }
        match self.held(&token).await? {
            Some(held) if held.has_begun => {
                self.sign_of_life_by(held.by);
                return Ok(owner(&token, held));
            }
            Some(_) | None => {}
        }
        let start = Start {
            token,
            started_at: None,
        };
        self.start_run(start).await?;
        let held = self.held(&token).await?;
        let held = held.ok_or(Refused::StaleLease)?;
        Ok(owner(&token, held))
    }

    /// What is known of the token's lease, if that is the current one.
    async fn held(&self, token: &Token) -> Result<Option<Held>, Error> {
        let holder = self.holder(token.slot.task).await?;
        let Some(Holder::Worker(held)) = holder else {
            return Ok(None);
        };
        let is_its = held.fence == token.fence && held.secret == token.secret;
        Ok(is_its.then_some(held))
    }

    async fn holder(&self, task: TaskId) -> Result<Option<Holder>, Error> {
        Ok(self.read(Query::Holder(task)).await?.holder())
    }

    /// One page of a task's log.
    pub async fn logs(&self, wanted: Wanted) -> Result<Page, Error> {
        let page = self.page(wanted).await?;
        // A page that is not empty is of a task that is there, or was.
        if page.lines.is_empty() && self.holder(wanted.task).await?.is_none() {
            return Err(Refused::NoSuchTask.into());
        }
        Ok(page)
    }

    async fn page(&self, wanted: Wanted) -> Result<Page, Error> {
        let page = self.store().logs().page(wanted).await;
        page.map_err(Error::Logs)
    }

    /// Goes along with a task's log from where `wanted` begins.
    pub fn follow(&self, wanted: Wanted) -> Follow {
        let task = wanted.task;
        Follow {
            news: self.0.follows.lock().on(task),
            end: Some(self.0.waits.lock().on(task)),
            engine: self.clone(),
            wanted,
            ended: None,
        }
    }
}

fn owner(token: &Token, held: Held) -> Owner {
    Owner {
        run: token.slot.run(token.fence),
        attempt: held.attempt,
        claimed_at: held.claimed_at,
    }
}

/// One who follows a task's log.
pub struct Follow {
    engine: Engine,
    wanted: Wanted,
    /// Lines were put in here.
    news: watch::Receiver<()>,
    /// Is closed when the task has ended; none once that was seen.
    end: Option<watch::Receiver<()>>,
    /// How it ended, once that is known. Lines that came in before are looked for once more.
    ended: Option<Status>,
}

/// What there is for one who follows.
#[derive(Debug)]
pub enum News {
    /// At least one line.
    Lines(Page),
    /// All that there is was told, and the task has ended.
    Ended(Status),
}

impl Follow {
    /// Behind what was told so far.
    pub fn position(&self) -> Position {
        self.wanted.after
    }

    /// What stands before is known already.
    pub fn goes_on_behind(&mut self, position: Position) {
        self.wanted.after = position;
    }

    /// Resolves when there is something. May be dropped before, and asked again: nothing is lost.
    pub async fn next(&mut self) -> Result<News, Error> {
        loop {
            // Before the look, so that nothing comes between the two.
            self.news.mark_unchanged();
            let page = self.engine.page(self.wanted).await?;
            self.wanted.after = page.reached;
            if !page.lines.is_empty() {
                return Ok(News::Lines(page));
            }
            if page.goes_on {
                continue;
            }
            if let Some(status) = self.ended {
                return Ok(News::Ended(status));
            }
            match self.engine.holder(self.wanted.task).await? {
                Some(Holder::Ended(status)) => self.ended = Some(status),
                Some(Holder::Nobody | Holder::Worker(_)) => self.something().await,
                None => return Err(Refused::NoSuchTask.into()),
            }
        }
    }

    /// Lines, here or elsewhere, or the end; or it is time to look whether there was one that nobody told of.
    async fn something(&mut self) {
        let poll = self.engine.policy().poll;
        let end = async {
            match &mut self.end {
                // Nothing is sent: it has ended.
                Some(end) => drop(end.changed().await),
                None => std::future::pending().await,
            }
        };
        let has_ended = tokio::select! {
            _ = self.news.changed() => false,
            () = tokio::time::sleep(poll) => false,
            () = end => true,
        };
        if has_ended {
            self.end = None;
        }
    }
}
