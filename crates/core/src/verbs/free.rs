//! Free: unique keys whose tasks have ended go. They are free already, by whoever wants them; this takes their rows away.
//! The service brings candidates; each is judged here again, under its lock.

use crate::command::{Env, halves};
use crate::needs::Needs;
use crate::refused::Refused;
use crate::rows::UniqueKey;
use crate::verbs::unique;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Free {
    pub keys: Vec<UniqueKey>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Freed {
    pub count: usize,
}

impl Free {
    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        Some(halves(&self.keys)?.map(|keys| Self { keys }))
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs.uniques.extend(self.keys.iter().cloned());
    }

    pub(crate) fn more(&self, view: &View, needs: &mut Needs, _env: &Env<'_>) {
        unique::more(self.keys.iter().cloned(), view, needs);
    }

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, _env: &mut Env<'_>) -> Result<Freed, Refused> {
        let mut count = 0;
        for key in &self.keys {
            if view.uniques.get(key).is_some() && unique::holder(key, view).is_none() {
                view.uniques.remove(key);
                count += 1;
            }
        }
        Ok(Freed { count })
    }
}
