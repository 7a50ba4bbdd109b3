//! Certificates made for one test: an authority, and what it signs.
//!
//! ```
//! use jackfield_testing::certs::Authority;
//!
//! let authority = Authority::new();
//! let server = authority.server(&["localhost", "127.0.0.1"]);
//! assert!(server.pem().starts_with("-----BEGIN CERTIFICATE-----"));
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// A certificate authority that nothing trusts but the test that made it.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its private key.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    pem: String,
    key: String,
}

/// Where a [`Certificate`] was written.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM (PKCS #8).
    pub key: PathBuf,
}

impl Authority {
    /// An authority with a key of its own.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Jackfield test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid_now(&mut params);
        let key = KeyPair::generate().expect("a key for the authority");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("the authority signs itself");
        let pem = issuer.pem();
        Self { issuer, pem }
    }

    /// The authority's own certificate: what a client has to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The same, as DER.
    pub fn der(&self) -> &[u8] {
        self.issuer.der()
    }

    /// A certificate for a server with these names; a name may be an IP address.
    pub fn server(&self, names: &[&str]) -> Certificate {
        let mut params = server_params(names);
        valid_now(&mut params);
        self.sign(&params)
    }

    /// The same, which ends in so many days.
    pub fn server_for_days(&self, names: &[&str], days: u32) -> Certificate {
        let mut params = server_params(names);
        valid_now(&mut params);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(days.into());
        self.sign(&params)
    }

    /// The same, but its time was over years ago.
    pub fn expired_server(&self, names: &[&str]) -> Certificate {
        let mut params = server_params(names);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        self.sign(&params)
    }

    /// A certificate for a client of this name.
    pub fn client(&self, name: &str) -> Certificate {
        self.numbered_client(name, None)
    }

    /// The same, with a serial number of one byte below 128, by which it can be [revoked](Self::revoked).
    pub fn numbered_client(&self, name: &str, serial: impl Into<Option<u8>>) -> Certificate {
        let serial = serial.into().map(|number| SerialNumber::from(vec![number]));
        let mut params = client_params(name);
        params.serial_number = serial;
        valid_now(&mut params);
        self.sign(&params)
    }

    /// A certificate for a client of this name that is valid from one day, counted from today, to another.
    pub fn client_for_days(&self, name: &str, (from, to): (i64, i64)) -> Certificate {
        let mut params = client_params(name);
        let now = OffsetDateTime::now_utc();
        params.not_before = now + Duration::days(from);
        params.not_after = now + Duration::days(to);
        self.sign(&params)
    }

    /// The authority's list of those that it has revoked, by their serial numbers, as PEM.
    pub fn revoked(&self, serials: &[u8]) -> String {
        self.revoked_until(serials, 1)
    }

    /// The same, of which the next one is due in so many days.
    pub fn revoked_until(&self, serials: &[u8], days: i64) -> String {
        let now = OffsetDateTime::now_utc();
        let one = |serial: &u8| RevokedCertParams {
            serial_number: SerialNumber::from(vec![*serial]),
            revocation_time: now - Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now - Duration::days(30),
            next_update: now + Duration::days(days),
            crl_number: SerialNumber::from(vec![1]),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("the authority signs");
        list.pem().expect("it can be written")
    }

    fn sign(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().expect("a key for the certificate");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("the authority signs");
        Certificate {
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificate {
    /// The certificate, as DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate, as PEM. It is signed by the authority itself: there is no chain.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The private key, as PEM (PKCS #8).
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    /// The SHA-256 of the certificate in lower-case hex: what IRC services call its fingerprint.
    pub fn fingerprint(&self) -> String {
        use std::fmt::Write as _;
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.der);
        digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Writes `NAME.pem` and `NAME.key` into a directory.
    ///
    /// # Errors
    /// Those of writing files.
    pub fn write_to(&self, directory: &Path, name: &str) -> io::Result<CertificateFiles> {
        let files = CertificateFiles {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        fs::write(&files.certificate, &self.pem)?;
        fs::write(&files.key, &self.key)?;
        Ok(files)
    }
}

fn server_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names and addresses");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn client_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// From yesterday, since the clocks of two machines differ, for a month.
fn valid_now(params: &mut CertificateParams) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(30);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_what_was_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let certificate = Authority::new().server(&["localhost", "::1"]);
        let files = certificate
            .write_to(directory.path(), "server")
            .expect("both files");
        let read = fs::read_to_string(files.certificate).expect("the certificate");
        assert_eq!(read, certificate.pem());
        let read = fs::read_to_string(files.key).expect("the key");
        assert_eq!(read, certificate.key_pem());
        assert_eq!(certificate.fingerprint().len(), 64);
    }
}
