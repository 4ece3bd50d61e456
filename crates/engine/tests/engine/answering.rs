//! The desk by itself: who hears what of a batch that failed in part.

use taskyard_engine::desk::Desk;

use super::by_hand::{cancel, cancelled, claim, failed, finish, who};

#[test]
fn each_caller_hears_of_its_own_command() {
    let mut desk = Desk::default();
    for name in ["one", "two", "three"] {
        desk.command(cancel(), who(name));
    }

    let answers = finish(&mut desk, vec![cancelled(), Err(failed()), cancelled()]);

    let expected = [
        (who("one"), cancelled()),
        (who("two"), Err(failed())),
        (who("three"), cancelled()),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn claims_that_failed_as_one_command_each_hear_of_it() {
    let mut desk = Desk::default();
    desk.command(cancel(), who("one"));
    assert!(desk.claim(claim("two", &["a"])).is_none());
    assert!(desk.claim(claim("three", &["b"])).is_none());

    let answers = finish(&mut desk, vec![cancelled(), Err(failed())]);

    let expected = [
        (who("one"), cancelled()),
        (who("two"), Err(failed())),
        (who("three"), Err(failed())),
    ];
    assert_eq!(answers, expected);
    assert!(desk.is_idle());
}
