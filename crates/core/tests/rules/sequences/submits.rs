//! Submits: new tasks, and the same once more.

use std::time::Duration;

use taskyard_core::command::Command;
use taskyard_core::id::TaskId;
use taskyard_core::json::Json;
use taskyard_core::lane::LaneKey;
use taskyard_core::name::Name;
use taskyard_core::order::Priority;
use taskyard_core::rows::{Digest, IdempotencyKey};
use taskyard_core::verbs::submit::{Begin, NewTask, Submit};

use super::World;
use crate::acts::Act;

impl World {
    /// The command, where it is one of these and there is something to send again.
    pub(super) fn submit(&mut self, act: &Act) -> Option<Command> {
        Some(match act {
            Act::Submit {
                kind,
                priority,
                delay,
                limits,
                of_client,
                key,
                exclusive,
                unique,
            } => {
                let task = self.task(kind, *priority, *delay, *limits, *of_client);
                let task = NewTask {
                    is_exclusive: *exclusive,
                    unique_key: unique.map(|key| key.to_string().into()),
                    ..task
                };
                let key = key.map(|key| IdempotencyKey {
                    scope: "scope".into(),
                    key: key.to_string().into(),
                });
                let submit = Submit {
                    tasks: vec![task],
                    once: key.map(|key| (key, Digest::of(b"request"))),
                    again: false,
                };
                self.submits.push(submit.clone());
                submit.into()
            }
            Act::SubmitAgain(index) => {
                if self.submits.is_empty() {
                    return None;
                }
                let again = true;
                Submit {
                    again,
                    ..index.get(&self.submits).clone()
                }
                .into()
            }
            _ => return None,
        })
    }

    pub(super) fn task(
        &mut self,
        kind: &str,
        priority: i64,
        delay: u64,
        (max_attempts, max_losses): (i32, i32),
        of_client: bool,
    ) -> NewTask {
        self.serial += 1;
        NewTask {
            priority: Priority::new(priority).unwrap(),
            begin: match delay {
                0 => Begin::Now,
                delay => Begin::After(Duration::from_secs(delay)),
            },
            max_attempts: Some(max_attempts),
            max_losses: Some(max_losses),
            timeout: Some(Duration::from_secs(20)),
            digest: of_client.then(|| Digest::of(b"body")),
            ..NewTask::new(
                TaskId::new(self.now, u128::from(self.serial) << 40),
                LaneKey::of(Name::path("default").unwrap(), Name::path(kind).unwrap()),
                Json::null(),
            )
        }
    }
}
