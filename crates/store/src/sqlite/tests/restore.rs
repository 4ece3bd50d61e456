//! What the power leaves that is cut between two steps of a restore, and what becomes of logs.

use std::io;
use std::os::unix::fs::MetadataExt;

use taskyard_core::id::{Fence, SlotKey};
use taskyard_core::log::{Append, Limits, Line, Owner, Stream};

use super::super::backup::{BackupError, LogsCopied, backup};
use super::super::file::{JOURNAL, LOG, Part, named};
use super::super::restore::{Step, finish_by_steps, restore, restore_by_steps};
use super::missing::{HALF_A_CHANGE, of_table};
use super::*;

impl Place {
    /// A database of so many tasks, each with a line that it printed. Its server was killed: what it wrote is in its log.
    async fn killed(&self, name: &str, tasks: u32) -> PathBuf {
        let (at_work, killed) = (self.path("at-work.db"), self.path(name));
        let store = open(&at_work);
        for serial in 0..tasks {
            submit_and_print(&store, serial).await;
        }
        for part in Part::ALL {
            for suffix in ["", "-wal", "-shm"] {
                let [from, to] = [&at_work, &killed].map(|path| named(&part.of(path), suffix));
                std::fs::copy(from, to).unwrap();
            }
        }
        drop(store);
        for suffix in ["", ".lock", ".logs"] {
            std::fs::remove_file(named(&at_work, suffix)).unwrap();
        }
        killed
    }

    /// The same, but for a change of either file that was cut short in place of a log.
    async fn half_changed(&self, name: &str, tasks: u32) -> PathBuf {
        let (whole, cut_short) = (self.killed("whole.db", tasks).await, self.path(name));
        for part in Part::ALL {
            let changing = Connection::open(part.of(&whole)).unwrap();
            changing.execute_batch(HALF_A_CHANGE).unwrap();
            for suffix in ["", JOURNAL] {
                let [from, to] = [&whole, &cut_short].map(|path| named(&part.of(path), suffix));
                std::fs::copy(from, to).unwrap();
            }
        }
        cut_short
    }

    /// A backup of such a database.
    async fn kept(&self, tasks: u32) -> PathBuf {
        let (from, kept) = (self.killed("from.db", tasks).await, self.path("kept.db"));
        let taken = backup(&from, &kept, false).unwrap();
        assert_eq!(taken.logs, LogsCopied::Whole);
        kept
    }
}

async fn submit_and_print(store: &SqliteStore, serial: u32) {
    let task = task("work", serial, 0);
    let id = task.id;
    run::<taskyard_core::verbs::submit::Submitted>(store, submit(vec![task])).await;
    let append = Append {
        owner: Owner {
            run: SlotKey::only(id).run(Fence(1)),
            attempt: 1,
            claimed_at: taskyard_core::time::Timestamp::default(),
        },
        first: None,
        lines: vec![Line {
            at: taskyard_core::time::Timestamp::default(),
            stream: Stream::Stdout,
            text: format!("line of {serial}"),
        }],
        limits: Limits {
            bytes_max: 1000,
            line_bytes_max: 100,
        },
    };
    store.logs().append(append).await.unwrap();
}

/// How many tasks, and how many lines of logs.
fn holds(path: &Path) -> (i64, i64) {
    let tables = stats(path).unwrap().tables;
    let rows = |name: &str| {
        let found = tables.iter().find(|(table, _)| table == name);
        found.map_or(-1, |(_, rows)| *rows)
    };
    (rows("task"), rows("log_chunk"))
}

fn cut() -> BackupError {
    BackupError::Write {
        path: PathBuf::new(),
        source: io::Error::other("the power was cut"),
    }
}

/// Stops at the n-th step, if there are as many; the step.
fn stop_at(n: usize, kept: &Path, tasks: &Path, aside: &Path) -> Option<Step> {
    let (mut count, mut last) = (0, None);
    let stopped = restore_by_steps(kept, tasks, aside, &mut Seeded::new(7), &mut |step| {
        count += 1;
        last = Some(step);
        if count > n { Err(cut()) } else { Ok(()) }
    });
    if stopped.is_err() { last } else { None }
}

