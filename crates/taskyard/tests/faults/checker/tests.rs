//! Of each kind of wrong history one that is found, beside the right one that is next to it.

use std::time::Duration;

use taskyard_api::attempt;
use taskyard_api::task::Status;
use taskyard_api::time::Time;
use taskyard_core::time::Timestamp;

use super::{Judge, Verdict, Wrong};
use crate::history::{Found, Op, Outcome, Record, Run};

/// A call from `t` to `t + 9`, answered well.
fn call(op: Op, proc: &str, t: u64) -> Record {
    Record {
        proc: proc.to_owned(),
        seq: t,
        t_invoke: t,
        t_return: t + 9,
        op,
        args_hash: String::new(),
        outcome: Outcome::Ok,
        http: Some(200),
        code: None,
        task: Some("t".to_owned()),
        token: None,
        server: 0,
        name: None,
        status: None,
        without_retry_after: false,
    }
}

fn submit(t: u64, outcome: Outcome) -> Record {
    Record {
        name: Some("n".to_owned()),
        outcome,
        task: (outcome == Outcome::Ok).then(|| "t".to_owned()),
        ..call(Op::Submit, "submitter", t)
    }
}

fn under(op: Op, token: &str, t: u64) -> Record {
    Record {
        token: Some(token.to_owned()),
        ..call(op, token, t)
    }
}

fn tells(op: Op, status: Status, t: u64) -> Record {
    Record {
        status: Some(status),
        ..call(op, "teller", t)
    }
}

fn run(fence: u32, from: i64, to: Option<i64>, outcome: attempt::Outcome) -> Run {
    let time = |seconds: i64| Time(Timestamp::from_micros(seconds * 1_000_000));
    Run {
        fence,
        worker: format!("worker-{fence}"),
        outcome: Some(outcome),
        claimed_at: time(from),
        ended_at: to.map(time),
    }
}

fn found(id: &str, status: Status) -> Found {
    Found {
        id: id.to_owned(),
        name: Some("n".to_owned()),
        status,
        attempts: 1,
        failures: 0,
        losses: 0,
        max_attempts: 5,
        max_losses: 5,
        runs: Vec::new(),
        late_results: 0,
    }
}

fn completed() -> Found {
    found("t", Status::Completed)
}

fn judged(judge: Judge, records: &[Record], found: &[Found]) -> (Vec<Wrong>, Verdict) {
    let verdict = judge.check(records, found);
    let wrong = verdict.violations.iter().map(|violation| violation.wrong);
    (wrong.collect(), verdict)
}

fn wrong(records: &[Record], found: &[Found]) -> Vec<Wrong> {
    judged(Judge::default(), records, found).0
}

#[test]
fn a_whole_life_is_right_and_counted() {
    let mut task = completed();
    (task.attempts, task.losses, task.late_results) = (2, 1, 1);
    task.runs = vec![
        run(1, 0, Some(3), attempt::Outcome::Lost),
        run(2, 3, Some(4), attempt::Outcome::Completed),
    ];
    let mut stale = under(Op::Report, "a", 60);
    stale.outcome = Outcome::Fail;
    let mut report = under(Op::Report, "b", 80);
    report.status = Some(Status::Completed);
    let records = [
        submit(0, Outcome::Unknown),
        submit(10, Outcome::Ok),
        under(Op::Claim, "a", 20),
        under(Op::Claim, "b", 40),
        stale,
        report,
        tells(Op::Read, Status::Completed, 90),
    ];

    let (wrong, verdict) = judged(Judge::default(), &records, &[task]);

    assert_eq!(wrong, []);
    assert_eq!((verdict.submitted, verdict.acknowledged), (1, 1));
    assert_eq!((verdict.executions, verdict.runs_lost), (2, 1));
    assert_eq!((verdict.losses, verdict.stale_refused), (1, 1));
}

