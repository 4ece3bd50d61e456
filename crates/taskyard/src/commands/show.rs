//! `taskyard show`: one task, and each of its runs.

use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::attempt::{Attempt, Attempts, LateResult, Outcome};
use taskyard_api::task::{Task, TaskError};
use taskyard_api::time::Time;

use super::{Done, client};
use crate::cli::ShowArgs;
use crate::output::{self, Format, Shown};

#[derive(Serialize)]
struct Whole {
    task: Task,
    attempts: Attempts,
}

impl Shown for Whole {
    fn table(&self) -> String {
        let mut text = output::sheet(&sheet(&self.task));
        if !self.attempts.items.is_empty() {
            let rows = self.attempts.items.iter().map(row).collect();
            let table = output::table(
                &["run", "worker", "outcome", "claimed", "took", "why"],
                rows,
            );
            text = format!("{text}\n\n{table}");
        }
        if !self.attempts.late_results.is_empty() {
            let rows = self.attempts.late_results.iter().map(late).collect();
            let table = output::table(&["refused", "at", "said"], rows);
            text = format!("{text}\n\n{table}");
        }
        text
    }

    fn ids(&self) -> Vec<String> {
        vec![self.task.id.to_string()]
    }
}

pub(super) async fn run(args: &ShowArgs, format: Format) -> Done {
    let client = client(&args.connection)?;
    let task = client.task(args.task, None).await?;
    let attempts = client.attempts(args.task).await?;
    format.print(&Whole { task, attempts })?;
    Ok(ExitCode::SUCCESS)
}

fn sheet(task: &Task) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("task", task.id.to_string()),
        ("kind", task.kind.clone()),
        ("queue", task.queue.clone()),
        ("status", output::status(task.status)),
        ("created", task.created_at.to_string()),
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
            .filter_map(|(name, time)| Some((name, time?.to_string()))),
    );
    rows.push(("runs", counts(task)));
    if task.priority != 0 {
        rows.push(("priority", task.priority.to_string()));
    }
    rows.extend(task.worker_id.clone().map(|worker| ("worker", worker)));
    for (name, pairs) in [("labels", &task.labels), ("requires", &task.requires)] {
        if !pairs.is_empty() {
            rows.push((name, output::safe(&output::pairs(pairs, " "))));
        }
    }
    if let Some(progress) = &task.progress {
        let words = [output::share(progress), progress.message.clone()];
        rows.push((
            "progress",
            output::safe(&words.into_iter().flatten().collect::<Vec<_>>().join(" ")),
        ));
    }
    rows.extend(task.error.as_ref().map(|error| ("error", said(error))));
    for (name, payload) in [("input", &task.input), ("output", &task.output)] {
        rows.extend(
            payload
                .as_ref()
                .map(|payload| (name, output::safe(payload.get()))),
        );
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
    output::safe(&format!("{error}{}", detail.unwrap_or_default()))
}

fn row(attempt: &Attempt) -> Vec<String> {
    let number = attempt
        .attempt
        .map_or("-".to_owned(), |number| number.to_string());
    let took = attempt
        .started_at
        .zip(attempt.ended_at)
        .map(|(start, end)| took(start, end));
    let why = attempt.error.as_ref().map(ToString::to_string);
    vec![
        number,
        attempt.worker_id.clone(),
        attempt.outcome.map_or("under way", word).to_owned(),
        attempt.claimed_at.to_string(),
        took.unwrap_or_default(),
        output::short(&why.unwrap_or_default(), 80),
    ]
}

fn late(late: &LateResult) -> Vec<String> {
    vec![
        format!("run {}", late.fence),
        late.at.to_string(),
        word(late.outcome).to_owned(),
    ]
}

fn took(start: Time, end: Time) -> String {
    let took = end.0.since(start.0);
    if took.as_secs() >= 10 {
        super::list::span(took.as_secs())
    } else {
        format!("{} ms", took.as_millis())
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed",
        Outcome::TimedOut => "timed out",
        Outcome::Snoozed => "snoozed",
        Outcome::Released => "handed back",
        Outcome::Lost => "lost",
        Outcome::Cancelled => "cancelled",
    }
}
