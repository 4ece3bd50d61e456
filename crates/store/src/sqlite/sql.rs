//! The statements, one a file. Those under `common` run on PostgreSQL as they stand: their parameters are written
//! `$1`, which SQLite numbers in the order in which they first appear; a test holds them to that.

macro_rules! statements {
    ($all:ident: $($folder:literal { $($name:ident = $file:literal),* $(,)? })*) => {
        $($(pub(super) const $name: &str =
            include_str!(concat!("../../sql/", $folder, "/", $file, ".sql"));)*)*

        /// By name.
        #[cfg(test)]
        pub(super) const $all: &[(&str, &str)] = &[$($(($file, $name)),*),*];
    };
}

statements! { ALL:
    "common" {
        ATTEMPT_LIST = "attempt_list",
        COUNTER_ALL = "counter_all",
        COUNTER_MOST = "counter_most",
        COUNTER_PENDING = "counter_pending",
        COUNTER_SUM = "counter_sum",
        LANE_BEFORE = "lane_before",
        LANE_BEYOND = "lane_beyond",
        LANE_LAST = "lane_last",
        LANE_OF_KIND = "lane_of_kind",
        LANE_OF_QUEUE = "lane_of_queue",
        LANE_OPEN = "lane_open",
        LATE_RESULT_LIST = "late_result_list",
        LEASE_HELD = "lease_held",
        LEASE_LIST = "lease_list",
        LEASE_LOST = "lease_lost",
        LEASE_TAKEABLE = "lease_takeable",
        READY_BEFORE = "ready_before",
        READY_SINCE = "ready_since",
        META_INSERT = "meta_insert",
        META_LOAD = "meta_load",
        META_RENEW = "meta_renew",
        META_RESET = "meta_reset",
        META_TOUCH = "meta_touch",
        META_UPDATE = "meta_update",
        MINUTE_LIST = "minute_list",
        OPERATION_BY_ID = "operation_by_id",
        OPERATION_LIST = "operation_list",
        OPERATION_OLD = "operation_old",
        OPERATION_OPEN = "operation_open",
        OPERATION_OPEN_COUNT = "operation_open_count",
        QUEUE_LIST = "queue_list",
        QUEUE_PAGE = "queue_page",
        QUEUE_PAUSED = "queue_paused",
        QUEUE_SINCE = "queue_since",
        RELIC_LIST = "relic_list",
        SCHEDULED_NEXT = "scheduled_next",
        STATS_ROWS = "stats_rows",
        TASK_HOLDER = "task_holder",
        UNIQUE_NEXT = "unique_next",
        WORKER_BY_NAME = "worker_by_name",
        WORKER_COUNT = "worker_count",
        WORKER_GONE = "worker_gone",
        WORKER_NUMBER = "worker_number",
        WORKER_STAFF = "worker_staff",
        WORKER_LAST = "worker_last",
        WORKER_LIVE = "worker_live",
        WORKER_LIST = "worker_list",
        WORKER_VIEW = "worker_view",
    }
    "sqlite" {
        ATTEMPT_DELETE = "attempt_delete",
        ATTEMPT_DISCARD = "attempt_discard",
        ATTEMPT_INSERT = "attempt_insert",
        CARRY_DISCARD = "carry_discard",
        CARRY_INSERT = "carry_insert",
        CARRY_LOAD = "carry_load",
        CARRY_UPDATE = "carry_update",
        COUNTER_ADD = "counter_add",
        COUNTER_INSERT = "counter_insert",
        IDEMPOTENCY_DELETE = "idempotency_delete",
        IDEMPOTENCY_INSERT = "idempotency_insert",
        IDEMPOTENCY_LOAD = "idempotency_load",
        IDEMPOTENCY_OLD = "idempotency_old",
        IDEMPOTENCY_UPDATE = "idempotency_update",
        LANE_INSERT = "lane_insert",
        LANE_LOAD = "lane_load",
        LANE_NAMED = "lane_named",
        LANE_TASKS = "lane_tasks",
        LATE_RESULT_DELETE = "late_result_delete",
        LATE_RESULT_DISCARD = "late_result_discard",
        LATE_RESULT_PUT = "late_result_put",
        LEASE_DELETE = "lease_delete",
        LEASE_INSERT = "lease_insert",
        LEASE_LOAD = "lease_load",
        LEASE_OF_WORKER = "lease_of_worker",
        LEASE_UPDATE = "lease_update",
        MINUTE_DELETE = "minute_delete",
        MINUTE_INSERT = "minute_insert",
        MINUTE_LOAD = "minute_load",
        MINUTE_UPDATE = "minute_update",
        OUTCOME_DISCARD = "outcome_discard",
        OPERATION_DELETE = "operation_delete",
        OPERATION_INSERT = "operation_insert",
        OPERATION_UPDATE = "operation_update",
        OUTCOME_ENDED = "outcome_ended",
        OUTCOME_INSERT = "outcome_insert",
        OUTCOME_LOAD = "outcome_load",
        QUEUE_DELETE = "queue_delete",
        QUEUE_INSERT = "queue_insert",
        QUEUE_TASKS = "queue_tasks",
        QUEUE_UPDATE = "queue_update",
        READY_DELETE = "ready_delete",
        READY_INSERT = "ready_insert",
        READY_LOAD = "ready_load",
        READY_PICK = "ready_pick",
        RELIC_LOAD = "relic_load",
        SCHEDULED_DELETE = "scheduled_delete",
        SCHEDULED_DUE = "scheduled_due",
        SCHEDULED_INSERT = "scheduled_insert",
        SCHEDULED_LOAD = "scheduled_load",
        SERVER_INSERT = "server_insert",
        SERVER_LOAD = "server_load",
        SERVER_UPDATE = "server_update",
        TASK_DISCARD = "task_discard",
        TASK_INPUT = "task_input",
        TASK_INSERT = "task_insert",
        TASK_KNOWN = "task_known",
        TASK_LOAD = "task_load",
        TASK_VIEW = "task_view",
        UNIQUE_DELETE = "unique_delete",
        UNIQUE_INSERT = "unique_insert",
        UNIQUE_LOAD = "unique_load",
        UNIQUE_UPDATE = "unique_update",
        WORKER_INSERT = "worker_insert",
        WORKER_NAMED = "worker_named",
        WORKER_UPDATE = "worker_update",
    }
}

// Of the file of logs.
statements! { LOGS:
    "common" {
        LOG_CHUNK_DELETE = "log_chunk_delete",
        LOG_CHUNK_LIST = "log_chunk_list",
        LOG_RUN_DELETE = "log_run_delete",
        LOG_RUN_LIST = "log_run_list",
        LOG_TASK_LIST = "log_task_list",
    }
    "sqlite" {
        LOG_CHUNK_CLEAR = "log_chunk_clear",
        LOG_CHUNK_INSERT = "log_chunk_insert",
        LOG_RUN_INSERT = "log_run_insert",
        LOG_RUN_LOAD = "log_run_load",
        LOG_RUN_UPDATE = "log_run_update",
    }
}

/// Looks at whole tables.
pub(super) const LOG_ROWS: &str = include_str!("../../sql/common/log_rows.sql");
/// Several statements each, without parameters, so they are not prepared.
pub(super) const ALL_DELETE: &str = include_str!("../../sql/sqlite/all_delete.sql");
pub(super) const LOG_DELETE: &str = include_str!("../../sql/sqlite/log_delete.sql");
