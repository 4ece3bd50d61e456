//! The services of a running server: a thin loop around each of [`crate::services`], which may fail and goes on. Three
//! more are a loop around a single call: that this server is up, that those who wait look again, and that they hear what
//! other servers tell.

use std::time::Duration;

use hashbrown::HashMap;
use taskyard_core::rows::Server;
use taskyard_core::time::Timestamp;
use taskyard_core::verbs::expire::Sight;
use tokio::task::{Id, JoinSet};

use crate::desk::Moment;
use crate::engine::{Engine, Sweep, is_of_the_command};
use crate::error::Error;
use crate::grace::Grace;
use crate::services::promote::Promotion;
use crate::services::{
    Steps, forget, free, operations, orphans, promote, prune, retain, sweep, tally,
};

/// How often a server that the database takes nothing of is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many times as long as it took a sweep rests, and at most: so long, and this part of the time that a worker may be
/// silent.
const SWEEP_REST_TIMES: u32 = 20;
const SWEEP_REST_MAX: Duration = Duration::from_secs(5);
const SWEEP_REST_PART: u32 = 6;
/// Where another server has told so much that it could not name it all, everything is looked at, so often at most.
const VAGUE_EVERY: Duration = Duration::from_millis(100);
/// How often idempotency keys and workers are looked through for old ones.
const PRUNE_EVERY: Duration = Duration::from_mins(1);
/// How often it is looked for tasks that were kept long enough.
const RETAIN_EVERY: Duration = Duration::from_mins(1);
/// How often it is written down what happened since the last time: a crash loses so much of the rates.
const TALLY_EVERY: Duration = Duration::from_secs(1);
/// The promoter looks at least so often: another server may have scheduled something.
const PROMOTE_POLL: Duration = Duration::from_secs(1);
/// Bad rows are passed over for so long: they may have been mended.
const TRY_AGAIN_EVERY: Duration = Duration::from_mins(1);
/// What is due and was passed over is in another server's hands: it will be gone soon.
const PROMOTE_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub struct Upkeep {
    /// How often it is looked for workers that are gone and for runs that take too long. Default 1 s.
    pub sweep: Duration,
    /// For so long after a start or an outage nobody's silence counts. Default 30 s.
    pub grace: Duration,
    /// No other server can be up on this database: internal workers of earlier servers are gone at once.
    pub alone: bool,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            sweep: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            alone: false,
        }
    }
}

impl Upkeep {
    /// Starts every service of this server, which has joined as `server`. They end when the engine stops.
    pub fn start(self, engine: &Engine, server: Server) -> Services {
        let mut services = Services::default();
        let present = keep_present(engine.clone(), server, self.alone);
        services.spawn("what says that this server is up", present);
        services.spawn("the promoter", keep_promoting(engine.clone()));
        services.spawn("the pruner", keep_pruning(engine.clone()));
        services.spawn("retention", keep_retaining(engine.clone()));
        services.spawn("what writes the rates down", keep_tallying(engine.clone()));
        services.spawn("what works off operations", keep_operating(engine.clone()));
        if !self.alone {
            services.spawn(
                "what looks at other servers' work",
                keep_looking(engine.clone()),
            );
            services.spawn("what hears other servers", keep_hearing(engine.clone()));
        }
        services.spawn("the sweep", self.keep_sweeping(engine.clone(), server));
        services
    }

    async fn keep_sweeping(self, engine: Engine, server: Server) {
        let mut grace = Grace::new(engine.moment(), self.grace, engine.policy().heartbeat_ttl);
        let alone_since = self.alone.then_some(server.started_at);
        let mut looked_at = engine.moment();
        // The first piece of the sweep that is under way.
        let mut begun = None;
        let (mut expired, mut asked) = (0, Vec::new());
        let mut said = Said::default();
        while !engine.is_stopping() {
            asked.extend(engine.sweeps());
            let looked_before = std::mem::replace(&mut looked_at, engine.moment());
            if engine.unheard().is_some_and(|at| at >= looked_before) {
                grace.doubt(looked_at);
            }
            let now = engine.store().now();
            let counts = grace.counts(looked_at, now, self.sweep);
            let sight = Sight {
                at: now,
                grace: !counts,
                alone_since,
                steps: grace.steps(),
            };
            let begun_at = *begun.get_or_insert(looked_at);
            let rest = match sweep::run_once(&engine, sight).await {
                Ok(swept) => {
                    said.succeeded();
                    expired += swept.expired;
                    if swept.is_full {
                        // There may be more where these came from.
                        continue;
                    }
                    let (expired, grace) = (std::mem::take(&mut expired), sight.grace);
                    for asked in asked.drain(..) {
                        // Who does not wait any more needs no answer.
                        let _ = asked.send(Sweep { expired, grace });
                    }
                    let took = engine.moment().saturating_sub(begun_at);
                    rest_behind(took, self.sweep, engine.policy().heartbeat_ttl)
                }
                Err(Error::Stopping) => return,
                Err(error) => {
                    said.failed(&engine, &error, "the sweep failed; it is tried again");
                    asked.clear();
                    if !matches!(&error, Error::Store(error) if is_of_the_command(error)) {
                        grace.doubt(engine.moment());
                    }
                    Duration::ZERO
                }
            };
            begun = None;
            grace.rests(rest);
            let resting = async {
                wait(&engine, rest).await;
                pause(&engine, self.sweep).await;
            };
            tokio::select! {
                () = resting => {}
                // What the process before it had goes back at once.
                () = engine.was_replaced() => {}
                () = engine.was_asked_to_sweep() => {}
            }
        }
    }
}

