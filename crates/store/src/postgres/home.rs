//! Which host the database is at home on: the one that takes writes, and of several the one whose timeline is the newest.
//!
//! Every connection is looked at before it is used ([`Standing`]). What a server knows of timelines it has seen itself:
//! - In memory, the newest one that any host told of, a standby too. A host that is behind it is an old primary, however
//!   willing it is, and is refused. This lasts until the server ends.
//! - By looking: where the address names several hosts, all are asked when a home is looked for, and the others every few
//!   seconds besides. So a server that starts finds the newest one that can be reached.
//! - In the database nothing is kept of it. A row there is part of the copy that an old primary has, and agrees with its
//!   old timeline: it would never say no.
//!
//! So one thing is left to whoever runs PostgreSQL: a server that has just started, and reaches an old primary and nobody
//! else, cannot know.
//!
//! All connections are of the same home. When it moves, or nobody answers there any more, a new *term* begins, and those
//! of the terms before end at once, whatever they wait for.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use taskyard_core::store::{Away, Cause};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::standing::Standing;

/// One address of one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    /// As the address names it.
    pub(super) name: String,
    pub(super) host: usize,
    pub(super) ip: Option<IpAddr>,
    pub(super) port: u16,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Need {
    /// From the primary, also while it takes no writes.
    Reads,
    Writes,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) struct NotConnected {
    pub(super) cause: Cause,
    /// In one line.
    pub(super) reason: String,
    /// Nobody said no: nothing was heard at all.
    pub(super) is_silence: bool,
}

impl NotConnected {
    pub(super) fn new(cause: Cause, reason: String) -> Self {
        Self {
            cause,
            reason,
            is_silence: false,
        }
    }
}

impl From<NotConnected> for Away {
    fn from(not: NotConnected) -> Self {
        not.cause.with(not.reason)
    }
}

#[derive(Debug)]
pub(super) struct Home {
    at: Mutex<At>,
    term: watch::Sender<u64>,
    /// Held while a home is looked for.
    pub(super) looking: tokio::sync::Mutex<()>,
}

#[derive(Default, Debug)]
struct At {
    spot: Option<Spot>,
    /// Of the connections of this term.
    timeline: Option<u32>,
    cluster: Option<u64>,
    newest: Option<Seen>,
    /// When anything was last heard from there.
    heard: Option<Instant>,
    /// Nobody is asked, for this reason.
    down: Option<Away>,
    /// How often it has moved.
    moves: u64,
    /// Old primaries that take writes, as far as the last look around found them.
    old: Vec<Spot>,
}

impl At {
    fn note(&mut self, spot: &Spot, standing: &Standing) {
        let is_same = self.cluster.is_none() || self.cluster == standing.cluster;
        let Some(timeline) = standing.timeline.filter(|_| is_same) else {
            return;
        };
        if self
            .newest
            .as_ref()
            .is_none_or(|seen| timeline > seen.timeline)
        {
            self.cluster = standing.cluster;
            self.newest = Some(Seen {
                timeline,
                at: spot.name.clone(),
            });
        }
    }
}

#[derive(Debug)]
struct Seen {
    timeline: u32,
    at: String,
}

impl Default for Home {
    fn default() -> Self {
        Self {
            at: Mutex::default(),
            term: watch::Sender::new(0),
            looking: tokio::sync::Mutex::default(),
        }
    }
}

impl Home {
    pub(super) fn spot(&self) -> Option<Spot> {
        self.at.lock().spot.clone()
    }

    /// Something was heard from the database.
    pub(super) fn heard(&self) {
        let mut at = self.at.lock();
        at.heard = Some(Instant::now());
        if at.down.take().is_some() {
            tracing::info!("the database can be worked with again");
        }
    }

    pub(super) fn last_heard(&self) -> Option<Instant> {
        self.at.lock().heard
    }

    /// Why nobody is asked at present.
    pub(super) fn down(&self) -> Option<Away> {
        self.at.lock().down.clone()
    }

    /// Nobody answers, or nobody who may be worked with: whoever waits for an answer is told so at once, and so is who comes,
    /// until there is somebody again.
    pub(super) fn give_up(&self, why: Away) {
        let mut at = self.at.lock();
        let cause = at.down.as_ref().map(|down| down.cause);
        if cause.is_none() {
            self.term.send_modify(|term| *term += 1);
        }
        if cause != Some(why.cause) {
            tracing::warn!(error = %why, "the database cannot be worked with: there are no connections until it can");
        }
        at.down = Some(why);
    }

    /// Remembers what a host told of timelines.
    pub(super) fn note(&self, spot: &Spot, standing: &Standing) {
        self.at.lock().note(spot, standing);
    }

