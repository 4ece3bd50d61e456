//! The kinds that need no process, and the list of all.

use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use taskyard_worker::executor::{Executor, Finish, Stop};
use taskyard_worker::executors::{self, Echo, Noop, Settings, Sleep, command, http};

use super::{completed, context, is_wrong, run_of, stopped};

#[tokio::test]
async fn noop_answers_null() {
    assert_eq!(
        completed(&Noop, &json!({"any": "thing"})).await,
        json!(null)
    );
}

#[tokio::test]
async fn echo_answers_the_bytes_it_got() {
    let text = r#"{"b": 1.50,  "a": [1e2, "ä"]}"#;
    let (_stopper, context) = context();
    let mut run = run_of(&json!(null));
    run.input = RawValue::from_string(text.to_owned()).unwrap();

    let finish = Echo("echo").run(run, context).await;

    assert!(matches!(finish, Finish::Completed(output) if output.get() == text));
}

#[tokio::test]
async fn sleep_lasts_at_least_as_long_as_it_is_told() {
    let begin = tokio::time::Instant::now();

    let output = completed(&Sleep, &json!({"ms": 50})).await;

    assert_eq!(output, json!(null));
    assert!(begin.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn sleep_ends_at_once_when_stopped_for_the_first_reason_given() {
    let (stopper, context) = context();
    let run =
        tokio::spawn(async move { Sleep.run(run_of(&json!({"ms": 86_400_000})), context).await });

    stopper.stop(Stop::TimedOut);
    stopper.stop(Stop::Cancelled);

    assert_eq!(stopped(run.await.unwrap()), (Stop::TimedOut, None));
}

#[tokio::test]
async fn a_stopper_that_is_dropped_stops_nothing() {
    let (stopper, context) = context();
    drop(stopper);

    let finish = Sleep.run(run_of(&json!({"ms": 1})), context).await;

    assert!(matches!(finish, Finish::Completed(_)));
}

#[tokio::test]
async fn sleep_refuses_other_inputs_for_good() {
    for (input, said) in [
        (json!(null), "not an object"),
        (json!(5), "not an object"),
        (json!([5]), "not an object"),
        (json!({}), "missing field `ms`"),
        (
            json!({"ms": -1}),
            "`-1`, expected a whole number of milliseconds, 0 or more",
        ),
        (json!({"ms": 1.5}), "`1.5`, expected a whole number"),
        (json!({"ms": "5"}), "string \"5\", expected a whole number"),
        (json!({"ms": 5, "s": 1}), "unknown field `s`"),
    ] {
        is_wrong(&Sleep, &input, &[said, r#"{"ms": 250}"#]).await;
    }
}

#[tokio::test]
async fn standard_kinds_are_found_by_name_and_can_be_chosen_from() {
    let all = executors::standard(Settings {
        command: command::Settings {
            allow: command::Allow::Any,
            ..command::Settings::default()
        },
        http: http::Settings {
            allow: "any".parse().unwrap(),
            ..http::Settings::default()
        },
    });
    assert_eq!(
        all.kinds().collect::<Vec<_>>(),
        [
            "command", "echo", "http", "noop", "problem", "simple", "sleep"
        ]
    );
    assert!(all.get("python").is_none());
    assert_eq!(all.get("simple").unwrap().kind(), "simple");

    let some = all.only(&["echo".to_owned(), "python".to_owned()]);

    assert_eq!(some.kinds().collect::<Vec<_>>(), ["echo"]);
}

#[tokio::test]
async fn a_worker_takes_neither_commands_nor_requests_unless_it_may_run_some() {
    let all = executors::standard(Settings::default());

    assert_eq!(
        all.kinds().collect::<Vec<_>>(),
        ["echo", "noop", "problem", "simple", "sleep"]
    );
}
