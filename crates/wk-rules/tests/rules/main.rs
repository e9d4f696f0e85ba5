//! Rules as their users know them: compiled, run over blocks, tested, measured.

mod find;
mod late;
mod properties;
mod refuse;
mod speed;
mod support;
mod users_tests;
