//! What becomes of a run, in its worker's words.

use std::time::Duration;

use taskyard_core::id::{Fence, TaskId};
use taskyard_core::json::Json;
use taskyard_core::order::Priority;
use taskyard_core::query::Standing;
use taskyard_core::refused::Refused;
use taskyard_core::rows::{Attempt, End, Failure, Outcome, Said};
use taskyard_core::slot::Counts;
use taskyard_core::status::Status;
use taskyard_core::verbs::claim::Run;
use taskyard_core::verbs::patch::{Patch, Patched};
use taskyard_core::verbs::report::{ReportedBack, Word};
use taskyard_core::verbs::submit::{Begin, NewTask};

use super::yard::{Yard, completed, failed, made_up, report};

pub(super) async fn a_completed_task_keeps_its_output(yard: Yard) {
    let id = yard.new_task().await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    yard.pass(Duration::from_secs(2));

    assert_eq!(yard.complete(&run).await, Ok(Status::Completed));

    let view = yard.view(id).await;
    let outcome = outcome(&yard, id).await;
    assert_eq!(
        outcome.output.as_ref().map(|output| output.as_str()),
        Some("\"done\"")
    );
    assert_eq!(
        (outcome.ended_at, view.worker.as_ref()),
        (yard.now(), Some(&worker.worker))
    );
    assert_eq!(
        view.counts(),
        Counts {
            attempts: 1,
            ..Counts::default()
        }
    );
    assert!(outcome.started_at.is_some());
}

/// Stores write what stands in several rows once, where they find that it does.
pub(super) async fn how_one_run_of_a_batch_ended_is_not_how_its_neighbours_did(yard: Yard) {
    let error = Failure::new("boom", "it broke");
    let detailed = Failure {
        detail: Some(Json::stored("{\"at\":1}")),
        ..error.clone()
    };
    let words = [
        completed(),
        Word::Completed {
            output: Json::stored("[1]"),
        },
        completed(),
        failed(false),
        completed(),
        Word::TimedOut {
            error: detailed.clone(),
        },
        Word::TimedOut { error },
        Word::Failed {
            error: detailed,
            retry: true,
        },
    ];
    let workers = [yard.worker("v").await, yard.worker("w").await];
    let mut alone = Vec::new();
    let mut together = Vec::new();
    for (number, word) in words.into_iter().enumerate() {
        let last = || NewTask {
            max_attempts: Some(1),
            ..yard.task()
        };
        yard.submit_all(vec![last(), last()]).await.unwrap();
        // Two neighbours have the same worker, the next two the other.
        let worker = &workers[number / 2 % 2];
        let runs = yard.claim(worker, 2).await;
        alone.push((runs[0].clone(), word.clone()));
        together.push((runs[1].clone(), word));
        yard.pass(Duration::from_secs(u64::from(number % 3 == 2)));
    }

    let reports = together.iter().map(|(run, word)| report(run, word.clone()));
    let answers = yard.batch(reports.map(Into::into).collect()).await;

    assert!(answers.iter().all(Result::is_ok));
    for ((alone, word), (together, _)) in alone.into_iter().zip(together) {
        yard.report(&alone, word).await.unwrap();
        let expected = Outcome {
            task: together.slot.task,
            ..outcome(&yard, alone.slot.task).await
        };
        assert_eq!(outcome(&yard, together.slot.task).await, expected);
    }
}

async fn outcome(yard: &Yard, task: TaskId) -> Outcome {
    let view = yard.view(task).await;
    let Standing::Ended(outcome) = &view.standing else {
        panic!("it has ended")
    };
    (**outcome).clone()
}

pub(super) async fn a_failure_is_tried_again_after_its_wait_until_the_last(yard: Yard) {
    let id = yard
        .submit(NewTask {
            max_attempts: Some(3),
            ..yard.task()
        })
        .await
        .unwrap();
    let worker = yard.worker("w").await;
    for wait in [1, 2] {
        let run = yard.claim_one(&worker).await;
        assert_eq!(yard.report(&run, failed(true)).await, Ok(Status::Scheduled));
        yard.pass(Duration::from_secs(wait) - Duration::from_micros(1));
        assert_eq!(yard.promote().await, 0);
        yard.pass(Duration::from_micros(1));
        assert_eq!(yard.promote().await, 1);
    }
    let last = yard.claim_one(&worker).await;
    assert_eq!((last.attempt, last.fence), (3, Fence(3)));

    assert_eq!(yard.report(&last, failed(true)).await, Ok(Status::Failed));

    let view = yard.view(id).await;
    assert_eq!(
        view.counts(),
        Counts {
            attempts: 3,
            failures: 3,
            ..Counts::default()
        }
    );
    let (ended, _) = yard.attempts(id).await;
    assert_eq!(
        ended
            .iter()
            .map(|attempt| attempt.number)
            .collect::<Vec<_>>(),
        [Some(1), Some(2)]
    );
    assert!(
        ended
            .iter()
            .all(|attempt| attempt.end == End::Failed && attempt.error.is_some())
    );
}

