//! The statements, one a file, and their prepared forms on one connection.

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Error};

use super::question::Question;

macro_rules! statements {
    ($($folder:literal { $($name:ident),* $(,)? })*) => {
        /// What the writer asks, prepared when it connects.
        pub(super) struct Statements {
            $($(pub(super) $name: Question,)*)*
        }

        const TEXTS: &[&str] = &[$($(include_str!(concat!(
            "../../sql/", $folder, "/", stringify!($name), ".sql"
        )),)*)*];

        impl Statements {
            /// One round trip for all of them.
            pub(super) async fn prepare(client: &Client, is_pooled: bool) -> Result<Self, Error> {
                let questions = TEXTS.iter().map(|text| Question::of(client, text, is_pooled));
                let prepared = try_join_all(questions).await?;
                let mut prepared = prepared.into_iter();
                Ok(Self {
                    $($($name: prepared.next().expect("as many as there are texts"),)*)*
                })
            }
        }
    };
}

statements! {
    "common" {
        lane_last,
        lane_list,
        lane_open,
        meta_load,
        operation_open_count,
        queue_list,
        queue_paused,
        worker_last,
        worker_live,
    }
    "postgres" {
        carry_load,
        clock,
        idempotency_lock,
        idempotency_old,
        lane_load,
        lane_named,
        lane_open_among,
        lane_waiting,
        lease_load,
        lease_lock,
        lease_of_worker,
        minute_lock,
        operation_lock,
        outcome_load,
        queue_lock,
        ready_hold,
        ready_lock,
        ready_pick,
        ready_pick_each,
        ready_seen,
        relic_lock,
        scheduled_due,
        scheduled_lock,
        server_lock,
        task_input,
        task_load,
        unique_lock,
        worker_load,
        worker_lock,
    }
}

macro_rules! writes {
    ($($name:ident = $file:literal),* $(,)?) => {
        /// A statement that changes rows of one table. Each parameter is a column of them.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub(super) enum Write { $($name,)* }

        impl Write {
            pub(super) fn text(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../sql/postgres/", $file, ".sql")),)*
                }
            }
        }
    };
}

writes! {
    AttemptDelete = "attempt_delete",
    AttemptDiscard = "attempt_discard",
    AttemptInsert = "attempt_insert",
    CarryDiscard = "carry_discard",
    CarryInsert = "carry_insert",
    CarryUpdate = "carry_update",
    CounterAdd = "counter_add",
    CounterAddAt = "counter_add_at",
    IdempotencyDelete = "idempotency_delete",
    IdempotencyInsert = "idempotency_insert",
    IdempotencyUpdate = "idempotency_update",
    LaneInsert = "lane_insert",
    LateResultDelete = "late_result_delete",
    LateResultDiscard = "late_result_discard",
    LateResultPut = "late_result_put",
    LeaseDelete = "lease_delete",
    LeaseInsert = "lease_insert",
    LeaseUpdate = "lease_update",
    MinuteDelete = "minute_delete",
    MinuteInsert = "minute_insert",
    MinuteUpdate = "minute_update",
    OutcomeDiscard = "outcome_discard",
    OperationDelete = "operation_delete",
    OperationInsert = "operation_insert",
    OperationUpdate = "operation_update",
    OutcomeInsert = "outcome_insert",
    QueueDelete = "queue_delete",
    QueueInsert = "queue_insert",
    QueueUpdate = "queue_update",
    ReadyDelete = "ready_delete",
    ReadyInsert = "ready_insert",
    ScheduledDelete = "scheduled_delete",
    ScheduledInsert = "scheduled_insert",
    ServerInsert = "server_insert",
    ServerUpdate = "server_update",
    TaskDiscard = "task_discard",
    TaskInsert = "task_insert",
    UniqueDelete = "unique_delete",
    UniqueInsert = "unique_insert",
    UniqueUpdate = "unique_update",
    WorkerInsert = "worker_insert",
    WorkerUpdate = "worker_update",
}

/// What is run where an inbox is, in somebody's own database. Nothing of it is prepared.
pub(super) const INBOX_BEGIN: &str = include_str!("../../sql/postgres/inbox_begin.sql");
pub(super) const INBOX_COUNT: &str = include_str!("../../sql/postgres/inbox_count.sql");
pub(super) const INBOX_DELETE: &str = include_str!("../../sql/postgres/inbox_delete.sql");
pub(super) const INBOX_DROP: &str = include_str!("../../sql/postgres/inbox_drop.sql");
pub(super) const INBOX_FORGET: &str = include_str!("../../sql/postgres/inbox_forget.sql");
pub(super) const INBOX_LOCK: &str = include_str!("../../sql/postgres/inbox_lock.sql");
pub(super) const INBOX_LOOK: &str = include_str!("../../sql/postgres/inbox_look.sql");
pub(super) const INBOX_PICK: &str = include_str!("../../sql/postgres/inbox_pick.sql");
pub(super) const INBOX_REFUSE: &str = include_str!("../../sql/postgres/inbox_refuse.sql");

