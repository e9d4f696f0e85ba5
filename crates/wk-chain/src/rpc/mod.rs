//! A pool of JSON-RPC endpoints that knows which of them to believe.
