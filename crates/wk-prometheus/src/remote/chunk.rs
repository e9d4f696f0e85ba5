//! Floats as Prometheus packs them: times by the change of their distance, values by what changed
//! of their bits (Facebook's Gorilla).

use wk_ingest::protobuf::{push_varint, zigzag};
use wk_model::series::{Point, SampleValue};

use super::bits::Bits;

/// Samples of a chunk, as Prometheus cuts them.
const SAMPLES: usize = 120;

/// Packed samples.
#[derive(Debug, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) data: Vec<u8>,
}

/// The floats among the points.
pub(crate) fn chunks(points: &[Point]) -> Vec<Chunk> {
    let floats: Vec<(i64, f64)> = points
        .iter()
        .filter_map(|point| match point.value {
            SampleValue::Float(value) => Some((point.time_ms, value)),
            SampleValue::Histogram(_) => None,
        })
        .collect();
    floats.chunks(SAMPLES).map(chunk).collect()
}

/// Some samples, but not more than a chunk may have.
fn chunk(samples: &[(i64, f64)]) -> Chunk {
    let mut bits = Bits::default();
    bits.push(samples.len() as u64, 16);
    let (mut time, mut distance, mut value) = (0i64, 0i64, 0u64);
    // Zeros before and after what changed last; none that would fit at first.
    let mut window: Option<(u32, u32)> = None;
    for (at, (next_time, next_value)) in samples.iter().enumerate() {
        let next_value = next_value.to_bits();
        let next_distance = next_time.wrapping_sub(time);
        let mut whole = Vec::new();
        match at {
            0 => push_varint(&mut whole, zigzag(*next_time)),
            1 => push_varint(&mut whole, next_distance.cast_unsigned()),
            _ => change_of_distance(&mut bits, next_distance.wrapping_sub(distance)),
        }
        bits.push_bytes(&whole);
        if at == 0 {
            bits.push(next_value, 64);
        } else {
            change_of_value(&mut bits, next_value ^ value, &mut window);
        }
        (time, distance, value) = (*next_time, next_distance, next_value);
    }
    let time_of = |sample: Option<&(i64, f64)>| sample.map_or(0, |(time, _)| *time);
    let (start_ms, end_ms) = (time_of(samples.first()), time_of(samples.last()));
    Chunk { start_ms, end_ms, data: bits.bytes }
}

fn change_of_distance(bits: &mut Bits, change: i64) {
    let fits = |width: u32| {
        let half = 1i64 << (width - 1);
        (-half + 1..=half).contains(&change)
    };
    let (prefix, prefix_width, width) = match change {
        0 => return bits.push(0, 1),
        _ if fits(14) => (0b10, 2, 14),
        _ if fits(17) => (0b110, 3, 17),
        _ if fits(20) => (0b1110, 4, 20),
        _ => (0b1111, 4, 64),
    };
    bits.push(prefix, prefix_width);
    bits.push(change.cast_unsigned(), width);
}

fn change_of_value(bits: &mut Bits, change: u64, window: &mut Option<(u32, u32)>) {
    if change == 0 {
        return bits.push(0, 1);
    }
    bits.push(1, 1);
    // Five bits hold the number of zeros before.
    let leading = change.leading_zeros().min(31);
    let trailing = change.trailing_zeros();
    if let Some((before, after)) = *window
        && leading >= before
        && trailing >= after
    {
        bits.push(0, 1);
        return bits.push(change >> after, 64 - before - after);
    }
    *window = Some((leading, trailing));
    let width = 64 - leading - trailing;
    bits.push(1, 1);
    bits.push(u64::from(leading), 5);
    // Six bits cannot hold 64, which is written as the 0 that cannot occur.
    bits.push(u64::from(width % 64), 6);
    bits.push(change >> trailing, width);
}
