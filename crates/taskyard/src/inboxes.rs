//! What takes tasks over from inboxes: tables in other PostgreSQL databases, in which they were submitted with transactions
//! there. One taker an inbox; each looks when it hears of a commit, and once a second besides.
//!
//! A look picks rows, which are held for this server alone, submits each like any other task, and deletes them, or notes
//! there why one was refused. What breaks off in between leaves rows of which some are stored already: they are submitted
//! again, by whichever server comes first, and found by their ids. So nothing is lost, and nothing twice. An inbox that
//! cannot be reached hinders nobody but those who wait for its tasks.

mod round;

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::Mutex;
use taskyard_server::app::App;
use taskyard_server::inbox::{self, Counted};
use taskyard_store::postgres::inbox::{FIRST, Inbox, Keep};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::round::{Ended, Trouble};
use crate::cli::InboxArgs;
use crate::failure::Failure;

/// How often each is looked through from its beginning, whatever was heard.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one that could not be taken from is left alone: at first, and doubled until it is this long at most.
const PAUSE_LEAST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(10);
/// How often it is looked for refused rows that were kept for long enough, and how many go at once.
const FORGET_EVERY: Duration = Duration::from_mins(1);
const FORGET_ROWS: usize = 500;
/// How often it is said that rows were refused, and of the same trouble that it is there again.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Refuses addresses at which there can be no inbox.
pub(crate) fn addresses(args: &InboxArgs) -> Result<Vec<String>, Failure> {
    let mut known = BTreeSet::new();
    let urls = args.inbox.iter().filter(|url| !url.is_empty());
    let urls: Vec<String> = urls.cloned().collect();
    for url in &urls {
        let is_server = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if !is_server {
            return Err(Failure::usage(
                "--inbox names no PostgreSQL database: expected postgres://USER:PASSWORD@HOST/NAME",
            ));
        }
        let name = at(url)?.name();
        if !known.insert(name.clone()) {
            return Err(Failure::usage(format!(
                "--inbox names {name} twice; a database has one inbox"
            )));
        }
    }
    Ok(urls)
}

fn at(url: &str) -> Result<Inbox, Failure> {
    Inbox::at(url).map_err(|error| Failure::usage(format!("--inbox: {error}")))
}

/// Those of one server, running.
#[derive(Default)]
pub(crate) struct Takers(JoinSet<()>);

impl Takers {
    /// A taker for each of these addresses, until `stop`, and until what it had picked then is done.
    pub(crate) fn start(
        urls: &[String],
        pooled: bool,
        keep: Keep,
        app: &App,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let mut takers = JoinSet::new();
        for url in urls {
            let inbox = at(url)?;
            // By way of a pooler nobody is told anything.
            let ear = (!pooled).then(|| at(url)).transpose()?;
            let name = inbox.name();
            tracing::info!(inbox = name, "tasks are taken over from an inbox");
            let taker = Taker {
                counted: inbox::counted(app, &name),
                inbox,
                name,
                keep,
                app: app.clone(),
                trouble: None,
                told: None,
                pause: PAUSE_LEAST,
                unsaid: 0,
                quiet_until: None,
            };
            takers.spawn(taker.run(ear, stop.clone()));
        }
        Ok(Self(takers))
    }

    /// This one alone.
    #[cfg(test)]
    pub(crate) fn of(taker: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(JoinSet::from_iter([taker]))
    }

    /// The next one that has ended; none once all have. Before the stop only a bug ends one.
    pub(crate) async fn next_ended(&mut self) -> Option<Result<(), JoinError>> {
        self.0.join_next().await
    }
}

struct Taker {
    inbox: Inbox,
    /// For people: where it is.
    name: String,
    keep: Keep,
    app: App,
    counted: Counted,
    trouble: Option<Ongoing>,
    /// Of which trouble there was a line last, and when.
    told: Option<(String, Instant)>,
    /// After the next failure.
    pause: Duration,
    /// Rows that were refused since there was a line of such, and when there may be the next one.
    unsaid: u64,
    quiet_until: Option<Instant>,
}

/// Why nothing can be taken, since the last time that something could.
struct Ongoing {
    kind: String,
    /// There was a line.
    is_told: bool,
}

/// From which row on something new is known to stand.
#[derive(Default)]
struct Heard {
    from: Mutex<Option<i64>>,
    news: Notify,
}

impl Heard {
    fn tell(&self, from: i64) {
        let mut known = self.from.lock();
        *known = Some(known.map_or(from, |known| known.min(from)));
        self.news.notify_one();
    }

    fn take(&self) -> Option<i64> {
        self.from.lock().take()
    }
}

impl Taker {
    /// Without an ear it finds everything by looking.
    async fn run(self, ear: Option<Inbox>, stop: CancellationToken) {
        let heard = Heard::default();
        tokio::select! {
            biased;
            () = self.take(&heard, &stop) => {}
            () = listen(ear.as_ref(), &heard) => {}
        }
    }

