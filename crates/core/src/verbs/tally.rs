//! Tally: what a server did in the last moments is added to what it has written of these minutes, and what came of
//! workers' runs to their rows. The service brings what the engine gathered, so none of it costs those who do the work a
//! write.

use crate::command::Env;
use crate::minute::{Minute, MinuteKey};
use crate::name::Name;
use crate::needs::{Hold, Needs};
use crate::refused::Refused;
use crate::view::View;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Each lane of a minute once.
    pub minutes: Vec<Minute>,
    /// Each worker once.
    pub workers: Vec<(Name, Worked)>,
}

/// What came of a worker's runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Worked {
    pub completed: i64,
    /// Those that timed out too. Runs that were lost are not its own doing.
    pub failed: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tallied {
    /// How many minutes and workers were added to; those that the database refused are left out.
    pub rows: usize,
}

impl Tally {
    pub fn rows(&self) -> usize {
        self.minutes.len() + self.workers.len()
    }

    pub(crate) fn halves(&self) -> Option<[Self; 2]> {
        if self.rows() < 2 {
            return None;
        }
        // One of each makes two parts of one row.
        let (minutes, more_minutes) = self.minutes.split_at(self.minutes.len().div_ceil(2));
        let (workers, more_workers) = self.workers.split_at(self.workers.len() / 2);
        let of = |minutes: &[Minute], workers: &[(Name, Worked)]| Self {
            minutes: minutes.to_vec(),
            workers: workers.to_vec(),
        };
        Some([of(minutes, workers), of(more_minutes, more_workers)])
    }

    pub(crate) fn needs(&self, needs: &mut Needs, _env: &Env<'_>) {
        needs
            .minutes
            .extend(self.minutes.iter().map(|minute| minute.key));
        for (name, _) in &self.workers {
            needs.worker(name, Hold::Lock);
        }
    }

    #[expect(clippy::unused_self, reason = "every verb has one")]
    pub(crate) fn more(&self, _view: &View, _needs: &mut Needs, _env: &Env<'_>) {}

    #[expect(clippy::unnecessary_wraps, reason = "every verb answers alike")]
    pub(crate) fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Result<Tallied, Refused> {
        for minute in &self.minutes {
            if view.minutes.get(&minute.key).is_some() {
                view.minutes
                    .update(&minute.key, |row| row.events.add(&minute.events));
            } else {
                view.minutes.insert(minute.key, minute.clone());
            }
        }
        for (name, worked) in &self.workers {
            if view.workers.get(name).is_some() {
                view.workers.update(name, |row| {
                    row.completed += worked.completed;
                    row.failed += worked.failed;
                });
            }
        }
        view.forget_minutes(MinuteKey::first_asked(env.now));
        Ok(Tallied { rows: self.rows() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Lane;
    use crate::minute::Events;

    #[test]
    fn halves_have_each_row_once_and_end_with_one() {
        for (minutes, workers) in [(1, 1), (0, 2), (2, 0), (3, 1), (5, 8)] {
            let minute = |minute: i64| Minute {
                key: MinuteKey {
                    minute,
                    lane: Lane(1),
                },
                events: Events::default(),
            };
            let worker = |number: i64| (Name::stored(&*format!("w-{number}")), Worked::default());
            let whole = Tally {
                minutes: (0..minutes).map(minute).collect(),
                workers: (0..workers).map(worker).collect(),
            };

            let (mut parts, mut ones) = (vec![whole.clone()], Vec::new());
            while let Some(part) = parts.pop() {
                match part.halves() {
                    Some([first, second]) => parts.extend([second, first]),
                    None => ones.push(part),
                }
            }

            assert!(ones.iter().all(|one| one.rows() == 1));
            let found: Vec<Minute> = ones.iter().flat_map(|one| one.minutes.clone()).collect();
            assert_eq!(found, whole.minutes);
            assert_eq!(ones.len() - found.len(), whole.workers.len());
        }
    }
}
