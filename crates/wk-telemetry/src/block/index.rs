//! The index of a block: its columns, and each series with its chunks.

use std::collections::HashMap;
use std::sync::Arc;

use wk_model::series::Labels;

use super::{Chunk, Column, Place};
use crate::bytes::{Put, Take};
use crate::postings::Postings;

const FLOATS: u8 = 0;
const HISTOGRAMS: u8 = 1;
const EXEMPLARS: u8 = 2;

/// An index while its block is written.
#[derive(Debug, Default)]
pub(super) struct IndexWriter {
    symbols: HashMap<Arc<str>, u32>,
    order: Vec<Arc<str>>,
    series: Vec<u8>,
    pub(super) count: u64,
}

impl IndexWriter {
    pub(super) fn push(&mut self, labels: &Labels, chunks: &[Chunk]) {
        self.count += 1;
        self.series.put_u64(labels.iter().count() as u64);
        for (name, value) in labels.iter() {
            for text in [name, value] {
                let symbol = self.symbol(text);
                self.series.put_u64(symbol.into());
            }
        }
        self.series.put_u64(chunks.len() as u64);
        for chunk in chunks {
            let (tag, place) = match chunk {
                Chunk::Floats { place, .. } => (FLOATS, place),
                Chunk::Histograms { place, .. } => (HISTOGRAMS, place),
                Chunk::Exemplars { place, .. } => (EXEMPLARS, place),
            };
            self.series.push(tag);
            put_place(&mut self.series, place);
            match chunk {
                Chunk::Floats { column, .. } => self.series.put_u64((*column).into()),
                Chunk::Histograms { first, last, .. } | Chunk::Exemplars { first, last, .. } => {
                    self.series.put_i64(*first);
                    self.series.put_i64(*last);
                }
            }
        }
    }

    pub(super) fn finish(self, columns: &[Column]) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.order.len() as u64);
        self.order.iter().for_each(|symbol| out.put_bytes(symbol.as_bytes()));
        out.put_u64(columns.len() as u64);
        for column in columns {
            put_place(&mut out, &column.place);
            out.put_u64(column.count.into());
            out.put_i64(column.first);
            out.put_i64(column.last);
        }
        out.put_u64(self.count);
        out.extend_from_slice(&self.series);
        out
    }

    fn symbol(&mut self, text: &Arc<str>) -> u32 {
        if let Some(symbol) = self.symbols.get(text) {
            return *symbol;
        }
        let symbol = u32::try_from(self.order.len()).expect("fewer symbols than bytes in memory");
        self.symbols.insert(text.clone(), symbol);
        self.order.push(text.clone());
        symbol
    }
}

/// An index that was read.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) columns: Vec<Column>,
    pub(crate) series: Vec<(Labels, Vec<Chunk>)>,
    pub(crate) postings: Postings,
}

impl Index {
    /// `None` where the bytes make no sense.
    pub(super) fn read(bytes: &[u8]) -> Option<Index> {
        let mut take = Take(bytes);
        let mut symbols: Vec<Arc<str>> = Vec::new();
        for _ in 0..take.count(1)? {
            symbols.push(Arc::from(take.text()?));
        }
        let mut index = Index::default();
        for _ in 0..take.count(8)? {
            let place = take_place(&mut take)?;
            let (count, first, last) = (take.u32()?, take.i64()?, take.i64()?);
            index.columns.push(Column { place, count, first, last });
        }
        for _ in 0..take.count(2)? {
            let mut pairs = Vec::new();
            for _ in 0..take.count(2)? {
                let name = symbols.get(take.u32()? as usize)?;
                pairs.push((name.clone(), symbols.get(take.u32()? as usize)?.clone()));
            }
            let mut chunks = Vec::new();
            for _ in 0..take.count(6)? {
                let chunk = take_chunk(&mut take)?;
                let known = |column: u32| (column as usize) < index.columns.len();
                if matches!(chunk, Chunk::Floats { column, .. } if !known(column)) {
                    return None;
                }
                chunks.push(chunk);
            }
            let labels = Labels::new(pairs);
            index.postings.push(&labels);
            index.series.push((labels, chunks));
        }
        take.is_empty().then_some(index)
    }
}

fn put_place(out: &mut Vec<u8>, place: &Place) {
    out.put_u64(place.offset);
    out.put_u64(place.bytes.into());
    out.extend_from_slice(&place.checksum.to_le_bytes());
}

fn take_place(take: &mut Take<'_>) -> Option<Place> {
    let (offset, bytes) = (take.u64()?, take.u32()?);
    let (sum, rest) = take.0.split_first_chunk::<4>()?;
    take.0 = rest;
    Some(Place { offset, bytes, checksum: u32::from_le_bytes(*sum) })
}

fn take_chunk(take: &mut Take<'_>) -> Option<Chunk> {
    let tag = take.byte()?;
    let place = take_place(take)?;
    match tag {
        FLOATS => Some(Chunk::Floats { place, column: take.u32()? }),
        HISTOGRAMS => Some(Chunk::Histograms { place, first: take.i64()?, last: take.i64()? }),
        EXEMPLARS => Some(Chunk::Exemplars { place, first: take.i64()?, last: take.i64()? }),
        _ => None,
    }
}
