//! Lines that come at once, of which some cannot be kept.

use taskyard_core::id::{Fence, SlotKey};
use taskyard_core::log::{Append, Limits, Line, Owner, Position, Stream, Wanted};

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

#[tokio::test]
async fn lines_of_before_there_were_chunks_are_kept() {
    let place = Place::new();
    let path = place.path("tasks.db");
    drop(open(&path));
    let logs = Part::Logs.of(&path);
    let by_hand = Connection::open(&logs).unwrap();
    let tables = include_str!("../../../migrations/logs/0001_tables.sql");
    let statements = format!(
        "create table kept as select incarnation from meta;
         drop table meta; drop table log_run; drop table log_chunk;
         {tables}
         insert into meta select 1, 1, 1, incarnation from kept; drop table kept;"
    );
    by_hand.execute_batch(&statements).unwrap();
    let id = task("work", 1, 0).id;
    let run = "insert into log_run values (7, ?1, 0, 1, 0, 1, 41, 9, 0)";
    by_hand.execute(run, [id.as_bytes()]).unwrap();
    // Without two of them; no two alike.
    for seq in (1..=40).filter(|seq| ![5, 30].contains(seq)) {
        by_hand
            .execute(
                "insert into log_line values (7, ?1, ?1 + 100, ?1 % 3 + 1, '\"' || ?1 || char(27) || '日')",
                [seq],
            )
            .unwrap();
    }
    drop(by_hand);

    let store = open(&path);
    let wanted = Wanted {
        task: id,
        after: Position::default(),
        attempt: None,
        stream: None,
        limit: 100,
    };
    let page = store.logs().page(wanted).await.unwrap();

    let told: Vec<_> = page
        .lines
        .into_iter()
        .map(|told| {
            let (seq, at) = (told.position.seq, told.line.at.as_micros());
            (seq, at, told.line.stream, told.line.text)
        })
        .collect();
    let streams = [Stream::Stdout, Stream::Stderr, Stream::Worker];
    let expected: Vec<_> = (1..=40u32)
        .filter(|seq| ![5, 30].contains(seq))
        .map(|seq| {
            let stream = streams[seq as usize % 3];
            (
                seq,
                i64::from(seq) + 100,
                stream,
                format!("\"{seq}\u{1b}日"),
            )
        })
        .collect();
    assert_eq!(told, expected);
    assert_eq!(check(&path).unwrap(), Vec::<String>::new());
}
