//! What the store file holds: a versioned JSON map from `<id>#<n>` to a secret
//! and the key ref it was written for, encrypted by age. Bytes in, bytes out.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::x25519;
use age::{DecryptError, Decryptor, Encryptor};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::key::Secret;

/// The format this program writes.
const VERSION: u32 = 1;

const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const BINARY: &[u8] = b"age-encryption.org/";

/// The open content of a store file.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pub entries: BTreeMap<String, Entry>,
}

/// One secret version.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key ref at the time of writing; only for people who open the file
    /// by hand.
    pub key: String,
    pub secret: Secret,
}

/// Why a file did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    NotAge,
    /// Encrypted to others.
    WrongIdentity,
    /// An age file, but cut short or changed.
    Damaged,
    /// Opened, but not what keyctl writes.
    NotAStore,
    /// Written by a newer keyctl.
    Newer,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Read1 {
    secrets: BTreeMap<String, ReadEntry>,
}

#[derive(Deserialize)]
struct ReadEntry {
    #[serde(default)]
    key: String,
    secret: String,
}

#[derive(Serialize)]
struct Write1<'a> {
    version: u32,
    secrets: BTreeMap<&'a str, WriteEntry<'a>>,
}

#[derive(Serialize)]
struct WriteEntry<'a> {
    key: &'a str,
    secret: &'a str,
}

/// Returns whether bytes claim to be an age file.
pub fn is_age(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(ARMOR) || bytes.starts_with(BINARY)
}

/// Decrypts and parses a store file.
pub fn open(bytes: &[u8], identities: &[x25519::Identity]) -> Result<Content, Trouble> {
    let plain = decrypt(bytes, identities)?;
    let version: Version = serde_json::from_slice(&plain).map_err(|_| Trouble::NotAStore)?;
    if version.version > VERSION {
        return Err(Trouble::Newer);
    }
    let wire: Read1 = serde_json::from_slice(&plain).map_err(|_| Trouble::NotAStore)?;
    let entry = |(name, entry): (String, ReadEntry)| {
        (name, Entry { key: entry.key, secret: Secret::new(entry.secret) })
    };
    Ok(Content { entries: wire.secrets.into_iter().map(entry).collect() })
}

/// Decrypts an age file.
pub fn decrypt(bytes: &[u8], identities: &[x25519::Identity]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    if !is_age(bytes) {
        return Err(Trouble::NotAge);
    }
    let trouble = |error: DecryptError| match error {
        DecryptError::NoMatchingKeys => Trouble::WrongIdentity,
        DecryptError::UnknownFormat => Trouble::Newer,
        _ => Trouble::Damaged,
    };
    let decryptor = Decryptor::new(ArmoredReader::new(bytes)).map_err(trouble)?;
    let keys = identities.iter().map(|it| it as &dyn age::Identity);
    let mut reader = decryptor.decrypt(keys).map_err(trouble)?;
    // Grown once: a vector that moves leaves its old bytes behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.read_to_end(&mut plain).map_err(|_| Trouble::Damaged)?;
    Ok(plain)
}

/// Serializes and encrypts a store file to every recipient.
pub fn seal(content: &Content, recipients: &[x25519::Recipient]) -> Result<Vec<u8>, String> {
    let secrets = content
        .entries
        .iter()
        .map(|(name, entry)| (name.as_str(), WriteEntry { key: &entry.key, secret: entry.secret.expose() }));
    let wire = Write1 { version: VERSION, secrets: secrets.collect() };
    let room = content.entries.values().map(|it| 96 + 6 * it.secret.expose().len() + it.key.len()).sum();
    let mut plain = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *plain, &wire).map_err(|error| error.to_string())?;
    encrypt(&plain, recipients.iter().map(|it| it as &dyn age::Recipient))
}

/// Encrypts bytes as an armored age file: text, so that no line-end conversion
/// of a version control system can damage it.
pub fn encrypt<'a>(
    plain: &[u8],
    recipients: impl Iterator<Item = &'a dyn age::Recipient>,
) -> Result<Vec<u8>, String> {
    let encryptor = Encryptor::with_recipients(recipients).map_err(|error| error.to_string())?;
    let write = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plain)?;
        writer.finish()?.finish()
    };
    write().map_err(|error| error.to_string())
}
