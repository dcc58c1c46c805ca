//! Emptying a list and putting it back, entry by entry, so that the next call
//! goes on wherever this one was interrupted.
//!
//! A list of which half is deleted, or half restored, may no longer have the
//! address of this machine on it, and then nothing more can be changed from
//! here. Therefore one entry lets everybody in while several are changed; an
//! empty list does the same, so nobody is let in who would not be anyway.

use crate::clock::Span;
use crate::exit::{Exit, Situation};
use crate::key::Verdict;
use crate::operator::{Consent, ConsentQuestion};
use crate::provider::{AllowlistEntry, Trouble};
use crate::workflow::allowlist::account::Account;
use crate::workflow::allowlist::saved_lists;
use crate::workflow::allowlist::saved_lists::{Saved, holds, is_wide};

const COVER: &str = "keyctl: while the list is changed";
const GO_ON: &str = "the saved list is kept; the same command goes on from here, `--restore` puts it back";

/// Saves the list, then deletes every entry. Returns what is left.
///
/// # Errors
/// What stopped it; the saved list is kept.
pub fn relax(account: &Account<'_>, span: Option<Span>) -> anyhow::Result<Vec<AllowlistEntry>> {
    let (context, key, record) = (account.context, account.key(), &account.keyed.record);
    let list = account.read("nothing was changed: the IP allowlist was not read")?;
    let before = saved_lists::of(context, record);
    if list.is_empty() && before.is_none() {
        context.operator.note(format!("The IP allowlist of `{key}` is empty already; nothing was changed."));
        return Ok(list);
    }
    let now = context.now();
    let mut next = before.clone().unwrap_or_else(|| Saved::new(key, now));
    next.merge(&list);
    if span.is_some() || before.is_none() {
        next.until = span.map(|it| it.after(now));
    }
    if !list.is_empty() {
        consent(account, &list)?;
    }
    saved_lists::keep(context, record, &next)?;
    if let Err(trouble) = covered(account, &next, &list)? {
        // Nothing was deleted, so there is nothing to restore.
        if before.is_none() && !trouble.outcome_unknown {
            saved_lists::forget(context, record)?;
        }
        return Err(account.situation("nothing was deleted", no_cover(trouble)));
    }
    for entry in deletion_order(&list, &next) {
        account.remove(&entry.address)?.map_err(|trouble| stopped(account, &entry.address, trouble))?;
    }
    if let Some(cover) = next.cover.as_deref().filter(|_| needs_cover(&next, &list)) {
        account.remove(cover)?.map_err(|trouble| stopped(account, cover, trouble))?;
    }
    let left = account.read("whether the list is empty could not be read")?;
    if !left.is_empty() {
        let message = format!("{} entries are on the IP allowlist of `{key}` again", left.len());
        return Err(Situation::failed("not-empty", message).hint(GO_ON).into());
    }
    context.operator.note(format!(
        "Emptied: {} {} saved. Put them back: `keyctl allowlist {key} --restore`",
        next.entries.len(),
        if next.entries.len() == 1 { "entry is" } else { "entries are" },
    ));
    Ok(left)
}

fn consent(account: &Account<'_>, list: &[AllowlistEntry]) -> anyhow::Result<()> {
    let (context, key) = (account.context, account.key());
    let entries =
        if list.len() == 1 { "the only entry".to_owned() } else { format!("{} entries", list.len()) };
    let question = ConsentQuestion::EmptyAllowlist { key: key.to_string(), entries };
    match context.operator.consent(&question) {
        Consent::Given => Ok(()),
        Consent::Refused => Err(Situation::refused("not-confirmed", "nothing was changed").into()),
        Consent::NoOne => Err(Situation::refused(
            "not-confirmed",
            format!("emptying the IP allowlist of `{key}` needs a word of consent"),
        )
        .hint("add `--yes`")
        .into()),
    }
}

/// Returns whether the list, as it is, is changed under cover: several entries
/// go, or an interrupted call left the cover there.
fn needs_cover(saved: &Saved, list: &[AllowlistEntry]) -> bool {
    saved.cover.is_some() && (list.len() > 1 || list.iter().any(|it| saved.is_cover(it)))
}

fn covered(
    account: &Account<'_>,
    saved: &Saved,
    list: &[AllowlistEntry],
) -> anyhow::Result<Result<(), Trouble>> {
    let there = list.iter().any(|it| saved.is_cover(it));
    match &saved.cover {
        Some(cover) if needs_cover(saved, list) && !there => account.add(&cover_entry(cover)),
        _ => Ok(Ok(())),
    }
}

