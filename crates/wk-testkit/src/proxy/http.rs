//! The HTTP side: just enough of HTTP/1.1 to answer POSTs, and to answer them badly on purpose.
//!
//! By hand, because a proper server does not let us reset a connection or trickle an answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{Reply, Shared};
use crate::fault::Fault;

/// Longest request head and largest body that a client of a test may send.
const LARGEST_HEAD: usize = 64 << 10;
const LARGEST_BODY: usize = 64 << 20;

/// Answers the requests of one connection, one after the other.
pub(super) async fn serve(mut stream: TcpStream, shared: &Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Ok(Some(body)) = read_request(&mut stream, &mut buffer).await {
        sleep(Duration::from_millis(shared.delay.load(Ordering::Relaxed))).await;
        let written = match shared.reply(&body).await {
            Reply::Text(text) => write(&mut stream, 200, None, &text).await,
            Reply::Status { status, retry_after, body } => {
                write(&mut stream, status, retry_after, &body).await
            }
            Reply::Slow(text, per_second) => write_slowly(&mut stream, &text, per_second).await,
            Reply::Huge(bytes) => write_huge(&mut stream, bytes).await,
            Reply::Hang => std::future::pending().await,
            Reply::Reset => {
                reset(&stream);
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

/// Makes the close of `stream` a reset instead of an orderly end.
pub(super) fn reset(stream: &TcpStream) {
    // On failure the client sees a plain close, which is a fault too.
    let _ = stream.set_zero_linger();
}

/// Reads one request's body; none when the client is done.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if buffer.len() > LARGEST_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let length = String::from_utf8_lossy(&buffer[..head])
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .filter(|length| *length <= LARGEST_BODY)
        .ok_or(io::ErrorKind::InvalidData)?;
    while buffer.len() < head + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let rest = buffer.split_off(head + length);
    let body = std::mem::replace(buffer, rest).split_off(head);
    Ok(Some(body))
}

async fn write(
    stream: &mut TcpStream,
    status: u16,
    retry_after: Option<u64>,
    body: &str,
) -> io::Result<()> {
    let mut message = head(status, retry_after, body.len());
    message.push_str(body);
    stream.write_all(message.as_bytes()).await
}

async fn write_slowly(stream: &mut TcpStream, body: &str, per_second: usize) -> io::Result<()> {
    stream.write_all(head(200, None, body.len()).as_bytes()).await?;
    let steps = usize::try_from(1_000 / Fault::SLOW_STEP.as_millis()).unwrap_or(1);
    for piece in body.as_bytes().chunks((per_second / steps).max(1)) {
        sleep(Fault::SLOW_STEP).await;
        stream.write_all(piece).await?;
    }
    Ok(())
}

async fn write_huge(stream: &mut TcpStream, bytes: usize) -> io::Result<()> {
    const START: &str = r#"{"jsonrpc":"2.0","id":1,"result":""#;
    const END: &str = "\"}";
    let mut left = bytes.saturating_sub(START.len() + END.len());
    let length = START.len() + left + END.len();
    stream.write_all(head(200, None, length).as_bytes()).await?;
    stream.write_all(START.as_bytes()).await?;
    let piece = [b'a'; 16 << 10];
    while left > 0 {
        let now = left.min(piece.len());
        stream.write_all(&piece[..now]).await?;
        left -= now;
    }
    stream.write_all(END.as_bytes()).await
}

fn head(status: u16, retry_after: Option<u64>, length: usize) -> String {
    let reason = match status {
        200 => "OK",
        429 => "Too Many Requests",
        _ => "Error",
    };
    let retry_after = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n"));
    let retry_after = retry_after.unwrap_or_default();
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n{retry_after}\
         content-length: {length}\r\n\r\n"
    )
}
