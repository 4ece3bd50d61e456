//! The pick over several lanes: no more of them, and of each no more rows, than could come first.

use hashbrown::HashMap;
use taskyard_core::lane::Lane;
use taskyard_core::needs::Pick;
use taskyard_core::order::Position;
use taskyard_core::rows::Ready;
use taskyard_core::view::{Brief, View};
use tokio_postgres::Row;

use super::error::explain;
use super::fields::{Fields, Read};
use super::found::picked;
use super::load::{INPUT_WITH_PICK_MAX, limit};
use super::params::{Columns, Params};
use super::rows::place;
use super::session::Session;
use super::trip::Trip;
use super::tx::Held;

/// How much wider the next look is, where one did not reach far enough.
const WIDER: usize = 8;

/// How far a pick looks: so many of its lanes, and so many rows of each.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    lanes: usize,
    rows: usize,
}

/// What a look into several lanes showed.
enum Look {
    Done(Vec<(Ready, Brief)>, Vec<(Lane, Option<Position>)>),
    /// What was not looked at may come first.
    TooShort,
    /// Another server holds some of the first rows.
    Contended,
}

impl Reach {
    /// Each lane is thought to have something where it begins, so there are never more that matter than rows.
    pub(super) fn of(pick: &Pick) -> Self {
        let lanes = pick.rows.clamp(1, pick.lanes.len());
        Self {
            lanes,
            rows: 2 * pick.rows / lanes,
        }
    }

    fn wider(self) -> Self {
        Self {
            lanes: self.lanes * WIDER,
            rows: self.rows.max(1) * WIDER,
        }
    }

    /// How many rows of a lane are looked at, one of them only to know where it goes on. What waits in the first lane
    /// is often older than all the rest.
    fn rows(self, place: usize, pick: &Pick) -> usize {
        let rows = if place == 0 { pick.rows } else { self.rows };
        rows.clamp(1, pick.rows) + 1
    }

    fn lanes(self, pick: &Pick) -> &[(Lane, Position)] {
        &pick.lanes[..self.lanes.min(pick.lanes.len())]
    }

    pub(super) fn params(self, pick: &Pick) -> Params<'_> {
        let lanes = self.lanes(pick);
        let rows: Vec<i64> = (0..lanes.len())
            .map(|place| limit(self.rows(place, pick)))
            .collect();
        let left_out = pick.lanes.get(lanes.len()).map(|(_, first)| *first);
        firsts(lanes)
            .and(rows)
            .and(left_out.map(|first| first.order_key.0))
            .and(left_out.map(|first| first.slot.task.as_uuid()))
            .and(left_out.map(|first| first.slot.slot.0))
            .and(INPUT_WITH_PICK_MAX)
            .and(limit(pick.rows))
    }
}

fn firsts(lanes: &[(Lane, Position)]) -> Params<'_> {
    Columns::of(lanes)
        .column(|(lane, _)| lane.0)
        .column(|(_, first)| first.order_key.0)
        .column(|(_, first)| first.slot.task.as_uuid())
        .column(|(_, first)| first.slot.slot.0)
        .params()
}

/// Puts the answer to a first look into the view, or looks further.
pub(super) async fn merge(
    session: &Session,
    pick: &Pick,
    first: &[Row],
    view: &mut View,
    held: &mut Held,
) -> Read<()> {
    let mut reach = Reach::of(pick);
    let mut look = Look::of(first, pick, reach, held)?;
    while let Look::TooShort = look {
        reach = reach.wider();
        let params = reach.params(pick);
        let rows = ask(session, &session.statements.ready_pick_merged, params).await?;
        look = Look::of(&rows, pick, reach, held)?;
    }
    if let Look::Done(rows, goes_on) = look {
        view.picked(pick.clone(), rows);
        for (lane, next) in goes_on {
            view.lane_goes_on(lane, next);
        }
        return Ok(());
    }
    let params = firsts(&pick.lanes)
        .and(INPUT_WITH_PICK_MAX)
        .and(limit(pick.rows));
    let rows = ask(session, &session.statements.ready_pick_each, params).await?;
    let rows = rows.iter().map(|row| picked(&mut Fields::of(row), held));
    view.picked(pick.clone(), rows.collect::<Read<_>>()?);
    Ok(())
}

async fn ask<'a>(
    session: &'a Session,
    statement: &'a tokio_postgres::Statement,
    params: Params<'a>,
) -> Read<Vec<Row>> {
    let mut trip = Trip::on(session);
    trip.ask(statement, params);
    let answer = trip.send().await.remove(0);
    answer.map_err(|error| explain(&error))
}

impl Look {
    fn of(answer: &[Row], pick: &Pick, reach: Reach, held: &mut Held) -> Read<Self> {
        let mut found = 0;
        let mut rows = Vec::new();
        let mut seen: HashMap<Lane, usize> = HashMap::new();
        let mut next: HashMap<Lane, Position> = HashMap::new();
        for row in answer {
            let mut fields = Fields::of(row);
            found = fields.take::<i64>()?;
            let Some((ready, spot)) = fields.maybe(READY_WIDTH, |fields| {
                Ok((place::ready(fields)?, fields.take()?))
            })?
            else {
                continue;
            };
            *seen.entry(ready.lane).or_default() += 1;
            match spot {
                Some(spot) => {
                    held.ready.insert(ready.slot, spot);
                    rows.push((ready, place::brief(&mut fields)?));
                }
                // The first of each lane comes first.
                None => _ = next.entry(ready.lane).or_insert(ready.position()),
            }
        }
        if i64::try_from(rows.len()) != Ok(found) {
            return Ok(Self::Contended);
        }
        let lanes = reach.lanes(pick);
        let may_go_on = |(place, (lane, _)): (usize, &(Lane, Position))| {
            seen.get(lane).copied().unwrap_or(0) == reach.rows(place, pick)
        };
        let is_whole = lanes.len() == pick.lanes.len() && !lanes.iter().enumerate().any(may_go_on);
        if rows.len() < pick.rows && !is_whole {
            return Ok(Self::TooShort);
        }
        let goes_on = lanes.iter().enumerate().filter_map(|entry| {
            let lane = entry.1.0;
            let next = next.get(&lane).copied();
            (next.is_some() || !may_go_on(entry)).then_some((lane, next))
        });
        let goes_on = goes_on.collect();
        Ok(Self::Done(rows, goes_on))
    }
}

const READY_WIDTH: usize = 6;
