//! The keys to ask with: one record, those effective at a scope, every one
//! that may list domains, or one that is in no inventory. The same secret
//! under two records is asked once.

use std::collections::BTreeMap;

use crate::context::{Context, Usable};
use crate::domain::UsRule;
use crate::exit::Situation;
use crate::inventory::select::{Filter, Reach, Selected};
use crate::inventory::{Inventory, Platform};
use crate::key::{Fingerprint, KeyRef, Kind, ProviderId, Reason, Record, Scope, Secret};
use crate::provider;
use crate::provider::{Credential, DomainList, Trouble};
use crate::store::StoreProblem;
use crate::workflow::domains::DomainQuestion;
use crate::workflow::secret_input;

/// A key to ask with.
pub struct Target {
    /// `None`: it is in no inventory.
    pub key: Option<KeyRef>,
    pub record: Option<Record>,
    pub provider: ProviderId,
    pub kind: Kind,
    pub secret: Secret,
    /// Where the question is asked.
    pub scope: Option<Scope>,
    pub rule: UsRule,
    /// Whether what HighLevel needs beside the domain counts here.
    pub highlevel: bool,
}

/// The keys to ask with, and those that cannot be.
#[derive(Default)]
pub struct Picked {
    pub targets: Vec<Target>,
    /// Records whose secret could not be read, each with why.
    pub unread: Vec<(KeyRef, Trouble)>,
    /// A key that was meant but whose kind may not list domains.
    pub mute: Option<(KeyRef, Kind)>,
}

impl Picked {
    fn pass_over(&mut self, key: &KeyRef, kind: Kind) {
        if self.mute.is_none() && provider::provider(key.provider).domains().is_some() {
            self.mute = Some((key.clone(), kind));
        }
    }
}

impl Target {
    pub fn credential(&self) -> Credential<'_> {
        match &self.record {
            Some(record) => Credential { domain: None, login: None, ..Credential::of(record, &self.secret) },
            None => Credential {
                kind: self.kind,
                secret: &self.secret,
                region: None,
                domain: None,
                login: None,
                remote_id: None,
                account_id: None,
            },
        }
    }

    /// Returns the key ref, or the provider of a key that is in no inventory.
    pub fn name(&self) -> &str {
        self.key.as_ref().map_or(self.provider.as_str(), KeyRef::as_str)
    }

    /// Returns the argument that names this key in a command to type.
    pub fn argument(&self) -> String {
        match &self.key {
            Some(key) => key.to_string(),
            None => format!("--provider {} --stdin", self.provider),
        }
    }

    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }
}

/// Returns the list of domains of a provider.
///
/// # Errors
/// Exit 2 when it has none.
pub fn facet(provider: ProviderId) -> Result<&'static dyn DomainList, Situation> {
    provider::provider(provider).domains().ok_or_else(|| {
        Situation::usage(format!("{provider} has no sending domains of its own"))
            .hint("ask with the Mailgun, Brevo or Klaviyo key that sends there")
    })
}

fn may_list(provider: ProviderId, kind: Kind) -> bool {
    provider::provider(provider).domains().is_some_and(|it| it.may_list(kind))
}

/// Finds the keys that the arguments mean; `fallback` is the scope asked at
/// when they name none.
///
/// # Errors
/// Exit 2 for a key ref whose provider has no domains, 7 when no secret could
/// be read, 8 when nothing is selected.
pub fn pick(
    question: &DomainQuestion,
    context: &Context,
    fallback: Option<&Scope>,
) -> anyhow::Result<Picked> {
    if question.stdin || question.from_env.is_some() {
        return Ok(Picked { targets: vec![unrecorded(question, context)?], ..Picked::default() });
    }
    let inventory = context.inventory()?;
    let asked = asked(question, context, fallback)?;
    let filter = Filter {
        provider: question.provider,
        kind: question.kind,
        label: question.label.as_deref(),
        disabled: false,
    };
    let selection = inventory.select(asked.as_slice(), Reach::Effective, filter)?;
    for skipped in &selection.skipped {
        context.operator.note(format!("note: {skipped}"));
    }
    let mut picked = Picked::default();
    let mut seen: BTreeMap<(ProviderId, Fingerprint), KeyRef> = BTreeMap::new();
    let mut first_error = None;
    for key in selection.keys {
        let record = inventory.record(key)?;
        if !may_list(key.provider, record.kind) {
            picked.pass_over(key, record.kind);
            continue;
        }
        let scope = match &asked {
            Some(Selected::Scope(scope)) => scope,
            Some(Selected::Key(_)) | None => &key.scope,
        };
        let target = match recorded(question, context, key, scope) {
            Ok(target) => target,
            Err(error) => {
                picked.unread.push((key.clone(), unreadable(&error)));
                let hopeless = is_hopeless(&error) && picked.targets.is_empty();
                first_error.get_or_insert(error);
                if hopeless {
                    break;
                }
                continue;
            }
        };
        let question = (key.provider, target.secret.fingerprint());
        if let Some(first) = seen.get(&question) {
            context.operator.note(format!("note: `{key}` holds the same secret as `{first}`: asked once"));
            continue;
        }
        seen.insert(question, key.clone());
        picked.targets.push(target);
    }
    match first_error {
        Some(error) if picked.targets.is_empty() => Err(error),
        _ => Ok(picked),
    }
}

/// Returns what the arguments select: a key that may have domains, or a scope.
fn asked(
    question: &DomainQuestion,
    context: &Context,
    fallback: Option<&Scope>,
) -> anyhow::Result<Option<Selected>> {
    let selected = match (&question.selector, context.options.scope.as_ref().or(fallback)) {
        (Some(selector), _) => Some(context.selected(selector)?),
        (None, Some(scope)) => Some(Selected::Scope(scope.clone())),
        (None, None) => None,
    };
    if let Some(Selected::Key(key)) = &selected {
        context.inventory()?.record(key)?;
        facet(key.provider)?;
    }
    Ok(selected)
}

