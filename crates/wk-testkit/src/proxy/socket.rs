//! The WebSocket side: subscriptions go to the node, all other calls the same way as over HTTP.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{Reply, Shared, http};
use crate::fault::{Fault, NEW_HEADS};

/// Largest notification or answer of [`Fault::OversizedBody`] over a WebSocket: it is built in
/// memory here.
const LARGEST: usize = 96 << 20;

/// Passes messages on between a client and the node, until either ends.
pub(super) async fn serve(stream: TcpStream, shared: &Arc<Shared>) {
    if shared.is_active(&Fault::NoSocket) {
        shared.hit(&Fault::NoSocket);
        return;
    }
    let Ok(mut client) = tokio_tungstenite::accept_async(stream).await else { return };
    let Ok((mut node, _)) = tokio_tungstenite::connect_async(&shared.upstream().ws).await else {
        let _ = client.close(None).await;
        return;
    };
    let mut notifications = 0;
    loop {
        tokio::select! {
            message = client.next() => match message {
                Some(Ok(Message::Text(message))) => {
                    let is_subscription = serde_json::from_str(&message).is_ok_and(|call: Value| {
                        matches!(
                            call["method"].as_str(),
                            Some("eth_subscribe" | "eth_unsubscribe")
                        )
                    });
                    let passed = if is_subscription {
                        count(shared, &message);
                        node.send(Message::Text(message)).await.is_ok()
                    } else {
                        answer(&mut client, shared, message.as_bytes()).await
                    };
                    if !passed {
                        return;
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return,
            },
            message = node.next() => match message {
                Some(Ok(Message::Text(message))) => {
                    for message in spoil(shared, &message, &mut notifications).await {
                        if client.send(Message::text(message)).await.is_err() {
                            return;
                        }
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => {
                    let _ = client.close(None).await;
                    return;
                }
            },
        }
    }
}

fn count(shared: &Shared, message: &str) {
    let call: Value = serde_json::from_str(message).unwrap_or_default();
    let method = call["method"].as_str().unwrap_or_default().to_owned();
    *shared.requests.lock().entry(method).or_default() += 1;
}

/// Answers a call or a batch; false when the connection ended over it.
async fn answer(
    client: &mut WebSocketStream<TcpStream>,
    shared: &Arc<Shared>,
    message: &[u8],
) -> bool {
    let text = match shared.reply(message).await {
        Reply::Text(text) => text,
        Reply::Status { status: 429, body, .. } => {
            // There are no statuses here: providers answer the call with the error.
            let call: Value = serde_json::from_slice(message).unwrap_or_default();
            let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
            answer["id"] = call["id"].clone();
            answer.to_string()
        }
        Reply::Status { .. } => {
            let _ = client.close(None).await;
            return false;
        }
        Reply::Slow(text, per_second) => {
            let seconds = text.len() as f64 / per_second.max(1) as f64;
            sleep(Duration::from_secs_f64(seconds)).await;
            text
        }
        Reply::Huge(bytes) => {
            let id = serde_json::from_slice::<Value>(message).unwrap_or_default()["id"].clone();
            let filling = "a".repeat(bytes.min(LARGEST));
            json!({"jsonrpc": "2.0", "id": id, "result": filling}).to_string()
        }
        Reply::Hang => std::future::pending().await,
        Reply::Reset => {
            http::reset(client.get_ref());
            return false;
        }
    };
    client.send(Message::text(text)).await.is_ok()
}

/// What the client gets for one message of the node: nothing, one, or more.
async fn spoil(shared: &Shared, message: &str, notifications: &mut u64) -> Vec<String> {
    let mut message: Value = serde_json::from_str(message).unwrap_or_default();
    if message["method"] != "eth_subscription" {
        return vec![message.to_string()];
    }
    *notifications += 1;
    let is_head = message["params"]["result"]["parentHash"].is_string();
    if is_head && let Some(header) = message.pointer_mut("/params/result") {
        shared.tamper(NEW_HEADS, header);
    }
    let mut out = vec![message];
    for fault in shared.faults() {
        let hit = match &fault {
            Fault::SilentSocket => {
                out.clear();
                true
            }
            Fault::MissingNotifications { every } if notifications.is_multiple_of(*every) => {
                out.clear();
                true
            }
            Fault::DuplicateNotifications => {
                out.extend(out.clone());
                true
            }
            Fault::Lagging { blocks } if is_head => {
                out = older(shared, &out, *blocks).await;
                true
            }
            Fault::HeadGoesBack { blocks } if is_head => {
                out.extend(older(shared, &out, *blocks).await);
                true
            }
            _ => false,
        };
        if hit {
            shared.hit(&fault);
        }
    }
    out.iter().map(Value::to_string).collect()
}

/// The same notifications about blocks that are so much lower; those that are not there are left
/// out.
async fn older(shared: &Shared, heads: &[Value], blocks: u64) -> Vec<Value> {
    let mut out = Vec::new();
    for head in heads {
        let height = crate::fault::read_quantity(&head["params"]["result"]["number"]);
        let Some(height) = height.and_then(|height| height.checked_sub(blocks)) else { continue };
        let params = json!([format!("{height:#x}"), false]);
        let block = shared.upstream.rpc.try_call("eth_getBlockByNumber", params).await;
        if let Ok(Value::Object(mut header)) = block {
            for body in ["transactions", "uncles", "withdrawals", "size", "totalDifficulty"] {
                header.remove(body);
            }
            let mut older = head.clone();
            older["params"]["result"] = Value::Object(header);
            out.push(older);
        }
    }
    out
}
