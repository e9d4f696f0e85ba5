//! The whole program, as its users meet it: one binary, so that it is linked once.

mod api;
mod beside;
mod cli;
mod contracts;
mod demo;
mod faults;
mod first_alert;
mod kill;
mod pending;
mod readme;
mod security;
mod support;
mod ui;