/// A record's key with its secret, asked at a scope.
fn recorded(
    question: &DomainQuestion,
    context: &Context,
    key: &KeyRef,
    scope: &Scope,
) -> anyhow::Result<Target> {
    let inventory = context.inventory()?;
    let Usable { secret, record } = context.usable(inventory, key, inventory.record(key)?)?;
    Ok(Target {
        key: Some(key.clone()),
        provider: key.provider,
        kind: record.kind,
        record: Some(record.into_owned()),
        secret,
        scope: Some(scope.clone()),
        rule: rule(question, inventory, scope),
        highlevel: !said_no_platform(inventory, scope),
    })
}

/// Returns a key in effect where `mute` is recorded that may list in its place.
///
/// # Errors
/// When its secret cannot be read.
pub fn stand_in(
    question: &DomainQuestion,
    context: &Context,
    mute: &KeyRef,
) -> anyhow::Result<Option<Target>> {
    let Some(other) = voiced(context.inventory()?, mute) else { return Ok(None) };
    recorded(question, context, other, &mute.scope).map(Some)
}

/// A key that is in no inventory, of the kind of its provider that may list.
fn unrecorded(question: &DomainQuestion, context: &Context) -> anyhow::Result<Target> {
    let source = match &question.from_env {
        Some(name) => secret_input::Source::Variable(name.clone()),
        None => secret_input::Source::Stdin,
    };
    let taken = secret_input::take(context, &source)?;
    let mut providers: Vec<ProviderId> = taken.candidates.iter().map(|(provider, _)| *provider).collect();
    providers.dedup();
    let provider = match (question.provider, providers.as_slice()) {
        (Some(said), _) => said,
        (None, [only]) => *only,
        (None, _) => {
            taken.is_key()?;
            return Err(Situation::usage("whose key this is cannot be told")
                .hint("say it: `--provider`")
                .into());
        }
    };
    let facet = facet(provider)?;
    let lists = |kind: &Kind| facet.may_list(*kind);
    let kind = match question.kind {
        Some(kind) if lists(&kind) => kind,
        Some(kind) => {
            return Err(Situation::usage(format!("a {provider} key of kind {kind} may not list domains"))
                .hint(format!("a key of kind {} may", kinds_that_list(provider)))
                .into());
        }
        None => provider.kinds().iter().copied().find(lists).unwrap_or(provider.kinds()[0]),
    };
    taken.fits(provider, Some(kind))?;
    Ok(Target {
        key: None,
        record: None,
        provider,
        kind,
        secret: taken.secret,
        scope: None,
        rule: if question.any_region { UsRule::Waived } else { UsRule::Counts },
        highlevel: true,
    })
}

/// Returns the kinds of a provider's keys that may list, in words.
pub fn kinds_that_list(provider: ProviderId) -> String {
    let kinds = provider.kinds().iter().filter(|kind| may_list(provider, **kind));
    kinds.map(|it| format!("`{it}`")).collect::<Vec<_>>().join(" or ")
}

/// Says that a kind of key may not list domains, and which key would.
pub fn mute(inventory: &Inventory, key: &KeyRef, kind: Kind) -> Situation {
    let situation = Situation::usage(format!(
        "`{key}` is a key of kind {kind}, which may not list domains at {}",
        key.provider
    ));
    situation.hint(match voiced(inventory, key) {
        Some(other) => format!("ask with `{other}`: `keyctl domains {other}`"),
        None => format!(
            "a key of kind {} may; add one: `keyctl add {}@{}`",
            kinds_that_list(key.provider),
            key.provider,
            key.scope
        ),
    })
}

/// Returns the key effective at the scope of `key` that may list.
pub fn voiced<'a>(inventory: &'a Inventory, key: &KeyRef) -> Option<&'a KeyRef> {
    let effective = inventory.effective(&key.scope).into_iter();
    let mut able: Vec<_> = effective
        .filter(|it| it.key.provider == key.provider && may_list(it.key.provider, it.record.kind))
        .collect();
    able.sort_by_key(|it| it.key.label.is_some());
    able.first().map(|it| it.key)
}

/// The US rule counts unless it was dropped, or the agency's platform is said
/// to be none.
fn rule(question: &DomainQuestion, inventory: &Inventory, scope: &Scope) -> UsRule {
    if question.any_region || said_no_platform(inventory, scope) { UsRule::Waived } else { UsRule::Counts }
}

fn said_no_platform(inventory: &Inventory, scope: &Scope) -> bool {
    let agency = inventory.agencies.get(&scope.agency);
    agency.and_then(|it| it.place.platform) == Some(Platform::None)
}

/// What the first read tells of the whole store need not be asked a thousand times.
fn is_hopeless(error: &anyhow::Error) -> bool {
    let (_, code, ..) = crate::exit::situation(error);
    [StoreProblem::TimedOut, StoreProblem::NoService].iter().any(|it| it.as_str() == code)
}

fn unreadable(error: &anyhow::Error) -> Trouble {
    let (exit, code, message, hint) = crate::exit::situation(error);
    let reason = match exit {
        crate::exit::Exit::Missing => Reason::SecretMissing,
        _ if code == Reason::SecretMismatch.as_str() => Reason::SecretMismatch,
        _ => Reason::StoreLocked,
    };
    let trouble = Trouble::new(reason, message);
    match hint {
        Some(hint) => trouble.with_hint(hint),
        None => trouble,
    }
}
