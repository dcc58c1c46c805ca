//! `scope add`, `scope set`, `scope remove`.

use crate::commands::CommandContext;
use crate::commands::scope::{EditArgs, tell};
use crate::domain::SelectableDomain;
use crate::exit::{Exit, Situation};
use crate::inventory::{Inventory, Place};
use crate::key::text::printable;
use crate::key::{Domain, Scope};
use crate::operator::{Consent, ConsentQuestion};
use crate::output::Format;
use crate::workflow::domains::selectable;
use crate::workflow::domains::selectable::Checked;

/// Records a new scope.
///
/// # Errors
/// Exit 9 when it is recorded already.
pub fn add(args: &EditArgs, context: &CommandContext) -> anyhow::Result<Exit> {
    let scope = &args.scope;
    if context.inventory()?.place(scope).is_some() {
        return Err(Situation::refused("scope-exists", format!("`{scope}` is recorded already"))
            .hint(format!("change it: `keyctl scope set {scope} …`"))
            .into());
    }
    let domain = domain(args, context)?;
    change(args, context, domain, |inventory| {
        if inventory.place(scope).is_some() {
            return Err(Situation::refused("scope-exists", format!("`{scope}` was recorded meanwhile")));
        }
        Ok(())
    })
}

/// Changes a recorded scope.
///
/// # Errors
/// Exit 8 when it is not recorded, exit 2 when nothing is to be changed.
pub fn set(args: &EditArgs, context: &CommandContext) -> anyhow::Result<Exit> {
    let scope = &args.scope;
    context.inventory()?.need_scope(scope)?;
    let nothing = args.name.is_none()
        && args.highlevel_id.is_none()
        && args.domain.is_none()
        && args.platform.is_none()
        && args.email_provider.is_none()
        && args.rotate_every.is_none()
        && !args.default;
    if nothing {
        return Err(Situation::usage("nothing to change was given")
            .hint("`keyctl scope set --help` lists what can be set")
            .into());
    }
    let domain = domain(args, context)?;
    change(args, context, domain, |inventory| inventory.need_scope(scope))
}

fn change(
    args: &EditArgs,
    context: &CommandContext,
    domain: Option<Domain>,
    check: impl FnOnce(&Inventory) -> Result<(), Situation>,
) -> anyhow::Result<Exit> {
    check_words(args)?;
    context.update(|inventory| {
        check(inventory)?;
        let place = inventory.place_mut(&args.scope);
        apply(args, domain, place);
        if args.default {
            inventory.default_scope = Some(args.scope.clone());
        }
        Ok(())
    })?;
    tell::changed(&args.scope, context)
}

fn apply(args: &EditArgs, domain: Option<Domain>, place: &mut Place) {
    let keep = |new: &Option<String>, held: &mut Option<String>| {
        if let Some(text) = new {
            *held = Some(text.clone()).filter(|it| !it.is_empty());
        }
    };
    keep(&args.name, &mut place.name);
    let id_before = place.highlevel_id.clone();
    keep(&args.highlevel_id, &mut place.highlevel_id);
    if args.scope.location.is_some() && place.highlevel_id != id_before {
        // What HighLevel listed, and answered, was about the other id.
        (place.missing, place.gone, place.imported) = (None, false, None);
    }
    place.domain = domain.or(place.domain.take());
    place.platform = args.platform.or(place.platform);
    place.email_provider = args.email_provider.or(place.email_provider);
    if let Some(every) = args.rotate_every {
        place.rotate_every = Some(every.to_string());
    }
}

fn check_words(args: &EditArgs) -> Result<(), Situation> {
    for (option, value) in [("--name", &args.name), ("--highlevel-id", &args.highlevel_id)] {
        if value.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
            return Err(Situation::usage(format!("the value of `{option}` has a control character in it")));
        }
    }
    if args.scope.location.is_some() && args.platform.is_some() {
        return Err(Situation::usage("`--platform` belongs to an agency")
            .hint(format!("`keyctl scope set {} --platform …`", args.scope.agency)));
    }
    Ok(())
}

