//! Lines that come at once, of which some cannot be kept.

use taskyard_core::id::{Fence, SlotKey};
use taskyard_core::log::{Append, Limits, Line, Owner, Stream};

use super::super::file::Part;
use super::*;

fn line_of(serial: u32) -> Append {
    let id = task("work", serial, 0).id;
    Append {
        owner: Owner {
            run: SlotKey::only(id).run(Fence(1)),
            attempt: 1,
            claimed_at: Timestamp::default(),
        },
        first: None,
        lines: vec![Line {
            at: Timestamp::default(),
            stream: Stream::Stdout,
            text: "printed".to_owned(),
        }],
        limits: Limits {
            bytes_max: 1000,
            line_bytes_max: 100,
        },
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_keeps_none_of_the_other_lines_away() {
    let place = Place::new();
    let path = place.path("tasks.db");
    let store = open(&path);
    store.logs().append(line_of(2)).await.unwrap();
    let by_hand = Connection::open(Part::Logs.of(&path)).unwrap();
    by_hand
        .execute_batch("update log_run set bytes = -1")
        .unwrap();

    // What comes while the first is written is taken together.
    let appends = (0..100).map(|serial| store.logs().append(line_of(serial % 4)));
    let appended = join_all(appends).await;

    for (serial, appended) in appended.iter().enumerate() {
        if serial % 4 == 2 {
            assert!(matches!(appended, Err(Error::Unreadable(_))));
        } else {
            assert!(appended.is_ok(), "{serial}: {appended:?}");
        }
    }
}
