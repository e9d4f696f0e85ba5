//! When a certificate ends: the one fact we want of it, without a certificate library.

use wk_model::Timestamp;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of an X.509 certificate in DER (RFC 5280 §4.1). None when it cannot be read.
pub(crate) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut body, _) = element(certificate, SEQUENCE)?;
    if body.first() == Some(&VERSION) {
        body = element(body, VERSION)?.1;
    }
    let (_serial, rest) = element(body, INTEGER)?;
    let (_signature, rest) = element(rest, SEQUENCE)?;
    let (_issuer, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, _, after_begin) = any_element(validity)?;
    let (tag, end, _) = any_element(after_begin)?;
    time(tag, end)
}

/// The content of the first element, which must have this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = any_element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag and content of the first element, and what follows it.
fn any_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = match first {
        0..=0x7F => (usize::from(first), bytes),
        // Lengths of 2^32 and more, and lengths without a number, are not DER of a certificate.
        0x81..=0x84 => {
            let (digits, bytes) = bytes.split_at_checked(usize::from(first & 0x7F))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), bytes)
        }
        _ => return None,
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ`, or with four digits of the year.
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME => {
            // RFC 5280: two digits mean 1950 to 2049.
            let year: u64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let number = |from: usize| rest.get(from..from + 2)?.parse::<u64>().ok();
    let (month, day) = (number(0)?, number(2)?);
    let (hour, minute, second) = (number(4)?, number(6)?, number(8)?);
    let days = days_since_1970(year, month, day)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp(seconds * 1_000))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; none before that day.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the leap day is the last of a year.
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    (365 * year + leap_days + (153 * month + 2) / 5 + day - 1).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate's outer shape around the two times of its validity.
    fn certificate(begin: &[u8], end: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| -> Vec<u8> {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82], &length[..], content].concat()
        };
        let validity = wrap(SEQUENCE, &[begin, end].concat());
        let body = [
            wrap(VERSION, &wrap(INTEGER, &[2])),
            wrap(INTEGER, &[7; 20]),
            wrap(SEQUENCE, &[]),
            wrap(SEQUENCE, &[0; 300]),
            validity,
            wrap(SEQUENCE, b"the rest"),
        ];
        wrap(SEQUENCE, &wrap(SEQUENCE, &body.concat()))
    }

    #[test]
    fn reads_when_a_certificate_ends() {
        let begin = b"\x17\x0d250101000000Z";
        let check = |end: &[u8], expected: Option<&str>| {
            let read = not_after(&certificate(begin, end)).map(|time| time.to_string());
            assert_eq!(read.as_deref(), expected, "{}", String::from_utf8_lossy(end));
        };
        check(b"\x17\x0d260228235959Z", Some("2026-02-28T23:59:59.000Z"));
        check(b"\x17\x0d491231235959Z", Some("2049-12-31T23:59:59.000Z"));
        check(b"\x18\x0f20500101000000Z", Some("2050-01-01T00:00:00.000Z"));
        check(b"\x18\x0f99991231235959Z", Some("9999-12-31T23:59:59.000Z"));
        check(b"\x17\x0d500101000000Z", None);
        check(b"\x17\x0d261301000000Z", None);
        check(b"\x17\x0d26-101000000Z", None);
        check(b"\x17\x05hello", None);
        check(b"\x04\x05hello", None);
        check(b"", None);
    }

    /// Made by OpenSSL 3: a self-signed certificate on P-256 that ends 2037-11-04 22:52:48 UTC.
    const REAL: &str = "\
         3082018a30820131a00302010202144d5d7497c779a433609f98c42b23b2c045a17ba0300a06082a8648ce\
         3d040302301b3119301706035504030c1077617463686b65657065722e74657374301e170d323631313232\
         3232353234385a170d3337313130343232353234385a301b3119301706035504030c1077617463686b6565\
         7065722e746573743059301306072a8648ce3d020106082a8648ce3d030107034200043f320773e32a8b0e\
         9622bd2bfe8a681a99faef67b394b66e12117825e89521be9288d9c28eb08ba21effbc4dbf0e8776280d99\
         c177bf1cdba4efdf58c3351420a3533051301d0603551d0e04160414292b5056898edc74aa22e10897291f\
         251fb69a33301f0603551d23041830168014292b5056898edc74aa22e10897291f251fb69a33300f060355\
         1d130101ff040530030101ff300a06082a8648ce3d040302034700304402205ba5b45af15f85e90e01b8e8\
         9c89ef84b0540ac791747a6762fea05e9fae0b1002200e37a5cc382b271411d6c626353f0505258c02e7b7\
         3e68e1a5749123ea65e517";

    #[test]
    fn reads_a_real_certificate() {
        let der = wk_model::primitives::hex::decode(REAL).unwrap();
        assert_eq!(not_after(&der).unwrap().to_string(), "2037-11-04T22:52:48.000Z");
    }

    #[test]
    fn cut_off_certificates_are_no_panic() {
        let whole = certificate(b"\x17\x0d250101000000Z", b"\x17\x0d260228235959Z");
        for length in 0..whole.len() {
            assert_eq!(not_after(&whole[..length]), None);
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0xFF;
            let _ = not_after(&broken);
        }
    }
}
