//! Errors of TLS: what rustls says, in words that a person can act on.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use jackfield_socket::{Error, ErrorKind, Host, time};
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};
use rustls_pki_types::UnixTime;

use crate::CertificateProblem;
use crate::verify::{NotPinned, Noted};

/// How many names of a certificate an error tells.
const NAMES_SHOWN: usize = 8;
/// How much of each, in characters: a certificate may hold anything.
const NAME_SHOWN: usize = 80;

/// What a handshake's errors are told with.
pub(crate) struct Handshake {
    peer: String,
    trusted: &'static str,
}

impl Handshake {
    /// `trusted` is whom certificates have to be issued by.
    pub(crate) fn with_server(server: &Host, trusted: &'static str) -> Self {
        Self {
            peer: server.to_string(),
            trusted,
        }
    }

    pub(crate) fn with_client(peer: Option<SocketAddr>) -> Self {
        Self {
            peer: peer.map_or_else(|| "the client".to_owned(), |peer| peer.to_string()),
            trusted: "one of the given roots",
        }
    }

    /// The handshake took too long.
    pub(crate) fn timed_out(&self, limit: Duration) -> Error {
        self.told(
            ErrorKind::TimedOut,
            &format!("not done after {}", time::seconds(limit)),
        )
    }

    /// The handshake failed, and noted this.
    pub(crate) fn error(&self, error: io::Error, noted: Option<Noted>) -> Error {
        let inner = error.get_ref();
        if let Some(error) = inner.and_then(|inner| inner.downcast_ref()) {
            let (kind, what) = self.explain(error);
            return match (error, noted) {
                (rustls::Error::InvalidCertificate(error), Some(Noted::Refused(chain))) => self
                    .told(kind, &what)
                    .with_source(crate::CertificateError::new(problem(error), chain)),
                (rustls::Error::InvalidCertificate(_), Some(Noted::NotTheHolder)) => self.told(
                    kind,
                    "it does not hold the key of the certificate it showed",
                ),
                _ => self.told(kind, &what),
            };
        }
        if error.kind() == io::ErrorKind::UnexpectedEof
            && inner.is_none_or(|inner| !inner.is::<Error>())
        {
            return self.told(ErrorKind::UnexpectedEof, "the peer hung up half-way");
        }
        let error = Error::from(error);
        self.told(error.kind(), "the stream failed")
            .at(error.place())
            .with_source(error)
    }

    fn told(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("TLS handshake with {}: {what}", self.peer))
    }

    fn explain(&self, error: &rustls::Error) -> (ErrorKind, String) {
        match error {
            rustls::Error::InvalidCertificate(error) => (
                ErrorKind::Certificate,
                format!("its certificate {}", certificate(error, self.trusted)),
            ),
            rustls::Error::NoCertificatesPresented => (
                ErrorKind::Certificate,
                "it showed no certificate".to_owned(),
            ),
            rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => (
                ErrorKind::Protocol,
                "what it sends is not TLS (a port without TLS, or one that wants STARTTLS?)"
                    .to_owned(),
            ),
            rustls::Error::NoApplicationProtocol => (
                ErrorKind::Protocol,
                "no application protocol (ALPN) in common".to_owned(),
            ),
            rustls::Error::PeerIncompatible(error) => (ErrorKind::Protocol, incompatible(error)),
            error => explain(error),
        }
    }
}

/// An error of the secured stream, after its handshake: rustls' own are told in our words, those
/// of the stream below pass.
pub(crate) fn in_stream(error: io::Error) -> Error {
    let Some(inner) = error.get_ref() else {
        return Error::from(error);
    };
    if let Some(error) = inner.downcast_ref() {
        let (kind, what) = explain(error);
        return Error::new(kind, what);
    }
    // This one is rustls' too, though it has not its type.
    if error.kind() == io::ErrorKind::UnexpectedEof && !inner.is::<Error>() {
        return Error::new(
            ErrorKind::UnexpectedEof,
            "the peer ended the stream without close_notify",
        );
    }
    Error::from(error)
}

/// What may go wrong at any time.
fn explain(error: &rustls::Error) -> (ErrorKind, String) {
    match error {
        rustls::Error::AlertReceived(alert) => received(*alert),
        rustls::Error::DecryptError => (
            ErrorKind::Protocol,
            "what arrived can't be decrypted: it was changed, or some of it lost, under way".into(),
        ),
        error => (ErrorKind::Protocol, format!("TLS failed: {error}")),
    }
}

