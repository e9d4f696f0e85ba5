//! Rate limits, budgets and shares.

use std::time::{Duration, Instant};

use serde_json::json;
use wk_chain::rpc::{Health, Purpose, Request};
use wk_model::{ChainName, Timestamp};
use wk_runtime::{Clock, Metrics};

use crate::server::{Act, Node, Watched, named, until, with};

fn get(what: &str) -> Request {
    Request::live("echo", json!([what]))
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let node = Node::start().await;
    let mut limited = true;
    node.script(move |method, _| {
        let act = || {
            let headers = vec![("retry-after".to_owned(), "1".to_owned())];
            Act::Http(429, headers, Vec::new())
        };
        (method == "echo" && std::mem::replace(&mut limited, false)).then(act)
    });
    let watched = Watched::idle(&named(&[&node]));
    let started = Instant::now();
    watched.pool.call(get("x")).await.expect("it answers after its wait");
    assert!(started.elapsed() >= Duration::from_millis(990), "{:?}", started.elapsed());
    assert_eq!(node.asked("echo"), 2, "it was left alone in between");
    assert_eq!(watched.metric("wk_rpc_rate_limited_total", &["a"]), 1.0);
}

#[tokio::test]
async fn a_limited_endpoint_is_passed_over_and_the_chain_is_not_blamed() {
    let (limited, good) = (Node::start().await, Node::start().await);
    let watched = Watched::running(&named(&[&limited, &good]));
    until("heads", || watched.pool.endpoints().iter().all(|status| status.head.is_some())).await;
    limited.script(|_, _| {
        Some(Act::Http(429, vec![("retry-after".to_owned(), "60".to_owned())], Vec::new()))
    });
    until("it is limited", || watched.status("a").rate_limited_until.is_some()).await;
    assert_eq!(watched.status("a").health, Health::Limited);
    for _ in 0..3 {
        let reply = watched.pool.call(get("x")).await.expect("the other answers");
        assert_eq!(reply.endpoint.as_str(), "b");
    }
    until("it is told", || watched.has("endpoint_rate_limited", "a")).await;
    assert_eq!(watched.conditions(), ["endpoint_rate_limited endpoint/test/a"]);
    watched.stop().await;
}

#[tokio::test]
async fn a_budget_is_spent_shown_and_begins_again_at_midnight() {
    let (cheap, dear) = (Node::start().await, Node::start().await);
    // 23:59 UTC.
    let clock = Clock::manual(Timestamp(20_000 * 86_400_000 - 60_000));
    let config = with(named(&[&cheap, &dear]), 0, |settings| settings.budget_per_day = Some(5));
    let metrics = Metrics::new();
    let pool =
        wk_chain::rpc::Pool::build(&ChainName::new("test"), &config, clock.clone(), &metrics)
            .expect("the config is good");
    let used = |pool: &wk_chain::rpc::Pool| pool.endpoints()[0].budget.expect("it has one").used;
    let dear_name = pool.endpoints()[1].name.clone();
    // One request is the question for the chain id.
    for _ in 0..4 {
        pool.call(get("x").avoiding(&dear_name)).await.expect("it answers");
    }
    assert_eq!(used(&pool), 5);
    let status = &pool.endpoints()[0];
    assert_eq!((status.health, status.in_use), (Health::Limited, false));
    assert_eq!(status.reason.as_deref(), Some("request budget of today is spent"));
    let reply = pool.call(get("x")).await.expect("the other answers");
    assert_eq!(reply.endpoint.as_str(), "b");
    let error = pool.call(get("x").avoiding(&dear_name)).await.expect_err("nobody is left");
    assert!(error.to_string().contains("budget of today is spent"), "{error}");
    let error = pool.call_on(&status.name, get("x")).await.expect_err("not even by name");
    assert!(error.to_string().contains("budget of today is spent"), "{error}");
    assert_eq!(cheap.asked("echo"), 4);
    clock.advance(Duration::from_secs(61));
    pool.call(get("x").avoiding(&dear_name)).await.expect("a new day");
    assert_eq!(used(&pool), 1);
}

#[tokio::test]
async fn a_spent_budget_is_a_finding() {
    let (cheap, dear) = (Node::start().await, Node::start().await);
    let config = with(named(&[&cheap, &dear]), 0, |settings| settings.budget_per_day = Some(3));
    let watched = Watched::running(&config);
    let dear_name = watched.status("b").name;
    until("it is told", || {
        let pool = watched.pool.clone();
        let dear = dear_name.clone();
        tokio::spawn(async move { pool.call(get("x").avoiding(&dear)).await.is_ok() });
        watched.has("endpoint_budget_spent", "a")
    })
    .await;
    assert_eq!(watched.metric("wk_rpc_budget_remaining", &["a"]), 0.0);
    watched.stop().await;
}

#[tokio::test]
async fn backfill_does_not_starve_live_reads() {
    let node = Node::start().await;
    let config = with(named(&[&node]), 0, |settings| settings.max_requests_per_second = Some(40.0));
    let watched = Watched::idle(&config);
    watched.pool.call(get("first")).await.expect("it answers");
    let mut history = tokio::task::JoinSet::new();
    for number in 0..60 {
        let pool = watched.pool.clone();
        let request = Request::new("echo", json!([number]), Purpose::Backfill);
        history.spawn(async move { pool.call(request).await.is_ok() });
    }
    // While history waits for its share, live reads go at once.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..5 {
        let started = Instant::now();
        watched.pool.call(get("live")).await.expect("it answers");
        assert!(started.elapsed() < Duration::from_millis(250), "{:?}", started.elapsed());
    }
    assert!(!history.is_empty());
    while let Some(done) = history.join_next().await {
        assert!(done.expect("no panic"), "history is slow, and arrives");
    }
}
