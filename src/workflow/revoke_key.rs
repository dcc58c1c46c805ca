//! Deleting a key at its provider, by API or by a person, and proving that it
//! is dead. Never by the key itself.

use crate::exit::{Exit, Situation};
use crate::key::{Judgement, KeyRef, Kind, Reason, Verdict};
use crate::operator::{Consent, ConsentQuestion, Testimony, TestimonyQuestion};
use crate::provider;
use crate::provider::{ConsoleAsk, ConsoleTask, Family, KeyAdmin, Trouble};
use crate::workflow::managing_key::Managed;
use crate::workflow::remove_key::{How, Subject, same_secret};
use crate::workflow::{console_guide, managing_key, smtp_login};

/// Deletes the key at the provider and proves it.
///
/// # Errors
/// Exit 2 when no key may do that, exit 9 without a word of consent, exit 6
/// when a person must, exit 3 or 4 when it is not proven dead.
pub fn run(subject: &Subject<'_>, using: Option<&KeyRef>, done: bool) -> anyhow::Result<How> {
    let provider = provider::provider(subject.key.provider);
    let admin = provider.keys();
    let able = admin.map(|it| it.can_replace(subject.record.kind, subject.record.login.as_deref()));
    match (admin, able) {
        (Some(admin), Some(Ok(()))) if !done => by_api(subject, admin, using),
        (_, Some(Err(why))) if !done => {
            subject.context.operator.note(format!("note: {why}"));
            by_person(subject, done)
        }
        _ => by_person(subject, done),
    }
}

fn by_api(subject: &Subject<'_>, admin: &dyn KeyAdmin, using: Option<&KeyRef>) -> anyhow::Result<How> {
    let Subject { context, inventory, key, record } = subject;
    let same = same_secret(inventory, key, record);
    if using.is_some_and(|it| it == *key || same.contains(it)) {
        return Err(Situation::usage(format!("`{key}` cannot delete itself"))
            .hint("name another key of its account with `--using`")
            .into());
    }
    // The key that goes is no candidate, under whatever name it is recorded.
    let mut others = (*inventory).clone();
    others.keys.retain(|other, _| other != *key && !same.contains(other));
    let manager = managing_key::find(context, &others, Managed { key, kind: record.kind }, using)?;
    let id = remote_id(subject)?;
    consent(subject, &same)?;
    context.restart_clock();
    let family = Family { kind: record.kind, domain: record.domain.as_ref(), region: record.region };
    let net = context.net()?;
    let credential = manager.keyed.credential();
    let list = || -> Result<bool, Situation> {
        let rows = admin.list(net.by(&credential), &family).map_err(|it| not_deleted(subject, &it))?;
        Ok(rows.iter().any(|row| row.id.eq_ignore_ascii_case(&id)))
    };
    if !list()? {
        // Deleted before, or never in this account: the key itself tells which.
        let of = format!("the list that `{}` sees", manager.keyed.key);
        context.operator.note(format!("note: `{key}` ({id}) is not in {of}"));
        proven_dead(subject, &format!("and is not in {of}: it may be of another account"))?;
        return Ok(How::Revoked);
    }
    match admin.delete(net.by(&credential), &family, &id) {
        Ok(_) => {}
        // What became of it is told by the list.
        Err(trouble) if trouble.outcome_unknown => {
            context.operator.warning(format!("whether it was deleted is not known: {}", trouble.detail));
        }
        Err(trouble) => return Err(not_deleted(subject, &trouble).into()),
    }
    // What the provider lists no more is dead, however long its hosts remember it.
    if list()? {
        let message = format!("{} still lists `{key}` ({id})", key.provider);
        return Err(Situation::failed("still-listed", message)
            .hint("nothing was removed here; try again")
            .into());
    }
    Ok(How::Revoked)
}

/// Returns the id by which the provider knows the key.
fn remote_id(subject: &Subject<'_>) -> anyhow::Result<String> {
    let record = subject.record;
    let id = match record.kind {
        Kind::Smtp => record.login.clone(),
        _ => record.remote_id.clone(),
    };
    if let Some(id) = id {
        return Ok(id);
    }
    let keyed = subject.keyed()?;
    let embedded = keyed.and_then(|it| provider::provider(subject.key.provider).embedded_id(&it.secret));
    embedded.ok_or_else(|| {
        Situation::usage(format!("the id of `{}` at {} is not known", subject.key, subject.key.provider))
            .hint("delete it in the console, then say so: `--revoke --done`")
            .into()
    })
}