pub(super) async fn what_went_wrong_is_seen_until_something_else_does(yard: Yard) {
    let id = yard.new_task().await;
    let worker = yard.worker("w").await;
    let first = Failure {
        detail: Some(Json::stored("{\"line\": 7}")),
        ..Failure::new("boom", "it broke")
    };
    let second = Failure::new("bang", "it broke otherwise");
    let seen = async || {
        let carry = yard.view(id).await.carry.unwrap();
        carry.error.here().cloned()
    };
    let fails = |error: &Failure| Word::Failed {
        error: error.clone(),
        retry: true,
    };
    let snooze = Word::Snoozed {
        wait: Duration::ZERO,
    };

    for (word, expected) in [
        (Word::Released, None),
        (fails(&first), Some(&first)),
        // Neither says what went wrong.
        (Word::Released, Some(&first)),
        (snooze, Some(&first)),
        (fails(&second), Some(&second)),
    ] {
        let run = yard.claim_one(&worker).await;
        yard.report(&run, word).await.unwrap();
        let moved = Patch {
            task: id,
            priority: Some(Priority::new(1).unwrap()),
            begin: Some(Begin::Now),
        };
        yard.run::<Patched>(moved).await.unwrap();
        yard.promote().await;

        assert_eq!(seen().await.as_ref(), expected);
    }
}

pub(super) async fn a_failure_for_good_ends_the_task(yard: Yard) {
    let id = yard.new_task().await;
    let run = yard.claim_one(&yard.worker("w").await).await;

    assert_eq!(yard.report(&run, failed(false)).await, Ok(Status::Failed));

    let Standing::Ended(outcome) = yard.view(id).await.standing else {
        panic!("it has ended")
    };
    assert_eq!(
        outcome.error.as_ref().map(|error| &*error.code),
        Some("boom")
    );
}

pub(super) async fn a_timeout_ends_as_timeout(yard: Yard) {
    let id = yard
        .submit(NewTask {
            max_attempts: Some(1),
            ..yard.task()
        })
        .await
        .unwrap();
    let run = yard.claim_one(&yard.worker("w").await).await;

    let word = Word::TimedOut {
        error: Failure::new("timeout", "too long"),
    };

    assert_eq!(yard.report(&run, word).await, Ok(Status::Timeout));
    assert_eq!(yard.status(id).await, Status::Timeout);
}

pub(super) async fn a_snooze_costs_nothing(yard: Yard) {
    let id = yard
        .submit(NewTask {
            max_attempts: Some(1),
            ..yard.task()
        })
        .await
        .unwrap();
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;

    assert_eq!(
        yard.report(
            &run,
            Word::Snoozed {
                wait: Duration::from_secs(30)
            }
        )
        .await,
        Ok(Status::Scheduled)
    );

    yard.pass(Duration::from_secs(30));
    yard.promote().await;
    let again = yard.claim_one(&worker).await;
    assert_eq!(yard.view(id).await.counts().failures, 0);
    assert_eq!(yard.complete(&again).await, Ok(Status::Completed));
}

pub(super) async fn a_release_gives_back_at_once_and_costs_nothing(yard: Yard) {
    let id = yard
        .submit(NewTask {
            max_attempts: Some(1),
            ..yard.task()
        })
        .await
        .unwrap();
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;

    assert_eq!(yard.report(&run, Word::Released).await, Ok(Status::Pending));

    let again = yard.claim_one(&worker).await;
    assert_eq!(
        (again.slot.task, again.attempt, again.fence),
        (id, 1, Fence(2))
    );
    assert_eq!(yard.view(id).await.counts(), Counts::default());
}

