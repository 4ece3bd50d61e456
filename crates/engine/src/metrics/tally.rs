//! Counting: what a batch did, by its answers and changed topics.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::id::Fence;
use taskyard_core::lane::{Lane, LaneKey, Lanes};
use taskyard_core::minute::{Events, MinuteKey, What};
use taskyard_core::name::Name;
use taskyard_core::refused::Refused;
use taskyard_core::rows::{End, Outcome};
use taskyard_core::status::Status;
use taskyard_core::store::Ran;
use taskyard_core::time::Timestamp;
use taskyard_core::topic::Topic;
use taskyard_core::verbs::claim::Dealt;

use super::{Metrics, OTHER, OfKind, OfOutcome};
use crate::gathered::{self, Gathered};

/// How many lanes are known by name or number; beyond, they are looked up again.
const LINES_MAX: usize = 20_000;
const OUTCOMES: [Status; 4] = [
    Status::Completed,
    Status::Failed,
    Status::Timeout,
    Status::Cancelled,
];

/// The handles of one kind.
struct Kind {
    submitted: Counter,
    ended: [Counter; OUTCOMES.len()],
    waited: Histogram,
    ran: Histogram,
}

impl Kind {
    fn new(kind: &str, metrics: &Metrics) -> Self {
        let of_kind = OfKind {
            kind: kind.to_owned(),
        };
        let ended = OUTCOMES.map(|status| OfOutcome {
            kind: kind.to_owned(),
            outcome: status.as_str(),
        });
        Self {
            submitted: metrics.submitted.get_or_create_owned(&of_kind),
            ended: ended.map(|labels| metrics.ended.get_or_create_owned(&labels)),
            waited: metrics.waited.get_or_create_owned(&of_kind),
            ran: metrics.ran.get_or_create_owned(&of_kind),
        }
    }
}

/// A lane, as far as counting goes.
struct Line {
    key: LaneKey,
    /// The place of its kind.
    kind: usize,
    /// 0 until it has a number.
    lane: AtomicI32,
}

impl Line {
    /// None where it was forgotten in the moment since.
    fn lane(&self, lanes: &Lanes) -> Option<Lane> {
        let known = self.lane.load(Ordering::Relaxed);
        if known != 0 {
            return Some(Lane(known));
        }
        let lane = lanes.number(&self.key)?;
        self.lane.store(lane.0, Ordering::Relaxed);
        Some(lane)
    }
}

/// The lanes of the tasks that a batch may make, for when it is known which it made.
#[derive(Default)]
pub(crate) struct Noted {
    /// The place among the batch's commands of each that makes tasks, and how many.
    submits: Vec<(usize, usize)>,
    lines: Vec<Arc<Line>>,
}

/// Counts what batches did, for whoever watches and for the rates. Owned by the engine's loop, so that nobody else waits
/// for it.
pub(crate) struct Tally {
    metrics: Arc<Metrics>,
    gathered: Arc<Mutex<Gathered>>,
    kinds: Vec<Kind>,
    known: HashMap<Name, usize>,
    /// The place of [`OTHER`], once there is need of it.
    other: Option<usize>,
    lines: HashMap<LaneKey, Arc<Line>>,
    /// The latest: tasks of one lane mostly come together.
    last_line: Option<Arc<Line>>,
    kind_of: HashMap<Lane, usize>,
    /// The lane of the latest end, and the place of its kind.
    last_end: Option<(Lane, usize)>,
}

