//! The pick over several lanes: no more of them, and of each no more rows, than could come first.

use hashbrown::{HashMap, HashSet};
use taskyard_core::lane::Lane;
use taskyard_core::needs::Pick;
use taskyard_core::order::Position;
use taskyard_core::rows::Ready;
use taskyard_core::view::{Brief, View};
use tokio_postgres::Row;

use super::error::explain;
use super::fields::Read;
use super::found::{all, picked, spotted};
use super::load::{INPUT_WITH_PICK_MAX, limit};
use super::params::{Columns, Params};
use super::question::Question;
use super::session::Session;
use super::tid::Tid;
use super::trip::Trip;
use super::tx::Held;
use crate::rows::place;

/// How much wider the next look is, where one did not reach far enough.
const WIDER: usize = 8;

/// How far a pick looks: so many of its lanes, and so many rows of each.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    lanes: usize,
    rows: usize,
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
        firsts(lanes).and(rows)
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

/// Holds the first rows of several lanes, which the answer to a first look shows, and puts them into the view.
pub(super) async fn merge(
    session: &Session,
    pick: &Pick,
    first: &[Row],
    view: &mut View,
    held: &mut Held,
) -> Read<()> {
    let statements = &session.statements;
    let mut seen = Seen::of(first, pick, Reach::of(pick))?;
    while seen.is_too_short() {
        let reach = seen.reach.wider();
        let rows = ask(session, &statements.ready_seen, reach.params(pick)).await?;
        seen = Seen::of(&rows, pick, reach)?;
    }
    let heads = Columns::of(seen.heads()).column(|(_, spot)| *spot);
    let params = heads.params().and(INPUT_WITH_PICK_MAX);
    let rows = ask(session, &statements.ready_hold, params).await?;
    let mut rows = rows_picked(&rows, held)?;
    rows.sort_unstable_by_key(|(row, _)| row.position());
    let is_what_was_seen = rows.len() == seen.heads().len()
        && rows
            .iter()
            .zip(seen.heads())
            .all(|((row, _), (head, _))| row == head);
    if is_what_was_seen {
        view.picked(pick.clone(), rows);
        for (lane, next) in seen.goes_on() {
            view.lane_goes_on(lane, next);
        }
        return Ok(());
    }
    // Another server holds some of them, or took them away.
    let params = firsts(&pick.lanes)
        .and(INPUT_WITH_PICK_MAX)
        .and(limit(pick.rows));
    let rows = ask(session, &statements.ready_pick_each, params).await?;
    view.picked(pick.clone(), rows_picked(&rows, held)?);
    Ok(())
}

fn rows_picked(rows: &[Row], held: &mut Held) -> Read<Vec<(Ready, Brief)>> {
    all(rows, |fields| picked(fields, held))
}

async fn ask(session: &Session, statement: &Question, params: Params<'_>) -> Read<Vec<Row>> {
    let mut trip = Trip::on(session);
    trip.ask(statement, params);
    let answer = trip.send().await.remove(0);
    answer.map_err(|error| explain(&error))
}

/// What a look into several lanes showed, in the order of all of them.
struct Seen<'p> {
    pick: &'p Pick,
    reach: Reach,
    rows: Vec<(Ready, Tid)>,
    /// How many of the rows surely come before all that was not looked at, and are asked for.
    heads: usize,
    /// Lanes that may have more than was looked at.
    cut: HashSet<Lane>,
}

impl<'p> Seen<'p> {
    fn of(answer: &[Row], pick: &'p Pick, reach: Reach) -> Read<Self> {
        let rows = all(answer, spotted(place::ready))?;
        Ok(Self::sorted(rows, pick, reach))
    }

    fn sorted(mut rows: Vec<(Ready, Tid)>, pick: &'p Pick, reach: Reach) -> Self {
        rows.sort_unstable_by_key(|(row, _)| row.position());
        let mut lasts: HashMap<Lane, (usize, Position)> = HashMap::new();
        for (row, _) in &rows {
            let (count, last) = lasts.entry(row.lane).or_insert((0, row.position()));
            *count += 1;
            *last = row.position();
        }
        let lanes = reach.lanes(pick);
        let cut = lanes.iter().enumerate().filter_map(|(place, (lane, _))| {
            let (count, last) = lasts.get(lane)?;
            (*count == reach.rows(place, pick)).then_some((*lane, *last))
        });
        let cut: HashMap<Lane, Position> = cut.collect();
        let left_out = pick.lanes.get(lanes.len()).map(|(_, first)| *first);
        let edge = cut.values().copied().chain(left_out).min();
        let sure = |row: &Ready| edge.is_none_or(|edge| row.position() <= edge);
        let heads = rows.iter().take(pick.rows).take_while(|(row, _)| sure(row));
        Self {
            pick,
            reach,
            heads: heads.count(),
            rows,
            cut: cut.into_keys().collect(),
        }
    }

    /// What was not looked at may come before rows that are asked for.
    fn is_too_short(&self) -> bool {
        let is_whole =
            self.cut.is_empty() && self.reach.lanes(self.pick).len() == self.pick.lanes.len();
        self.heads < self.pick.rows && !is_whole
    }

    fn heads(&self) -> &[(Ready, Tid)] {
        &self.rows[..self.heads]
    }

    /// Where each lane that was looked into goes on behind the heads, or that it does not; nothing of those of which
    /// that is not known.
    fn goes_on(&self) -> impl Iterator<Item = (Lane, Option<Position>)> {
        let mut next: HashMap<Lane, Position> = HashMap::new();
        for (row, _) in &self.rows[self.heads..] {
            next.entry(row.lane).or_insert(row.position());
        }
        let lanes = self.reach.lanes(self.pick).iter();
        lanes.filter_map(move |(lane, _)| {
            let next = next.get(lane).copied();
            (next.is_some() || !self.cut.contains(lane)).then_some((*lane, next))
        })
    }
}

#[cfg(test)]
mod tests {
    use taskyard_core::id::{SlotKey, TaskId};
    use taskyard_core::order::OrderKey;
    use taskyard_core::time::Timestamp;
    use tokio_postgres::types::{FromSql, Type};

    use super::*;

    /// One of this lane that comes at this place in the order of all.
    fn row((lane, place): (i32, i64)) -> (Ready, Tid) {
        let ready = Ready {
            lane: Lane(lane),
            order_key: OrderKey(place),
            slot: SlotKey::only(TaskId::new(Timestamp::default(), 0)),
            has_carry: false,
        };
        (ready, Tid::from_sql(&Type::TID, &[0; 6]).unwrap())
    }

    #[test]
    fn a_lane_that_was_taken_from_to_the_last_row_seen_may_have_more() {
        // Of the first lane nine are looked at, of the others three each.
        let lanes = (1..=8).map(|lane| (Lane(lane), Position::FIRST));
        let pick = Pick {
            lanes: lanes.collect(),
            rows: 8,
        };
        let first = (1..=5).map(|place| (1, place));
        let others = [(2, 6), (2, 7), (2, 8), (3, 20)];
        let rows = first.chain(others).map(row).collect();

        let seen = Seen::sorted(rows, &pick, Reach::of(&pick));

        assert_eq!((seen.heads().len(), seen.is_too_short()), (8, false));
        let next = |lane: i32| seen.goes_on().find(|(other, _)| *other == Lane(lane));
        assert_eq!(next(1), Some((Lane(1), None)));
        assert_eq!(next(2), None, "nobody knows");
        let third = row((3, 20)).0.position();
        assert_eq!(next(3), Some((Lane(3), Some(third))));
    }
}
