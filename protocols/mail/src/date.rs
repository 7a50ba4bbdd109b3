//! Dates of messages (RFC 5322, section 3.3).

use std::fmt;

use mail_parser::DateTime;

/// A moment, and the time zone of whoever wrote it.
///
/// ```
/// use jackfield_mail::Date;
///
/// let date = Date::new(1_700_000_000, 60);
/// assert_eq!(date.to_string(), "Tue, 14 Nov 2023 23:13:20 +0100");
/// assert_eq!(Date::parse("Tue, 14 Nov 2023 23:13:20 +0100"), Some(date));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Date {
    /// Seconds since the beginning of 1970, UTC.
    pub timestamp: i64,
    /// How many minutes the writer's clock is ahead of UTC.
    pub offset: i16,
}

/// The years 1900 (which the RFC has as the first) to 2999, in seconds since 1970.
const YEARS: std::ops::Range<i64> = -2_208_988_800..32_503_680_000;
/// The largest offset, in minutes: a day short of a minute.
const MAX_OFFSET: i16 = 24 * 60 - 1;

impl Date {
    /// A moment by its seconds since 1970, and the minutes by which the clock is ahead of UTC. What is
    /// beyond the years 1900 to 2999, or a day, is made the nearest that is not.
    pub fn new(timestamp: i64, offset: i16) -> Self {
        let offset = offset.clamp(-MAX_OFFSET, MAX_OFFSET);
        let day = 24 * 3600;
        Self {
            timestamp: timestamp.clamp(YEARS.start + day, YEARS.end - 1 - day),
            offset,
        }
    }

    /// Reads a date as messages have it, their obsolete forms among them; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        // It is looked for in what is no longer than a date with some comments.
        let text = text.get(..text.floor_char_boundary(200))?;
        let found = match text.find(':') {
            // Seconds may be missing, which the parser doesn't know.
            Some(at) if text.matches(':').count() == 1 => {
                let digits = text[at + 1..].bytes().take_while(u8::is_ascii_digit);
                let (time, zone) = text.split_at(at + 1 + digits.count());
                DateTime::parse_rfc822(&format!("{time}:00{zone}"))?
            }
            _ => DateTime::parse_rfc822(text)?,
        };
        if !found.is_valid() {
            return None;
        }
        let offset = i16::from(found.tz_hour) * 60 + i16::from(found.tz_minute);
        let offset = if found.tz_before_gmt { -offset } else { offset };
        Some(Self::new(found.to_timestamp(), offset))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = Self::new(self.timestamp, self.offset);
        let local = date.timestamp + i64::from(date.offset) * 60;
        let mut shown = DateTime::from_timestamp(local);
        shown.tz_before_gmt = date.offset < 0;
        shown.tz_hour = (date.offset.unsigned_abs() / 60) as u8;
        shown.tz_minute = (date.offset.unsigned_abs() % 60) as u8;
        f.write_str(&shown.to_rfc822())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        for (text, timestamp, offset) in [
            ("Tue, 14 Nov 2023 22:13:20 +0000", 1_700_000_000, 0),
            ("14 Nov 2023 22:13 GMT", 1_699_999_980, 0),
            ("Tue, 14 Nov 23 17:13:20 EST", 1_700_000_000, -300),
            (" Tue, 14 Nov 2023 22:13:20 +0000 (UTC)", 1_700_000_000, 0),
        ] {
            let date = Date::parse(text).expect(text);
            assert_eq!((date.timestamp, date.offset), (timestamp, offset), "{text}");
        }
        for text in ["", "yesterday", "99 Foo 2023", &"(".repeat(100_000)] {
            assert_eq!(Date::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn any_number_is_some_date() {
        for timestamp in [i64::MIN, -1, 0, i64::MAX] {
            for offset in [i16::MIN, -90, 0, i16::MAX] {
                let date = Date::new(timestamp, offset);
                assert_eq!(Date::parse(&date.to_string()), Some(date), "{date}");
            }
        }
    }
}
