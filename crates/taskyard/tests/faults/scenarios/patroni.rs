//! PostgreSQL on two nodes that Patroni looks after: the leader dies, is cut off, and hands over. `make patroni` asks for
//! these; each runs itself once more beside a cluster of its own.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::{crowd, rounds, served};
use crate::campaign::{PATRONI, Trial};
use crate::patroni::{PLACE, Patroni, Way, script};
use crate::scenarios::databases::{noticed, works_again};

const INSIDE_WITHIN: Duration = Duration::from_mins(20);

#[derive(Clone, Copy)]
enum How {
    /// `kill -9` of its PostgreSQL and its Patroni.
    Killed,
    /// Nobody hears of its machine any more.
    Cut,
    /// The other nodes do not, but the servers do.
    Parted,
    /// On purpose.
    HandsOver,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make patroni"]
async fn f13_the_leader_is_killed() {
    both("f13_the_leader_is_killed", "leader killed", How::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make patroni"]
async fn f13_the_leader_is_cut_off() {
    both("f13_the_leader_is_cut_off", "leader cut off", How::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make patroni"]
async fn f13_the_leader_is_cut_off_from_the_other_nodes_alone() {
    let name = "f13_the_leader_is_cut_off_from_the_other_nodes_alone";
    both(name, "leader cut off from its peers", How::Parted).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make patroni"]
async fn f13_the_leader_hands_over() {
    both("f13_the_leader_hands_over", "switchover", How::HandsOver).await;
}

/// With servers that are told both nodes, and with servers that go by way of HAProxy.
async fn both(name: &str, what: &'static str, how: How) {
    if std::env::var_os(PATRONI).is_none() {
        eprintln!("skipped: `make patroni` asks for it");
        return;
    }
    if std::env::var_os(PLACE).is_none() {
        beside_a_cluster(name).await;
        return;
    }
    for (way, variant) in [
        (Way::Hosts, " Patroni, both hosts, "),
        (Way::Haproxy, " Patroni, HAProxy, "),
    ] {
        let variant = format!("{variant}{what}").leak();
        rounds("F13", variant, async |trial| {
            led_anew(trial, how, way).await
        })
        .await;
    }
}

async fn beside_a_cluster(name: &str) {
    let mut inside = Command::new(script());
    inside
        .arg("with")
        .arg(std::env::current_exe().unwrap())
        .arg(format!("scenarios::patroni::{name}"))
        .args(["--exact", "--ignored", "--nocapture"])
        .kill_on_drop(true);
    let ended = timeout(INSIDE_WITHIN, inside.status()).await;
    let ended = ended.unwrap().unwrap();
    assert!(ended.success(), "it failed beside its cluster");
}

async fn led_anew(mut trial: Trial, how: How, way: Way) {
    let patroni = Patroni::fresh().await;
    let (leader, other) = {
        let leader = patroni.leader().await;
        let other = patroni.other(&leader).await;
        (leader, other)
    };
    served(&mut trial, &patroni.url(way), 2).await;
    trial.load(crowd()).await;

    let at = trial.breaks();
    match how {
        How::Killed => patroni.does(&["kill", &leader]).await,
        How::Cut => patroni.does(&["cut", &leader]).await,
        How::Parted => patroni.does(&["part", &leader]).await,
        How::HandsOver => patroni.does(&["hand-over", &leader]).await,
    };
    if !matches!(how, How::HandsOver) {
        noticed(&mut trial, at, &[0, 1]).await;
    }
    patroni.led_by(&other).await;
    let healed = trial.heals();
    let took = Duration::from_micros(healed - at);
    trial.note(format!("the other one led {} ms after", took.as_millis()));
    works_again(&mut trial, healed, &[0, 1]).await;

    match how {
        How::Killed => drop(patroni.does(&["start", &leader]).await),
        How::Cut | How::Parted => drop(patroni.does(&["mend", &leader]).await),
        How::HandsOver => {}
    }
    patroni.does(&["follows", &leader]).await;
    let leads = patroni.leader().await;
    trial.must(leads == other, format!("{leads} is the leader in the end"));
    let now = trial.history.now();
    for server in 0..2 {
        let (not_ready, still) = (
            trial.not_ready(server, at, now),
            trial.stood_still(server, at, now),
        );
        trial.note(format!(
            "server {server} not ready for {} ms, took no write for {} ms",
            not_ready.as_millis(),
            still.as_millis()
        ));
    }
    trial.ends().await;
}
