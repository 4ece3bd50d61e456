//! Connecting to the host where the database is at home, and looking for it where there are several.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use taskyard_core::store::Cause;
use tokio::net::lookup_host;
use tokio::sync::MutexGuard;
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config};

use super::address::Address;
use super::error::{away, one_line};
use super::home::{Connection, Need, NotConnected, Spot};
use super::standing::Standing;

/// For all of it: a host that takes the call and then says nothing is not there either. Longer than networks are given.
const GREETING_MAX: Duration = Duration::from_secs(3);
/// How often it is tried again where the home moved meanwhile.
const MOVES_MAX: usize = 3;

struct Reached {
    client: Client,
    connection: Connection,
    standing: Standing,
}

impl Address {
    /// A connection that nobody has used yet, to where the database takes writes.
    pub(super) async fn connect(&self) -> Result<(Client, Connection), NotConnected> {
        self.connect_for(Need::Writes).await
    }

    /// The same for reads alone.
    pub(super) async fn connect_for(
        &self,
        need: Need,
    ) -> Result<(Client, Connection), NotConnected> {
        self.connect_as(need, false).await
    }

    /// The same, though it was said that nobody answers.
    pub(super) async fn connect_though_down(
        &self,
        need: Need,
    ) -> Result<(Client, Connection), NotConnected> {
        self.connect_as(need, true).await
    }

    async fn connect_as(
        &self,
        need: Need,
        though_down: bool,
    ) -> Result<(Client, Connection), NotConnected> {
        for _ in 0..MOVES_MAX {
            let term = self.home.term();
            let down = self.home.down();
            let is_down = down.is_some();
            if let Some(away) = down.filter(|_| !though_down) {
                return Err(NotConnected::new(away.cause, away.detail));
            }
            // Where nobody answers at home, all are asked at once.
            let Some(spot) = self.home.spot().filter(|_| !is_down) else {
                return self.find(need).await;
            };
            let reached = self.reach(&spot).await;
            if self.home.spot().as_ref() != Some(&spot) {
                continue;
            }
            let fit = reached.and_then(|reached| Ok((self.judge(&spot, &reached)?, reached)));
            let why = match fit {
                Ok((fit, reached)) if fit >= need => {
                    let Some(term) = self.home.stay(&spot, &reached.standing) else {
                        continue;
                    };
                    let connection = reached.connection.admitted(&self.home, term);
                    return Ok((reached.client, connection));
                }
                Ok(_) => read_only(&spot),
                Err(not) => not,
            };
            // There may be others, and the host's name may stand for others than it did.
            let spots = self.spots().await?;
            if spots == [spot] {
                return Err(why);
            }
            let one = self.home.looking.lock().await;
            // Whoever looked meanwhile has found it, or given up: to ask all once more would hold up those behind.
            if self.home.term() == term {
                return self.find_alone(need, one).await;
            }
        }
        let reason = "the database moves from host to host".to_owned();
        Err(NotConnected::new(Cause::Other, reason))
    }

    /// To any host that answers, whatever it is: to look at it.
    pub(super) async fn connect_anywhere(&self) -> Result<(Client, Connection), NotConnected> {
        match self.find(Need::Writes).await {
            Ok(found) => {
                self.tell_which(self.home.spot().as_ref(), self.home.timeline());
                return Ok(found);
            }
            Err(not) if not.is_silence => return Err(not),
            Err(_) => {}
        }
        let mut last = None;
        for spot in self.spots().await? {
            match self.reach(&spot).await {
                Ok(reached) => {
                    self.tell_which(Some(&spot), reached.standing.timeline);
                    return Ok((reached.client, reached.connection));
                }
                Err(not) => last = Some(not),
            }
        }
        Err(last.unwrap_or_else(|| nowhere("its hosts have no addresses".to_owned())))
    }

    /// Of several hosts, so that nobody takes what an old primary holds for what there is.
    fn tell_which(&self, spot: Option<&Spot>, timeline: Option<u32>) {
        if let Some(spot) = spot.filter(|_| self.hosts() > 1) {
            tracing::info!(
                host = spot.name,
                timeline,
                "of several hosts this one is looked at"
            );
        }
    }

    /// Looks whether another host has become the primary, and moves there if one has; and for old ones that have come back.
    pub(super) async fn look_around(&self) {
        let _one = self.home.looking.lock().await;
        let (Some(home), Ok(spots)) = (self.home.spot(), self.spots().await) else {
            return;
        };
        let others: Vec<Spot> = spots.into_iter().filter(|spot| *spot != home).collect();
        let reached = join_all(others.iter().map(|spot| self.reach(spot))).await;
        let timeline = self.home.timeline();
        let mut old = Vec::new();
        for (spot, reached) in others.iter().zip(reached) {
            let Ok(reached) = reached else { continue };
            self.home.note(spot, &reached.standing);
            let both = reached.standing.timeline.zip(timeline);
            let is_newer = both.is_some_and(|(theirs, ours)| theirs > ours);
            match self.judge(spot, &reached) {
                Ok(_) if is_newer => drop(self.home.settle(spot, &reached.standing)),
                Err(not) if not.cause == Cause::Superseded => old.push((spot.clone(), not.reason)),
                _ => {}
            }
        }
        for why in self.home.old_primaries(old) {
            tracing::warn!(why, "an old primary takes writes again");
        }
    }