/// How long a sweep that took so long leaves the database alone, besides the pause from one to the next. It reads all that is
/// under way, and what went since an old snapshot was taken: so it takes a twentieth of the time at most, as long as what it
/// finds is not found much later for it.
fn rest_behind(took: Duration, sweep: Duration, silent: Duration) -> Duration {
    let most = SWEEP_REST_MAX.min(silent / SWEEP_REST_PART);
    let rest = took.saturating_mul(SWEEP_REST_TIMES).min(most);
    rest.saturating_sub(sweep)
}

/// Those of one server, running. They end when these are dropped, at the latest.
#[derive(Default)]
pub struct Services {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Services {
    fn spawn(&mut self, name: &'static str, service: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(service).id();
        self.names.insert(id, name);
    }

    /// The next one that has ended; `None` once all have. Before the engine stops only a bug ends one.
    pub async fn next_ended(&mut self) -> Option<Ended> {
        let ended = self.running.join_next_with_id().await?;
        let broke_down = ended.is_err();
        let id = ended.map_or_else(|broke| broke.id(), |(id, ())| id);
        let service = self.names.remove(&id).unwrap_or("a service");
        Some(Ended {
            service,
            broke_down,
        })
    }
}

/// A service that has ended, and whether over a bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    pub service: &'static str,
    pub broke_down: bool,
}

/// Promotes when the next scheduled row is due, as the store or a commit told.
async fn keep_promoting(engine: Engine) {
    let (next_due, mut said) = (engine.next_due(), Said::default());
    let (mut steps, mut begun) = (Steps::default(), engine.moment());
    while !engine.is_stopping() {
        if engine.moment() >= begun + TRY_AGAIN_EVERY {
            (steps, begun) = (Steps::default(), engine.moment());
        }
        next_due.forget();
        let promoted = promote::run_once(&engine, &mut steps).await;
        if let Some(promotion) = said.of(
            &engine,
            promoted,
            "tasks that are due could not be put in line; it is tried again",
        ) {
            next_due.scheduled(when_to_look(promotion, engine.store().now()));
        }
        tokio::select! {
            () = next_due.comes(|| engine.store().now()) => {}
            () = pause(&engine, PROMOTE_POLL) => {}
        }
    }
}

/// When the next row is due; a moment later where one is due that could not be had.
fn when_to_look(promotion: Promotion, now: Timestamp) -> Timestamp {
    let next_due = promotion.next_due.unwrap_or(Timestamp::MAX);
    if promotion.count == 0 {
        next_due.max(now + PROMOTE_PAUSE)
    } else {
        next_due
    }
}

/// Says again and again that this server is up, so that nobody takes its number.
async fn keep_present(engine: Engine, mut server: Server, alone: bool) {
    let mut said = Said::default();
    while !engine.is_stopping() {
        wait_to_say(&engine).await;
        let joined = engine.join(Some(server), alone).await;
        let joined = said.of(&engine, joined, "this server could not say that it is up");
        server = joined.unwrap_or(server);
    }
}

/// Until it is to be said again; not so long while the database takes no writes: that it does again is found out by this,
/// where nobody else has something to write.
async fn wait_to_say(engine: &Engine) {
    let until = engine.moment() + engine.policy().server_ttl / 3;
    while !engine.is_stopping() && engine.moment() < until {
        pause(engine, LOOK_EVERY).await;
        if engine.is_cut_off() {
            return;
        }
    }
}

/// Another server may have made something ready, ended a task that somebody waits for here, or have died with rows in
/// hand that a pick here passed over. It may not have told, or not been heard, so those who wait look again.
async fn keep_looking(engine: Engine) {
    while !engine.is_stopping() {
        pause(&engine, engine.policy().poll).await;
        note_unheard_ends(engine.look_again().await);
    }
}

/// Mostly another server tells.
async fn keep_hearing(engine: Engine) {
    while !engine.is_stopping() {
        let hints = tokio::select! {
            hints = engine.store().heard() => hints,
            () = engine.stopping() => return,
        };
        let is_vague = hints.is_vague();
        note_unheard_ends(engine.hear(hints).await);
        if is_vague {
            // The store gathers what is told meanwhile.
            wait(&engine, VAGUE_EVERY).await;
        }
    }
}

fn note_unheard_ends(looked: Result<(), Error>) {
    if let Err(error) = looked {
        tracing::debug!(%error, "nobody could be told what others have ended; it is looked for again");
    }
}

