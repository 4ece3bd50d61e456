//! Older names that some settings have in the environment, in whole seconds. They count only where they are set, and
//! the newer names win.

use std::ffi::OsString;

/// The older variable, and the setting that it means.
const OLDER: [(&str, &str); 3] = [
    ("HEARTBEAT_TTL_SECONDS", "heartbeat_ttl"),
    ("LEASE_SECONDS", "lease"),
    ("REQUEUE_SWEEP_SECONDS", "sweep"),
];

/// Each that is set: the setting, its value as the setting writes it, and the variable.
pub(super) fn found(
    environment: &impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<(String, String, String)>, String> {
    let mut found = Vec::new();
    for (variable, setting) in OLDER {
        let Some(value) = environment(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        let text = value.to_string_lossy();
        let seconds: u32 = text
            .trim()
            .parse()
            .map_err(|_| format!("{variable} is {text:?}; expected whole seconds, such as 30"))?;
        found.push((
            setting.to_owned(),
            format!("{seconds}s"),
            variable.to_owned(),
        ));
    }
    Ok(found)
}
