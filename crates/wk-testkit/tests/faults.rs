//! Each fault of the proxy is really visible to a raw client of a real node.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wk_testkit::{
    Anvil, AnvilOptions, Fault, FaultProxy, Fixture, RateLimit, Rpc, RpcFailure, Tx, anvil_or_skip,
    number,
};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

/// What the checks look at: two nodes on different branches, and a block with two transactions.
struct Bench {
    anvil: Anvil,
    /// On another branch from block 1 on.
    other: Anvil,
    /// Height of the block with the transactions.
    busy: Value,
}

async fn bench(anvil: Anvil, other: Anvil) -> Bench {
    let emitter = anvil.deploy(Fixture::Emitter, &[]).await;
    anvil.mine(8).await;
    let ping = Tx::call(emitter, Fixture::Emitter, "ping", &[number(2)]).gas(100_000);
    anvil.send_all(&[ping.clone().from(1), ping.from(2)]).await;
    anvil.mine(1).await;
    let busy = json!(format!("{:#x}", anvil.height().await));
    anvil.mine(4).await;
    other.mine(20).await;
    Bench { anvil, other, busy }
}

#[tokio::test]
async fn every_fault_is_seen_by_a_raw_client() {
    let options = AnvilOptions { timestamp: Some(1_700_000_000), ..AnvilOptions::default() };
    let anvil = anvil_or_skip!(options.clone());
    let other = anvil_or_skip!(AnvilOptions { chain_id: Some(anvil.chain_id()), ..options });
    let bench = bench(anvil, other).await;
    // These concern what only an inspection asks for.
    let traces = [Fault::Unanswered { method: "trace_block".to_owned() }, Fault::TruncatedTraces];
    for fault in Fault::all().into_iter().chain(traces) {
        let proxy = FaultProxy::start_forked(&bench.anvil.urls(), &bench.other.urls()).await;
        proxy.inject(fault.clone());
        check(&fault, &bench, &proxy).await;
        assert!(proxy.hits(&fault) > 0, "{fault:?} was never made");
        proxy.clear();
        let height = Rpc::new(proxy.http_url()).call("eth_blockNumber", json!([])).await;
        assert_eq!(read(&height), bench.anvil.height().await, "{fault:?} is over");
    }
}

