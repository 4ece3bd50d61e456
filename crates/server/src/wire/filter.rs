//! Filters of tasks, as queries and bodies give them.

use std::sync::Arc;

use taskyard_api::operation::TasksFilter;
use taskyard_core::filter::{Filter, Search};
use taskyard_core::labels::VALUE_LEN_MAX;
use taskyard_core::name::{BadName, Name};

/// How many labels one filter may name.
pub(crate) const LABELS_MAX: usize = taskyard_core::labels::LABELS_MAX;

/// Of each wrong condition `wrong` is told the name and what is wrong with it.
pub(crate) fn filter(asked: &TasksFilter, mut wrong: impl FnMut(&str, String)) -> Filter {
    let mut named =
        |field: &str, value: &Option<String>, read: fn(&str) -> Result<Name, BadName>| {
            let name = value.as_deref().map(read).transpose();
            name.map_err(|bad| wrong(field, bad.to_string()))
                .ok()
                .flatten()
        };
    let kind = named("kind", &asked.kind, Name::path);
    let queue = named("queue", &asked.queue, Name::path);
    let worker = named("worker_id", &asked.worker_id, Name::plain);
    let search = asked.q.as_deref().map(Search::read).transpose();
    let search = search
        .map_err(|bad| wrong("q", bad.to_string()))
        .ok()
        .flatten();
    let mut statuses: Vec<_> = asked.status.iter().map(|status| (*status).into()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    Filter {
        statuses,
        kind,
        queue,
        worker,
        labels: labels(&asked.label, wrong),
        search,
        created_after: asked.created_after.map(Into::into),
        created_before: asked.created_before.map(Into::into),
    }
}

/// One in each: a comma belongs to the value.
fn labels(asked: &[String], mut wrong: impl FnMut(&str, String)) -> Vec<(Name, Arc<str>)> {
    if asked.len() > LABELS_MAX {
        wrong("label", format!("at most {LABELS_MAX} of them"));
        return Vec::new();
    }
    let mut labels = Vec::new();
    for pair in asked {
        let Some((name, value)) = pair.split_once('=') else {
            wrong(
                "label",
                "must be name=value, one in each `label`".to_owned(),
            );
            continue;
        };
        match Name::plain(name) {
            Ok(_) if value.len() > VALUE_LEN_MAX => {
                let detail = format!(
                    "the value of {name} is longer than any label's, {VALUE_LEN_MAX} bytes"
                );
                wrong("label", detail);
            }
            Ok(name) => labels.push((name, Arc::from(value))),
            Err(bad) => wrong("label", format!("the name {bad}")),
        }
    }
    labels.sort_unstable();
    labels
}

/// The same as answers write it.
pub(crate) fn shown(filter: &Filter) -> TasksFilter {
    let name = |name: &Option<Name>| name.as_ref().map(Name::to_string);
    let labels = filter.labels.iter();
    TasksFilter {
        status: filter
            .statuses
            .iter()
            .map(|status| (*status).into())
            .collect(),
        kind: name(&filter.kind),
        queue: name(&filter.queue),
        worker_id: name(&filter.worker),
        label: labels
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        q: filter
            .search
            .as_ref()
            .map(|search| search.as_str().to_owned()),
        created_after: filter.created_after.map(Into::into),
        created_before: filter.created_before.map(Into::into),
    }
}
