//! The age identity that opens the store file: where it comes from, that only
//! its owner can read it, and the passphrase that may protect it.

use std::path::{Path, PathBuf};

use age::armor::ArmoredReader;
use age::secrecy::{ExposeSecret as _, SecretString};
use age::{DecryptError, Decryptor, scrypt, x25519};
use zeroize::Zeroizing;

use super::{content, disk};
use crate::key::Secret;
use crate::store::{StoreError, StoreProblem, Surroundings};

/// scrypt cost of an identity that keyctl protects: 2^16, 0.26 s and 83 MiB.
const WORK_FACTOR: u8 = 16;
/// The file chooses the cost, so there is a most that is accepted: 2^20, a few
/// seconds and 1 GiB.
const MAX_WORK_FACTOR: u8 = 20;
/// How often a person may mistype.
const TRIES: u32 = 3;

/// The identities in use and what to call them in messages.
#[derive(Clone)]
pub struct Keys {
    pub identities: Vec<x25519::Identity>,
    pub origin: String,
}

impl Keys {
    /// Returns the recipients (`age1…`) that these identities answer to.
    pub fn recipients(&self) -> Vec<String> {
        self.identities.iter().map(|it| it.to_public().to_string()).collect()
    }
}

/// Returns the identity file in use, unless `KEYCTL_IDENTITY` overrides it.
pub fn path(surroundings: &Surroundings) -> PathBuf {
    surroundings.identity_file.clone().unwrap_or_else(|| surroundings.config_dir.join("identity.txt"))
}

/// Returns whether the identity file is protected by a passphrase, without
/// opening it.
pub fn is_protected(surroundings: &Surroundings) -> bool {
    match &surroundings.identity {
        Some(value) => content::is_age(value.expose().as_bytes()),
        None => std::fs::read(path(surroundings)).is_ok_and(|bytes| content::is_age(&bytes)),
    }
}

/// Loads the identity: `KEYCTL_IDENTITY`, else the identity file.
///
/// # Errors
/// [`StoreProblem::NotInitialised`] when there is none, [`StoreProblem::Locked`]
/// without its passphrase, [`StoreProblem::Unreadable`] when it is none or open
/// to others.
pub fn load(surroundings: &Surroundings) -> Result<Keys, StoreError> {
    if let Some(value) = &surroundings.identity {
        let origin = "`KEYCTL_IDENTITY`".to_owned();
        let identities = parse(value.expose().as_bytes(), &origin, surroundings)?;
        return Ok(Keys { identities, origin });
    }
    let path = path(surroundings);
    let origin = format!("`{}`", path.display());
    let Some(bytes) = disk::read(&path)?.map(Zeroizing::new) else {
        return Err(missing(&origin));
    };
    if disk::open_to_others(&path) && !is_credential(&path, surroundings) {
        return Err(StoreError::new(
            StoreProblem::Unreadable,
            format!("the identity {origin} can be read by other users of this machine"),
        )
        .remedy(format!("close it with `chmod 600 {}`", path.display())));
    }
    let identities = parse(&bytes, &origin, surroundings)?;
    Ok(Keys { identities, origin })
}

/// Returns whether systemd handed the file to this service: its folder is open
/// to the service's user only, who may be let in by an access list that shows
/// as the group's right to read (systemd from version 254 on).
fn is_credential(path: &Path, surroundings: &Surroundings) -> bool {
    surroundings.credentials.is_some()
        && path.parent() == surroundings.credentials.as_deref()
        && disk::read_by_group_at_most(path)
}

fn missing(origin: &str) -> StoreError {
    StoreError::new(StoreProblem::NotInitialised, format!("there is no age identity at {origin}")).remedy(
        "make a store with `keyctl store init file`, or name the identity of an existing one with \
         `KEYCTL_IDENTITY_FILE` or `KEYCTL_IDENTITY`",
    )
}

fn parse(
    bytes: &[u8],
    origin: &str,
    surroundings: &Surroundings,
) -> Result<Vec<x25519::Identity>, StoreError> {
    if content::is_age(bytes) {
        let plain = unlock(bytes, &format!("the identity {origin}"), surroundings)?;
        return parse_lines(&plain, origin);
    }
    parse_lines(bytes, origin)
}

fn parse_lines(bytes: &[u8], origin: &str) -> Result<Vec<x25519::Identity>, StoreError> {
    let bad = |message: String| {
        StoreError::new(StoreProblem::Unreadable, message)
            .remedy("an identity is a line that begins with AGE-SECRET-KEY-1, as `age-keygen` prints it")
    };
    let text = std::str::from_utf8(bytes).map_err(|_| bad(format!("{origin} is no age identity")))?;
    let mut identities = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself may be half a secret: never shown.
        let identity =
            line.parse().map_err(|_| bad(format!("line {} of {origin} is no age identity", at + 1)))?;
        identities.push(identity);
    }
    if identities.is_empty() {
        return Err(bad(format!("{origin} holds no age identity")));
    }
    Ok(identities)
}

