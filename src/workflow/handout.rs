//! Which keys a program is given, and under which names: the choice behind
//! `get`, `run` and `export`. Reads the inventory and the store; never the
//! network.

use std::collections::BTreeMap;

use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Reach, Selected};
use crate::key::resolve::{Choice, Effective, Origin, choose};
use crate::key::{Domain, KeyRef, Kind, ProviderId, Record, Region, Scope, Secret};
use crate::provider;
use crate::provider::{Credential, Handout, HandoutAsk};
use crate::workflow::smtp_login;
use crate::workflow::smtp_login::Sought;

/// A record on its way to a program.
#[derive(Debug, Clone, Copy)]
pub struct Handed<'a> {
    pub key: &'a KeyRef,
    pub record: &'a Record,
    /// The scope asked for: its domain counts.
    pub scope: &'a Scope,
}

/// A variable of a program's environment.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    pub value: Value,
}

/// What a variable holds.
#[derive(Debug)]
pub enum Value {
    Plain(String),
    Secret(Secret),
}

/// Keys that would take the same variables: a provider's API keys of all
/// kinds, or its logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Api,
    Smtp,
}

impl Family {
    fn of(kind: Kind) -> Self {
        if kind == Kind::Smtp { Self::Smtp } else { Self::Api }
    }
}

type Group = (ProviderId, Family);

/// Returns the keys that the arguments hand out, sorted by key ref: of a scope
/// one of each provider and family, a key ref exactly.
///
/// # Errors
/// Exit 8 when there is none, or none of a provider in `only`; exit 2 when
/// two keys would take the same variables.
pub fn handed<'a>(
    context: &Context,
    inventory: &'a Inventory,
    selected: &'a [Selected],
    only: &[ProviderId],
) -> anyhow::Result<Vec<Handed<'a>>> {
    let wanted = |provider: ProviderId| only.is_empty() || only.contains(&provider);
    // A key that was named goes before one that a scope brings along.
    let mut named: BTreeMap<Group, Handed<'a>> = BTreeMap::new();
    for one in selected {
        if let Selected::Key(key) = one {
            let record = inventory.record(key)?;
            if wanted(key.provider) {
                enter(&mut named, Handed { key, record, scope: &key.scope })?;
            }
        }
    }
    let mut groups: BTreeMap<Group, Handed<'a>> = BTreeMap::new();
    for one in selected {
        if let Selected::Scope(scope) = one {
            let open = |group: Group| wanted(group.0) && !named.contains_key(&group);
            for (key, record) in at_scope(context, inventory, scope, &open)? {
                enter(&mut groups, Handed { key, record, scope })?;
            }
        }
    }
    groups.extend(named);
    let mut all: Vec<Handed<'a>> = groups.into_values().collect();
    all.sort_by(|a, b| a.key.cmp(b.key));
    if let Some(missing) = only.iter().find(|it| !all.iter().any(|handed| handed.key.provider == **it)) {
        return Err(Situation::missing("no-such-key", format!("no {missing} key is effective there"))
            .hint("`keyctl which SCOPE` tells what is, and why")
            .into());
    }
    if all.is_empty() {
        return Err(Situation::missing("nothing-selected", "no key is effective there")
            .hint("`keyctl which SCOPE` tells what is, and why")
            .into());
    }
    Ok(all)
}

fn enter<'a>(groups: &mut BTreeMap<Group, Handed<'a>>, handed: Handed<'a>) -> Result<(), Situation> {
    let group = (handed.key.provider, Family::of(handed.record.kind));
    match groups.insert(group, handed) {
        Some(held) if held.key != handed.key => Err(several(&[held.key, handed.key])),
        _ => Ok(()),
    }
}

fn several(refs: &[&KeyRef]) -> Situation {
    let refs: Vec<String> = refs.iter().map(|it| format!("`{it}`")).collect();
    Situation::new(
        Exit::Usage,
        "ambiguous",
        format!("these keys take the same variables: {}", refs.join(", ")),
    )
    .hint("name one of them by its key ref")
}

