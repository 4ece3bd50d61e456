//! What runs print: kept once, in order, to its limit, and shown in pages.

use taskyard_core::id::{Fence, SlotKey, TaskId};
use taskyard_core::log::{
    Append, Appended, LINE_COSTS, Limits, Line, Owner, PAGE_BYTES_MAX, PAGE_LOOK_AT, Page,
    Position, Stream, Wanted,
};
use taskyard_core::query::{Held, Holder, Query};
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::start::{Start, Started};

use super::yard::{Yard, token};

const LIMITS: Limits = Limits {
    bytes_max: 4 << 20,
    line_bytes_max: 16 << 10,
};

fn owner(task: TaskId, attempt: i32) -> Owner {
    Owner {
        run: SlotKey::only(task).run(Fence(attempt)),
        attempt,
        claimed_at: Timestamp::from_micros(i64::from(attempt)),
    }
}

fn lines(stream: Stream, texts: &[&str]) -> Vec<Line> {
    let line = |text: &&str| Line {
        at: Timestamp::from_micros(7),
        stream,
        text: (*text).to_owned(),
    };
    texts.iter().map(line).collect()
}

impl Yard {
    async fn print_with(
        &self,
        owner: Owner,
        first: Option<u32>,
        lines: Vec<Line>,
        limits: Limits,
    ) -> Appended {
        let append = Append {
            owner,
            first,
            lines,
            limits,
        };
        self.store.logs().append(append).await.unwrap()
    }

    async fn print(&self, owner: Owner, first: Option<u32>, texts: &[&str]) -> Appended {
        let lines = lines(Stream::Stdout, texts);
        self.print_with(owner, first, lines, LIMITS).await
    }

    async fn page(&self, wanted: Wanted) -> Page {
        self.store.logs().page(wanted).await.unwrap()
    }

    /// The numbers and texts of all lines, by pages of so many.
    async fn log_by(&self, wanted: Wanted) -> Vec<(i32, u32, String)> {
        let (mut told, mut after) = (Vec::new(), wanted.after);
        for _ in 0..10_000 {
            let page = self.page(Wanted { after, ..wanted }).await;
            assert!(page.lines.len() <= wanted.limit);
            told.extend(page.lines.into_iter().map(|told| {
                assert_eq!(told.position.fence, Fence(told.attempt));
                (told.attempt, told.position.seq, told.line.text)
            }));
            if !page.goes_on {
                return told;
            }
            assert!(page.reached > after, "it goes on from somewhere else");
            after = page.reached;
        }
        panic!("the pages have no end")
    }
}

fn all(task: TaskId) -> Wanted {
    Wanted {
        task,
        after: Position::default(),
        attempt: None,
        stream: None,
        limit: 1_000,
    }
}

fn task() -> TaskId {
    TaskId::new(Timestamp::from_micros(super::yard::NOON), 1 << 40)
}

pub(super) async fn lines_are_shown_as_they_were_in_the_order_of_the_runs(yard: Yard) {
    let odd = [
        "",
        "ünïcödé",
        "\u{1b}[31mred\u{7}\r",
        "\t\"quoted\" \\ 'and' more",
    ];
    yard.print(owner(task(), 2), Some(1), &["second"]).await;
    yard.print(owner(task(), 1), Some(1), &odd).await;
    let other = TaskId::new(Timestamp::from_micros(super::yard::NOON), 2 << 40);
    yard.print(owner(other, 1), Some(1), &["of another task"])
        .await;

    let mut expected: Vec<_> = (1..)
        .zip(odd)
        .map(|(seq, text)| (1, seq, text.to_owned()))
        .collect();
    expected.push((2, 1, "second".to_owned()));
    for limit in [1, 2, 3, 1_000] {
        let wanted = Wanted {
            limit,
            ..all(task())
        };
        assert_eq!(yard.log_by(wanted).await, expected, "by {limit}");
    }
    let page = yard.page(all(task())).await;
    let line = &page.lines[0].line;
    assert_eq!((line.at.as_micros(), line.stream), (7, Stream::Stdout));
    let last = Position {
        fence: Fence(2),
        seq: 1,
    };
    assert_eq!((page.reached, page.goes_on), (last, false));
}

pub(super) async fn a_task_without_a_log_has_an_empty_page(yard: Yard) {
    assert_eq!(yard.page(all(task())).await, Page::default());
    yard.print(owner(task(), 1), Some(1), &[]).await;
    assert_eq!(yard.page(all(task())).await, Page::default());
}

pub(super) async fn lines_that_come_again_or_out_of_order_are_kept_once(yard: Yard) {
    let run = owner(task(), 1);
    let mut next = Vec::new();
    for (first, texts) in [
        (Some(1), &["a", "b"][..]),
        (Some(1), &["a", "b"]),
        (Some(2), &["b", "c"]),
        (Some(6), &["f"]),
        (Some(4), &["d"]),
        (None, &["g"]),
    ] {
        next.push(yard.print(run, first, texts).await.next_seq);
    }

    assert_eq!(next, [3, 3, 4, 7, 7, 8]);
    let kept = yard.log_by(all(task())).await;
    let kept: Vec<_> = kept
        .iter()
        .map(|(_, seq, text)| (*seq, text.as_str()))
        .collect();
    assert_eq!(kept, [(1, "a"), (2, "b"), (3, "c"), (6, "f"), (7, "g")]);
}

