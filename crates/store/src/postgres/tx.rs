//! One transaction: a round trip for each load, and one for all writes and the commit.

use std::sync::atomic::Ordering;

use hashbrown::HashMap;
use taskyard_core::diff::Diff;
use taskyard_core::id::SlotKey;
use taskyard_core::needs::Needs;
use taskyard_core::store::Error;
use taskyard_core::view::View;

use super::commit::{Changes, Spots};
use super::error::{explain, explain_commit, is_taken, one_line};
use super::fields::{Fields, Read};
use super::found::found;
use super::load::Loads;
use super::merge::merge;
use super::params::Params;
use super::session::{Session, all};
use super::tid::Tid;
use super::trip::Trip;
use crate::tx::{Inputs, Tx, Undone};

/// Left open when dropped; the session undoes it before it does anything else.
pub(super) struct PostgresTx<'a> {
    pub(super) session: &'a Session,
    held: Held,
}

/// Where the rows stand that this transaction holds. They cannot move before it ends.
#[derive(Default)]
pub(super) struct Held {
    pub(super) scheduled: HashMap<SlotKey, Tid>,
    pub(super) ready: HashMap<SlotKey, Tid>,
    pub(super) leases: HashMap<SlotKey, Tid>,
}

impl<'a> PostgresTx<'a> {
    pub(super) fn on(session: &'a Session) -> Self {
        Self {
            session,
            held: Held::default(),
        }
    }
}

impl Tx for PostgresTx<'_> {
    async fn load(&mut self, needs: &Needs, view: &mut View) -> Result<(), Error> {
        let loads = Loads::of(self.session, needs);
        let parts = loads.parts;
        let answers = all(loads.trip.send().await)?;
        // In front of them may stand the answer to "begin".
        let answers = &answers[answers.len() - parts.len()..];
        for (part, rows) in parts.into_iter().zip(answers) {
            if let Some(index) = found(part, rows, needs, view, &mut self.held)? {
                let pick = &needs.picks[index];
                merge(self.session, pick, rows, view, &mut self.held).await?;
            }
        }
        for pick in needs.picks.iter().filter(|pick| pick.lanes.is_empty()) {
            view.picked(pick.clone(), Vec::new());
        }
        Ok(())
    }

    async fn commit(self, diff: Diff) -> Result<Inputs, Undone> {
        let session = self.session;
        if diff.is_empty() && diff.inputs.is_empty() && !session.is_open() {
            return Ok(Inputs::default());
        }
        if session.client.is_closed() {
            return Err(Error::Unavailable("the connection was closed".into()).into());
        }
        let changes = Changes::of(&diff);
        // Known again once this stands.
        let mut counters_at = std::mem::take(&mut *session.counters_at.lock());
        let spots = Spots::of(&changes, &self.held, counters_at.sorted(&diff.counters))?;
        let writes = changes.writes(&diff, &spots, session.server);
        let (spotting, writes_sent) = (writes.spotting(), writes.len());
        let writes = writes.prepared(session).await;
        let writes = writes.map_err(|error| explain(&error))?;
        // One statement alone is a transaction of its own, where nothing has to be set for it.
        let is_alone = writes.len() == 1
            && diff.inputs.is_empty()
            && !session.is_open()
            && !session.is_pooled();
        let mut trip = Trip::on(session);
        if !is_alone {
            trip.begin();
        }
        for (statement, params) in writes {
            trip.ask(&statement, params);
        }
        let inputs = &session.statements.task_input;
        trip.ask_for(&diff.inputs, inputs, |ids| {
            Params::default().and(ids.iter().map(|id| id.as_uuid()).collect::<Vec<_>>())
        });
        if !is_alone {
            trip.say("commit");
        }
        let mut answers = trip
            .send()
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| undone(&error))?;
        session.open.store(false, Ordering::Relaxed);
        // Behind the writes stand those of the inputs and of the commit, before them perhaps that to "begin".
        let behind = usize::from(!is_alone) + usize::from(!diff.inputs.is_empty());
        let first = answers.len() - behind - writes_sent;
        let spotted = spotting.and_then(|place| answers[first + place].first());
        if let Some(spotted) = spotted {
            counters_at.note(spotted);
        }
        *session.counters_at.lock() = counters_at;
        if diff.inputs.is_empty() {
            return Ok(Inputs::default());
        }
        // The last but one; behind it is the commit's own, which is empty.
        let rows = answers.swap_remove(answers.len() - 2);
        let read = rows
            .iter()
            .map(Fields::of)
            .map(|mut fields| Ok((fields.task()?, fields.json()?)));
        // The batch stands all the same: nobody may take it for one that did not happen.
        read.collect::<Read<Inputs>>().map_err(|error| {
            Error::Unknown(format!("it was written, but an input is damaged: {error}")).into()
        })
    }
}

fn undone(error: &tokio_postgres::Error) -> Undone {
    if is_taken(error) {
        Undone::Taken(one_line(error))
    } else {
        explain_commit(error).into()
    }
}
