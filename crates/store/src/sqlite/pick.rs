//! The pick: the first rows over several lanes in one common order, without looking at more lanes than could matter.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rusqlite::{CachedStatement, Connection, params};
use taskyard_core::lane::Lane;
use taskyard_core::needs::Pick;
use taskyard_core::order::Position;
use taskyard_core::rows::Ready;
use taskyard_core::view::Brief;

use super::fields::{Fields, Read};
use super::{sql, tx};
use crate::rows::place;

/// Inputs up to this many bytes come along; larger ones are read once it is known that they go out.
const INPUT_WITH_PICK_MAX: i64 = 4096;

/// How many rows there is room for before the first is read; the larger ones grow.
const ROWS_AT_ONCE: usize = 256;

type Row = (Ready, Brief);

/// What was picked, and where each lane that was looked into goes on behind that, as far as it is known.
#[derive(Default)]
pub(super) struct Found {
    pub(super) rows: Vec<Row>,
    pub(super) goes_on: Vec<(Lane, Option<Position>)>,
}

/// A lane as far as it was read.
struct Source {
    lane: Lane,
    /// Read and not yet taken.
    ahead: VecDeque<Row>,
    last: Option<Position>,
    ended: bool,
}

/// Merges the lanes by their heads. A lane that was not read yet stands in the order at the lowest position it can
/// have something at, so those that can have nothing early enough are never read.
pub(super) fn pick(connection: &Connection, pick: &Pick) -> Read<Found> {
    let ahead = (2 * pick.rows / pick.lanes.len().max(1)).clamp(1, pick.rows.max(1)) + 1;
    let mut statement = connection.prepare_cached(sql::READY_PICK)?;
    let mut unread = pick.lanes.iter().peekable();
    let mut sources: Vec<Source> = Vec::new();
    let mut heads = BinaryHeap::new();
    let mut picked = Vec::new();
    while picked.len() < pick.rows {
        let next = heads.peek().map(|Reverse((position, _, _))| *position);
        while let Some((lane, first)) =
            unread.next_if(|(_, first)| next.is_none_or(|next| *first <= next))
        {
            // What is not known yet sorts before what is: it is looked at before its equal is taken.
            heads.push(Reverse((*first, false, sources.len())));
            sources.push(Source {
                lane: *lane,
                ahead: VecDeque::new(),
                last: None,
                ended: false,
            });
            if next.is_none() {
                break;
            }
        }
        let Some(Reverse((_, is_known, index))) = heads.pop() else {
            break;
        };
        let source = &mut sources[index];
        if is_known {
            picked.extend(source.ahead.pop_front());
        } else {
            source.read(&mut statement, ahead)?;
        }
        match (source.ahead.front(), source.last) {
            (Some((row, _)), _) => heads.push(Reverse((row.position(), true, index))),
            (None, Some(last)) if !source.ended => heads.push(Reverse((last, false, index))),
            (None, _) => {}
        }
    }
    let goes_on = sources.iter().filter_map(Source::goes_on).collect();
    Ok(Found {
        rows: picked,
        goes_on,
    })
}

impl Source {
    /// Reads on behind the last row.
    fn read(&mut self, statement: &mut CachedStatement<'_>, rows: usize) -> Read<()> {
        let last = self.last.unwrap_or(Position::FIRST);
        let params = params![
            self.lane.0,
            last.order_key.0,
            last.slot.task.as_bytes(),
            last.slot.slot.0,
            tx::limit(rows),
            INPUT_WITH_PICK_MAX
        ];
        self.ahead.reserve(rows.min(ROWS_AT_ONCE));
        for row in statement.query_map(params, |columns| row(&mut Fields::of(columns)))? {
            self.ahead.push_back(row?);
        }
        self.ended = self.ahead.len() < rows;
        self.last = self
            .ahead
            .back()
            .map(|(row, _)| row.position())
            .or(self.last);
        Ok(())
    }

    /// One that was not read, or that was taken from to the last row read, says nothing.
    fn goes_on(&self) -> Option<(Lane, Option<Position>)> {
        let next = self.ahead.front().map(|(row, _)| row.position());
        (next.is_some() || self.ended).then_some((self.lane, next))
    }
}

fn row(fields: &mut Fields<'_>) -> Read<Row> {
    Ok((place::ready(fields)?, place::brief(fields)?))
}
