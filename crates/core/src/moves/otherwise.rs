//! A slot that waits is made to wait otherwise: for another time, or elsewhere in the order.

use super::{let_go_of, refusal_of, step, take_ready, take_scheduled, wait};
use crate::command::Env;
use crate::id::SlotKey;
use crate::lane::Lane;
use crate::order::{OrderKey, Priority};
use crate::rows::{Carry, Ready, Scheduled, Why};
use crate::slot::{Event, Limits, Place, Slot};
use crate::time::Timestamp;
use crate::view::View;

/// How a slot that waits is to wait from now on.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) run_at: Timestamp,
    pub(crate) priority: Priority,
    /// Somebody named the time.
    pub(crate) is_timed: bool,
}

/// Its carry must have been looked for.
pub(crate) fn move_scheduled(view: &mut View, row: &Scheduled, wish: Wish, env: &Env<'_>) {
    let before = take_scheduled(view, row);
    let why = if wish.is_timed { Why::RunAt } else { row.why };
    wait_otherwise(view, (row.slot, before, row.lane), why, wish, env);
}

/// Its carry must have been looked for.
pub(crate) fn move_ready(view: &mut View, row: &Ready, wish: Wish, env: &Env<'_>) {
    if row.is_suspect() {
        let_go_of(view, row);
    }
    let before = take_ready(view, row);
    let place = (row.slot, before, row.lane.plain());
    wait_otherwise(view, place, Why::RunAt, wish, env);
}

fn wait_otherwise(
    view: &mut View,
    (slot, before, lane): (SlotKey, Slot, Lane),
    why: Why,
    wish: Wish,
    env: &Env<'_>,
) {
    let Wish {
        run_at,
        priority,
        is_timed,
    } = wish;
    // What may be refused is judged when its time comes, and waits for that. What was found to be ready is not judged
    // again, unless it gets another time.
    let is_judged = is_timed || before.place == Place::Scheduled;
    let task = view.tasks.get(&slot.task).filter(|_| is_judged);
    let is_refused = task.is_some_and(|task| refusal_of(view, task, env).is_some());
    let due = run_at <= env.now && !is_refused;
    let place = step(before, Event::Moved { due }, Limits::UNASKED).place;
    let order_key = OrderKey::new(run_at, priority, env.policy.priority_level);
    let carried = view.carries.get(&slot).cloned();
    let suspect_since = carried.as_ref().and_then(|carry| carry.suspect_since);
    let carry = Carry {
        run_at,
        priority,
        order_key,
        // It looks for an empty hand from then on.
        suspect_since: suspect_since.map(|since| since.max(run_at)),
        kept_until: None,
        ..carried.unwrap_or_else(|| Carry::of_nothing(slot))
    };
    view.carries.put(slot, carry);
    wait(view, (slot, lane), place, (run_at, order_key), why);
}
