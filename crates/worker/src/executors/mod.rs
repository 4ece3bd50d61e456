//! The kinds that come with Taskyard.

pub mod command;
mod echo;
mod input;
mod noop;
mod sleep;

pub use self::command::Command;
pub use self::echo::Echo;
pub use self::noop::Noop;
pub use self::sleep::Sleep;

use crate::executor::Executors;

/// Every kind that needs nothing but this program.
pub fn standard(command: command::Settings) -> Executors {
    Executors::default()
        .with(Noop)
        .with(Echo("echo"))
        .with(Echo("simple"))
        .with(Sleep)
        .with(Command::new(command))
}
