//! A refusal names parts of the body that was sent; whoever typed a command knows its flags.

use taskyard_api::problem::{FieldError, Problem};

/// The problem with flags where it names what they set.
pub(super) fn by_flags(mut problem: Box<Problem>) -> Box<Problem> {
    let is_detail = |problem: &Problem| match problem.errors.as_slice() {
        [only] => problem.detail == Some(only.to_string()),
        _ => false,
    };
    let is_said_twice = is_detail(&problem);
    for error in &mut problem.errors {
        *error = by_flag(error);
    }
    if is_said_twice {
        problem.detail = problem.errors.first().map(ToString::to_string);
    }
    problem
}

/// The same of one part.
pub(crate) fn by_flag(error: &FieldError) -> FieldError {
    let is_of_millis = error.pointer.ends_with("_ms");
    let ends_in_number = error
        .detail
        .ends_with(|letter: char| letter.is_ascii_digit());
    let unit = if is_of_millis && ends_in_number {
        " milliseconds"
    } else {
        ""
    };
    FieldError {
        detail: format!("{}{unit}", error.detail),
        pointer: flag(&error.pointer).unwrap_or_else(|| error.pointer.clone()),
    }
}

/// The flag that sets what this pointer, query parameter or header names; none where it is no command's.
fn flag(pointer: &str) -> Option<String> {
    let path = pointer.strip_prefix('/');
    let mut parts = path.unwrap_or(pointer).split('/').peekable();
    // A task's place in its batch.
    parts.next_if(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let is_of_filter = parts.next_if_eq(&"filter").is_some() || path.is_none();
    let name = parts.next()?;
    let within = parts
        .next()
        .map(|part| part.replace("~1", "/").replace("~0", "~"));
    let flag = match (name, within) {
        ("labels", Some(label)) => return Some(format!("--label {label}")),
        ("requires", Some(label)) => return Some(format!("--require {label}")),
        ("kind", _) if !is_of_filter => "the kind",
        ("retry", Some(part)) => match part.as_str() {
            "backoff_ms" => "--backoff",
            "factor" => "--backoff-factor",
            "max_ms" => "--backoff-max",
            "jitter" => "--backoff-jitter",
            _ => return None,
        },
        ("input", None) => "the input",
        ("input", Some(_)) => return None,
        ("worker_id", _) if !is_of_filter => "--name",
        ("kinds", _) => "--kinds",
        ("queues", _) => "--queues",
        ("capacity", _) => "--concurrency",
        ("kind", _) => "--kind",
        ("worker_id", _) => "--worker",
        ("labels" | "label", _) => "--label",
        ("requires", _) => "--require",
        ("queue", _) => "--queue",
        ("priority", _) => "--priority",
        ("run_at", _) => "--at",
        ("delay_ms", _) => "--in",
        ("timeout_ms", _) => "--timeout",
        ("max_attempts", _) => "--max-attempts",
        ("max_losses", _) => "--max-losses",
        ("unique_key", _) => "--unique-key",
        ("id", _) => "--id",
        ("retention", _) => "--retain",
        ("status", _) => "--status",
        ("q", _) => "--search",
        ("created_after", _) => "--created-after",
        ("created_before", _) => "--created-before",
        ("cursor", _) => "--cursor",
        ("limit", _) => "--limit",
        ("attempt", _) => "--attempt",
        (header, _) if header.eq_ignore_ascii_case("idempotency-key") => "--idempotency-key",
        _ => return None,
    };
    Some(flag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_flag_has_set_is_called_by_it() {
        for (pointer, named) in [
            ("/timeout_ms", "--timeout"),
            ("/0/priority", "--priority"),
            ("/labels/a~1b", "--label a/b"),
            ("/labels", "--label"),
            ("/requires/gpu", "--require gpu"),
            ("/retry/backoff_ms", "--backoff"),
            ("/0/retry/jitter", "--backoff-jitter"),
            ("/kind", "the kind"),
            ("/kinds/0", "--kinds"),
            ("/queues/7", "--queues"),
            ("/capacity", "--concurrency"),
            ("/worker_id", "--name"),
            ("/filter/kind", "--kind"),
            ("kind", "--kind"),
            ("/filter/worker_id", "--worker"),
            ("/7/input", "the input"),
            ("/retention/completed_ms", "--retain"),
            ("Idempotency-Key", "--idempotency-key"),
            ("cursor", "--cursor"),
        ] {
            assert_eq!(flag(pointer).as_deref(), Some(named), "{pointer}");
        }
        for pointer in ["", "/", "/0", "/input/argv", "/retry"] {
            assert_eq!(flag(pointer), None, "{pointer}");
        }
    }

    #[test]
    fn a_limit_in_milliseconds_has_its_unit() {
        let error = FieldError {
            pointer: "/timeout_ms".to_owned(),
            detail: "must be from 1 to 5".to_owned(),
        };

        assert_eq!(
            by_flag(&error).to_string(),
            "--timeout: must be from 1 to 5 milliseconds"
        );
    }
}
