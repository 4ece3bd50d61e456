//! What a parked claim is woken for: something became ready, and one of those who could take it has to look.
//!
//! The one that is woken may take something else, be kept for a suspect, fail or go away. Then the errand is for the next
//! one, or what became ready would wait beside a claim that waits for it: where a server has its database for itself,
//! nobody else looks. It ends with whoever takes something of its lane or sees that nothing is left there.

use std::sync::Arc;

use taskyard_core::lane::LaneKey;
use taskyard_core::verbs::claim::Given;
use taskyard_core::worker::Profile;

use super::Taken;
use super::line::Number;

/// Of those who look where something may be ready, each that leaves something sends so many: what is there may be for all.
const SENT_ON: usize = 2;

#[derive(Clone)]
pub(super) struct Errand {
    pub(super) for_whom: ForWhom,
    /// Only claims that were parked before this one are sent: those that came later have looked since. So no errand goes
    /// round for ever.
    pub(super) before: Number,
}

#[derive(Clone)]
pub(super) enum ForWhom {
    /// Something became ready in this lane.
    ServesLane(Arc<LaneKey>),
    /// Nobody knows whether anything did. Claims of workers that are alike would all see the same, so one of them looks.
    IsAlike(Arc<Profile>),
}

/// The errands of a batch that are still to be done. A claim that `waits_on` and looks again keeps its own.
pub(super) fn left<C>(
    claims: &[Taken<C>],
    hands: &[Given],
    waits_on: impl Fn(&Taken<C>, &Given) -> bool,
) -> Vec<Errand> {
    let mut left: Vec<Errand> = Vec::new();
    for (taken, hand) in claims.iter().zip(hands) {
        let Some(errand) = &taken.errand else {
            continue;
        };
        let (is_dry, is_kept) = match hand {
            Ok(Ok(hand)) => (hand.dry, hand.waits_for_hand),
            Ok(Err(_)) | Err(_) => (false, false),
        };
        let looks_again = !is_dry && waits_on(taken, hand);
        // Whose worker is kept for a suspect has left what there is, whatever it saw.
        if is_kept || !(is_dry || looks_again) {
            let times = match errand.for_whom {
                ForWhom::ServesLane(_) => 1,
                ForWhom::IsAlike(_) => SENT_ON,
            };
            left.extend(std::iter::repeat_n(errand, times).cloned());
        }
    }
    if !left.is_empty() {
        strike_off(&mut left, hands);
    }
    left
}

/// Each run that was dealt is what one of them was for.
fn strike_off(left: &mut Vec<Errand>, hands: &[Given]) {
    for run in hands.iter().flatten().flatten().flat_map(|hand| &hand.runs) {
        let is_of = |errand: &Errand| match &errand.for_whom {
            ForWhom::ServesLane(lane) => *lane == run.lane,
            ForWhom::IsAlike(_) => false,
        };
        if let Some(place) = left.iter().position(is_of) {
            left.swap_remove(place);
        }
    }
}
