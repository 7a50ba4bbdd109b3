//! Until when a certificate is valid (RFC 5280, section 4.1.2.5), to be shown before it is over.
//!
//! No more of it is read than leads there. It is the relay's own, which its administrator has put there.

use std::time::SystemTime;

use crate::config::point_in_time;

/// The tags of DER (X.690) that stand on the way.
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// When a certificate in DER ends; `None` where that can't be read.
pub(super) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (mut rest, _) = expect(SEQUENCE, certificate)?;
    if let Some((_, behind)) = expect(VERSION, rest) {
        rest = behind;
    }
    // The serial number, the algorithm, and the issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, rest) = expect(tag, rest)?;
    }
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    let time = str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let digits = time.bytes().all(|byte| byte.is_ascii_digit());
    // Of two digits, those below 50 are of this century.
    let century = match tag {
        GENERALIZED_TIME if time.len() == 14 => "",
        UTC_TIME if time.len() == 12 && time < "50" => "20",
        UTC_TIME if time.len() == 12 => "19",
        _ => return None,
    };
    let time = format!("{century}{time}");
    let part = |from, to| digits.then(|| time.get(from..to)).flatten();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    point_in_time(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// The content of the element that comes first, which has this tag, and what is behind it.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The tag and the content of the element that comes first, and what is behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if length >= 0x80 {
        // So many bytes of a length follow.
        let (long, behind) = rest.split_at_checked(length & 0x7f)?;
        rest = behind;
        if long.len() > 4 {
            return None;
        }
        length = long
            .iter()
            .fold(0, |all, byte| all << 8 | usize::from(*byte));
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_end_is_read_in_both_ways_to_write_it() {
        for year in [2031, 2049, 2050, 2123] {
            let mut params =
                rcgen::CertificateParams::new(["relay.example".into()]).expect("a name");
            params.not_after = rcgen::date_time_ymd(year, 2, 28);
            let key = rcgen::KeyPair::generate().expect("a key");
            let certificate = params.self_signed(&key).expect("signed");
            let seconds = u64::try_from(params.not_after.unix_timestamp()).expect("later");
            let expected = UNIX_EPOCH + Duration::from_secs(seconds);
            let whole = certificate.der();
            assert_eq!(not_after(whole), Some(expected), "{year}");
            // What is cut off anywhere is no certificate, and nothing worse.
            for end in 0..whole.len() {
                assert_eq!(not_after(&whole[..end]), None, "{end}");
            }
        }
    }
}