/// Utility statements, which have no parameters and are not prepared.
pub(super) const ALL_DELETE: &str = include_str!("../../sql/postgres/all_delete.sql");
pub(super) const HINT_LISTEN: &str = include_str!("../../sql/postgres/hint_listen.sql");
pub(super) const HINT_OWN: &str = include_str!("../../sql/postgres/hint_own.sql");
pub(super) const HINT_SEND: &str = include_str!("../../sql/postgres/hint_send.sql");
pub(super) const HINT_SETTINGS: &str = include_str!("../../sql/postgres/hint_settings.sql");
pub(super) const LANE_LOCK: &str = include_str!("../../sql/postgres/lane_lock.sql");
pub(super) const LOG_SETTINGS: &str = include_str!("../../sql/postgres/log_settings.sql");
pub(super) const MIGRATION_LOCK: &str = include_str!("../../sql/postgres/migration_lock.sql");
pub(super) const MIGRATION_SETTINGS: &str =
    include_str!("../../sql/postgres/migration_settings.sql");
pub(super) const READER_SETTINGS: &str = include_str!("../../sql/postgres/reader_settings.sql");
pub(super) const RESET_SETTINGS: &str = include_str!("../../sql/postgres/reset_settings.sql");
pub(super) const SERVER_HOLD: &str = include_str!("../../sql/postgres/server_hold.sql");
pub(super) const WRITER_SETTINGS: &str = include_str!("../../sql/postgres/writer_settings.sql");

/// What the connection that writes logs runs, prepared when it is first used.
pub(super) const LOG_CHUNK_CLEAR: &str = include_str!("../../sql/postgres/log_chunk_clear.sql");
pub(super) const LOG_CHUNK_INSERT: &str = include_str!("../../sql/postgres/log_chunk_insert.sql");
pub(super) const LOG_RUN_INSERT: &str = include_str!("../../sql/postgres/log_run_insert.sql");
pub(super) const LOG_RUN_LOCK: &str = include_str!("../../sql/postgres/log_run_lock.sql");
pub(super) const LOG_RUN_UPDATE: &str = include_str!("../../sql/postgres/log_run_update.sql");

