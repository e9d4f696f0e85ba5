//! WebSockets: heads and pending transactions as they come, and what happens when they stop.

use std::time::Duration;

use serde_json::json;
use wk_chain::rpc::{EndpointConfig, ErrorClass, HeadVia, PoolConfig, Request};
use wk_model::{Height, HumanDuration};

use crate::server::{Act, Node, Watched, hash, named, quick, soon, until, with};

/// One endpoint with HTTP and WebSocket on the same node, hardly polled.
fn both(node: &Node) -> PoolConfig {
    let mut config = with(named(&[node]), 0, |settings| {
        settings.ws = Some(wk_model::Secret::parse(&node.ws_url()));
    });
    config.options.poll_interval = Some(HumanDuration::seconds(30));
    config.options.ws_silence = Some(HumanDuration::millis(300));
    config
}

fn only_ws(node: &Node) -> PoolConfig {
    PoolConfig {
        endpoints: vec![EndpointConfig::url(&node.ws_url())],
        options: quick(),
        ..PoolConfig::default()
    }
}

async fn subscribed(watched: &Watched) {
    until("a subscription", || {
        watched.pool.endpoints()[0].ws.is_some_and(|ws| ws.connected && ws.subscribed)
    })
    .await;
}

#[tokio::test]
async fn heads_come_as_they_are_told_and_duplicates_once() {
    let node = Node::start().await;
    let watched = Watched::running(&both(&node));
    subscribed(&watched).await;
    let mut heads = watched.pool.heads();
    for height in 101..=105 {
        node.grow_to(height);
        node.grow_to(height);
    }
    for height in 101..=105 {
        let seen = soon("a head", heads.recv()).await.expect("heads come");
        assert_eq!((seen.link.block.height, seen.via), (Height(height), HeadVia::Subscription));
        assert_eq!(seen.link.block.hash, hash(height, None));
    }
    assert!(heads.try_recv().is_err(), "a head is told once");
    assert_eq!(watched.metric("wk_rpc_ws_connected", &["a"]), 1.0);
    watched.stop().await;
}

#[tokio::test]
async fn everything_goes_over_one_socket_where_there_is_nothing_else() {
    let node = Node::start().await;
    let watched = Watched::running(&only_ws(&node));
    subscribed(&watched).await;
    // Answers may come in any order.
    node.script(|method, params| {
        let slow = method == "echo" && params[0].as_u64()? % 2 == 0;
        slow.then(|| Act::Late(Duration::from_millis(100), Box::new(Act::Result(params.clone()))))
    });
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..40 {
        let pool = watched.pool.clone();
        reads.spawn(async move {
            let reply = pool.call(Request::live("echo", json!([number]))).await.expect("answered");
            assert_eq!(reply.value.get(), format!("[{number}]"));
        });
    }
    while let Some(read) = reads.join_next().await {
        read.expect("each read gets its own answer");
    }
    assert_eq!(node.state.lock().sockets, 1);
    watched.stop().await;
}

