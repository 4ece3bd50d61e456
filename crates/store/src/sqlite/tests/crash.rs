//! What a crash leaves: everything that was answered. And what a full disk leaves.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::super::log::Hooks;
use super::missing::left_by_a_kill;
use super::*;

/// Set for the process that a test starts and kills.
const VICTIM: &str = "TASKYARD_TEST_VICTIM";

/// What the disk has for certain when a sync ends is what was written when it began: this sync keeps just that.
fn disk_in(dir: &Path, path: &Path) -> (Hooks, Arc<AtomicU32>) {
    let synced = Arc::new(AtomicU32::new(0));
    let (path, dir, count) = (path.to_owned(), dir.to_owned(), Arc::clone(&synced));
    let sync = move |_: &std::fs::File| {
        let place = copy_of(&dir, count.load(Ordering::SeqCst) + 1);
        std::fs::create_dir(place.parent().unwrap())?;
        std::fs::copy(&path, &place)?;
        std::fs::copy(
            path.with_extension("db-wal"),
            place.with_extension("db-wal"),
        )?;
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let hooks = Hooks {
        sync: Box::new(sync),
        // So that nothing moves between the two files while they are copied.
        checkpoint_every: Duration::from_hours(1),
        ..Hooks::default()
    };
    (hooks, synced)
}

fn copy_of(dir: &Path, sync: u32) -> PathBuf {
    dir.join(sync.to_string()).join("tasks.db")
}

#[tokio::test]
async fn a_crash_at_any_moment_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let (hooks, synced) = disk_in(dir.path(), &path);
    let store = SqliteStore::open_with(&path, options(), hooks).unwrap();
    let policy = Policy::default();
    let mut answered = Vec::new();

    for round in 0..12 {
        // One alone is synced where it ran, several by the thread.
        let tasks: Vec<NewTask> = (0..1 + round % 4)
            .map(|serial| task("work", 10 * round + serial, 0))
            .collect();
        let ids = tasks.iter().map(|task| task.id).collect::<Vec<_>>();
        let batches = tasks
            .into_iter()
            .map(|task| vec![submit(vec![task]).into()]);
        for ran in join_all(batches.map(|batch| store.run(batch, &policy))).await {
            ran.unwrap();
        }
        answered.extend(ids);

        let after_the_crash = open(&copy_of(dir.path(), synced.load(Ordering::SeqCst)));

        for id in &answered {
            view(&after_the_crash, *id).await;
        }
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tasks.db");
    let mut victim = Process::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "sqlite::tests::crash::the_process_that_is_killed",
        ])
        .args(["--ignored", "--nocapture"])
        .env(VICTIM, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut answered = Vec::new();
    for line in lines {
        answered.extend(line.unwrap().strip_prefix("answered ").map(str::to_owned));
        if answered.len() == 300 {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();

    let store = open(&path);

    assert!(answered.len() >= 300);
    for id in answered {
        view(&store, id.parse().unwrap()).await;
    }
    let connection = connection::reading(&path).unwrap();
    let whole: String = connection
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
}

/// Submits, and says what was answered, until it is killed. Its log starts over all the time.
#[tokio::test]
#[ignore = "a part of the test above"]
async fn the_process_that_is_killed() {
    let path = PathBuf::from(std::env::var_os(VICTIM).expect("it is started by the test above"));
    let hooks = Hooks {
        checkpoint_every: Duration::from_millis(1),
        log_bytes_max: 256 << 10,
        ..Hooks::default()
    };
    let store = SqliteStore::open_with(&path, options(), hooks).unwrap();
    let policy = Policy::default();
    for serial in (0..).step_by(3) {
        let tasks = [0, 1, 2].map(|step| task("work", serial + step, 0));
        let ids = tasks.each_ref().map(|task| task.id);
        let batches = tasks.map(|task| vec![submit(vec![task]).into()]);
        let ran = join_all(batches.map(|batch| store.run(batch, &policy))).await;
        let mut out = std::io::stdout().lock();
        for (id, ran) in ids.iter().zip(ran) {
            ran.unwrap();
            writeln!(out, "answered {id}").unwrap();
        }
        out.flush().unwrap();
    }
}

/// A small file system of its own; gone when it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this process may not mount one.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Process::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Process::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_reads_go_on_and_it_recovers_by_itself() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: this process may not mount a small disk");
        return;
    };
    let store = open(&disk.0.path().join("tasks.db"));
    let policy = Policy::default();
    let mut stored = 0;
    let batch = |serial: u32| {
        let tasks = (0..100).map(|step| task("work", 100 * serial + step, 0));
        vec![Command::from(submit(tasks.collect()))]
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap();

    let refused = loop {
        match store.run(batch(stored), &policy).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };

    assert!(matches!(refused, Error::Full), "{refused:?}");
    let counts = store.read(Query::Counts).await.unwrap().counts();
    assert_eq!(counts[0].tasks[Status::Pending], i64::from(stored) * 100);
    std::fs::remove_file(ballast).unwrap();
    store.run(batch(stored), &policy).await.unwrap();
    drop(store);
    open(&disk.0.path().join("tasks.db"));
}

#[tokio::test]
async fn a_log_is_missed_also_behind_a_server_that_began_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: this process may not mount a small disk");
        return;
    };
    let path = disk.0.path().join("tasks.db");
    drop(open(&path));
    let ballast = std::fs::File::create(disk.0.path().join("ballast")).unwrap();
    let mut pages = 0;
    while (&ballast).write_all(&[0; 4096]).is_ok() {
        pages += 1;
    }
    // Room for what a start cannot do without, and none for a log.
    let store = loop {
        pages -= 1;
        ballast.set_len(pages * 4096).unwrap();
        if let Ok(store) = SqliteStore::open(&path, options()) {
            break store;
        }
    };
    assert!(!open::has_log(&path));

    ballast.set_len(0).unwrap();
    let submitted = submit(vec![task("work", 1, 0)]).into();
    let ran = store.run(vec![submitted], &Policy::default()).await;

    ran.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let killed = left_by_a_kill(&path, &dir.path().join("killed"));
    drop(store);
    assert_eq!(check(&killed).unwrap(), [] as [&str; 0]);
    std::fs::remove_file(log::of(&killed)).unwrap();
    assert_eq!(check(&killed).unwrap(), [open::LOG_IS_GONE]);
}
