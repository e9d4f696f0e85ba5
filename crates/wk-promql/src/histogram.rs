//! Arithmetic and statistics of native histograms.

use std::sync::Arc;

use wk_model::series::{Buckets, CUSTOM_BUCKETS, CounterReset, Histogram};

/// One side's buckets as sorted pairs of index and count.
type Pairs = Vec<(i32, f64)>;

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound; excluded above zero.
    pub lower: f64,
    /// Upper bound; included above zero.
    pub upper: f64,
    /// Observations in it.
    pub count: f64,
}

/// What had to be settled to combine two histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// One was just reset, the other was not.
    pub resets_collided: bool,
    /// Custom bounds differed; the common ones were kept.
    pub bounds_reconciled: bool,
}

/// Exponential and custom buckets cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// Upper bound of an exponential bucket.
fn bound(index: i32, schema: i32) -> f64 {
    let value = if schema <= 0 {
        (f64::from(index) * (-f64::from(schema)).exp2()).exp2()
    } else {
        let steps = 1i32 << schema.min(20);
        let whole = index.div_euclid(steps);
        f64::from(whole).exp2() * (f64::from(index.rem_euclid(steps)) / f64::from(steps)).exp2()
    };
    // The last bucket ends at the largest float, what overflows beyond is infinite.
    let last = f64::from(1024) * f64::from(schema).exp2();
    if value.is_infinite() && f64::from(index) <= last { f64::MAX } else { value }
}

fn custom_bound(bounds: &[f64], index: i32) -> f64 {
    match usize::try_from(index) {
        Err(_) => f64::NEG_INFINITY,
        Ok(index) => bounds.get(index).copied().unwrap_or(f64::INFINITY),
    }
}

/// All buckets in rising order; the zero bucket only when it holds something.
pub fn buckets(h: &Histogram) -> Vec<Bucket> {
    if h.has_custom_buckets() {
        let at = |index| custom_bound(&h.custom_bounds, index);
        let bucket =
            |(i, count): (i32, f64)| Bucket { lower: at(i.saturating_sub(1)), upper: at(i), count };
        return h.positive.iter().map(bucket).collect();
    }
    let at = |index| bound(index, h.schema);
    let mut all: Vec<Bucket> = h
        .negative
        .iter()
        .map(|(i, count)| Bucket { lower: -at(i), upper: -at(i.saturating_sub(1)), count })
        .collect();
    all.reverse();
    if h.zero_count != 0.0 {
        let (lower, upper) = (-h.zero_threshold, h.zero_threshold);
        all.push(Bucket { lower, upper, count: h.zero_count });
    }
    let above =
        |(i, count): (i32, f64)| Bucket { lower: at(i.saturating_sub(1)), upper: at(i), count };
    all.extend(h.positive.iter().map(above));
    all
}

fn reduce(pairs: Pairs, from: i32, to: i32) -> Pairs {
    let shift = u32::try_from(from.saturating_sub(to)).unwrap_or(0).min(31);
    if shift == 0 {
        return pairs;
    }
    let mut out: Pairs = Vec::with_capacity(pairs.len());
    for (index, count) in pairs {
        // Bucket i covers (b(i-1), b(i)], so the coarser index rounds up.
        let index = (index.saturating_sub(1) >> shift) + 1;
        match out.last_mut() {
            Some(last) if last.0 == index => last.1 += count,
            _ => out.push((index, count)),
        }
    }
    out
}

/// The same histogram at a lower resolution.
pub(crate) fn at_schema(h: &Histogram, schema: i32) -> Histogram {
    let mut out = h.clone();
    if !h.has_custom_buckets() && schema < h.schema {
        let side = |b: &Buckets| Buckets::from_sorted(reduce(b.iter().collect(), h.schema, schema));
        out.positive = side(&h.positive);
        out.negative = side(&h.negative);
        out.schema = schema;
    }
    out
}

