//! The keys that can tell of domains, and what they tell: one question per
//! distinct secret, all at once.

use super::Args;
use crate::commands::intake::{self, Source};
use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Selected};
use crate::key::{KeyRef, KeyState, Kind, ProviderId, Record, RecordId, Scope, Secret, Selector};
use crate::provider::{self, Credential, DomainList, DomainListing};

/// A key that domains are read with.
pub struct Reader {
    /// `None` for a key that is in no inventory.
    pub key: Option<KeyRef>,
    pub provider: ProviderId,
    pub record: Record,
    secret: Secret,
}

/// The readers, and what they were chosen for.
pub struct Readers {
    pub all: Vec<Reader>,
    /// The scope asked for, or that of the key.
    pub scope: Option<Scope>,
}

/// What one reader told.
pub struct Found<'a> {
    pub reader: &'a Reader,
    pub listing: DomainListing,
}

impl Found<'_> {
    pub fn name(&self) -> String {
        self.reader.name()
    }
}

impl Reader {
    pub fn name(&self) -> String {
        self.key.as_ref().map_or_else(|| self.provider.as_str().to_owned(), ToString::to_string)
    }

    pub fn credential(&self) -> Credential<'_> {
        Credential::of(&self.record, &self.secret)
    }

    /// Returns the facet, where keys of this kind may list domains.
    pub fn facet(&self) -> Option<&'static dyn DomainList> {
        provider::provider(self.provider).domains().filter(|it| it.may_list(self.record.kind))
    }
}

impl Readers {
    /// Refuses a key of a kind that cannot list domains.
    ///
    /// # Errors
    /// Exit 2, with the key that can.
    pub fn refuse_unable(&self) -> Result<(), Situation> {
        match self.all.iter().find(|it| it.facet().is_none()) {
            None => Ok(()),
            Some(reader) => Err(Situation::usage(format!(
                "`{}` is a {} key of kind {}, and these cannot list domains",
                reader.name(),
                reader.provider,
                reader.record.kind
            ))
            .hint("ask with the scope, or with the account's key")),
        }
    }

    /// Reads every list.
    ///
    /// # Errors
    /// When the network cannot be set up.
    pub fn list(&self, context: &Context) -> anyhow::Result<Vec<Found<'_>>> {
        let net = context.net()?;
        let read = |reader: &Reader| {
            reader.facet().map(|facet| facet.list(&net, &reader.credential())).unwrap_or_default()
        };
        let listings: Vec<DomainListing> = std::thread::scope(|scope| {
            let running: Vec<_> = self.all.iter().map(|reader| scope.spawn(|| read(reader))).collect();
            running.into_iter().map(|it| it.join().unwrap_or_default()).collect()
        });
        Ok(self.all.iter().zip(listings).map(|(reader, listing)| Found { reader, listing }).collect())
    }
}

/// Finds the keys of the inventory that the arguments mean.
///
/// # Errors
/// Exit 8 when there is none, exit 2 when it is not clear which.
pub fn recorded(args: &Args, context: &Context) -> anyhow::Result<Readers> {
    let inventory = context.inventory()?;
    let selected = match &args.selector {
        Some(selector) => Some(context.selected(selector)?),
        None => context.global.scope.clone().or_else(|| inventory.default_scope.clone()).map(Selected::Scope),
    };
    match &selected {
        Some(Selected::Key(key)) => {
            let record = inventory.record(key)?;
            let reader = reader(context, inventory, key, record)?;
            Ok(Readers { all: vec![reader], scope: Some(key.scope.clone()) })
        }
        Some(Selected::Scope(scope)) => at_scope(args, context, inventory, scope),
        None => everything(args, context, inventory),
    }
}

fn reader(context: &Context, inventory: &Inventory, key: &KeyRef, record: &Record) -> anyhow::Result<Reader> {
    let secret = context.need_secret(inventory, key, record, Slot::Current)?;
    Ok(Reader { key: Some(key.clone()), provider: key.provider, record: record.clone(), secret })
}

fn listing_kinds(provider: ProviderId) -> Vec<Kind> {
    let Some(facet) = provider::provider(provider).domains() else { return Vec::new() };
    provider.kinds().iter().copied().filter(|kind| facet.may_list(*kind)).collect()
}