#[tokio::test]
async fn a_restore_cut_short_at_any_step_leaves_what_was_or_is_brought_to_its_end() {
    let mut stopped_at = Vec::new();
    loop {
        let place = Place::new();
        let kept = place.kept(1).await;
        let tasks = place.killed("tasks.db", 2).await;
        let (aside, incarnation) = (place.path("aside.db"), stats(&kept).unwrap().incarnation);
        let Some(step) = stop_at(stopped_at.len(), &kept, &tasks, &aside) else {
            break;
        };
        stopped_at.push(step);
        let looked = stats(&tasks);

        if step == Step::Copied {
            assert_eq!(holds(&tasks), (2, 2), "{step:?}");
            assert!(!named(&tasks, ".restored").exists(), "{step:?}");
            continue;
        }
        assert!(
            matches!(looked, Err(OpenError::HalfRestored(_))),
            "{step:?}: {looked:?}"
        );
        // A server starts, which is as good as a second restore or a migration.
        drop(open(&tasks));
        assert_eq!(holds(&tasks), (1, 1), "{step:?}");
        assert_eq!(holds(&aside), (2, 2), "{step:?}");
        assert_ne!(stats(&tasks).unwrap().incarnation, incarnation, "{step:?}");
        for name in [".restored", ".restored.logs", ".restoring"] {
            assert!(!named(&tasks, name).exists(), "{step:?}: {name}");
        }
    }
    let of = |part| {
        [
            Step::MovedJournal(part),
            Step::Moved(part),
            Step::PutAside(part),
            Step::InPlace(part),
        ]
    };
    let all = [
        &[Step::Copied, Step::Noted][..],
        &of(Part::Tasks),
        &of(Part::Logs),
        &[Step::Said],
    ];
    assert_eq!(stopped_at, all.concat());
}

#[tokio::test]
async fn a_log_that_went_with_the_database_it_belonged_to_is_missed_by_nobody() {
    for n in 1.. {
        let place = Place::new();
        let kept = place.kept(1).await;
        let tasks = place.killed("tasks.db", 2).await;
        std::fs::write(named(&tasks, ".lock"), "running\n").unwrap();
        let stopped_at = stop_at(n, &kept, &tasks, &place.path("aside.db"));

        let begun = open::file(&tasks, 1 << 20, None, &mut Seeded::new(1));

        let Ok((starting, _opened)) = begun else {
            panic!("nothing is wrong with it");
        };
        assert!(!starting.misses_log(), "{stopped_at:?}");
        if stopped_at.is_none() {
            break;
        }
    }
}

#[tokio::test]
async fn what_is_replaced_behind_a_link_is_kept_beside_the_file_itself() {
    let place = Place::new();
    let kept = place.kept(1).await;
    let elsewhere = place.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let tasks = place.killed("elsewhere/tasks.db", 2).await;
    let link = place.path("link.db");
    std::os::unix::fs::symlink(&tasks, &link).unwrap();

    restore(&kept, &link, &place.path("aside.db"), &mut Seeded::new(2)).unwrap();

    assert!(link.is_symlink());
    let aside = elsewhere.join("aside.db");
    assert_eq!((holds(&tasks), holds(&aside)), ((1, 1), (2, 2)));
}

#[tokio::test]
async fn what_a_restore_would_clear_away_is_no_backup_to_restore() {
    let place = Place::new();
    let tasks = place.killed("tasks.db", 2).await;
    let kept = named(&tasks, ".restored");
    std::fs::rename(place.kept(1).await, &kept).unwrap();

    let refused = restore(&kept, &tasks, &place.path("aside.db"), &mut Seeded::new(2));

    assert!(
        matches!(refused, Err(BackupError::OfBoth(_))),
        "{refused:?}"
    );
    assert_eq!((holds(&tasks), holds(&kept).0), ((2, 2), 1));
}

#[tokio::test]
async fn wherever_a_restore_is_cut_short_a_journal_is_put_back_into_its_own_file_alone() {
    for n in 0.. {
        let place = Place::new();
        let kept = place.kept(1).await;
        let (tasks, aside) = (
            place.half_changed("tasks.db", 2).await,
            place.path("aside.db"),
        );
        let inode = |path: &Path| path.metadata().map(|metadata| metadata.ino()).ok();
        let own = Part::ALL.map(|part| inode(&part.of(&tasks)));

        let stopped_at = stop_at(n, &kept, &tasks, &aside);

        for (part, own) in Part::ALL.into_iter().zip(own) {
            let [there, kept] = [&tasks, &aside].map(|path| part.of(path));
            let stands_beside = |path: &Path| named(path, JOURNAL).exists();
            assert_ne!(
                stands_beside(&there),
                stands_beside(&kept),
                "{stopped_at:?}"
            );
            if stands_beside(&there) {
                assert_eq!(inode(&there), own, "{stopped_at:?}");
            } else {
                assert!([own, None].contains(&inode(&kept)), "{stopped_at:?}");
            }
        }
        // A server starts, and brings it to its end.
        drop(open(&tasks));
        if stopped_at == Some(Step::Copied) {
            assert_sound(&tasks, 2);
            continue;
        }
        assert_sound(&tasks, 1);
        drop(open(&aside));
        assert_sound(&aside, 2);
        if stopped_at.is_none() {
            break;
        }
    }
}

