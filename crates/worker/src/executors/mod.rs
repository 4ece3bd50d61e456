//! The kinds that come with Taskyard.

pub mod command;
mod echo;
pub mod http;
mod input;
mod list;
mod noop;
pub mod problem;
mod simulated;
mod sleep;

pub use self::command::Command;
pub use self::echo::Echo;
pub use self::http::Http;
pub use self::noop::Noop;
pub use self::problem::{Parameters, Problem};
pub use self::simulated::Simulated;
pub use self::sleep::Sleep;

use crate::executor::Executors;

/// How the kinds run that can be set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub command: command::Settings,
    pub http: http::Settings,
}

/// Every kind that needs nothing but this program; `command` and `http` only where the operator allows any, so that a
/// worker that may run none takes no such task.
pub fn standard(settings: Settings) -> Executors {
    let Settings { command, http } = settings;
    let mut executors = Executors::default()
        .with(Noop)
        .with(Echo("echo"))
        .with(Echo("simple"))
        .with(Sleep)
        .with(Problem::default());
    if command.allow != command::Allow::Nothing {
        executors = executors.with(Command::new(command));
    }
    if !http.allow.is_nothing() {
        executors = executors.with(Http::new(http));
    }
    executors
}