pub(super) async fn the_same_report_again_gets_the_same_answer(yard: Yard) {
    yard.new_task().await;
    let worker = yard.worker("w").await;
    let run = yard.claim_one(&worker).await;
    assert_eq!(yard.report(&run, failed(true)).await, Ok(Status::Scheduled));
    assert_eq!(yard.report(&run, failed(true)).await, Ok(Status::Scheduled));

    yard.pass(Duration::from_secs(5));
    yard.promote().await;
    let second = yard.claim_one(&worker).await;
    assert_eq!(yard.report(&run, failed(true)).await, Ok(Status::Scheduled));
    assert_eq!(yard.complete(&second).await, Ok(Status::Completed));

    assert_eq!(yard.complete(&second).await, Ok(Status::Completed));
    assert_eq!(yard.report(&run, failed(true)).await, Ok(Status::Scheduled));
    assert_eq!(yard.attempts(run.slot.task).await.1, []);
}

pub(super) async fn twice_in_one_batch_gets_the_same_answer(yard: Yard) {
    yard.new_task().await;
    let run = yard.claim_one(&yard.worker("w").await).await;

    let replies = yard
        .batch(vec![
            report(&run, completed()).into(),
            report(&run, completed()).into(),
        ])
        .await;

    let results = replies
        .into_iter()
        .map(|reply| ReportedBack::try_from(reply.unwrap()).unwrap().results);
    assert!(
        results
            .into_iter()
            .all(|results| results == [Ok(Status::Completed)])
    );
}

pub(super) async fn another_report_of_the_same_run_is_refused_and_kept(yard: Yard) {
    let id = yard.new_task().await;
    let run = yard.claim_one(&yard.worker("w").await).await;
    yard.complete(&run).await.unwrap();

    assert_eq!(
        yard.report(&run, failed(true)).await,
        Err(Refused::ReportedOtherwise)
    );

    assert_eq!(yard.status(id).await, Status::Completed);
    assert_eq!(yard.late(id).await, [(Fence(1), Said::Failed)]);
}

pub(super) async fn a_late_result_is_refused_and_kept(yard: Yard) {
    let id = yard.new_task().await;
    let (one, two) = (yard.worker("one").await, yard.worker("two").await);
    let lost = yard.claim_one(&one).await;
    yard.pass(yard.policy.heartbeat_ttl);
    assert_eq!(yard.sweep(false).await, [id]);
    yard.heartbeat(&two, vec![]).await.unwrap();
    let current = yard.claim_one(&two).await;

    assert_eq!(yard.complete(&lost).await, Err(Refused::StaleLease));

    assert_eq!(yard.status(id).await, Status::Assigned);
    assert_eq!(yard.complete(&current).await, Ok(Status::Completed));
    assert_eq!(yard.late(id).await, [(Fence(1), Said::Completed)]);
}

pub(super) async fn a_guessed_token_is_refused_and_fills_nothing(yard: Yard) {
    let id = yard.new_task().await;
    let run = yard.claim_one(&yard.worker("w").await).await;
    for guess in 1..20 {
        let guessed = Run {
            secret: run.secret ^ guess,
            fence: Fence(1000 + guess as i32),
            ..run.clone()
        };
        assert_eq!(yard.complete(&guessed).await, Err(Refused::StaleLease));
    }
    let wrong_secret = Run {
        secret: !run.secret,
        ..run.clone()
    };
    assert_eq!(yard.complete(&wrong_secret).await, Err(Refused::StaleLease));

    let (_, late) = yard.attempts(id).await;
    assert_eq!(
        late.iter().map(|late| late.run.fence).collect::<Vec<_>>(),
        [Fence(0), Fence(1)]
    );
    assert_eq!(yard.complete(&run).await, Ok(Status::Completed));
}

pub(super) async fn a_report_on_an_unknown_task_is_refused(yard: Yard) {
    yard.new_task().await;
    let run = yard.claim_one(&yard.worker("w").await).await;
    let nowhere = TaskId::new(yard.now(), 1 << 74);

    assert_eq!(
        yard.complete(&made_up(nowhere, &run)).await,
        Err(Refused::NoSuchTask)
    );
}

pub(super) async fn history_is_kept_to_its_limit(mut yard: Yard) {
    yard.policy.history_max = 3;
    let id = yard.new_task().await;
    let worker = yard.worker("w").await;
    for _ in 0..6 {
        let run = yard.claim_one(&worker).await;
        yard.report(&run, Word::Released).await.unwrap();
    }

    let (ended, _) = yard.attempts(id).await;

    assert_eq!(
        ended
            .iter()
            .map(|attempt| attempt.run.fence.0)
            .collect::<Vec<_>>(),
        [4, 5, 6]
    );
}

