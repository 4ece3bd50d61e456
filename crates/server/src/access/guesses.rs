//! How many wrong tokens came from where, within the minute.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::trouble::Troubles;

/// Counts begin anew after so long.
const WINDOW: Duration = Duration::from_mins(1);

/// So many addresses are told apart; what comes from further ones in the same minute is counted together.
const ADDRESSES_MAX: usize = 10_000;

pub(crate) struct Guesses {
    counts: Mutex<Counts>,
    told: Troubles,
}

struct Counts {
    began: Instant,
    by_address: HashMap<Option<IpAddr>, u32>,
}

impl Guesses {
    pub(crate) fn new() -> Self {
        let counts = Counts {
            began: Instant::now(),
            by_address: HashMap::new(),
        };
        Self {
            counts: Mutex::new(counts),
            told: Troubles::default(),
        }
    }

    /// Whether one more from there is worth a line in the log; then, how many had none since the last line.
    pub(super) fn tell(&self, from: Option<IpAddr>) -> Option<u64> {
        let address = from.map(|address| network(address).to_string());
        self.told.tell(&address.unwrap_or_default())
    }

    /// Another one came. Where there were more than so many, how long it is until they are forgotten.
    pub(super) fn wrong(&self, from: Option<IpAddr>, max: u32) -> Option<Duration> {
        let mut counts = self.counts.lock();
        let now = Instant::now();
        if now.duration_since(counts.began) >= WINDOW {
            counts.began = now;
            counts.by_address.clear();
        }
        let address = from.map(network);
        let has_room = counts.by_address.len() < ADDRESSES_MAX;
        let address = address.filter(|_| has_room || counts.by_address.contains_key(&address));
        let count = counts.by_address.entry(address).or_default();
        *count = count.saturating_add(1);
        let is_too_many = *count > max;
        is_too_many.then(|| WINDOW.saturating_sub(now.duration_since(counts.began)))
    }
}

/// Who has one address of IPv6 has a network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn v4(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::from(n)))
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_is_counted_for_itself_and_each_minute_anew() {
        let guesses = Guesses::new();
        let other = Some("2001:db8::1".parse().unwrap());
        let neighbour = Some("2001:db8::2".parse().unwrap());

        tokio::time::advance(Duration::from_secs(45)).await;
        assert_eq!(guesses.wrong(v4(1), 2), None);
        assert_eq!(guesses.wrong(v4(1), 2), None);
        assert_eq!(guesses.wrong(v4(1), 2), Some(Duration::from_secs(15)));
        assert_eq!(guesses.wrong(v4(2), 2), None);
        assert_eq!(guesses.wrong(other, 1), None);
        assert!(guesses.wrong(neighbour, 1).is_some());

        tokio::time::advance(Duration::from_secs(15)).await;
        assert_eq!(guesses.wrong(v4(1), 2), None);
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_has_a_line_and_a_network_has_one() {
        let guesses = Guesses::new();
        let theirs = ["2001:db8::1", "2001:db8::2"].map(|text| Some(text.parse().unwrap()));

        for (from, told) in [
            (v4(1), Some(0)),
            (v4(1), None),
            (v4(2), Some(0)),
            (theirs[0], Some(0)),
            (theirs[1], None),
        ] {
            assert_eq!(guesses.tell(from), told, "{from:?}");
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(guesses.tell(theirs[0]), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_so_many_addresses_the_others_are_counted_together() {
        let guesses = Guesses::new();
        for n in 0..10 * u32::try_from(ADDRESSES_MAX).unwrap() {
            guesses.wrong(v4(n), 1);
        }

        let known = guesses.counts.lock().by_address.len();
        assert!(known <= ADDRESSES_MAX + 1, "{known}");
        assert_eq!(guesses.wrong(v4(0), 2), None);
        assert!(guesses.wrong(v4(u32::MAX), 2).is_some());
    }
}
