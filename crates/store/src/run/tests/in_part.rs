//! What is told of a command that was done in part.

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
    assert!(told.attempts < 150, "{} attempts", told.attempts);
}

#[test]
fn what_was_taken_of_a_report_is_told_where_the_rest_is_left() {
    let result = |serial| {
        let token = Token {
            slot: SlotKey::only(id(serial)),
            fence: Fence(1),
            secret: 0,
        };
        RunResult::new(token, Word::Released, None)
    };
    let report = Report {
        worker: None,
        results: (0..500).map(result).collect(),
    };
    let mut batch = vec![report.into()];
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
    assert!(told.attempts < 150, "{} attempts", told.attempts);
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
