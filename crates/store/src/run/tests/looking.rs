//! Where lanes are looked at from, and how often from their very beginning.

use taskyard_core::lane::Learned;
use taskyard_core::order::{OrderKey, Position};

use super::*;
use crate::run::looks::{DEAR, SHARE, WITHIN};

const LANE: Lane = Lane(1);
/// Of which nothing is known but that it is there.
const OTHER: Lane = Lane(2);

/// From there the one lane is looked at where it cannot be looked through.
const SHORTLY_BEFORE: Position = Position {
    order_key: OrderKey(5 - 250_000),
    ..Position::FIRST
};

fn at(key: i64) -> Position {
    Position {
        order_key: OrderKey(key),
        ..Position::FIRST
    }
}

/// Knows where the one lane begins.
fn memory() -> Memory {
    let memory = Memory::default();
    let key = |kind: &str| {
        Arc::new(LaneKey {
            queue: Name::path("default").unwrap(),
            kind: Name::path(kind).unwrap(),
            demands: Demands::default(),
        })
    };
    memory.learn([(LANE, key("a")), (OTHER, key("b"))]);
    let mut borrowed = memory.heads(NOON);
    for learned in [Learned::StartsAt(LANE, at(5)), Learned::Emptied(LANE)] {
        borrowed.heads.learn(learned);
    }
    drop(borrowed);
    memory
}

/// From where the lane is looked at when somebody may have put something there.
fn looks_from(
    memory: &Memory,
    lane: Lane,
    doubted: Option<Lane>,
    now: Timestamp,
) -> Option<Position> {
    memory.unsure(doubted);
    let mut borrowed = memory.heads(now);
    let first = borrowed.heads.first(lane);
    // As if nothing was found.
    borrowed.heads.learn(Learned::Emptied(lane));
    first
}

fn looked(memory: &Memory, took: Duration, now: Timestamp) {
    memory.looks.lock().took(took, now);
}

#[test]
fn a_dear_look_from_the_beginning_is_not_soon_done_again() {
    let memory = memory();
    let took = Duration::from_millis(100);
    looked(&memory, took, NOON);
    looked(&memory, took, NOON);
    let again = NOON + took * SHARE;

    for doubted in [None, Some(LANE)] {
        let just_before = Timestamp::from_micros(again.as_micros() - 1);
        let first = looks_from(&memory, LANE, doubted, just_before);
        assert_eq!(first, Some(SHORTLY_BEFORE), "where it was found to begin");
        let first = looks_from(&memory, LANE, doubted, again);
        assert_eq!(first, Some(Position::FIRST));
        assert_eq!(
            looks_from(&memory, OTHER, None, NOON),
            Some(Position::FIRST),
            "nothing is known of it"
        );
    }
}

#[test]
fn however_dear_a_look_is_what_stands_before_the_known_beginning_is_found_within_a_time() {
    let memory = memory();
    for _ in 0..3 {
        looked(&memory, Duration::from_hours(1), NOON);
    }
    let just_before = Timestamp::from_micros((NOON + WITHIN).as_micros() - 1);
    assert_eq!(
        looks_from(&memory, LANE, None, just_before),
        Some(SHORTLY_BEFORE)
    );
    assert_eq!(
        looks_from(&memory, LANE, None, NOON + WITHIN),
        Some(Position::FIRST)
    );
    // A clock that is set back holds nobody up.
    let before = Timestamp::from_micros(NOON.as_micros() - 3_600_000_000);
    assert_eq!(
        looks_from(&memory, LANE, None, before),
        Some(Position::FIRST)
    );
}

#[test]
fn a_look_that_stood_still_once_makes_none_dear() {
    let memory = memory();
    looked(&memory, Duration::ZERO, NOON);
    looked(&memory, Duration::from_secs(5), NOON);
    looked(&memory, Duration::ZERO, NOON);

    assert_eq!(looks_from(&memory, LANE, None, NOON), Some(Position::FIRST));
}

#[test]
fn only_looks_before_a_known_beginning_count() {
    for (lane, first, may) in [
        (LANE, Position::FIRST, false),
        (LANE, at(5), true),
        (OTHER, Position::FIRST, true),
    ] {
        let memory = memory();
        // Each load takes as long as it may without its rows being old.
        let clock = Mutex::new(NOON);
        let time = || {
            let mut now = clock.lock();
            *now = *now + OLD / 4;
            *now
        };
        for _ in 0..2 {
            memory.heads(NOON).heads.learn(Learned::Added(lane, first));
            let (commands, policy) = ([claims(1)], Policy::default());
            let (mut told, mut random) = (told(|_, _| Ok(()), Ok(())), Seeded::new(1));
            let running = run(&mut told, &memory, &commands, &policy, &time, &mut random);
            running.now_or_never().expect("nothing waits here").unwrap();
        }
        let now = *clock.lock();
        assert_eq!(memory.looks.lock().may(now), may, "{lane:?} {first:?}");
    }
}

#[test]
fn looks_that_take_moments_are_never_put_off() {
    let memory = memory();
    for _ in 0..100 {
        looked(&memory, DEAR, NOON);
    }
    assert_eq!(looks_from(&memory, LANE, None, NOON), Some(Position::FIRST));
}

/// Whoever told of the one lane may not tell again.
#[test]
fn a_lane_whose_look_had_to_wait_is_looked_through_as_soon_as_any_may_be() {
    let memory = memory();
    looks_from(&memory, OTHER, Some(OTHER), NOON);
    let mut borrowed = memory.heads(NOON);
    borrowed.heads.learn(Learned::StartsAt(OTHER, at(7)));
    drop(borrowed);
    for _ in 0..2 {
        looked(&memory, Duration::from_hours(1), NOON);
    }
    assert_eq!(
        looks_from(&memory, LANE, Some(LANE), NOON),
        Some(SHORTLY_BEFORE)
    );
    memory.unsure(Some(OTHER));

    let borrowed = memory.heads(NOON + WITHIN);

    for lane in [LANE, OTHER] {
        assert_eq!(
            borrowed.heads.first(lane),
            Some(Position::FIRST),
            "{lane:?}"
        );
    }
}