pub(super) async fn appends_that_come_at_once_are_each_kept_once(yard: Yard) {
    let yard = &yard;
    let appends = (0..40_u32).map(|n| async move {
        let run = owner(task(), i32::try_from(n % 4).unwrap() + 1);
        let first = n / 4 / 2 * 2 + 1;
        yard.print(run, Some(first), &["x", "y"]).await
    });
    futures_util::future::join_all(appends).await;

    let kept = yard.log_by(all(task())).await;
    let expected: Vec<_> = (1..=4)
        .flat_map(|run| (1..=10).map(move |seq| (run, seq)))
        .collect();
    let numbers: Vec<_> = kept.iter().map(|(run, seq, _)| (*run, *seq)).collect();
    assert_eq!(numbers, expected);
}

pub(super) async fn a_log_ends_where_it_is_full_and_says_so(yard: Yard) {
    let limits = Limits {
        bytes_max: 10 * (LINE_COSTS + 4),
        line_bytes_max: 4,
    };
    let (run, retried) = (owner(task(), 1), owner(task(), 2));
    let eight = lines(Stream::Stderr, &["abcde"; 8]);
    let appended = yard.print_with(run, Some(1), eight, limits).await;
    assert!(appended.is_full, "a cut line counts with what says so");

    let more = lines(Stream::Stdout, &["more"]);
    let appended = yard.print_with(run, Some(9), more, limits).await;
    assert_eq!((appended.next_seq, appended.is_full), (10, true));
    let ten = lines(Stream::Stdout, &["abcd"; 10]);
    let appended = yard.print_with(retried, Some(1), ten, limits).await;
    assert!(!appended.is_full, "another run has room of its own");

    let kept = yard.log_by(all(task())).await;
    let (first, second): (Vec<_>, Vec<_>) = kept.iter().partition(|(run, ..)| *run == 1);
    assert_eq!(second.len(), 10);
    assert_eq!(first[0].2, " … [cut: the line has 5 bytes]");
    assert!(first.last().unwrap().2.contains("--log-max"), "{first:?}");
    let worker = Wanted {
        stream: Some(Stream::Worker),
        ..all(task())
    };
    assert_eq!(yard.log_by(worker).await.len(), 1);
}

pub(super) async fn a_page_shows_one_attempt_or_one_stream(yard: Yard) {
    for attempt in 1..=3 {
        let run = owner(task(), attempt);
        for (first, stream) in [
            (1, Stream::Stdout),
            (2, Stream::Stderr),
            (3, Stream::Worker),
        ] {
            let line = lines(stream, &[stream_name(stream)]);
            yard.print_with(run, Some(first), line, LIMITS).await;
        }
    }
    for limit in [1, 100] {
        let second = Wanted {
            attempt: Some(2),
            limit,
            ..all(task())
        };
        let stderr = Wanted {
            stream: Some(Stream::Stderr),
            limit,
            ..all(task())
        };
        let both = Wanted {
            stream: Some(Stream::Worker),
            ..second
        };
        let never = Wanted {
            attempt: Some(4),
            ..second
        };
        let runs = |told: Vec<(i32, u32, String)>| -> Vec<(i32, u32)> {
            told.iter().map(|(run, seq, _)| (*run, *seq)).collect()
        };

        assert_eq!(runs(yard.log_by(second).await), [(2, 1), (2, 2), (2, 3)]);
        assert_eq!(runs(yard.log_by(stderr).await), [(1, 2), (2, 2), (3, 2)]);
        assert_eq!(runs(yard.log_by(both).await), [(2, 3)]);
        assert_eq!(runs(yard.log_by(never).await), []);
    }
}

fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "out",
        Stream::Stderr => "err",
        Stream::Worker => "worker",
    }
}

pub(super) async fn lines_that_came_one_by_one_are_one_page(yard: Yard) {
    let run = owner(task(), 1);
    for seq in 1..=300 {
        yard.print(run, Some(seq), &["x"]).await;
    }
    for after in [0, 1, 150, 299] {
        let position = Position {
            fence: Fence(1),
            seq: after,
        };
        let page = yard
            .page(Wanted {
                after: position,
                ..all(task())
            })
            .await;
        let seqs = page.lines.iter().map(|told| told.position.seq);
        assert!(seqs.eq(after + 1..=300), "behind {after}");
        assert!(!page.goes_on);
    }
}

