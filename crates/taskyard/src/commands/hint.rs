//! Why a task waits, as far as the list of workers tells: somebody who mistyped a kind should hear of it.

use std::collections::BTreeMap;

use taskyard_api::client::Client;
use taskyard_api::worker::{Worker, WorkerStatus};
use taskyard_core::labels::{Demands, Labels};

use crate::output;

/// What a worker must be fit for to take a task.
pub(super) struct Wanted<'a> {
    pub(super) kind: &'a str,
    pub(super) queue: &'a str,
    pub(super) requires: &'a BTreeMap<String, String>,
}

/// Says so if no worker that is here can take such a task. It was accepted all the same, and waits.
pub(super) async fn warn_if_nobody_takes(client: &Client, wanted: &Wanted<'_>) {
    // What the list of workers cannot tell is not worth a failure.
    let Ok(workers) = client.all_workers().await else {
        return;
    };
    if let Some(why) = why_nobody_takes(&workers, wanted) {
        output::note(&format!(
            "{why}; the task waits for one. `taskyard workers` shows what each takes."
        ));
    }
}

/// None if somebody can take it. Otherwise what is missing first.
fn why_nobody_takes(workers: &[Worker], wanted: &Wanted<'_>) -> Option<String> {
    let mut fit: Vec<&Worker> = workers
        .iter()
        .filter(|worker| worker.status != WorkerStatus::Offline)
        .collect();
    let Wanted {
        kind,
        queue,
        requires,
    } = wanted;

    fit.retain(|worker| {
        worker
            .kinds
            .iter()
            .any(|other| other == kind || other == "*")
    });
    if fit.is_empty() {
        let allow = match *kind {
            "command" => " (--allow-command names what a worker or server may run)",
            "http" => " (--allow-http names the hosts that a worker or server may ask)",
            _ => "",
        };
        return Some(format!("No worker that is here runs `{kind}`{allow}"));
    }
    fit.retain(|worker| {
        let queues = worker.queues.as_ref();
        queues.is_none_or(|queues| queues.iter().any(|other| other == queue))
    });
    if fit.is_empty() {
        return Some(format!(
            "No worker that is here runs `{kind}` from queue `{queue}`"
        ));
    }
    // The server has taken these, so they can be read.
    let demands = Demands::new(*requires).ok()?;
    fit.retain(|worker| {
        Labels::new(&worker.labels).is_ok_and(|labels| demands.are_met_by(&labels))
    });
    if fit.is_empty() {
        return Some(format!(
            "No worker that is here and runs `{kind}` has the labels it requires ({})",
            output::pairs(demands.iter(), " ")
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use taskyard_api::time::Time;
    use taskyard_core::time::Timestamp;

    use super::*;

    fn worker(kinds: &[&str], queues: Option<&[&str]>, labels: &[(&str, &str)]) -> Worker {
        let now = Time(Timestamp::from_micros(0));
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let labels = labels.iter();
        Worker {
            worker_id: "w".to_owned(),
            number: 1,
            epoch: 1,
            status: WorkerStatus::Idle,
            internal: false,
            kinds: texts(kinds),
            queues: queues.map(texts),
            labels: labels
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            capacity: 1,
            held: 0,
            completed: 0,
            failed: 0,
            registered_at: now,
            heard_at: now,
            expires_at: now,
            running: None,
        }
    }

    fn said(workers: &[Worker], kind: &str, requires: &[(&str, &str)]) -> Option<String> {
        let requires = requires.iter();
        let requires = requires
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let wanted = Wanted {
            kind,
            queue: "default",
            requires: &requires,
        };
        why_nobody_takes(workers, &wanted)
    }

    #[test]
    fn what_is_missing_first_is_told() {
        let here = [
            worker(&["echo"], None, &[]),
            worker(&["resize"], Some(&["slow"]), &[]),
            worker(&["train"], None, &[("gpu", "a100"), ("memory_gb", "16")]),
            Worker {
                status: WorkerStatus::Offline,
                ..worker(&["*"], None, &[])
            },
        ];
        let check = |kind, requires: &[_], names: &[&str]| {
            let said = said(&here, kind, requires).unwrap_or_default();
            assert!(names.iter().all(|name| said.contains(name)), "{said}");
            assert_eq!(said.is_empty(), names.is_empty(), "{said}");
        };

        check("echo", &[], &[]);
        check("ecco", &[], &["`ecco`"]);
        check("command", &[], &["`command`", "--allow-command"]);
        check("http", &[], &["`http`", "--allow-http"]);
        check("resize", &[], &["queue `default`"]);
        check("train", &[("gpu", "a100"), ("memory_gb", ">=16")], &[]);
        check(
            "train",
            &[("memory_gb", ">=32")],
            &["labels", "memory_gb=>=32"],
        );
        check("echo", &[("gpu", "a100")], &["labels", "gpu=a100"]);
    }
}
