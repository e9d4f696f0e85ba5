//! Endpoints that serve another chain, lag, or sit on another fork are caught and let back in.

use std::time::Duration;

use serde_json::json;
use wk_chain::rpc::{Health, Request, TroubleKind, Trust};
use wk_model::{BlockRef, ChainId, Condition, Height, HumanDuration, Severity};

use crate::server::{Act, Node, Watched, hash, named, soon, until, with};

fn get(what: &str) -> Request {
    Request::live("echo", json!([what]))
}

fn kind(watched: &Watched, endpoint: &str) -> Option<TroubleKind> {
    watched.status(endpoint).quarantine.map(|quarantine| quarantine.trouble.kind)
}

#[tokio::test]
async fn another_chain_is_never_used_and_comes_back_when_it_is_right() {
    let (wrong, right) = (Node::start().await, Node::start().await);
    wrong.change(|state| state.chain_id = 1);
    right.change(|state| state.delay = Duration::from_millis(20));
    let mut config = named(&[&wrong, &right]);
    config.chain_id = Some(ChainId(1337));
    let watched = Watched::running(&config);
    let mut heads = watched.pool.heads();
    let reply = watched.pool.call(get("x")).await.expect("the right one answers");
    assert_eq!(reply.endpoint.as_str(), "b");
    until("it is told", || watched.has("endpoint_wrong_chain", "a")).await;
    let status = watched.status("a");
    assert_eq!((status.health, status.in_use), (Health::Quarantined, false));
    let reason = status.reason.expect("there is one");
    assert_eq!(reason, "serves another chain: it gives chain id 1, expected is 1337");
    let Some(Condition::Raised(_, finding)) = watched.history().into_iter().find(
        |condition| matches!(condition, Condition::Raised(key, _) if key.trouble == "endpoint_wrong_chain"),
    ) else {
        panic!("it was told");
    };
    assert_eq!(finding.severity, Severity::P1);
    assert!(finding.evidence.contains_key("next"), "{finding:?}");
    for _ in 0..5 {
        let seen = soon("a head", heads.recv()).await.expect("heads come");
        assert_eq!(seen.endpoint.as_str(), "b", "no head of another chain");
        right.change(|state| state.head += 1);
    }
    let alone = Watched::idle(&{
        let mut config = named(&[&wrong]);
        config.chain_id = Some(ChainId(1337));
        config.options.total_timeout = HumanDuration::millis(1_500);
        config
    });
    let error = alone.pool.call(get("x")).await.expect_err("never");
    assert!(error.to_string().contains("another chain"), "{error}");
    assert_eq!(wrong.asked("echo"), 0);
    wrong.change(|state| state.chain_id = 1337);
    until("it is back", || kind(&watched, "a").is_none() && watched.status("a").head.is_some())
        .await;
    until("it is told", || !watched.has("endpoint_wrong_chain", "a")).await;
    watched.stop().await;
}