/// One fault, one check. Every variant is named, so that a new one cannot be forgotten.
async fn check(fault: &Fault, bench: &Bench, proxy: &FaultProxy) {
    let (node, proxied) = (bench.anvil.rpc(), &Rpc::new(proxy.http_url()));
    let block = json!([bench.busy, true]);
    let receipts = json!([bench.busy]);
    let logs = json!([{"fromBlock": bench.busy, "toBlock": bench.busy}]);
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    // The same question to the node and through the proxy.
    let both = async |method: &str, params: &Value| {
        (node.call(method, params.clone()).await, proxied.call(method, params.clone()).await)
    };
    let refused = async |method: &str, params: Value| match proxied.try_call(method, params).await {
        Ok(result) => panic!("{fault:?}: {method} is answered: {result}"),
        Err(failure) => failure,
    };
    match fault {
        Fault::Lagging { blocks } => {
            let (real, lagging) = both("eth_blockNumber", &json!([])).await;
            assert_eq!(read(&real) - blocks, read(&lagging));
            let (_, head) = both("eth_getBlockByNumber", &json!(["latest", false])).await;
            assert_eq!(head["number"], lagging);
            let (newest, hidden) = both("eth_getBlockByNumber", &json!([real, false])).await;
            assert_eq!((newest["number"].clone(), hidden), (real.clone(), Value::Null));
            let by_hash = json!([newest["hash"], false]);
            assert!(both("eth_getBlockByHash", &by_hash).await.1.is_null());
            let above = json!([{"fromBlock": real, "toBlock": real}]);
            assert_eq!(both("eth_getLogs", &above).await.1, json!([]));
            refused("eth_getBalance", json!([format!("0x{:040x}", 1), real])).await;
            let heads = heads(proxy, bench, 1).await;
            assert_eq!(heads[0] + blocks, bench.anvil.height().await);
        }
        Fault::HeadGoesBack { blocks } => {
            let mut heights = Vec::new();
            for _ in 0..4 {
                heights.push(read(&proxied.call("eth_blockNumber", json!([])).await));
            }
            assert_eq!(heights[0] - blocks, heights[1].min(heights[0] - blocks));
            assert!(heights.windows(2).any(|pair| pair[1] + blocks == pair[0]), "{heights:?}");
            let heads = heads(proxy, bench, 2).await;
            assert_eq!(heads[0] - blocks, heads[1]);
        }
        Fault::NullBlock => {
            let (real, got) = both("eth_getBlockByNumber", &block).await;
            assert_eq!((real.is_object(), got), (true, Value::Null));
        }
        Fault::NullReceipts => {
            let (real, got) = both("eth_getBlockReceipts", &receipts).await;
            assert_eq!((count(&real), got), (2, Value::Null));
        }
        Fault::EmptyLogs => {
            let (real, got) = both("eth_getLogs", &logs).await;
            assert_eq!((count(&real), got), (4, json!([])));
        }
        Fault::TruncatedLogs => {
            let (real, got) = both("eth_getLogs", &logs).await;
            assert_eq!((count(&real), count(&got)), (4, 2));
        }
        Fault::EmptyReceipts => {
            let (real, got) = both("eth_getBlockReceipts", &receipts).await;
            assert_eq!((count(&real), got), (2, json!([])));
        }
        Fault::TruncatedReceipts => {
            let (real, got) = both("eth_getBlockReceipts", &receipts).await;
            assert_eq!((count(&real), count(&got)), (2, 1));
        }
        Fault::ReceiptsWithoutLogs => {
            let (real, got) = both("eth_getBlockReceipts", &receipts).await;
            assert_eq!((count(&real[0]["logs"]), count(&got[0]["logs"])), (2, 0));
            assert_eq!(real[0]["logsBloom"], got[0]["logsBloom"]);
        }
        Fault::WrongHash => {
            let (real, got) = both("eth_getBlockByNumber", &block).await;
            assert_ne!(real["hash"], got["hash"]);
            assert_eq!(real["parentHash"], got["parentHash"]);
            let mut socket = subscribe(proxy, "newHeads").await;
            bench.anvil.mine(1).await;
            let head = next(&mut socket).await;
            assert_ne!(head["hash"], json!(bench.anvil.hash(read(&head["number"])).await));
        }
        Fault::TamperedTransaction => {
            let (real, got) = both("eth_getBlockByNumber", &block).await;
            assert_ne!(real["transactions"][0]["value"], got["transactions"][0]["value"]);
            assert_eq!(real["hash"], got["hash"]);
        }
        Fault::TamperedReceipt => {
            let (real, got) = both("eth_getBlockReceipts", &receipts).await;
            assert_eq!((&real[0]["status"], &got[0]["status"]), (&json!("0x1"), &json!("0x0")));
        }
        Fault::TamperedLog => {
            let in_receipts = ("eth_getBlockReceipts", &receipts, "/0/logs/0/data");
            for (method, params, place) in [("eth_getLogs", &logs, "/0/data"), in_receipts] {
                let (real, got) = both(method, params).await;
                assert_ne!(real.pointer(place), got.pointer(place), "{method}");
            }
        }
        Fault::WrongChainId => {
            for method in ["eth_chainId", "net_version"] {
                let (real, got) = both(method, &json!([])).await;
                assert_ne!(real, got, "{method}");
            }
        }
        Fault::OtherFork => {
            let (real, got) = both("eth_getBlockByNumber", &json!(["0x5", false])).await;
            assert_ne!(real["hash"], got["hash"]);
            assert_eq!(got["hash"], json!(bench.other.hash(5).await));
            let mut socket = subscribe(proxy, "newHeads").await;
            bench.other.mine(1).await;
            let head = next(&mut socket).await;
            assert_eq!(head["hash"], json!(bench.other.hash(bench.other.height().await).await));
        }
        Fault::TooManyRequests { retry_after } => {
            let failure = refused("eth_chainId", json!([])).await;
            let RpcFailure::Status { status: 429, retry_after: got, .. } = failure else {
                panic!("{failure}")
            };
            assert_eq!(got, retry_after.map(|seconds| seconds.to_string()));
            let answer = over_socket(proxy, "eth_chainId").await.expect("it is answered");
            assert_eq!(answer["error"]["code"], 429);
        }
        Fault::RateLimited(limit) => {
            let expected = match limit {
                RateLimit::Backoff { .. } => -32005,
                RateLimit::Code429 => 429,
                RateLimit::OverRateLimit => -32016,
                RateLimit::RequestLimit => -32007,
                RateLimit::TryAgainIn => -32000,
            };
            assert_eq!(refused("eth_chainId", json!([])).await.code(), Some(expected));
        }
        Fault::LogsRangeLimit { blocks } => {
            let range = |to: u64| json!([{"fromBlock": "0x1", "toBlock": format!("{to:#x}")}]);
            proxied.call("eth_getLogs", range(*blocks)).await;
            assert_eq!(refused("eth_getLogs", range(blocks + 1)).await.code(), Some(-32602));
        }
        Fault::BatchTooLarge { calls } => {
            let batch = |size| vec![("eth_chainId", json!([])); size];
            let answers = proxied.batch(&batch(*calls)).await.expect("it is small enough");
            assert_eq!(answers.len(), *calls);
            let answer = proxied.batch(&batch(calls + 1)).await;
            assert!(matches!(answer, Err(RpcFailure::Malformed(_))), "{answer:?}");
        }
        Fault::MethodMissing { method } => {
            assert_eq!(refused(method, receipts).await.code(), Some(-32601));
        }
        Fault::Unanswered { method } => {
            let call = proxied.try_call(method, receipts);
            assert!(tokio::time::timeout(SHORT, call).await.is_err());
            proxied.call("eth_chainId", json!([])).await;
        }
        Fault::TruncatedTraces => {
            let (real, got) = both("trace_block", &json!([bench.busy])).await;
            assert_eq!(count(&real) - 1, count(&got));
        }
        Fault::ServerError { status } => {
            let failure = refused("eth_chainId", json!([])).await;
            let RpcFailure::Status { status: got, .. } = failure else { panic!("{failure}") };
            assert_eq!(got, *status);
            assert!(over_socket(proxy, "eth_chainId").await.is_none());
        }
        Fault::BatchReordered | Fault::BatchMissing => {
            let calls = ["eth_chainId", "net_version", "eth_blockNumber"].map(|m| (m, json!([])));
            let ids = async |rpc: &Rpc| -> Vec<u64> {
                let answers = rpc.batch(&calls).await.expect("it is a batch");
                answers.iter().filter_map(|answer| answer["id"].as_u64()).collect()
            };
            assert_eq!(ids(node).await, [0, 1, 2]);
            let reordered = *fault == Fault::BatchReordered;
            assert_eq!(ids(proxied).await, if reordered { vec![2, 1, 0] } else { vec![0, 1] });
        }
        Fault::MalformedJson => {
            let failure = refused("eth_getBlockByNumber", block).await;
            assert!(matches!(failure, RpcFailure::Malformed(_)), "{failure}");
        }
        Fault::SlowBody { per_second } => {
            let started = Instant::now();
            let answer = proxied.call("eth_getBlockByNumber", json!(["0x0", false])).await;
            let least = answer.to_string().len() as f64 / *per_second as f64 / 2.0;
            assert!(started.elapsed().as_secs_f64() > least, "{:?}", started.elapsed());
        }
        Fault::OversizedBody { bytes } => {
            let request = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
            let answer = proxied.post(request.to_owned()).await.expect("it is JSON");
            assert!(answer["result"].as_str().map_or(0, str::len) > bytes - 100);
        }
        Fault::Hang => {
            let call = proxied.try_call("eth_chainId", json!([]));
            assert!(tokio::time::timeout(SHORT, call).await.is_err());
        }
        Fault::ConnectionReset => {
            let failure = refused("eth_chainId", json!([])).await;
            assert!(matches!(failure, RpcFailure::Transport(_)), "{failure}");
            assert!(over_socket(proxy, "eth_chainId").await.is_none());
        }
        Fault::DuplicateNotifications => {
            let heads = heads(proxy, bench, 4).await;
            assert_eq!((heads[0], heads[2]), (heads[1], heads[3]));
        }
        Fault::MissingNotifications { every } => {
            let heads = heads(proxy, bench, 3).await;
            assert!(heads.windows(2).any(|pair| pair[0] + every == pair[1]), "{heads:?}");
        }
        Fault::SilentSocket => {
            let mut socket = subscribe(proxy, "newHeads").await;
            bench.anvil.mine(2).await;
            assert!(tokio::time::timeout(SHORT, socket.next()).await.is_err());
            let answer = over_socket(proxy, "eth_chainId").await.expect("calls are answered");
            assert!(answer["result"].is_string());
        }
        Fault::NoSocket => {
            assert!(tokio_tungstenite::connect_async(proxy.ws_url()).await.is_err());
            proxied.call("eth_chainId", json!([])).await;
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(proxy: &FaultProxy) -> Socket {
    tokio_tungstenite::connect_async(proxy.ws_url()).await.expect("the proxy listens").0
}

async fn subscribe(proxy: &FaultProxy, topic: &str) -> Socket {
    let mut socket = connect(proxy).await;
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": [topic]});
    socket.send(Message::text(request.to_string())).await.expect("it is open");
    let answer = socket.next().await.expect("it is open").expect("it is whole");
    assert!(answer.to_text().expect("it is text").contains("result"), "{answer}");
    socket
}

/// The next notification's result.
async fn next(socket: &mut Socket) -> Value {
    let message = tokio::time::timeout(LONG, socket.next()).await.expect("a message comes");
    let message = message.expect("it is open").expect("it is whole");
    let mut message: Value =
        serde_json::from_str(message.to_text().expect("it is text")).expect("it is JSON");
    message["params"]["result"].take()
}

/// Heights of the first `count` heads that are announced while as many blocks and more are made.
async fn heads(proxy: &FaultProxy, bench: &Bench, count: usize) -> Vec<u64> {
    let mut socket = subscribe(proxy, "newHeads").await;
    let mut heights = Vec::new();
    bench.anvil.mine(1).await;
    while heights.len() < count {
        match tokio::time::timeout(SHORT, next(&mut socket)).await {
            Ok(head) => heights.push(read(&head["number"])),
            Err(_) => bench.anvil.mine(1).await,
        }
    }
    heights
}

/// The answer to one call over a WebSocket; none when the connection ends instead.
async fn over_socket(proxy: &FaultProxy, method: &str) -> Option<Value> {
    let mut socket = connect(proxy).await;
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": []});
    socket.send(Message::text(request.to_string())).await.ok()?;
    let message = tokio::time::timeout(LONG, socket.next()).await.expect("something happens");
    match message? {
        Ok(Message::Text(text)) => serde_json::from_str(&text).ok(),
        _ => None,
    }
}

fn read(quantity: &Value) -> u64 {
    let digits = quantity.as_str().and_then(|text| text.strip_prefix("0x")).expect("a quantity");
    u64::from_str_radix(digits, 16).expect("a quantity")
}

#[tokio::test]
async fn faults_wear_off_and_requests_are_counted() {
    let anvil = anvil_or_skip!();
    let proxy = FaultProxy::start(&anvil.urls()).await;
    let rpc = Rpc::new(proxy.http_url());
    proxy.inject_times(Fault::ServerError { status: 500 }, 2);
    for expected in [false, false, true] {
        assert_eq!(rpc.try_call("eth_chainId", json!([])).await.is_ok(), expected);
    }
    rpc.batch(&[("eth_chainId", json!([])), ("eth_blockNumber", json!([]))]).await.unwrap();
    assert_eq!(proxy.hits(&Fault::ServerError { status: 500 }), 2);
    assert_eq!((proxy.count("eth_chainId"), proxy.count("eth_blockNumber")), (4, 1));
    assert_eq!((proxy.messages(), proxy.requests().len()), (4, 2));
}

#[tokio::test]
async fn open_sockets_are_closed_when_the_fork_changes() {
    let anvil = anvil_or_skip!();
    let other = anvil_or_skip!();
    let proxy = FaultProxy::start_forked(&anvil.urls(), &other.urls()).await;
    let mut socket = subscribe(&proxy, "newHeads").await;
    proxy.inject(Fault::OtherFork);
    let end = tokio::time::timeout(LONG, socket.next()).await.expect("it ends");
    assert!(!matches!(end, Some(Ok(Message::Text(_)))), "{end:?}");
}
