//! One key: the order of `add`. Everything that can refuse it without the
//! secret comes before the secret is asked for; everything that can refuse it
//! at all comes before it is kept.

use crate::context::Context;
use crate::exit::Exit;
use crate::key::{Judgement, KeyRef, Kind, Reason, Record, Verdict};
use crate::operator::Presence;
use crate::operator::{Consent, ConsentQuestion};
use crate::provider;
use crate::provider::{Detection, Unsorted};
use crate::workflow::create_announcement::must_be_settled;
use crate::workflow::key_description::{Described, say_the_kind};
use crate::workflow::new_key_proof::Proof;
use crate::workflow::secret_input::Taken;
use crate::workflow::smtp_login::{Sought, Told};
use crate::workflow::store_secret::{Existing, Keeping};
use crate::workflow::{new_key_proof, smtp_login, verdict_memory};

/// A key to be added, and what was said of it.
pub struct Wanted {
    pub key: KeyRef,
    pub described: Described,
}

/// How it is to be added.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub validate: bool,
    pub force: bool,
    pub existing: Existing,
}

/// What became of it.
pub struct Added {
    pub key: KeyRef,
    /// As it is now in the inventory, or would be.
    pub record: Record,
    pub saved: bool,
    pub replaced: bool,
    pub judgement: Option<Judgement>,
    pub store: String,
    pub same_secret: Vec<KeyRef>,
    pub stripped: Vec<String>,
}

impl Added {
    /// Returns the exit code of the verdict.
    pub fn exit(&self) -> Exit {
        match self.judgement.as_ref().map(Judgement::verdict) {
            Some(Verdict::Rejected) => Exit::Rejected,
            Some(Verdict::Unknown) => Exit::Unknown,
            Some(Verdict::Valid | Verdict::Limited) | None => Exit::Done,
        }
    }
}

/// Adds one key; `take` gets the secret, once everything else is in place.
///
/// # Errors
/// Exit 2 for what is no such key, exit 7 when the store cannot be written,
/// exit 9 for a key that is there already, or may have been made by API.
pub fn add(
    context: &Context,
    mut wanted: Wanted,
    manner: Manner,
    take: impl FnOnce(&Context) -> anyhow::Result<Taken>,
) -> anyhow::Result<Added> {
    let inventory = context.inventory()?;
    let Wanted { key, described } = &mut wanted;
    described.check(key.provider)?;
    must_be_settled(inventory, key)?;
    let keeping = Keeping::begin(context, inventory, key, manner.existing)?;
    inherit(described, keeping.seen());
    let place = keeping.store.describe().location;
    context.operator.note(format!("`{key}` will be kept in the {} store: {place}", keeping.store.name()));
    let taken = take(context)?;
    let (kind, judgement) = recognise(context, key, described, &taken, manner)?;
    described.check_kind(key.provider, kind)?;
    let told = find_login(context, key, kind, (described, keeping.seen()), manner)?;
    let mut proof = Proof::of(key, kind, described, &taken.secret, judgement);
    if manner.validate {
        proof = proof.prove(context, inventory, keeping.seen())?;
    }
    if let (Some(judgement), Some(login)) = (&mut proof.judgement, &described.login) {
        let told = match told {
            None if smtp_login::matters(judgement) => tell_login(context, sought(key, kind, keeping.seen()))?,
            told => told,
        };
        told.iter().for_each(|it| smtp_login::compare(judgement, key, login, it));
    }
    let store = keeping.store.name().to_owned();
    let mut added = Added {
        key: key.clone(),
        record: proof.draft(),
        saved: false,
        replaced: keeping.replaces(),
        judgement: proof.judgement.clone(),
        store,
        same_secret: new_key_proof::same_secret(inventory, key, &proof),
        stripped: taken.stripped.clone(),
    };
    warn(context, &added);
    if !may_save(context, &added, manner) {
        added.replaced = false;
        return Ok(added);
    }
    added.record = keeping.keep(kind, &taken.secret, |record| proof.fill(record))?;
    added.saved = true;
    if let Some(judgement) = &added.judgement {
        verdict_memory::remember(context, &[(&added.key, &added.record, judgement)]);
        smtp_login::record_beside(context, &new_key_proof::net(context)?, &added.key, judgement)?;
    }
    Ok(added)
}

fn sought<'a>(key: &'a KeyRef, kind: Kind, seen: Option<&'a Record>) -> Sought<'a> {
    Sought { key, kind, account: seen.and_then(|it| it.account_id.as_deref()) }
}

fn tell_login(context: &Context, sought: Sought<'_>) -> anyhow::Result<Option<smtp_login::Told>> {
    Ok(smtp_login::ask(context, &new_key_proof::net(context)?, &context.inventory_file.load()?, sought))
}

/// Lets another key tell a login that was not said. One that the same run has
/// just added may, too.
fn find_login(
    context: &Context,
    key: &KeyRef,
    kind: Kind,
    (described, seen): (&mut Described, Option<&Record>),
    manner: Manner,
) -> anyhow::Result<Option<Told>> {
    if described.login.is_some() || !smtp_login::are_the_accounts(key.provider, kind) {
        return Ok(None);
    }
    let inventory = context.inventory_file.load()?;
    let sought = sought(key, kind, seen);
    if !manner.validate {
        context.operator.hint(format!(
            "the login of `{key}` is not known: {}",
            smtp_login::way_to_record(&inventory, sought)
        ));
        return Ok(None);
    }
    Ok(smtp_login::supply(context, &new_key_proof::net(context)?, &inventory, sought, described))
}

