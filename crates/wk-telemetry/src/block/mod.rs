//! A block: an immutable file of samples. Chunks first, then an index of series, then where that is.
//!
//! ```text
//! magic | chunks and columns of times … | index, deflated | offset, length, raw length, checksum | magic
//! ```
//!
//! Times are kept once for all series that share them. Every piece has a checksum in the index.

mod index;
mod read;
mod write;

pub(crate) use index::Index;
pub(crate) use read::Block;
pub(crate) use write::BlockWriter;

const MAGIC: &[u8; 8] = b"wk-blk-1";
/// Offset, length and raw length of the index, its checksum, magic.
const FOOTER: usize = 8 + 8 + 8 + 4 + 8;
/// An index that claims to be larger is taken for damage.
const MAX_INDEX: u64 = 4 << 30;

/// Where something is in the file, and what it must add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
    pub(crate) checksum: u32,
}

/// Times that series share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) place: Place,
    pub(crate) count: u32,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// A part of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// Numbers, with the number of the column that holds their times.
    Floats { place: Place, column: u32 },
    /// Native histograms with their times.
    Histograms { place: Place, first: i64, last: i64 },
    /// Exemplars.
    Exemplars { place: Place, first: i64, last: i64 },
}

/// What a block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Names the block's file; later blocks have higher numbers.
    pub id: u64,
    /// How often its samples were merged into larger blocks.
    pub level: u32,
    /// First time, milliseconds since 1970.
    pub first: i64,
    /// Last time.
    pub last: i64,
    /// Series.
    pub series: u64,
    /// Numbers and histograms.
    pub samples: u64,
    /// Size of the file.
    pub bytes: u64,
}
