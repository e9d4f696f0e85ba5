//! What comes next of a daily series, with an interval that holds as often as it says.
//!
//! The forecast is the median of each day of the season plus a robust trend (Theil–Sen); the
//! interval comes from how far the same forecast, made at past days, was off so many days later
//! (quantiles of residuals with the finite-sample correction of conformal prediction). No shape of
//! the noise is assumed.

/// Points that a forecast needs at least.
const MIN_POINTS: usize = 14;
/// Past days at which the forecast is tried.
const MAX_ORIGINS: usize = 45;
/// Points that are looked at, from the end.
const MAX_POINTS: usize = 400;

/// What is expected of one future day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastPoint {
    /// Days after the last known one, from 1.
    pub ahead: usize,
    /// The expected value.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Share of true values (0–1) that shall lie in the interval.
    pub level: f64,
    /// How many past forecasts the interval of the last day is drawn from. With fewer than about
    /// `2 / (1 - level)` the interval is the whole range of what was seen, and may be too narrow.
    pub origins: usize,
    /// The days.
    pub points: Vec<ForecastPoint>,
}

/// Forecasts a series with one value per day, oldest first. None with too few values.
pub fn forecast(series: &[f64], season: usize, horizon: usize, level: f64) -> Option<Forecast> {
    let series = &series[series.len().saturating_sub(MAX_POINTS)..];
    let season = season.max(1);
    let horizon = horizon.clamp(1, 90);
    let least = MIN_POINTS.max(2 * season);
    if series.len() < least + horizon || series.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut residuals: Vec<Vec<f64>> = vec![Vec::new(); horizon];
    let origins = (least..series.len()).rev().take(MAX_ORIGINS);
    for origin in origins {
        let model = Model::fit(&series[..origin], season);
        for (ahead, off) in (0..).zip(&mut residuals) {
            if let Some(true_value) = series.get(origin + ahead) {
                off.push(true_value - model.at(origin + ahead));
            }
        }
    }
    let model = Model::fit(series, season);
    let points = residuals
        .iter_mut()
        .enumerate()
        .map(|(ahead, off)| {
            off.sort_by(f64::total_cmp);
            let value = model.at(series.len() + ahead);
            let tail = (1.0 - level.clamp(0.5, 0.999)) / 2.0;
            ForecastPoint {
                ahead: ahead + 1,
                value,
                low: value + corrected(off, tail, false),
                high: value + corrected(off, tail, true),
            }
        })
        .collect();
    let origins = residuals.last().map_or(0, Vec::len);
    Some(Forecast { level, origins, points })
}

/// The slope and the height at zero of a line through points, as medians: a third of the points may
/// be anything. None with fewer than two different places.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    // At most some ten thousand pairs.
    let step = (points.len() / 200).max(1);
    let points: Vec<(f64, f64)> = points.iter().copied().step_by(step).collect();
    let mut slopes = Vec::new();
    for (at, (x, y)) in points.iter().enumerate() {
        for (other_x, other_y) in &points[at + 1..] {
            if other_x != x {
                slopes.push((other_y - y) / (other_x - x));
            }
        }
    }
    let slope = median(&mut slopes)?;
    let mut heights: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    Some((slope, median(&mut heights)?))
}

struct Model {
    slope: f64,
    base: f64,
    season: Vec<f64>,
}

impl Model {
    fn fit(series: &[f64], season: usize) -> Model {
        // Slopes between days of the same place in the season know nothing of the season.
        let mut slopes = Vec::new();
        for (at, value) in (0..).zip(series) {
            let mut other = at + season;
            while other < series.len() && slopes.len() < 50_000 {
                #[expect(clippy::cast_precision_loss, reason = "days")]
                slopes.push((series[other] - value) / (other - at) as f64);
                other += season;
            }
        }
        let slope = median(&mut slopes).unwrap_or(0.0);
        let flat: Vec<f64> =
            (0..).zip(series).map(|(at, value)| value - slope * at as f64).collect();
        let base = median(&mut flat.clone()).unwrap_or(0.0);
        let season = (0..season)
            .map(|place| {
                let mut of: Vec<f64> =
                    flat.iter().skip(place).step_by(season).map(|value| value - base).collect();
                median(&mut of).unwrap_or(0.0)
            })
            .collect();
        Model { slope, base, season }
    }

    fn at(&self, at: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "days")]
        let trend = self.slope * at as f64;
        self.base + trend + self.season[at % self.season.len()]
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if below.len() == middle && values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values[..middle].iter().copied().max_by(f64::total_cmp)?;
    Some((lower + upper) / 2.0)
}

/// The quantile that leaves `tail` beyond it, counted so that it holds for one more value.
fn corrected(sorted: &[f64], tail: f64, upper: bool) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank, cut to range below"
    )]
    let beyond = ((sorted.len() + 1) as f64 * tail).floor() as usize;
    let rank = beyond.saturating_sub(1).min(last);
    sorted[if upper { last - rank } else { rank }]
}
