//! The log: for people on a terminal, JSON lines otherwise; always to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::{General, LogFormat};
use crate::failure::Failure;

pub(crate) fn start(general: &General) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&general.log)
        .map_err(|error| Failure::usage(format!("--log {:?}: {error}", general.log)))?;
    let human = match general.log_format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if human {
        builder
            .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .with_target(false)
            .init();
    } else {
        builder.json().flatten_event(true).init();
    }
    Ok(())
}