/// What the zero bucket holds when it is widened, and to where: a populated bucket goes in whole.
fn widened_zero(h: &Histogram, mut threshold: f64) -> (f64, f64) {
    if threshold <= h.zero_threshold {
        return (h.zero_count, h.zero_threshold);
    }
    'again: loop {
        let mut count = h.zero_count;
        for side in [&h.positive, &h.negative] {
            for (index, inside) in side.iter() {
                if bound(index.saturating_sub(1), h.schema) >= threshold {
                    break;
                }
                let upper = bound(index, h.schema);
                if inside != 0.0 && upper > threshold {
                    threshold = upper;
                    continue 'again;
                }
                count += inside;
            }
        }
        return (count, threshold);
    }
}

fn widen_zero(h: &mut Histogram, threshold: f64) {
    let (count, threshold) = widened_zero(h, threshold);
    let schema = h.schema;
    let outside = |side: &Buckets| {
        Buckets::from_sorted(side.iter().filter(|(index, _)| bound(*index, schema) > threshold))
    };
    h.positive = outside(&h.positive);
    h.negative = outside(&h.negative);
    h.zero_count = count;
    h.zero_threshold = threshold;
}

fn merge(a: &Buckets, b: &Buckets, sign: f64) -> Buckets {
    let mut right = b.iter().peekable();
    let mut out: Pairs = Vec::with_capacity(a.counts.len());
    for (index, mut count) in a.iter() {
        while let Some((other, more)) = right.next_if(|(other, _)| *other <= index) {
            if other == index {
                count += sign * more;
            } else {
                out.push((other, sign * more));
            }
        }
        out.push((index, count));
    }
    out.extend(right.map(|(index, count)| (index, sign * count)));
    Buckets::from_sorted(out)
}

/// Counts of a custom histogram over fewer bounds, each a bound of the histogram.
fn to_bounds(h: &Histogram, bounds: &Arc<[f64]>) -> Buckets {
    let mut counts = vec![0.0; bounds.len() + 1];
    for (index, count) in h.positive.iter() {
        let upper = custom_bound(&h.custom_bounds, index);
        counts[bounds.partition_point(|bound| *bound < upper)] += count;
    }
    Buckets::from_sorted((0i32..).zip(counts).filter(|(_, count)| *count != 0.0))
}

fn common_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    a.iter().copied().filter(|bound| b.contains(bound)).collect()
}

/// `a + sign * b`, with bounds and resolutions settled.
pub(crate) fn combine(
    a: &Histogram,
    b: &Histogram,
    sign: f64,
) -> Result<(Histogram, Settled), Incompatible> {
    if a.has_custom_buckets() != b.has_custom_buckets() {
        return Err(Incompatible);
    }
    let mut settled = Settled::default();
    let mut out = a.clone();
    if a.has_custom_buckets() {
        if a.custom_bounds == b.custom_bounds {
            out.positive = merge(&a.positive, &b.positive, sign);
        } else {
            settled.bounds_reconciled = true;
            let bounds = common_bounds(&a.custom_bounds, &b.custom_bounds);
            out.positive = merge(&to_bounds(a, &bounds), &to_bounds(b, &bounds), sign);
            out.custom_bounds = bounds;
        }
    } else {
        let schema = a.schema.min(b.schema);
        let mut left = at_schema(a, schema);
        let mut right = at_schema(b, schema);
        while left.zero_threshold != right.zero_threshold {
            // Thresholds come from outside; with NaN among them nothing would ever agree.
            if left.zero_threshold.is_nan() || right.zero_threshold.is_nan() {
                return Err(Incompatible);
            }
            let before = (left.zero_threshold, right.zero_threshold);
            widen_zero(&mut left, before.1);
            widen_zero(&mut right, left.zero_threshold);
            if (left.zero_threshold, right.zero_threshold) == before {
                break;
            }
        }
        out.schema = schema;
        out.zero_threshold = left.zero_threshold;
        out.zero_count = left.zero_count + sign * right.zero_count;
        out.positive = merge(&left.positive, &right.positive, sign);
        out.negative = merge(&left.negative, &right.negative, sign);
    }
    out.count = a.count + sign * b.count;
    out.sum = a.sum + sign * b.sum;
    out.counter_reset = match (a.counter_reset, b.counter_reset) {
        (x, y) if x == y => x,
        (CounterReset::Gauge, _) | (_, CounterReset::Gauge) => CounterReset::Gauge,
        (CounterReset::Unknown, _) | (_, CounterReset::Unknown) => CounterReset::Unknown,
        _ => {
            settled.resets_collided = true;
            CounterReset::Unknown
        }
    };
    Ok((out, settled))
}