#[tokio::test]
async fn a_socket_that_breaks_is_opened_again_and_subscribed_again() {
    let node = Node::start().await;
    let watched = Watched::running(&only_ws(&node));
    subscribed(&watched).await;
    let mut heads = watched.pool.heads();
    // It hangs up, says nonsense, and complains.
    for (number, message) in ["CUT", "nonsense", r#"{"id":null,"error":{"code":1,"message":"m"}}"#]
        .into_iter()
        .enumerate()
    {
        let sockets = node.state.lock().sockets;
        node.tell_raw(message);
        until("another socket", || node.state.lock().sockets > sockets).await;
        subscribed(&watched).await;
        let height = 101 + number as u64;
        node.grow_to(height);
        loop {
            let seen = soon("a head", heads.recv()).await.expect("heads come");
            if seen.link.block.height == Height(height) {
                break;
            }
        }
    }
    let status = &watched.pool.endpoints()[0];
    assert!(status.ws.is_some_and(|ws| ws.reconnects == 3), "{:?}", status.ws);
    assert_eq!(status.errors.get(&ErrorClass::Json), Some(&2));
    watched.stop().await;
}

#[tokio::test]
async fn a_silent_socket_is_dead_even_if_it_is_open() {
    let node = Node::start().await;
    let watched = Watched::running(&both(&node));
    subscribed(&watched).await;
    node.change(|state| state.mute = true);
    let sockets = node.state.lock().sockets;
    until("another socket", || node.state.lock().sockets > sockets).await;
    assert!(watched.status("a").errors.contains_key(&ErrorClass::Timeout));
    node.change(|state| state.mute = false);
    subscribed(&watched).await;
    watched.stop().await;
}

#[tokio::test]
async fn a_subscription_that_stops_while_blocks_come_is_dead() {
    let node = Node::start().await;
    let watched = Watched::running(&both(&node));
    subscribed(&watched).await;
    node.grow_to(101);
    until("a head", || {
        watched.status("a").head.is_some_and(|head| head.block.height == Height(101))
    })
    .await;
    node.change(|state| state.no_news = true);
    node.grow_to(104);
    let sockets = node.state.lock().sockets;
    until("another socket", || node.state.lock().sockets > sockets).await;
    assert!(watched.status("a").errors.contains_key(&ErrorClass::Stale));
    watched.stop().await;
}

#[tokio::test]
async fn a_chain_that_rests_does_not_cost_the_socket() {
    let node = Node::start().await;
    let watched = Watched::running(&both(&node));
    subscribed(&watched).await;
    until("it was looked at some times", || node.asked("eth_blockNumber") >= 4).await;
    assert_eq!(node.state.lock().sockets, 1);
    watched.stop().await;
}

#[tokio::test]
async fn without_subscriptions_heads_are_polled_over_the_socket() {
    let node = Node::start().await;
    node.script(|method, _| {
        (method == "eth_subscribe").then(|| Act::error(-32_601, "notifications not supported"))
    });
    let watched = Watched::running(&only_ws(&node));
    let mut heads = watched.pool.heads();
    until("it is asked", || node.asked("eth_subscribe") > 0).await;
    node.grow_to(101);
    loop {
        let seen = soon("a head", heads.recv()).await.expect("heads come");
        assert_eq!(seen.via, HeadVia::Poll);
        if seen.link.block.height == Height(101) {
            break;
        }
    }
    watched.stop().await;
}

#[tokio::test]
async fn a_dead_socket_does_not_stop_the_heads() {
    let node = Node::start().await;
    let mut config = both(&node);
    config.options.poll_interval = Some(HumanDuration::millis(30));
    let dead = "ws://127.0.0.1:1";
    config = with(config, 0, |settings| settings.ws = Some(wk_model::Secret::parse(dead)));
    let watched = Watched::running(&config);
    let mut heads = watched.pool.heads();
    node.grow_to(102);
    loop {
        let seen = soon("a head", heads.recv()).await.expect("heads come");
        if seen.link.block.height == Height(102) {
            assert_eq!(seen.via, HeadVia::Poll);
            break;
        }
    }
    let status = watched.status("a");
    assert!(status.ws.is_some_and(|ws| !ws.connected), "{status:?}");
    watched.stop().await;
}

#[tokio::test]
async fn a_socket_of_another_chain_is_not_listened_to() {
    let (right, wrong) = (Node::start().await, Node::start().await);
    wrong.change(|state| state.chain_id = 5);
    let mut config = both(&right);
    config.chain_id = Some(wk_model::ChainId(1337));
    config.options.chain_id_interval = HumanDuration::seconds(60);
    let ws = wrong.ws_url();
    config = with(config, 0, |settings| settings.ws = Some(wk_model::Secret::parse(&ws)));
    let watched = Watched::running(&config);
    until("it is caught", || watched.status("a").quarantine.is_some()).await;
    assert_eq!(wrong.asked("eth_subscribe"), 0);
    watched.stop().await;
}

#[tokio::test]
async fn pending_transactions_come_whole_or_as_hashes_when_somebody_listens() {
    let node = Node::start().await;
    let watched = Watched::running(&only_ws(&node));
    subscribed(&watched).await;
    assert_eq!(node.asked("eth_subscribe"), 1, "nobody listens yet");
    let mut pending = watched.pool.pending();
    until("the subscription", || node.asked("eth_subscribe") == 2).await;
    node.tell(&json!({"subscription": "0x2", "result": hash(1, None)}));
    node.tell(&json!({"subscription": "0x2", "result": {"hash": hash(2, None), "nonce": "0x0"}}));
    let first = soon("a hash", pending.recv()).await.expect("it comes");
    assert_eq!((first.hash, first.transaction.is_none()), (hash(1, None), true));
    let second = soon("a transaction", pending.recv()).await.expect("it comes");
    assert_eq!(second.hash, hash(2, None));
    assert!(second.transaction.expect("it is whole").get().contains("nonce"));
    watched.stop().await;

    // Who does not send whole transactions is asked for hashes.
    node.script(|method, params| {
        let whole = method == "eth_subscribe" && params[1] == true;
        whole.then(|| Act::error(-32_602, "too many arguments"))
    });
    let watched = Watched::running(&only_ws(&node));
    let _pending = watched.pool.pending();
    until("both were asked for", || node.asked("eth_subscribe") >= 5).await;
    watched.stop().await;
}
