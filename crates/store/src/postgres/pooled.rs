//! What changes where a pooler stands in between that gives each transaction another connection to the database, and knows
//! nothing of what was set, prepared or listened to on the one before (PgBouncer in transaction mode is the best known).
//!
//! Then everything is said within transactions, which begin with what connections are set to otherwise, in the same
//! message; statements are told whole each time ([`super::question`]); and nobody listens ([`super::exchange`]).
//!
//! The host behind the pooler can change without a connection being lost. So each transaction also looks whether it is
//! where it was when the connection was made, and fails if not: nothing is decided over a database that others went on
//! with, and a new connection is judged anew ([`super::home`]).

use super::address::Address;
use super::question::told;
use super::sql;

/// What each transaction begins with.
#[derive(Clone)]
pub(super) struct Opening(String);

const BEGIN: &str = "begin;\n";

impl Opening {
    fn of(settings: &str, timeline: Option<u32>) -> Self {
        let settings = local(settings);
        let same = timeline.map(|timeline| {
            let same = told(sql::STANDING_SAME);
            same.replace("TIMELINE", &format!("{timeline:08X}"))
        });
        // Of a service that does not tell its timeline nothing can be said.
        let same = same.map_or_else(String::new, |same| format!(";\n{same}"));
        Self(format!("{BEGIN}{settings}{same}"))
    }

    /// Begins the transaction.
    pub(super) fn begin(&self) -> &str {
        &self.0
    }

    /// For one that was begun.
    pub(super) fn settings(&self) -> &str {
        &self.0[BEGIN.len()..]
    }
}

impl Address {
    /// What a transaction begins with, in place of what its connection would be set to; none where connections keep what
    /// they are set to.
    pub(super) fn opening(&self, settings: &str) -> Option<Opening> {
        self.is_pooled
            .then(|| Opening::of(settings, self.home.timeline()))
    }
}

/// The same settings for one transaction. How a connection finds out that it was cut is the pooler's business.
pub(super) fn local(settings: &str) -> String {
    let lines = settings.lines();
    let said = lines.filter(|line| !line.starts_with("--") && !line.contains("tcp_"));
    let local = said.map(|line| match line.strip_prefix("set ") {
        Some(rest) => format!("set local {rest}"),
        None => line
            .replace("value, false)", "value, true)")
            .replace("', false)", "', true)"),
    });
    local.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_set_outlives_its_transaction() {
        for settings in [
            sql::WRITER_SETTINGS,
            sql::READER_SETTINGS,
            sql::LOG_SETTINGS,
        ] {
            let local = local(settings);

            assert!(
                local.contains("\nset local statement_timeout") || settings == sql::WRITER_SETTINGS
            );
            for line in local.lines().filter(|line| line.starts_with("set ")) {
                assert!(line.starts_with("set local "), "{line}");
            }
            for line in local.lines().filter(|line| line.contains("set_config(")) {
                assert!(line.ends_with(", true)"), "{line}");
            }
        }
    }

    #[test]
    fn a_transaction_begins_with_its_settings_and_looks_where_it_is() {
        let opening = Opening::of(
            "-- what it is\nset tcp_keepalives_idle = 5;\nset jit = off",
            Some(0x1f),
        );

        let begun = "begin;\nset local jit = off;\nselect ln(";
        assert!(opening.begin().starts_with(begun), "{}", opening.begin());
        assert!(opening.begin().contains("= '0000001F'"));
        assert!(opening.settings().starts_with("set local jit"));
    }
}
