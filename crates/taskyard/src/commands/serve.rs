//! `taskyard serve`: opens the database, joins, starts the services, the workers inside and the HTTP server; when told
//! to stop it ends them in the opposite order.

mod bounds;
mod damage;
mod inside;
mod parts;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use taskyard_core::policy::Policy;
use taskyard_engine::engine::Engine;
use taskyard_engine::upkeep::Upkeep;
use taskyard_server::Secret;
use taskyard_server::app::App;
use taskyard_server::serve::serve;
use taskyard_server::settings::{Access, Commands, Limits, Settings};
use taskyard_store::postgres;
use taskyard_worker::executor::Executors;
use taskyard_worker::runtime;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::parts::Parts;
use super::{Cores, Done, worker};
use crate::cli::{AccessArgs, ServeArgs};
use crate::database::{self, Address, Manner};
use crate::failure::{FAILED, Failure, USAGE};
use crate::inboxes::{self, Takers};
use crate::logs;
use crate::open_files;
use crate::output;
use crate::pool::Pool;
use crate::process::SERVING;
use crate::randomness::Unguessable;
use crate::settings::web;
use crate::signals::{self, Signals};

/// What can be told from the settings alone, and is refused before anything is touched.
pub(super) struct Plan {
    pub(super) policy: Policy,
    limits: Limits,
    hosts: Vec<String>,
    origins: Vec<String>,
    address: Address,
    inboxes: Vec<String>,
    commands: Commands,
    executors: Executors,
}

impl Plan {
    pub(super) fn make(args: &ServeArgs) -> Result<Self, Failure> {
        let address = Address::parse(&args.database.database)?;
        let inboxes = inboxes::addresses(&args.inboxes.inboxes)?;
        check_pooled(args.pooled, &address, &inboxes)?;
        check_access(&args.access, &args.listen)?;
        Ok(Self {
            policy: Policy {
                commands_refused: inside::commands_refused(args),
                ..bounds::policy(&args.times, &args.limits)?
            },
            limits: Limits {
                lists_max: bounds::lists_max(&args.limits, &address)?,
                ..bounds::limits(&args.limits, &args.connections)?
            },
            hosts: web::hosts(&args.access.allow_host)?,
            origins: web::origins(&args.access.allow_origin)?,
            address,
            inboxes,
            commands: inside::commands(args),
            executors: inside::executors(args)?,
        })
    }

    pub(super) fn cores(&self) -> Cores {
        if self.address.is_on_this_machine() {
            Cores::BesideDatabase
        } else {
            Cores::All
        }
    }
}

/// How long the database has to answer what was accepted, whatever is left of the time to stop.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// How many connections may wait to be accepted, where the system does not say less (`net.core.somaxconn`).
const WAITING_MAX: u32 = 4096;

pub(super) async fn run(args: &ServeArgs, plan: Plan) -> Done {
    let Plan {
        policy,
        mut limits,
        hosts,
        origins,
        address,
        inboxes,
        commands,
        executors,
    } = plan;
    open_files::leave_room(&mut limits, open_files::raise(), args.internal_workers)?;
    let listener = listen(&args.listen).await?;
    let local = listener.local_addr()?;
    let settings = Settings {
        access: access(&args.access, local)?,
        hosts,
        origins,
        database: address.kind(),
        version: env!("CARGO_PKG_VERSION"),
        worker_ids: args.access.worker_id_pattern.clone(),
        built_in: inside::built_in(),
        not_inside: inside::not_inside(args),
        dev: args.dev,
        dialects: !args.no_dialects,
        commands,
        limits,
        log_lines_dropped: logs::lines_dropped(),
    };
    let mut signals = Signals::listen()?;
    let manner = Manner {
        wait: args.database_wait,
        within: args.database_within,
        pooled: args.pooled,
    };
    let store = tokio::select! {
        store = database::open(&address, manner, Some(local)) => store?,
        // There is nothing to end in order yet.
        signal = signals.next() => return Ok(signals::exit_code(signal)),
    };

    // Three steps of stopping: this server says that it leaves, and its workers finish; then no more requests are accepted,
    // and the engine finishes those that were; then nothing is taken.
    let (leaving, stop) = (CancellationToken::new(), CancellationToken::new());
    let engine = Engine::start(store, policy, Box::new(Unguessable::new()), stop.clone());
    let server = tokio::select! {
        server = database::join(&engine, &address, args.database_wait) => server?,
        signal = signals.next() => return Ok(signals::exit_code(signal)),
    };
    if address.is_for_one_server()
        && let Err(damage) = damage::look(&engine).await
    {
        return Err(address.explain(&damage));
    }
    let upkeep = Upkeep {
        sweep: args.times.sweep,
        grace: args.times.grace,
        alone: address.is_for_one_server(),
    };
    let services = upkeep.start(&engine, server);
    let like = runtime::Settings {
        logs: worker::logs(&args.logs),
        ..worker::ending(args.times.drain, &args.times.deliver, &args.command)
    };
    let pool = Pool::new(args.internal_workers, &executors, &like);
    let app = App::with_pool(
        engine.clone(),
        Some(pool.handle()),
        settings,
        leaving.clone(),
    );
    let mut serving = JoinSet::new();
    let finishing = engine.finishing().clone();
    serving.spawn(serve(listener, app.clone(), finishing));
    pool.begin(&app);
    let takers = Takers::start(&inboxes, args.pooled, args.inboxes.keep(), &app, &leaving)?;
    app.started();
    output::line(&format!("{SERVING}http://{}", reachable(local)))?;
    tracing::info!(address = %local, database = %address, workers = args.internal_workers, "serving");

    let store = Arc::clone(engine.store());
    let mut parts = Parts {
        engine,
        services,
        serving,
        takers,
        pool,
    };
    let broken = tokio::select! {
        _ = signals.next() => None,
        part = parts.first_to_end() => Some(part),
    };
    signals.end_at_next();
    leaving.cancel();
    let times = &args.times;
    let within = times.drain.max(times.linger);
    let within = within.saturating_add(times.deliver.deliver);
    let broken = tokio::select! {
        biased;
        broken = parts.end(broken, times.linger, &stop) => broken,
        () = too_late(&stop, within) => {
            // Closing it would wait for the database as well. What is left behind is looked through at the next start.
            std::mem::forget(store);
            return Err(Failure::new(
                "the server has ended before its database had answered everything; what was acknowledged is stored, and \
                 what was not may be",
            ));
        }
    };
    let damage = damage::found(&*store).await;
    // The last of what holds the database: it is closed in order before the process ends.
    drop((app, store));
    if let Some(damage) = damage {
        return Err(address.explain(&damage));
    }
    if let Some(part) = broken {
        return Err(Failure::new(format!(
            "the server has stopped because {part} broke down, which is a bug; what was acknowledged is stored, and a \
             restart goes on with it"
        )));
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Resolves when the database has had its time: as long as was said from the order to stop on, and a moment once the
/// workers have ended and the last requests, each of which have a time of their own.
async fn too_late(stop: &CancellationToken, within: Duration) {
    let until = Instant::now().checked_add(within);
    stop.cancelled().await;
    let least = Instant::now() + LAST_ANSWERS_WITHIN;
    match until {
        Some(until) => tokio::time::sleep_until(until.max(least)).await,
        None => std::future::pending().await,
    }
}

async fn listen(address: &str) -> Result<TcpListener, Failure> {
    bind(address).await.map_err(|error| {
        let (code, hint) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                FAILED,
                "something else listens there already; --listen names another address",
            ),
            io::ErrorKind::PermissionDenied => (
                FAILED,
                "ports below 1024 are for privileged programs; --listen names another",
            ),
            _ => (
                USAGE,
                "--listen takes an address of this machine and a port, such as 127.0.0.1:8000",
            ),
        };
        let message = format!("cannot listen on {address}: {error}\n  {hint}");
        Failure::with_code(code, message)
    })
}