#[test]
fn what_was_acknowledged_and_is_gone_is_lost() {
    let records = [submit(0, Outcome::Ok)];

    assert_eq!(wrong(&records, &[]), [Wrong::Lost]);
    assert_eq!(wrong(&records, &[completed()]), []);
    assert_eq!(wrong(&[submit(0, Outcome::Unknown)], &[]), []);
}

#[test]
fn a_loss_is_forgiven_until_a_standby_was_promoted_and_counted_all_the_same() {
    for (promoted, expected) in [(9, vec![]), (8, vec![Wrong::Lost])] {
        let judge = Judge {
            forgives_until: Some(promoted),
            ..Judge::default()
        };

        let (wrong, verdict) = judged(judge, &[submit(0, Outcome::Ok)], &[]);

        assert_eq!((wrong, verdict.lost), (expected, 1));
    }
}

#[test]
fn two_tasks_of_one_submission_are_a_double() {
    let two = [completed(), found("u", Status::Completed)];
    let records = [submit(0, Outcome::Unknown), submit(10, Outcome::Ok)];

    let (wrong, verdict) = judged(Judge::default(), &records, &two);

    assert_eq!((wrong, verdict.duplicated), (vec![Wrong::Doubled], 1));
}

#[test]
fn two_ids_for_one_submission_are_a_double_even_if_one_is_gone() {
    let mut other = submit(10, Outcome::Ok);
    other.task = Some("u".to_owned());

    let wrong = wrong(&[submit(0, Outcome::Ok), other], &[completed()]);

    assert_eq!(wrong, [Wrong::Doubled, Wrong::Lost]);
}

#[test]
fn what_was_refused_each_time_is_not_there() {
    let refused = submit(0, Outcome::Fail);

    let (found_wrong, verdict) = judged(
        Judge::default(),
        std::slice::from_ref(&refused),
        &[completed()],
    );
    assert_eq!(
        (found_wrong, verdict.refused),
        (vec![Wrong::RefusedButThere], 1)
    );
    assert_eq!(wrong(std::slice::from_ref(&refused), &[]), []);
    // Of one that was sent twice, the other may have been done.
    let (_, verdict) = judged(
        Judge::default(),
        &[refused, submit(10, Outcome::Unknown)],
        &[completed()],
    );
    assert_eq!((verdict.unknown, verdict.violations.len()), (1, 0));
}

#[test]
fn a_call_under_an_older_token_is_refused_once_another_has_the_task() {
    for op in [Op::Report, Op::Heartbeat] {
        let claims = [under(Op::Claim, "a", 0), under(Op::Claim, "b", 20)];
        for (at, expected) in [(15, vec![]), (29, vec![]), (30, vec![Wrong::StaleAccepted])] {
            let records = [&claims[..], &[under(op, "a", at)]].concat();
            assert_eq!(wrong(&records, &[completed()]), expected, "{op:?} {at}");
        }
        // Of two claims that overlap, nobody knows which was first.
        let records = [
            under(Op::Claim, "a", 0),
            under(Op::Claim, "b", 5),
            under(op, "a", 30),
        ];
        assert_eq!(wrong(&records, &[completed()]), []);
    }
}

#[test]
fn a_token_is_one_workers() {
    let claim = under(Op::Claim, "a", 0);
    let mut again = claim.clone();
    again.t_invoke = 20;
    assert_eq!(wrong(&[claim.clone(), again.clone()], &[completed()]), []);

    again.proc = "other".to_owned();
    assert_eq!(
        wrong(&[claim, again], &[completed()]),
        [Wrong::LeasesOverlap]
    );
}

