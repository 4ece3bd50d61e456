//! `problem`: `{"problem_id": "…", "parameters": {…}}` goes to the handler of that id, and becomes what it returns.
//!
//! What is a kind elsewhere is an id here, for programs that know no kinds. A handler of one's own is a function:
//!
//! ```
//! use taskyard_worker::executor::{Context, Executors, Failure, Finish};
//! use taskyard_worker::executors::{Parameters, Problem};
//!
//! async fn double(parameters: Parameters, _: Context) -> Finish {
//!     match parameters.read::<i64>() {
//!         Ok(number) => Finish::completed(&(number * 2)),
//!         Err(failure) => Finish::Failed(failure),
//!     }
//! }
//!
//! let executors = Executors::default().with(Problem::default().with("double", double));
//! # assert_eq!(executors.kinds().collect::<Vec<_>>(), ["problem"]);
//! ```

mod test_problem;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use self::test_problem::TestProblem;

use super::input::{self, INVALID};
use crate::executor::{Context, Executor, Failure, Finish, Run};

const EXAMPLE: &str = r#"{"problem_id": "test-problem", "parameters": {"max_steps": 30}}"#;

/// Solves the problems of one id.
pub trait Handler: Send + Sync {
    /// Takes one problem to its end, as [`Executor::run`] does.
    fn solve(&self, parameters: Parameters, context: Context) -> BoxFuture<'_, Finish>;
}

impl<F, Solving> Handler for F
where
    F: Fn(Parameters, Context) -> Solving + Send + Sync,
    Solving: Future<Output = Finish> + Send + 'static,
{
    fn solve(&self, parameters: Parameters, context: Context) -> BoxFuture<'_, Finish> {
        Box::pin(self(parameters, context))
    }
}

/// What the submitter gave: any JSON, null where nothing.
#[derive(Clone, Debug)]
pub struct Parameters(Box<RawValue>);

impl Parameters {
    pub fn raw(&self) -> &RawValue {
        &self.0
    }

    /// Them as a `T`, or the failure to return.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(self.0.get())
            .map_err(|error| Failure::lasting(INVALID, format!("`parameters`: {error}")))
    }
}

/// The handlers, by id.
#[derive(Clone)]
pub struct Problem(BTreeMap<String, Arc<dyn Handler>>);

impl Default for Problem {
    /// `test-problem` alone.
    fn default() -> Self {
        Self(BTreeMap::new()).with("test-problem", TestProblem::default())
    }
}

impl Problem {
    /// These and one more, in place of any other of its id.
    pub fn with(mut self, id: impl Into<String>, handler: impl Handler + 'static) -> Self {
        self.0.insert(id.into(), Arc::new(handler));
        self
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Input {
    problem_id: Option<Box<RawValue>>,
    parameters: Option<Box<RawValue>>,
}

#[async_trait::async_trait]
impl Executor for Problem {
    fn kind(&self) -> &str {
        "problem"
    }

    async fn run(&self, run: Run, context: Context) -> Finish {
        match self.find(&run.input) {
            Ok((handler, parameters)) => handler.solve(parameters, context).await,
            Err(failure) => Finish::Failed(failure),
        }
    }
}

impl Problem {
    fn find(&self, input: &RawValue) -> Result<(&dyn Handler, Parameters), Failure> {
        let Input {
            problem_id,
            parameters,
        } = input::object(input, EXAMPLE)?;
        let wrong = |what: &str| Failure::lasting(INVALID, format!("{what}; expected {EXAMPLE}"));
        let id = problem_id.ok_or_else(|| wrong("`problem_id` is missing"))?;
        let id: String =
            serde_json::from_str(id.get()).map_err(|_| wrong("`problem_id` is not a text"))?;
        let Some(handler) = self.0.get(&id) else {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            // An id of any length may have been sent.
            let id: String = id.chars().take(ID_CHARS_SHOWN).collect();
            return Err(Failure::lasting(
                "unknown_problem",
                format!(
                    "this worker has no handler for `problem_id` {id:?}; it has {}",
                    known.join(", ")
                ),
            ));
        };
        let parameters = parameters.unwrap_or_else(|| RawValue::NULL.to_owned());
        Ok((&**handler, Parameters(parameters)))
    }
}

/// How much of an id that nobody knows is repeated.
const ID_CHARS_SHOWN: usize = 100;
