//! Signed web bundles: a folder as an Isolated Web App in one file.
//!
//! The bundle is [draft-ietf-wpack-bundled-responses], the signature Chromium's integrity block
//! ([isolated-web-apps], version 2). Both are CBOR (RFC 8949) of a few shapes only, written here.
//!
//! [draft-ietf-wpack-bundled-responses]: https://wpack-wg.github.io/bundled-responses/draft-ietf-wpack-bundled-responses.html
//! [isolated-web-apps]: https://github.com/WICG/webpackage/blob/main/explainers/integrity-signature.md

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ring::digest::{SHA512, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const BUNDLE_MAGIC: &[u8] = "🌐📦".as_bytes();
const BUNDLE_VERSION: &[u8] = b"b2\0\0";
const SIGNED_MAGIC: &[u8] = "🖋📦".as_bytes();
const SIGNED_VERSION: &[u8] = b"2b\0\0";
/// What follows the public key in an app's identifier, for Ed25519.
const ED25519_SUFFIX: [u8; 3] = [0, 1, 2];

/// Packs a folder, signs it, and returns the app's origin.
pub(crate) fn pack(folder: &Path, out: &Path, key: &Path) -> Result<String> {
    let key = signing_key(key)?;
    let id = app_id(&key);
    let origin = format!("isolated-app://{id}");
    let bundle = bundle(&origin, &files(folder)?);
    let mut signed = sign(&bundle, &id, &key);
    signed.extend(bundle);
    fs::write(out, signed).with_context(|| format!("could not write {}", out.display()))?;
    Ok(origin)
}

/// A file of the app.
struct Resource {
    /// From the root, with a slash in front.
    path: String,
    kind: &'static str,
    content: Vec<u8>,
}

/// The key of this machine, made when there is none: it decides the app's origin, and with it what
/// the app has stored.
fn signing_key(path: &Path) -> Result<Ed25519KeyPair> {
    if !path.exists() {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .ok()
            .context("the system has no randomness")?;
        fs::write(path, made).with_context(|| format!("could not write {}", path.display()))?;
    }
    let pkcs8 = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
    match Ed25519KeyPair::from_pkcs8(&pkcs8) {
        Ok(key) => Ok(key),
        Err(error) => bail!("{} is no Ed25519 key: {error}", path.display()),
    }
}

fn app_id(key: &Ed25519KeyPair) -> String {
    let mut bytes = key.public_key().as_ref().to_vec();
    bytes.extend(ED25519_SUFFIX);
    base32(&bytes)
}

/// RFC 4648, section 6, in lower case and without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    bytes
        .chunks(5)
        .flat_map(|chunk| {
            let bits = chunk.iter().enumerate().fold(0_u64, |bits, (i, byte)| {
                bits | u64::from(*byte) << (32 - 8 * i)
            });
            let digits = (chunk.len() * 8).div_ceil(5);
            (0..digits).map(move |i| char::from(ALPHABET[(bits >> (35 - 5 * i)) as usize & 31]))
        })
        .collect()
}

/// The folder's files in the order of their paths, so that the same files make the same bundle.
fn files(folder: &Path) -> Result<Vec<Resource>> {
    let mut resources = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), String::new())];
    while let Some((folder, path)) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("no folder {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), path));
                continue;
            }
            let kind = media_type(&path)
                .with_context(|| format!("{path} has an ending without a media type"))?;
            let content = fs::read(entry.path())?;
            if let Some(folder) = path.strip_suffix("index.html") {
                resources.push(Resource {
                    path: folder.to_owned(),
                    kind,
                    content: content.clone(),
                });
            }
            resources.push(Resource {
                path,
                kind,
                content,
            });
        }
    }
    resources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(resources)
}