/// On its own, since there may be much to take away, for which it pauses again and again.
async fn keep_retaining(engine: Engine) {
    let what = "tasks that were kept long enough could not be taken away; it is tried again";
    let (mut places, mut said) = (retain::Places::default(), Said::default());
    while !engine.is_stopping() {
        let taken = retain::run_once(&engine, &mut places).await;
        if let Some(tasks @ 1..) = said.of(&engine, taken, what) {
            tracing::info!(tasks, "took away tasks that were kept long enough");
        }
        pause(&engine, RETAIN_EVERY).await;
    }
}

/// Says what happened here since it last did.
async fn keep_tallying(engine: Engine) {
    let what = "rates could not be written down; it is tried again";
    let mut said = Said::default();
    while !engine.is_stopping() {
        pause(&engine, TALLY_EVERY).await;
        said.of(&engine, tally::run_once(&engine).await, what);
    }
}

/// Piece after piece as long as there is something to do.
async fn keep_operating(engine: Engine) {
    let what = "an operation could not go on; it is tried again";
    let mut said = Said::default();
    while !engine.is_stopping() {
        if said.of(&engine, operations::run_once(&engine).await, what) == Some(true) {
            continue;
        }
        tokio::select! {
            () = pause(&engine, engine.policy().poll) => {}
            () = engine.was_operated() => {}
        }
    }
}

async fn keep_pruning(engine: Engine) {
    let mut looked = orphans::Looked::default();
    let mut place = None;
    let mut said: [Said; 5] = Default::default();
    while !engine.is_stopping() {
        let forgot = [
            ("idempotency keys", prune::run_once(&engine).await),
            ("unique keys", free::run_once(&engine, &mut place).await),
            ("workers", forget::run_once(&engine).await),
            ("operations", operations::clear(&engine).await),
            (
                "logs of tasks that are gone",
                orphans::run_once(&engine, &mut looked).await,
            ),
        ];
        for ((what, forgot), said) in forgot.into_iter().zip(&mut said) {
            let failed = format!("what is old could not be forgotten ({what}); it is tried again");
            if let Some(count @ 1..) = said.of(&engine, forgot, &failed) {
                tracing::info!(what, count, "forgot what is old");
            }
        }
        pause(&engine, PRUNE_EVERY).await;
    }
}

/// What a service says of its failures: that they begin or turn into others. While the database takes no writes that is
/// said once, by the engine.
#[derive(Default)]
struct Said(Option<String>);

impl Said {
    /// What a run came to, of which it says `what` if it failed: not where the engine stops, which the service sees by itself.
    fn of<T>(&mut self, engine: &Engine, ran: Result<T, Error>, what: &str) -> Option<T> {
        match ran {
            Ok(done) => {
                self.succeeded();
                return Some(done);
            }
            Err(Error::Stopping) => {}
            Err(error) => self.failed(engine, &error, what),
        }
        None
    }

    fn failed(&mut self, engine: &Engine, error: &Error, what: &str) {
        let error = error.to_string();
        if engine.is_cut_off() || self.0.as_ref() == Some(&error) {
            tracing::debug!(error, "{what}");
        } else {
            tracing::warn!(error, "{what}");
        }
        self.0 = Some(error);
    }

    fn succeeded(&mut self) {
        self.0 = None;
    }
}

/// For this long at most: those that pause for as long end it together, so that a server that idles wakes up for all of
/// them at once.
async fn pause(engine: &Engine, length: Duration) {
    wait(engine, to_next(engine.moment(), length)).await;
}

async fn wait(engine: &Engine, length: Duration) {
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        () = engine.stopping() => {}
    }
}

/// How long it is to the next multiple of `length`.
fn to_next(moment: Moment, length: Duration) -> Duration {
    let into = moment.as_nanos().checked_rem(length.as_nanos());
    length - into.map_or(Duration::ZERO, Duration::from_nanos_u128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_of_one_length_end_together() {
        let at = Duration::from_millis;

        assert_eq!(to_next(at(0), at(1000)), at(1000));
        assert_eq!(to_next(at(1), at(1000)), at(999));
        assert_eq!(to_next(at(61_250), at(1000)), at(750));
        assert_eq!(to_next(at(61_250), at(250)), at(250));
        assert_eq!(to_next(at(5), Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_sweep_that_takes_long_rests_longer_but_finds_the_silent_in_time() {
        let ms = Duration::from_millis;
        let rest = |took| rest_behind(took, Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(rest(ms(0)), ms(0));
        assert_eq!(rest(ms(50)), ms(0));
        assert_eq!(rest(ms(60)), ms(200));
        assert_eq!(rest(ms(9000)), ms(4000));
        // One that is rare anyway is no rarer.
        assert_eq!(rest_behind(ms(9000), ms(20_000), ms(30_000)), ms(0));
        // What else it looks for has nothing to do with how long workers may be silent.
        assert_eq!(rest_behind(ms(9000), ms(1000), ms(3_600_000)), ms(4000));
        assert_eq!(rest_behind(Duration::MAX, ms(1000), ms(6000)), ms(0));
    }
}
