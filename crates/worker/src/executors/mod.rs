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

/// Every kind that needs nothing but this program; `command` only where the operator allows any, so that a worker that
/// may run none takes no such task.
pub fn standard(command: command::Settings) -> Executors {
    let executors = Executors::default()
        .with(Noop)
        .with(Echo("echo"))
        .with(Echo("simple"))
        .with(Sleep);
    if command.allow == command::Allow::Nothing {
        return executors;
    }
    executors.with(Command::new(command))
}
