//! The variables that a command gets: a few of ours and the task's own, none of the worker's secrets.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use crate::executor::Run;

/// The variable whose value no other run has: it marks the run's processes.
pub(super) const WORKDIR: &str = "TASKYARD_WORKDIR";

/// Passed on from the worker when it has them: how text, numbers and times look.
const INHERITED: [&str; 2] = ["LANG", "TZ"];

/// Everything the command will find in its environment.
pub(super) fn build(
    path: &OsStr,
    workdir: &Path,
    run: &Run,
    env: BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let workdir = workdir.to_string_lossy().into_owned();
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), path.to_string_lossy().into_owned()),
        ("HOME".to_owned(), workdir.clone()),
        // So that scratch files go with the work directory.
        ("TMPDIR".to_owned(), workdir.clone()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    all.extend(
        INHERITED
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))),
    );
    all.extend(env);
    all.extend([
        ("TASKYARD_TASK_ID".to_owned(), run.task.to_string()),
        ("TASKYARD_ATTEMPT".to_owned(), run.attempt.to_string()),
        (WORKDIR.to_owned(), workdir),
    ]);
    all.into_iter().collect()
}
