//! The model's logs: maps, and no batches.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use taskyard_core::id::{RunKey, TaskId};
use taskyard_core::log::{Append, Appended, Line, Log, Logs, Page, Wanted};
use taskyard_core::store::Error;

use crate::logs::{Listed, Paging};

type Runs = BTreeMap<RunKey, (Log, BTreeMap<u32, Line>)>;

#[derive(Default)]
pub(super) struct ModelLogs(Mutex<Runs>);

impl ModelLogs {
    pub(super) fn forget_all(&self) {
        self.0.lock().clear();
    }
}

#[async_trait]
impl Logs for ModelLogs {
    async fn append(&self, append: Append) -> Result<Appended, Error> {
        let mut logs = self.0.lock();
        let new = || (Log::new(append.owner), BTreeMap::new());
        let (log, lines) = logs.entry(append.owner.run).or_insert_with(new);
        if log.owner.claimed_at != append.owner.claimed_at {
            (*log, *lines) = new();
        }
        let (kept, appended) = log.take(&append);
        lines.extend(kept.into_iter().map(|kept| {
            let line = Line {
                at: kept.at,
                stream: kept.stream,
                text: kept.text.into_owned(),
            };
            (kept.seq, line)
        }));
        Ok(appended)
    }

    async fn page(&self, wanted: Wanted) -> Result<Page, Error> {
        let logs = self.0.lock();
        let mut paging = Paging::new(wanted);
        for (run, (log, lines)) in logs.iter() {
            let attempt = log.owner.attempt;
            if run.slot.task != wanted.task
                || run.fence < wanted.after.fence
                || wanted.attempt.is_some_and(|only| only != attempt)
            {
                continue;
            }
            let listed = Listed {
                id: 0,
                fence: run.fence,
                attempt,
            };
            let behind = lines.range(paging.behind(listed) + 1..);
            let lines = behind.map(|(seq, line)| (*seq, line.clone()));
            paging.take_all(listed, lines.collect());
        }
        Ok(paging.end(&[]))
    }

    async fn tasks(&self, after: Option<TaskId>, limit: usize) -> Result<Vec<TaskId>, Error> {
        let logs = self.0.lock();
        let mut tasks: Vec<TaskId> = logs.keys().map(|run| run.slot.task).collect();
        tasks.dedup();
        tasks.retain(|task| after.is_none_or(|after| *task > after));
        tasks.truncate(limit);
        Ok(tasks)
    }

    async fn forget(&self, task: TaskId) -> Result<(), Error> {
        self.0.lock().retain(|run, _| run.slot.task != task);
        Ok(())
    }
}