/// Returns the domain to record, checked to be selectable.
fn domain(args: &EditArgs, context: &CommandContext) -> anyhow::Result<Option<Domain>> {
    let Some(typed) = &args.domain else { return Ok(None) };
    let Some(typed) = typed else { return choose(&args.scope, context).map(Some) };
    let domain: Domain = typed.parse().map_err(|error| Situation::usage(format!("{error}")))?;
    if !args.force
        && selectable::check(context, context.inventory()?, &args.scope, &domain)? == Checked::NoKey
    {
        context.console.note(format!(
            "note: no account key is effective at `{}`, so that `{domain}` could not be checked",
            args.scope
        ));
    }
    Ok(Some(domain))
}

/// Offers the domains that can be chosen at a scope.
fn choose(scope: &Scope, context: &CommandContext) -> anyhow::Result<Domain> {
    let name_it = || {
        Situation::usage("`--domain` has no value").hint("`keyctl domains SCOPE` lists what can be chosen")
    };
    if !context.console.can_ask() {
        return Err(name_it().into());
    }
    let inventory = context.inventory()?;
    let listing = selectable::listing(context, inventory, scope)?.ok_or_else(name_it)?;
    let rule = selectable::us_rule(inventory, scope);
    let mut choices: Vec<SelectableDomain> =
        listing.domains.iter().filter_map(|it| SelectableDomain::check(it, rule).ok()).collect();
    choices.sort_by(|a, b| a.name().cmp(b.name()));
    if choices.is_empty() {
        return Err(Situation::new(Exit::Rejected, "none-selectable", "no domain can be chosen there")
            .hint(format!("`keyctl domains {scope} --all` tells why"))
            .into());
    }
    context.console.page(|page| {
        for (n, choice) in choices.iter().enumerate() {
            page.line(crate::output::Tone::Plain, format!("{:>3}  {}", n + 1, choice.name()));
        }
    });
    let answer = context.console.ask("number of the domain: ").unwrap_or_default();
    let chosen = answer.trim().parse::<usize>().ok().and_then(|n| choices.get(n.checked_sub(1)?));
    match chosen {
        Some(choice) => Ok(choice.name().clone()),
        None => Err(Situation::refused("not-chosen", "none of these was chosen; nothing was changed").into()),
    }
}

/// Removes a scope that no key is recorded at.
///
/// # Errors
/// Exit 8 when it is not recorded, exit 9 when it is in use or not confirmed.
pub fn remove(scope: &Scope, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let Some(place) = inventory.place(scope) else {
        return Err(Situation::missing("no-such-scope", format!("there is no scope `{scope}`"))
            .hint("`keyctl scope list` shows what there is")
            .into());
    };
    refuse_in_use(inventory, scope)?;
    let locations = inventory.agencies.get(&scope.agency).map_or(0, |it| it.locations.len());
    if scope.location.is_none() && locations > 0 {
        let name = printable(place.name.as_deref().unwrap_or(scope.agency.as_str()), 60);
        match context.operator.consent(&ConsentQuestion::RemoveAgency { name, locations }) {
            Consent::Given => {}
            Consent::Refused => return Err(Situation::refused("not-confirmed", "nothing was removed").into()),
            Consent::NoOne => {
                return Err(Situation::refused(
                    "not-confirmed",
                    format!("`{scope}` has {locations} locations"),
                )
                .hint("remove them with it: `--yes`")
                .into());
            }
        }
    }
    context.update(|inventory| {
        refuse_in_use(inventory, scope)?;
        match &scope.location {
            None => {
                inventory.agencies.remove(&scope.agency);
            }
            Some(location) => {
                if let Some(agency) = inventory.agencies.get_mut(&scope.agency) {
                    agency.locations.remove(location);
                }
            }
        }
        if inventory.default_scope.as_ref().is_some_and(|held| scope.covers(held)) {
            inventory.default_scope = None;
        }
        Ok(())
    })?;
    if context.console.format() == Format::Table {
        context.console.note(format!("removed `{scope}`"));
    }
    tell::removed(scope, context)
}

fn refuse_in_use(inventory: &Inventory, scope: &Scope) -> Result<(), Situation> {
    let held: Vec<String> =
        inventory.keys.keys().filter(|key| scope.covers(&key.scope)).map(|it| format!("`{it}`")).collect();
    if held.is_empty() {
        return Ok(());
    }
    let more = if held.len() > 4 { format!(" and {} more", held.len() - 4) } else { String::new() };
    let names = held.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    Err(Situation::refused("scope-in-use", format!("`{scope}` has keys: {names}{more}"))
        .hint("remove or rename them first: `keyctl remove KEYREF`, `keyctl rename KEYREF NEW`"))
}
