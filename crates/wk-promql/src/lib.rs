//! PromQL: parsing, checking and evaluation over any source of series. No I/O, no clock.

mod annotations;
pub mod ast;
mod check;
mod error;
mod eval;
mod format;
mod functions;
mod histogram;
mod lexer;
mod matcher;
mod parser;
mod pretty;
mod queryable;

pub use annotations::Annotations;
pub use error::{ParseError, QueryError, position};
pub use eval::{Answer, Engine, Output, Query, ResultSeries};
pub use format::{format_query, number as format_number, short_number};
pub use functions::{FUNCTIONS, Function};
pub use histogram::{Bucket, buckets};
pub use lexer::duration_ms;
pub use matcher::{MatchOp, Matcher};
pub use parser::{ParseOptions, parse, parse_selector, parse_with};
pub use pretty::pretty_query;
pub use queryable::{
    Cancel, ExemplarSeries, MemorySeries, Queryable, Scope, Select, SeriesData, SeriesStream,
};
