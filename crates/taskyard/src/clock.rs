//! The one place where the program reads the machine's clock.

use taskyard_core::time::Timestamp;

/// The time of day, as this machine knows it. It may go back.
#[expect(
    clippy::disallowed_methods,
    reason = "everybody else is handed the time by this function"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