/// What the peer's alert means (RFC 8446, section 6.2).
fn received(alert: AlertDescription) -> (ErrorKind, String) {
    let (kind, what) = match alert {
        AlertDescription::CertificateRequired => {
            (ErrorKind::Certificate, "the peer asks for our certificate")
        }
        AlertDescription::UnknownCA => (
            ErrorKind::Certificate,
            "the peer does not trust the issuer of our certificate",
        ),
        AlertDescription::CertificateExpired => (
            ErrorKind::Certificate,
            "the peer takes our certificate for expired",
        ),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::NoCertificate
        | AlertDescription::AccessDenied => (
            ErrorKind::Certificate,
            "the peer does not accept our certificate",
        ),
        AlertDescription::NoApplicationProtocol => (
            ErrorKind::Protocol,
            "the peer speaks none of the application protocols (ALPN) that were offered",
        ),
        AlertDescription::ProtocolVersion => (
            ErrorKind::Protocol,
            "the peer speaks none of the TLS versions that were offered",
        ),
        AlertDescription::UnrecognisedName => {
            (ErrorKind::Protocol, "the peer knows no host of that name")
        }
        _ => (ErrorKind::Protocol, "the peer gave up"),
    };
    let name = match alert.as_str() {
        Some(name) => name.to_owned(),
        None => u8::from(alert).to_string(),
    };
    (kind, format!("{what} (alert {name})"))
}

fn incompatible(error: &PeerIncompatible) -> String {
    match error {
        PeerIncompatible::ServerDoesNotSupportTls12Or13 => {
            "it speaks nothing newer than TLS 1.1".into()
        }
        PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired => {
            "it speaks no TLS version that is allowed here".into()
        }
        error => format!("no common ground: {error:?}"),
    }
}

/// What is wrong with the peer's certificate, after "its certificate".
fn certificate(error: &CertificateError, trusted: &str) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "(or one in its chain) expired on {}; if it did not, this machine's clock is wrong",
            date(*not_after)
        ),
        CertificateError::Expired => "(or one in its chain) has expired".into(),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "(or one in its chain) is valid from {} only; if that is past, this machine's clock \
             is wrong",
            date(*not_before)
        ),
        CertificateError::NotValidYet => "(or one in its chain) is not valid yet".into(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("is for another name: {}", names(presented))
        }
        CertificateError::NotValidForName => "is for another name".into(),
        CertificateError::UnknownIssuer => format!("was not issued by {trusted}"),
        CertificateError::Revoked => "has been revoked".into(),
        CertificateError::BadEncoding => "is malformed".into(),
        CertificateError::BadSignature => {
            "has a wrong signature (does another authority use its issuer's name?)".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for this use".into()
        }
        CertificateError::Other(error) if error.0.is::<NotPinned>() => {
            "is none of those pinned, nor is its key".into()
        }
        // The verifier's own error, which has no type of rustls'.
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            "is an authority's (CA:TRUE), which a server must not show as its own".into()
        }
        CertificateError::Other(error) => format!("was refused: {error}"),
        error => format!("was refused: {error}"),
    }
}

/// The same, for programs.
fn problem(error: &CertificateError) -> CertificateProblem {
    match error {
        CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
            CertificateProblem::WrongName
        }
        CertificateError::ExpiredContext { .. } | CertificateError::Expired => {
            CertificateProblem::Expired
        }
        CertificateError::NotValidYetContext { .. } | CertificateError::NotValidYet => {
            CertificateProblem::NotYetValid
        }
        CertificateError::Revoked => CertificateProblem::Revoked,
        CertificateError::Other(error) if error.0.is::<NotPinned>() => {
            CertificateProblem::NotPinned
        }
        _ => CertificateProblem::Unusable,
    }
}

/// The names in a certificate, each of which comes as `DnsName("a.example")` or
/// `IpAddress(127.0.0.1)`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "it has none".into();
    }
    let mut text = String::new();
    for (index, name) in presented.iter().take(NAMES_SHOWN).enumerate() {
        let name = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'))
            .unwrap_or(name)
            .trim_matches('"');
        let shown = name
            .chars()
            .map(|char| if char.is_ascii_graphic() { char } else { '?' })
            .take(NAME_SHOWN);
        text.push_str(if index == 0 { "" } else { ", " });
        text.extend(shown);
    }
    if presented.len() > NAMES_SHOWN {
        let _ = write!(text, " and {} more", presented.len() - NAMES_SHOWN);
    }
    text
}

/// The date of a moment, in the Gregorian calendar (Howard Hinnant's `civil_from_days`).
fn date(time: UnixTime) -> String {
    let days = time.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    // Years begin in March here, so that the leap day is the last.
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (4_102_444_799, "2099-12-31"),
            (253_402_300_799, "9999-12-31"),
        ] {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            assert_eq!(date(time), text);
        }
    }

    #[test]
    fn names_are_bounded_and_harmless() {
        let long = format!("DnsName({:?})", "a".repeat(500));
        let mut presented = vec!["DnsName(\"a.example\")".to_owned(), "IpAddress(::1)".into()];
        assert_eq!(names(&presented), "a.example, ::1");
        presented.push("DnsName(\"\u{1b}[31m\")".into());
        assert_eq!(names(&presented), "a.example, ::1, ?[31m");
        presented.extend(std::iter::repeat_n(long, 20));
        let text = names(&presented);
        assert!(text.ends_with(" and 15 more"), "{text}");
        assert!(text.len() < 600, "{text}");
    }
}
