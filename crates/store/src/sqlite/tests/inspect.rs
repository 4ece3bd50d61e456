//! What a look into the file finds.

use super::super::file::Part;
use super::*;

/// A database with a task in each place and one that has ended, and the ids in the order: ready, scheduled, leased,
/// ended.
async fn lively(path: &Path) -> (SqliteStore, [TaskId; 4]) {
    let store = open(path);
    let worker = register(&store).await;
    let [ended, leased, ready] = [1, 2, 3].map(|serial| task("work", serial, 0));
    let mut scheduled = task("work", 4, 0);
    scheduled.begin = Begin::At(Timestamp::from_micros(NOON + 1_000_000));
    let ids = [ready.id, scheduled.id, leased.id, ended.id];
    run::<taskyard_core::verbs::submit::Submitted>(
        &store,
        submit(vec![ended, leased, ready, scheduled]),
    )
    .await;
    let first = claim(&store, &worker).await.remove(0);
    run::<taskyard_core::verbs::report::ReportedBack>(&store, completed(&first)).await;
    claim(&store, &worker).await;
    (store, ids)
}

#[tokio::test]
async fn a_sound_database_is_found_sound_beside_a_running_server_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let (store, _) = lively(&path).await;

    assert_eq!(check(&path).unwrap(), Vec::<String>::new());
    drop(store);
    assert_eq!(check(&path).unwrap(), Vec::<String>::new());
    // It left nothing behind that keeps a server away.
    open(&path);
}

