//! What each workload does.

mod aged;
mod claims;
mod drain;
mod engine;
mod fill;
mod fleet;
mod heartbeats;
mod latency;
mod lifecycle;
mod logs;
mod reads;
mod servers;
mod submit;

mod idle;
mod queued;
mod start;

use super::{Figure, Run, Workload};

pub(super) async fn measure(workload: Workload, run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    match workload {
        Workload::W0 => engine::measure(run, "W0", 1).await,
        Workload::W0Lanes => engine::measure(run, "W0-lanes", 1000).await,
        Workload::W1 => submit::one_by_one(run, "W1", 1).await,
        Workload::W1x64 => submit::one_by_one(run, "W1x64", 64).await,
        Workload::W1Bulk => submit::in_bulk(run).await,
        Workload::W2 => drain::measure(run).await,
        Workload::W3 => latency::measure(run).await,
        Workload::W5x64 => lifecycle::measure(run, "W5x64", 64).await,
        Workload::W5x256 => lifecycle::measure(run, "W5x256", 256).await,
        Workload::W6 => claims::measure(run).await,
        Workload::W7 => heartbeats::measure(run).await,
        Workload::W8 => logs::measure(run).await,
        Workload::W9 => reads::measure(run).await,
        Workload::W10 => servers::measure(run).await,
        Workload::W11 => fleet::measure(run).await,
        Workload::W12 => aged::measure(run).await,
        Workload::Start => start::measure(run).await,
        Workload::Idle => idle::measure(run).await,
        Workload::Queued => queued::measure(run).await,
    }
}
