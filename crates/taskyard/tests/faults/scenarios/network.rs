//! Networks that hold back, cut, and repeat.

use std::path::PathBuf;
use std::time::Duration;

use super::{crowd, rounds, rounds_on_postgres, served, whole_or_short};
use crate::campaign::Trial;
use crate::load::Plan;
use crate::postgres::Node;
use crate::proxy::replay::Replay;
use crate::proxy::{Proxy, State};
use crate::scenarios::databases::{noticed, works_again};

const LEASE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f17_a_server_is_cut_off_from_its_database() {
    rounds_on_postgres("F17", " silent", async |trial, bin| apart(trial, bin, State::Stall).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f17_a_server_hears_no_answer_of_its_database() {
    rounds_on_postgres("F17", " one way", async |trial, bin| apart(trial, bin, State::StallDown).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "of the whole set: make faults"]
async fn f17_connections_to_the_database_are_refused() {
    rounds_on_postgres("F17", " closed", async |trial, bin| apart(trial, bin, State::Cut).await).await;
}

/// One of two servers goes through the proxy.
async fn apart(mut trial: Trial, bin: PathBuf, state: State) {
    let node = Node::new(&bin, &trial.path("primary"), "").await;
    let proxy = Proxy::to(&node.place()).await;
    let (through, direct) = (node.url_at(&proxy.address.to_string()), node.url());
    trial.stage.nodes.push(node);
    served(&mut trial, &through, 1).await;
    served(&mut trial, &direct, 1).await;
    trial.load(crowd()).await;

    let at = trial.breaks();
    proxy.set(state);
    noticed(&mut trial, at, &[0]).await;
    trial.goes_on_while_broken().await;
    proxy.set(State::Pass);
    let healed = trial.heals();
    works_again(&mut trial, healed, &[0, 1]).await;
    trial.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_requests_come_twice_late_and_out_of_order() {
    rounds("F19", "", async |mut trial| {
        let database = trial.stage.sqlite();
        trial.stage.serve(&database, &["--internal-workers", "0"]).await;
        trial.stage.work(0, &["--concurrency", "8", "--kinds", "echo,sleep"]);
        let place = trial.stage.servers[0].url.trim_start_matches("http://").to_owned();
        let late = whole_or_short(2 * LEASE, LEASE);
        let replay = Replay::to(&place, late, trial.seed()).await;
        let plan = Plan {
            submitters: 12,
            // Without an id and a key it is another task each time.
            with_plain: false,
            ..Plan::default()
        };
        trial.breaks();
        trial.load_at(plan, &[format!("http://{}", replay.address)]).await;
        trial.goes_on(whole_or_short(1_000, 150)).await;
        trial.submits_no_more().await;
        let copies = replay.delivered().await;
        trial.heals();
        trial.must(copies > 0, "nothing was sent again");
        trial.note(format!("{copies} requests sent again"));
        trial.ends().await;
    })
    .await;
}
