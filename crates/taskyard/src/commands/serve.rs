//! `taskyard serve`: opens the database, joins, starts the services, the workers inside and the HTTP server; when told
//! to stop it ends them in the opposite order.

mod parts;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use taskyard_core::policy::Policy;
use taskyard_engine::engine::Engine;
use taskyard_engine::upkeep::Upkeep;
use taskyard_server::Secret;
use taskyard_server::app::App;
use taskyard_server::serve::serve;
use taskyard_server::settings::{Access, Limits, Settings};
use taskyard_store::{postgres, sqlite};
use taskyard_worker::executor::Executors;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::parts::Parts;
use super::{Done, worker};
use crate::cli::{AccessArgs, ConnectionArgs, LimitArgs, ServeArgs, TimeArgs};
use crate::database::{self, Address};
use crate::failure::{FAILED, Failure, USAGE};
use crate::open_files;
use crate::output;
use crate::pool::Pool;
use crate::process::SERVING;
use crate::randomness::Unguessable;
use crate::settings::web;
use crate::signals::{self, Signals};

/// What can be told from the settings alone, and is refused before anything is touched.
pub(super) struct Plan {
    policy: Policy,
    limits: Limits,
    hosts: Vec<String>,
    origins: Vec<String>,
    address: Address,
    executors: Executors,
}

impl Plan {
    pub(super) fn make(args: &ServeArgs) -> Result<Self, Failure> {
        let address = Address::parse(&args.database.database)?;
        check_access(&args.access, &args.listen)?;
        Ok(Self {
            policy: policy(&args.times, &args.limits)?,
            limits: Limits {
                lists_max: lists_max(&args.limits, &address)?,
                ..limits(&args.limits, &args.connections)?
            },
            hosts: web::hosts(&args.access.allow_host)?,
            origins: web::origins(&args.access.allow_origin)?,
            address,
            executors: worker::executors(&args.command, &args.internal_kinds, "--internal-kinds")?,
        })
    }
}

/// How many connections may wait to be accepted, where the system does not say less (`net.core.somaxconn`).
const WAITING_MAX: u32 = 4096;

