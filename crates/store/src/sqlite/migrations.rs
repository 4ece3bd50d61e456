//! How a file of an older version comes to the tables of today, and which programs can work on it then.

use crate::migration::Migration;

pub(super) const MIGRATIONS: [Migration; 17] = [
    Migration {
        number: 1,
        min_compatible: 1,
        statements: include_str!("../../migrations/sqlite/0001_tables.sql"),
    },
    Migration {
        number: 2,
        min_compatible: 1,
        statements: include_str!("../../migrations/sqlite/0002_forgotten_workers.sql"),
    },
    Migration {
        number: 3,
        min_compatible: 3,
        statements: include_str!("../../migrations/sqlite/0003_counter_columns.sql"),
    },
    Migration {
        number: 4,
        min_compatible: 3,
        statements: include_str!("../../migrations/sqlite/0004_logs.sql"),
    },
    Migration {
        number: 5,
        min_compatible: 5,
        statements: include_str!("../../migrations/sqlite/0005_changed_priorities.sql"),
    },
    Migration {
        number: 6,
        min_compatible: 6,
        statements: include_str!("../../migrations/sqlite/0006_exclusive_and_unique_tasks.sql"),
    },
    Migration {
        number: 7,
        min_compatible: 7,
        statements: include_str!("../../migrations/sqlite/0007_queues.sql"),
    },
    Migration {
        number: 8,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0008_draining_workers.sql"),
    },
    Migration {
        number: 9,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0009_origins.sql"),
    },
    // Who does not know it leaves the rates without what it does, and hinders nobody.
    Migration {
        number: 10,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0010_minutes.sql"),
    },
    // Who does not know it discards nothing.
    Migration {
        number: 11,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0011_retention.sql"),
    },
    Migration {
        number: 12,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0012_operations.sql"),
    },
    Migration {
        number: 13,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0013_lists.sql"),
    },
    Migration {
        number: 14,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0014_given_before.sql"),
    },
    Migration {
        number: 15,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0015_killed_before.sql"),
    },
    Migration {
        number: 16,
        min_compatible: 8,
        statements: include_str!("../../migrations/sqlite/0016_tasks_by_lane.sql"),
    },
    Migration {
        number: 17,
        min_compatible: 17,
        statements: include_str!("../../migrations/sqlite/0017_log_chunks.sql"),
    },
];
