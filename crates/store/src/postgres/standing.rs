//! What a host says of itself when it is reached: whether it takes writes, and which timeline it is on.
//!
//! Each promotion of a standby begins a timeline with a higher number, so of two hosts of one cluster that both take
//! writes the one with the lower number is the old primary. An ordinary role may ask for all of it. What is asked is the
//! timeline that is written: that of the last checkpoint stays behind for a while after a promotion.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

use super::sql;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    pub(super) is_standby: bool,
    /// Also of a primary that is set so.
    pub(super) is_read_only: bool,
    /// Of a standby the one that it has surely come to. None where the database does not tell.
    pub(super) timeline: Option<u32>,
    /// What a cluster and its copies have in common.
    pub(super) cluster: Option<u64>,
}

impl Standing {
    /// One round trip, without a statement that stays prepared.
    pub(super) async fn of(client: &Client) -> Result<Self, Error> {
        match Self::asked(client, sql::STANDING).await {
            Err(error) if is_withheld(&error) => Self::asked(client, sql::STANDING_PLAIN).await,
            standing => standing,
        }
    }

    async fn asked(client: &Client, statement: &str) -> Result<Self, Error> {
        let messages = client.simple_query(statement).await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let text = |index| row.and_then(|row: &SimpleQueryRow| row.get(index));
        let written = text(2).and_then(|name| u32::from_str_radix(name, 16).ok());
        let checkpoint = text(3).and_then(|number| number.parse().ok());
        Ok(Self {
            is_standby: text(0) == Some("t"),
            is_read_only: text(1) == Some("on"),
            timeline: written.or(checkpoint),
            // It is shown as a signed number, and is none.
            cluster: text(4).and_then(|number| number.parse::<i64>().ok().map(i64::cast_unsigned)),
        })
    }
}

/// Nobody may ask for it there, or there is no such thing.
fn is_withheld(error: &Error) -> bool {
    [
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_COLUMN,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        SqlState::SYNTAX_ERROR,
    ]
    .iter()
    .any(|code| error.code() == Some(code))
}