/// Returns the keys of a scope, one of each provider and family.
fn at_scope<'a>(
    context: &Context,
    inventory: &'a Inventory,
    scope: &Scope,
    wanted: &impl Fn(Group) -> bool,
) -> anyhow::Result<Vec<(&'a KeyRef, &'a Record)>> {
    let selection =
        inventory.select(&[Selected::Scope(scope.clone())], Reach::Effective, Filter::default())?;
    for skipped in &selection.skipped {
        context.operator.note(format!("note: {skipped}"));
    }
    let mut groups: BTreeMap<Group, Vec<Effective<'a>>> = BTreeMap::new();
    for effective in inventory.effective(scope) {
        let group = (effective.key.provider, Family::of(effective.record.kind));
        if wanted(group) {
            groups.entry(group).or_default().push(effective);
        }
    }
    let mut chosen = Vec::new();
    for ((provider, family), group) in groups {
        match nearest(provider, family, scope, &group) {
            Ok(found) => chosen.push((found.key, found.record)),
            Err(Choice::None) => {}
            Err(Choice::Several(refs)) => return Err(several(&refs).into()),
        }
    }
    Ok(chosen)
}

/// Chooses within a family: the nearest level that has one, then the kind that
/// can more (`account` before `sending`), then the unlabelled one.
fn nearest<'a>(
    provider: ProviderId,
    family: Family,
    scope: &Scope,
    group: &[Effective<'a>],
) -> Result<Effective<'a>, Choice<'a>> {
    if family == Family::Smtp {
        return choose(group);
    }
    let has_own = group.iter().any(|it| it.origin == Origin::Own);
    let level: Vec<Effective<'a>> =
        group.iter().filter(|it| !has_own || it.origin == Origin::Own).copied().collect();
    let mut kinds = provider.kinds().to_vec();
    if let Some(own) = provider::provider(provider).kind_at(scope) {
        kinds.sort_by_key(|it| *it != own);
    }
    let of_kind =
        |kind: &Kind| level.iter().filter(|it| it.record.kind == *kind).copied().collect::<Vec<_>>();
    let pool = kinds.iter().map(of_kind).find(|pool| !pool.is_empty());
    choose(&pool.unwrap_or_default())
}

/// Returns the one key that a selector means, for `get`: of a scope, the one
/// that `run` would hand out.
///
/// # Errors
/// Exit 8 when there is none, exit 2 listing the refs when it is not clear.
pub fn single<'a>(
    inventory: &'a Inventory,
    selected: &'a Selected,
    filter: Filter<'_>,
) -> Result<Handed<'a>, Situation> {
    let scope = match selected {
        Selected::Key(key) => {
            let record = inventory.record(key)?;
            return Ok(Handed { key, record, scope: &key.scope });
        }
        Selected::Scope(scope) => scope,
    };
    // Refuses what is no scope, or where nothing is effective.
    let selection = inventory.select(std::slice::from_ref(selected), Reach::Effective, filter)?;
    let effective: Vec<Effective<'a>> =
        inventory.effective(scope).into_iter().filter(|it| selection.keys.contains(it.key)).collect();
    let ambiguous = |refs: &[&KeyRef]| {
        let refs: Vec<String> = refs.iter().map(|it| format!("`{it}`")).collect();
        let message = format!("several keys are effective at `{scope}`: {}", refs.join(", "));
        Situation::new(Exit::Usage, "ambiguous", message)
            .hint("choose one by its key ref, or with --provider, --kind, --label")
    };
    let Some(first) = effective.first() else {
        return Err(Situation::missing("nothing-selected", format!("no key is effective at `{scope}`")));
    };
    let provider = first.key.provider;
    if effective.iter().any(|it| it.key.provider != provider) {
        return Err(ambiguous(&effective.iter().map(|it| it.key).collect::<Vec<_>>()));
    }
    let family = |wanted: Family| {
        effective.iter().filter(|it| Family::of(it.record.kind) == wanted).copied().collect::<Vec<_>>()
    };
    let (family, pool) = match family(Family::Api) {
        pool if pool.is_empty() => (Family::Smtp, family(Family::Smtp)),
        pool => (Family::Api, pool),
    };
    match nearest(provider, family, scope, &pool) {
        Ok(found) => Ok(Handed { key: found.key, record: found.record, scope }),
        Err(Choice::Several(refs)) => Err(ambiguous(&refs)),
        Err(Choice::None) => {
            Err(Situation::missing("nothing-selected", format!("no key is effective at `{scope}`")))
        }
    }
}

