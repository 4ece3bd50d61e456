//! One transaction: a round trip for each load, and one for all writes and the commit.

use futures_util::FutureExt;
use futures_util::future::join_all;
use hashbrown::HashMap;
use taskyard_core::diff::Diff;
use taskyard_core::id::SlotKey;
use taskyard_core::needs::Needs;
use taskyard_core::store::Error;
use taskyard_core::view::View;

use super::error::explain_commit;
use super::fields::{Fields, Read};
use super::pipeline::{Params, ask};
use super::session::{Answered, Session, all};
use super::tid::Tid;
use super::{commit, load};
use crate::tx::{Inputs, Tx};

/// Left open when dropped; the session undoes it before it does anything else.
pub(super) struct PostgresTx<'a> {
    pub(super) session: &'a mut Session,
    pub(super) held: Held,
}

/// Where the rows stand that this transaction holds. They cannot move before it ends.
#[derive(Default)]
pub(super) struct Held {
    pub(super) scheduled: HashMap<SlotKey, Tid>,
    pub(super) ready: HashMap<SlotKey, Tid>,
    pub(super) leases: HashMap<SlotKey, Tid>,
}

impl<'a> PostgresTx<'a> {
    pub(super) fn on(session: &'a mut Session) -> Self {
        Self {
            session,
            held: Held::default(),
        }
    }

    /// "begin", if that was not said yet, for the front of a round trip. From here on the transaction counts as open.
    pub(super) fn begin(&mut self) -> Option<&'static str> {
        let begun = std::mem::replace(&mut self.session.open, true);
        (!begun).then_some("begin")
    }
}

impl Tx for PostgresTx<'_> {
    async fn load(&mut self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        let begin = self.begin();
        let session = &*self.session;
        let (parts, mut asked) = load::asked(session, needs);
        asked.splice(..0, begin.map(|begin| session.execute(begin)));
        let mut answers = all(join_all(asked).await)?;
        answers.drain(..begin.iter().len());
        for (part, rows) in parts.into_iter().zip(answers) {
            load::found(part, &rows, needs, view, &mut self.held)?;
        }
        load::picks(session, needs, view, &mut self.held).await
    }

    async fn commit(mut self, diff: Diff) -> Result<Inputs, Error> {
        if diff.is_empty() && diff.inputs.is_empty() && !self.session.open {
            return Ok(Inputs::default());
        }
        if self.session.client.is_closed() {
            return Err(Error::Unavailable("the connection was closed".to_owned()));
        }
        let changes = commit::Changes::of(&diff);
        let spots = commit::Spots::of(&changes, &self.held)?;
        let begin = self.begin();
        let session = &*self.session;
        let writes = commit::asked(session, &diff, &changes, &spots);
        let inputs = Params::default().and(
            diff.inputs
                .iter()
                .map(|id| id.as_uuid())
                .collect::<Vec<_>>(),
        );
        let inputs = ask(&session.client, &session.statements.task_input, inputs);
        let asked: Vec<Answered<'_>> = begin
            .map(|begin| session.execute(begin))
            .into_iter()
            .chain(writes)
            .chain((!diff.inputs.is_empty()).then(|| inputs.boxed_local()))
            .chain([session.execute("commit")])
            .collect();
        let answers = join_all(asked).await;

        let inputs_at = answers.len() - 2;
        let mut answers = answers
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| explain_commit(&error))?;
        self.session.open = false;
        if diff.inputs.is_empty() {
            return Ok(Inputs::default());
        }
        let rows = answers.swap_remove(inputs_at);
        let read = rows
            .iter()
            .map(Fields::of)
            .map(|mut fields| Ok((fields.task()?, fields.json()?)));
        read.collect::<Read<Inputs>>()
    }
}
