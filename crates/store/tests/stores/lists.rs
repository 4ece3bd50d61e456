//! The shapes that a list can have, and which way its pages go.

use rusqlite::Connection;
use taskyard_core::filter::Filter;
use taskyard_core::name::Name;
use taskyard_core::status::Status;
use taskyard_store::{Known, sqlite};

const PAGE: &str = "page of ";

/// What decides over the statements of a page.
pub(crate) struct Shape {
    pub(crate) filter: Filter,
    pub(crate) known: Known,
    pub(crate) oldest_first: bool,
}

/// Every choice that is made of statuses, lanes, workers and how full the tables are, with each other.
pub(crate) fn shapes() -> Vec<Shape> {
    use Status::{Assigned, Cancelled, Completed, Failed, Pending, Scheduled, Timeout};
    let statuses: [&[Status]; 10] = [
        &[],
        &[Pending],
        &[Scheduled],
        &[Assigned],
        &[Completed],
        &[Failed],
        &[Failed, Timeout, Cancelled],
        &[Pending, Failed],
        &[Assigned, Completed],
        &Status::ALL,
    ];
    // None that it names; one; a few; too many to walk each; too many to tell apart.
    let lanes = [None, Some(1), Some(30), Some(50), Some(1001)];
    let mut shapes = Vec::new();
    for statuses in statuses {
        for lanes in lanes {
            for worker in [None, Some(7)] {
                for is_crowded in [false, true] {
                    for oldest_first in [false, true] {
                        let kind = lanes.map(|_| Name::plain("kind").unwrap());
                        let filter = Filter {
                            statuses: statuses.to_vec(),
                            kind,
                            worker: worker.map(|_| Name::plain("worker").unwrap()),
                            ..Filter::default()
                        };
                        let lanes = lanes.map(|lanes| (1..=lanes).collect());
                        shapes.push(Shape {
                            filter,
                            known: Known {
                                lanes,
                                worker,
                                is_crowded,
                            },
                            oldest_first,
                        });
                    }
                }
            }
        }
    }
    shapes
}

impl Shape {
    pub(crate) fn name(&self) -> String {
        let Known {
            lanes,
            worker,
            is_crowded,
        } = &self.known;
        let reads_small = self.filter.statuses.iter().any(|status| {
            let is_unordered = matches!(status, Status::Pending | Status::Scheduled);
            is_unordered && !is_crowded && worker.is_none()
        });
        let small = if reads_small { " small" } else { "" };
        let lanes = lanes.as_ref().map(Vec::len);
        let statuses = &self.filter.statuses;
        let order = self.oldest_first;
        format!(
            "{PAGE}{statuses:?}, lanes {lanes:?}, worker {worker:?}, crowded {is_crowded}, oldest first {order}{small}"
        )
    }
}

pub(crate) fn is_page(name: &str) -> bool {
    name.starts_with(PAGE)
}

/// Whether it reads a table whole that no index has in the order of ids; only where it holds few rows.
pub(crate) fn is_small(name: &str) -> bool {
    is_page(name) && name.ends_with("small")
}

#[test]
fn pages_of_sqlite_go_by_index_and_sort_nothing() {
    let database = Connection::open_in_memory().unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let tables = std::fs::read_to_string(file).unwrap();
        database.execute_batch(&tables).unwrap();
    }

    let mut looked_at = 0;
    for shape in shapes() {
        for text in sqlite::list_statements(&shape.filter, &shape.known, shape.oldest_first) {
            let reads_whole = text.contains("from ready") || text.contains("from scheduled");
            let (name, plan) = (shape.name(), plan(&database, &text));
            assert!(!reads_whole || is_small(&name), "{name} by\n{text}");
            let is_slow = plan.contains("SCAN") || plan.contains("TEMP B-TREE");
            assert!(!is_slow || reads_whole, "{name}: {plan} for\n{text}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 500, "{looked_at}");
}

/// In the words of SQLite.
fn plan(database: &Connection, text: &str) -> String {
    let explained = database.prepare(&format!("explain query plan {text}"));
    let mut statement = explained.unwrap();
    let ids = [[0_u8; 16], [u8::MAX; 16]];
    let params = [&ids[0][..], &ids[1][..]];
    let steps = statement.query_map(params, |row| row.get::<_, String>(3));
    let steps: Result<Vec<String>, _> = steps.unwrap().collect();
    steps.unwrap().join("; ")
}
