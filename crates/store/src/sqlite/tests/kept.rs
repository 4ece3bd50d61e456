//! What is kept of rows in memory is what the last commit left.

use taskyard_core::verbs::submit::Submitted;
use taskyard_core::view::Change;

use super::*;
use crate::sqlite::kept::Rows;

/// A key, and what stands behind it; what is negative is not worth it.
type Row = (u8, i32);

fn rows(max: usize) -> Rows<u8, Row> {
    Rows::new(max, |(key, _)| *key, |(_, value)| *value >= 0)
}

/// What is at hand of the keys 1 to 4, and which of them would be read.
fn look(rows: &Rows<u8, Row>) -> (Vec<Row>, Vec<u8>) {
    let mut found = Vec::new();
    let missing = rows.at_hand([1, 2, 3, 4].iter(), |_, row| found.push(row));
    (found, missing.into_iter().copied().collect())
}

#[test]
fn rows_are_kept_as_they_were_last_written() {
    let rows = rows(10);
    rows.keep(&(1, 10));
    rows.committed(&[
        Change::Insert((2, 20)),
        Change::Insert((3, 30)),
        Change::Update {
            before: (1, 10),
            after: (1, 11),
        },
        Change::Delete((3, 30)),
    ]);
    assert_eq!(look(&rows), (vec![(1, 11), (2, 20)], vec![3, 4]));
}

#[test]
fn one_that_is_no_longer_worth_it_is_read_again() {
    let rows = rows(10);
    rows.keep(&(1, 10));
    rows.committed(&[Change::Update {
        before: (1, 10),
        after: (1, -1),
    }]);
    assert_eq!(look(&rows), (vec![], vec![1, 2, 3, 4]));
}

#[test]
fn where_there_are_too_many_all_are_read_again() {
    let rows = rows(2);
    for key in 1..=3 {
        rows.keep(&(key, 0));
    }
    assert_eq!(look(&rows), (vec![(3, 0)], vec![1, 2, 4]));
    rows.keep(&(3, 1));
    rows.keep(&(1, 1));
    assert_eq!(look(&rows), (vec![(1, 1), (3, 1)], vec![2, 4]));
}

#[tokio::test]
async fn what_changes_a_row_that_is_gone_fails_as_a_whole() {
    let place = Place::new();
    let path = place.path("tasks.db");
    let store = open(&path);
    run::<Submitted>(&store, submit(vec![task("work", 1, 0)])).await;
    let worker = register(&store).await;
    let runs = claim(&store, &worker).await;
    // By hand: the lease is kept, so nobody looks for it again.
    let file = Connection::open(&path).unwrap();
    file.execute("delete from lease", []).unwrap();

    let report = completed(&runs[0]).into();
    let ran = store.run(vec![report], &Policy::default()).await.unwrap();

    let answer = &ran.replies[0];
    assert!(matches!(answer, Err(Error::Failed(_))), "{answer:?}");
    let count = "select count(*) from outcome";
    let ended: i64 = file.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(ended, 0);
}
