//! Dates: of a message's arrival, and to search by (RFC 9051, section 9, `date-time` and `date`).

use std::fmt;

use nom::character::complete::char;
use nom::combinator::opt;
use nom::{Input as _, Parser};

use super::error::InvalidValue;
use super::input::{Input, Parsed, WRONG};
use super::token::{number, spaces};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A day of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A day, by its year (up to 9999), month and day, from 1 on.
    ///
    /// # Errors
    /// [`InvalidValue::Date`], where there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, InvalidValue> {
        let is_leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        if year > 9999 || day == 0 || day > days {
            return Err(InvalidValue::Date);
        }
        Ok(Self { year, month, day })
    }

    /// The year.
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, from 1 on.
    pub fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1 on.
    pub fn day(self) -> u8 {
        self.day
    }

    /// Reads one, such as `1-Feb-2026`.
    #[cfg(any(test, feature = "server"))]
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut parts = text.split('-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let is_month = |known: &&str| known.eq_ignore_ascii_case(month);
        let month = MONTHS.iter().position(is_month)? + 1;
        let day = day.trim_start().parse().ok()?;
        let is_all = parts.next().is_none();
        let date = Self::new(year.parse().ok()?, month as u8, day).ok()?;
        is_all.then_some(date)
    }

    /// The day that is so many days after 1970-01-01 (Howard Hinnant's `civil_from_days`); `None`
    /// where its year has not four digits.
    fn from_days(days: i64) -> Option<Self> {
        let days = days.checked_add(719_468)?;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let part = |number: i64| u8::try_from(number).ok();
        Self::new(u16::try_from(year).ok()?, part(month)?, part(day)?).ok()
    }

    /// How many days after 1970-01-01 it is (Howard Hinnant's `days_from_civil`).
    fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        digits(out, u32::from(self.day), 2);
        out.push(b'-');
        out.extend_from_slice(MONTHS[usize::from(self.month) - 1].as_bytes());
        out.push(b'-');
        digits(out, u32::from(self.year), 4);
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A moment, as a server writes it: with the offset of its zone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    /// Seconds since midnight.
    seconds: u32,
    /// Minutes east of Greenwich.
    offset: i16,
}

impl DateTime {
    /// A moment, by its date, its time of the day in that zone in seconds (up to 86,399), and the
    /// zone's offset in minutes east of Greenwich.
    ///
    /// # Errors
    /// [`InvalidValue::Date`], where there is no such moment.
    pub fn new(date: Date, seconds: u32, offset: i16) -> Result<Self, InvalidValue> {
        if seconds >= 86_400 || offset.unsigned_abs() >= 100 * 60 {
            return Err(InvalidValue::Date);
        }
        Ok(Self {
            date,
            seconds,
            offset,
        })
    }

    /// A moment in Greenwich, by the seconds since the beginning of 1970.
    ///
    /// # Errors
    /// [`InvalidValue::Date`], where its year has not four digits.
    pub fn from_unix_seconds(seconds: i64) -> Result<Self, InvalidValue> {
        let date = Date::from_days(seconds.div_euclid(86_400)).ok_or(InvalidValue::Date)?;
        Self::new(date, seconds.rem_euclid(86_400) as u32, 0)
    }

    /// The day, in its own zone.
    pub fn date(self) -> Date {
        self.date
    }

    /// The time of the day in its own zone, in seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// The zone's offset, in minutes east of Greenwich.
    pub fn offset(self) -> i16 {
        self.offset
    }

    /// Seconds since the beginning of 1970 in Greenwich.
    pub fn unix_seconds(self) -> i64 {
        self.date.days() * 86_400 + i64::from(self.seconds) - i64::from(self.offset) * 60
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.push(b'"');
        self.date.encode(out);
        for (separator, number) in [
            (b' ', self.seconds / 3600),
            (b':', self.seconds / 60 % 60),
            (b':', self.seconds % 60),
        ] {
            out.push(separator);
            digits(out, number, 2);
        }
        out.extend_from_slice(if self.offset < 0 { b" -" } else { b" +" });
        let offset = u32::from(self.offset.unsigned_abs());
        digits(out, offset / 60 * 100 + offset % 60, 4);
        out.push(b'"');
    }

    pub(super) fn parse(i: Input<'_>) -> Parsed<'_, Self> {
        let (i, _) = (char('"'), spaces).parse(i)?;
        let (i, day) = number(i)?;
        let (i, _) = char('-').parse(i)?;
        let name = i.bytes().get(..3).ok_or(WRONG)?;
        let month = MONTHS
            .iter()
            .position(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let month = month.ok_or(WRONG)? + 1;
        let (i, _) = char('-').parse(i.take_from(3))?;
        let (i, year) = number(i)?;
        let (i, ((), hours, _, minutes)) = (spaces, number, char(':'), number).parse(i)?;
        let (i, seconds) = opt((char(':'), number)).parse(i)?;
        let (i, ()) = spaces(i)?;
        let sign = match i.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(WRONG),
        };
        let (i, zone) = number(i.take_from(1))?;
        let (i, _) = char('"').parse(i)?;
        if hours > 23 || minutes > 59 || zone > 9959 {
            return Err(WRONG);
        }
        // A leap second is the last one but one.
        let seconds = seconds.map_or(0, |(_, seconds)| seconds.min(59));
        let byte = |number: u32| u8::try_from(number).map_err(|_| WRONG);
        let year = u16::try_from(year).map_err(|_| WRONG)?;
        let date = Date::new(year, month as u8, byte(day)?).map_err(|_| WRONG)?;
        let offset = sign * (zone / 100 * 60 + zone % 100) as i16;
        let moment = Self::new(date, hours * 3600 + minutes * 60 + seconds, offset);
        Ok((i, moment.map_err(|_| WRONG)?))
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.encode(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// A number of so many digits.
fn digits(out: &mut Vec<u8>, number: u32, count: u32) {
    for place in (0..count).rev() {
        out.push(b'0' + (number / 10_u32.pow(place) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_in_every_zone() {
        let date = Date::new(2026, 11, 28).expect("a day");
        let here = DateTime::new(date, 17 * 3600, 60).expect("a moment");
        let there = DateTime::new(date, 16 * 3600, 0).expect("a moment");
        assert_eq!(here.unix_seconds(), 1_795_881_600);
        assert_eq!(there.unix_seconds(), here.unix_seconds());
        assert_eq!(format!("{here:?}"), "\"28-Nov-2026 17:00:00 +0100\"");
        for seconds in [0, -1, 951_782_400, 1_795_881_600, 253_402_300_799] {
            let moment = DateTime::from_unix_seconds(seconds).expect("a moment");
            assert_eq!(moment.unix_seconds(), seconds);
        }
        DateTime::from_unix_seconds(253_402_300_800).expect_err("a year of five digits");
        assert_eq!(Date::read(b"28-nov-2026"), Some(date));
        assert_eq!(Date::read(b"28-nov-2026-1"), None);
        Date::new(2025, 2, 29).expect_err("no leap year");
        Date::new(2024, 2, 29).expect("a leap year");
    }
}
