//! What a client of the tape node sees.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use wk_tape::{
    EndpointOptions, Entry, Lie, NodeUrls, Pace, Recorded, Tape, TapeNode, TapeOptions, Timing,
    header_hash, state_key,
};

const EMPTY_ROOT: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
const ALICE: &str = "0x00000000000000000000000000000000000000a1";
const VAULT: &str = "0x00000000000000000000000000000000000000c1";

fn word(number: u64) -> String {
    format!("0x{number:064x}")
}

/// A block with one transaction and one log; `salt` tells branches apart.
fn recorded(number: u64, salt: u64) -> Recorded {
    let transaction_hash = word(0x1000 + number * 16 + salt);
    let place = json!({"blockHash": word(0), "blockNumber": format!("{number:#x}"),
        "transactionIndex": "0x0"});
    let with_place = |mut value: Value| {
        let fields = value.as_object_mut().expect("it is written as an object");
        fields.extend(place.as_object().expect("it is written as an object").clone());
        value
    };
    let log = with_place(json!({"address": VAULT, "topics": [word(7)], "data": word(number),
        "logIndex": "0x0", "transactionHash": transaction_hash, "blockTimestamp": "0x0"}));
    let block = json!({
        "hash": word(0), "parentHash": word(0), "sha3Uncles": word(1), "miner": ALICE,
        "stateRoot": word(salt), "transactionsRoot": EMPTY_ROOT, "receiptsRoot": EMPTY_ROOT,
        "logsBloom": format!("0x{}", "00".repeat(256)), "difficulty": "0x0",
        "number": format!("{number:#x}"), "gasLimit": "0x1c9c380", "gasUsed": "0x5208",
        "timestamp": format!("{:#x}", 1_000 + number), "extraData": "0x", "mixHash": word(0),
        "nonce": "0x0000000000000000", "baseFeePerGas": "0x3b9aca00", "uncles": [],
        "transactions": [with_place(json!({"hash": transaction_hash, "from": ALICE, "to": VAULT}))],
    });
    let receipt = with_place(json!({"transactionHash": transaction_hash, "status": "0x1",
        "gasUsed": "0x5208", "effectiveGasPrice": "0x3b9aca01", "logs": [log]}));
    let mut state =
        BTreeMap::from([(state_key("balance", ALICE, ""), json!(format!("{number:#x}")))]);
    if number == 1 {
        state.insert(state_key("code", VAULT, ""), json!("0x60"));
        state.insert(state_key("call", VAULT, "0xabcd"), json!(word(5)));
        state.insert(state_key("storage", VAULT, &word(2)), json!(word(6)));
        let failed = json!({"error": {"code": 3, "message": "execution reverted", "data": "0x08"}});
        state.insert(state_key("call", VAULT, &format!("0xabcd {ALICE}")), failed);
    }
    Recorded { block, receipts: vec![receipt], state }
}

/// Blocks 0–4, then a reorg of the newest two, then block 5.
fn tape() -> Tape {
    let mut entries: Vec<Entry> = (0..5).map(|number| Entry::Block(recorded(number, 0))).collect();
    entries.push(Entry::Reorg { drop: 2, blocks: vec![recorded(3, 1), recorded(4, 1)] });
    entries.push(Entry::Block(recorded(5, 1)));
    Tape {
        chain_id: 7,
        client: "anvil/v1".to_owned(),
        contracts: BTreeMap::new(),
        history: 5,
        entries,
    }
}

async fn start(idle: bool, endpoints: Vec<EndpointOptions>) -> TapeNode {
    let options =
        TapeOptions { pace: Pace::Manual, timing: Timing::Now, history: None, idle, endpoints };
    TapeNode::start(tape(), options).await.expect("loopback can be listened on")
}

async fn honest() -> TapeNode {
    start(false, vec![EndpointOptions::default()]).await
}

async fn post(url: &str, body: String) -> Value {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::Client::new().post(url).body(body).send().await.expect("it listens");
    let text = answer.text().await.expect("it answers in full");
    serde_json::from_str(&text).expect("it answers JSON")
}

