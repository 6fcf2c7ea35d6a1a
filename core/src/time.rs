//! Instants and lengths of time as the wire writes them.
//!
//! The clock is the host's; everything here is arithmetic and text. Both types count milliseconds, the
//! precision of the API.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in milliseconds since 1970-01-01T00:00:00Z; RFC 3339 in UTC with milliseconds as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A length of time in milliseconds. Text is `1500ms`, `30s`, `5m`, `24h`, `7d`, a sequence of those
/// (`1h30m`), or ISO 8601 without years and months (`P2D`, `PT1H30M`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

/// Why a text is not a time or a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339.
    #[error("expected an RFC 3339 time such as 2026-01-31T12:00:00Z, found {0:?}")]
    Timestamp(String),
    /// Not a duration.
    #[error("expected a duration such as 1500ms, 30s, 5m, 24h or P2D, found {0:?}")]
    Duration(String),
    /// Longer than [`Duration::MAX`].
    #[error("a duration may be at most 100 years, found {0:?}")]
    TooLong(String),
}

impl Timestamp {
    /// The last instant that has a four-digit year.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// The instant this many milliseconds after the epoch, clamped to the years 1970 to 9999.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self(0)
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The instant this much later.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(duration.0 as i64))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration(if self.0 > earlier.0 { (self.0 - earlier.0) as u64 } else { 0 })
    }
}

impl Duration {
    /// A hundred years of 365 days.
    pub const MAX: Duration = Duration(100 * 365 * 24 * 3_600_000);
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// This many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// This many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1000)
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        std::time::Duration::from_millis(duration.0)
    }
}

impl Timestamp {
    /// RFC 3339 with milliseconds. Every event and every resource carries several, so they are written digit by
    /// digit, which takes a tenth of a formatter's time.
    fn text(self) -> [u8; 24] {
        let (days, millis) = (self.0.div_euclid(DAY_MILLIS), self.0.rem_euclid(DAY_MILLIS));
        let (year, month, day) = civil(days);
        let seconds = millis / 1000;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], seconds / 3600);
        digits(&mut text[14..16], seconds / 60 % 60);
        digits(&mut text[17..19], seconds % 60);
        digits(&mut text[20..23], millis % 1000);
        text
    }
}

const DAY_MILLIS: i64 = 86_400_000;

/// Writes a number over all of these places.
fn digits(places: &mut [u8], mut number: i64) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01 that is not before it, in the proleptic Gregorian calendar: the
/// algorithm `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March, so that the day that may be missing is the last of its year.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (400 * era + year_of_era + i64::from(month <= 2), month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("ASCII"))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(|instant| Self::from_millis(instant.as_millisecond()))
            .map_err(|_| TimeError::Timestamp(text.to_owned()))
    }
}

impl fmt::Display for Duration {
    /// In the largest unit that is exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        if let Some((size, unit)) = units.iter().find(|(size, _)| self.0 != 0 && self.0.is_multiple_of(*size))
        {
            return write!(f, "{}{unit}", self.0 / size);
        }
        f.write_str("0s")
    }
}

impl FromStr for Duration {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let millis = match text.strip_prefix('P') {
            Some(iso) => parse_iso(iso),
            None => parse_units(text, UNITS),
        };
        let millis = millis.ok_or_else(|| TimeError::Duration(text.to_owned()))?;
        if millis > f64_of(Self::MAX.0) {
            return Err(TimeError::TooLong(text.to_owned()));
        }
        Ok(Self(millis.round() as u64))
    }
}

/// Units from large to small; a text names each at most once and in this order.
type Units = &'static [(&'static str, f64)];

const UNITS: Units = &[("d", 86_400_000.0), ("h", 3_600_000.0), ("ms", 1.0), ("m", 60_000.0), ("s", 1000.0)];
const ISO_DATE: Units = &[("W", 604_800_000.0), ("D", 86_400_000.0)];
const ISO_TIME: Units = &[("H", 3_600_000.0), ("M", 60_000.0), ("S", 1000.0)];

