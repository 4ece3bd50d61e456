//! The answer to one result of a report: where its task stands, or a problem.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use taskyard_core::id::TaskId;
use taskyard_core::status;

use crate::problem::{FieldError, Problem};
use crate::task::{Standing, Status};

/// What became of one result: `{task_id, status}` where it was taken, a problem where it was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged, try_from = "Either")]
pub enum Answered {
    Taken(Standing),
    Refused(Box<Problem>),
}

/// Both forms in one, told apart by `status`: a word for a task, a number for a problem. serde's own way would copy
/// each answer before it looks at it.
#[derive(Deserialize)]
struct Either {
    status: WordOrNumber,
    task_id: Option<TaskId>,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    title: String,
    detail: Option<String>,
    #[serde(default)]
    code: String,
    #[serde(default)]
    errors: Vec<FieldError>,
    request_id: Option<String>,
    task_status: Option<Status>,
    retry_after_ms: Option<u64>,
}

impl TryFrom<Either> for Answered {
    type Error = &'static str;

    fn try_from(either: Either) -> Result<Self, Self::Error> {
        match (either.status, either.task_id) {
            (WordOrNumber::Word(status), Some(task_id)) => {
                Ok(Self::Taken(Standing { task_id, status }))
            }
            (WordOrNumber::Word(_), None) => Err("missing field `task_id`"),
            (WordOrNumber::Number(status), task_id) => Ok(Self::Refused(Box::new(Problem {
                kind: either.kind,
                title: either.title,
                status,
                detail: either.detail,
                code: either.code,
                errors: either.errors,
                request_id: either.request_id,
                task_id,
                task_status: either.task_status,
                retry_after_ms: either.retry_after_ms,
            }))),
        }
    }
}

enum WordOrNumber {
    Word(Status),
    Number(u16),
}

impl<'de> Deserialize<'de> for WordOrNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrNumberVisitor;

        impl Visitor<'_> for WordOrNumberVisitor {
            type Value = WordOrNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a task's status or a problem's")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<WordOrNumber, E> {
                let status: status::Status = word.parse().map_err(E::custom)?;
                Ok(WordOrNumber::Word(status.into()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<WordOrNumber, E> {
                let status = u16::try_from(number).map_err(E::custom)?;
                Ok(WordOrNumber::Number(status))
            }
        }

        deserializer.deserialize_any(WordOrNumberVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answered: &str) {
        let read: Answered = serde_json::from_str(answered).expect(answered);
        assert_eq!(serde_json::to_string(&read).unwrap(), answered);
    }

    #[test]
    fn both_forms_survive_a_round_trip() {
        check(r#"{"task_id":"01890a5d-ac96-774b-bcce-b302099a8057","status":"completed"}"#);
        check(
            r#"{"type":"/problems/stale_lease","title":"Stale lease","status":409,"code":"stale_lease","errors":[],"task_id":"01890a5d-ac96-774b-bcce-b302099a8057","task_status":"running"}"#,
        );
    }

    #[test]
    fn an_answer_that_names_no_task_is_refused() {
        assert!(serde_json::from_str::<Answered>(r#"{"status":"completed"}"#).is_err());
        assert!(serde_json::from_str::<Answered>(r#"{"status":"done"}"#).is_err());
    }
}
