//! Times as requests and answers write them.

/// Earliest time of a request that names none; what Prometheus takes.
pub(crate) const EARLIEST_MS: i64 = i64::MIN / 1000 * 1000 + 62_135_596_801_000;
/// Latest time of a request that names none.
pub(crate) const LATEST_MS: i64 = i64::MAX / 1000 * 1000 - 62_135_596_801_000;

/// Seconds since 1970 or RFC 3339, in milliseconds.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let wrong = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds).ok_or_else(wrong);
    }
    match text {
        // How Go prints the two bounds, which it cannot read itself.
        "-292273086-05-16T16:47:06Z" => Ok(EARLIEST_MS),
        "292277025-08-18T07:12:54.999999999Z" => Ok(LATEST_MS),
        _ => rfc3339(text).ok_or_else(wrong),
    }
}

/// Seconds as milliseconds, rounded; `None` when that is no time.
#[allow(clippy::cast_possible_truncation)] // The range is looked at first.
pub(crate) fn from_seconds(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    (ms.abs() < 9.2e18).then_some(ms as i64)
}

fn rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0i64, |all, digit| {
            digit.is_ascii_digit().then(|| all * 10 + i64::from(digit - b'0'))
        })
    };
    let is = |at: usize, byte: u8| (bytes.get(at) == Some(&byte)).then_some(());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    is(4, b'-')?;
    is(7, b'-')?;
    is(10, b'T')?;
    is(13, b':')?;
    is(16, b':')?;
    let fraction = text
        .get(19..)?
        .strip_prefix('.')
        .map_or("", |rest| &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())]);
    let after = 19 + if text.get(19..)?.starts_with('.') { 1 + fraction.len() } else { 0 };
    if after == 20 {
        return None;
    }
    let ms =
        fraction.bytes().chain(*b"000").take(3).fold(0, |all, c| all * 10 + i64::from(c - b'0'));
    let zone = match text.get(after..)? {
        "Z" => 0,
        zone => {
            let sign = match zone.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            is(after + 3, b':')?;
            let (hours, minutes) = (number(after + 1, after + 3)?, number(after + 4, after + 6)?);
            if zone.len() != 6 || hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > days_in || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute - zone;
    Some((minutes * 60 + second) * 1000 + ms)
}

/// Days from 1970-01-01, with years that begin in March so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc3339() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1.5", Some(1500)),
            ("1e3", Some(1_000_000)),
            ("-1", Some(-1000)),
            ("1700000000.1234", Some(1_700_000_000_123)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            ("2016-02-29T00:00:00Z", Some(1_456_704_000_000)),
            ("1969-12-31T23:59:59.999999999Z", Some(-1)),
            ("2015-02-29T00:00:00Z", None),
            ("2015-06-03T13:21:58.", None),
            ("2015-06-03T13:21:58", None),
            ("2015-06-03 13:21:58Z", None),
            ("2015-06-03T13:21:58é", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("", None),
            ("now", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_written_time_is_read_again() {
        for ms in [0, 1_435_781_451_781, 951_782_400_000, 4_102_444_800_000] {
            let written = wk_model::Timestamp(ms).to_string();
            assert_eq!(rfc3339(&written), i64::try_from(ms).ok(), "{written}");
        }
    }
}
