//! Connections: accepted up to a limit, served with time-outs, and ended in order.
//!
//! HTTP/1.1 only. Browsers speak HTTP/2 over TLS alone, which ends at a proxy in front, and telling the two apart
//! would cost each connection a look at its first bytes.

mod door;
mod places;
mod refusal;

use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::pin::{self, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::door::{Door, Entry, Spare};
pub(crate) use self::places::Crowd;
use self::places::Place;
use crate::app::App;
use crate::front::{Front, Peer};
use crate::problem::Code;
use crate::response::Streamed;
use crate::settings::Limits;
use crate::watch::{Guard, Look, Streaming, Watched};

/// How long to wait before accepting again when the process can hold no more connections.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What is said at the door.
const FULL: Option<Code> = Some(Code::ConnectionsFull);

/// Serves until `stop` is cancelled, then accepts nothing more, finishes what it has accepted within
/// [`crate::settings::Limits::stop_within`], and returns when no connection is left.
pub async fn serve(listener: TcpListener, app: App, stop: CancellationToken) {
    let limits = app.limits().clone();
    let front = Front::new(app);
    let door = Door::new(&limits);
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let (stream, spare) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &door, front.app()) => accepted,
        };
        let peer = Peer {
            is_local: stream.local_addr().is_ok_and(|to| to.ip().is_loopback()),
            address: stream.peer_addr().ok().map(|peer| peer.ip()),
        };
        let connection = Connection {
            front: front.clone().of(peer),
            stop: stop.clone(),
            cut: cut.clone(),
        };
        connections.spawn(connection.enter(stream, Arc::clone(&door), spare));
    }
    drop(listener);
    connections.close();
    if timeout(limits.stop_within, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = connections.len(),
            "cutting off what did not end in time"
        );
        cut.cancel();
        connections.wait().await;
    }
}

/// The next connection, once there is room for it at the door. Those behind it wait in the listener's backlog.
async fn accept(listener: &TcpListener, door: &Door, app: &App) -> (TcpStream, Spare) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, door.spare().await),
            // It went away while it waited: its own affair.
            Err(error) if is_the_callers(&error) => {}
            Err(error) => {
                if let Some(others) = app.troubles().tell(&error.to_string()) {
                    tracing::error!(%error, others, "no connection could be accepted; trying again");
                }
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

fn is_the_callers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

struct Connection {
    front: Front,
    stop: CancellationToken,
    /// The time to finish is up.
    cut: CancellationToken,
}

impl Connection {
    async fn enter(self, mut stream: TcpStream, door: Arc<Door>, spare: Spare) {
        let entry = tokio::select! {
            biased;
            entry = door.enter(&stream) => entry,
            () = self.stop.cancelled() => return,
        };
        match entry {
            Entry::In(place) => {
                drop(spare);
                self.serve(stream, &place, None).await;
            }
            Entry::Beside(place) => self.serve(stream, &place, Some(&door)).await,
            Entry::Late => self.end(&mut stream, FULL, door.hurried()).await,
            Entry::Hurried => self.end(&mut stream, FULL, ready(())).await,
            Entry::Gone => {}
        }
    }

    /// Answers what it asks; at the door its first request alone.
    async fn serve(&self, stream: TcpStream, place: &Place, at: Option<&Door>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let limits = self.front.app().limits();
        let watch = &place.watch;
        let mut guard = Guard::new(Arc::clone(watch), limits);
        let mut looks = interval(guard.every());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let io = TokioIo::new(Watched {
            io: stream,
            watch: Arc::clone(watch),
        });
        let answering = service_fn(|request: http::Request<Incoming>| {
            let has_one_length = watch.serving(&request);
            let front = &self.front;
            async move {
                let mut response = if has_one_length {
                    front.answer(request.map(Body::new)).await
                } else {
                    front.refusal(refusal::two_lengths())
                };
                if response.extensions_mut().remove::<Streamed>().is_some() {
                    response = response.map(|body| Body::new(Streaming::new(body, watch)));
                } else {
                    watch.answered();
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut served = http1::Builder::new()
            .keep_alive(at.is_none())
            .max_header_size(limits.head_bytes_max)
            .max_buf_size(limits.head_bytes_max.max(Limits::HEAD_BYTES_LEAST))
            .serve_connection(io, answering);
        let (mut stopped, mut cut) = (pin!(self.stop.cancelled()), pin!(self.cut.cancelled()));
        let mut is_stopping = false;
        let refused = loop {
            tokio::select! {
                biased;
                ended = &mut served => {
                    // The preface of HTTP/2 is the one unreadable head that the library closes over without an answer.
                    let mut is_unread = false;
                    if let Err(error) = &ended {
                        tracing::debug!(%error, "a connection ended early");
                        is_unread = error.is_parse();
                    }
                    match watch.refused() {
                        Some(status) => break Some(refusal::of(status)),
                        // Where an answer is still under way, this would stand within it.
                        None if is_unread && !watch.is_behind() => break Some(Code::Malformed),
                        // Perhaps over a body that was refused before all of it had come.
                        None if ended.is_ok() && !is_stopping => break None,
                        None => return,
                    }
                }
                () = stopped.as_mut(), if !is_stopping => {
                    // Half a head is no request. The library waits for the rest of a connection's first.
                    if watch.is_in_head() && !watch.is_behind() {
                        return;
                    }
                    is_stopping = true;
                    pin::Pin::new(&mut served).graceful_shutdown();
                }
                () = cut.as_mut() => return,
                () = watch.told_to_leave() => {
                    if watch.waits_since().is_some() {
                        tracing::debug!("closing an idle connection to make room for another");
                        return;
                    }
                    watch.stays();
                }
                _ = looks.tick() => {
                    match guard.look() {
                        Look::Fine => {}
                        Look::AgainAt(due) => looks.reset_at(due),
                        Look::Overdue if watch.is_in_head() && !watch.is_behind() => {
                            break Some(Code::HeadTimeout);
                        }
                        Look::Overdue => {
                            tracing::debug!("closing a connection that stood still");
                            return;
                        }
                    }
                }
            }
        };
        let mut stream = served.into_parts().io.into_inner().io;
        let room_is_needed = async {
            match at {
                Some(door) => door.hurried().await,
                None => pending().await,
            }
        };
        self.end(&mut stream, refused, room_is_needed).await;
    }

    /// Says what is left to be said, and waits for it to be taken, for some time and until `room_is_needed`.
    async fn end(
        &self,
        stream: &mut TcpStream,
        refused: Option<Code>,
        room_is_needed: impl Future<Output = ()>,
    ) {
        let ending = async {
            if let Some(code) = refused {
                refusal::say(&self.front, stream, code).await?;
            }
            tokio::select! {
                biased;
                () = refusal::linger(stream) => {}
                () = room_is_needed => {}
            }
            io::Result::Ok(())
        };
        tokio::select! {
            () = self.cut.cancelled() => {}
            ended = timeout(self.front.app().limits().write_pause_max, ending) => {
                if !matches!(ended, Ok(Ok(()))) {
                    tracing::debug!("a refusal was not taken");
                }
            }
        }
    }
}
