//! A server that dies while it works off an operation.

use serde_json::json;
use taskyard_api::operation::{Act, Operation, Status, TasksFilter};
use taskyard_api::submit::Submit;
use taskyard_api::task;

use crate::yard::{QUICK, Server, Yard};

const TASKS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_goes_on_after_its_server_was_killed() {
    killed_within(&Yard::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_goes_on_after_its_server_was_killed_on_postgres() {
    if let Some(yard) = Yard::on_postgres().await {
        killed_within(&yard).await;
    }
}

/// Killed between two pieces of a cancel, and of a retry: each task is cancelled once and made again once.
async fn killed_within(yard: &Yard) {
    let without_workers = [&QUICK[..], &["--internal-workers", "0"]].concat();
    let mut server = yard.serve(&without_workers);
    for _ in 0..2 {
        let tasks = vec![Submit::new("noop", json!(null)); TASKS / 2];
        server.client.submit_batch(&tasks, None).await.unwrap();
    }

    for (act, status) in [
        (Act::Cancel, task::Status::Pending),
        (Act::Retry, task::Status::Cancelled),
    ] {
        let filter = TasksFilter {
            status: vec![status],
            ..TasksFilter::default()
        };
        let begun = server
            .client
            .operate(act, filter, false, None)
            .await
            .unwrap();
        let half = until(&server, &begun, |now| now.done > 0).await;
        assert_eq!(
            half.status,
            Status::Running,
            "it was too quick to be killed"
        );
        server.process.kill();
        server = yard.serve(&without_workers);
        let ended = until(&server, &begun, |now| now.status != Status::Running).await;

        assert_eq!(ended.status, Status::Done);
        assert_eq!((ended.done, ended.skipped), (TASKS as u64, 0));
    }

    let stats = server.client.stats().await.unwrap();
    assert_eq!(stats.total, 2 * TASKS as u64);
    assert_eq!(
        (stats.by_status.cancelled, stats.by_status.pending),
        (TASKS as u64, TASKS as u64)
    );
    assert_eq!(server.stop().code(), Some(0));
    yard.is_well();
}

async fn until(
    server: &Server,
    operation: &Operation,
    is_so: impl Fn(&Operation) -> bool,
) -> Operation {
    loop {
        let now = server.client.operation(operation.id).await.unwrap();
        if is_so(&now) {
            return now;
        }
    }
}