/// Every count and the sum through `f`.
pub(crate) fn map(h: &Histogram, f: impl Fn(f64) -> f64) -> Histogram {
    let side = |b: &Buckets| Buckets {
        spans: b.spans.clone(),
        counts: b.counts.iter().map(|count| f(*count)).collect(),
    };
    Histogram {
        zero_count: f(h.zero_count),
        count: f(h.count),
        sum: f(h.sum),
        positive: side(&h.positive),
        negative: side(&h.negative),
        ..h.clone()
    }
}

/// Without empty buckets.
pub(crate) fn compact(h: &Histogram) -> Histogram {
    let side = |b: &Buckets| Buckets::from_sorted(b.iter().filter(|(_, count)| *count != 0.0));
    Histogram { positive: side(&h.positive), negative: side(&h.negative), ..h.clone() }
}

/// Whether both say the same; bits of the sum decide, so that NaN equals itself.
pub(crate) fn equal(a: &Histogram, b: &Histogram) -> bool {
    let same = |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan());
    let pairs = |side: &Buckets| side.iter().filter(|p| p.1 != 0.0).collect::<Pairs>();
    a.schema == b.schema
        && same(a.count, b.count)
        && same(a.sum, b.sum)
        && (a.has_custom_buckets()
            || (a.zero_threshold == b.zero_threshold && same(a.zero_count, b.zero_count)))
        && (!a.has_custom_buckets() || a.custom_bounds == b.custom_bounds)
        && pairs(&a.positive) == pairs(&b.positive)
        && pairs(&a.negative) == pairs(&b.negative)
}

/// Whether a counter went back between two samples, by what is known and else by comparing.
pub(crate) fn was_reset(h: &Histogram, before: &Histogram) -> bool {
    match h.counter_reset {
        CounterReset::Reset => return true,
        CounterReset::NotReset => return false,
        CounterReset::Unknown | CounterReset::Gauge => {}
    }
    if h.count < before.count || h.has_custom_buckets() != before.has_custom_buckets() {
        return true;
    }
    let shrank = |now: &Buckets, then: &Buckets| {
        merge(now, then, -1.0).counts.iter().any(|difference| *difference < 0.0)
    };
    if h.has_custom_buckets() {
        if h.custom_bounds == before.custom_bounds {
            return shrank(&h.positive, &before.positive);
        }
        let bounds = common_bounds(&h.custom_bounds, &before.custom_bounds);
        return shrank(&to_bounds(h, &bounds), &to_bounds(before, &bounds));
    }
    // A counter only loses resolution or widens its zero bucket while it runs.
    if h.schema > before.schema || h.zero_threshold < before.zero_threshold {
        return true;
    }
    let mut before = at_schema(before, h.schema);
    widen_zero(&mut before, h.zero_threshold);
    before.zero_threshold != h.zero_threshold
        || h.zero_count < before.zero_count
        || shrank(&h.positive, &before.positive)
        || shrank(&h.negative, &before.negative)
}

/// A value below which this part of the observations lies.
pub(crate) fn quantile(q: f64, h: &Histogram) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if h.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    // NaN observations are counted but in no bucket, so then only counting upwards is right.
    let upwards = h.sum.is_nan() || q < 0.5;
    let mut rank = if upwards { q * h.count } else { (1.0 - q) * h.count };
    let mut all = buckets(h);
    if !upwards {
        all.reverse();
    }
    let mut count = 0.0;
    let mut hit = Bucket { lower: 0.0, upper: 0.0, count: 0.0 };
    for bucket in all {
        hit = bucket;
        if bucket.count == 0.0 {
            continue;
        }
        count += bucket.count;
        if count >= rank {
            break;
        }
    }
    let custom = h.has_custom_buckets();
    if !custom && hit.lower < 0.0 && hit.upper > 0.0 {
        narrow_zero(h, &mut hit);
    } else if custom {
        if hit.lower == f64::NEG_INFINITY {
            if hit.upper <= 0.0 {
                return hit.upper;
            }
            hit.lower = 0.0;
        }
        if hit.upper == f64::INFINITY {
            return hit.lower;
        }
    }
    count = count.min(h.count);
    if count < rank {
        return if h.sum.is_nan() || upwards { f64::NAN } else { hit.lower };
    }
    rank = if upwards { rank - (count - hit.count) } else { count - rank };
    let part = rank / hit.count;
    if custom || (hit.lower <= 0.0 && hit.upper >= 0.0) {
        return hit.lower + (hit.upper - hit.lower) * part;
    }
    let (low, high) = (hit.lower.abs().log2(), hit.upper.abs().log2());
    if hit.lower > 0.0 {
        (low + (high - low) * part).exp2()
    } else {
        -(high + (low - high) * (1.0 - part)).exp2()
    }
}