#[tokio::test]
async fn each_broken_promise_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let (store, [ready, scheduled, leased, ended]) = lively(&path).await;
    drop(store);
    let [hex_ready, hex_leased, hex_ended] = [ready, leased, ended].map(|id| {
        let bytes: String = id
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("x'{bytes}'")
    });
    let cases = [
        (
            format!("insert into scheduled values (1, {hex_ready}, 0, 1, 0, 1, 0)"),
            vec![
                format!("task {ready} stands in 2 places"),
                "lane 1, status 1: 1 tasks are counted and 2 are there".to_owned(),
            ],
        ),
        (
            "delete from scheduled".to_owned(),
            vec![
                format!("task {scheduled} stands nowhere"),
                "lane 1, status 1: 1 tasks are counted and 0 are there".to_owned(),
            ],
        ),
        (
            format!("insert into ready values (1, 0, {hex_ended}, 0, 0)"),
            vec![
                format!("task {ended} has ended and still stands somewhere"),
                "lane 1, status 2: 1 tasks are counted and 2 are there".to_owned(),
            ],
        ),
        (
            format!("delete from task where id = {hex_leased}"),
            vec![format!("task {leased} does not exist, but has rows")],
        ),
        (
            format!("update task set unique_key = 'k' where id = {hex_ready}"),
            vec![format!("task {ready} has a unique key that is not kept for it")],
        ),
        (
            format!(
                "update task set unique_key = 'k' where id in ({hex_ready}, {hex_ended});
                insert into unique_key values ('default', 'k', {hex_ready}), ('other', 'k', {hex_ended})"
            ),
            vec![format!(
                "task {ended} does not have the unique key that is kept for it"
            )],
        ),
        (
            "insert into minute values (0, 1, 0, 1, 1, 1, 0, 0, 0, 0, x'', x''), (0, 1, 1, 1, 1, 1, 0, 0, 0, 0, x'', x''),
              (0, 1, 77, 1, 1, 1, 0, 0, 0, 0, x'', x'')"
                .to_owned(),
            vec!["lane 77 does not exist, but it is kept what happened there".to_owned()],
        ),
        (
            format!(
                "insert into operation values ({hex_ready}, 1, '{{}}', null, -1, 0, 0, null, 0),
                  ({hex_leased}, 1, '{{\"colour\":1}}', null, 0, 0, 0, null, 0), ({hex_ended}, 1, '{{}}', null, 1, 0, 0, 1, 0)"
            ),
            vec![
                format!("operation {ready} has done -1 tasks and skipped 0"),
                format!("operation {leased} cannot be read: operation.filter cannot be {{\"colour\":1}}"),
            ],
        ),
        (
            format!(
                "update task set input = '{{' where id = {hex_ready}; update task set labels = '1' where id = {hex_ended};
                update lease set checkpoint = cast(x'ff' as text); update outcome set output = '';
                update worker set kinds = '{{}}'; update lane set demands = 'gpu'"
            ),
            vec![
                "what lane 1 requires cannot be read: damaged JSON".to_owned(),
                "the kinds of worker w cannot be read: damaged JSON".to_owned(),
                format!("the input of task {ready} cannot be read: damaged JSON"),
                format!("the labels of task {ended} cannot be read: damaged JSON"),
                format!("the checkpoint of task {leased} cannot be read: damaged JSON"),
                format!("the output of task {ended} cannot be read: damaged JSON"),
            ],
        ),
        (
            format!(
                "update task set origin = 99 where id = {hex_ready}; update task set timeout = -1 where id = {hex_ended};
                update task set unique_key = cast(x'ff' as text) where id = {hex_leased};
                insert into unique_key select 'default', unique_key, id from task where id = {hex_leased}"
            ),
            vec![
                format!("task {ended} cannot be read: a duration in timeout cannot be -1"),
                format!(
                    "task {leased} cannot be read: a value in unique_key cannot be this: invalid utf-8 sequence of 1 bytes \
                     from index 0"
                ),
                format!("task {ready} cannot be read: task.origin cannot be 99"),
            ],
        ),
        (
            "insert into queue (name, paused, timeout) values ('a', 0, -5); insert into queue (name, paused, max_attempts) values
              ('b', 0, -5); insert into queue (name, paused, backoff, backoff_factor, backoff_max, backoff_jitter) values
              ('c', 0, -1, 2, 1, 0); insert into queue (name, paused, retains, completed_life) values ('d', 0, 1, -1);
            update worker set capacity = 5000000000; 
            insert into minute values (0, 7, 1, 1, 1, 1, 0, 0, 0, 0, x'ff', x'')"
                .to_owned(),
            vec![
                "queue a cannot be read: a duration in queue.timeout cannot be -5".to_owned(),
                "queue b has max_attempts -5".to_owned(),
                "queue c cannot be read: a duration in queue.backoff cannot be -1".to_owned(),
                "queue d cannot be read: a duration in queue.completed_life cannot be -1".to_owned(),
                "worker w cannot be read: a value in capacity cannot be 5000000000".to_owned(),
                "what happened on lane 1 in minute 7 cannot be read: buckets of durations in waits cannot be these bytes"
                    .to_owned(),
            ],
        ),
        // What cannot be read itself is named as well as it can be, and what is wrong behind it too.
        (
            format!(
                "update task set id = x'0102' where id = {hex_ready}; update ready set task = x'0102';
                insert into operation values (x'03', 1, '{{}}', null, 0, 0, 0, null, 0);
                update worker set name = cast(x'77ff' as text);
                insert into lane (number, queue, kind, demands) values (5000000000, 'q', 'k', 'gpu');
                update outcome set output = ''"
            ),
            vec![
                "operation x'03' cannot be read: a value in id cannot be this: Cannot read 16 byte value out of 1 byte blob"
                    .to_owned(),
                "what lane 5000000000 requires cannot be read: that is no lane's number".to_owned(),
                "the name of worker x'77ff' cannot be read".to_owned(),
                "the input of task x'0102' cannot be read: that is no task's id".to_owned(),
                format!("the output of task {ended} cannot be read: damaged JSON"),
            ],
        ),
        (
            "update ready set lane = -1; update lane set kind = cast(x'6bff' as text)".to_owned(),
            vec![
                "the queue or the kind of lane 1 cannot be read".to_owned(),
                format!("task {ready} waits as a suspect, but brings nothing along that says why"),
            ],
        ),
        (
            "pragma ignore_check_constraints = on; update outcome set status = 5000000000"
                .to_owned(),
            vec![
                "lane 1, status 5: 1 tasks are counted and 0 are there".to_owned(),
                "lane 1, status 5000000000: 0 tasks are counted and 1 are there".to_owned(),
                format!("what outcome holds of task {ended} cannot be read: a value in status cannot be 5000000000"),
            ],
        ),
        // A claim, a report, a registration or a start fails over each of these.
        (
            format!(
                "update meta set given_before = 5000000000; insert into server values (5000000000, 0, 0);
                update ready set slot = 70000; update scheduled set slot = 70000; update lease set epoch = 5000000000;
                update outcome set attempts = 5000000000;
                insert into attempt values ({hex_leased}, 0, 5000000000, 1, 1, 0, 0, 0, 1, null, null, null);
                insert into late_result values ({hex_ended}, 70000, 1, 0, 1, null, null, null, null)"
            ),
            vec![
                "what numbers workers were given before cannot be read: a value in given_before cannot be 5000000000"
                    .to_owned(),
                "server 5000000000 cannot be read: a value in number cannot be 5000000000".to_owned(),
                format!("what ready holds of task {ready} cannot be read: a value in slot cannot be 70000"),
                format!("what scheduled holds of task {scheduled} cannot be read: a value in slot cannot be 70000"),
                format!("what lease holds of task {leased} cannot be read: a value in epoch cannot be 5000000000"),
                format!("what outcome holds of task {ended} cannot be read: a value in attempts cannot be 5000000000"),
                format!("what attempt holds of task {leased} cannot be read: a value in fence cannot be 5000000000"),
                format!("what late_result holds of task {ended} cannot be read: a value in slot cannot be 70000"),
            ],
        ),
        (
            "update counter set completed = completed + 2".to_owned(),
            vec!["lane 1, status 5: 3 tasks are counted and 1 are there".to_owned()],
        ),
    ];
    for (damage, expected) in cases {
        let copy = dir.path().join("copy.db");
        for part in Part::ALL {
            std::fs::copy(part.of(&path), part.of(&copy)).unwrap();
        }
        let connection = Connection::open(&copy).unwrap();
        connection.execute_batch(&damage).unwrap();
        drop(connection);

        assert_eq!(check(&copy).unwrap(), expected, "after {damage}");
    }
}

