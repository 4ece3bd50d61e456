//! What became of the demo's tasks, and whether it is what should have.

use std::collections::BTreeMap;

use taskyard_api::task::{Status, Task};
use taskyard_core::id::TaskId;

use super::OUTSIDE;
use super::files::TextFile;
use crate::output::{self, Column};

/// One line of the table: tasks that met the same.
pub(super) struct Fate {
    cells: Vec<String>,
    /// What is wrong with it, if anything is.
    pub(super) wrong: Option<String>,
}

impl Fate {
    pub(super) fn new(what: &str, tasks: &[Task], wrong: Option<String>) -> Self {
        let sum = |count: fn(&Task) -> u32| tasks.iter().map(count).sum::<u32>().to_string();
        let cells = vec![
            what.to_owned(),
            tasks.len().to_string(),
            tally(tasks.iter().map(|task| task.status.to_string())),
            sum(|task| task.attempts),
            sum(|task| task.failures),
            sum(|task| task.losses),
            tally(tasks.iter().filter_map(|task| task.worker_id.clone())),
        ];
        Self {
            cells,
            wrong: wrong.map(|wrong| format!("{what}: {wrong}")),
        }
    }
}

pub(super) fn table(fates: &[Fate]) -> String {
    let columns = [
        Column::new("what"),
        Column::new("tasks").leaves(3),
        Column::new("end").leaves(6),
        Column::new("runs").leaves(1),
        Column::new("failed").leaves(4),
        Column::new("lost").leaves(5),
        Column::new("ended by").text().leaves(2),
    ];
    let rows = fates.iter().map(|fate| fate.cells.clone());
    output::table(&columns, rows.collect())
}

/// Each word once, with how often it was there.
fn tally(words: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    let one = counts.len() == 1;
    counts
        .into_iter()
        .map(|(word, count)| if one { word } else { format!("{word} {count}") })
        .collect::<Vec<_>>()
        .join(", ")
}

/// There are some, and each is as it should be.
pub(super) fn unless(tasks: &[Task], right: impl Fn(&Task) -> bool) -> Option<String> {
    if tasks.is_empty() {
        return Some("there is none".to_owned());
    }
    tasks.iter().find(|task| !right(task)).map(describe)
}

pub(super) fn wrong_counts(tasks: &[Task], texts: &[TextFile]) -> Option<String> {
    let off = tasks
        .iter()
        .zip(texts)
        .find(|(task, text)| words_counted(task) != Some(text.words));
    off.map(|(task, text)| format!("{}, expected {} words", describe(task), text.words))
}

pub(super) fn wrong_losses(tasks: &[Task], victim: TaskId) -> Option<String> {
    if !tasks.iter().any(|task| task.id == victim) {
        return Some(format!("task {victim} was not lost"));
    }
    unless(tasks, |task| {
        task.status == Status::Completed
            && task.losses == 1
            && task.attempts == 2
            && task.worker_id.as_deref() != Some(OUTSIDE)
    })
}

/// The first word of what `wc` printed.
fn words_counted(task: &Task) -> Option<u64> {
    let output: serde_json::Value = serde_json::from_str(task.output.as_ref()?.get()).ok()?;
    output
        .get("stdout")?
        .as_str()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn describe(task: &Task) -> String {
    let said = task.error.as_ref().map(|error| format!(" ({error})"));
    format!(
        "task {} is {}{} after {} runs, {} failed, {} lost",
        task.id,
        task.status,
        said.unwrap_or_default(),
        task.attempts,
        task.failures,
        task.losses
    )
}