#[tokio::test]
async fn the_majority_says_which_chain_it_is_and_a_tie_is_told() {
    let nodes = [Node::start().await, Node::start().await, Node::start().await];
    nodes[0].change(|state| state.chain_id = 5);
    let watched = Watched::idle(&named(&[&nodes[0], &nodes[1], &nodes[2]]));
    let reply = watched.pool.call(get("x")).await.expect("two agree");
    assert_ne!(reply.endpoint.as_str(), "a");
    assert_eq!(watched.pool.chain_id(), Some(ChainId(1337)));
    until("the first is caught", || kind(&watched, "a") == Some(TroubleKind::WrongChain)).await;

    let tie = Watched::running(&named(&[&nodes[0], &nodes[1]]));
    until("both are told of", || {
        tie.has("endpoint_disagreement", "a") && tie.has("endpoint_wrong_chain", "b")
    })
    .await;
    assert_eq!(tie.pool.chain_id(), Some(ChainId(5)), "the first in the list");
    let reason = tie.status("a").reason.expect("there is one");
    assert!(reason.contains("set `chain_id`"), "{reason}");
    tie.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_lags_is_quarantined_until_it_has_caught_up() {
    let (slow, fast) = (Node::start().await, Node::start().await);
    fast.change(|state| state.delay = Duration::from_millis(15));
    let watched = Watched::running(&named(&[&slow, &fast]));
    until("heads", || watched.pool.endpoints().iter().all(|status| status.head.is_some())).await;
    fast.grow_to(120);
    until("it is caught", || kind(&watched, "a") == Some(TroubleKind::Lagging)).await;
    assert_eq!(watched.status("a").behind, 20);
    assert_eq!(kind(&watched, "b"), None);
    until("the spread is shown", || {
        (watched.metric("wk_rpc_head_spread_blocks", &["test"]) - 20.0).abs() < 0.5
    })
    .await;
    let reply = watched.pool.call(get("x")).await.expect("the other answers");
    assert_eq!(reply.endpoint.as_str(), "b");
    until("it is told", || watched.has("endpoint_lagging", "a")).await;
    slow.grow_to(120);
    until("it is back", || kind(&watched, "a").is_none()).await;
    until("it is told", || !watched.has("endpoint_lagging", "a")).await;
    watched.stop().await;
}

#[tokio::test]
async fn a_made_up_head_makes_nobody_look_late_and_breaks_nothing() {
    let (liar, good) = (Node::start().await, Node::start().await);
    for (height, time) in [(u64::MAX, u64::MAX), (u64::MAX, 1_700_000_100), (10_000_000, 0)] {
        liar.script(move |method, params| {
            let made_up = || {
                Act::Result(json!({
                    "number": format!("0x{height:x}"),
                    "hash": hash(height, None),
                    "parentHash": hash(1, None),
                    "timestamp": format!("0x{time:x}"),
                }))
            };
            (method == "eth_getBlockByNumber" && params[0] == "latest").then(made_up)
        });
        let watched = Watched::running(&named(&[&liar, &good]));
        until("heads", || watched.pool.endpoints().iter().all(|status| status.head.is_some()))
            .await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(kind(&watched, "b"), None, "{height} {time}");
        let reply = watched.pool.call(get("x").pinned(Height(100))).await;
        reply.expect("somebody answers");
        let page = watched.pool.logs(wk_chain::rpc::LogsQuery {
            filter: json!({}),
            from: Height(0),
            to: Height(u64::MAX),
            purpose: wk_chain::rpc::Purpose::Live,
        });
        // The node has no such method; it is the arithmetic that must hold.
        page.await.expect_err("no logs here");
        watched.stop().await;
    }
}

#[tokio::test]
async fn equal_heads_and_a_chain_that_rests_are_no_lag() {
    let (a, b) = (Node::start().await, Node::start().await);
    let watched = Watched::running(&named(&[&a, &b]));
    for head in 101..130 {
        a.grow_to(head);
        b.grow_to(head);
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((kind(&watched, "a"), kind(&watched, "b")), (None, None));
    assert_eq!(watched.conditions(), [""; 0]);
    watched.stop().await;
}

#[tokio::test]
async fn a_balancer_that_goes_back_is_counted_and_a_reorg_is_not() {
    let node = Node::start().await;
    let watched = Watched::running(&named(&[&node]));
    let head = |height| watched.status("a").head.is_some_and(|head| head.block.height.0 == height);
    for (height, fork, regressions) in [
        (101, None, 0),
        (104, None, 0),
        (101, None, 1),
        (105, None, 1),
        (103, Some((103, 9)), 1),
        (106, Some((103, 9)), 1),
    ] {
        node.change(|state| {
            state.head = height;
            state.fork = fork;
        });
        until("its head", || head(height)).await;
        assert_eq!(watched.status("a").head_regressions, regressions, "at {height} {fork:?}");
    }
    assert_eq!(watched.metric("wk_rpc_lb_inconsistencies_total", &["a"]), 1.0);
    watched.stop().await;
}

#[tokio::test]
async fn the_minority_on_another_fork_is_quarantined_and_released() {
    let nodes = [Node::start().await, Node::start().await, Node::start().await];
    nodes[0].change(|state| state.fork = Some((95, 7)));
    let watched = Watched::running(&named(&[&nodes[0], &nodes[1], &nodes[2]]));
    until("it is told", || watched.has("endpoint_fork", "a")).await;
    assert_eq!(kind(&watched, "a"), Some(TroubleKind::Fork));
    assert_eq!((kind(&watched, "b"), kind(&watched, "c")), (None, None));
    let reason = watched.status("a").reason.expect("there is one");
    assert!(reason.starts_with("is on another fork: at height 97 it gives 0x"), "{reason}");
    assert!(reason.contains("2 of 3 endpoints give"), "{reason}");
    let mut heads = watched.pool.heads();
    nodes[0].grow_to(101);
    nodes[1].grow_to(101);
    nodes[2].grow_to(101);
    for _ in 0..2 {
        let seen = soon("a head", heads.recv()).await.expect("heads come");
        assert_ne!(seen.endpoint.as_str(), "a", "its heads are not told");
    }
    nodes[0].change(|state| state.fork = None);
    until("it is back", || kind(&watched, "a").is_none()).await;
    until("it is told", || !watched.has("endpoint_fork", "a")).await;
    assert_eq!(watched.metric("wk_rpc_accusations_total", &["a", "fork"]), 1.0);
    watched.stop().await;
}

#[tokio::test]
async fn between_two_the_followed_one_is_preferred_and_both_are_told_of() {
    let (a, b) = (Node::start().await, Node::start().await);
    let mut config = named(&[&a, &b]);
    // The comparison shall come after the pool knows what was followed.
    config.options.compare_interval = HumanDuration::millis(400);
    let watched = Watched::running(&config);
    let fork = Some((95, 7));
    a.change(|state| state.fork = fork);
    for height in 90..=100 {
        watched.pool.followed(BlockRef { height: Height(height), hash: hash(height, None) });
    }
    until("both are told of", || {
        watched.has("endpoint_disagreement", "a") && watched.has("endpoint_disagreement", "b")
    })
    .await;
    assert_eq!(kind(&watched, "a"), Some(TroubleKind::Disagreement));
    assert_eq!(kind(&watched, "b"), None);
    let status = watched.status("b");
    assert_eq!((status.health, status.in_use), (Health::Limited, true));
    let reply = watched.pool.call(get("x")).await.expect("the followed one answers");
    assert_eq!(reply.endpoint.as_str(), "b");
    a.change(|state| state.fork = None);
    until("both are cleared", || watched.conditions().is_empty()).await;
    assert_eq!(watched.status("b").health, Health::Healthy);
    watched.stop().await;
}

#[tokio::test]
async fn our_own_node_is_preferred_when_nothing_else_decides() {
    let (theirs, ours) = (Node::start().await, Node::start().await);
    theirs.change(|state| state.fork = Some((95, 7)));
    let config = with(named(&[&theirs, &ours]), 1, |settings| settings.trust = Trust::Own);
    let watched = Watched::running(&config);
    until("it is caught", || kind(&watched, "a") == Some(TroubleKind::Disagreement)).await;
    assert_eq!(kind(&watched, "b"), None);
    watched.stop().await;
}

#[tokio::test]
async fn a_disagreement_that_passes_is_a_reorg_on_its_way() {
    let nodes = [Node::start().await, Node::start().await, Node::start().await];
    let mut config = named(&[&nodes[0], &nodes[1], &nodes[2]]);
    config.options.compare_interval = HumanDuration::seconds(600);
    let watched = Watched::running(&config);
    until("heads", || watched.pool.endpoints().iter().all(|status| status.head.is_some())).await;
    nodes[0].change(|state| state.fork = Some((100, 7)));
    let votes = watched.pool.block_hash_votes(Height(99)).await;
    assert_eq!(votes.agreed(hash(99, None)), 3);
    until("its new head", || {
        watched.status("a").head.is_some_and(|head| head.block.hash == hash(100, Some((100, 7))))
    })
    .await;
    let votes = watched.pool.block_hash_votes(Height(100)).await;
    assert_eq!(votes.agreed(hash(100, None)), 2);
    let against: Vec<_> =
        votes.against(hash(100, None)).map(|vote| vote.endpoint.as_str()).collect();
    assert_eq!(against, ["a"]);
    // The others follow it.
    for node in &nodes {
        node.change(|state| state.fork = Some((100, 7)));
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(watched.conditions(), [""; 0]);
    assert_eq!(kind(&watched, "a"), None);
    // It does not pass: then it is one.
    nodes[2].change(|state| state.fork = None);
    until("its old head", || {
        watched.status("c").head.is_some_and(|head| head.block.hash == hash(100, None))
    })
    .await;
    watched.pool.block_hash_votes(Height(100)).await;
    until("it is told", || watched.has("endpoint_fork", "c")).await;
    watched.stop().await;
}

#[tokio::test]
async fn heads_of_all_endpoints_are_told_and_counted_as_votes() {
    let (a, b) = (Node::start().await, Node::start().await);
    let watched = Watched::running(&named(&[&a, &b]));
    let mut heads = watched.pool.heads();
    until("heads", || watched.pool.endpoints().iter().all(|status| status.head.is_some())).await;
    a.grow_to(101);
    b.grow_to(101);
    let mut who = Vec::new();
    while who.len() < 2 {
        let seen = soon("a head", heads.recv()).await.expect("heads come");
        if seen.link.block.height == Height(101) {
            who.push(seen.endpoint.to_string());
        }
    }
    who.sort();
    assert_eq!(who, ["a", "b"], "once from each");
    let block = BlockRef { height: Height(101), hash: hash(101, None) };
    assert_eq!(watched.pool.announced_by(block), 2);
    let parent = BlockRef { height: Height(100), hash: hash(100, None) };
    assert_eq!(watched.pool.announced_by(parent), 2);
    let other = BlockRef { hash: hash(101, Some((0, 3))), ..block };
    assert_eq!(watched.pool.announced_by(other), 0);
    assert_eq!(watched.pool.block_time(), Some(Duration::from_secs(1)), "learned at once");
    watched.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_told_of_and_no_chain_is_blamed_for_it() {
    let node = Node::start().await;
    let watched = Watched::running(&named(&[&node]));
    until("a head", || watched.status("a").head.is_some()).await;
    node.script(|_, _| Some(Act::http(500, "")));
    until("it is down", || watched.status("a").health == Health::Down).await;
    let status = watched.status("a");
    assert!(!status.in_use);
    assert_eq!(status.reason.as_deref(), Some("requests fail: HTTP 500"));
    watched.stop().await;
}
