//! Promote: slots whose time has come become ready, or end where no worker is to have their tasks. A pick, so that
//! several servers share the work.

use crate::command::Env;
use crate::moves;
use crate::needs::{Due, Needs};
use crate::refused::Refused;
use crate::view::View;

#[derive(Clone, Copy, Debug)]
pub struct Promote {
    /// At most so many.
    pub limit: usize,
    /// Passes over so many that have been due for longest: they were found to be bad.
    pub skip: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promoted {
    /// As many as the limit: there may be more.
    pub count: usize,
}

impl Promote {
    pub(crate) fn needs(&self, needs: &mut Needs, env: &Env<'_>) {
        needs.due = Some(Due {
            until: env.now,
            rows: self.limit,
            skip: self.skip,
        });
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, view: &View, needs: &mut Needs, env: &Env<'_>) {
        let due = view.due().iter();
        for row in due.filter_map(|slot| view.scheduled.get(slot)) {
            if row.has_carry && !view.carries.knows(&row.slot) {
                needs.carries.push(row.slot);
            }
            let lane = view.lane_key(row.lane, env.lanes);
            let may_be = env.policy.may_refuse(lane.map(|lane| lane.kind.as_str()));
            if may_be && !view.tasks.knows(&row.slot.task) {
                needs.tasks.push(row.slot.task);
            }
        }
    }

    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "every verb answers alike"
    )]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Promoted, Refused> {
        let found = view.due().iter();
        let found = found.filter_map(|slot| view.scheduled.get(slot));
        // Whatever stands before this in its batch may have put it off.
        let due: Vec<_> = found.filter(|row| row.run_at <= env.now).copied().collect();
        let count = due.len();
        for row in due {
            // Those that are not known are of kinds of which none is refused.
            let task = view.tasks.peek(&row.slot.task);
            match task.and_then(|task| moves::refusal_of(view, task, env)) {
                Some(why) => moves::refuse(view, &row, why, env.now),
                None => moves::promote(view, &row),
            }
        }
        Ok(Promoted { count })
    }
}