fn media_type(path: &str) -> Option<&'static str> {
    if path.ends_with("/LICENSE") {
        return Some("text/plain");
    }
    Some(match path.rsplit_once('.')?.1 {
        "css" => "text/css",
        "html" => "text/html",
        "js" => "text/javascript",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "ts" => "text/plain",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

/// The web bundle: an index of addresses, then the responses.
fn bundle(origin: &str, resources: &[Resource]) -> Vec<u8> {
    let mut index = Cbor::map(resources.len());
    let mut responses = Cbor::array(resources.len());
    for resource in resources {
        let mut response = Cbor::array(2);
        let mut headers = Cbor::map(2);
        headers.bytes(b":status").bytes(b"200");
        headers
            .bytes(b"content-type")
            .bytes(resource.kind.as_bytes());
        response.bytes(&headers.0).bytes(&resource.content);
        index
            .text(&format!("{origin}{}", resource.path))
            .append(&Cbor::array(2))
            .number(responses.0.len() as u64)
            .number(response.0.len() as u64);
        responses.append(&response);
    }
    let mut lengths = Cbor::array(4);
    lengths.text("index").number(index.0.len() as u64);
    lengths.text("responses").number(responses.0.len() as u64);
    let mut bundle = Cbor::array(5);
    bundle
        .bytes(BUNDLE_MAGIC)
        .bytes(BUNDLE_VERSION)
        .bytes(&lengths.0)
        .append(&Cbor::array(2))
        .append(&index)
        .append(&responses);
    // The last item is the length of it all, this item included.
    let length = bundle.0.len() as u64 + 9;
    bundle.bytes(&length.to_be_bytes());
    bundle.0
}

/// The integrity block that stands in front of a bundle.
fn sign(bundle: &[u8], id: &str, key: &Ed25519KeyPair) -> Vec<u8> {
    let mut attributes = Cbor::map(1);
    attributes
        .text("ed25519PublicKey")
        .bytes(key.public_key().as_ref());
    let mut block = Cbor::array(4);
    block.bytes(SIGNED_MAGIC).bytes(SIGNED_VERSION);
    block.append(&Cbor::map(1)).text("webBundleId").text(id);
    let mut unsigned = Cbor(block.0.clone());
    unsigned.append(&Cbor::array(0));
    let hash = digest(&SHA512, bundle);
    let mut payload = Vec::new();
    for part in [hash.as_ref(), &unsigned.0, &attributes.0] {
        payload.extend((part.len() as u64).to_be_bytes());
        payload.extend(part);
    }
    block
        .append(&Cbor::array(1))
        .append(&Cbor::array(2))
        .append(&attributes)
        .bytes(key.sign(&payload).as_ref());
    block.0
}

/// CBOR in its deterministic form (RFC 8949, section 4.2.1), as far as it is needed here.
struct Cbor(Vec<u8>);

impl Cbor {
    fn array(items: usize) -> Self {
        Self(Vec::new()).head(4, items as u64)
    }

    fn map(entries: usize) -> Self {
        Self(Vec::new()).head(5, entries as u64)
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.push_head(0, number);
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.push_head(2, bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.push_head(3, text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    fn append(&mut self, other: &Self) -> &mut Self {
        self.0.extend(&other.0);
        self
    }

    fn head(mut self, major: u8, argument: u64) -> Self {
        self.push_head(major, argument);
        self
    }

    /// A major type with its argument, in the fewest bytes.
    fn push_head(&mut self, major: u8, argument: u64) {
        let bytes = argument.to_be_bytes();
        let (information, following) = match argument {
            0..24 => (bytes[7], 0),
            24..0x100 => (24, 1),
            0x100..0x1_0000 => (25, 2),
            0x1_0000..0x1_0000_0000 => (26, 4),
            _ => (27, 8),
        };
        self.0.push((major << 5) + information);
        self.0.extend(&bytes[8 - following..]);
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn base32_is_rfc_4648s() {
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn heads_are_the_shortest() {
        // RFC 8949, appendix A.
        for (number, bytes) in [
            (0, &[0x00][..]),
            (23, &[0x17]),
            (24, &[0x18, 0x18]),
            (100, &[0x18, 0x64]),
            (1000, &[0x19, 0x03, 0xe8]),
            (1_000_000, &[0x1a, 0x00, 0x0f, 0x42, 0x40]),
            (
                1_000_000_000_000,
                &[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0],
            ),
        ] {
            let mut cbor = Cbor(Vec::new());
            cbor.number(number);
            assert_eq!(cbor.0, bytes, "{number}");
        }
    }

    #[test]
    fn the_index_leads_to_the_responses() {
        let bundle = bundle(
            "isolated-app://x",
            &[Resource {
                path: "/".into(),
                kind: "text/html",
                content: b"hello".to_vec(),
            }],
        );
        assert_eq!(&bundle[..10], [&[0x85, 0x48], BUNDLE_MAGIC].concat());
        assert_eq!(
            bundle[bundle.len() - 8..],
            (bundle.len() as u64).to_be_bytes()
        );
        // The index ends with the offset and length of the response, the array's head before it.
        let mut end = Cbor(Vec::new());
        end.text("isolated-app://x/")
            .append(&Cbor::array(2))
            .number(1);
        let at = bundle
            .windows(end.0.len())
            .position(|window| window == end.0)
            .expect("an entry in the index");
        let length = usize::from(bundle[at + end.0.len() + 1]);
        let responses = at + end.0.len() + 2;
        assert_eq!(bundle[responses], 0x81);
        assert!(bundle[responses + 1..=responses + length].ends_with(b"\x45hello"));
    }

    #[test]
    fn the_signature_holds() {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key");
        let block = sign(b"bundle", "id", &key);
        let (rest, signature) = block.split_at(block.len() - 64);
        assert!(rest.ends_with(&[0x58, 64]));
        // What was signed: the block without signatures stands at its beginning, but for the count.
        let unsigned = 1 + 9 + 5 + 1 + 12 + 3;
        let unsigned = [&block[..unsigned], &[0x80]].concat();
        let attributes = &rest[unsigned.len() + 1..rest.len() - 2];
        let hash = digest(&SHA512, b"bundle");
        let mut payload = Vec::new();
        for part in [hash.as_ref(), &unsigned, attributes] {
            payload.extend((part.len() as u64).to_be_bytes());
            payload.extend(part);
        }
        UnparsedPublicKey::new(&ED25519, key.public_key().as_ref())
            .verify(&payload, signature)
            .expect("the signature is good");
    }
}