pub(super) async fn long_details_can_be_left_out_of_a_history(yard: Yard) {
    let id = yard.new_task().await;
    let worker = yard.worker("w").await;
    // Bytes count, not characters.
    let details = [
        Some(r#""xxxxxx""#),
        Some(r#""xxxxxxx""#),
        Some("\"\u{e9}\u{e9}\u{e9}\u{e9}\""),
        None,
    ];
    let failure = |detail: Option<&str>| Failure {
        detail: detail.map(Json::stored),
        ..Failure::new("e", "m")
    };
    for detail in details {
        let run = yard.claim_one(&worker).await;
        let word = Word::Failed {
            error: failure(detail),
            retry: true,
        };
        yard.report(&run, word).await.unwrap();
        yard.pass(Duration::from_secs(60));
        yard.promote().await;
    }

    let (ended, _) = yard.attempts_up_to(id, 8).await;
    let (whole, _) = yard.attempts(id).await;

    let errors = |ended: Vec<Attempt>| -> Vec<_> {
        ended.into_iter().map(|attempt| attempt.error).collect()
    };
    assert_eq!(
        errors(ended),
        [details[0], None, None, None].map(|detail| Some(failure(detail)))
    );
    assert_eq!(errors(whole), details.map(|detail| Some(failure(detail))));
}

pub(super) async fn a_report_is_known_again_though_a_later_run_was_lost(yard: Yard) {
    yard.new_task().await;
    let worker = yard.worker("w").await;
    let first = yard.claim_one(&worker).await;
    yard.report(&first, failed(true)).await.unwrap();
    yard.pass(Duration::from_secs(1));
    yard.promote().await;
    yard.claim_one(&worker).await;
    yard.pass(yard.policy.heartbeat_ttl);
    assert_eq!(yard.sweep(false).await, [first.slot.task]);

    let again = yard.report(&first, failed(true)).await;

    assert_eq!(again, Ok(Status::Scheduled));
    assert_eq!(yard.attempts(first.slot.task).await.1, []);
}

pub(super) async fn refused_results_are_kept_to_the_limit_of_the_history(mut yard: Yard) {
    yard.policy.history_max = 3;
    let id = yard.new_task().await;
    let worker = yard.worker("w").await;
    let kept = async || -> Vec<i32> {
        let (_, late) = yard.attempts(id).await;
        late.iter().map(|late| late.run.fence.0).collect()
    };
    let mut runs = Vec::new();
    for _ in 0..6 {
        let run = yard.claim_one(&worker).await;
        yard.report(&run, Word::Released).await.unwrap();
        let refused = yard.complete(&run).await;
        assert_eq!(refused, Err(Refused::ReportedOtherwise));
        runs.push(run);
    }
    assert_eq!(kept().await, [4, 5, 6]);

    // Of a run that is forgotten it is kept as of none.
    assert_eq!(yard.complete(&runs[2]).await, Err(Refused::StaleLease));

    assert_eq!(kept().await, [0, 4, 5, 6]);
}

pub(super) async fn what_is_too_long_is_left_out_of_a_refused_result(yard: Yard) {
    const KEPT_MAX: usize = 64 << 10;
    let id = yard.new_task().await;
    let run = yard.claim_one(&yard.worker("w").await).await;
    yard.cancel(id).await.unwrap();

    for (bytes, is_kept) in [(KEPT_MAX, true), (KEPT_MAX + 1, false)] {
        let long = || Json::stored(format!("\"{}\"", "x".repeat(bytes - 2)));
        let error = Failure {
            detail: Some(long()),
            ..Failure::new("boom", "it broke")
        };
        let fails = Word::Failed { error, retry: true };
        for word in [Word::Completed { output: long() }, fails] {
            assert_eq!(yard.report(&run, word).await, Err(Refused::StaleLease));

            let (_, late) = yard.attempts(id).await;
            let detail = late[0].error.as_ref().map(|error| &error.detail);
            let left = detail.unwrap_or(&late[0].output);
            assert_eq!(
                left.is_some(),
                is_kept,
                "{bytes} bytes of {:?}",
                late[0].said
            );
        }
    }
}