impl Tally {
    pub(crate) fn of(metrics: Arc<Metrics>, gathered: Arc<Mutex<Gathered>>) -> Self {
        Self {
            metrics,
            gathered,
            kinds: Vec::new(),
            known: HashMap::new(),
            other: None,
            lines: HashMap::new(),
            last_line: None,
            kind_of: HashMap::new(),
            last_end: None,
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// In another database the numbers of lanes are others'. What was noted of batches under way goes by them no more.
    pub(crate) fn forget_lanes(&mut self) {
        for line in self.lines.values() {
            line.lane.store(0, Ordering::Relaxed);
        }
        self.kind_of.clear();
        self.last_end = None;
    }

    /// What there is to know of a batch's commands before they are handed over: of those from this place on, behind those
    /// that were noted before.
    pub(crate) fn note(&mut self, noted: &mut Noted, commands: &[Command], from: usize) {
        for (place, command) in commands.iter().enumerate().skip(from) {
            let tasks = command.new_tasks();
            if tasks.is_empty() {
                continue;
            }
            noted.submits.push((place, tasks.len()));
            noted
                .lines
                .extend(tasks.iter().map(|task| self.line(&task.lane)));
        }
    }

    pub(crate) fn count(&mut self, noted: &Noted, ran: &Ran, lanes: &Lanes) {
        let gathered = Arc::clone(&self.gathered);
        let mut minute = Now {
            minute: MinuteKey::minute_of(ran.now),
            gathered: &mut gathered.lock(),
        };
        self.count_submits(noted, &ran.replies, lanes, &mut minute);
        for topic in &ran.topics {
            match topic {
                Topic::Ended(outcome) => self.count_end(outcome, lanes, &mut minute),
                Topic::GivenBack {
                    worker,
                    lane,
                    end: Some(End::Failed | End::TimedOut),
                } => {
                    minute.of(Some(*lane)).happened(What::Retried);
                    minute.gathered.worked(*worker).failed += 1;
                }
                Topic::GivenBack { .. }
                | Topic::Ready(_)
                | Topic::Scheduled(_)
                | Topic::Told(_) => {}
            }
        }
        for reply in ran.replies.iter().flatten().flatten() {
            match reply {
                Done::Claims(dealt) => self.count_claimed(dealt, ran.now, lanes, &mut minute),
                Done::Expire(expired) => {
                    self.metrics.leases_lost.inc_by(expired.tasks.len() as u64);
                }
                Done::Report(reported) => {
                    let late = reported.results.iter().filter(|result| {
                        matches!(
                            result,
                            Err(Refused::StaleLease | Refused::ReportedOtherwise)
                        )
                    });
                    self.metrics.late_results.inc_by(late.count() as u64);
                }
                _ => {}
            }
        }
    }

    fn count_submits(
        &self,
        noted: &Noted,
        replies: &[Answer],
        lanes: &Lanes,
        minute: &mut Now<'_>,
    ) {
        let mut lines = noted.lines.iter();
        for (place, tasks) in &noted.submits {
            let lines = lines.by_ref().take(*tasks);
            let done = match replies.get(*place) {
                Some(Ok(Ok(done))) => Some(done),
                Some(Ok(Err(_)) | Err(_)) | None => None,
            };
            // Those of a submit that was refused are passed over as well.
            for (at, line) in lines.enumerate() {
                if done.is_some_and(|done| done.has_made(at)) {
                    self.kinds[line.kind].submitted.inc();
                    minute.of(line.lane(lanes)).happened(What::Submitted);
                }
            }
        }
    }

    fn count_end(&mut self, outcome: &Outcome, lanes: &Lanes, minute: &mut Now<'_>) {
        let place = match self.last_end {
            Some((lane, place)) if lane == outcome.lane => place,
            _ => self.kind_of(outcome.lane, lanes),
        };
        self.last_end = Some((outcome.lane, place));
        let kind = &self.kinds[place];
        if let Some(at) = OUTCOMES.iter().position(|known| *known == outcome.status) {
            kind.ended[at].inc();
        }
        if let Some(worker) = outcome.worker {
            match outcome.status {
                Status::Completed => minute.gathered.worked(worker).completed += 1,
                Status::Failed | Status::Timeout if !outcome.was_lost() => {
                    minute.gathered.worked(worker).failed += 1;
                }
                Status::Failed | Status::Timeout | Status::Cancelled => {}
                Status::Scheduled | Status::Pending | Status::Assigned | Status::Running => {
                    unreachable!("an outcome is final: {}", outcome.status)
                }
            }
        }
        let events = minute.of(Some(outcome.lane));
        events.happened(match outcome.status {
            Status::Completed => What::Completed,
            Status::Timeout => What::Timeout,
            Status::Cancelled => What::Cancelled,
            Status::Failed => What::Failed,
            Status::Scheduled | Status::Pending | Status::Assigned | Status::Running => {
                unreachable!("an outcome is final: {}", outcome.status)
            }
        });
        if let Some(began) = outcome.started_at.or(outcome.claimed_at) {
            let took = outcome.ended_at.since(began);
            kind.ran.observe(took.as_secs_f64());
            events.runs.push(took);
        }
    }

    fn count_claimed(
        &mut self,
        dealt: &Dealt,
        now: Timestamp,
        lanes: &Lanes,
        minute: &mut Now<'_>,
    ) {
        let hands = dealt.hands.iter().flatten().flatten();
        let hands = hands.filter(|hand| !hand.is_again);
        for run in hands.flat_map(|hand| &hand.runs) {
            let line = self.line(&run.lane);
            let events = minute.of(line.lane(lanes));
            events.happened(What::Started);
            if run.fence == Fence(1) {
                let waited = now.since(run.slot.task.made_at());
                self.kinds[line.kind].waited.observe(waited.as_secs_f64());
                events.waits.push(waited);
            }
        }
    }

    fn line(&mut self, key: &LaneKey) -> Arc<Line> {
        if let Some(last) = &self.last_line
            && last.key == *key
        {
            return Arc::clone(last);
        }
        let line = self.known_line(key);
        self.last_line = Some(Arc::clone(&line));
        line
    }

    fn known_line(&mut self, key: &LaneKey) -> Arc<Line> {
        if let Some(line) = self.lines.get(key) {
            return Arc::clone(line);
        }
        if self.lines.len() >= LINES_MAX {
            self.lines.clear();
        }
        let line = Arc::new(Line {
            kind: self.place(&key.kind),
            key: key.clone(),
            lane: AtomicI32::new(0),
        });
        self.lines.insert(key.clone(), Arc::clone(&line));
        line
    }

    fn kind_of(&mut self, lane: Lane, lanes: &Lanes) -> usize {
        if let Some(kind) = self.kind_of.get(&lane) {
            return *kind;
        }
        let Some(key) = lanes.key(lane) else {
            // It was forgotten in the moment since.
            return self.other();
        };
        if self.kind_of.len() >= LINES_MAX {
            self.kind_of.clear();
        }
        let kind = self.place(&key.kind);
        self.kind_of.insert(lane, kind);
        kind
    }

    fn place(&mut self, kind: &Name) -> usize {
        if let Some(place) = self.known.get(kind) {
            return *place;
        }
        if self.known.len() >= self.metrics.kinds_max.load(Ordering::Relaxed) {
            return self.other();
        }
        let place = self.add(kind.as_str());
        self.known.insert(kind.clone(), place);
        place
    }

    fn other(&mut self) -> usize {
        if let Some(place) = self.other {
            return place;
        }
        let place = self.add(OTHER);
        *self.other.insert(place)
    }

    fn add(&mut self, kind: &str) -> usize {
        self.kinds.push(Kind::new(kind, &self.metrics));
        self.kinds.len() - 1
    }
}

/// The minute of a batch.
struct Now<'a> {
    minute: i64,
    gathered: &'a mut Gathered,
}

impl Now<'_> {
    /// What happened in a lane, to be added to; where it is not known which, in all others.
    fn of(&mut self, lane: Option<Lane>) -> &mut Events {
        self.gathered.events(gathered::key(self.minute, lane))
    }
}
