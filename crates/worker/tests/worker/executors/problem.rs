//! Problems go to the handler of their id.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use taskyard_api::logs::Stream;
use taskyard_worker::executor::{Context, Executor as _, Failure, Finish, Stop};
use taskyard_worker::executors::problem::TestProblem;
use taskyard_worker::executors::{Parameters, Problem};

use super::{Said, completed, context, failed, is_wrong, listened_to, run_of, stopped};

fn test_problem(parameters: Value) -> Value {
    json!({"problem_id": "test-problem", "parameters": parameters})
}

#[tokio::test(start_paused = true)]
async fn the_test_problem_takes_its_steps_and_tells_of_each() {
    let said = Arc::<Said>::default();
    let (_stopper, context) = listened_to(&said);

    let finish = Problem::default()
        .run(run_of(&test_problem(json!({"max_steps": 4}))), context)
        .await;

    let Finish::Completed(output) = finish else {
        panic!("{finish:?}");
    };
    let output: Value = serde_json::from_str(output.get()).unwrap();
    assert_eq!(
        output,
        json!({"problem_id": "test-problem", "max_steps": 4, "steps": 4})
    );
    assert_eq!(*said.progress.lock(), [0.25, 0.5, 0.75, 1.0]);
    let lines = ["step 1 of 4", "step 2 of 4", "step 3 of 4", "step 4 of 4"];
    assert_eq!(said.of(Stream::Stdout), lines);
}

#[tokio::test(start_paused = true)]
async fn parameters_of_the_test_problem_may_be_left_out() {
    for input in [
        json!({"problem_id": "test-problem"}),
        test_problem(json!(null)),
        test_problem(json!({})),
        test_problem(json!({"max_steps": null})),
    ] {
        assert_eq!(
            completed(&Problem::default(), &input).await["steps"],
            10,
            "{input}"
        );
    }
    let few = Problem::default().with(
        "test-problem",
        TestProblem {
            steps_max: 3,
            ..TestProblem::default()
        },
    );
    assert_eq!(completed(&few, &test_problem(json!({}))).await["steps"], 3);
}

#[tokio::test(start_paused = true)]
async fn the_test_problem_ends_at_once_when_it_is_stopped_and_shows_what_it_did() {
    let (stopper, context) = context();
    let run = run_of(&test_problem(json!({"max_steps": 10_000})));
    let running = tokio::spawn(async move { Problem::default().run(run, context).await });
    tokio::time::sleep(Duration::from_millis(52)).await;

    stopper.stop(Stop::Cancelled);

    let (why, detail) = stopped(running.await.unwrap());
    assert_eq!(why, Stop::Cancelled);
    assert_eq!(detail.unwrap()["steps"], 10);
}

#[tokio::test(start_paused = true)]
async fn steps_have_a_range() {
    for steps in [1, 10_000] {
        let input = test_problem(json!({"max_steps": steps}));
        assert_eq!(completed(&Problem::default(), &input).await["steps"], steps);
    }
    for parameters in [
        json!({"max_steps": 0}),
        json!({"max_steps": 10_001}),
        json!({"max_steps": -1}),
        json!({"max_steps": 1.5}),
        json!({"max_steps": "5"}),
        json!({"max_steps": [5]}),
    ] {
        let failure = failed(&Problem::default(), &test_problem(parameters.clone())).await;

        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("invalid_input", false)
        );
        let said = "`parameters.max_steps` is not a whole number from 1 to 10000";
        assert_eq!(failure.message, said, "{parameters}");
    }
}

#[tokio::test]
async fn an_input_that_is_none_fails_for_good_and_names_its_field() {
    for (input, said) in [
        (json!(null), "not an object"),
        (json!(["test-problem"]), "not an object"),
        (json!({}), "`problem_id` is missing"),
        (json!({"problem_id": null}), "`problem_id` is missing"),
        (json!({"problem_id": 5}), "`problem_id` is not a text"),
        (
            json!({"problem_id": "test-problem", "params": {}}),
            "unknown field `params`",
        ),
        (test_problem(json!([5])), "`parameters` is not an object"),
        (test_problem(json!("x")), "`parameters`"),
        (test_problem(json!({"steps": 5})), "unknown field `steps`"),
    ] {
        is_wrong(&Problem::default(), &input, &[said]).await;
    }
}

#[tokio::test]
async fn an_id_that_nobody_solves_fails_for_good_and_names_those_that_are_solved() {
    let problem = Problem::default().with("double", double);
    let long = "x".repeat(1 << 20);
    for id in ["", "test-problem ", "Test-Problem", "\n", &long] {
        let failure = failed(&problem, &json!({"problem_id": id})).await;

        assert_eq!(
            (failure.code.as_ref(), failure.retry),
            ("unknown_problem", false)
        );
        assert!(
            failure.message.ends_with("it has double, test-problem"),
            "{}",
            failure.message
        );
        assert!(failure.message.len() < 300);
    }
}

async fn double(parameters: Parameters, _: Context) -> Finish {
    match parameters.read::<i64>() {
        Ok(number) => Finish::Completed(to_raw_value(&(number * 2)).unwrap()),
        Err(failure) => Finish::Failed(failure),
    }
}

#[tokio::test]
async fn a_function_can_be_a_handler() {
    let problem = Problem::default()
        .with("double", double)
        .with("raw", |parameters: Parameters, _| async move {
            Finish::Completed(parameters.raw().to_owned())
        });

    let doubled = completed(&problem, &json!({"problem_id": "double", "parameters": 21})).await;
    let wrong = failed(
        &problem,
        &json!({"problem_id": "double", "parameters": "x"}),
    )
    .await;
    let raw = completed(&problem, &json!({"problem_id": "raw"})).await;

    assert_eq!(doubled, 42);
    assert_eq!(raw, json!(null));
    let Failure { code, message, .. } = wrong;
    assert_eq!(code, "invalid_input");
    assert!(message.starts_with("`parameters`: "), "{message}");
}
