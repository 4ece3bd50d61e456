//! Who of those that wait looks again over what another server has told. The only place that knows.

use taskyard_core::hints::{Hints, Ready, Which};
use taskyard_core::lane::{Lane, Lanes};

use crate::desk::{Caller, Desk};

/// What it means to claims. `unsure` has a lane looked at by the next batch, or all of them, whatever the store remembers.
pub fn hear<C: Caller>(
    hints: &Hints,
    desk: &mut Desk<C>,
    lanes: &Lanes,
    mut unsure: impl FnMut(Option<Lane>),
) {
    match &hints.ready {
        Ready::In(ready) => {
            for (lane, rows) in ready {
                unsure(Some(*lane));
                desk.ready(*lane, *rows, lanes);
            }
        }
        Ready::Anywhere => {
            unsure(None);
            desk.look_anywhere();
        }
    }
    match &hints.told {
        Which::These(workers) => workers.iter().for_each(|worker| desk.told(*worker)),
        Which::Any => desk.look_again(),
    }
}
