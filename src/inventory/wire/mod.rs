//! The inventory as a TOML file, version 1. `fields` walks a parsed table,
//! `fail` words every error, `read` builds the model, `shape` turns the model
//! into fields, `spelling` those into text, `patch` carries a change of the
//! model into the text.
//!
//! Reading and writing share nothing but this description:
//!
//! ```toml
//! version = 1
//! store = "keyring"                 # where secrets are kept unless a key says otherwise
//! default_scope = "acme"            # completes a key ref typed without `@…`
//!
//! [agency.acme]                     # every field is optional
//! name = "Acme GmbH"                # as the platform displays it
//! highlevel_id = "…"                # the company id
//! domain = "mg.acme.example"
//! platform = "highlevel"            # or "none"
//! email_provider = "mailgun"        # or "other": its keys are not in use
//! rotate_every = "90d"
//! missing = "2026-11-22T08:00:00Z"  # since then no import lists it; it stays in use
//! gone = true                       # HighLevel said that it does not exist any more
//! imported = "2026-11-22T08:00:00Z"
//!
//! [agency.acme.location.berlin]     # the same fields
//!
//! [key."mailgun@acme/berlin"]
//! id = "k7f3…"                      # required: names the items in the store
//! kind = "sending"                  # required
//! state = "disabled"                # or "pending"; left out: active
//! region = "us"                     # or "eu"
//! domain = "mg.berlin.example"
//! login = "postmaster@mg.berlin.example"
//! store = "file"
//! current = 3                       # versions of the secret in the store
//! pending = 4
//! previous = 2
//! highest = 4                       # left out: the highest of the three
//! asked_at = "2026-11-22T08:00:00Z"   # state pending: when a key was last asked for, or deleted again,
//! asked_with = "mailgun:admin@acme"   # and by which managing key; whether there is one is not known
//! fingerprint = "9f3a1c22d0b4"
//! last2 = "a7"
//! created = "2026-11-22T08:00:00Z"
//! expires = "never"                 # or a date
//! identity = "Acme GmbH"
//! account_id = "…"
//! role = "admin"
//! remote_id = "…"
//! remote_name = "…"
//! permissions = ["campaigns:read"]
//! note = "…"
//!
//! [[key."mailgun@acme/berlin".consumer]]
//! name = "HighLevel agency settings"   # required, unique within the key
//! kind = "manual"                      # or "command", "highlevel"; left out: manual
//! location = "acme/berlin"
//! url = "https://…"                    # as `command`: no character that cannot be seen
//! command = ["deploy-key", "--stdin"]
//!
//! [rotation.r7f3…]
//! keys = ["mailgun@acme"]           # required
//! stage = "deploying"               # required
//! started = "2026-11-22T08:00:00Z"  # required
//! using = "mailgun:admin@acme"
//! grace = "1d"                      # or seconds
//! grace_until = "…"
//! switched_at = "…"
//! used_at = "…"
//! deadline = "…"
//! compromised = true
//! kill_now = true
//! permissions = ["campaigns:read"]
//! held = ["campaigns:read"]         # what the old key was found to have
//! held_whole = true                 # and nothing else
//! canary = "agreed"                 # or "open": only a person who names the key is asked again
//! trouble = "…"
//! # One line each and a blank one between: changes of adjacent lines conflict in git.
//! consumers = [
//!     { key = "mailgun@acme", name = "shop", kind = "manual", state = "acked", by = "ana", at = "…" },
//!
//!     { key = "mailgun@acme", name = "CI", kind = "command", state = "todo" },
//! ]
//!
//! evidence = [
//!     { of = "the old key is dead", source = "witness", by = "mailgun@acme", at = "…", detail = "…" },
//! ]
//!
//! [rotation.r7f3….old]              # and .new
//! fingerprint = "…"
//! last2 = "…"
//! remote_id = "…"
//! login = "…"
//! state = "live"                    # disabled, retiring, dead, lost
//! foreign = true                    # .new only: given, but of another account
//! name = "…"                        # and role, created, expires, permissions: as in the record
//!
//! [rotation.r7f3….owner]            # user, host, pid and at are required
//! user = "ana"
//! host = "laptop"
//! pid = 4711
//! token = "…"                       # random, one for each run
//! space = "…"                       # where `pid` counts: system start and process namespace
//! at = "…"
//!
//! [[waiver]]
//! finding = "…"                     # required: the id of an audit finding
//! key = "mailgun@acme"
//! scope = "acme"
//! about = "…"                       # one of several things: a remote id, a consumer
//! reason = "…"                      # required
//! until = "2026-12-24"              # through this day (UTC)
//! ```
//!
//! Fields and tables that are not known here are left alone, so a newer
//! `keyctl` of the same version, or a person, may add some. Times are written
//! as RFC 3339 strings; a date or a TOML date-time is read as well.