fn parse_iso(text: &str) -> Option<f64> {
    match text.split_once('T') {
        Some(("", time)) => parse_units(time, ISO_TIME),
        Some((date, time)) => Some(parse_units(date, ISO_DATE)? + parse_units(time, ISO_TIME)?),
        None => parse_units(text, ISO_DATE),
    }
}

/// Reads `<number><unit>` one or more times, units falling in size.
fn parse_units(mut text: &str, units: Units) -> Option<f64> {
    let (mut total, mut size_before) = (0.0, f64::INFINITY);
    if text.is_empty() {
        return None;
    }
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, rest) = text.split_at(digits);
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let number: f64 = number.parse().ok()?;
        let (name, size) = units.iter().find(|(name, _)| rest.starts_with(name))?;
        if *size >= size_before {
            return None;
        }
        (total, size_before, text) = (total + number * size, *size, &rest[name.len()..]);
    }
    Some(total)
}

/// What schemas say of durations: each form of the text, with so many digits that no sum passes
/// [`Duration::MAX`]. The reader takes a few more digits, and fractions.
const DURATION_PATTERN: &str = concat!(
    r"^([0-9]{1,4}d([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,11}ms)?",
    r"|[0-9]{1,5}h([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,11}ms)?",
    r"|[0-9]{1,6}m([0-9]{1,8}s)?([0-9]{1,11}ms)?",
    r"|[0-9]{1,8}s([0-9]{1,11}ms)?",
    r"|[0-9]{1,11}ms",
    r"|P[0-9]{1,3}W([0-9]{1,4}D)?",
    r"|P[0-9]{1,4}D(T[0-9]{1,5}H([0-9]{1,6}M)?([0-9]{1,8}S)?)?",
    r"|PT[0-9]{1,5}H([0-9]{1,6}M)?([0-9]{1,8}S)?",
    r"|PT[0-9]{1,6}M([0-9]{1,8}S)?",
    r"|PT[0-9]{1,8}S)$",
);

fn f64_of(number: u64) -> f64 {
    number as f64
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).expect("ASCII"))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

macro_rules! text_serde {
    ($name:ident, $pattern:expr, $description:expr, $format:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", $format: $pattern, "description": $description })
            }
        }
    };
}

text_serde!(Timestamp, "date-time", "An instant: RFC 3339, answered in UTC with milliseconds.", "format");
text_serde!(
    Duration,
    DURATION_PATTERN,
    "A length of time: `1500ms`, `30s`, `5m`, `24h`, or ISO 8601 such as `P2D`.",
    "pattern"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, millis, printed) in [
            ("1500ms", 1500, "1500ms"),
            ("30s", 30_000, "30s"),
            ("5m", 300_000, "5m"),
            ("24h", 86_400_000, "1d"),
            ("1h30m", 5_400_000, "90m"),
            ("1.5s", 1500, "1500ms"),
            ("P2D", 172_800_000, "2d"),
            ("PT1H30M", 5_400_000, "90m"),
            ("P1DT12H", 129_600_000, "36h"),
            ("0s", 0, "0s"),
        ] {
            let duration: Duration = text.parse().expect(text);
            assert_eq!(duration.as_millis(), millis, "{text}");
            assert_eq!(duration.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "5", "s", "-1s", "1y", "P", "PT", "P1M", "1s1s", "1m1h", "1 s", "P1DT", "200000d", "1e3s"]
        {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn timestamps_round_trip() {
        let text = "2026-01-31T12:00:00.250Z";
        let instant: Timestamp = text.parse().expect("valid");
        assert_eq!(instant.to_string(), text);
        assert_eq!("2026-01-31T13:00:00.250+01:00".parse::<Timestamp>(), Ok(instant));
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }

    /// Steps of nineteen days and some, so that days, hours and milliseconds all vary.
    #[test]
    fn instants_print_as_the_library_prints_them() {
        const STEP: usize = 1_641_607_611;
        for millis in (0..=Timestamp::MAX.0).step_by(STEP) {
            let expected = jiff::Timestamp::from_millisecond(millis).expect("within its years");
            assert_eq!(Timestamp(millis).to_string(), format!("{expected:.3}"), "{millis}");
        }
    }
}
