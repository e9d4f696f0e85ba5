//! Rules as their users know them: compiled, run over blocks, tested, measured.

mod find;
mod late;
mod refuse;
mod support;
