//! One file per channel that carries findings to people.
