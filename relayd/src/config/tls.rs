//! Where the relay's certificate comes from, as it stands in the file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::file::Wrong;
use super::table::Table;
use super::{Tls, TlsFiles};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTls {
    certificate_file: Option<Spanned<PathBuf>>,
    key_file: Option<Spanned<PathBuf>>,
    acme: Option<Spanned<Table<FileAcme>>>,
}

/// Read without the feature too, so that what is said of it is that it isn't there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(feature = "acme"),
    expect(dead_code, reason = "nothing is done with it")
)]
struct FileAcme {
    domains: Vec<Spanned<String>>,
    folder: PathBuf,
    email: Option<Spanned<String>>,
    directory: Option<Spanned<String>>,
    directory_roots_file: Option<Spanned<PathBuf>>,
    external_account: Option<Spanned<String>>,
    external_account_key_file: Option<Spanned<PathBuf>>,
}

/// Where the keys stand whose files are read when the relay starts.
pub(super) fn places(Table(tls): &Table<FileTls>) -> Vec<(&'static str, Range<usize>)> {
    let files = [
        ("tls.certificate_file", &tls.certificate_file),
        ("tls.key_file", &tls.key_file),
    ];
    let given = |(key, path): (_, &Option<Spanned<_>>)| Some((key, path.as_ref()?.span()));
    files.into_iter().filter_map(given).collect()
}

pub(super) fn read(tls: Spanned<Table<FileTls>>, directory: &Path) -> Result<Tls, Wrong> {
    let whole = tls.span();
    let Table(tls) = tls.into_inner();
    match (tls.certificate_file, tls.key_file, tls.acme) {
        (Some(certificate), Some(key), None) => Ok(TlsFiles {
            certificate: directory.join(certificate.into_inner()),
            key: directory.join(key.into_inner()),
        }
        .into()),
        (None, None, Some(acme)) => acme::read(&acme, directory),
        (Some(_), _, Some(acme)) | (_, Some(_), Some(acme)) => {
            let message = "a certificate comes from certificate_file and key_file, or from here";
            Err(Wrong::new(acme.span(), "tls.acme", message))
        }
        (_, _, None) => {
            let message = "it has certificate_file and key_file, or a section [tls.acme]";
            Err(Wrong::new(whole, "tls", message))
        }
    }
}

#[cfg(not(feature = "acme"))]
mod acme {
    use super::{FileAcme, Path, Spanned, Table, Tls, Wrong};

    pub(super) fn read(acme: &Spanned<Table<FileAcme>>, _: &Path) -> Result<Tls, Wrong> {
        let message = "this relay was built without the feature acme, which it takes to have a \
                       certificate issued (cargo install --path relayd --features acme)";
        Err(Wrong::new(acme.span(), "tls.acme", message))
    }
}

#[cfg(feature = "acme")]
mod acme {
    use super::{FileAcme, Path, PathBuf, Spanned, Table, Tls, Wrong};
    use crate::acme::{self, AcmeConfig};
    use crate::files::{self, MAX_FILE, MAX_SECRET_FILE};

    pub(super) fn read(acme: &Spanned<Table<FileAcme>>, directory: &Path) -> Result<Tls, Wrong> {
        let whole = acme.span();
        let Table(acme) = acme.get_ref();
        let key = |name: &str| format!("tls.acme.{name}");
        let text = |path: &Spanned<PathBuf>, name: &str, most| {
            let at = directory.join(path.get_ref());
            files::read(&at, most).map_err(|error| {
                let message = format!("{} can't be read: {error}", at.display());
                Wrong::new(path.span(), key(name), message)
            })
        };
        let roots = match &acme.directory_roots_file {
            None => None,
            Some(path) => Some(text(path, "directory_roots_file", MAX_FILE)?),
        };
        for (index, domain) in acme.domains.iter().enumerate() {
            acme::name(domain.get_ref()).map_err(|message| {
                Wrong::new(domain.span(), key(&format!("domains[{index}]")), message)
            })?;
        }
        let url = match &acme.directory {
            None => AcmeConfig::LETS_ENCRYPT,
            Some(url) => {
                acme::check_directory(url.get_ref(), roots.as_deref())
                    .map_err(|message| Wrong::new(url.span(), key("directory"), message))?;
                url.get_ref()
            }
        };
        let domains = acme.domains.iter().map(|domain| &**domain.get_ref());
        let domains: Vec<_> = domains.collect();
        let folder = directory.join(&acme.folder);
        let mut config = AcmeConfig::new(url, roots.as_deref(), &domains, folder)
            .map_err(|message| Wrong::new(whole.clone(), "tls.acme", message))?;
        if let Some(email) = &acme.email {
            config = (config.with_email(email.get_ref()))
                .map_err(|message| Wrong::new(email.span(), key("email"), message))?;
        }
        match (&acme.external_account, &acme.external_account_key_file) {
            (None, None) => {}
            (Some(id), Some(path)) => {
                let name = "external_account_key_file";
                let secret = text(path, name, MAX_SECRET_FILE)?;
                config = (config.with_external_account(id.get_ref(), secret.trim()))
                    .map_err(|message| Wrong::new(path.span(), key(name), message))?;
            }
            _ => {
                let message = "external_account and external_account_key_file stand together";
                return Err(Wrong::new(whole, "tls.acme", message));
            }
        }
        Ok(config.into())
    }
}