/// It is whole, and has so many tasks and lines, and nothing of a change that was cut short.
fn assert_sound(path: &Path, tasks: i64) {
    assert_eq!(check(path).unwrap(), [""; 0]);
    assert_eq!(holds(path), (tasks, tasks));
    for part in Part::ALL {
        assert_eq!(of_table(&part.of(path), "theirs"), 0);
    }
}

#[tokio::test]
async fn what_stands_beside_a_backup_goes_with_it_when_it_is_replaced() {
    let place = Place::new();
    let (kept, latest) = (place.kept(1).await, place.path("latest.db"));
    let beside = || {
        let all =
            Part::ALL.map(|part| [JOURNAL, LOG].map(|suffix| named(&part.of(&latest), suffix)));
        all.concat()
    };
    for is_killed in [true, false] {
        for is_alone in [true, false] {
            let left = if is_killed {
                place.killed("latest.db", 3).await
            } else {
                place.half_changed("latest.db", 3).await
            };
            assert_eq!(beside().iter().filter(|beside| beside.exists()).count(), 2);
            if is_alone {
                for part in Part::ALL {
                    std::fs::remove_file(part.of(&left)).unwrap();
                }
                let refused = backup(&kept, &latest, false).unwrap_err().to_string();
                let suffix = if is_killed { LOG } else { JOURNAL };
                assert!(
                    refused.contains(&format!("latest.db{suffix} exists already")),
                    "{refused}"
                );
            }

            backup(&kept, &latest, true).unwrap();

            assert!(beside().iter().all(|beside| !beside.exists()));
            assert_sound(&latest, 1);
        }
    }
}

