//! Oracle: what holds for any bytes that come where a PROXY header shall.

use super::header::{Progress, SIGNATURE, decode};

/// Reading never panics, and never asks for bytes that are none of the header's. Of a header that is whole no
/// beginning is, nor is any wrong; and whom it speaks for can be said in a line, too.
///
/// # Panics
/// Where that is not so.
pub fn header(data: &[u8]) {
    let mut read = 0;
    let client = loop {
        let Some(bytes) = data.get(..read) else {
            return;
        };
        match decode(bytes) {
            Ok(Progress::Needs(more)) => {
                assert!(more > 0, "it lacks something");
                read += more;
            }
            Ok(Progress::Done(client)) => break client,
            Err(_) => return,
        }
    };
    let whole = &data[..read];
    let end = match whole.strip_prefix(&SIGNATURE) {
        Some(rest) => 16 + usize::from(u16::from_be_bytes([rest[2], rest[3]])),
        None => {
            whole
                .windows(2)
                .position(|at| at == b"\r\n")
                .expect("an end")
                + 2
        }
    };
    assert_eq!(read, end, "the header and nothing else");
    for fewer in 0..read {
        match decode(&whole[..fewer]) {
            Ok(Progress::Needs(more)) => assert!(fewer + more <= read, "{fewer} and {more}"),
            other => panic!("{other:?} of {fewer} bytes"),
        }
    }
    if let Some(client) = client {
        let (ip, port) = (client.ip(), client.port());
        let family = if ip.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!("PROXY {family} {ip} {ip} {port} 0\r\n");
        let again = decode(line.as_bytes()).expect("a header");
        assert_eq!(again, Progress::Done(Some(client)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_began_with_and_found() {
        jackfield_corpora::hold("relay_proxy_header", header);
    }
}
