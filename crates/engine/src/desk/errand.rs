//! What a parked claim is woken for: something became ready in a lane, and one of those who serve it has to look.
//!
//! The one that is woken may take something else, be kept for a suspect, fail or go away. Then the errand is for the next
//! one, or what became ready would wait beside a claim that waits for it: where a server has its database for itself,
//! nobody else looks. It ends with whoever takes something of its lane or sees that nothing is left there.

use std::sync::Arc;

use taskyard_core::lane::LaneKey;
use taskyard_core::verbs::claim::Given;

use super::Taken;
use super::line::Number;

#[derive(Clone)]
pub(super) struct Errand {
    pub(super) lane: Arc<LaneKey>,
    /// Only claims that were parked before this one are sent: those that came later have looked since. So no errand goes
    /// round for ever.
    pub(super) before: Number,
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
            left.push(errand.clone());
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
        if let Some(place) = left.iter().position(|errand| errand.lane == run.lane) {
            left.swap_remove(place);
        }
    }
}
