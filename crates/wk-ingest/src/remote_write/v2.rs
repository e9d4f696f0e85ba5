//! `io.prometheus.write.v2.Request`: texts stand once in a table and are referred to.
//!
//! When a counter was created is read over: the store has no place for it, and a made-up zero sample
//! at that time would come out of order with every request after the first.

use wk_model::series::{Exemplar, Label, Labels, METRIC_NAME, Metadata, MetricKind};

use super::v1::{LONGEST_EXEMPLAR, metric_kind, sample};
use super::{DecodeError, histogram};
use crate::fill::{Fill, shown};
use crate::protobuf::{Field, Malformed, Reader};

pub(super) fn decode(message: &[u8], fill: &mut Fill<'_>) -> Result<(), DecodeError> {
    let mut symbols = Vec::new();
    let mut request = Reader::new(message);
    while let Some((number, field)) = request.next_field()? {
        if number == 4 {
            fill.pay(size_of::<&str>())?;
            symbols.push(field.text()?);
        }
    }
    let mut scratch = Scratch::default();
    let mut request = Reader::new(message);
    while let Some((number, field)) = request.next_field()? {
        if number == 5 {
            series(field.message()?, &symbols, &mut scratch, fill)?;
        }
    }
    Ok(())
}

/// Memory used again from series to series.
#[derive(Default)]
struct Scratch {
    references: Vec<usize>,
}

fn series<'a>(
    mut message: Reader<'a>,
    symbols: &[&'a str],
    scratch: &mut Scratch,
    fill: &mut Fill<'_>,
) -> Result<(), DecodeError> {
    fill.start()?;
    let references = &mut scratch.references;
    references.clear();
    let mut declared = None;
    let mut wrong = None;
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => {
                fill.pay(size_of::<usize>() * field.bytes().map_or(1, <[u8]>::len))?;
                read_references(field, references)?;
            }
            2 => {
                let (time_ms, value) = sample(field.message()?)?;
                fill.float(time_ms, value)?;
            }
            3 => match histogram::decode(field.message()?)? {
                Ok((time_ms, histogram)) => fill.histogram(time_ms, histogram)?,
                Err(reason) => wrong = Some(reason),
            },
            4 => match exemplar(field.message()?, symbols)? {
                Ok(exemplar) => fill.exemplar(exemplar)?,
                Err(reason) => wrong = Some(reason),
            },
            5 => declared = Some(metadata(field.message()?)?),
            _ => {}
        }
    }
    let (mut sorted, mut last, mut metric) = (true, "", "");
    match resolve(references, symbols) {
        Err(reason) => wrong = Some(reason),
        Ok(pairs) => {
            for (name, value) in pairs {
                sorted &= last < name;
                last = name;
                if name == METRIC_NAME {
                    metric = value;
                }
                fill.label(name, value)?;
            }
        }
    }
    let symbol = |at: usize| symbols.get(at).copied().unwrap_or_default();
    if fill.end(sorted, wrong)
        && let Some((kind, help, unit)) = declared
    {
        let (help, unit) = (symbol(help), symbol(unit));
        if kind != MetricKind::Unknown || !help.is_empty() || !unit.is_empty() {
            let metadata = Metadata { kind, help: help.to_owned(), unit: unit.to_owned() };
            fill.metadata(metric, metadata)?;
        }
    }
    Ok(())
}

fn read_references(field: Field<'_>, into: &mut Vec<usize>) -> Result<(), Malformed> {
    field.each_varint(|at| into.push(usize::try_from(at).unwrap_or(usize::MAX)))
}

/// Name and value of each label.
fn resolve<'r, 'a>(
    references: &'r [usize],
    symbols: &'r [&'a str],
) -> Result<impl Iterator<Item = (&'a str, &'a str)> + 'r, String> {
    if !references.len().is_multiple_of(2) {
        return Err(format!("its label references are {}: an odd number", references.len()));
    }
    if let Some(at) = references.iter().find(|at| **at >= symbols.len()) {
        let name = references.first().and_then(|at| symbols.get(*at)).copied();
        return Err(format!(
            "it refers to text {at} of {} (its first label is `{}`)",
            symbols.len(),
            shown(name.unwrap_or_default())
        ));
    }
    Ok(references.chunks_exact(2).map(|pair| (symbols[pair[0]], symbols[pair[1]])))
}

fn exemplar(
    mut message: Reader<'_>,
    symbols: &[&str],
) -> Result<Result<Exemplar, String>, Malformed> {
    let too_long = || format!("an exemplar has more than {LONGEST_EXEMPLAR} bytes");
    if message.remaining() > LONGEST_EXEMPLAR {
        return Ok(Err(too_long()));
    }
    let mut references = Vec::new();
    let (mut value, mut time_ms) = (0.0, 0);
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => read_references(field, &mut references)?,
            2 => value = field.double()?,
            3 => time_ms = field.signed()?,
            _ => {}
        }
    }
    // A short reference may name a long text.
    let length: usize = references.iter().filter_map(|at| symbols.get(*at)).map(|s| s.len()).sum();
    if length > LONGEST_EXEMPLAR {
        return Ok(Err(too_long()));
    }
    Ok(resolve(&references, symbols).map(|pairs| {
        let labels: Vec<Label> = pairs.map(|(n, v)| (n.into(), v.into())).collect();
        Exemplar { labels: Labels::new(labels), time_ms, value }
    }))
}

/// Kind, and where help and unit stand.
fn metadata(mut message: Reader<'_>) -> Result<(MetricKind, usize, usize), Malformed> {
    let at = |value| usize::try_from(value).unwrap_or(usize::MAX);
    let (mut kind, mut help, mut unit) = (MetricKind::Unknown, 0, 0);
    while let Some((number, field)) = message.next_field()? {
        match number {
            1 => kind = metric_kind(field.unsigned()?),
            3 => help = at(field.unsigned()?),
            4 => unit = at(field.unsigned()?),
            _ => {}
        }
    }
    Ok((kind, help, unit))
}