    async fn take(mut self, heard: &Heard, stop: &CancellationToken) {
        let (mut whole_at, mut forget_at) = (Instant::now(), Instant::now());
        while !stop.is_cancelled() {
            let now = Instant::now();
            // Whoever looks at all of it finds what was heard of before, too.
            let news = heard.take();
            let from = if now >= whole_at {
                FIRST
            } else {
                news.unwrap_or(FIRST)
            };
            let mut ended = self.look(from).await;
            if from == FIRST && ended.is_ok() {
                whole_at = now + LOOK_EVERY;
                if now >= forget_at {
                    match self.forget().await {
                        Ok(rows) if rows < FORGET_ROWS => forget_at = now + FORGET_EVERY,
                        Ok(_) => {}
                        Err(trouble) => ended = Err(trouble),
                    }
                }
            }
            match ended {
                Ok(ended) => {
                    self.is_well();
                    if ended == Ended::MoreMayWait {
                        heard.tell(from);
                    }
                }
                Err(trouble) => {
                    self.is_in(&trouble, stop).await;
                    whole_at = Instant::now();
                    continue;
                }
            }
            tokio::select! {
                () = tokio::time::sleep_until(whole_at) => {}
                () = heard.news.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn look(&mut self, from: i64) -> Result<Ended, Trouble> {
        if from == FIRST {
            let sight = self.inbox.look().await?;
            let oldest = sight.oldest.unwrap_or_default();
            self.counted.oldest.set(oldest.as_secs_f64());
            if sight.oldest.is_none() {
                return Ok(Ended::AllTaken);
            }
        }
        let round = round::of(&self.app, &mut self.inbox, from).await?;
        self.counted.taken.inc_by(round.taken);
        self.counted.refused.inc_by(round.refused);
        if let Some((id, why)) = &round.example {
            self.say_refused(round.refused, *id, why);
        }
        match round.trouble {
            Some(trouble) => Err(trouble),
            None => Ok(round.ended),
        }
    }

    /// One line for all of a while, with one of them: somebody who submits bad ones may submit many.
    fn say_refused(&mut self, rows: u64, id: Uuid, why: &str) {
        self.unsaid += rows;
        let now = Instant::now();
        if self.quiet_until.is_some_and(|until| now < until) {
            tracing::debug!(inbox = self.name, rows, task.id = %id, why, "rows of an inbox were refused");
            return;
        }
        self.quiet_until = Some(now + SAY_EVERY);
        let rows = std::mem::take(&mut self.unsaid);
        tracing::warn!(
            inbox = self.name,
            rows,
            task.id = %id,
            why,
            "rows of an inbox were refused; they are kept there with their errors"
        );
    }

    async fn forget(&mut self) -> Result<usize, Trouble> {
        let rows = self.inbox.forget(self.keep, FORGET_ROWS).await?;
        if rows > 0 {
            tracing::warn!(
                inbox = self.name,
                rows,
                "refused rows of an inbox were taken away that were kept for long enough, or were too many"
            );
        }
        Ok(rows)
    }

    fn is_well(&mut self) {
        self.counted.up.set(1);
        self.pause = PAUSE_LEAST;
        if self.trouble.take().is_some_and(|trouble| trouble.is_told) {
            tracing::info!(
                inbox = self.name,
                "tasks are taken over from the inbox again"
            );
        }
    }

    /// Leaves it alone for a while.
    async fn is_in(&mut self, trouble: &Trouble, stop: &CancellationToken) {
        self.counted.up.set(0);
        self.say_trouble(trouble);
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = stop.cancelled() => {}
        }
        self.pause = (self.pause * 2).min(PAUSE_MOST);
    }

    /// When it begins, and when it turns into another; of one that comes and goes not each time.
    fn say_trouble(&mut self, trouble: &Trouble) {
        let (error, kind, now) = (trouble.to_string(), trouble.kind(), Instant::now());
        let goes_on = self.trouble.take().filter(|ongoing| ongoing.kind == kind);
        let mut is_told = goes_on.is_some_and(|ongoing| ongoing.is_told);
        let is_recent = |(told, at): &(String, Instant)| *told == kind && now < *at + SAY_EVERY;
        let what = "nothing can be taken over from an inbox; it is tried again until it can";
        if is_told || self.told.as_ref().is_some_and(is_recent) {
            tracing::debug!(inbox = self.name, error, "{what}");
        } else {
            tracing::warn!(inbox = self.name, error, "{what}");
            self.told = Some((kind.clone(), now));
            is_told = true;
        }
        self.trouble = Some(Ongoing { kind, is_told });
    }
}

/// Never ends. What is not heard is found by the look of each second, so nobody need be told that nothing is heard.
async fn listen(ear: Option<&Inbox>, heard: &Heard) {
    let Some(ear) = ear else {
        return std::future::pending().await;
    };
    let mut pause = PAUSE_LEAST;
    loop {
        let begun = Instant::now();
        let error = ear.listen(|from| heard.tell(from)).await;
        if begun.elapsed() > PAUSE_MOST {
            pause = PAUSE_LEAST;
        }
        tracing::debug!(inbox = ear.name(), %error, "commits are not heard of; the inbox is looked at once a second");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MOST);
    }
}
