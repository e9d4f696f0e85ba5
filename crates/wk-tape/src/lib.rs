//! A recorded chain and a JSON-RPC node that serves it on loopback.
