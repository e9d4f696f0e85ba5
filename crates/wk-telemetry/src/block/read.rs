//! Reads a block. Every piece is checked; what is broken is told as damage.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::DeflateDecoder;
use parking_lot::Mutex;
use wk_model::series::{Exemplar, Point, SampleValue};

use super::index::Index;
use super::{BlockInfo, FOOTER, MAGIC, MAX_INDEX, Place};
use crate::bytes::Take;
use crate::chunk::{read_times, read_values};
use crate::damage::Damage;
use crate::histogram::{take_exemplar, take_histogram};

/// A chunk of histograms or exemplars that claims to be larger is taken for damage.
const MAX_RAW: u64 = 64 << 20;

/// A block that can be read. The file stays readable after it was removed.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) info: BlockInfo,
    pub(crate) path: PathBuf,
    file: File,
    index: Mutex<Option<Arc<Index>>>,
    used: AtomicBool,
}

impl Block {
    pub(crate) fn open(path: &Path, info: BlockInfo) -> Result<Block, Damage> {
        let file = File::open(path).map_err(|error| Damage {
            path: path.to_owned(),
            offset: 0,
            bytes: info.bytes,
            what: format!("the block of {} samples cannot be opened: {error}", info.samples),
        })?;
        Ok(Block {
            info,
            path: path.to_owned(),
            file,
            index: Mutex::default(),
            used: AtomicBool::default(),
        })
    }

    /// The index; it stays in memory until [`rest`](Block::rest).
    pub(crate) fn index(&self) -> Result<Arc<Index>, Damage> {
        self.used.store(true, Ordering::Relaxed);
        let mut kept = self.index.lock();
        if let Some(index) = &*kept {
            return Ok(index.clone());
        }
        let index = Arc::new(self.read_index()?);
        *kept = Some(index.clone());
        Ok(index)
    }

    /// Lets go of the index, unless it was used since the last call.
    pub(crate) fn rest(&self) {
        if !self.used.swap(false, Ordering::Relaxed) {
            *self.index.lock() = None;
        }
    }

    /// The times of a column.
    pub(crate) fn times(&self, index: &Index, column: u32) -> Result<Vec<i64>, Damage> {
        let column = &index.columns[column as usize];
        let bytes = self.read(column.place)?;
        read_times(&bytes, column.count as usize)
            .map_err(|error| self.damage(column.place, &error.to_string()))
    }

    /// The numbers of a chunk.
    pub(crate) fn values(&self, place: Place, count: usize) -> Result<Vec<f64>, Damage> {
        let bytes = self.read(place)?;
        read_values(&bytes, count).map_err(|error| self.damage(place, &error.to_string()))
    }

    /// The native histograms of a chunk.
    pub(crate) fn histograms(&self, place: Place) -> Result<Vec<Point>, Damage> {
        self.things(place, |take| {
            let time_ms = take.i64()?;
            let value = SampleValue::Histogram(Arc::new(take_histogram(take)?));
            Some(Point { time_ms, value })
        })
    }

    /// The exemplars of a chunk.
    pub(crate) fn exemplars(&self, place: Place) -> Result<Vec<Exemplar>, Damage> {
        self.things(place, take_exemplar)
    }

    fn things<T>(
        &self,
        place: Place,
        mut one: impl FnMut(&mut Take<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Damage> {
        let bytes = self.read(place)?;
        let mut take = Take(&bytes);
        let raw = take.u64().and_then(|length| inflated(take.0, length.min(MAX_RAW)));
        let things = raw.and_then(|raw| {
            let mut take = Take(&raw);
            (0..take.count(1)?).map(|_| one(&mut take)).collect()
        });
        things.ok_or_else(|| self.damage(place, "a chunk makes no sense"))
    }

    fn read(&self, place: Place) -> Result<Vec<u8>, Damage> {
        let mut bytes = vec![0; place.bytes as usize];
        self.file
            .read_exact_at(&mut bytes, place.offset)
            .map_err(|error| self.damage(place, &format!("a chunk cannot be read: {error}")))?;
        if crc32fast::hash(&bytes) != place.checksum {
            return Err(self.damage(place, "a chunk is damaged"));
        }
        Ok(bytes)
    }

    fn read_index(&self) -> Result<Index, Damage> {
        let broken = |offset, what: &str| Damage {
            path: self.path.clone(),
            offset,
            bytes: self.info.bytes.saturating_sub(offset),
            what: format!("{what}; its {} samples are left out", self.info.samples),
        };
        let footer_at = self.info.bytes.saturating_sub(FOOTER as u64);
        let mut footer = [0; FOOTER];
        self.file
            .read_exact_at(&mut footer, footer_at)
            .map_err(|error| broken(footer_at, &format!("the block's end is missing: {error}")))?;
        let mut take = &footer[..];
        let mut number = || {
            let (head, rest) = take.split_first_chunk::<8>()?;
            take = rest;
            Some(u64::from_le_bytes(*head))
        };
        let (offset, length, raw) = match (number(), number(), number()) {
            (Some(offset), Some(length), Some(raw)) => (offset, length, raw),
            _ => return Err(broken(footer_at, "the block's end is damaged")),
        };
        let fits = offset.checked_add(length) == Some(footer_at) && raw <= MAX_INDEX;
        if !fits || !footer.ends_with(MAGIC) {
            return Err(broken(footer_at, "the block's end is damaged"));
        }
        let mut packed = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file
            .read_exact_at(&mut packed, offset)
            .map_err(|error| broken(offset, &format!("the index cannot be read: {error}")))?;
        let sum = footer[24..28].try_into().map(u32::from_le_bytes);
        if sum.ok() != Some(crc32fast::hash(&packed)) {
            return Err(broken(offset, "the block's index is damaged"));
        }
        inflated(&packed, raw)
            .and_then(|bytes| Index::read(&bytes))
            .ok_or_else(|| broken(offset, "the block's index makes no sense"))
    }

    fn damage(&self, place: Place, what: &str) -> Damage {
        Damage {
            path: self.path.clone(),
            offset: place.offset,
            bytes: place.bytes.into(),
            what: what.to_owned(),
        }
    }
}

/// What was deflated; `None` unless it is `length` bytes.
fn inflated(bytes: &[u8], length: u64) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    DeflateDecoder::new(bytes).take(length.checked_add(1)?).read_to_end(&mut raw).ok()?;
    (raw.len() as u64 == length).then_some(raw)
}
