//! Remote read: the messages of Prometheus' protocol.

mod bits;
mod chunk;
mod message;

pub(crate) use chunk::chunks;
pub(crate) use message::{ReadQuery, ReadRequest, chunked_response, frame, series};