pub(super) async fn a_page_ends_by_what_it_looked_at_and_by_its_bytes(yard: Yard) {
    let run = owner(task(), 1);
    let many = lines(Stream::Stdout, &vec![""; PAGE_LOOK_AT + 1]);
    yard.print_with(run, Some(1), many, LIMITS).await;
    let nothing = yard
        .page(Wanted {
            stream: Some(Stream::Stderr),
            ..all(task())
        })
        .await;
    assert!(nothing.lines.is_empty() && nothing.goes_on);
    let looked_at = u32::try_from(PAGE_LOOK_AT).unwrap();
    assert_eq!(nothing.reached.seq, looked_at);

    let long = "x".repeat(16 << 10);
    let retried = owner(task(), 2);
    let long = lines(Stream::Stdout, &vec![long.as_str(); 20]);
    yard.print_with(retried, Some(1), long, LIMITS).await;
    let page = yard
        .page(Wanted {
            attempt: Some(2),
            ..all(task())
        })
        .await;
    assert_eq!(page.lines.len(), PAGE_BYTES_MAX / (16 << 10));
    assert!(page.goes_on);
    let second = Wanted {
        attempt: Some(2),
        ..all(task())
    };
    assert_eq!(yard.log_by(second).await.len(), 20);
}

pub(super) async fn many_runs_are_gone_through(yard: Yard) {
    for attempt in 1..=230 {
        let run = owner(task(), attempt);
        let texts: &[&str] = if attempt % 115 == 0 { &["here"] } else { &[] };
        yard.print(run, Some(1), texts).await;
    }

    let kept = yard.log_by(all(task())).await;

    assert_eq!(kept.len(), 2);
    assert_eq!((kept[0].0, kept[1].0), (115, 230));
}

pub(super) async fn a_run_of_another_life_of_the_database_gives_way(yard: Yard) {
    let run = owner(task(), 1);
    yard.print(run, Some(1), &["old", "older"]).await;
    let again = Owner {
        claimed_at: Timestamp::from_micros(99),
        ..run
    };

    let appended = yard.print(again, Some(1), &["new"]).await;

    assert_eq!(appended.next_seq, 2);
    let kept = yard.log_by(all(task())).await;
    assert_eq!(kept, [(1, 1, "new".to_owned())]);
}

pub(super) async fn the_logs_of_a_task_are_forgotten_and_of_no_other(yard: Yard) {
    let ids: Vec<TaskId> = (1..=5_u32)
        .map(|n| {
            TaskId::new(
                Timestamp::from_micros(super::yard::NOON),
                u128::from(n) << 40,
            )
        })
        .collect();
    for id in &ids {
        yard.print(owner(*id, 1), Some(1), &["a"]).await;
        yard.print(owner(*id, 2), Some(1), &["b"]).await;
    }
    let logs = yard.store.logs();

    for _ in 0..2 {
        logs.forget(ids[1]).await.unwrap();
    }

    assert_eq!(logs.tasks(None, 2).await.unwrap(), [ids[0], ids[2]]);
    let rest = logs.tasks(Some(ids[2]), 100).await.unwrap();
    assert_eq!(rest, [ids[3], ids[4]]);
    assert_eq!(yard.log_by(all(ids[1])).await, []);
    assert_eq!(yard.log_by(all(ids[2])).await.len(), 2);
    let appended = yard.print(owner(ids[1], 1), None, &["again"]).await;
    assert_eq!(appended.next_seq, 2);
}

pub(super) async fn it_is_told_who_runs_a_task_and_which_tasks_there_are(yard: Yard) {
    let holder = async |task| yard.store.read(Query::Holder(task)).await.unwrap().holder();
    assert_eq!(holder(task()).await, None);
    let id = yard.new_task().await;
    assert_eq!(holder(id).await, Some(Holder::Nobody));
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    let mut held = Held {
        fence: Fence(1),
        secret: run.secret,
        by: (worker.number, worker.epoch),
        claimed_at: yard.now(),
        has_begun: false,
        attempt: 1,
    };
    assert_eq!(holder(id).await, Some(Holder::Worker(held)));

    let token = token(&run);
    let started: Started = yard
        .run(Start {
            token,
            started_at: None,
        })
        .await
        .unwrap();
    assert_eq!(started.by, held.by);
    held.has_begun = true;
    assert_eq!(holder(id).await, Some(Holder::Worker(held)));

    yard.report(&run, super::yard::failed(true)).await.unwrap();
    assert_eq!(holder(id).await, Some(Holder::Nobody));
    yard.pass(std::time::Duration::from_secs(60));
    yard.promote().await;
    let worker = yard.worker("other").await;
    yard.claim_one(&worker).await;
    let Some(Holder::Worker(second)) = holder(id).await else {
        panic!("nobody runs it")
    };
    assert_eq!((second.fence, second.attempt), (Fence(2), 2));

    yard.cancel(id).await.unwrap();
    assert_eq!(holder(id).await, Some(Holder::Ended(Status::Cancelled)));
    let unknown = TaskId::new(Timestamp::from_micros(1_000), 5);
    let known = yard.store.read(Query::Known(vec![unknown, id])).await;
    let known = known.unwrap().known();
    assert_eq!(known, [id]);
}
