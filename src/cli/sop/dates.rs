//! Dates as the draft has them: ISO 8601 in several forms, `-` for no limit, `now`.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::fault::{Code, Failure, Result};

/// Which end of a range a date is: what a day without a time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Earliest,
    Latest,
}

/// With an offset from UTC.
const ZONED: &[&str] = &[
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y%m%dT%H%M%S%#z",
    "%Y%m%dT%H%M%#z",
];

/// In UTC.
const PLAIN: &[&str] = &[
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%dT%H:%MZ",
    "%Y%m%dT%H%M%SZ",
    "%Y%m%dT%H%MZ",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M",
];

/// Seconds since the Unix epoch; `now` is what the clock says.
///
/// # Errors
/// 37 for anything that is no such date.
pub fn read(text: &str, end: End, now: u64) -> Result<u64> {
    match text {
        "-" => Ok(match end {
            End::Earliest => 0,
            End::Latest => u64::MAX,
        }),
        "now" => Ok(now),
        _ => seconds(text, end)
            .map(|seconds| u64::try_from(seconds).unwrap_or(0))
            .ok_or_else(|| {
                Failure::new(
                    Code::UnsupportedOption,
                    "this is not a date; write 2026-01-31T12:00:00Z, - or now",
                )
            }),
    }
}

fn seconds(text: &str, end: End) -> Option<i64> {
    let zoned = |form: &&str| chrono::DateTime::parse_from_str(text, form).ok();
    let plain = |form: &&str| NaiveDateTime::parse_from_str(text, form).ok();
    if let Some(instant) = PLAIN.iter().find_map(plain) {
        return Some(instant.and_utc().timestamp());
    }
    if let Some(instant) = ZONED.iter().find_map(zoned) {
        return Some(instant.timestamp());
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .or_else(|_| NaiveDate::parse_from_str(text, "%Y%m%d"))
        .ok()?;
    let time = match end {
        End::Earliest => NaiveTime::from_hms_opt(0, 0, 0)?,
        End::Latest => NaiveTime::from_hms_opt(23, 59, 59)?,
    };
    Some(day.and_time(time).and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::{End, read};

    #[test]
    fn every_form_of_a_date() {
        let noon = 1_767_268_800;
        for text in [
            "2026-01-01T12:00:00Z",
            "2026-01-01T12:00Z",
            "20260101T120000Z",
            "2026-01-01T12:00:00.5Z",
            "2026-01-01T14:00:00+02:00",
            "2026-01-01T14:00:00+02",
            "2026-01-01T12:00:00",
            "20260101T070000-0500",
        ] {
            assert_eq!(read(text, End::Latest, 7).ok(), Some(noon), "{text}");
        }
        let midnight = noon - 12 * 3600;
        assert_eq!(read("2026-01-01", End::Earliest, 7).ok(), Some(midnight));
        let last = midnight + 86_399;
        assert_eq!(read("20260101", End::Latest, 7).ok(), Some(last));
        assert_eq!(read("now", End::Latest, 7).ok(), Some(7));
        assert_eq!(read("-", End::Latest, 7).ok(), Some(u64::MAX));
        assert_eq!(read("-", End::Earliest, 7).ok(), Some(0));
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "12:00",
            "2026-01-01T25:00:00Z",
        ] {
            assert!(read(text, End::Latest, 7).is_err(), "{text}");
        }
    }
}