async fn call(url: &str, method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut answer = post(url, request.to_string()).await;
    assert_eq!(answer["id"], 1, "{answer}");
    if answer["error"].is_object() { answer["error"].take() } else { answer["result"].take() }
}

#[tokio::test]
async fn answers_as_a_node_does() {
    let node = honest().await;
    let url = node.endpoints().remove(0).http;
    let head = call(&url, "eth_getBlockByNumber", json!(["latest", false])).await;
    let transaction = json!([word(0x1040)]);
    let cases = [
        ("eth_chainId", json!([]), json!("0x7")),
        ("net_version", json!([]), json!("7")),
        ("web3_clientVersion", json!([]), json!("anvil/v1")),
        ("eth_syncing", json!([]), json!(false)),
        ("eth_blockNumber", json!([]), json!("0x4")),
        ("eth_getBlockByNumber", json!(["0x5", false]), Value::Null),
        ("eth_getBlockByHash", json!([head["hash"], false]), head.clone()),
        ("eth_getBlockByHash", json!([word(9), false]), Value::Null),
        ("eth_getBlockReceipts", json!(["0x5"]), Value::Null),
        ("eth_getBlockTransactionCountByNumber", json!(["latest"]), json!("0x1")),
        ("eth_getTransactionReceipt", json!([word(9)]), Value::Null),
        ("eth_getBalance", json!([ALICE, "latest"]), json!("0x4")),
        ("eth_getBalance", json!([ALICE, "0x2"]), json!("0x2")),
        ("eth_getBalance", json!([ALICE, {"blockHash": head["hash"]}]), json!("0x4")),
        ("eth_getCode", json!([VAULT, "0x0"]), json!("0x")),
        ("eth_getCode", json!([VAULT, "0x1"]), json!("0x60")),
        ("eth_call", json!([{"to": VAULT, "data": "0xABCD"}, "latest"]), json!(word(5))),
        ("eth_call", json!([{"to": VAULT, "input": "0xabcd"}, "0x0"]), json!("0x")),
        (
            "eth_call",
            json!([{"to": VAULT, "data": "0xabcd", "from": VAULT}, "0x1"]),
            json!(word(5)),
        ),
        ("eth_call", json!([{"to": ALICE, "data": "0xabcd"}, "latest"]), json!("0x")),
        ("eth_getStorageAt", json!([VAULT, "0x2", "latest"]), json!(word(6))),
        ("eth_getStorageAt", json!([ALICE, "0x2", "latest"]), json!(word(0))),
        ("eth_getLogs", json!([{"fromBlock": "0x9", "toBlock": "0xa"}]), json!([])),
        ("txpool_status", json!([]), json!({"pending": "0x2", "queued": "0x0"})),
    ];
    for (method, params, expected) in cases {
        assert_eq!(call(&url, method, params.clone()).await, expected, "{method} {params}");
    }
    let errors = [
        ("eth_mine", json!([]), -32601),
        ("eth_subscribe", json!(["newHeads"]), -32601),
        ("eth_getBlockByHash", json!(["0x12", false]), -32602),
        ("eth_getBlockByNumber", json!(["soon", false]), -32602),
        ("eth_getBalance", json!([ALICE, "0x9"]), -32000),
        ("eth_call", json!([{"to": VAULT, "data": "0xef"}, "latest"]), 3),
        ("eth_call", json!([{"to": VAULT, "data": "0xabcd", "from": ALICE}, "latest"]), 3),
        ("eth_getStorageAt", json!([VAULT, "0x99", "latest"]), -32000),
        ("eth_getLogs", json!([{"blockHash": word(9)}]), -32000),
        ("eth_getLogs", json!([{"fromBlock": "0x3", "toBlock": "0x2"}]), -32602),
    ];
    for (method, params, code) in errors {
        assert_eq!(call(&url, method, params.clone()).await["code"], code, "{method} {params}");
    }

    let receipt = call(&url, "eth_getTransactionReceipt", transaction.clone()).await;
    assert_eq!(receipt["blockHash"], head["hash"]);
    assert_eq!(receipt["logs"][0]["blockHash"], head["hash"]);
    assert_eq!(receipt["logs"][0]["blockTimestamp"], head["timestamp"]);
    let full = call(&url, "eth_getTransactionByHash", transaction).await;
    assert_eq!((&full["blockHash"], &full["from"]), (&head["hash"], &json!(ALICE)));
    let logs = call(&url, "eth_getLogs", json!([{"fromBlock": "0x1", "toBlock": "0x3"}])).await;
    let found: Vec<&Value> = logs.as_array().unwrap().iter().map(|log| &log["data"]).collect();
    assert_eq!(found, [&word(1), &word(2), &word(3)]);
    let fees = call(&url, "eth_feeHistory", json!(["0x2", "latest", [50]])).await;
    assert_eq!(
        (&fees["oldestBlock"], &fees["reward"]),
        (&json!("0x3"), &json!([["0x1"], ["0x1"]]))
    );
    assert_eq!(fees["baseFeePerGas"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn batches_and_broken_requests_get_json_rpc_answers() {
    let node = honest().await;
    let url = node.endpoints().remove(0).http;
    let request = |id: Value, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method});
    let batch = json!([request(json!("a"), "eth_chainId"), request(json!(2), "no"), 5]);
    let answers = post(&url, batch.to_string()).await;
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": "a", "result": "0x7"}));
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!(2), &json!(-32601)));
    assert_eq!(answers[2]["error"]["code"], -32600);
    for (body, code) in [("{", -32700), ("[]", -32600), ("7", -32600), ("{\"id\":1}", -32600)] {
        assert_eq!(post(&url, body.to_owned()).await["error"]["code"], code, "{body}");
    }
}

