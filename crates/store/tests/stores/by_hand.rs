//! Where a store keeps its rows, and what can be done to them behind its back.

use std::path::Path;
use std::sync::Arc;

use taskyard_core::id::TaskId;
use taskyard_core::status::Status;
use taskyard_store::model::Model;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::database::Database;
use crate::together::Together;

pub(crate) enum Place {
    Model(Arc<Model>),
    /// Of `taskyard.db`.
    Folder(TempDir),
    Database(Arc<Database>),
    Together(Arc<Together>),
}

/// What is done to one task.
#[derive(Clone, Copy)]
enum Act {
    Refuse,
    Lose,
    Uproot,
    Garble,
    Spoil,
    Blot,
    End,
}

impl Place {
    /// From now on the database takes neither this task nor a lease of it, nor that it is ready.
    pub(crate) async fn refuse(&self, task: TaskId) {
        self.act(Act::Refuse, task).await;
    }

    /// The task's row is gone, and what refers to it is left.
    pub(crate) async fn lose(&self, task: TaskId) {
        self.act(Act::Lose, task).await;
    }

    /// The task's row is there, and stands nowhere: it neither waits nor runs, and has not ended.
    pub(crate) async fn uproot(&self, task: TaskId) {
        self.act(Act::Uproot, task).await;
    }

    /// The row that schedules the task cannot be read any more. The model's are always whole: it refuses the change.
    pub(crate) async fn garble(&self, task: TaskId) {
        self.act(Act::Garble, task).await;
    }

    /// What the task works on, its labels and what it left behind are no JSON any more.
    pub(crate) async fn spoil(&self, task: TaskId) {
        self.act(Act::Spoil, task).await;
    }

    /// The task's own row cannot be shown any more.
    pub(crate) async fn blot(&self, task: TaskId) {
        self.act(Act::Blot, task).await;
    }

    /// There is an end of the task beside whatever it has.
    pub(crate) async fn end(&self, task: TaskId) {
        self.act(Act::End, task).await;
    }

    async fn act(&self, act: Act, task: TaskId) {
        match self {
            Self::Model(model) => act.on_model(model, task),
            Self::Folder(folder) => act.on_sqlite(&folder.path().join("taskyard.db"), task),
            Self::Database(database) => act.on_postgres(&database.client().await, task).await,
            Self::Together(all) => {
                act.on_model(all.model(), task);
                act.on_sqlite(&all.file(), task);
                if let Some(client) = all.client() {
                    act.on_postgres(client, task).await;
                }
            }
        }
    }
}

impl Act {
    fn on_model(self, model: &Model, task: TaskId) {
        match self {
            Self::Refuse | Self::Garble => model.refuse(task),
            Self::Lose => model.lose(task),
            Self::Uproot => model.uproot(task),
            Self::Spoil => model.spoil(task),
            Self::Blot => model.blot(task),
            Self::End => model.end(task),
        }
    }

    fn on_sqlite(self, path: &Path, task: TaskId) {
        let id = task.as_uuid().simple();
        let text = match self {
            Self::Refuse => format!(
                "create trigger task_{id} before insert on task when new.id = x'{id}'
                begin select raise(abort, 'refused by hand'); end;
                create trigger lease_{id} before insert on lease when new.task = x'{id}'
                begin select raise(abort, 'refused by hand'); end;
                create trigger ready_{id} before insert on ready when new.task = x'{id}'
                begin select raise(abort, 'refused by hand'); end;"
            ),
            Self::Lose => format!("delete from task where id = x'{id}'"),
            Self::Uproot => uproot(&format!("x'{id}'")),
            Self::Garble => format!(
                "pragma ignore_check_constraints = on;
                update scheduled set why = 9 where task = x'{id}'"
            ),
            // No text in UTF-8.
            Self::Spoil => format!(
                "update task set input = cast(x'ff' as text), labels = cast(x'ff' as text) where id = x'{id}';
                update outcome set output = cast(x'ff' as text) where task = x'{id}' and output is not null;
                update outcome set error_detail = cast(x'ff' as text) where task = x'{id}' and error_code is not null;
                update carry set error_detail = cast(x'ff' as text) where task = x'{id}' and error_code is not null"
            ),
            Self::Blot => blot(&format!("x'{id}'")),
            Self::End => end(&format!("x'{id}'")),
        };
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch(&text).unwrap();
    }

    async fn on_postgres(self, client: &Client, task: TaskId) {
        let name = task.as_uuid().simple();
        let text = match self {
            // Asked of new rows only.
            Self::Refuse => format!(
                "alter table task add constraint task_{name} check (id <> '{task}') not valid;
                alter table lease add constraint lease_{name} check (task <> '{task}') not valid;
                alter table ready add constraint ready_{name} check (task <> '{task}') not valid"
            ),
            Self::Lose => format!("delete from task where id = '{task}'"),
            Self::Uproot => uproot(&format!("'{task}'")),
            Self::Garble => format!(
                "alter table scheduled drop constraint scheduled_why_check;
                update scheduled set why = 9 where task = '{task}'"
            ),
            // Every text is one there.
            Self::Spoil => format!(
                "update task set input = '{{', labels = '[1]' where id = '{task}';
                update outcome set output = '{{' where task = '{task}' and output is not null;
                update outcome set error_detail = '{{' where task = '{task}' and error_code is not null;
                update carry set error_detail = '{{' where task = '{task}' and error_code is not null"
            ),
            Self::Blot => blot(&format!("'{task}'")),
            Self::End => end(&format!("'{task}'")),
        };
        client.batch_execute(&text).await.unwrap();
    }
}

/// No origin has this number. For the task of this id, as the database writes it.
fn blot(id: &str) -> String {
    format!("update task set origin = 99 where id = {id}")
}

/// For the task of this id, as the database writes it.
fn uproot(id: &str) -> String {
    let delete = |table| format!("delete from {table} where task = {id};");
    ["scheduled", "ready", "lease"].map(delete).concat()
}

/// For the task of this id, as the database writes it.
fn end(id: &str) -> String {
    let cancelled = Status::Cancelled.code();
    format!(
        "insert into outcome
          (task, lane, status, ended_at, attempts, failures, losses, lost_in_a_row, fence)
        select id, lane, {cancelled}, 0, 0, 0, 0, 0, 0 from task where id = {id}"
    )
}
