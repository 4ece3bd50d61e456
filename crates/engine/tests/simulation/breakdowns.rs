//! Panics of the rules. A store catches them and runs the batch in parts, which may all go well; a bug is behind each all
//! the same.

use std::cell::Cell;
use std::panic::{set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// From now on panics are counted, in each thread its own.
pub(crate) fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let tell = take_hook();
        set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            tell(panic);
        }));
    });
    PANICS.set(0);
}

/// Stops if anything has broken down since the watch began.
pub(crate) fn check() {
    assert_eq!(PANICS.get(), 0, "the rules never break down");
}