/// What is not said anew stays as it was recorded.
fn inherit(described: &mut Described, seen: Option<&Record>) {
    let Some(record) = seen else { return };
    described.domain = described.domain.take().or_else(|| record.domain.clone());
    described.login = described.login.take().or_else(|| record.login.clone());
    described.region = described.region.or(record.region);
    described.kind = described.kind.or(Some(record.kind));
}

/// Finds out the kind: said, told by the text, found by probing, asked for.
fn recognise(
    context: &Context,
    key: &KeyRef,
    described: &Described,
    taken: &Taken,
    manner: Manner,
) -> anyhow::Result<(Kind, Option<Judgement>)> {
    if let Some(kind) = described.kind {
        taken.fits(key.provider, Some(kind))?;
        return Ok((kind, None));
    }
    let mut kinds = taken.kinds(key.provider);
    // A password that a person chose has no form; its login says what it is.
    if kinds.is_empty() && described.login.is_some() && key.provider.kinds().contains(&Kind::Smtp) {
        taken.fits(key.provider, Some(Kind::Smtp))?;
        return Ok((Kind::Smtp, None));
    }
    taken.fits(key.provider, None)?;
    if let [only] = kinds.as_slice() {
        return Ok((*only, None));
    }
    if !manner.validate {
        let kind = ask_kind(context, &kinds);
        return kind
            .map(|it| (it, None))
            .ok_or_else(|| say_the_kind(key, &kinds, "it was not probed").into());
    }
    let unsorted = Unsorted {
        secret: &taken.secret,
        region: described.region,
        domain: described.domain.as_ref(),
        login: described.login.as_deref(),
    };
    context.operator.detail(format!("asking {} what kind of key it is", key.provider));
    match provider::provider(key.provider).detect(&new_key_proof::net(context)?, &unsorted) {
        Some(Detection::Is(kind, judgement)) => Ok((kind, Some(judgement))),
        Some(Detection::Unclear(judgement)) => {
            // What was said besides makes one kind the likeliest.
            let likeliest = match (described.login.is_some(), described.domain.is_some()) {
                (true, _) => Kind::Smtp,
                (false, true) => Kind::Sending,
                (false, false) => kinds[0],
            };
            kinds.sort_by_key(|it| *it != likeliest);
            unclear(context, key, &kinds, judgement)
        }
        None => {
            let kind = ask_kind(context, &kinds);
            kind.map(|it| (it, None))
                .ok_or_else(|| say_the_kind(key, &kinds, "the text does not tell").into())
        }
    }
}

/// Probing did not tell. A refusal may be that of a key whose domain or login
/// was not said, so it is no verdict; silence must not lose a key that is
/// shown once.
fn unclear(
    context: &Context,
    key: &KeyRef,
    kinds: &[Kind],
    judgement: Judgement,
) -> anyhow::Result<(Kind, Option<Judgement>)> {
    // A token that sees one location may be either; its place says which is meant.
    let either = judgement.accepted() || judgement.has(Reason::PermissionNotCheckable);
    if let Some(kind) = provider::provider(key.provider).kind_at(&key.scope).filter(|_| either) {
        return Ok((kind, None));
    }
    context.operator.note(format!("note: {}", judgement.detail));
    if let Some(kind) = ask_kind(context, kinds) {
        return Ok((kind, None));
    }
    let silence = judgement.verdict() == Verdict::Unknown && !judgement.has(Reason::PermissionNotCheckable);
    match kinds.first() {
        Some(likeliest) if silence => {
            context.operator.warning(format!(
                "which kind of key it is could not be found out; it is kept as `{likeliest}`: \
                 `keyctl set {key} --kind` corrects that"
            ));
            Ok((*likeliest, Some(judgement)))
        }
        _ => Err(say_the_kind(key, kinds, &judgement.detail).into()),
    }
}

fn ask_kind(context: &Context, kinds: &[Kind]) -> Option<Kind> {
    let words: Vec<&str> = kinds.iter().map(|it| it.as_str()).collect();
    let answer = context.operator.line(&format!("Which kind of key is it ({})? ", words.join(", ")))?;
    kinds.iter().find(|it| it.as_str() == answer.trim().to_lowercase()).copied()
}

fn warn(context: &Context, added: &Added) {
    if !added.same_secret.is_empty() {
        let refs: Vec<String> = added.same_secret.iter().map(|it| format!("`{it}`")).collect();
        context.operator.warning(format!(
            "the same secret is recorded as {}; they are rotated together",
            refs.join(", ")
        ));
    }
}

/// Decides by the verdict; a refused key is saved only when somebody insists.
fn may_save(context: &Context, added: &Added, manner: Manner) -> bool {
    let Some(judgement) = &added.judgement else { return true };
    match judgement.verdict() {
        Verdict::Valid | Verdict::Limited => true,
        Verdict::Unknown => {
            context
                .operator
                .warning(format!("`{}` is saved, but nothing was proven: {}", added.key, judgement.detail));
            true
        }
        Verdict::Rejected if manner.force => {
            context.operator.warning(format!("`{}` is saved although it is refused", added.key));
            true
        }
        Verdict::Rejected => {
            context.operator.warning(format!("the key is refused: {}", judgement.detail));
            let saved = context.operator.presence() == Presence::Person
                && context.operator.consent(&ConsentQuestion::SaveRefusedKey) == Consent::Given;
            if !saved {
                context.operator.hint("nothing was saved; `--force` saves a refused key");
            }
            saved
        }
    }
}
