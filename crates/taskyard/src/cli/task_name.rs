//! A task as people name it: by its id, or by how that begins.

use std::str::FromStr;

use taskyard_core::filter::Search;
use taskyard_core::id::TaskId;

/// The length of a whole id.
const WHOLE: usize = 36;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskName {
    Id(TaskId),
    /// In small letters; which task that is, if it is one, the server knows.
    Beginning(String),
}

impl FromStr for TaskName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = match text.parse() {
            Ok(id) => return Ok(Self::Id(id)),
            Err(error) => error,
        };
        // What the server takes for words would find tasks of that kind.
        if text.len() < WHOLE && Search::begins_an_id(text) {
            return Ok(Self::Beginning(text.to_ascii_lowercase()));
        }
        Err(format!(
            "{error}, or its first {} characters or more; `taskyard list` shows ids, and --search finds tasks",
            Search::ID_LEN_MIN
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_by_its_id_or_by_six_of_its_characters_or_more() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(id.parse(), Ok(TaskName::Id(id.parse().unwrap())));
        for beginning in ["01890A", "01890A5D", "01890a5d-ac96-77"] {
            let read = TaskName::Beginning(beginning.to_lowercase());
            assert_eq!(beginning.parse(), Ok(read));
        }
        for wrong in ["", "42", "01890", "decade", "01890a5g", &format!("{id}0")] {
            let said = wrong.parse::<TaskName>().unwrap_err();
            assert!(said.contains("first 6 characters"), "{wrong}: {said}");
        }
    }
}
