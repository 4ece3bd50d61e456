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
    let all = sql::ALL.iter().map(|text| (&database, text));
    for (database, text) in all.chain(sql::LOGS.iter().map(|text| (&logs, text))) {
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

#[test]
fn hot_statements_go_by_key_and_sort_nothing() {
    let hot = [
        sql::READY_PICK,
        sql::READY_LOAD,
        sql::READY_DELETE,
        sql::LEASE_LOAD,
        sql::LEASE_UPDATE,
        sql::LEASE_DELETE,
        sql::SCHEDULED_DUE,
        sql::SCHEDULED_LOAD,
        sql::SCHEDULED_DELETE,
        sql::TASK_LOAD,
        sql::TASK_INPUT,
        sql::OUTCOME_LOAD,
        sql::CARRY_LOAD,
        sql::WORKER_BY_NAME,
        sql::IDEMPOTENCY_OLD,
        sql::TASK_VIEW,
        sql::TASK_HOLDER,
        sql::TASK_KNOWN,
        sql::LANE_BEFORE,
        sql::LANE_BEYOND,
        sql::LANE_NAMED,
        sql::LANE_OF_KIND,
        sql::LANE_OF_QUEUE,
        sql::MINUTE_LIST,
        sql::OPERATION_BY_ID,
        sql::OPERATION_LIST,
        sql::QUEUE_PAGE,
        sql::READY_BEFORE,
        sql::WORKER_NUMBER,
    ];
    let database = open::in_memory(&mut Seeded::new(1)).unwrap().connection;
    let logs = logs::open::in_memory(&[0; 16]).unwrap();
    let hot = hot.map(|text| (&database, text)).into_iter();
    for (database, text) in hot.chain(sql::LOGS.iter().map(|text| (&logs, *text))) {
        // What is counted up to a limit is found by key; to count it is no scan of a table.
        let plan = plan(database, text).replace("SCAN before", "");
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{plan} for\n{text}"
        );
    }
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