fn consent(subject: &Subject<'_>, same: &[KeyRef]) -> Result<(), Situation> {
    let Subject { context, key, record, .. } = subject;
    let mut breaks: Vec<String> = record.consumers.iter().map(|it| it.name.clone()).collect();
    breaks.extend(same.iter().map(|it| format!("`{it}`, which is the same key")));
    let breaks =
        if breaks.is_empty() { String::new() } else { format!(" It is used by: {}.", breaks.join(", ")) };
    let question = ConsentQuestion::DeleteKey {
        key: key.to_string(),
        provider: key.provider.to_string(),
        used_by: breaks,
    };
    match context.operator.consent(&question) {
        Consent::Given => Ok(()),
        Consent::Refused => Err(Situation::refused("not-confirmed", "nothing was changed")),
        Consent::NoOne => Err(Situation::refused(
            "not-confirmed",
            format!("deleting `{key}` at {} cannot be undone and needs a word of consent", key.provider),
        )
        .hint("add `--yes`")),
    }
}

fn not_deleted(subject: &Subject<'_>, trouble: &Trouble) -> Situation {
    let exit = if trouble.reason.verdict() == Verdict::Unknown { Exit::Unknown } else { Exit::Failed };
    let message = format!("`{}` was not deleted: {}", subject.key, trouble.detail);
    let situation = Situation::new(exit, trouble.reason.as_str(), message);
    situation.hint(trouble.hint.clone().unwrap_or_else(|| "nothing was removed here".to_owned()))
}

fn by_person(subject: &Subject<'_>, done: bool) -> anyhow::Result<How> {
    let Subject { context, key, record, .. } = subject;
    if !done {
        let ask = ConsoleAsk {
            kind: Some(record.kind),
            domain: record.domain.as_ref(),
            account_id: record.account_id.as_deref(),
            remote_name: record.remote_name.as_deref(),
            ..ConsoleAsk::default()
        };
        let guide = provider::provider(key.provider)
            .console(ConsoleTask::Delete, &ask)
            .ok_or_else(|| Situation::usage(format!("{} has no way to delete `{key}`", key.provider)))?;
        let which = record.last2.as_ref().map(|it| format!(" (ending in {it})")).unwrap_or_default();
        console_guide::show(context, &format!("Delete `{key}`{which} in the console:"), &guide);
        match context.operator.testimony(&TestimonyQuestion::Deleted { key: Some(key.to_string()) }) {
            Testimony::Given => {}
            Testimony::Refused => {
                return Err(Situation::refused("not-confirmed", "nothing was changed").into());
            }
            Testimony::NoOne => {
                return Err(Situation::human(format!(
                    "a person deletes `{key}` in the console: {}",
                    guide.url
                ))
                .hint(format!("then: `keyctl remove {key} --revoke --done`"))
                .into());
            }
        }
    }
    context.restart_clock();
    proven_dead(subject, "though it was said to be deleted")?;
    Ok(How::Console)
}

/// The key itself must be refused; `though` says what speaks for that. A bare
/// refusal of a key that was never accepted from here is no change, and proves
/// nothing: its login may be wrong, or this address blocked. Unless another key
/// of the account was accepted from here and tells that the login is right.
fn proven_dead(subject: &Subject<'_>, though: &str) -> anyhow::Result<()> {
    let key = subject.key;
    let Some(keyed) = subject.keyed()? else { return Ok(()) };
    let judgement: Judgement = subject.judgement(&keyed)?;
    let record = subject.record;
    let right = record.login.is_some() && smtp_login::is_the_keys(key.provider, record.kind, &judgement);
    let bare = judgement.reason() == Some(Reason::Unauthorized) && !right;
    match judgement.verdict() {
        Verdict::Rejected if bare && !subject.worked() => {
            let message = format!(
                "that `{key}` is dead is not proven: it is refused without a cause, and it never was accepted from here"
            );
            Err(Situation::new(Exit::Unknown, Reason::Unauthorized.as_str(), message)
                .hint("look for it in the console; `--forget` removes it here only")
                .into())
        }
        Verdict::Rejected => Ok(()),
        Verdict::Valid | Verdict::Limited => {
            Err(Situation::new(Exit::Rejected, "still-works", format!("`{key}` still works, {though}"))
                .hint("nothing was removed here; look for it in the console, or try again in a while")
                .into())
        }
        Verdict::Unknown => {
            let message = format!("that `{key}` is dead could not be proven: {}", judgement.detail);
            let code = judgement.reason().map_or("unknown", Reason::as_str);
            Err(Situation::new(Exit::Unknown, code, message)
                .hint("nothing was removed here; try again, or remove it here only with `--forget`")
                .into())
        }
    }
}
