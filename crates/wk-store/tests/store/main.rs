//! The store's promises, tried at its door.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "figures, and how a test process talks to its parent")]

mod blocks;
mod conditions;
mod findings;
mod fold;
mod inspections;
mod kill;
mod outbox;
mod retention;
mod speed;
mod support;
mod upgrade;
mod upkeep;
