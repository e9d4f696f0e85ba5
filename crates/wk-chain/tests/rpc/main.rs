//! The RPC pool against anvil and against scripted endpoints on loopback, over real HTTP and WebSocket.

mod anvil;
mod batches;
mod choice;
mod honesty;
mod limits;
mod secrets;
mod server;
mod subscriptions;
mod transport;
