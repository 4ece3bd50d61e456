//! Tasks that are named by the beginning of their ids.

use taskyard_api::submit::Submit;
use taskyard_core::id::TaskId;
use taskyard_core::time::Timestamp;

use super::ask;
use crate::yard::Yard;

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_an_id_names_its_task_where_no_other_begins_so() {
    let yard = Yard::new();
    let server = yard.serve(&["--internal-workers", "0"]);
    let first = server.submit("nobody", 1.into()).await;
    let now = server.client.server_time().unwrap().0;
    // Of the same moment, and so alike in their first half.
    let hour_ago = Timestamp::from_micros(now.as_micros() - 3_600_000_000);
    let mut alike = Vec::new();
    for bits in [1_u128 << 60, 2 << 60] {
        let mut task = Submit::new("nobody", 1.into());
        let id = TaskId::new(hour_ago, bits);
        task.id = Some(id);
        server.submit_as(task).await;
        alike.push(id.to_string());
    }
    let named = first.to_string()[..9].to_uppercase();
    let named = named.trim_end_matches('-');

    for verb in ["show", "explain", "logs"] {
        let printed = ask(&yard, &server, &[verb, named]);
        assert_eq!(printed.code, 0, "{verb}: {}", printed.stderr);
    }
    let patched = ask(&yard, &server, &["patch", named, "--in", "1h"]);
    assert_eq!(patched.code, 0, "{}", patched.stderr);
    let waited = ask(&yard, &server, &["wait", named, "--for", "1ms"]);
    assert_eq!(waited.code, 7, "{}", waited.stderr);
    assert_eq!(ask(&yard, &server, &["cancel", named]).code, 0);
    let retried = ask(&yard, &server, &["retry", &first.to_string()[..23]]);
    assert_eq!(retried.code, 0, "{}", retried.stderr);

    let several = ask(&yard, &server, &["show", &alike[0][..13]]);
    assert_eq!(several.code, 2);
    assert!(
        several
            .stderr
            .contains("give more of the one that is meant")
    );
    for id in &alike {
        assert!(several.stderr.contains(id), "{}", several.stderr);
    }
    let none = ask(&yard, &server, &["show", "01890a5d"]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("--search"), "{}", none.stderr);
    let short = ask(&yard, &server, &["show", "01890"]);
    assert_eq!(short.code, 2);
}