pub(super) async fn run(args: &ServeArgs) -> Done {
    let Plan {
        policy,
        mut limits,
        hosts,
        origins,
        address,
        executors,
    } = Plan::make(args)?;
    open_files::leave_room(&mut limits, open_files::raise(), args.internal_workers)?;
    let listener = listen(&args.listen).await?;
    let local = listener.local_addr()?;
    let settings = Settings {
        access: access(&args.access, local)?,
        hosts,
        origins,
        database: address.kind(),
        version: env!("CARGO_PKG_VERSION"),
        limits,
    };
    let mut signals = Signals::listen()?;
    let store = tokio::select! {
        store = database::open(&address, args.database_wait) => store?,
        // There is nothing to end in order yet.
        signal = signals.next() => return Ok(signals::exit_code(signal)),
    };

    // Two steps of stopping: first this server says that it leaves and its workers finish, then nothing is taken.
    let (leaving, stop) = (CancellationToken::new(), CancellationToken::new());
    let engine = Engine::start(store, policy, Box::new(Unguessable::new()), stop.clone());
    let server = engine
        .join(None, address.is_for_one_server())
        .await
        .map_err(|error| address.explain(&error))?;
    let upkeep = Upkeep {
        sweep: args.times.sweep,
        grace: args.times.grace,
        alone: address.is_for_one_server(),
    };
    let services = upkeep.start(&engine, server);
    let app = App::new(engine.clone(), settings, leaving.clone());
    let mut serving = JoinSet::new();
    serving.spawn(serve(listener, app.clone(), stop.clone()));
    let pool = Pool::start(
        &app,
        args.internal_workers,
        &executors,
        &worker::ending(args.times.drain, &args.times.deliver, &args.command),
    );
    app.started();
    output::line(&format!("{SERVING}http://{}", reachable(local)))?;
    tracing::info!(address = %local, database = address.kind(), workers = args.internal_workers, "serving");

    let mut parts = Parts {
        engine,
        services,
        serving,
        pool,
    };
    let broken = tokio::select! {
        _ = signals.next() => None,
        part = parts.first_to_end() => Some(part),
    };
    signals.end_at_next();
    leaving.cancel();
    let broken = parts.end(broken, &stop).await;
    // The last of what holds the database: it is closed in order before the process ends.
    drop(app);
    if let Some(part) = broken {
        return Err(Failure::new(format!(
            "the server has stopped because {part} broke down, which is a bug; what was acknowledged is stored, and a \
             restart goes on with it"
        )));
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
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
        Failure { message, code }
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

/// What can be told before it listens: a name may stand for any address.
fn check_access(args: &AccessArgs, listen: &str) -> Result<(), Failure> {
    let named = listen.parse().ok();
    let local = named.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    access(args, local).map(drop)
}

fn access(args: &AccessArgs, local: SocketAddr) -> Result<Access, Failure> {
    match &args.token {
        Some(token) if token.is_empty() => Err(Failure::usage(
            "TASKYARD_TOKEN is empty; unset it, or give it a value",
        )),
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

fn limits(args: &LimitArgs, connections: &ConnectionArgs) -> Result<Limits, Failure> {
    for (name, time) in [
        ("--head-within", connections.head_within),
        ("--idle-within", connections.idle_within),
        ("--place-within", connections.place_within),
        ("--body-pause", connections.body_pause),
        ("--body-within", connections.body_within),
        ("--write-pause", connections.write_pause),
        ("--answer-within", connections.answer_within),
    ] {
        at_least(name, time, "a moment", MOMENT)?;
    }
    let details = 2 * usize::try_from(args.history_max).unwrap_or(1);
    let most = ATTEMPT_DETAIL_MOST.min(ATTEMPTS_BYTES_MOST / details);
    if args.attempt_detail_max > most {
        return Err(Failure::usage(format!(
            "--attempt-detail-max is {} bytes; it must be at most {most}, since with this --history-max one answer may \
             hold {details} of them",
            args.attempt_detail_max
        )));
    }
    if connections.head_max < Limits::HEAD_BYTES_LEAST {
        return Err(Failure::usage(format!(
            "--head-max is {} bytes; it must be at least {}",
            connections.head_max,
            Limits::HEAD_BYTES_LEAST
        )));
    }
    let limits = Limits {
        input_max: args.input_max,
        output_max: args.output_max,
        list_look_at_max: args.list_look_at_max as usize,
        attempt_detail_max: args.attempt_detail_max,
        depth_max: usize::from(args.depth_max),
        bulk_max: args.body_max,
        bodies_max: args.bodies_max,
        answers_max: args.answers_max,
        tasks_max: args.batch_max as usize,
        claim_max: args.claim_max as usize,
        stream_tasks_max: args.stream_max as usize,
        checkpoint_max: args.checkpoint_max,
        connections_max: connections.connections_max as usize,
        connections_spare: connections.connections_spare as usize,
        place_within: connections.place_within,
        head_bytes_max: connections.head_max,
        head_within: connections.head_within,
        idle_within: connections.idle_within,
        body_pause_max: connections.body_pause,
        body_within: connections.body_within,
        write_pause_max: connections.write_pause,
        answer_within: connections.answer_within,
        ..Limits::default()
    };
    let least = limits.body_max().saturating_mul(2);
    for (name, bytes) in [
        ("--bodies-max", limits.bodies_max),
        ("--queue-bytes-max", args.queue_bytes_max),
    ] {
        if bytes < least {
            return Err(Failure::usage(format!(
                "{name} is {bytes} bytes; it must be at least twice the longest body that --body-max, --output-max, \
                 --input-max and --checkpoint-max let in, {least}"
            )));
        }
    }
    Ok(limits)
}

fn lists_max(args: &LimitArgs, address: &Address) -> Result<usize, Failure> {
    let readers = match address {
        Address::Sqlite(_) => sqlite::READERS,
        Address::Postgres(_) => postgres::READERS,
    };
    let lists = args.lists_max.map_or(readers / 2, |lists| lists as usize);
    if lists >= readers {
        return Err(Failure::usage(format!(
            "--lists-max is {lists}; it must be less than this database's {readers} readers"
        )));
    }
    Ok(lists)
}

const ATTEMPT_DETAIL_MOST: usize = 1 << 20;

/// The longest that the details in the list of one task's attempts may be together.
const ATTEMPTS_BYTES_MOST: usize = 200 << 20;

/// A key that is forgotten sooner is not known when a request is sent again.
const KEY_LIFE_LEAST: Duration = Duration::from_mins(1);

/// The shortest time that counts as one.
const MOMENT: Duration = Duration::from_millis(1);

fn at_least(name: &str, value: Duration, what: &str, least: Duration) -> Result<(), Failure> {
    if value < least {
        let (value, least) = (text(value), text(least));
        return Err(Failure::usage(format!(
            "{name} is {value}; it must be at least {what}, {least}"
        )));
    }
    Ok(())
}

fn policy(times: &TimeArgs, limits: &LimitArgs) -> Result<Policy, Failure> {
    at_least("--heartbeat", times.heartbeat, "a moment", MOMENT)?;
    at_least("--sweep", times.sweep, "a moment", MOMENT)?;
    at_least("--timeout", times.timeout, "a moment", MOMENT)?;
    at_least(
        "--heartbeat-ttl",
        times.heartbeat_ttl,
        "twice the heartbeat",
        times.heartbeat * 2,
    )?;
    at_least(
        "--lease",
        times.lease,
        "three heartbeats",
        times.heartbeat * 3,
    )?;
    at_least(
        "--worker-life",
        times.worker_life,
        "--heartbeat-ttl",
        times.heartbeat_ttl,
    )?;
    at_least("--key-life", times.key_life, "a minute", KEY_LIFE_LEAST)?;
    Ok(Policy {
        heartbeat: times.heartbeat,
        heartbeat_ttl: times.heartbeat_ttl,
        worker_life: times.worker_life,
        lease: times.lease,
        timeout: times.timeout,
        timeout_margin: times.timeout_margin,
        priority_level: times.priority_level,
        max_attempts: limits.max_attempts,
        max_losses: limits.max_losses,
        commands_max: limits.queue_max as usize,
        commands_bytes_max: limits.queue_bytes_max,
        lanes_max: limits.lanes_max as usize,
        workers_max: limits.workers_max as usize,
        claim_bytes_max: limits.claim_bytes_max,
        history_max: limits.history_max,
        key_life: times.key_life,
        clock_skew: times.clock_skew,
        ..Policy::default()
    })
}

fn text(time: Duration) -> String {
    crate::settings::units::duration_text(time)
}

#[cfg(test)]
mod flags;

#[cfg(test)]
mod tests {
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
        };
        let check = |local: &str| access(&without_auth, local.parse().unwrap()).ok();

        for local in ["127.0.0.1:8000", "[::1]:8000"] {
            assert!(matches!(check(local), Some(Access::Loopback)), "{local}");
        }
        assert!(matches!(check("0.0.0.0:8000"), Some(Access::None)));
    }
}
