//! The engine around the model store, in paused time: what waits, who is woken, and what trouble does to callers.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops where it is"
)]

mod answering;
mod broken;
mod by_hand;
mod damaged;
mod elsewhere;
mod front;
mod hearing;
mod joining;
mod killing;
mod locked;
mod operating;
mod overload;
mod printing;
mod promoting;
mod pruning;
mod resetting;
mod retaining;
mod several;
mod suspects;
mod sweeping;
mod tallying;
mod telling;
mod trouble;
mod under_way;
mod unknown;
mod upkeep;
mod waiting;
mod waking;
mod yard;