#[tokio::test]
async fn every_block_hashes_to_its_hash_and_stands_on_its_parent() {
    let node = start(true, vec![EndpointOptions::default()]).await;
    let url = node.endpoints().remove(0).http;
    for _ in 0..5 {
        assert!(node.advance());
    }
    assert_eq!(node.height(), 8, "a reorg, a block, and three empty ones");
    let mut parent = Value::Null;
    for height in 0..=node.height() {
        let params = json!([format!("{height:#x}"), true]);
        let block = call(&url, "eth_getBlockByNumber", params).await;
        assert_eq!(block["hash"], json!(header_hash(&block).expect("it is a header")), "{height}");
        if height > 0 {
            assert_eq!(block["parentHash"], parent, "{height}");
        }
        parent = block["hash"].clone();
    }
}

#[tokio::test]
async fn recorded_timing_gives_the_same_hashes_each_time() {
    let mut hashes = Vec::new();
    for _ in 0..2 {
        let options = TapeOptions {
            pace: Pace::Manual,
            timing: Timing::Recorded,
            history: None,
            idle: false,
            endpoints: vec![EndpointOptions::default()],
        };
        let node = TapeNode::start(tape(), options).await.unwrap();
        let url = node.endpoints().remove(0).http;
        let head = call(&url, "eth_getBlockByNumber", json!(["latest", false])).await;
        assert_eq!(head["timestamp"], json!(format!("{:#x}", 1_004)));
        hashes.push(head["hash"].clone());
    }
    assert_eq!(hashes[0], hashes[1]);
}

