//! Certificates in the place of tokens: those that an authority of the operator's own has signed.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;
use jackfield_relay_wire::Code;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use serde::Deserialize;

use super::{Claims, Proven, TokenError};
use crate::bearer::is_name;
use crate::certificate::Certificate;
use crate::crl::next_update;

/// An authority whose certificates let programs in over `wss`, without a token: whoever has one, and its
/// private key.
///
/// It is for programs alone. What sends an `Origin` needs a token, since a browser would show its user's
/// certificate for any page's WebSocket.
///
/// The certificate's name is its bearer's: the first URI of its alternative names; without one, the first DNS
/// name, or mail address, or its common name. A session ends with the certificate. It is revoked as a token
/// is, by that name as `sub` and its serial number (in hexadecimal digits) as `jti`, or by a list of the
/// authority's.
#[derive(Clone)]
pub struct ClientCa {
    roots: Arc<[CertificateDer<'static>]>,
    revoked: Arc<[CertificateRevocationListDer<'static>]>,
    /// When the first of them is to be replaced.
    due: Option<SystemTime>,
    when_outdated: WhenOutdated,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// What is done about certificates while the list (CRL) that could revoke them should have been replaced: its
/// `nextUpdate` is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenOutdated {
    /// They let in, unless they are on it.
    #[default]
    Allow,
    /// They don't, and sessions end.
    Deny,
}

/// Why a certificate was not accepted, as the client may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is of no authority that the relay knows.
    Authority,
    /// It was valid until then.
    Expired(SystemTime),
    /// It is valid from then on.
    NotYet(SystemTime),
    /// Of those between it and its authority, one can't be used.
    Between,
    /// It is for something else than showing it as a client.
    Purpose,
    /// It was revoked: by its authority's list, or by the relay's configuration.
    Revoked,
    /// No good list of its issuer's says whether it was.
    NoList,
    /// The name that counts can't be one.
    Name,
    /// Its authority's list should have been replaced.
    Outdated,
    /// Its `[[token]]` has let in until then.
    Over(SystemTime),
}

impl ClientCa {
    /// An authority by its certificate in PEM, or several; and its lists of revoked certificates (CRL), in PEM.
    /// Without lists nothing is looked up. With any, each certificate's issuer must have one there; one that is
    /// outdated counts as well as another.
    ///
    /// # Errors
    /// Where there is no certificate, or no list, or they can't be used.
    pub fn from_pem(authorities: &str, revoked: Option<&str>) -> Result<Self, String> {
        Self::from_pem_with(authorities, revoked, WhenOutdated::default())
    }

    /// The same, which says what is done while a list is outdated.
    ///
    /// # Errors
    /// As those of [`from_pem`](Self::from_pem).
    pub fn from_pem_with(
        authorities: &str,
        revoked: Option<&str>,
        when_outdated: WhenOutdated,
    ) -> Result<Self, String> {
        let pem = |error| format!("that is not PEM: {error}");
        let roots: Vec<_> = CertificateDer::pem_slice_iter(authorities.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(pem)?;
        if roots.is_empty() {
            return Err("there is no CERTIFICATE in PEM".into());
        }
        let revoked: Vec<_> = match revoked {
            None => Vec::new(),
            Some(text) => {
                let lists = CertificateRevocationListDer::pem_slice_iter(text.as_bytes());
                let lists: Vec<_> = lists.collect::<Result<_, _>>().map_err(pem)?;
                if lists.is_empty() {
                    return Err("there is no X509 CRL in PEM".into());
                }
                lists
            }
        };
        let mut store = RootCertStore::empty();
        for root in &roots {
            let added = store.add(root.clone());
            added.map_err(|error| format!("a certificate can't be used: {error}"))?;
        }
        let provider = Arc::new(ring::default_provider());
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
            .with_crls(revoked.iter().cloned());
        if when_outdated == WhenOutdated::Deny {
            builder = builder.enforce_revocation_expiration();
        }
        let verifier = builder.build().map_err(|error| error.to_string())?;
        Ok(Self {
            roots: roots.into(),
            due: revoked.iter().filter_map(|list| next_update(list)).min(),
            revoked: revoked.into(),
            when_outdated,
            verifier,
        })
    }

    pub(crate) fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }

    /// When the first of its lists is to be replaced; `None` where it has none.
    pub(crate) fn list_due(&self) -> Option<SystemTime> {
        self.due
    }

    /// Whether another has an authority of this one: whose a certificate is could not be told.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.roots.iter().any(|root| other.roots.contains(root))
    }

