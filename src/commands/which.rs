//! `keyctl which`: the keys effective at a scope, and why, by the inventory
//! alone.

use serde::Serialize;
use serde_json::Value;

use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::resolve::{Effective, Origin};
use crate::key::{Domain, KeyRef, KeyState, Kind, Name, ProviderId, Region, Scope};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::provider;

/// Arguments of `which`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
HighLevel itself decides in this order: the location's default e-mail provider, the location's
Mailgun setting, the agency's Mailgun setting, LC Email. What is recorded here is what you
told keyctl.")]
pub struct Args {
    /// AGENCY or AGENCY/LOCATION
    #[arg(value_name = "SCOPE", add = crate::cli::completions::scopes())]
    scope: Scope,
    /// Only keys of this provider
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderId>,
}

/// Tells which keys are effective.
///
/// # Errors
/// Exit 8 when none is, or the scope is not known.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    inventory.need_scope(&args.scope)?;
    let elsewhere = inventory.sends_elsewhere(&args.scope);
    let wanted = |provider: ProviderId| args.provider.is_none_or(|it| it == provider);
    let effective: Vec<Effective<'_>> = if elsewhere { Vec::new() } else { inventory.effective(&args.scope) };
    let mut lines: Vec<Line> = effective
        .iter()
        .filter(|it| wanted(it.key.provider))
        .map(|it| Line::of(inventory, &args.scope, it))
        .collect();
    lines.extend(
        not_in_effect(inventory, &args.scope, &effective).into_iter().filter(|it| wanted(it.provider)),
    );
    // With these keys HighLevel sends.
    let decides = provider::sender_for_highlevel()
        .filter(|it| inventory.us_rule(&args.scope.agency) && !elsewhere && wanted(*it));
    if let Some(sender) = decides
        && !lines.iter().any(|it| it.provider == sender && it.key.is_some())
    {
        context.console.note(format!(
            "note: no Mailgun key is recorded for `{}`: as far as is known, HighLevel sends its mail with LC Email",
            args.scope
        ));
        if !lines.iter().any(|it| it.provider == sender) {
            lines.push(Line::none(sender, None, None));
        }
    }
    lines.sort_by(|a, b| (a.key.is_none(), &a.key, a.provider).cmp(&(b.key.is_none(), &b.key, b.provider)));
    if elsewhere {
        context
            .console
            .note(format!("note: `{}` sends with another e-mail provider; its keys are skipped", args.scope));
    }
    if !lines.iter().any(|it| it.key.is_some()) {
        return Err(Situation::missing(
            "nothing-selected",
            format!("no key is effective at `{}`", args.scope),
        )
        .hint(format!("`keyctl list {}` shows what is recorded", args.scope.agency))
        .into());
    }
    context.console.report(&WhichReport { lines })?;
    Ok(Exit::Done)
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum From {
    Own,
    Inherited,
    /// The domain a sending key or SMTP login is bound to.
    Key,
    None,
}

impl From {
    fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Inherited => "inherited",
            Self::Key => "key",
            Self::None => "none",
        }
    }
}

/// One effective key, its fields in the contract's order.
#[derive(Debug, Clone, Serialize)]
struct Line {
    provider: ProviderId,
    kind: Option<Kind>,
    label: Option<Name>,
    key: Option<KeyRef>,
    origin: From,
    overrides: Option<KeyRef>,
    domain: Option<Domain>,
    domain_origin: From,
    region: Option<Region>,
}

impl Line {
    fn none(provider: ProviderId, kind: Option<Kind>, label: Option<Name>) -> Self {
        Self {
            provider,
            kind,
            label,
            key: None,
            origin: From::None,
            overrides: None,
            domain: None,
            domain_origin: From::None,
            region: None,
        }
    }

    fn of(inventory: &Inventory, scope: &Scope, it: &Effective<'_>) -> Self {
        let recorded = inventory.domain_at(scope);
        let (domain, domain_origin) = match (&it.record.domain, recorded) {
            (Some(bound), _) => (Some(bound.clone()), From::Key),
            (None, Some((domain, level))) if level == *scope => (Some(domain), From::Own),
            (None, Some((domain, _))) => (Some(domain), From::Inherited),
            (None, None) => (None, From::None),
        };
        Self {
            provider: it.key.provider,
            kind: Some(it.record.kind),
            label: it.key.label.clone(),
            key: Some(it.key.clone()),
            origin: match it.origin {
                Origin::Own => From::Own,
                Origin::Inherited => From::Inherited,
            },
            overrides: it.overrides.cloned(),
            domain,
            domain_origin,
            region: it.record.region,
        }
    }
}

/// Returns a line for each kind that has records at the scope's levels, but
/// none in effect: disabled, pending, or the scope sends with something else.
fn not_in_effect(inventory: &Inventory, scope: &Scope, effective: &[Effective<'_>]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for level in scope.levels() {
        for (key, record) in inventory.keys.at(&level) {
            let same = |kind: Option<Kind>, label: &Option<Name>, provider| {
                kind == Some(record.kind) && *label == key.label && provider == key.provider
            };
            let in_effect =
                effective.iter().any(|it| same(Some(it.record.kind), &it.key.label, it.key.provider));
            let listed = lines.iter().any(|it| same(it.kind, &it.label, it.provider));
            if !in_effect && !listed {
                debug_assert!(record.state != KeyState::Active || inventory.sends_elsewhere(scope));
                lines.push(Line::none(key.provider, Some(record.kind), key.label.clone()));
            }
        }
    }
    lines
}

struct WhichReport {
    lines: Vec<Line>,
}

impl Report for WhichReport {
    fn command(&self) -> &'static str {
        "which"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "effective": self.lines })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("effective")
    }

    fn human(&self, page: &mut Page) {
        let mut table =
            Table::new(&["provider", "kind", "key", "origin", "instead of", "domain", "domain from"])
                .optional(&["domain from", "provider"]);
        for line in &self.lines {
            let origin_tone = if line.origin == From::None { Tone::Warn } else { Tone::Plain };
            let domain_from = if line.domain.is_some() { line.domain_origin.as_str() } else { "" };
            table.row([
                line.provider.as_str().into(),
                line.kind.map(|it| it.as_str()).unwrap_or_default().into(),
                line.key.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string).into(),
                Cell::toned(line.origin.as_str(), origin_tone),
                line.overrides.as_ref().map(ToString::to_string).unwrap_or_default().into(),
                line.domain.as_ref().map(ToString::to_string).unwrap_or_default().into(),
                domain_from.into(),
            ]);
        }
        page.table(&table);
    }
}