mod bracket;
mod edit;
mod fail;
mod fields;
mod layout;
mod parts;
mod patch;
mod read;
mod shape;
mod spelling;
mod splice;
mod unfold;

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Inventory;
use crate::key::KeyRef;

pub use patch::patch;

/// The version of the layout that this program reads and writes.
pub const VERSION: i64 = 1;

/// The opening of a file that `keyctl` creates.
pub const TEMPLATE: &str = "\
# The inventory of keyctl: which keys there are, what they are for and where
# they are pasted. It holds no secrets and can be committed; secrets are in the
# store named below. Comments, order and fields of your own are kept.
version = 1
";

/// What is wrong with a file, and where. Holds no text of the file that could
/// be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Both count from 1; the column counts characters.
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    /// Returns the fault at a byte of `text`.
    pub fn at(text: &str, offset: usize, message: String, hint: Option<String>) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
            hint,
        }
    }
}

/// A file as text, positions and model.
pub struct Parsed<'text> {
    text: &'text str,
    root: DeTable<'text>,
    /// What the text says.
    pub inventory: Inventory,
}

/// Reads the text of an inventory file, without a byte order mark.
///
/// # Errors
/// The first thing that is wrong with it. Neither the line nor a value that
/// could be a secret is repeated.
pub fn parse(text: &str) -> Result<Parsed<'_>, Fault> {
    let root = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(text.len(), |span| span.start);
        Fault::at(text, offset, format!("this is not TOML: {}", error.message()), None)
    })?;
    let root = root.into_inner();
    let inventory =
        read::inventory(&root).map_err(|fail| Fault::at(text, fail.span.start, fail.message, fail.hint))?;
    Ok(Parsed { text, root, inventory })
}

/// Reads what the text says, in little more memory than that takes. Its
/// positions, which a change needs, are [`parse`]'s.
pub fn load(text: &str) -> Result<Inventory, Fault> {
    match parts::inventory(text, parts::SIZE) {
        Some(inventory) => Ok(inventory),
        None => parse(text).map(|parsed| parsed.inventory),
    }
}

/// Returns the version that a text says it has; `None`: it says none, or
/// cannot be read at all.
pub fn version(text: &str) -> Option<i64> {
    let root = DeTable::parse(text).ok()?.into_inner();
    fields::Section::top(&root).number("version", 0).ok().flatten().map(i64::from)
}

/// Returns the line, from 1, on which each key begins.
pub fn lines(text: &str) -> Result<BTreeMap<KeyRef, usize>, Fault> {
    match parts::offsets(text, parts::SIZE) {
        Some(offsets) => Ok(lines_at(text, offsets)),
        None => parse(text).map(|parsed| parsed.lines()),
    }
}

impl Parsed<'_> {
    fn lines(&self) -> BTreeMap<KeyRef, usize> {
        let mut offsets: Vec<(usize, KeyRef)> = named(&self.root, "key")
            .filter_map(|(name, span)| Some((span.start, name.parse().ok()?)))
            .collect();
        offsets.sort_unstable();
        lines_at(self.text, offsets)
    }
}

fn lines_at(text: &str, offsets: Vec<(usize, KeyRef)>) -> BTreeMap<KeyRef, usize> {
    let (mut line, mut seen) = (1, 0);
    let mut lines = BTreeMap::new();
    for (offset, key) in offsets {
        line += text[seen..offset].matches('\n').count();
        seen = offset;
        lines.insert(key, line);
    }
    lines
}

/// Returns the names and key spans of the tables in `root.FIELD`.
fn named<'a>(root: &'a DeTable<'_>, field: &str) -> impl Iterator<Item = (&'a str, Range<usize>)> {
    let tables = root.get(field).and_then(|it| it.get_ref().as_table());
    tables.into_iter().flat_map(|table| table.iter()).map(|(name, _)| (&**name.get_ref(), name.span()))
}

type Value<'text> = Spanned<DeValue<'text>>;
