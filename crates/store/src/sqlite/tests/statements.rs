//! The statements themselves: how they are numbered, which way they go, and the order of the pick.

use std::time::Duration;

use std::collections::HashMap;

use taskyard_core::needs::Pick;
use taskyard_core::order::{OrderKey, Position};

use super::*;

#[test]
fn common_statements_number_their_parameters_as_they_appear() {
    let database = open::in_memory(&mut Seeded::new(1)).unwrap().connection;
    let logs = logs::open::in_memory(&[0; 16]).unwrap();
    let all = sql::ALL.iter().map(|(_, text)| (&database, text));
    for (database, text) in all.chain(sql::LOGS.iter().map(|(_, text)| (&logs, text))) {
        let statement = database
            .prepare(text)
            .unwrap_or_else(|error| panic!("{error} in\n{text}"));
        for number in 1..=statement.parameter_count() {
            let name = statement.parameter_name(number).unwrap();
            assert_eq!(&name[1..], number.to_string(), "in\n{text}");
        }
    }
}

/// The plan of a statement in the words of SQLite.
fn plan(database: &Connection, text: &str) -> String {
    let mut statement = database
        .prepare(&format!("explain query plan {text}"))
        .unwrap();
    for number in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(number, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get::<_, String>(3).unwrap());
    }
    steps.join("; ")
}

/// What looks at more than it gives, or sorts it, and why it may.
const EXCEPTIONS: [(&[&str], &str); 9] = [
    (&["stats_rows"], "`db stats` counts everything"),
    (
        &[
            "meta_load",
            "meta_renew",
            "meta_reset",
            "meta_touch",
            "meta_update",
            "worker_last",
        ],
        "`meta` has one row",
    ),
    (
        &["queue_tasks", "server_load"],
        "there is one server, and those whose counters are kept",
    ),
    (
        &[
            "counter_all",
            "counter_most",
            "counter_pending",
            "counter_sum",
            "lane_open",
        ],
        "sums over all lanes, each looked at once",
    ),
    (
        &[
            "lease_held",
            "lease_list",
            "lease_lost",
            "lease_of_worker",
            "lease_takeable",
        ],
        "an index by worker would cost every claim, and what is under way is little",
    ),
    (
        &[
            "operation_open",
            "operation_open_count",
            "queue_list",
            "queue_paused",
        ],
        "all of which something is set, or that are open, which are limited; of the open and the paused by an index \
         that holds no others",
    ),
    (&["scheduled_next"], "the first row in the order of the key"),
    (&["ready_since"], "one row of each lane is sorted"),
    (
        &[
            "worker_count",
            "worker_gone",
            "worker_list",
            "worker_live",
            "worker_staff",
            "worker_view",
        ],
        "all workers are counted or looked through, by an index that leaves out those that are forgotten, and what they \
         hold is counted",
    ),
];

/// The plan, where it goes through a table from end to end, or sorts.
fn slow_plan(database: &Connection, text: &str) -> Option<String> {
    let plan = plan(database, text);
    let steps = || plan.split("; ");
    // What a statement has put together itself is gone through too, and is no table; a table goes by its alias.
    let put_together = |step: &str| {
        let made = step.strip_prefix("CO-ROUTINE ");
        made.or_else(|| step.strip_prefix("MATERIALIZE "))
            .map(str::to_owned)
    };
    let put_together: Vec<String> = steps().filter_map(put_together).collect();
    let is_scan = |step: &str| {
        step.strip_prefix("SCAN ").is_some_and(|scanned| {
            let name = scanned.split(' ').next().unwrap_or_default();
            scanned != "CONSTANT ROW" && !put_together.iter().any(|made| made == name)
        })
    };
    let is_slow = steps().any(is_scan) || plan.contains("TEMP B-TREE");
    is_slow.then_some(plan)
}

#[test]
fn a_table_that_is_gone_through_by_another_name_is_a_slow_plan() {
    let database = open::in_memory(&mut Seeded::new(1)).unwrap().connection;
    let slow = |text| slow_plan(&database, text).is_some();

    assert!(slow("select r.task from ready as r"));
    assert!(slow(
        "select task from (select r.task from ready as r limit 5) as page"
    ));
    assert!(!slow(
        "select task from (select r.task from ready as r where r.lane = $1 limit 5) as page"
    ));
}

/// Each is looked at, so a new one fails until it goes by key or stands among the exceptions.
#[test]
fn statements_go_by_key_and_sort_nothing() {
    let database = open::in_memory(&mut Seeded::new(1)).unwrap().connection;
    let logs = logs::open::in_memory(&[0; 16]).unwrap();
    let all = sql::ALL.iter().map(|named| (&database, named));
    let all = all.chain(sql::LOGS.iter().map(|named| (&logs, named)));
    let mut excused = EXCEPTIONS.map(|(names, _)| names).concat();

    for (database, (name, text)) in all {
        let Some(plan) = slow_plan(database, text) else {
            continue;
        };
        let excuse = excused.iter().position(|excused| excused == name);
        let excuse = excuse.unwrap_or_else(|| panic!("{name} by {plan}:\n{text}"));
        excused.swap_remove(excuse);
    }
    assert!(excused.is_empty(), "{excused:?} need no excuse any more");
}

#[test]
fn picks_merge_many_lanes_in_one_order() {
    let mut random = Seeded::new(3);
    let mut inline = Inline::new(&mut random).unwrap();
    let now = Timestamp::from_micros(NOON);
    let tasks: Vec<NewTask> = (0..300)
        .map(|serial| {
            task(
                &format!("kind-{}", serial % 17),
                serial,
                i64::from(serial * 7919 % 23),
            )
        })
        .collect();
    let mut expected: Vec<(OrderKey, TaskId)> = tasks
        .iter()
        .map(|task| {
            (
                OrderKey::new(now, task.priority, Duration::from_mins(10)),
                task.id,
            )
        })
        .collect();
    expected.sort_unstable();
    let kinds: Vec<_> = tasks
        .iter()
        .map(|task| (task.id, task.lane.clone()))
        .collect();
    let command = submit(tasks).into();
    inline
        .run_blocking(&[command], &Policy::default(), now, &mut random)
        .unwrap();
    let lanes: Vec<_> = inline
        .lanes()
        .iter()
        .map(|(lane, _)| (lane, Position::FIRST))
        .collect();

    let number = |key| inline.lanes().number(key).unwrap();
    let lane_of: HashMap<TaskId, Lane> = kinds.iter().map(|(id, key)| (*id, number(key))).collect();

    for rows in [1, 2, 50, 299, 300, 1000] {
        let wanted = Pick {
            lanes: lanes.clone(),
            rows,
        };
        let found = pick::pick(inline.connection(), &wanted).unwrap();

        let picked: Vec<_> = found
            .rows
            .iter()
            .map(|(row, _)| (row.order_key, row.slot.task))
            .collect();
        assert_eq!(picked, expected[..rows.min(300)]);
        for (lane, next) in found.goes_on {
            let rest = &expected[rows.min(300)..];
            let first = rest.iter().find(|(_, id)| lane_of[id] == lane);
            assert_eq!(
                next.map(|next| (next.order_key, next.slot.task)),
                first.copied(),
                "of {lane:?} after {rows}"
            );
        }
    }
}
