//! Statements that travel together: all are sent before the first answer is waited for.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio_postgres::{Error, Row, Statement};

use super::params::Params;
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

    /// A statement that was prepared on this session.
    pub(super) fn ask(&mut self, statement: &Statement, params: Params<'a>) {
        let (client, statement) = (&self.session.client, statement.clone());
        let answered = async move {
            let params = params.as_slice();
            client.query(&statement, &params).await
        };
        self.asked.push(answered.boxed());
    }

    /// Where there are rows for it.
    pub(super) fn ask_for<R>(
        &mut self,
        rows: &'a [R],
        statement: &Statement,
        params: impl FnOnce(&'a [R]) -> Params<'a>,
    ) {
        if !rows.is_empty() {
            self.ask(statement, params(rows));
        }
    }

    /// A command, which takes and answers nothing.
    pub(super) fn say(&mut self, command: &'a str) {
        self.asked.push(said(self.session, command));
    }

    /// Begins a transaction, unless one is open already; from here on one counts as open.
    pub(super) fn begin(&mut self) {
        if !self.session.open.swap(true, Ordering::Relaxed) {
            self.say("begin");
        }
    }

    /// The answers in the order in which they were asked for.
    pub(super) async fn send(self) -> Vec<Result<Vec<Row>, Error>> {
        // Each is sent when it is first polled, and that is done in their order.
        join_all(self.asked).await
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
