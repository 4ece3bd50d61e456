//! How long tasks wait after failures, as flags.

use std::time::Duration;

use clap::Args;
use taskyard_api::task::Retry;

use crate::settings::units::{duration, fraction, millis};

/// What goes with `--backoff`, whose value is not the same everywhere.
#[derive(Debug, Args)]
pub(crate) struct BackoffArgs {
    /// What each further failure multiplies the wait by, from 1 to 1000. Default: 2.
    #[arg(long, value_name = "N", value_parser = fraction)]
    pub(crate) backoff_factor: Option<f64>,
    /// The longest wait. Default: 10m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) backoff_max: Option<Duration>,
    /// The share by which a wait is lengthened or shortened at random, from 0 to 1. Default: 0.2.
    #[arg(long, value_name = "SHARE", value_parser = fraction)]
    pub(crate) backoff_jitter: Option<f64>,
}

impl BackoffArgs {
    /// One of them is given.
    pub(crate) fn is_asked(&self) -> bool {
        self.backoff_factor.is_some() || self.backoff_max.is_some() || self.backoff_jitter.is_some()
    }

    /// As it is sent; none where neither this nor one of them is given. What is not given takes its default.
    pub(crate) fn retry(&self, backoff: Option<Duration>) -> Option<Retry> {
        if backoff.is_none() && !self.is_asked() {
            return None;
        }
        let default = Retry::default();
        Some(Retry {
            backoff_ms: backoff.map_or(default.backoff_ms, millis),
            factor: self.backoff_factor.unwrap_or(default.factor),
            max_ms: self.backoff_max.map_or(default.max_ms, millis),
            jitter: self.backoff_jitter.unwrap_or(default.jitter),
        })
    }
}