    async fn find(&self, need: Need) -> Result<(Client, Connection), NotConnected> {
        let one = self.home.looking.lock().await;
        self.find_alone(need, one).await
    }

    /// Asks all hosts, and settles down at the best: of those that can do what is needed the one with the newest
    /// timeline, and of equal ones the first.
    async fn find_alone(
        &self,
        need: Need,
        _one: MutexGuard<'_, ()>,
    ) -> Result<(Client, Connection), NotConnected> {
        let spots = self.spots().await?;
        let all = self.reach_all(&spots).await;
        for (spot, reached) in &all {
            if let Ok(reached) = reached {
                self.home.note(spot, &reached.standing);
            }
        }
        let (mut best, mut why): (Option<(Need, &Spot, Reached)>, Vec<NotConnected>) =
            (None, Vec::new());
        for (spot, reached) in all {
            let fit = reached.and_then(|reached| Ok((self.judge(spot, &reached)?, reached)));
            let (fit, reached) = match fit {
                Ok(fit) => fit,
                Err(not) => {
                    why.push(not);
                    continue;
                }
            };
            let is_better = best.as_ref().is_none_or(|(so_far, _, other)| {
                (fit, reached.standing.timeline) > (*so_far, other.standing.timeline)
            });
            if is_better {
                best = Some((fit, spot, reached));
            }
        }
        match best {
            Some((fit, spot, reached)) if fit >= need => Ok(self.settle(spot, reached)),
            Some((_, spot, _)) => Err(read_only(spot)),
            None => Err(all_of(why)),
        }
    }

