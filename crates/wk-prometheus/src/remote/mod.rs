//! Remote read: the messages of Prometheus' protocol, read and written by hand.

mod bits;
mod chunk;
mod message;
mod wire;

pub(crate) use chunk::chunks;
pub(crate) use message::{ReadQuery, ReadRequest, chunked_response, frame, query_result, series};
