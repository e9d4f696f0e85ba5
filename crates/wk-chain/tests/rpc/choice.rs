//! Who is asked, and who is asked next.

use std::time::{Duration, Instant};

use serde_json::json;
use wk_chain::rpc::{BreakerState, ErrorClass, Health, Rejection, Request, Trouble, TroubleKind};
use wk_model::{Height, HumanDuration};

use crate::server::{Act, Node, Watched, named, soon, until};

fn get(what: &str) -> Request {
    Request::live("echo", json!([what]))
}

#[tokio::test]
async fn asks_the_fastest_once_all_are_known() {
    let (slow, fast) = (Node::start().await, Node::start().await);
    slow.change(|state| state.delay = Duration::from_millis(300));
    let watched = Watched::idle(&named(&[&slow, &fast]));
    for _ in 0..12 {
        watched.pool.call(get("x")).await.expect("both answer");
    }
    assert_eq!(slow.asked("echo"), 1, "it is tried, and left");
    assert_eq!(fast.asked("echo"), 11);
}

#[tokio::test]
async fn fails_over_whatever_the_fault() {
    let after = |ms| Act::Late(Duration::from_millis(ms), Box::new(Act::Result(json!("late"))));
    for act in [
        Act::http(500, ""),
        Act::http(429, ""),
        Act::http(403, ""),
        Act::http(200, "nonsense"),
        Act::Cut,
        Act::error(-32_601, "no such method"),
        Act::error(-32_602, "bad parameter"),
        Act::error(-32_603, "internal error"),
        Act::error(-32_000, "header not found"),
        Act::error(-32_005, "limit exceeded"),
        after(5_000),
    ] {
        let (bad, good) = (Node::start().await, Node::start().await);
        let what = format!("{act:?}");
        bad.script(move |method, _| (method == "echo").then(|| act.clone()));
        let mut config = named(&[&bad, &good]);
        config.options.timeout = HumanDuration::millis(300);
        let watched = Watched::idle(&config);
        let reply = watched.pool.call(get("x")).await.expect(&what);
        assert_eq!((reply.endpoint.as_str(), reply.value.get()), ("b", r#"["x"]"#), "{what}");
        assert_eq!(bad.asked("echo"), 1, "{what}");
        assert_eq!(watched.metric("wk_rpc_retries_total", &["test"]), 1.0, "{what}");
    }
}

#[tokio::test]
async fn tells_of_every_endpoint_when_none_answers() {
    let (a, b) = (Node::start().await, Node::start().await);
    a.script(|method, _| (method == "echo").then(|| Act::http(500, "")));
    b.script(|method, _| (method == "echo").then(|| Act::error(-32_602, "bad parameter")));
    let mut config = named(&[&a, &b]);
    config.options.total_timeout = HumanDuration::millis(1_600);
    let watched = Watched::idle(&config);
    let error = watched.pool.call(get("x")).await.expect_err("none answers");
    let class_of = |name: &str| {
        let last = error.attempts.iter().rev().find(|attempt| attempt.endpoint.as_str() == name);
        last.map(|attempt| attempt.class)
    };
    assert_eq!(class_of("a"), Some(ErrorClass::HttpServer), "{error}");
    assert_eq!(class_of("b"), Some(ErrorClass::RpcInvalidParams), "{error}");
    assert!(b.asked("echo") == 1 && a.asked("echo") > 1, "only faults that pass are tried again");
    let text = error.to_string();
    assert!(text.starts_with("no endpoint answered echo"), "{text}");
    assert!(text.contains("b rpc_invalid_params (-32602 bad parameter)"), "{text}");
}

#[tokio::test]
async fn a_null_where_there_must_be_something_is_stale_and_asked_elsewhere() {
    let (behind, good) = (Node::start().await, Node::start().await);
    behind.change(|state| state.head = 90);
    let watched = Watched::idle(&named(&[&behind, &good]));
    let request = Request::live("eth_getBlockByNumber", json!(["0x60", false])).validated(
        |value| match value.get() {
            "null" => Err(Rejection::Stale("block 96 is missing".to_owned())),
            _ => Ok(()),
        },
    );
    let reply = watched.pool.call(request.clone()).await.expect("the other has it");
    assert_eq!(reply.endpoint.as_str(), "b");
    let status = watched.status("a");
    assert_eq!(status.errors.get(&ErrorClass::Stale), Some(&1));
    assert_eq!(status.last_error.expect("one").message, "block 96 is missing");
    // Who was behind a moment ago is not asked first.
    watched.pool.call(request).await.expect("the other has it");
    assert_eq!(behind.asked("eth_getBlockByNumber"), 1);
}

#[tokio::test]
async fn one_endpoint_that_is_behind_is_asked_again_until_it_is_not() {
    let node = Node::start().await;
    let watched = Watched::idle(&named(&[&node]));
    let request = Request::live("eth_getBlockByNumber", json!(["0x65", false])).validated(
        |value| match value.get() {
            "null" => Err(Rejection::Stale("block 101 is missing".to_owned())),
            _ => Ok(()),
        },
    );
    let read = watched.pool.call(request);
    let grow = async {
        until("some tries", || node.asked("eth_getBlockByNumber") >= 2).await;
        node.grow_to(101);
    };
    let (reply, ()) = tokio::join!(read, grow);
    reply.expect("it has it in the end");
}

#[tokio::test]
async fn a_pinned_read_waits_for_an_endpoint_that_is_so_far() {
    let (behind, ahead) = (Node::start().await, Node::start().await);
    let watched = Watched::running(&named(&[&behind, &ahead]));
    until("heads", || watched.pool.endpoints().iter().all(|status| status.head.is_some())).await;
    ahead.script(|method, _| {
        let late = Act::Late(Duration::from_millis(50), Box::new(Act::Result(json!("b"))));
        (method == "echo").then_some(late)
    });
    ahead.grow_to(105);
    let reply = watched.pool.call(get("x").pinned(Height(105))).await.expect("one is so far");
    assert_eq!(reply.endpoint.as_str(), "b");
    assert_eq!(behind.asked("echo"), 0);
    // Nobody is so far yet: the read waits, and does not ask in vain.
    let read = watched.pool.call(get("x").pinned(Height(110)));
    let grow = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!((behind.asked("echo"), ahead.asked("echo")), (0, 1));
        ahead.grow_to(110);
    };
    let (reply, ()) = tokio::join!(read, grow);
    assert_eq!(reply.expect("one is so far").endpoint.as_str(), "b");
    let error = watched.pool.call(get("x").pinned(Height(999))).await.expect_err("nobody ever");
    assert!(error.out_of_time.is_some() && error.unused.len() == 2, "{error}");
    watched.stop().await;
}

#[tokio::test]
async fn a_slow_read_is_asked_of_a_second_endpoint() {
    let (first, second) = (Node::start().await, Node::start().await);
    let watched = Watched::idle(&named(&[&first, &second]));
    let [a, b] = ["a", "b"].map(|name| watched.status(name).name);
    // Both are known, the first as the faster one; then it is slow, once.
    second.change(|state| state.delay = Duration::from_millis(40));
    for _ in 0..5 {
        watched.pool.call(get("warm").avoiding(&a)).await.expect("it answers");
        watched.pool.call(get("warm").avoiding(&b)).await.expect("it answers");
    }
    first.script(|method, params| {
        let late = || Act::Late(Duration::from_millis(1_200), Box::new(Act::Result(json!("late"))));
        (method == "echo" && params[0] == "slow").then(late)
    });
    let started = Instant::now();
    let reply = watched.pool.call(get("slow").hedged()).await.expect("the second answers");
    assert_eq!(reply.endpoint.as_str(), "b");
    assert!(started.elapsed() < Duration::from_millis(700), "{:?}", started.elapsed());
    assert_eq!(watched.metric("wk_rpc_hedges_total", &["true"]), 1.0);
    // Without the wish, nobody else is asked.
    let before = first.asked("echo") + second.asked("echo");
    watched.pool.call(get("x")).await.expect("it answers");
    assert_eq!(first.asked("echo") + second.asked("echo"), before + 1);
}

#[tokio::test]
async fn a_missing_method_is_remembered() {
    let (without, with) = (Node::start().await, Node::start().await);
    with.script(|method, _| (method == "eth_getBlockReceipts").then(|| Act::Result(json!([]))));
    let watched = Watched::idle(&named(&[&without, &with]));
    let read = || Request::live("eth_getBlockReceipts", json!(["0x1"]));
    for _ in 0..5 {
        let reply = watched.pool.call(read()).await.expect("one has it");
        assert_eq!(reply.endpoint.as_str(), "b");
    }
    assert_eq!(without.asked("eth_getBlockReceipts"), 1);
    assert_eq!(watched.status("a").missing_methods, ["eth_getBlockReceipts"]);
    let only = Watched::idle(&named(&[&without]));
    for _ in 0..2 {
        let error = only.pool.call(read()).await.expect_err("it lacks it");
        assert!(error.all(ErrorClass::RpcMethodMissing), "asked or remembered, it reads the same");
    }
    assert_eq!(without.asked("eth_getBlockReceipts"), 2);
}

#[tokio::test]
async fn a_broken_endpoint_is_left_alone_and_comes_back() {
    let (bad, good) = (Node::start().await, Node::start().await);
    let watched = Watched::running(&named(&[&bad, &good]));
    until("both are known", || {
        watched.pool.endpoints().iter().all(|status| status.health == Health::Healthy)
    })
    .await;
    bad.script(|_, _| Some(Act::http(500, "")));
    until("the breaker opens", || watched.status("a").breaker == BreakerState::Open).await;
    assert_eq!(watched.status("a").health, Health::Down);
    assert_eq!(watched.metric("wk_rpc_breaker_opened_total", &["a"]), 1.0);
    let asked = bad.asked("echo");
    for _ in 0..5 {
        let reply = watched.pool.call(get("x")).await.expect("the other answers");
        assert_eq!(reply.endpoint.as_str(), "b");
    }
    assert_eq!(bad.asked("echo"), asked);
    until("the gauge says so", || watched.metric("wk_rpc_endpoint_up", &["a"]) < 1.0).await;
    bad.change(|state| state.script = None);
    until("it is back", || watched.status("a").health == Health::Healthy).await;
    watched.stop().await;
}

#[tokio::test]
async fn an_accused_endpoint_is_not_asked_until_it_agrees_again() {
    let (liar, good) = (Node::start().await, Node::start().await);
    good.change(|state| state.delay = Duration::from_millis(20));
    let watched = Watched::running(&named(&[&liar, &good]));
    until("heads", || watched.pool.endpoints().iter().all(|status| status.head.is_some())).await;
    let liar_name = watched.status("a").name;
    watched.pool.accuse(&liar_name, Trouble::new(TroubleKind::Empty, "no logs in block 96"));
    let status = watched.status("a");
    assert_eq!((status.health, status.in_use), (Health::Quarantined, false));
    assert_eq!(status.reason.as_deref(), Some("answered empty: no logs in block 96"));
    let reply = watched.pool.call(get("x")).await.expect("the other answers");
    assert_eq!(reply.endpoint.as_str(), "b");
    until("it is told", || watched.has("endpoint_empty", "a")).await;
    assert_eq!(watched.metric("wk_rpc_accusations_total", &["a", "empty"]), 1.0);
    until("it is released", || watched.status("a").quarantine.is_none()).await;
    until("it is told", || !watched.has("endpoint_empty", "a")).await;
    watched.stop().await;
}

#[tokio::test]
async fn when_nobody_is_believed_the_least_bad_is_used_and_it_is_said() {
    let (a, b) = (Node::start().await, Node::start().await);
    let mut config = named(&[&a, &b]);
    config.options.quarantine = HumanDuration::seconds(600);
    config.options.compare_interval = HumanDuration::seconds(600);
    let watched = Watched::running(&config);
    until("heads", || watched.pool.endpoints().iter().all(|status| status.head.is_some())).await;
    let accuse = |name: &str, kind| {
        let endpoint = watched.status(name).name;
        watched.pool.accuse(&endpoint, Trouble::new(kind, "caught"));
    };
    accuse("a", TroubleKind::Fork);
    accuse("b", TroubleKind::Empty);
    let reply = watched.pool.call(get("x")).await.expect("the least bad is used");
    assert_eq!(reply.endpoint.as_str(), "b");
    let status = watched.status("b");
    assert!(status.in_use && status.health == Health::Quarantined);
    assert!(status.reason.expect("there is one").contains("used all the same"));
    until("it is told", || {
        watched.conditions().contains(&"endpoints_untrusted chain/test".to_owned())
    })
    .await;
    let direct = watched.pool.call_on(&watched.status("a").name, get("x")).await;
    assert_eq!(direct.expect("asked by name it answers").endpoint.as_str(), "a");
    watched.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_by_building_and_everything_ends_when_told() {
    let node = Node::start().await;
    let watched = Watched::idle(&named(&[&node]));
    assert!(node.state.lock().asked.is_empty());
    assert_eq!(watched.status("a").health, Health::Unknown);
    drop(watched);
    let watched = Watched::running(&named(&[&node]));
    until("a head", || watched.status("a").head.is_some()).await;
    soon("the end", watched.stop()).await;
    let asked = |node: &Node| node.state.lock().asked.values().sum::<u64>();
    let before = asked(&node);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(asked(&node), before);
}
