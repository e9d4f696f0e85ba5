//! Batches and ranges: as much at once as an endpoint takes.

use serde_json::{Value, json};
use wk_chain::rpc::{EndpointConfig, ErrorClass, LogsQuery, PoolConfig, Purpose, Request};
use wk_model::Height;

use crate::server::{Act, Node, Watched, named, quick};

fn numbers(count: usize) -> Vec<Request> {
    (0..count).map(|number| Request::backfill("echo", json!([number]))).collect()
}

/// Sends `count` requests in a batch call and expects all answers in order.
async fn check(watched: &Watched, count: usize, what: &str) {
    let replies = watched.pool.batch(numbers(count)).await;
    let values: Vec<String> = replies
        .into_iter()
        .map(|reply| reply.unwrap_or_else(|error| panic!("{what}: {error}")).value.to_string())
        .collect();
    let expected: Vec<String> = (0..count).map(|number| format!("[{number}]")).collect();
    assert_eq!(values, expected, "{what}");
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests() {
    let node = Node::start().await;
    node.change(|state| state.reversed = true);
    let watched = Watched::idle(&named(&[&node]));
    assert!(watched.pool.batch(Vec::new()).await.is_empty());
    check(&watched, 1, "one").await;
    check(&watched, 50, "many").await;
    assert_eq!(node.asked("echo"), 51);
    let mut sizes = node.state.lock().batch_sizes.clone();
    sizes.sort_unstable();
    assert_eq!(sizes, [10, 20, 20]);
}

#[tokio::test]
async fn what_is_missing_or_fails_is_asked_again_alone_or_elsewhere() {
    let (a, b) = (Node::start().await, Node::start().await);
    // The first endpoint leaves answers out, and knows some things not.
    a.script(|method, params| match params[0].as_u64() {
        Some(number) if method == "echo" && number % 7 == 3 => Some(Act::Hang),
        Some(number) if method == "echo" && number % 7 == 5 => {
            Some(Act::error(-32_602, "not here"))
        }
        _ => None,
    });
    let watched = Watched::idle(&named(&[&a, &b]));
    check(&watched, 40, "with holes").await;
    // A revert is an answer.
    for node in [&a, &b] {
        node.script(|method, params| {
            (method == "echo" && params[0] == 2).then(|| Act::error(3, "execution reverted"))
        });
    }
    let replies = watched.pool.batch(numbers(5)).await;
    let failed: Vec<usize> = (0..5).filter(|place| replies[*place].is_err()).collect();
    assert_eq!(failed, [2]);
    assert!(replies[2].as_ref().expect_err("reverted").reverted().is_some());
}

#[tokio::test]
async fn batches_shrink_where_they_are_refused() {
    for refusal in [
        Act::http(413, "too large"),
        Act::http(400, "no batches"),
        Act::http(405, ""),
        Act::Result(
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "batch too large"}}),
        ),
        Act::Result(
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32007, "message": "only 5"}}),
        ),
        Act::Result(
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32602, "message": "expected an object"}}),
        ),
    ] {
        let node = Node::start().await;
        let what = format!("{refusal:?}");
        node.change(|state| state.batches = Some(refusal));
        let watched = Watched::idle(&named(&[&node]));
        check(&watched, 30, &what).await;
        assert_eq!(watched.status("a").batch_size, 1, "{what}");
        // From now on it is not tried any more.
        let batches = node.state.lock().batch_sizes.len();
        check(&watched, 10, &what).await;
        assert_eq!(node.state.lock().batch_sizes.len(), batches, "{what}");
    }
}

#[tokio::test]
async fn a_batch_fails_over_as_a_whole() {
    let (bad, good) = (Node::start().await, Node::start().await);
    for act in [Act::http(500, ""), Act::http(200, "nonsense"), Act::Cut] {
        bad.change(|state| state.batches = Some(act));
        let watched = Watched::idle(&named(&[&bad, &good]));
        check(&watched, 30, "fails over").await;
    }
    let alone = Watched::idle(&named(&[&bad]));
    bad.script(|method, _| (method == "echo").then(|| Act::error(-32_602, "not here")));
    for reply in alone.pool.batch(numbers(25)).await {
        let error = reply.expect_err("nobody answers");
        assert_eq!(error.class(), Some(ErrorClass::RpcInvalidParams), "{error}");
    }
}

#[tokio::test]
async fn over_a_websocket_many_requests_run_at_once() {
    let node = Node::start().await;
    let config = PoolConfig {
        endpoints: vec![EndpointConfig::url(&node.ws_url())],
        options: quick(),
        ..PoolConfig::default()
    };
    let watched = Watched::idle(&config);
    check(&watched, 60, "over a WebSocket").await;
    assert_eq!(node.state.lock().sockets, 1);
}

