//! What is kept of rows in memory is what the last commit left.

use taskyard_core::view::Change;

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