/// Statements of opening and reading, prepared where they are used.
pub(super) const ATTEMPT_LIST: &str = include_str!("../../sql/common/attempt_list.sql");
pub(super) const COUNTER_ALL: &str = include_str!("../../sql/common/counter_all.sql");
pub(super) const COUNTER_MOST: &str = include_str!("../../sql/common/counter_most.sql");
pub(super) const COUNTER_PENDING: &str = include_str!("../../sql/common/counter_pending.sql");
pub(super) const COUNTER_SUM: &str = include_str!("../../sql/common/counter_sum.sql");
pub(super) const LANE_BEFORE: &str = include_str!("../../sql/common/lane_before.sql");
pub(super) const LANE_BEYOND: &str = include_str!("../../sql/common/lane_beyond.sql");
pub(super) const LANE_NAMED: &str = include_str!("../../sql/postgres/lane_named.sql");
pub(super) const LANE_OF_KIND: &str = include_str!("../../sql/common/lane_of_kind.sql");
pub(super) const LANE_OF_QUEUE: &str = include_str!("../../sql/common/lane_of_queue.sql");
pub(super) const LATE_RESULT_LIST: &str = include_str!("../../sql/common/late_result_list.sql");
pub(super) const LEASE_LIST: &str = include_str!("../../sql/common/lease_list.sql");
pub(super) const LEASE_LOST: &str = include_str!("../../sql/common/lease_lost.sql");
pub(super) const LEASE_TAKEABLE: &str = include_str!("../../sql/common/lease_takeable.sql");
pub(super) const LOG_CHUNK_DELETE: &str = include_str!("../../sql/common/log_chunk_delete.sql");
pub(super) const LOG_CHUNK_LIST: &str = include_str!("../../sql/common/log_chunk_list.sql");
pub(super) const LOG_RUN_DELETE: &str = include_str!("../../sql/common/log_run_delete.sql");
pub(super) const LOG_RUN_LIST: &str = include_str!("../../sql/common/log_run_list.sql");
pub(super) const LOG_TASK_LIST: &str = include_str!("../../sql/common/log_task_list.sql");
pub(super) const META_INSERT: &str = include_str!("../../sql/common/meta_insert.sql");
pub(super) const META_LOAD: &str = include_str!("../../sql/common/meta_load.sql");
pub(super) const META_TOUCH: &str = include_str!("../../sql/common/meta_touch.sql");
pub(super) const META_UPDATE: &str = include_str!("../../sql/common/meta_update.sql");
pub(super) const MINUTE_LIST: &str = include_str!("../../sql/common/minute_list.sql");
pub(super) const OPERATION_BY_ID: &str = include_str!("../../sql/common/operation_by_id.sql");
pub(super) const OPERATION_LIST: &str = include_str!("../../sql/common/operation_list.sql");
pub(super) const OPERATION_OLD: &str = include_str!("../../sql/common/operation_old.sql");
pub(super) const OPERATION_OPEN: &str = include_str!("../../sql/common/operation_open.sql");
pub(super) const OUTCOME_ENDED: &str = include_str!("../../sql/postgres/outcome_ended.sql");
pub(super) const QUEUE_LIST: &str = include_str!("../../sql/common/queue_list.sql");
pub(super) const QUEUE_PAGE: &str = include_str!("../../sql/common/queue_page.sql");
pub(super) const QUEUE_SINCE: &str = include_str!("../../sql/common/queue_since.sql");
pub(super) const QUEUE_TASKS: &str = include_str!("../../sql/postgres/queue_tasks.sql");
pub(super) const RELIC_LIST: &str = include_str!("../../sql/common/relic_list.sql");
pub(super) const SCHEDULED_NEXT: &str = include_str!("../../sql/common/scheduled_next.sql");
pub(super) const CHECK_LOCK: &str = include_str!("../../sql/postgres/check_lock.sql");
pub(super) const STATS_BYTES: &str = include_str!("../../sql/postgres/stats_bytes.sql");
pub(super) const STATS_ROWS: &str = include_str!("../../sql/common/stats_rows.sql");
pub(super) const STANDING: &str = include_str!("../../sql/postgres/standing.sql");
pub(super) const STANDING_SAME: &str = include_str!("../../sql/postgres/standing_same.sql");
pub(super) const STANDING_PLAIN: &str = include_str!("../../sql/postgres/standing_plain.sql");
pub(super) const TARGET: &str = include_str!("../../sql/postgres/target.sql");
pub(super) const TASK_HOLDER: &str = include_str!("../../sql/common/task_holder.sql");
pub(super) const TASK_KNOWN: &str = include_str!("../../sql/postgres/task_known.sql");
pub(super) const TASK_VIEW: &str = include_str!("../../sql/postgres/task_view.sql");
pub(super) const UNIQUE_NEXT: &str = include_str!("../../sql/common/unique_next.sql");
pub(super) const LEASE_HELD: &str = include_str!("../../sql/common/lease_held.sql");
pub(super) const WORKER_BY_NAME: &str = include_str!("../../sql/common/worker_by_name.sql");
pub(super) const WORKER_COUNT: &str = include_str!("../../sql/common/worker_count.sql");
pub(super) const WORKER_GONE: &str = include_str!("../../sql/common/worker_gone.sql");
pub(super) const WORKER_LIST: &str = include_str!("../../sql/common/worker_list.sql");
pub(super) const QUEUE_PAUSED: &str = include_str!("../../sql/common/queue_paused.sql");
pub(super) const READY_BEFORE: &str = include_str!("../../sql/common/ready_before.sql");
pub(super) const WORKER_NAMED: &str = include_str!("../../sql/postgres/worker_named.sql");
pub(super) const READY_SINCE: &str = include_str!("../../sql/common/ready_since.sql");
pub(super) const WORKER_NUMBER: &str = include_str!("../../sql/common/worker_number.sql");
pub(super) const WORKER_STAFF: &str = include_str!("../../sql/common/worker_staff.sql");
pub(super) const WORKER_VIEW: &str = include_str!("../../sql/common/worker_view.sql");
pub(super) const CLOCK: &str = include_str!("../../sql/postgres/clock.sql");
pub(super) const LOG_ROWS: &str = include_str!("../../sql/common/log_rows.sql");
pub(super) const META_RESET: &str = include_str!("../../sql/common/meta_reset.sql");
pub(super) const META_RENEW: &str = include_str!("../../sql/common/meta_renew.sql");
pub(super) const SERVER_UP: &str = include_str!("../../sql/common/server_up.sql");