    /// What a certificate says, with those that lead to the authority; that its owner has the key was shown in
    /// the handshake.
    pub(super) fn verify(
        &self,
        chain: &[CertificateDer<'static>],
        now: SystemTime,
    ) -> Result<Proven, TokenError> {
        let (own, between) = chain.split_first().ok_or(TokenError::Missing)?;
        let certificate = Certificate::read(own).ok_or(TokenError::Unknown)?;
        self.judge(own, between, &certificate, now)?;
        let mut claims = Claims::new(certificate.not_after);
        claims.issued_at = Some(certificate.not_before);
        claims.subject = match certificate.name.map(String::from_utf8) {
            None => None,
            Some(Ok(name)) if is_name(&name) => Some(name),
            Some(_) => return Err(Fault::Name.into()),
        };
        let bearer = match &claims.subject {
            Some(name) => format!("sub {name}"),
            None => format!("jti {}", certificate.serial),
        };
        claims.id = Some(certificate.serial);
        Ok(Proven {
            expires: Some(claims.expires),
            bearer: Some(bearer),
            claims: Some(claims),
        })
    }

    /// Whether a certificate is of this authority, and good at this time.
    fn judge(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        read: &Certificate,
        now: SystemTime,
    ) -> Result<(), TokenError> {
        let at = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            let time = UnixTime::since_unix_epoch(since);
            let verified = self.verifier.verify_client_cert(own, between, time);
            verified.map(drop).or_else(|error| fault(&error))
        };
        // What has no time is told before whose it is: whether it is of this authority shows at another.
        let (time, late) = if now > read.not_after {
            (read.not_after, Some(Fault::Expired(read.not_after)))
        } else if now < read.not_before {
            (read.not_before, Some(Fault::NotYet(read.not_before)))
        } else {
            (now, None)
        };
        match (at(time), late) {
            (Ok(()), None) => Ok(()),
            // At that other time, what it is judged by may have none.
            (
                Ok(()) | Err(TokenError::Certificate(Fault::Between | Fault::Outdated)),
                Some(late),
            ) => Err(late.into()),
            (Err(error), _) => Err(error),
        }
    }
}

/// What is wrong with a certificate, by what the library says of it and of those between; nothing that is known,
/// where it leads to another authority.
fn fault(error: &rustls::Error) -> Result<(), TokenError> {
    use CertificateError as Wrong;
    let wrong = match error {
        rustls::Error::InvalidCertificate(wrong) => wrong,
        // It is looked at only once it is known that the authority has signed the certificate.
        rustls::Error::InvalidCertRevocationList(_) => return Err(Fault::NoList.into()),
        _ => return Err(TokenError::Unknown),
    };
    Err(match wrong {
        Wrong::Revoked => Fault::Revoked,
        Wrong::UnknownRevocationStatus => Fault::NoList,
        Wrong::ExpiredRevocationList | Wrong::ExpiredRevocationListContext { .. } => {
            Fault::Outdated
        }
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => Fault::Purpose,
        Wrong::Expired
        | Wrong::ExpiredContext { .. }
        | Wrong::NotValidYet
        | Wrong::NotValidYetContext { .. } => Fault::Between,
        _ => return Err(TokenError::Unknown),
    }
    .into())
}

impl Fault {
    /// What a client is told, for programs.
    pub(super) fn code(self) -> Code {
        match self {
            Self::Expired(_) | Self::Revoked | Self::Over(_) => Code::TOKEN_EXPIRED,
            _ => Code::TOKEN_UNKNOWN,
        }
    }
}

impl From<Fault> for TokenError {
    fn from(fault: Fault) -> Self {
        Self::Certificate(fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = |time: SystemTime| HttpDate::from(time.max(UNIX_EPOCH));
        f.write_str("the certificate ")?;
        match *self {
            Self::Authority => f.write_str("is of no authority that the relay knows"),
            Self::Expired(when) => write!(f, "has expired at {}", date(when)),
            Self::NotYet(when) => write!(f, "is not valid before {}", date(when)),
            Self::Between => f.write_str("came with another of its chain that is not valid now"),
            Self::Purpose => f.write_str("is not for clients (its extended key usage)"),
            Self::Revoked => f.write_str("was revoked"),
            Self::NoList => {
                f.write_str("may be revoked: the relay has no good list (CRL) of its issuer")
            }
            Self::Name => f.write_str("has a name that is too long, or can't be shown"),
            Self::Outdated => f.write_str("may be revoked: the relay's list (CRL) is outdated"),
            Self::Over(when) => write!(f, "has let in until {}, and no longer", date(when)),
        }
    }
}

impl PartialEq for ClientCa {
    fn eq(&self, other: &Self) -> bool {
        self.roots == other.roots
            && self.revoked == other.revoked
            && self.when_outdated == other.when_outdated
    }
}

impl Eq for ClientCa {}

impl fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCa")
            .field("roots", &self.roots.len())
            .field("revoked", &self.revoked.len())
            .finish_non_exhaustive()
    }
}
