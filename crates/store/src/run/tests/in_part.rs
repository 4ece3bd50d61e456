//! What is told of a command that was done in part.

use taskyard_core::status::Status;
use taskyard_core::verbs::held::Token;
use taskyard_core::verbs::report::{Report, RunResult, Word};

use super::*;

#[test]
fn a_command_whose_parts_are_refused_one_after_the_other_is_left_and_the_next_is_tried() {
    let run = |serial| SlotKey::only(id(serial)).run(Fence(1));
    let expire = Expire {
        runs: (0..500).map(|serial| (run(serial), None)).collect(),
        sight: Sight::clear(NOON),
    };
    let mut batch = vec![expire.into()];
    batch.extend(submits(1));
    let (ran, told) = on_told(&batch, Ok(()), |attempt, diff| {
        if attempt > 1 && holds(diff, 0) {
            Ok(())
        } else {
            Err(refused())
        }
    });

    let errors = errors(ran);
    assert!(
        matches!(errors[..], [Some(Error::Failed(_)), None]),
        "{errors:?}"
    );
    assert!(format!("{errors:?}").contains("may have been done"));
    assert!(told.attempts < 300, "{} attempts", told.attempts);
}

fn result(serial: usize, word: Word) -> RunResult {
    let token = Token {
        slot: SlotKey::only(id(serial)),
        fence: Fence(1),
        secret: 0,
    };
    RunResult::new(token, word, None)
}

fn report(results: impl Iterator<Item = RunResult>) -> Command {
    let report = Report {
        worker: None,
        results: results.collect(),
    };
    report.into()
}

#[test]
fn what_stands_behind_many_bad_results_gets_through_when_they_are_sent_again() {
    let good = [80, 161, 162, 240, 299];
    let is_bad = |serial: usize| !good.contains(&serial);
    let mut told = Told {
        commit: |_, diff: &Diff| {
            let ended = |serial| diff.outcomes.iter().any(|row| row.task == id(serial));
            let meets_bad = (0..300).filter(|serial| is_bad(*serial)).any(ended);
            if meets_bad { Err(refused()) } else { Ok(()) }
        },
        begin: Ok(()),
        attempts: 0,
        committed: Vec::new(),
        in_between: Vec::new(),
        all_leased: true,
    };
    let mut random = Seeded::new(1);
    // Always in the same order, those that were not taken.
    let mut left: Vec<usize> = (0..300).collect();
    let mut times = 0;
    while left.iter().any(|serial| !is_bad(*serial)) {
        times += 1;
        assert!(times < 100, "{left:?}");
        told.attempts = 0;
        let output = || Word::Completed {
            output: Json::stored("1"),
        };
        let again = report(left.iter().map(|serial| result(*serial, output())));

        let ran = run_by(&mut random, &mut told, &[again]).unwrap();

        let [Ok(Ok(Done::Report(back)))] = &ran.replies[..] else {
            panic!("{:?}", ran.replies)
        };
        let answers = left.iter().zip(&back.results);
        let left_out = |(serial, answer): (&usize, &Result<Status, Refused>)| match answer {
            Ok(_) => None,
            Err(_) => Some(*serial),
        };
        let before = left.len();
        left = answers.filter_map(left_out).collect();
        // What is taken pays for looking further.
        let most = 300 * (1 + before - left.len());
        assert!(told.attempts < most, "{} attempts", told.attempts);
    }
    assert_eq!(left.len(), 300 - good.len());
}

#[test]
fn what_was_taken_of_a_report_is_told_where_the_rest_is_left() {
    let mut batch = vec![report(
        (0..500).map(|serial| result(serial, Word::Released)),
    )];
    batch.extend(submits(1));

    // The first result stands alone at the tenth attempt.
    let (ran, told) = on_told(&batch, Ok(()), |attempt, diff| {
        if attempt == 10 || (attempt > 1 && holds(diff, 0)) {
            Ok(())
        } else {
            Err(refused())
        }
    });

    let ran = ran.unwrap();
    let [Ok(Ok(Done::Report(back))), Ok(Ok(Done::Submit(_)))] = &ran.replies[..] else {
        panic!("{:?}", ran.replies)
    };
    assert_eq!(back.results.len(), 500);
    assert_eq!(back.results[0], Err(Refused::NoSuchTask));
    let left = &back.results[1..];
    assert!(left.iter().all(|result| *result == Err(Refused::Broken)));
    assert!(told.attempts < 300, "{} attempts", told.attempts);
}

#[test]
fn a_command_that_was_done_in_part_is_not_said_to_have_done_nothing() {
    let run = |serial| SlotKey::only(id(serial)).run(Fence(1));
    let expire = Expire {
        runs: (0..2).map(|serial| (run(serial), None)).collect(),
        sight: Sight::clear(NOON),
    };
    for error in [unavailable(), Error::Full, Error::Conflict, unknown()] {
        let mut batch = vec![expire.clone().into()];
        batch.extend(submits(1));
        // The batch, the sweep, its first half, its second half.
        let (ran, told) = on_told(&batch, Ok(()), |attempt, _| match attempt {
            1 | 2 => Err(refused()),
            4.. if error != Error::Conflict || attempt < 8 => Err(error.clone()),
            _ => Ok(()),
        });

        let errors = errors(ran);
        assert!(matches!(errors[0], Some(Error::Unknown(_))), "{errors:?}");
        let left = match &error {
            // Others change the rows of that one alone.
            Error::Conflict => None,
            Error::Unknown(_) => Some(unavailable()),
            error => Some(error.clone()),
        };
        assert_eq!(errors[1], left);
        assert!(told.attempts >= 4);
    }
}
