//! Prints the slot machine as a table and compares it with `docs/task-states.md`, so that the picture cannot lie.
//! `UPDATE=1 cargo test -p taskyard-core` writes the file anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use taskyard_core::refused::Refused;
use taskyard_core::slot::{Counts, Event, Limits, Place, Slot, step};
use taskyard_core::status::Status;

const LIMITS: Limits = Limits {
    max_attempts: 2,
    max_losses: 2,
};

/// Everything an event can lead to from a place: with nothing behind the slot, and just below each limit.
fn cell(place: Place, event: Event) -> String {
    let histories = [
        Counts::default(),
        Counts {
            attempts: 1,
            failures: 1,
            ..Counts::default()
        },
        Counts {
            attempts: 1,
            losses: 1,
            ..Counts::default()
        },
        Counts {
            lost_in_a_row: 1,
            ..Counts::default()
        },
    ];
    let mut seen = BTreeSet::new();
    let mut words = Vec::new();
    for counts in histories {
        let word = match step(Slot { place, counts }, event, LIMITS) {
            Ok(slot) => word(slot.place),
            Err(Refused::AlreadyEnded(_)) => "· already ended".to_owned(),
            Err(Refused::StaleLease) => "· stale lease".to_owned(),
            Err(_) => "· refused".to_owned(),
        };
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    words.join(" or ")
}

fn word(place: Place) -> String {
    match place {
        Place::Ended(status) => format!("**{status}**"),
        other => Place::CASES
            .iter()
            .find(|(place, _)| *place == other)
            .expect("every open place is listed")
            .1
            .to_owned(),
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Where a slot goes\n\nPrinted by `crates/core/tests/rules/task_states.rs` from `slot::step`; a test fails when the two differ.\n\n\
         Rows are what can happen, columns where the slot is. **Bold** words are final: the task has ended so. What\n\
         begins with a dot is refused. Where a cell names several places, the counts decide: failures against\n\
         `max_attempts`, losses against `max_losses`, and leases lost without a report in between, of which the second\n\
         makes the slot suspect. As users see it, ready and suspect are `pending`, leased is `assigned`.\n\n|",
    );
    for (_, place) in Place::CASES {
        write!(page, " | {place}").expect("writing to a string");
    }
    page.push_str(" |\n|---");
    page.push_str(&"|---".repeat(Place::CASES.len()));
    page.push_str("|\n");
    for (event, name) in Event::CASES {
        write!(page, "| *{name}*").expect("writing to a string");
        for (place, _) in Place::CASES {
            write!(page, " | {}", cell(*place, *event)).expect("writing to a string");
        }
        page.push_str(" |\n");
    }
    page
}

#[test]
fn the_documented_table_is_what_the_machine_does() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/task-states.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, page()).unwrap();
    }

    let documented = std::fs::read_to_string(&file).unwrap_or_default();

    assert_eq!(
        documented,
        page(),
        "run with UPDATE=1 and look at the difference"
    );
}

#[test]
fn final_states_are_absorbing() {
    for status in Status::ALL.into_iter().filter(|status| status.is_final()) {
        for (event, _) in Event::CASES {
            let slot = Slot {
                place: Place::Ended(status),
                counts: Counts::default(),
            };

            assert_eq!(
                step(slot, *event, LIMITS),
                Err(Refused::AlreadyEnded(status))
            );
        }
    }
}

#[test]
fn a_task_that_kills_its_workers_at_once_ends_after_a_few_of_them() {
    let limits = Limits {
        max_attempts: 1,
        max_losses: 5,
    };
    let mut slot = Slot {
        place: Place::Ready,
        counts: Counts::default(),
    };
    let mut workers = 0;
    while !matches!(slot.place, Place::Ended(_)) {
        slot = step(slot, Event::Claimed { begin: false }, limits).unwrap();
        slot = step(slot, Event::Lost, limits).unwrap();
        workers += 1;
    }

    assert_eq!((slot.place, workers), (Place::Ended(Status::Failed), 7));
    assert_eq!((slot.counts.failures, slot.counts.losses), (0, 5));
}

#[test]
fn a_neighbour_of_such_a_task_loses_nothing() {
    let limits = Limits {
        max_attempts: 1,
        max_losses: 1,
    };
    let slot = after_two_losses(Event::Claimed { begin: false }, limits);
    assert_eq!(slot.place, Place::Suspect);

    let slot = claimed_and_completed(slot, limits);

    assert_eq!(slot.place, Place::Ended(Status::Completed));
    assert_eq!(
        slot.counts,
        Counts {
            attempts: 1,
            ..Counts::default()
        }
    );
}

#[test]
fn a_neighbour_that_had_begun_is_alone_before_it_has_lost_too_often() {
    let limits = Limits {
        max_attempts: 1,
        max_losses: 3,
    };
    let slot = after_two_losses(Event::Claimed { begin: true }, limits);
    assert_eq!(slot.place, Place::Suspect);

    let slot = claimed_and_completed(slot, limits);

    assert_eq!(slot.place, Place::Ended(Status::Completed));
    assert_eq!(slot.counts.failures, 0);
}

fn after_two_losses(claimed: Event, limits: Limits) -> Slot {
    let mut slot = Slot {
        place: Place::Ready,
        counts: Counts::default(),
    };
    for _ in 0..2 {
        slot = step(slot, claimed, limits).unwrap();
        slot = step(slot, Event::Lost, limits).unwrap();
    }
    slot
}

fn claimed_and_completed(slot: Slot, limits: Limits) -> Slot {
    let slot = step(slot, Event::Claimed { begin: false }, limits).unwrap();
    step(slot, Event::Completed, limits).unwrap()
}