    /// Those that have answered, or failed to, in their order: all of them, unless one has been promoted since there was a
    /// home. The old primary's machine may be gone, and is not waited for then.
    async fn reach_all<'a>(
        &'a self,
        spots: &'a [Spot],
    ) -> Vec<(&'a Spot, Result<Reached, NotConnected>)> {
        let asked = spots.iter().enumerate();
        let mut asked: FuturesUnordered<_> = asked
            .map(|(place, spot)| async move { (place, self.reach(spot).await) })
            .collect();
        let mut all = Vec::with_capacity(spots.len());
        while let Some((place, reached)) = asked.next().await {
            let is_it = reached
                .as_ref()
                .is_ok_and(|reached| self.is_promoted(&spots[place], reached));
            all.push((place, reached));
            if is_it {
                break;
            }
        }
        all.sort_unstable_by_key(|(place, _)| *place);
        let named = all
            .into_iter()
            .map(|(place, reached)| (&spots[place], reached));
        named.collect()
    }

    /// It takes writes, on a newer timeline than those connections that there were.
    fn is_promoted(&self, spot: &Spot, reached: &Reached) -> bool {
        let both = reached.standing.timeline.zip(self.home.timeline());
        both.is_some_and(|(theirs, ours)| theirs > ours)
            && matches!(self.judge(spot, reached), Ok(Need::Writes))
    }

    /// Whatever became of it is known then. Apart from the future of whoever asks, for which it is large.
    fn reach<'a>(&'a self, spot: &'a Spot) -> BoxFuture<'a, Result<Reached, NotConnected>> {
        Box::pin(self.reach_now(spot))
    }

    async fn reach_now(&self, spot: &Spot) -> Result<Reached, NotConnected> {
        let config = self.config_of(spot);
        let reaching = async {
            let (client, mut connection) = Connection::open(&config, &self.tls, &self.home).await?;
            let standing = tokio::select! {
                biased;
                standing = Standing::of(&client) => standing?,
                ended = &mut connection => {
                    ended?;
                    // It was given up meanwhile; this asks a client that is closed, and so says why.
                    drop(connection);
                    Standing::of(&client).await?;
                    unreachable!("a closed connection answers nothing");
                }
            };
            Ok(Reached {
                client,
                connection,
                standing,
            })
        };
        let network = config.get_connect_timeout().copied();
        let limit = network.unwrap_or_default().max(GREETING_MAX);
        match timeout(limit, reaching).await {
            Ok(reached) => reached.map_err(|error: tokio_postgres::Error| NotConnected {
                cause: away(&error).cause,
                is_silence: error.as_db_error().is_none(),
                reason: self.named(spot, &one_line(&error)),
            }),
            Err(_) => {
                let why = format!("it let nobody in within {} s", limit.as_secs());
                Err(nowhere(self.named(spot, &why)))
            }
        }
    }

    fn judge(&self, spot: &Spot, reached: &Reached) -> Result<Need, NotConnected> {
        self.home.judge(spot, &reached.standing, self.hosts())
    }

    fn settle(&self, spot: &Spot, reached: Reached) -> (Client, Connection) {
        self.home.note(spot, &reached.standing);
        let term = self.home.settle(spot, &reached.standing);
        let connection = reached.connection.admitted(&self.home, term);
        (reached.client, connection)
    }

    /// Where there is one host, messages name it anyway.
    fn named(&self, spot: &Spot, what: &str) -> String {
        if self.hosts() > 1 {
            format!("{}: {what}", spot.name)
        } else {
            what.to_owned()
        }
    }

    /// Every address of every host, in their order. What a name stands for is asked for each time.
    async fn spots(&self) -> Result<Vec<Spot>, NotConnected> {
        let (mut spots, mut why) = (Vec::new(), None);
        for host in 0..self.hosts() {
            let port = self.port(host);
            let given = self.config.get_hostaddrs().get(host);
            let spot = |name: &str, ip: Option<IpAddr>| Spot {
                name: format!("{name}:{port}"),
                host,
                ip,
                port,
            };
            match (self.config.get_hosts().get(host), given) {
                (Some(Host::Tcp(name)), Some(ip)) => spots.push(spot(name, Some(*ip))),
                (None, Some(ip)) => spots.push(spot(&ip.to_string(), Some(*ip))),
                (Some(Host::Unix(path)), _) => {
                    spots.push(spot(&path.display().to_string(), None));
                }
                (Some(Host::Tcp(name)), None) => match resolve(name, port).await {
                    Ok(ips) => spots.extend(ips.into_iter().map(|ip| spot(name, Some(ip)))),
                    Err(error) => why = Some(format!("{name}: {error}")),
                },
                (None, None) => {}
            }
        }
        match why {
            Some(why) if spots.is_empty() => Err(nowhere(why)),
            _ => Ok(spots),
        }
    }

    /// The driver's settings for one of them.
    fn config_of(&self, spot: &Spot) -> Config {
        let all = &self.config;
        let mut config = Config::new();
        if let Some(user) = all.get_user() {
            config.user(user);
        }
        if let Some(password) = all.get_password() {
            config.password(password);
        }
        if let Some(database) = all.get_dbname() {
            config.dbname(database);
        }
        if let Some(options) = all.get_options() {
            config.options(options);
        }
        if let Some(name) = all.get_application_name() {
            config.application_name(name);
        }
        if let Some(limit) = all.get_connect_timeout() {
            config.connect_timeout(*limit);
        }
        if let Some(limit) = all.get_tcp_user_timeout() {
            config.tcp_user_timeout(*limit);
        }
        if let Some(pause) = all.get_keepalives_interval() {
            config.keepalives_interval(pause);
        }
        if let Some(times) = all.get_keepalives_retries() {
            config.keepalives_retries(times);
        }
        config
            .ssl_mode(all.get_ssl_mode())
            .ssl_negotiation(all.get_ssl_negotiation())
            .channel_binding(all.get_channel_binding())
            .keepalives(all.get_keepalives())
            .keepalives_idle(all.get_keepalives_idle())
            .port(spot.port);
        match all.get_hosts().get(spot.host) {
            // By its name certificates are judged.
            Some(Host::Tcp(name)) => _ = config.host(name),
            Some(Host::Unix(path)) => _ = config.host_path(path),
            None => {}
        }
        if let Some(ip) = spot.ip {
            config.hostaddr(ip);
        }
        config
    }
}

async fn resolve(name: &str, port: u16) -> std::io::Result<Vec<IpAddr>> {
    let mut ips: Vec<IpAddr> = Vec::new();
    for address in lookup_host((name, port)).await? {
        if !ips.contains(&address.ip()) {
            ips.push(address.ip());
        }
    }
    Ok(ips)
}

fn nowhere(reason: String) -> NotConnected {
    NotConnected {
        cause: Cause::Unreachable,
        reason,
        is_silence: true,
    }
}

fn read_only(spot: &Spot) -> NotConnected {
    let reason = format!("{} is set to read only", spot.name);
    NotConnected::new(Cause::ReadOnly, reason)
}

/// What keeps a server from its work: first what somebody has to do something about.
fn all_of(why: Vec<NotConnected>) -> NotConnected {
    let rank = |not: &NotConnected| match not.cause {
        Cause::Superseded => 0,
        Cause::Other => 1,
        Cause::Crowded => 2,
        Cause::ReadOnly => 3,
        _ => 4,
    };
    // A standby that answers is nobody to work with either.
    let is_silence = why.iter().any(|not| not.is_silence)
        && why
            .iter()
            .all(|not| not.is_silence || not.cause == Cause::ReadOnly);
    let cause = why.iter().min_by_key(|not| rank(not)).map(|not| not.cause);
    let reasons: Vec<String> = why.into_iter().map(|not| not.reason).collect();
    NotConnected {
        cause: cause.unwrap_or(Cause::Unreachable),
        reason: reasons.join("; "),
        is_silence,
    }
}
