//! Older names that some settings have in the environment. They count only where they are set, and the newer names win.

use std::ffi::OsString;

/// An older variable, and the settings that it means.
struct Older {
    variable: &'static str,
    settings: &'static [&'static str],
    read: fn(&str) -> Read,
}

/// The value as the settings write it; none where it is another program's. What is refused says what was expected.
type Read = Result<Option<String>, &'static str>;

const OLDER: [Older; 5] = [
    Older {
        variable: "HEARTBEAT_TTL_SECONDS",
        settings: &["heartbeat_ttl"],
        read: seconds,
    },
    Older {
        variable: "LEASE_SECONDS",
        settings: &["lease"],
        read: seconds,
    },
    Older {
        variable: "REQUEUE_SWEEP_SECONDS",
        settings: &["sweep"],
        read: seconds,
    },
    // It meant runs that ended badly, whoever was to blame.
    Older {
        variable: "MAX_ATTEMPTS_DEFAULT",
        settings: &["max_attempts", "max_losses"],
        read: count,
    },
    Older {
        variable: "DATABASE_URL",
        settings: &["database"],
        read: postgres,
    },
];

pub(super) fn is_one(variable: &str) -> bool {
    OLDER.iter().any(|older| older.variable == variable)
}

/// Each that is set: the setting, its value as the setting writes it, and the variable.
pub(super) fn found(
    environment: &impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<(String, String, String)>, String> {
    let mut found = Vec::new();
    for older in OLDER {
        let variable = older.variable;
        let Some(value) = environment(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        let text = value.to_string_lossy();
        let read = (older.read)(text.trim());
        let value =
            read.map_err(|expected| format!("{variable} is {text:?}; expected {expected}"))?;
        let Some(value) = value else { continue };
        for setting in older.settings {
            let (setting, variable) = ((*setting).to_owned(), variable.to_owned());
            found.push((setting, value.clone(), variable));
        }
    }
    Ok(found)
}

fn seconds(text: &str) -> Read {
    let seconds: u32 = text.parse().map_err(|_| "whole seconds, such as 30")?;
    Ok(Some(format!("{seconds}s")))
}

fn count(text: &str) -> Read {
    let count: u32 = text.parse().map_err(|_| "a whole number, such as 5")?;
    Ok(Some(count.to_string()))
}

/// Many programs go by this name, so what is no PostgreSQL server is taken to be none of ours.
fn postgres(text: &str) -> Read {
    let is_ours = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    Ok(is_ours.then(|| text.to_owned()))
}
