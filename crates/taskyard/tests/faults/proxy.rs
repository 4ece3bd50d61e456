//! A stretch of network that can be disturbed: whatever comes in at its address goes on to where it leads, as its state
//! lets it.
//!
//! What is held back is not lost, as with TCP over a network that drops packets for a while. A partition of real packets
//! differs in one thing: there, new connections hang already when they are made.

pub(crate) mod replay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What becomes of what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pass,
    /// Nothing goes through, and nobody is told.
    Stall,
    /// The same of one direction alone.
    StallUp,
    StallDown,
    /// What is open is closed, and so is what is opened.
    Cut,
    /// Each piece is late by so much; they stay in order.
    Late(Duration),
}

impl State {
    fn holds(self, way: Way) -> bool {
        match self {
            Self::Stall => true,
            Self::StallUp => way == Way::Up,
            Self::StallDown => way == Way::Down,
            Self::Pass | Self::Cut | Self::Late(_) => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: watch::Sender<State>,
    leads_to: Arc<Mutex<String>>,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(place: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = watch::Sender::new(State::Pass);
        let leads_to = Arc::new(Mutex::new(place.to_owned()));
        let (states, place) = (state.clone(), Arc::clone(&leads_to));
        let listening = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(carry(caller, place.lock().clone(), states.subscribe()));
            }
        });
        Self {
            address,
            state,
            leads_to,
            listening,
        }
    }

    pub(crate) fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// New connections go there from now on.
    pub(crate) fn turn_to(&self, place: &str) {
        place.clone_into(&mut self.leads_to.lock());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.set(State::Cut);
    }
}

async fn carry(caller: TcpStream, place: String, state: watch::Receiver<State>) {
    if *state.borrow() == State::Cut {
        return;
    }
    let Ok(behind) = TcpStream::connect(place).await else {
        return;
    };
    let _ = (caller.set_nodelay(true), behind.set_nodelay(true));
    let (from_caller, to_caller) = caller.into_split();
    let (from_behind, to_behind) = behind.into_split();
    let mut cuts = state.clone();
    tokio::select! {
        _ = async {
            tokio::join!(
                pump(from_caller, to_behind, Way::Up, state.clone()),
                pump(from_behind, to_caller, Way::Down, state),
            )
        } => {}
        _ = cuts.wait_for(|state| *state == State::Cut) => {}
    }
}

/// One direction, until its end has come through.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    mut state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let passes = state.wait_for(|state| !state.holds(way)).await;
        let Ok(now) = passes.map(|now| *now) else {
            return;
        };
        match now {
            State::Late(by) => sleep(by).await,
            // What was held back until then is lost.
            State::Cut => return,
            State::Pass | State::Stall | State::StallUp | State::StallDown => {}
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each piece with itself.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = caller.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn answered(stream: &mut TcpStream) -> bool {
        let mut answer = [0; 1];
        let reading = stream.read_exact(&mut answer);
        let come = tokio::time::timeout(Duration::from_millis(100), reading).await;
        come.is_ok_and(|read| read.is_ok())
    }

    #[tokio::test]
    async fn what_is_held_back_comes_when_it_passes_again() {
        for state in [State::Stall, State::StallUp, State::StallDown] {
            let proxy = Proxy::to(&echo().await.to_string()).await;
            let mut stream = TcpStream::connect(proxy.address).await.unwrap();
            stream.write_all(b"a").await.unwrap();
            assert!(answered(&mut stream).await);

            proxy.set(state);
            stream.write_all(b"b").await.unwrap();
            assert!(!answered(&mut stream).await, "{state:?}");
            proxy.set(State::Pass);

            assert!(answered(&mut stream).await, "{state:?}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_is_closed_and_opens_again_afterwards() {
        let proxy = Proxy::to(&echo().await.to_string()).await;
        let mut open = TcpStream::connect(proxy.address).await.unwrap();
        open.write_all(b"a").await.unwrap();
        assert!(answered(&mut open).await);

        proxy.set(State::Cut);
        assert_eq!(open.read(&mut [0; 1]).await.unwrap_or(0), 0);
        let mut new = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(new.read(&mut [0; 1]).await.unwrap_or(0), 0);

        proxy.set(State::Pass);
        let mut again = TcpStream::connect(proxy.address).await.unwrap();
        again.write_all(b"a").await.unwrap();
        assert!(answered(&mut again).await);
    }

    #[tokio::test]
    async fn what_was_held_back_when_it_is_cut_never_comes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let proxy = Proxy::to(&place).await;
        let mut caller = TcpStream::connect(proxy.address).await.unwrap();
        let (mut behind, _) = listener.accept().await.unwrap();
        caller.write_all(b"a").await.unwrap();
        behind.read_exact(&mut [0; 1]).await.unwrap();

        proxy.set(State::Stall);
        caller.write_all(b"b").await.unwrap();
        proxy.set(State::Cut);

        assert_eq!(behind.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn it_leads_elsewhere_when_it_is_turned() {
        let proxy = Proxy::to("127.0.0.1:1").await;
        proxy.turn_to(&echo().await.to_string());

        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(b"a").await.unwrap();

        assert!(answered(&mut stream).await);
    }

    #[tokio::test]
    async fn what_is_late_comes_in_order() {
        let proxy = Proxy::to(&echo().await.to_string()).await;
        proxy.set(State::Late(Duration::from_millis(10)));
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();

        for byte in 0..5_u8 {
            stream.write_all(&[byte]).await.unwrap();
        }

        let mut answers = [0; 5];
        stream.read_exact(&mut answers).await.unwrap();
        assert_eq!(answers, [0, 1, 2, 3, 4]);
    }
}