#[test]
fn a_start_that_a_row_refuses_names_its_column_and_what_names_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(open(&path));
    let connection = Connection::open(&path).unwrap();
    let harm = "insert into queue (name, paused, timeout) values ('q', 0, -5)";
    connection.execute_batch(harm).unwrap();
    drop(connection);

    let refused = SqliteStore::open(&path, options()).err().unwrap();

    assert!(matches!(refused, OpenError::Unreadable { .. }));
    let said = refused.to_string();
    for part in [
        "tasks.db",
        "a duration in queue.timeout cannot be -5",
        "taskyard db check",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_damaged_page_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    drop(lively(&path).await);
    let mut bytes = std::fs::read(&path).unwrap();
    let last_page = bytes.len() - 4096;
    bytes[last_page..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();

    // What is wrong with the file is said, or that it cannot be read at all.
    match check(&path) {
        Ok(found) => assert!(!found.is_empty()),
        Err(error) => assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
    }
}

/// Fills the page at which the table of tasks begins, which an open store has not read yet, with something else.
fn damage_tasks(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let page = "select rootpage from sqlite_schema where name = 'task'";
    let page: u32 = connection.query_row(page, [], |row| row.get(0)).unwrap();
    drop(connection);
    let end = page as usize * 4096;
    let mut bytes = std::fs::read(path).unwrap();
    bytes[end - 4096..end].fill(0x5a);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn damage_that_is_met_is_told_until_the_end_and_nothing_more_is_written() {
    for is_met_by_a_read in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tasks.db");
        let (store, worker) = lively(&path).await;
        drop((store, worker));
        damage_tasks(&path);
        let store = open(&path);
        assert!(store.read(Query::Ping).await.is_ok());
        let batch = || vec![submit(vec![task("work", 99, 0)]).into()];

        let met = if is_met_by_a_read {
            let met = store.read(Query::Task(task("work", 1, 0).id)).await;
            met.map(|_| ())
        } else {
            let met = store.run(batch(), &Policy::default()).await;
            met.map(|_| ())
        };
        assert!(matches!(met, Err(Error::Damaged(_))), "{met:?}");

        for _ in 0..2 {
            let ping = store.read(Query::Ping).await;
            assert!(matches!(ping, Err(Error::Damaged(_))), "{ping:?}");
        }
        let written = store.run(batch(), &Policy::default()).await;
        assert!(matches!(written, Err(Error::Damaged(_))), "{written:?}");
        // What is whole can still be read.
        assert!(store.read(Query::Counts).await.is_ok());
    }
}

#[tokio::test]
async fn stats_count_every_table_and_the_bytes_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let (store, _) = lively(&path).await;

    let beside = stats(&path).unwrap();

    let rows = |name: &str| {
        beside
            .tables
            .iter()
            .find(|(table, _)| table == name)
            .unwrap()
            .1
    };
    assert_eq!(
        (rows("task"), rows("outcome"), rows("lease"), rows("ready")),
        (4, 1, 1, 1)
    );
    assert_eq!(beside.schema, open::SCHEMA);
    assert_eq!(beside.incarnation, store.incarnation());
    let connection = connection::reading(&path).unwrap();
    let mut names = connection
        .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name")
        .unwrap();
    let mut names: Vec<String> = names
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    names.extend(["log_chunk".to_owned(), "log_run".to_owned()]);
    names.sort_unstable();
    assert_eq!(
        beside
            .tables
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>(),
        names
    );
    let database = path.metadata().unwrap().len();
    assert!(beside.bytes > database, "the log counts");
}

#[test]
fn what_is_not_there_or_not_ours_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (none, theirs) = (dir.path().join("none.db"), dir.path().join("theirs.db"));
    let connection = Connection::open(&theirs).unwrap();
    connection
        .execute_batch("create table cakes (name text)")
        .unwrap();

    assert!(matches!(check(&none), Err(OpenError::Io { .. })));
    let copy = dir.path().join("copy.db");
    let said = [
        check(&theirs).unwrap_err().to_string(),
        stats(&theirs).unwrap_err().to_string(),
        backup(&theirs, &copy, false).unwrap_err().to_string(),
    ];
    let expected = format!(
        "{} is a database of some other program; nothing in it was changed. Name another file",
        theirs.display()
    );
    assert_eq!(said, [&*expected; 3]);
    assert!(!none.exists() && !copy.exists());
}