/// Opens what a passphrase protects: an identity, a backup. `what` names it in
/// messages.
///
/// # Errors
/// [`StoreProblem::Locked`] without the right passphrase.
pub fn unlock(
    bytes: &[u8],
    what: &str,
    surroundings: &Surroundings,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    if let Some(file) = &surroundings.passphrase_file {
        let passphrase = read_passphrase(file)?;
        return open(bytes, &passphrase, what).map_err(|error| {
            if error.problem == StoreProblem::Locked {
                let message = format!("the passphrase in `{}` does not open {what}", file.display());
                return StoreError::new(StoreProblem::Locked, message)
                    .remedy("correct the file that `KEYCTL_PASSPHRASE_FILE` names");
            }
            error
        });
    }
    let Some(ask) = &surroundings.ask else {
        return Err(StoreError::new(
            StoreProblem::Locked,
            format!("{what} is protected by a passphrase and nobody can be asked for it"),
        )
        .remedy(
            "name a file that holds the passphrase with `KEYCTL_PASSPHRASE_FILE`, or run it in a terminal",
        ));
    };
    let mut wrong = None;
    for _ in 0..TRIES {
        let again = if wrong.is_some() { "Wrong passphrase. " } else { "" };
        let Some(passphrase) = ask(&format!("{again}Passphrase of {what}")) else {
            break;
        };
        match open(bytes, &passphrase, what) {
            Err(error) if error.problem == StoreProblem::Locked => wrong = Some(error),
            other => return other,
        }
    }
    Err(wrong.unwrap_or_else(|| {
        StoreError::new(StoreProblem::Locked, format!("no passphrase was given for {what}")).remedy(
            "try again with the passphrase, or name a file that holds it with `KEYCTL_PASSPHRASE_FILE`",
        )
    }))
}

fn open(bytes: &[u8], passphrase: &Secret, what: &str) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    use std::io::Read as _;
    let damaged = || {
        StoreError::new(StoreProblem::Damaged, format!("{what} is damaged"))
            .remedy("restore it from a copy; without it the store cannot be opened by you")
    };
    let trouble = |error: DecryptError| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            StoreError::new(StoreProblem::Locked, format!("that is not the passphrase of {what}"))
                .remedy("try again, or name a file that holds the passphrase with `KEYCTL_PASSPHRASE_FILE`")
        }
        DecryptError::ExcessiveWork { required, .. } => StoreError::new(
            StoreProblem::Unreadable,
            format!("{what} asks for more work (2^{required}) than keyctl does (2^{MAX_WORK_FACTOR})"),
        )
        .remedy("protect the identity again with a lower scrypt work factor"),
        DecryptError::NoMatchingKeys => StoreError::new(
            StoreProblem::Unreadable,
            format!("{what} is encrypted to a recipient; an identity can only be protected by a passphrase"),
        )
        .remedy("name the identity itself with `KEYCTL_IDENTITY_FILE`"),
        _ => damaged(),
    };
    let mut key = scrypt::Identity::new(SecretString::from(passphrase.expose()));
    key.set_max_work_factor(MAX_WORK_FACTOR);
    let decryptor = Decryptor::new(ArmoredReader::new(bytes)).map_err(trouble)?;
    let mut reader = decryptor.decrypt(std::iter::once(&key as &dyn age::Identity)).map_err(trouble)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.read_to_end(&mut plain).map_err(|_| damaged())?;
    Ok(plain)
}

/// Reads the passphrase in a file; one line end after it is no part of it.
pub fn read_passphrase(path: &Path) -> Result<Secret, StoreError> {
    let bytes = disk::read(path)?.map(Zeroizing::new);
    let text = bytes.as_ref().and_then(|it| std::str::from_utf8(it).ok());
    match text {
        Some(text) => {
            let line = text.strip_suffix('\n').unwrap_or(text);
            Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
        }
        None => Err(StoreError::new(
            StoreProblem::Locked,
            format!("there is no passphrase to read at `{}`", path.display()),
        )
        .remedy("correct `KEYCTL_PASSPHRASE_FILE`")),
    }
}

/// Makes a new identity file, 0600, protected by a passphrase if one is given.
pub fn create(path: &Path, passphrase: Option<&Secret>) -> Result<Keys, StoreError> {
    let identity = x25519::Identity::generate();
    let secret = identity.to_string();
    let text =
        Zeroizing::new(format!("# public key: {}\n{}\n", identity.to_public(), secret.expose_secret()));
    match passphrase {
        None => disk::create(path, text.as_bytes())?,
        Some(passphrase) => {
            disk::create(path, &lock(text.as_bytes(), passphrase)?)?;
        }
    }
    Ok(Keys { identities: vec![identity], origin: format!("`{}`", path.display()) })
}

/// Encrypts bytes with a passphrase.
pub fn lock(plain: &[u8], passphrase: &Secret) -> Result<Vec<u8>, StoreError> {
    let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase.expose()));
    recipient.set_work_factor(WORK_FACTOR);
    content::encrypt(plain, std::iter::once(&recipient as &dyn age::Recipient))
        .map_err(|error| StoreError::new(StoreProblem::Other, error))
}
