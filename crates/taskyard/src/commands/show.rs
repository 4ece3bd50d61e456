//! `taskyard show`: one task, and each of its runs.

use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::attempt::{Attempt, Attempts, LateResult, Outcome};
use taskyard_api::task::{Status, Task, TaskError};

use super::explain::warn_if_it_stays;
use super::{Done, client, named};
use crate::cli::ShowArgs;
use crate::failure::{About, Failure};
use crate::output::{self, Column, Format, Shown, Value};

#[derive(Serialize)]
struct Whole {
    task: Task,
    attempts: Attempts,
}

impl Shown for Whole {
    fn table(&self) -> String {
        let mut parts = vec![output::sheet(&sheet(&self.task))];
        if !self.attempts.items.is_empty() {
            parts.push(runs(&self.attempts.items));
        }
        if !self.attempts.late_results.is_empty() {
            parts.push(refused(&self.attempts.late_results));
        }
        parts.join("\n\n")
    }

    fn ids(&self) -> Vec<String> {
        vec![self.task.id.to_string()]
    }
}

pub(super) async fn run(args: &ShowArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let id = named::task(&client, &args.task).await?;
    let about = |error| Failure::about(error, About::Task(id));
    let task = client.task(id, None).await.map_err(about)?;
    let attempts = client.attempts(id).await.map_err(about)?;
    let whole = Whole { task, attempts };
    format.print(&whole)?;
    if format == Format::Table && whole.task.status == Status::Pending {
        warn_if_it_stays(&client, id).await;
    }
    Ok(ExitCode::SUCCESS)
}

fn sheet(task: &Task) -> Vec<(&'static str, Value)> {
    let mut rows = vec![
        ("task", task.id.into()),
        ("kind", (&task.kind).into()),
        ("queue", (&task.queue).into()),
        ("status", output::status(task.status)),
        ("created", task.created_at.into()),
    ];
    let times = [
        (
            "runs at",
            Some(task.run_at).filter(|run_at| *run_at != task.created_at),
        ),
        ("started", task.started_at),
        ("ended", task.ended_at),
    ];
    rows.extend(
        times
            .into_iter()
            .filter_map(|(name, time)| Some((name, time?.into()))),
    );
    rows.push(("attempts", counts(task).into()));
    if task.priority != 0 {
        rows.push(("priority", task.priority.into()));
    }
    if task.exclusive {
        rows.push(("exclusive", "yes".into()));
    }
    let key = task.unique_key.as_ref();
    rows.extend(key.map(|key| ("unique key", key.into())));
    rows.extend(task.retry_of.map(|of| ("retry of", of.into())));
    let origin = task.origin.as_ref();
    rows.extend(origin.map(|origin| ("dialect", origin.into())));
    let worker = task.worker_id.as_ref();
    rows.extend(worker.map(|worker| ("worker", worker.into())));
    for (name, pairs) in [("labels", &task.labels), ("requires", &task.requires)] {
        if !pairs.is_empty() {
            rows.push((name, output::pairs(pairs, " ").into()));
        }
    }
    if let Some(progress) = &task.progress {
        rows.push(("progress", output::progress(progress).into()));
    }
    rows.extend(
        task.error
            .as_ref()
            .map(|error| ("error", said(error).into())),
    );
    if !task.unreadable.is_empty() {
        rows.push(("damaged", task.unreadable.join(" ").into()));
    }
    for (name, payload) in [("input", &task.input), ("output", &task.output)] {
        let text = output::payload(payload.as_ref());
        rows.extend(text.map(|text| (name, text.into())));
    }
    rows
}

fn counts(task: &Task) -> String {
    let mut text = task.attempts.to_string();
    if task.failures > 0 {
        text += &format!(
            ", {} of at most {} failed",
            task.failures, task.max_attempts
        );
    }
    if task.losses > 0 {
        text += &format!(", {} of at most {} lost", task.losses, task.max_losses);
    }
    text
}

fn said(error: &TaskError) -> String {
    let detail = error
        .detail
        .as_ref()
        .map(|detail| format!("\n{}", detail.get()));
    format!("{error}{}", detail.unwrap_or_default())
}

fn runs(attempts: &[Attempt]) -> String {
    let columns = [
        Column::new("run"),
        Column::new("attempt").leaves(6),
        Column::new("worker").name().leaves(4),
        Column::new("outcome").leaves(5),
        Column::new("claimed").leaves(1),
        Column::new("took").leaves(2),
        Column::new("why").text().leaves(3),
    ];
    output::table(&columns, attempts.iter().map(row).collect())
}

fn refused(late_results: &[LateResult]) -> String {
    let columns = ["run", "refused at", "said"].map(Column::new);
    output::table(&columns, late_results.iter().map(late).collect())
}

fn row(attempt: &Attempt) -> Vec<String> {
    let number = attempt
        .attempt
        .map_or("-".to_owned(), |number| number.to_string());
    let took = attempt
        .started_at
        .zip(attempt.ended_at)
        .map(|(start, end)| output::time(end.0.since(start.0)));
    let why = attempt.error.as_ref().map(ToString::to_string);
    vec![
        numbered(attempt.fence),
        number,
        attempt.worker_id.clone(),
        attempt.outcome.map_or("under way", word).to_owned(),
        attempt.claimed_at.to_string(),
        took.unwrap_or_default(),
        why.unwrap_or_default(),
    ]
}

/// The number of a run, which counts every time the task was given out, also where nothing began: the same in every table.
fn numbered(fence: u32) -> String {
    match fence {
        // It never was.
        0 => "-".to_owned(),
        fence => fence.to_string(),
    }
}

fn late(late: &LateResult) -> Vec<String> {
    vec![
        numbered(late.fence),
        late.at.to_string(),
        word(late.outcome).to_owned(),
    ]
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed",
        Outcome::TimedOut => "timed out",
        Outcome::Snoozed => "snoozed",
        Outcome::Released => "released",
        Outcome::Lost => "lost",
        Outcome::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_the_same_number_wherever_it_is_shown() {
        let attempts: Attempts = serde_json::from_str(
            r#"{"items": [
                {"attempt": null, "fence": 1, "worker_id": "a", "outcome": "lost", "claimed_at": "2026-01-01T00:00:00Z",
                 "started_at": null, "ended_at": "2026-01-01T00:01:00Z", "error": null},
                {"attempt": 1, "fence": 2, "worker_id": "b", "outcome": "lost", "claimed_at": "2026-01-01T00:01:00Z",
                 "started_at": "2026-01-01T00:01:00Z", "ended_at": "2026-01-01T00:02:00Z", "error": null}],
             "late_results": [
                {"fence": 2, "at": "2026-01-01T00:03:00Z", "outcome": "completed", "output": null, "error": null},
                {"fence": 0, "at": "2026-01-01T00:04:00Z", "outcome": "failed", "output": null, "error": null}]}"#,
        )
        .unwrap();

        let words = |line: &str, count| {
            let words = line.split_whitespace().take(count);
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let lines = |text: String, count| {
            let lines = text.lines().map(|line| words(line, count));
            lines.collect::<Vec<_>>()
        };

        assert_eq!(
            lines(runs(&attempts.items), 3),
            [
                ["RUN", "ATTEMPT", "WORKER"],
                ["1", "-", "a"],
                ["2", "1", "b"]
            ]
        );
        assert_eq!(
            lines(refused(&attempts.late_results), 1),
            [["RUN"], ["2"], ["-"]]
        );
    }
}
