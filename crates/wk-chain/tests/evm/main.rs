//! Following, verifying and reading EVM chains.

mod anvil;
mod corpus;
mod follow;
mod reads;
mod sim;
mod wire;
