//! ABIs, decoding, proxies and transfers.

mod anvil;
mod corpus;
mod decode;
mod parse;
mod properties;
mod proxy;
mod transfers;