impl Handed<'_> {
    /// Returns the domain in effect: that a key is bound to, else the scope's,
    /// else what is recorded with the key.
    pub fn domain(&self, inventory: &Inventory) -> Option<Domain> {
        let own = self.record.domain.clone();
        let bound = matches!(self.record.kind, Kind::Sending | Kind::Smtp);
        let scopes = || inventory.domain_at(self.scope).map(|(domain, _)| domain);
        if bound { own.or_else(scopes) } else { scopes().or(own) }
    }

    /// Returns the region the key is used in; `None` for providers with one.
    pub fn region(&self) -> Option<Region> {
        let assumed = provider::provider(self.key.provider).terms().regions.first();
        self.record.region.or(assumed.copied())
    }

    /// Reads the secret and returns the key as variables; `overrides` are the
    /// variables that may lead elsewhere than to the vendor.
    fn variables(
        &self,
        context: &Context,
        inventory: &Inventory,
        overrides: &mut Vec<&'static str>,
    ) -> anyhow::Result<Vec<Variable>> {
        let secret = context.handout(inventory, self.key, self.record, Slot::Current)?;
        if self.record.kind == Kind::Smtp && self.record.login.is_none() {
            let sought = Sought::of(self.key, self.record);
            context.operator.warning(format!("`{}` goes without its login: none is recorded", self.key));
            context.operator.hint(smtp_login::way_to_record(inventory, sought));
        }
        let domain = self.domain(inventory);
        let credential = Credential::of(self.record, &secret);
        let ask = HandoutAsk { credential, domain: domain.as_ref() };
        let mut variables = Vec::new();
        for (name, handout) in provider::provider(self.key.provider).handout(&ask) {
            let value = match handout {
                Handout::Plain(text) => Value::Plain(text),
                Handout::Secret(secret) => Value::Secret(secret),
                Handout::Origin(host) => {
                    overrides.push(host.variable);
                    Value::Plain(context.origin(host)?)
                }
                Handout::RelayHost(relay) => {
                    overrides.push(relay.variable);
                    Value::Plain(context.relay(relay)?.0)
                }
                Handout::RelayPort(relay) => Value::Plain(context.relay(relay)?.1.to_string()),
            };
            variables.push(Variable { name, value });
        }
        Ok(variables)
    }
}

/// Reads the secrets and returns the keys as variables.
///
/// # Errors
/// Exit 7 or 8 when a secret cannot be had, exit 9 when it is not the recorded
/// one and is not handed out, exit 2 for an unusable override of
/// an origin.
pub fn variables(
    context: &Context,
    inventory: &Inventory,
    handed: &[Handed<'_>],
) -> anyhow::Result<Vec<Variable>> {
    let mut all = Vec::new();
    let mut overrides = Vec::new();
    for one in handed {
        all.extend(one.variables(context, inventory, &mut overrides)?);
    }
    context.say_overrides(overrides.into_iter());
    Ok(all)
}

/// Refuses to show a secret on a terminal unless that was asked for.
///
/// # Errors
/// Exit 9.
pub fn guard_terminal(context: &Context, reveal: bool) -> Result<(), Situation> {
    if reveal || !context.operator.shows_results() {
        return Ok(());
    }
    Err(Situation::refused("would-show-secret", "the secret would be shown on the terminal")
        .hint("pipe it where it is needed, or say `--reveal`"))
}