fn cover_entry(address: &str) -> AllowlistEntry {
    AllowlistEntry { address: address.to_owned(), description: Some(COVER.to_owned()) }
}

/// Returns the entries to delete, the cover aside; what lets everybody in goes last.
fn deletion_order<'l>(list: &'l [AllowlistEntry], saved: &Saved) -> Vec<&'l AllowlistEntry> {
    let mut order: Vec<_> = list.iter().filter(|it| !saved.is_cover(it)).collect();
    order.sort_by_key(|it| is_wide(it));
    order
}

fn no_cover(mut trouble: Trouble) -> Trouble {
    trouble.hint.get_or_insert_with(|| {
        "several entries are deleted under one that lets everybody in, or this machine might be locked out \
         halfway; empty the list in the provider's console instead"
            .to_owned()
    });
    trouble
}

fn stopped(account: &Account<'_>, address: &str, mut trouble: Trouble) -> anyhow::Error {
    trouble.hint = Some(GO_ON.to_owned());
    account.situation(&format!("not all is done: stopped at `{address}`"), trouble)
}

/// Adds what is missing of the saved list, reads it again, and only then
/// forgets what was saved. Returns the list.
///
/// # Errors
/// Exit 8 when nothing is saved; what stopped it, with the saved list kept.
pub fn restore(account: &Account<'_>) -> anyhow::Result<Vec<AllowlistEntry>> {
    let (context, key, record) = (account.context, account.key(), &account.keyed.record);
    let saved = saved_lists::of(context, record).ok_or_else(|| {
        Situation::missing("nothing-saved", format!("no IP allowlist of `{key}` is saved on this machine"))
            .hint("only the machine that relaxed a list can restore it")
    })?;
    let list = account.read("nothing was changed: the IP allowlist was not read")?;
    let mut missing: Vec<AllowlistEntry> =
        saved.entries.iter().filter(|it| !holds(&list, it)).cloned().collect();
    missing.sort_by_key(|it| !is_wide(it));
    // The first entry of an empty list locks out everybody else.
    if let Some(cover) = saved.cover.as_deref().filter(|_| list.is_empty() && missing.len() > 1) {
        missing.insert(0, cover_entry(cover));
    }
    for entry in &missing {
        account.add(entry)?.map_err(|trouble| stopped(account, &entry.address, trouble))?;
    }
    let mut now = account.read("whether the list is restored could not be read")?;
    complete(account, &saved, &now)?;
    if let Some(cover) = saved.cover.as_deref().filter(|_| now.iter().any(|it| saved.is_cover(it))) {
        account.remove(cover)?.map_err(|trouble| stopped(account, cover, trouble))?;
        now = uncovered(account, &saved, now)?;
    }
    let more: Vec<&str> =
        now.iter().filter(|it| !holds(&saved.entries, it)).map(|it| it.address.as_str()).collect();
    if !more.is_empty() {
        context.operator.note(format!("Kept, though not on the saved list: {}", more.join(", ")));
    }
    saved_lists::forget(context, record)?;
    context.operator.note(format!("The IP allowlist of `{key}` is as it was."));
    Ok(now)
}

/// Reads the list once more. This machine may be one that it does not let in:
/// then what was read before, without the cover, is what is there.
fn uncovered(
    account: &Account<'_>,
    saved: &Saved,
    before: Vec<AllowlistEntry>,
) -> anyhow::Result<Vec<AllowlistEntry>> {
    match account.try_read() {
        Ok(list) => complete(account, saved, &list).map(|()| list),
        Err(crate::workflow::allowlist::account::Unread::Trouble(trouble))
            if trouble.reason.verdict() == Verdict::Rejected =>
        {
            account.context.operator.warning("this machine's address is not on the restored list");
            Ok(before.into_iter().filter(|it| !saved.is_cover(it)).collect())
        }
        Err(error) => Err(error.or_situation(account, "whether the list is restored could not be read")),
    }
}

fn complete(account: &Account<'_>, saved: &Saved, list: &[AllowlistEntry]) -> anyhow::Result<()> {
    let absent: Vec<&str> =
        saved.entries.iter().filter(|it| !holds(list, it)).map(|it| it.address.as_str()).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let message = format!("the IP allowlist of `{}` still lacks {}", account.key(), absent.join(", "));
    Err(Situation::new(Exit::Failed, "not-restored", message).hint(GO_ON).into())
}