#[tokio::test]
async fn logs_whose_change_was_cut_short_are_not_said_to_be_lost() {
    let place = Place::new();
    let tasks = place.half_changed("tasks.db", 2).await;
    // The tasks are put in order by whoever may write to them.
    assert_eq!(of_table(&tasks, "theirs"), 0);

    let found = check(&tasks).unwrap();

    let [said] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(said.contains("tasks.db.logs-journal"), "{said}");
    assert!(
        said.contains("next server to start") && !said.contains("Moved away"),
        "{said}"
    );
    drop(open(&tasks));
    assert_sound(&tasks, 2);
    // Nor are they taken away where the database is gone.
    let alone = place.half_changed("alone.db", 2).await;
    std::fs::remove_file(&alone).unwrap();
    let refused = SqliteStore::open(&alone, options()).err();
    assert!(
        matches!(refused, Some(OpenError::LogsAlone { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_brings_a_restore_to_its_end_can_be_cut_short_itself() {
    for first in 1..10 {
        let place = Place::new();
        let kept = place.kept(1).await;
        let tasks = place.killed("tasks.db", 2).await;
        let aside = place.path("aside.db");
        assert!(stop_at(first, &kept, &tasks, &aside).is_some());

        for again in 0..5 {
            let mut left = again;
            let mut lock = lock::take(&tasks).unwrap().unwrap();
            let stopped = finish_by_steps(&tasks, &mut lock, &mut |_| {
                left -= 1;
                if left < 0 { Err(cut()) } else { Ok(()) }
            });
            assert!(stopped.is_err() || left >= 0);
        }

        // Another backup is put in place of one that is brought to its end before.
        let later = place.path("later.db");
        restore(&kept, &tasks, &later, &mut Seeded::new(8)).unwrap();
        let all = [&tasks, &later, &aside].map(|path| holds(path));
        assert_eq!(all, [(1, 1), (1, 1), (2, 2)], "{first}");
    }
}

#[tokio::test]
async fn where_nothing_stood_a_restore_cut_short_is_brought_to_its_end_too() {
    for n in 1..10 {
        let place = Place::new();
        let (kept, new) = (place.kept(1).await, place.path("new.db"));
        let stopped = stop_at(n, &kept, &new, &place.path("aside.db"));
        assert!(stopped.is_some(), "{n}");

        drop(open(&new));

        assert_eq!(holds(&new), (1, 1), "{n}");
        assert!(!place.path("aside.db").exists());
    }
}

#[tokio::test]
async fn a_note_that_nobody_wrote_keeps_the_server_away_and_is_named() {
    let place = Place::new();
    let tasks = place.killed("tasks.db", 1).await;
    std::fs::write(named(&tasks, ".restoring"), "do something").unwrap();

    let refused = SqliteStore::open(&tasks, options()).err().unwrap();

    let said = refused.to_string();
    assert!(
        said.contains("tasks.db.restoring") && said.contains("delete it"),
        "{said}"
    );
}

#[tokio::test]
async fn a_backup_of_a_server_at_work_brings_the_logs_back() {
    let place = Place::new();
    let (tasks, kept) = (place.path("tasks.db"), place.path("kept.db"));
    let store = open(&tasks);
    submit_and_print(&store, 1).await;

    let taken = backup(&tasks, &kept, false).unwrap();
    submit_and_print(&store, 2).await;
    drop(store);

    let files = Part::ALL.map(|part| part.of(&kept).metadata().unwrap().len());
    assert_eq!(
        (taken.bytes, taken.logs),
        (files.iter().sum(), LogsCopied::Whole)
    );
    assert_eq!(check(&kept).unwrap(), Vec::<String>::new());
    let aside = place.path("aside.db");
    let logs = restore(&kept, &tasks, &aside, &mut Seeded::new(2)).unwrap();
    assert_eq!(logs, LogsCopied::Whole);
    assert_eq!((holds(&tasks), holds(&aside)), ((1, 1), (2, 2)));
}

#[tokio::test]
async fn logs_never_stand_beside_another_databases_tasks() {
    let place = Place::new();
    let kept = place.kept(1).await;
    std::fs::remove_file(Part::Logs.of(&kept)).unwrap();
    let tasks = place.killed("tasks.db", 2).await;
    let aside = place.path("aside.db");

    // A backup of an older version has none.
    let logs = restore(&kept, &tasks, &aside, &mut Seeded::new(2)).unwrap();

    assert_eq!(logs, LogsCopied::Missing);
    assert_eq!((holds(&tasks), holds(&aside)), ((1, -1), (2, 2)));
    // One that takes the place of another has its own or none.
    let latest = place.path("latest.db");
    backup(&aside, &latest, false).unwrap();
    let taken = backup(&tasks, &latest, true).unwrap();
    assert_eq!(taken.logs, LogsCopied::Missing);
    assert_eq!(holds(&latest), (1, -1));
    std::fs::write(Part::Logs.of(&place.path("new.db")), "a letter").unwrap();
    let refused = backup(&tasks, &place.path("new.db"), false);
    assert!(
        matches!(refused, Err(BackupError::Exists(_))),
        "{refused:?}"
    );
    let itself = backup(&aside, &Part::Logs.of(&aside), true);
    assert!(matches!(itself, Err(BackupError::Itself(_))), "{itself:?}");
}

#[tokio::test]
async fn missing_and_damaged_logs_are_told_and_cost_the_tasks_nothing() {
    let place = Place::new();
    let tasks = place.killed("tasks.db", 2).await;
    drop(open(&tasks));
    let logs = Part::Logs.of(&tasks);
    let said = || check(&tasks).unwrap().join("\n");
    assert_eq!(said(), "");

    std::fs::write(&logs, "no logs, but some text".repeat(500)).unwrap();

    let damaged = said();
    assert!(
        damaged.contains("tasks.db.logs") && damaged.contains("Moved away"),
        "{damaged}"
    );
    assert_eq!(holds(&tasks), (2, -1), "the rest is counted");
    let kept = place.path("kept.db");
    let taken = backup(&tasks, &kept, false).unwrap();
    let LogsCopied::Left(why) = taken.logs else {
        panic!("{taken:?}")
    };
    assert!(why.contains("tasks.db.logs"), "{why}");
    assert_eq!(holds(&kept), (2, -1));
    // A server starts all the same, and says so to whoever asks for a log.
    let store = open(&tasks);
    run::<taskyard_core::verbs::submit::Submitted>(&store, submit(vec![task("work", 9, 0)])).await;
    let asked = store.logs().page(taskyard_core::log::Wanted {
        task: task("work", 9, 0).id,
        after: taskyard_core::log::Position::default(),
        attempt: None,
        stream: None,
        limit: 1,
    });
    let told = asked.await.unwrap_err().to_string();
    assert!(told.contains("tasks.db.logs"), "{told}");
    drop(store);

    std::fs::remove_file(&logs).unwrap();
    let missing = said();
    assert!(
        missing.contains("tasks.db.logs") && missing.contains("is missing"),
        "{missing}"
    );
    drop(open(&tasks));
    assert_eq!(said(), "");
    assert_eq!(holds(&tasks), (3, 0));
}
