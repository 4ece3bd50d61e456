//! The statements, one a file, and their prepared forms on one connection.

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Error, Statement};

macro_rules! statements {
    ($($folder:literal { $($name:ident),* $(,)? })*) => {
        /// What the writer runs, prepared when it connects.
        pub(super) struct Statements {
            $($(pub(super) $name: Statement,)*)*
        }

        const TEXTS: &[&str] = &[$($(include_str!(concat!(
            "../../sql/", $folder, "/", stringify!($name), ".sql"
        )),)*)*];

        impl Statements {
            /// One round trip for all of them.
            pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
                let prepared = try_join_all(TEXTS.iter().map(|text| client.prepare(text))).await?;
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
        worker_last,
        worker_live,
    }
    "postgres" {
        attempt_delete,
        attempt_insert,
        carry_insert,
        carry_load,
        carry_update,
        clock,
        counter_add,
        idempotency_delete,
        idempotency_insert,
        idempotency_lock,
        idempotency_old,
        idempotency_update,
        lane_insert,
        lane_load,
        lane_named,
        lane_open_among,
        lane_waiting,
        late_result_delete,
        late_result_put,
        lease_delete,
        lease_insert,
        lease_load,
        lease_lock,
        lease_of_worker,
        lease_update,
        outcome_insert,
        outcome_load,
        ready_delete,
        ready_insert,
        ready_lock,
        ready_pick,
        ready_pick_each,
        ready_pick_merged,
        scheduled_delete,
        scheduled_due,
        scheduled_insert,
        scheduled_lock,
        server_insert,
        server_lock,
        server_update,
        task_input,
        task_insert,
        task_load,
        worker_insert,
        worker_load,
        worker_lock,
        worker_update,
    }
}

/// Utility statements, which have no parameters and are not prepared.
pub(super) const LANE_LOCK: &str = include_str!("../../sql/postgres/lane_lock.sql");
pub(super) const MIGRATION_LOCK: &str = include_str!("../../sql/postgres/migration_lock.sql");
pub(super) const OUTCOME_ENDED: &str = include_str!("../../sql/postgres/outcome_ended.sql");
pub(super) const READER_SETTINGS: &str = include_str!("../../sql/postgres/reader_settings.sql");
pub(super) const WRITER_SETTINGS: &str = include_str!("../../sql/postgres/writer_settings.sql");

/// Statements of opening and reading, prepared where they are used.
pub(super) const ATTEMPT_LIST: &str = include_str!("../../sql/common/attempt_list.sql");
pub(super) const COUNTER_SUM: &str = include_str!("../../sql/common/counter_sum.sql");
pub(super) const LANE_FITTING: &str = include_str!("../../sql/common/lane_fitting.sql");
pub(super) const LATE_RESULT_LIST: &str = include_str!("../../sql/common/late_result_list.sql");
pub(super) const LEASE_LOST: &str = include_str!("../../sql/common/lease_lost.sql");
pub(super) const META_INSERT: &str = include_str!("../../sql/common/meta_insert.sql");
pub(super) const META_LOAD: &str = include_str!("../../sql/common/meta_load.sql");
pub(super) const META_TOUCH: &str = include_str!("../../sql/common/meta_touch.sql");
pub(super) const META_UPDATE: &str = include_str!("../../sql/common/meta_update.sql");
pub(super) const SCHEDULED_NEXT: &str = include_str!("../../sql/common/scheduled_next.sql");
pub(super) const STATS_BYTES: &str = include_str!("../../sql/postgres/stats_bytes.sql");
pub(super) const STATS_ROWS: &str = include_str!("../../sql/common/stats_rows.sql");
pub(super) const TARGET: &str = include_str!("../../sql/postgres/target.sql");
pub(super) const TASK_VIEW: &str = include_str!("../../sql/postgres/task_view.sql");
pub(super) const WORKER_BY_NAME: &str = include_str!("../../sql/common/worker_by_name.sql");
pub(super) const WORKER_COUNT: &str = include_str!("../../sql/common/worker_count.sql");
pub(super) const WORKER_GONE: &str = include_str!("../../sql/common/worker_gone.sql");
pub(super) const WORKER_LIST: &str = include_str!("../../sql/common/worker_list.sql");