/// With only positive observations elsewhere, the zero bucket's are taken to be positive, too.
fn narrow_zero(h: &Histogram, bucket: &mut Bucket) {
    let (below, above) = (!h.negative.counts.is_empty(), !h.positive.counts.is_empty());
    if !below && above {
        bucket.lower = 0.0;
    } else if below && !above {
        bucket.upper = 0.0;
    }
}

/// Part of the observations between two values.
pub(crate) fn fraction(lower: f64, upper: f64, h: &Histogram) -> f64 {
    let mut all = buckets(h);
    if !h.has_custom_buckets() {
        for bucket in all.iter_mut().filter(|b| b.lower <= 0.0 && b.upper >= 0.0) {
            narrow_zero(h, bucket);
        }
    }
    fraction_of(lower, upper, &all, h.count, h.has_custom_buckets())
}

/// The same over rising buckets; `linear` for buckets with given bounds.
pub(crate) fn fraction_of(lower: f64, upper: f64, all: &[Bucket], total: f64, linear: bool) -> f64 {
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank_of = |value: f64| {
        let mut rank = 0.0;
        for bucket in all {
            let mut bucket = *bucket;
            if linear && bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
                bucket.lower = 0.0;
            }
            if bucket.lower >= value {
                return rank;
            }
            if bucket.upper > value {
                return rank + bucket.count * share(&bucket, value, linear);
            }
            rank += bucket.count;
        }
        total
    };
    (rank_of(upper).min(total) - rank_of(lower).min(total)) / total
}

/// Part of a bucket's observations that lie below the value inside it.
fn share(bucket: &Bucket, value: f64, linear: bool) -> f64 {
    if bucket.lower == f64::NEG_INFINITY {
        return 1.0;
    }
    if bucket.upper == f64::INFINITY {
        return 0.0;
    }
    if linear || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (low, high) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    let at = value.abs().log2();
    if value > 0.0 { (at - low) / (high - low) } else { 1.0 - (at - high) / (low - high) }
}

/// Estimated variance: every observation is taken to lie in the middle of its bucket.
pub(crate) fn variance(h: &Histogram) -> f64 {
    let mean = h.sum / h.count;
    let mut sum = 0.0;
    for bucket in buckets(h).into_iter().filter(|bucket| bucket.count != 0.0) {
        let middle = if h.has_custom_buckets() {
            f64::midpoint(bucket.lower, bucket.upper)
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            let size = (bucket.lower * bucket.upper).abs().sqrt();
            if bucket.upper < 0.0 { -size } else { size }
        };
        sum += bucket.count * (middle - mean) * (middle - mean);
    }
    sum / h.count
}

/// `{count:4, sum:5, [-0.001,0.001]:1, (1,2]:3}`, as `count_values` names a histogram.
pub(crate) fn text(h: &Histogram) -> String {
    let number = crate::format::number;
    let mut out = format!("{{count:{}, sum:{}", number(h.count), number(h.sum));
    for bucket in buckets(h).into_iter().filter(|bucket| bucket.count != 0.0) {
        let zero = h.schema != CUSTOM_BUCKETS && bucket.lower <= 0.0 && bucket.upper >= 0.0;
        let open =
            if zero || bucket.upper <= 0.0 && h.schema != CUSTOM_BUCKETS { '[' } else { '(' };
        let close = if zero || open == '(' { ']' } else { ')' };
        let (lower, upper) = (number(bucket.lower), number(bucket.upper));
        out.push_str(&format!(", {open}{lower},{upper}{close}:{}", number(bucket.count)));
    }
    out.push('}');
    out
}
