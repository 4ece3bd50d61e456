//! Statements that travel together: all are sent before the first answer is waited for.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio_postgres::{Error, Row};

use super::params::Params;
use super::question::Question;
use super::session::Session;

type Answered<'a> = BoxFuture<'a, Result<Vec<Row>, Error>>;

/// One round trip to the database, in the making.
pub(super) struct Trip<'a> {
    pub(super) session: &'a Session,
    asked: Vec<Answered<'a>>,
}

impl<'a> Trip<'a> {
    pub(super) fn on(session: &'a Session) -> Self {
        Self {
            session,
            asked: Vec::new(),
        }
    }

    /// A question of this session.
    pub(super) fn ask(&mut self, question: &Question, params: Params<'a>) {
        let (client, question) = (&self.session.client, question.clone());
        let answered = async move {
            let params = params.as_slice();
            question.ask(client, &params).await
        };
        self.asked.push(answered.boxed());
    }

    /// Where there are rows for it.
    pub(super) fn ask_for<R>(
        &mut self,
        rows: &'a [R],
        question: &Question,
        params: impl FnOnce(&'a [R]) -> Params<'a>,
    ) {
        if !rows.is_empty() {
            self.ask(question, params(rows));
        }
    }

    /// A command, which takes and answers nothing.
    pub(super) fn say(&mut self, command: &'a str) {
        self.asked.push(said(self.session, command));
    }

    /// Begins a transaction, unless one is open already; from here on one counts as open.
    pub(super) fn begin(&mut self) {
        if !self.session.open.swap(true, Ordering::Relaxed) {
            self.say(self.session.opening());
        }
    }

    /// The answers in the order in which they were asked for.
    pub(super) async fn send(self) -> Vec<Result<Vec<Row>, Error>> {
        let Self { session, mut asked } = self;
        let is_alone = session.is_pooled() && !session.is_open();
        if is_alone {
            // What is set holds for a transaction.
            asked.insert(0, said(session, session.opening()));
            asked.push(said(session, "commit"));
        }
        // Each is sent when it is first polled, and that is done in their order.
        let mut answers = join_all(asked).await;
        if is_alone {
            let (ended, begun) = (answers.pop(), answers.remove(0));
            // Where it did not begin, the others failed over that.
            if let (Err(error), Some(first)) = (begun, answers.first_mut()) {
                *first = Err(error);
            }
            if let (Some(Err(error)), Some(last)) = (ended, answers.last_mut())
                && last.is_ok()
            {
                *last = Err(error);
            }
        }
        answers
    }
}

fn said<'a>(session: &'a Session, command: &'a str) -> Answered<'a> {
    let done = async move {
        session
            .client
            .batch_execute(command)
            .await
            .map(|()| Vec::new())
    };
    done.boxed()
}