/// The first of the addresses that this stands for which can be listened on.
async fn bind(address: &str) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "it names no address");
    for address in tokio::net::lookup_host(address).await? {
        match bind_to(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Like [`TcpListener::bind`], but for how many may wait: its 128 are too few when a server returns and all its workers
/// come at once; whoever comes then is not heard and tries again after a second, then three.
fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // So that a server can start where the one before has just stopped.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// Where a client on this machine finds what listens there.
fn reachable(local: SocketAddr) -> SocketAddr {
    if local.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], local.port()))
    } else {
        local
    }
}

/// A pooler is in front of PostgreSQL, and passes on no options of connections.
fn check_pooled(pooled: bool, address: &Address, inboxes: &[String]) -> Result<(), Failure> {
    if !pooled {
        return Ok(());
    }
    let database = match address {
        Address::Postgres(url) => Some(url),
        Address::Sqlite(_) if inboxes.is_empty() => {
            return Err(Failure::usage(
                "--pooled is for PostgreSQL behind a pooler, and --database names a file; leave it out",
            ));
        }
        Address::Sqlite(_) => None,
    };
    for url in database.into_iter().chain(inboxes) {
        postgres::check_pooled(url)
            .map_err(|error| Failure::usage(format!("--pooled: {error}")))?;
    }
    Ok(())
}

/// What can be told before it listens: a name may stand for any address.
fn check_access(args: &AccessArgs, listen: &str) -> Result<(), Failure> {
    let named = listen.parse().ok();
    let local = named.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    access(args, local).map(drop)
}

fn access(args: &AccessArgs, local: SocketAddr) -> Result<Access, Failure> {
    match web::token(args.token.as_deref())? {
        Some(token) => Ok(Access::Token(Secret::new(token))),
        // Also with --no-auth: what it takes away there is only a check that no caller of this machine fails.
        None if local.ip().is_loopback() => Ok(Access::Loopback),
        None if args.no_auth => Ok(Access::None),
        None => Err(Failure::usage(format!(
            "{local} can be reached from other machines; set TASKYARD_TOKEN to the token that requests must bear, or \
             say --no-auth if everybody there may do everything"
        ))),
    }
}

#[cfg(test)]
mod flags;

#[cfg(test)]
mod tests {
    use taskyard_server::WorkerIds;
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    /// Longer than connecting takes; a connection that is not heard tries for minutes.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn connections_that_come_all_at_once_wait_to_be_accepted() {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();

        let mut waiting = Vec::new();
        for _ in 0..400 {
            let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
            waiting.push(connected.expect("there is room to wait").unwrap());
        }
    }

    #[test]
    fn loopback_keeps_its_checks_without_auth() {
        let without_auth = AccessArgs {
            token: None,
            no_auth: true,
            allow_host: Vec::new(),
            allow_origin: Vec::new(),
            worker_id_pattern: WorkerIds::default(),
        };
        let check = |local: &str| access(&without_auth, local.parse().unwrap()).ok();

        for local in ["127.0.0.1:8000", "[::1]:8000"] {
            assert!(matches!(check(local), Some(Access::Loopback)), "{local}");
        }
        assert!(matches!(check("0.0.0.0:8000"), Some(Access::None)));
    }
}
