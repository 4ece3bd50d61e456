//! `taskyard stats`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use taskyard_api::stats::{Counts, Quantiles, Recent, Stats};

use super::{Done, client};
use crate::cli::{StatsArgs, StatsBy};
use crate::output::{self, Cell, Column, Format, Shown, Value};

/// What can be seen of each window, or of each queue or kind in one.
pub(crate) const COLUMNS: [Column; 14] = [
    Column::new("last").name(),
    Column::new("submitted/s").leaves(7),
    Column::new("started/s").leaves(2),
    Column::new("completed/s"),
    Column::new("failed/s").leaves(6),
    Column::new("success").leaves(8),
    Column::new("waits").leaves(5),
    Column::new("wait p50").leaves(5),
    Column::new("wait p90").leaves(1),
    Column::new("wait p99").leaves(4),
    Column::new("runs").leaves(5),
    Column::new("run p50").leaves(5),
    Column::new("run p90").leaves(1),
    Column::new("run p99").leaves(3),
];

/// All of it, as the server says it; a part of it in the table.
#[derive(Serialize)]
struct Seen<'a> {
    #[serde(flatten)]
    stats: &'a Stats,
    #[serde(skip)]
    args: &'a StatsArgs,
}

impl Seen<'_> {
    fn rows(&self) -> Vec<(String, &Recent)> {
        let windows = &self.stats.windows;
        let Some(by) = self.args.by else {
            let windows = windows.iter();
            return windows
                .map(|window| (minutes(window.minutes), &window.all))
                .collect();
        };
        let chosen = windows
            .iter()
            .find(|window| window.minutes == self.args.minutes);
        let Some(window) = chosen else {
            return Vec::new();
        };
        let names: &BTreeMap<String, Recent> = match by {
            StatsBy::Queue => &window.by_queue,
            StatsBy::Kind => &window.by_kind,
        };
        names
            .iter()
            .map(|(name, recent)| (name.clone(), recent))
            .collect()
    }
}

pub(super) fn minutes(minutes: u32) -> String {
    format!("{minutes} min")
}

/// Where tasks stand, for a sheet.
pub(super) fn counts(counts: &Counts) -> [(&'static str, Value); 3] {
    [
        (
            "waiting",
            format!("{} pending, {} scheduled", counts.pending, counts.scheduled).into(),
        ),
        ("running", (counts.running + counts.assigned).into()),
        (
            "ended",
            format!(
                "{} completed, {} failed, {} timeout, {} cancelled",
                counts.completed, counts.failed, counts.timeout, counts.cancelled
            )
            .into(),
        ),
    ]
}

impl Shown for Seen<'_> {
    fn table(&self) -> String {
        let mut sheet = Vec::from(counts(&self.stats.by_status));
        sheet.push(("success", part(self.stats.success_rate).into()));
        let sheet = output::sheet(&sheet);
        let rows = self.rows();
        let rows = rows.iter().map(|(name, recent)| row(name, recent));
        format!("{sheet}\n\n{}", output::table(&COLUMNS, rows.collect()))
    }

    fn ids(&self) -> Vec<String> {
        self.rows().into_iter().map(|(name, _)| name).collect()
    }
}

pub(super) fn row(name: &str, recent: &Recent) -> Vec<Cell> {
    let rates = &recent.rates;
    let mut cells: Vec<Cell> = vec![
        name.to_owned().into(),
        rate(rates.submitted).into(),
        rate(rates.started).into(),
        rate(rates.completed).into(),
        rate(rates.failed + rates.timeout).into(),
        part(recent.success_rate).into(),
    ];
    for quantiles in [&recent.wait_ms, &recent.run_ms] {
        let count = quantiles.as_ref().map(|all| all.count.to_string());
        cells.push(count.unwrap_or_default().into());
        let of = |which: fn(&Quantiles) -> f64| quantiles.as_ref().map(which).map(time);
        for quantile in [of(|all| all.p50), of(|all| all.p90), of(|all| all.p99)] {
            cells.push(quantile.unwrap_or_default().into());
        }
    }
    cells
}

/// With as many digits as tell something.
fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        small if small < 10.0 => format!("{small:.2}"),
        large => format!("{large:.0}"),
    }
}

fn part(of_one: Option<f64>) -> String {
    of_one.map_or_else(String::new, |part| format!("{:.1} %", part * 100.0))
}

fn time(ms: f64) -> String {
    output::time(Duration::from_secs_f64(ms.max(0.0) / 1e3))
}

pub(super) async fn run(args: &StatsArgs, format: Format) -> Done {
    let stats = client(&args.connection)?.stats().await?;
    let seen = Seen {
        stats: &stats,
        args,
    };
    let is_empty = seen.rows().is_empty();
    format.print(&seen)?;
    if is_empty && format == Format::Table {
        output::note("Nothing happened in this time.");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_tell_something() {
        let rates = [0.0, 0.0166, 9.99, 123.4].map(rate);
        assert_eq!(rates, ["0", "0.02", "9.99", "123"]);
        assert_eq!(
            (part(Some(0.987)), part(None)),
            ("98.7 %".to_owned(), String::new())
        );
    }
}