fn at_scope(args: &Args, context: &Context, inventory: &Inventory, scope: &Scope) -> anyhow::Result<Readers> {
    inventory.need_scope(scope)?;
    let mut all = Vec::new();
    for provider in ProviderId::ALL.into_iter().filter(|it| args.provider.is_none_or(|wanted| wanted == *it))
    {
        let kinds = listing_kinds(provider);
        let filter = Filter { provider: Some(provider), ..Filter::default() };
        if kinds.is_empty() {
            continue;
        }
        match inventory.choose(&Selected::Scope(scope.clone()), &kinds, filter) {
            Ok((key, record)) => all.push(reader(context, inventory, key, record)?),
            Err(situation) if situation.exit == Exit::Missing => {}
            Err(situation) => return Err(situation.into()),
        }
    }
    if all.is_empty() {
        return Err(nobody_can_list(inventory, scope).into());
    }
    Ok(Readers { all, scope: Some(scope.clone()) })
}

fn nobody_can_list(inventory: &Inventory, scope: &Scope) -> Situation {
    if inventory.sends_elsewhere(scope) {
        let message = format!("`{scope}` sends with another e-mail provider; its keys are skipped");
        return Situation::missing("nothing-selected", message);
    }
    let others: Vec<String> =
        inventory.effective(scope).iter().map(|it| format!("`{}` ({})", it.key, it.record.kind)).collect();
    let situation =
        Situation::missing("nothing-selected", format!("no key effective at `{scope}` can list domains"));
    if others.is_empty() {
        situation.hint(format!("add one: `keyctl add mailgun@{}`", scope.agency))
    } else {
        situation.hint(format!("effective there, but not able to: {}", others.join(", ")))
    }
}

fn everything(args: &Args, context: &Context, inventory: &Inventory) -> anyhow::Result<Readers> {
    let mut all: Vec<Reader> = Vec::new();
    for (key, record) in &inventory.keys {
        let wanted = args.provider.is_none_or(|it| it == key.provider) && record.state == KeyState::Active;
        if !wanted || !listing_kinds(key.provider).contains(&record.kind) {
            continue;
        }
        // The same secret under two records tells the same.
        let same =
            |it: &&Reader| it.record.fingerprint.is_some() && it.record.fingerprint == record.fingerprint;
        if !all.iter().any(|it| same(&it)) {
            all.push(reader(context, inventory, key, record)?);
        }
    }
    if all.is_empty() {
        return Err(Situation::missing("nothing-selected", "no recorded key can list domains")
            .hint("add one: `keyctl add mailgun@AGENCY`, or ask with `--provider mailgun --stdin`")
            .into());
    }
    let scope = match all.as_slice() {
        [only] => only.key.as_ref().map(|it| it.scope.clone()),
        _ => None,
    };
    Ok(Readers { all, scope })
}

/// Takes in the key that is in no inventory.
///
/// # Errors
/// Exit 2 when it is no key that can list domains.
pub fn ad_hoc(args: &Args, context: &Context) -> anyhow::Result<Readers> {
    let source = args.from_env.clone().map_or(Source::Stdin, Source::Variable);
    let taken = intake::take(context, &source)?;
    let provider = match (args.provider, taken.candidates.first()) {
        (Some(said), _) => said,
        (None, Some((first, _))) if taken.candidates.iter().all(|(it, _)| it == first) => *first,
        (None, _) => {
            taken.is_key()?;
            return Err(Situation::usage("whose key this is cannot be told")
                .hint("say it: `--provider`")
                .into());
        }
    };
    let kind = listing_kinds(provider)
        .first()
        .copied()
        .ok_or_else(|| Situation::usage(format!("no {provider} key can list domains")))?;
    taken.fits(provider, Some(kind))?;
    let record = Record::new(RecordId::from_random([0; 10]), kind);
    Ok(Readers { all: vec![Reader { key: None, provider, record, secret: taken.secret }], scope: None })
}

/// Returns what the arguments name, for messages.
pub fn asked(selector: Option<&Selector>) -> String {
    match selector {
        Some(Selector::Scope(scope)) => scope.to_string(),
        Some(Selector::Key(key)) => match &key.scope {
            Some(scope) => format!("{}@{scope}", key.provider),
            None => key.provider.to_string(),
        },
        None => "SCOPE".to_owned(),
    }
}
