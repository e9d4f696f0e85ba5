//! Writes a block, series by series.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use wk_model::series::{Exemplar, Histogram, Labels};

use super::index::IndexWriter;
use super::{BlockInfo, Chunk, Column, MAGIC, Place};
use crate::bytes::Put;
use crate::chunk::{write_times, write_values};
use crate::histogram::{put_exemplar, put_histogram};

/// Samples that a chunk holds at most: what a query reads at least.
const MOST_SAMPLES: usize = 960;
/// Histograms that a chunk holds at most.
const MOST_HISTOGRAMS: usize = 120;
/// Columns of times that are looked through for the same one.
const KNOWN_COLUMNS: usize = 4_096;

/// A block while it is written. Nobody reads the file before [`finish`](BlockWriter::finish).
#[derive(Debug)]
pub(crate) struct BlockWriter {
    file: BufWriter<File>,
    offset: u64,
    columns: Vec<Column>,
    known: HashMap<Vec<i64>, u32>,
    index: IndexWriter,
    samples: u64,
    first: i64,
    last: i64,
    bytes: Vec<u8>,
}

impl BlockWriter {
    /// Begins the file.
    pub(crate) fn create(path: &Path) -> io::Result<BlockWriter> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(MAGIC)?;
        Ok(BlockWriter {
            file,
            offset: MAGIC.len() as u64,
            columns: Vec::new(),
            known: HashMap::new(),
            index: IndexWriter::default(),
            samples: 0,
            first: i64::MAX,
            last: i64::MIN,
            bytes: Vec::new(),
        })
    }

    /// Adds a series; everything in the order of time. Each series comes once.
    pub(crate) fn series(
        &mut self,
        labels: &Labels,
        (times, values): (&[i64], &[f64]),
        histograms: &[(i64, Arc<Histogram>)],
        exemplars: &[Exemplar],
    ) -> io::Result<()> {
        let mut chunks = Vec::new();
        let pieces = times.len().div_ceil(MOST_SAMPLES).max(1);
        let each = times.len().div_ceil(pieces).max(1);
        for (times, values) in times.chunks(each).zip(values.chunks(each)) {
            let column = self.column(times)?;
            let place = self.place(|out| write_values(values, out).map_err(io::Error::other))?;
            chunks.push(Chunk::Floats { place, column });
        }
        for part in histograms.chunks(MOST_HISTOGRAMS) {
            let (first, last) = (part[0].0, part[part.len() - 1].0);
            let place = self.place(|out| {
                deflated(out, part.len(), |raw| {
                    for (time, histogram) in part {
                        raw.put_i64(*time);
                        put_histogram(raw, histogram);
                    }
                })
            })?;
            chunks.push(Chunk::Histograms { place, first, last });
        }
        if let [oldest, ..] = exemplars {
            let (first, last) = (oldest.time_ms, exemplars[exemplars.len() - 1].time_ms);
            let place = self.place(|out| {
                deflated(out, exemplars.len(), |raw| {
                    exemplars.iter().for_each(|exemplar| put_exemplar(raw, exemplar));
                })
            })?;
            chunks.push(Chunk::Exemplars { place, first, last });
        }
        self.samples += (times.len() + histograms.len()) as u64;
        let histogram_times = histograms.iter().map(|(time, _)| *time);
        let exemplar_times = exemplars.iter().map(|exemplar| exemplar.time_ms);
        for time in times.iter().copied().chain(histogram_times).chain(exemplar_times) {
            self.first = self.first.min(time);
            self.last = self.last.max(time);
        }
        self.index.push(labels, &chunks);
        Ok(())
    }

    /// Ends the file and makes it durable.
    pub(crate) fn finish(mut self, id: u64, level: u32) -> io::Result<BlockInfo> {
        let series = self.index.count;
        let raw = std::mem::take(&mut self.index).finish(&self.columns);
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(&raw)?;
        let packed = encoder.finish()?;
        self.file.write_all(&packed)?;
        for number in [self.offset, packed.len() as u64, raw.len() as u64] {
            self.file.write_all(&number.to_le_bytes())?;
        }
        self.file.write_all(&crc32fast::hash(&packed).to_le_bytes())?;
        self.file.write_all(MAGIC)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        let (first, last) = (self.first, self.last);
        Ok(BlockInfo { id, level, first, last, series, samples: self.samples, bytes })
    }

    fn column(&mut self, times: &[i64]) -> io::Result<u32> {
        if let Some(column) = self.known.get(times) {
            return Ok(*column);
        }
        let place = self.place(|out| write_times(times, out).map_err(io::Error::other))?;
        let number = u32::try_from(self.columns.len()).map_err(io::Error::other)?;
        self.columns.push(Column {
            place,
            count: u32::try_from(times.len()).map_err(io::Error::other)?,
            first: times[0],
            last: times[times.len() - 1],
        });
        if self.known.len() == KNOWN_COLUMNS {
            self.known.clear();
        }
        self.known.insert(times.to_vec(), number);
        Ok(number)
    }

    fn place(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<Place> {
        self.bytes.clear();
        write(&mut self.bytes)?;
        self.file.write_all(&self.bytes)?;
        let place = Place {
            offset: self.offset,
            bytes: u32::try_from(self.bytes.len()).map_err(io::Error::other)?,
            checksum: crc32fast::hash(&self.bytes),
        };
        self.offset += self.bytes.len() as u64;
        Ok(place)
    }
}

/// The number of things and the things, deflated.
fn deflated(out: &mut Vec<u8>, count: usize, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let mut raw = Vec::new();
    raw.put_u64(count as u64);
    write(&mut raw);
    out.put_u64(raw.len() as u64);
    let mut encoder = DeflateEncoder::new(out, Compression::new(6));
    encoder.write_all(&raw)?;
    encoder.finish()?;
    Ok(())
}
