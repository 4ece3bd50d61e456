//! Networks that hold back, cut, and repeat.

use std::time::Duration;

use tokio::time::timeout;

use super::{STANDS_STILL_MAX, crowd, rounds, rounds_on_postgres, served, whole_or_short};
use crate::campaign::Trial;
use crate::load::Plan;
use crate::postgres::Node;
use crate::proxy::replay::Replay;
use crate::proxy::{Proxy, State};
use crate::scenarios::databases::{noticed, works_again};

const LEASE: Duration = Duration::from_secs(3);
/// Longer than what the database takes to end what a server has left open.
const LASTS: Duration = Duration::from_secs(8);
/// Set for the test within its network.
const IN_A_NETWORK: &str = "FAULTS_IN_A_NETWORK";
const INSIDE_WITHIN: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f17_a_server_is_cut_off_from_its_database() {
    rounds_on_postgres("F17", " silent", async |trial| {
        apart(trial, State::Stall).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f17_a_server_hears_no_answer_of_its_database() {
    rounds_on_postgres("F17", " one way", async |trial| {
        apart(trial, State::StallDown).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f17_connections_to_the_database_are_refused() {
    rounds_on_postgres("F17", " closed", async |trial| {
        apart(trial, State::Cut).await
    })
    .await;
}

/// One of two servers goes through the proxy.
async fn apart(mut trial: Trial, state: State) {
    let node = Node::new(&trial.path("primary.log"), &[]);
    let proxy = Proxy::to(&node.place()).await;
    let (through, direct) = (node.url_at(&proxy.address.to_string()), node.url());
    trial.stage.nodes.push(node);
    parted(trial, &through, &direct, |parted| {
        proxy.set(if parted { state } else { State::Pass })
    })
    .await;
}

/// The server on the first of these is parted from its database by this, and is let back to it.
async fn parted(mut trial: Trial, through: &str, direct: &str, part: impl Fn(bool)) {
    served(&mut trial, through, 1).await;
    served(&mut trial, direct, 1).await;
    // A batch goes by a time that may be a second old when it has its rows, and by an answer that was a second on its way.
    trial.judge.clocks_apart = Duration::from_secs(2);
    trial.load(crowd()).await;

    let at = trial.breaks();
    part(true);
    noticed(&mut trial, at, &[0]).await;
    trial.goes_on_while_broken().await;
    trial.lasts(at, LASTS).await;
    part(false);
    let healed = trial.heals();
    let still = trial.stood_still(1, at, healed);
    trial.note(format!(
        "the other stood still for {} ms at most",
        still.as_millis()
    ));
    trial.must(
        still <= STANDS_STILL_MAX,
        format!("the other server stood still for {still:?}"),
    );
    works_again(&mut trial, healed, &[0, 1]).await;
    trial.ends().await;
}

/// Real packets that are dropped, in a network of its own: the test runs itself once more in there. Only root may.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f17_packets_to_the_database_are_dropped() {
    const NAME: &str = "scenarios::network::f17_packets_to_the_database_are_dropped";
    if std::env::var_os(IN_A_NETWORK).is_none() {
        let can = run("unshare", &["--net", "nft", "list", "ruleset"]);
        if !can {
            eprintln!(
                "skipped: no network of its own can be made here, so there is the proxy alone"
            );
            return;
        }
        let itself = std::env::current_exe().unwrap();
        let up = r#"ip link set lo up && exec "$0" "$@""#;
        let mut inside = tokio::process::Command::new("unshare");
        inside
            .args(["--net", "sh", "-c", up])
            .arg(itself)
            .args([NAME, "--exact", "--ignored", "--nocapture"])
            .env(IN_A_NETWORK, "1")
            .kill_on_drop(true);
        let ended = timeout(INSIDE_WITHIN, inside.status())
            .await
            .unwrap()
            .unwrap();
        assert!(ended.success(), "it failed in a network of its own");
        return;
    }
    rounds_on_postgres("F17", " dropped packets", async |trial| {
        let mut trial = trial;
        let both = "listen_addresses=127.0.0.1,127.0.0.2";
        let node = Node::new(&trial.path("primary.log"), &[both]);
        let there = format!("127.0.0.2:{}", node.port());
        let (through, direct) = (node.url_at(&there), node.url());
        trial.stage.nodes.push(node);
        let chain = [
            "add table inet faults",
            "add chain inet faults in { type filter hook input priority 0; }",
        ];
        assert!(chain.iter().all(|rule| run("nft", &[rule])));
        parted(trial, &through, &direct, |parted| {
            let rules: &[&str] = if parted {
                &[
                    "add rule inet faults in ip daddr 127.0.0.2 drop",
                    "add rule inet faults in ip saddr 127.0.0.2 drop",
                ]
            } else {
                &["flush chain inet faults in"]
            };
            assert!(rules.iter().all(|rule| run("nft", &[rule])));
        })
        .await;
    })
    .await;
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = std::process::Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_requests_come_twice_late_and_out_of_order() {
    rounds("F19", "", async |mut trial| {
        let database = trial.stage.sqlite();
        trial
            .stage
            .serve(&database, &["--internal-workers", "0"])
            .await;
        trial
            .stage
            .work(0, &["--concurrency", "8", "--kinds", "echo,sleep"]);
        let place = trial.stage.servers[0]
            .url
            .trim_start_matches("http://")
            .to_owned();
        let late = whole_or_short(2 * LEASE, LEASE);
        let replay = Replay::to(&place, late, trial.seed()).await;
        let plan = Plan {
            submitters: 12,
            // Without an id and a key it is another task each time.
            with_plain: false,
            ..Plan::default()
        };
        trial.breaks();
        trial
            .load_at(plan, &[format!("http://{}", replay.address)])
            .await;
        trial.goes_on(whole_or_short(1_000, 150)).await;
        let copies = replay.delivered().await;
        trial.heals();
        trial.must(copies > 0, "nothing was sent again");
        trial.note(format!("{copies} requests sent again"));
        trial.ends().await;
    })
    .await;
}
