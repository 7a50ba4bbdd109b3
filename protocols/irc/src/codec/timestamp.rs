//! Points in time as servers write them (IRCv3 server-time).

use std::fmt;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// ```
/// use jackfield_irc::codec::Timestamp;
///
/// let time = Timestamp::parse("2026-01-02T03:04:05.678Z").expect("a timestamp");
/// assert_eq!(time.unix_millis(), 1_767_323_045_678);
/// assert_eq!(time.to_string(), "2026-01-02T03:04:05.678Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

const DAY: u64 = 24 * 60 * 60;

impl Timestamp {
    /// This many milliseconds since 1970-01-01T00:00:00Z.
    pub fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_millis(self) -> u64 {
        self.0
    }

    /// Reads `YYYY-MM-DDThh:mm:ss[.fff…]Z`, from 1970 on; `None` for anything else. Digits beyond
    /// milliseconds are ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let mut date = date.splitn(3, '-');
        let year = number(date.next()?, 4)?;
        let month = number(date.next()?, 2)?;
        let day = number(date.next()?, 2)?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut time = time.splitn(3, ':');
        let hour = number(time.next()?, 2)?;
        let minute = number(time.next()?, 2)?;
        let second = number(time.next()?, 2)?;
        if year < 1970
            || !(1..=12).contains(&month)
            || !(1..=days_in_month(year, month)).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
            || fraction.is_empty()
            || !fraction.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let millis = fraction
            .bytes()
            .chain(*b"000")
            .take(3)
            .fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        let days = days_before_year(year) - days_before_year(1970)
            + (1..month)
                .map(|month| days_in_month(year, month))
                .sum::<u64>()
            + day
            - 1;
        let seconds = days * DAY + hour * 3600 + minute * 60 + second;
        Some(Self(seconds * 1000 + millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, second) = (seconds / DAY, seconds % DAY);
        let days = days + days_before_year(1970);
        // 146,097 days are 400 years: never above the true year, and at most one below it.
        let mut year = days * 400 / 146_097;
        while days_before_year(year + 1) <= days {
            year += 1;
        }
        while days_before_year(year) > days {
            year -= 1;
        }
        let mut day = days - days_before_year(year);
        let mut month = 1;
        while day >= days_in_month(year, month) {
            day -= days_in_month(year, month);
            month += 1;
        }
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let day = day + 1;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let all_digits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

/// Days from 0000-03-01's year 1 to the first of January of this year.
fn days_before_year(year: u64) -> u64 {
    let past = year.saturating_sub(1);
    past * 365 + past / 4 - past / 100 + past / 400
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points() {
        for (text, millis) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("2026-11-22T16:26:47.000Z", 1_795_364_807_000),
            ("9999-12-31T23:59:59.000Z", 253_402_300_799_000),
        ] {
            assert_eq!(
                Timestamp::parse(text).map(Timestamp::unix_millis),
                Some(millis),
                "{text}"
            );
            assert_eq!(Timestamp(millis).to_string(), text);
        }
        assert_eq!(Timestamp::parse("1970-01-01T00:00:00Z"), Some(Timestamp(0)));
        assert_eq!(
            Timestamp::parse("1970-01-01T00:00:00.12Z"),
            Some(Timestamp(120))
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "Z",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.éZ",
            "1969-12-31T23:59:59Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_largest_value_is_shown_without_a_panic() {
        assert!(Timestamp(u64::MAX).to_string().ends_with('Z'));
    }
}