/// Refuses a range.
type Refuse = fn(u64, u64) -> Act;

/// A node with one log per block that serves `most` blocks at once, as `refusal` says otherwise.
fn serve_logs(node: &Node, most: u64, refusal: Refuse) {
    node.script(move |method, params| {
        if method != "eth_getLogs" {
            return None;
        }
        let height = |key: &str| {
            let hex = params[0][key].as_str().expect("a height");
            u64::from_str_radix(&hex[2..], 16).expect("hex")
        };
        let (from, to) = (height("fromBlock"), height("toBlock"));
        assert_eq!(params[0]["address"], "0xab", "the filter stays");
        if to - from + 1 > most {
            return Some(refusal(from, to));
        }
        Some(Act::Result((from..=to).map(|height| json!({"blockNumber": height})).collect()))
    });
}

async fn all_logs(watched: &Watched, from: u64, to: u64) -> (Vec<u64>, Vec<bool>) {
    let (mut heights, mut truncated) = (Vec::new(), Vec::new());
    let mut next = from;
    while next <= to {
        let page = watched
            .pool
            .logs(LogsQuery {
                filter: json!({"address": "0xab"}),
                from: Height(next),
                to: Height(to),
                purpose: Purpose::Backfill,
            })
            .await
            .expect("in parts it is served");
        assert_eq!(page.from, Height(next));
        let logs: Vec<Value> = page.reply.parse().expect("an array");
        heights.extend(logs.iter().filter_map(|log| log["blockNumber"].as_u64()));
        truncated.push(page.maybe_truncated);
        next = page.to.0 + 1;
    }
    (heights, truncated)
}

#[tokio::test]
async fn ranges_are_cut_to_what_the_endpoint_serves() {
    let refusals: [(&str, Refuse); 5] = [
        ("a suggestion", |from, _| {
            let to = from + 39;
            let text = format!("this block range should work: [0x{from:x}, 0x{to:x}]");
            Act::error(-32_600, &format!("up to a 40 block range. {text}"))
        }),
        ("a limit", |_, _| Act::error(-32_602, "range 2000 exceeds limit of 40")),
        ("no hint", |_, _| Act::error(-32_005, "query returned more than 10000 results")),
        ("a large answer", |_, _| Act::http(200, &" ".repeat(100_000))),
        ("HTTP", |_, _| Act::http(413, "")),
    ];
    for (what, refusal) in refusals {
        let node = Node::start().await;
        node.grow_to(1_000);
        serve_logs(&node, 40, refusal);
        let mut config = named(&[&node]);
        config.options.max_body_bytes = 64 * 1024;
        let watched = Watched::idle(&config);
        let (heights, _) = all_logs(&watched, 100, 900).await;
        assert_eq!(heights, (100..=900).collect::<Vec<_>>(), "{what}");
        let range = watched.status("a").logs_range;
        assert!((20..=40).contains(&range), "{what}: {range}");
        let first = node.asked("eth_getLogs");
        let (heights, _) = all_logs(&watched, 100, 900).await;
        assert_eq!(heights.len(), 801, "{what}");
        let again = node.asked("eth_getLogs") - first;
        assert!(again <= 41, "{what}: what was learned is kept, and {again} requests are enough");
    }
}

#[tokio::test]
async fn a_round_number_of_logs_is_not_believed() {
    let node = Node::start().await;
    node.grow_to(1_000);
    // Says nothing, and cuts at 100 rows.
    node.script(|method, params| {
        if method != "eth_getLogs" {
            return None;
        }
        let height = |key: &str| {
            let hex = params[0][key].as_str().expect("a height");
            u64::from_str_radix(&hex[2..], 16).expect("hex")
        };
        let blocks = height("fromBlock")..=height("toBlock");
        // Three logs per block, 250 in block 500.
        let logs = blocks.flat_map(|block| {
            let count = if block == 500 { 250 } else { 3 };
            std::iter::repeat_n(json!({"blockNumber": block}), count)
        });
        Some(Act::Result(logs.take(100).collect()))
    });
    let watched = Watched::idle(&named(&[&node]));
    let (heights, truncated) = all_logs(&watched, 400, 600).await;
    // Only the block that alone exceeds the cap is short, and that is said.
    assert_eq!(heights.len(), 200 * 3 + 100);
    assert_eq!(truncated.iter().filter(|truncated| **truncated).count(), 1);
}