#[test]
fn each_run_begins_when_the_one_before_has_ended() {
    let second = |from| run(2, from, Some(9), attempt::Outcome::Completed);
    let with = |runs: Vec<Run>| Found {
        runs,
        ..completed()
    };
    let lost = |to| run(1, 0, to, attempt::Outcome::Lost);

    assert_eq!(wrong(&[], &[with(vec![second(5), lost(Some(5))])]), []);
    let overlap = [with(vec![lost(Some(5)), second(4)])];
    assert_eq!(wrong(&[], &overlap), [Wrong::LeasesOverlap]);
    let judge = Judge {
        clocks_apart: Duration::from_secs(1),
        ..Judge::default()
    };
    assert_eq!(judged(judge, &[], &overlap).0, []);
    assert_eq!(
        wrong(&[], &[with(vec![lost(None), second(4)])]),
        [Wrong::LeasesOverlap]
    );
    let mut same = second(6);
    same.fence = 1;
    assert_eq!(
        wrong(&[], &[with(vec![lost(Some(5)), same])]),
        [Wrong::LeasesOverlap]
    );
}

#[test]
fn attempts_are_bounded() {
    for (failures, losses, expected) in [
        (5, 5, vec![]),
        (6, 0, vec![Wrong::TooManyAttempts]),
        (0, 6, vec![Wrong::TooManyAttempts]),
    ] {
        let task = Found {
            failures,
            losses,
            ..found("t", Status::Failed)
        };
        assert_eq!(wrong(&[], &[task]), expected, "{failures} {losses}");
    }
    // By what the runs say, too.
    let runs = (0..6).map(|n| run(n, n.into(), Some(n.into()), attempt::Outcome::Failed));
    let task = Found {
        runs: runs.collect(),
        ..found("t", Status::Failed)
    };
    assert_eq!(wrong(&[], &[task]), [Wrong::TooManyAttempts]);
}

#[test]
fn a_task_ends_in_one_way() {
    let cancelled = tells(Op::Cancel, Status::Cancelled, 0);
    let mut completes = under(Op::Report, "a", 5);
    completes.status = Some(Status::Completed);

    assert_eq!(
        wrong(
            std::slice::from_ref(&cancelled),
            &[found("t", Status::Cancelled)]
        ),
        []
    );
    assert_eq!(
        wrong(std::slice::from_ref(&cancelled), &[completed()]),
        [Wrong::TwoEnds]
    );
    assert_eq!(
        wrong(&[cancelled, completes], &[completed()]),
        [Wrong::TwoEnds]
    );
    let twice = Found {
        runs: vec![
            run(1, 0, Some(1), attempt::Outcome::Completed),
            run(2, 1, Some(2), attempt::Outcome::Completed),
        ],
        ..completed()
    };
    assert_eq!(wrong(&[], &[twice]), [Wrong::TwoEnds]);
}

#[test]
fn a_cancel_that_comes_too_late_tells_how_it_ended() {
    let mut late = tells(Op::Cancel, Status::Completed, 0);
    late.outcome = Outcome::Fail;

    assert_eq!(wrong(&[late.clone()], &[completed()]), []);
    assert_eq!(
        wrong(&[late], &[found("t", Status::Cancelled)]),
        [Wrong::TwoEnds]
    );
}

#[test]
fn an_end_is_for_good() {
    let read = tells(Op::Read, Status::Completed, 0);
    for later in [
        tells(Op::Read, Status::Running, 10),
        under(Op::Claim, "a", 10),
        under(Op::Heartbeat, "a", 10),
    ] {
        assert_eq!(
            wrong(&[read.clone(), later.clone()], &[completed()]),
            [Wrong::Revived]
        );
        let overlaps = Record {
            t_invoke: 9,
            ..later
        };
        assert_eq!(wrong(&[read.clone(), overlaps], &[completed()]), []);
    }
    assert_eq!(
        wrong(&[read], &[found("t", Status::Pending)]),
        [Wrong::Unended, Wrong::Revived]
    );
}

#[test]
fn everything_ends() {
    assert_eq!(
        wrong(&[], &[found("t", Status::Scheduled)]),
        [Wrong::Unended]
    );
}

#[test]
fn whoever_is_refused_for_the_moment_is_told_when_to_come_back() {
    let refused = Record {
        without_retry_after: true,
        ..submit(0, Outcome::Fail)
    };

    assert_eq!(wrong(&[refused], &[]), [Wrong::NoRetryAfter]);
}
