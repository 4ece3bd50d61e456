//! Lease tokens as workers see them: opaque text.
//!
//! Within: the head of the database's incarnation, so that a token of a database that this one took the place of is
//! known as such; the slot, the fence, and the lease's 64 random bits. The task is always named beside it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use taskyard_core::id::{Fence, SlotKey, SlotNumber, TaskId};
use taskyard_core::verbs::held::Token;

const INCARNATION: usize = 8;
const LEN: usize = INCARNATION + 2 + 4 + 8;
const TEXT_LEN: usize = LEN.div_ceil(3) * 4 - 2;

pub(crate) fn write(token: &Token, incarnation: &[u8; 16]) -> String {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&incarnation[..INCARNATION]);
    bytes[8..10].copy_from_slice(&token.slot.slot.0.to_be_bytes());
    bytes[10..14].copy_from_slice(&token.fence.0.to_be_bytes());
    bytes[14..].copy_from_slice(&token.secret.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What the text stands for. A garbled one, or one of another incarnation, stands for a run that never was: fences
/// count from 1. So it is refused like any stale one, and what it came with is kept beside its task.
pub(crate) fn read(text: &str, task: TaskId, incarnation: &[u8; 16]) -> Token {
    decode(text, task, incarnation).unwrap_or(Token {
        slot: SlotKey::only(task),
        fence: Fence(0),
        secret: 0,
    })
}

fn decode(text: &str, task: TaskId, incarnation: &[u8; 16]) -> Option<Token> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let bytes: [u8; LEN] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (of, rest) = bytes.split_first_chunk::<INCARNATION>()?;
    let (slot, rest) = rest.split_first_chunk()?;
    let (fence, rest) = rest.split_first_chunk()?;
    let (secret, _) = rest.split_first_chunk()?;
    let token = Token {
        slot: SlotKey {
            task,
            slot: SlotNumber(i16::from_be_bytes(*slot)),
        },
        fence: Fence(i32::from_be_bytes(*fence)),
        secret: i64::from_be_bytes(*secret),
    };
    // No task has another slot yet, and made-up numbers must not make rows.
    let is_plausible = *of == incarnation[..INCARNATION] && token.slot == SlotKey::only(task);
    is_plausible.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCARNATION: &[u8; 16] = b"the first of two";

    fn token() -> Token {
        let task = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        Token {
            slot: SlotKey::only(task),
            fence: Fence(7),
            secret: -2,
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let text = write(&token(), INCARNATION);

        assert_eq!(text.len(), TEXT_LEN);
        assert_eq!(read(&text, token().slot.task, INCARNATION), token());
    }

    #[test]
    fn what_is_no_token_of_this_database_names_no_run() {
        let text = write(&token(), INCARNATION);
        let other_slot = Token {
            slot: SlotKey {
                slot: SlotNumber(1),
                ..token().slot
            },
            ..token()
        };
        let never =
            |text: &str, incarnation| read(text, token().slot.task, incarnation).fence == Fence(0);

        assert!(never(&text, b"the other of two"));
        assert!(never(&write(&other_slot, INCARNATION), INCARNATION));
        assert!(never("", INCARNATION));
        assert!(never(&text[1..], INCARNATION));
        assert!(never(&format!("{text}A"), INCARNATION));
        assert!(never(&text.replace(|_| true, "!"), INCARNATION));
        assert!(never("é", INCARNATION));
    }
}