    /// Whether this host can be the home. `hosts`: how many the address names.
    pub(super) fn judge(
        &self,
        spot: &Spot,
        standing: &Standing,
        hosts: usize,
    ) -> Result<Need, NotConnected> {
        let name = &spot.name;
        if standing.is_standby {
            let reason = format!("{name} is a standby");
            return Err(NotConnected::new(Cause::ReadOnly, reason));
        }
        let at = self.at.lock();
        let both = at.cluster.zip(standing.cluster);
        if both.is_some_and(|(one, other)| one != other) {
            // Where there is one host, that is what it was told to take: somebody put a dump back into a new cluster.
            if hosts > 1 {
                let reason = format!(
                    "{name} is another cluster than the one that was worked on, and no copy of it; if that is meant, start \
                     the server again with its address alone"
                );
                return Err(NotConnected::new(Cause::Other, reason));
            }
        } else if let (Some(seen), Some(timeline)) = (&at.newest, standing.timeline)
            && timeline < seen.timeline
        {
            let reason = format!(
                "{name} is an old primary: it writes timeline {timeline}, and timeline {} was seen at {}. Nothing is written \
                 there; stop it, and make it a standby of the new one",
                seen.timeline, seen.at
            );
            return Err(NotConnected::new(Cause::Superseded, reason));
        }
        Ok(if standing.is_read_only {
            Need::Reads
        } else {
            Need::Writes
        })
    }

    /// Remembers which old primaries there are, and answers why for those that there were not at the last look.
    pub(super) fn old_primaries(&self, now: Vec<(Spot, String)>) -> Vec<String> {
        let (spots, reasons): (Vec<Spot>, Vec<String>) = now.into_iter().unzip();
        let before = std::mem::replace(&mut self.at.lock().old, spots.clone());
        let told = spots.iter().zip(reasons);
        told.filter(|(spot, _)| !before.contains(spot))
            .map(|(_, reason)| reason)
            .collect()
    }

    /// Settles down there, if that is not where it is at home already. Answers the term.
    pub(super) fn settle(&self, spot: &Spot, standing: &Standing) -> u64 {
        self.settle_in(&mut self.at.lock(), spot, standing)
    }

    /// The same, unless it has moved away from there.
    pub(super) fn stay(&self, spot: &Spot, standing: &Standing) -> Option<u64> {
        let mut at = self.at.lock();
        let is_there = at.spot.as_ref() == Some(spot);
        is_there.then(|| self.settle_in(&mut at, spot, standing))
    }

    fn settle_in(&self, at: &mut At, spot: &Spot, standing: &Standing) -> u64 {
        let is_there = at.spot.as_ref() == Some(spot);
        let is_newer = is_there && standing.timeline > at.timeline;
        let is_other = at.cluster.is_some() && standing.cluster != at.cluster;
        if at.spot.is_some() && (!is_there || is_newer || is_other) {
            self.term.send_modify(|term| *term += 1);
            at.moves += 1;
            tracing::warn!(
                host = spot.name,
                timeline = standing.timeline,
                "the database has another primary than before: all connections move over"
            );
        }
        if standing.cluster != at.cluster {
            at.cluster = standing.cluster;
            at.newest = standing.timeline.map(|timeline| Seen {
                timeline,
                at: spot.name.clone(),
            });
        }
        // The same spot may stand for another host than before, one after the other.
        at.note(spot, standing);
        at.timeline = standing.timeline;
        at.spot = Some(spot.clone());
        *self.term.borrow()
    }

    /// Of the connections of this term.
    pub(super) fn timeline(&self) -> Option<u32> {
        self.at.lock().timeline
    }

    /// Whether this is what it settled down at.
    pub(super) fn is_at(&self, standing: &Standing) -> bool {
        let at = self.at.lock();
        at.timeline == standing.timeline && at.cluster == standing.cluster
    }

    /// How often it has moved. A new primary may lack what the one before took last.
    pub(super) fn moves(&self) -> u64 {
        self.at.lock().moves
    }

    pub(super) fn term(&self) -> u64 {
        *self.term.borrow()
    }

    /// Resolves when this term is.
    fn over(&self, term: u64) -> BoxFuture<'static, ()> {
        let mut terms = self.term.subscribe();
        Box::pin(async move {
            if terms.wait_for(|now| *now > term).await.is_err() {
                // Nobody is left who could end it.
                std::future::pending::<()>().await;
            }
        })
    }
}

type Raw =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// What makes a connection live; to be run beside its client. Ends with its term.
pub(super) struct Connection {
    raw: Raw,
    over: BoxFuture<'static, ()>,
}

impl Connection {
    pub(super) async fn open(
        config: &Config,
        tls: &MakeRustlsConnect,
        home: &Arc<Home>,
    ) -> Result<(Client, Self), Error> {
        let over = home.over(home.term());
        let (client, raw) = config.connect(tls.clone()).await?;
        Ok((client, Self { raw, over }))
    }

    /// For this term, which may have begun with it.
    pub(super) fn admitted(self, home: &Home, term: u64) -> Self {
        let over = home.over(term);
        Self { over, ..self }
    }
}

impl Connection {
    /// Makes it live, as running it does, and tells what comes besides answers. None when it has ended.
    pub(super) fn poll_message(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<AsyncMessage, Error>>> {
        if self.over.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        self.raw.poll_message(context)
    }
}

impl Future for Connection {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.over.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.raw).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_primary_is_told_of_each_time_it_comes_back() {
        let home = Home::default();
        let spot = |port| Spot {
            name: format!("db:{port}"),
            host: 0,
            ip: None,
            port,
        };
        let found = |ports: &[u16]| {
            let found = ports.iter().map(|&port| (spot(port), port.to_string()));
            home.old_primaries(found.collect())
        };

        assert_eq!(found(&[]), [""; 0]);
        assert_eq!(found(&[1]), ["1"]);
        assert_eq!(found(&[1, 2]), ["2"]);
        assert_eq!(found(&[2]), [""; 0]);
        assert_eq!(found(&[2, 1]), ["1"]);
    }
}