#[tokio::test]
async fn subscribers_see_heads_logs_and_the_reorg() {
    let node = honest().await;
    let NodeUrls { http, ws } = node.endpoints().remove(0);
    let (mut socket, _) = tokio_tungstenite::connect_async(&ws).await.unwrap();
    let topics = [
        json!(["newHeads"]),
        json!(["logs", {"address": VAULT}]),
        json!(["newPendingTransactions"]),
    ];
    let mut ids = Vec::new();
    for (index, params) in topics.iter().enumerate() {
        let request =
            json!({"jsonrpc": "2.0", "id": index, "method": "eth_subscribe", "params": params});
        socket.send(Message::text(request.to_string())).await.unwrap();
        ids.push(next(&mut socket).await["result"].clone());
    }
    let (before, three) = (
        call(&http, "eth_getBlockByNumber", json!(["0x4", false])).await,
        call(&http, "eth_getBlockByNumber", json!(["0x3", false])).await,
    );
    assert!(node.advance());

    // Two heads at heights that were there before, four logs of which two are taken back, and the
    // transaction that block 5 will hold.
    let mut seen: Vec<Vec<Value>> = vec![Vec::new(); 3];
    for _ in 0..7 {
        let mut message = next(&mut socket).await;
        let topic = ids.iter().position(|id| *id == message["params"]["subscription"]).unwrap();
        seen[topic].push(message["params"]["result"].take());
    }
    let heads: Vec<&Value> = seen[0].iter().map(|head| &head["number"]).collect();
    assert_eq!(heads, ["0x3", "0x4"]);
    assert_eq!(seen[0][0]["parentHash"], three["parentHash"]);
    assert_ne!(seen[0][1]["hash"], before["hash"]);
    let logs: Vec<(&Value, &Value)> =
        seen[1].iter().map(|log| (&log["removed"], &log["data"])).collect();
    let (yes, no) = (json!(true), json!(false));
    let words = [word(4), word(3), word(3), word(4)].map(Value::from);
    assert_eq!(logs, [(&yes, &words[0]), (&yes, &words[1]), (&no, &words[2]), (&no, &words[3])]);
    assert_eq!(seen[2], [json!(word(0x1051))]);

    // The old branch can still be asked for by hash, but is not part of the chain.
    let old = call(&http, "eth_getBlockByHash", json!([before["hash"], false])).await;
    assert_eq!(old["hash"], before["hash"]);
    assert_eq!(call(&http, "eth_getTransactionReceipt", json!([word(0x1040)])).await, Value::Null);
    assert!(node.advance());
    assert!(!node.advance(), "the tape is at its end");
}

async fn next(
    socket: &mut (impl StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin),
) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(5), socket.next()).await;
    let message = message.expect("a message comes").expect("it is open").expect("it is whole");
    serde_json::from_str(message.to_text().expect("it is text")).expect("it is JSON")
}

#[tokio::test]
async fn liars_lie_from_their_block_on_and_the_others_do_not() {
    let liar = |lie| EndpointOptions { lies: vec![(1, lie)], delay: Duration::ZERO };
    let node =
        start(true, vec![EndpointOptions::default(), liar(Lie::OtherFork), liar(Lie::NoLogs)])
            .await;
    let urls: Vec<String> = node.endpoints().into_iter().map(|urls| urls.http).collect();
    let hashes = async |height: &str| {
        let mut hashes = Vec::new();
        for url in &urls {
            let head = call(url, "eth_getBlockByNumber", json!([height, false])).await;
            assert_eq!(head["hash"], json!(header_hash(&head).expect("it is a header")));
            hashes.push(head["hash"].clone());
        }
        hashes
    };
    let same = hashes("latest").await;
    assert!(same.iter().all(|hash| *hash == same[0]));
    node.advance();
    let split = hashes("latest").await;
    assert!(split[0] != split[1] && split[0] == split[2], "{split:?}");
    let below = hashes("0x2").await;
    assert!(below.iter().all(|hash| *hash == below[0]), "the lie begins above: {below:?}");
    for (url, expected) in urls.iter().zip([1, 1, 0]) {
        let receipts = call(url, "eth_getBlockReceipts", json!(["latest"])).await;
        assert_eq!(receipts[0]["logs"].as_array().unwrap().len(), expected, "{url}");
    }
}

#[tokio::test]
async fn nothing_is_played_before_anyone_asks() {
    let options = TapeOptions {
        pace: Pace::Every(Duration::from_millis(20)),
        timing: Timing::Now,
        history: Some(2),
        idle: false,
        endpoints: vec![EndpointOptions::default()],
    };
    let node = TapeNode::start(tape(), options).await.unwrap();
    let url = node.endpoints().remove(0).http;
    assert_eq!((node.height(), node.upcoming()), (1, 5));
    call(&url, "eth_chainId", json!([])).await;
    tokio::time::timeout(Duration::from_secs(5), async {
        while node.upcoming() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the tape plays to its end");
    assert_eq!(node.height(), 5);
}
