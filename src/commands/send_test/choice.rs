//! Which key sends, from which domain, and which key may look what became of
//! the message. Decided by the inventory alone.

use crate::commands::send_test::Via;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Selected};
use crate::key::{Domain, KeyRef, Kind, ProviderId, Record, Scope};
use crate::provider;
use crate::provider::TestMail;

/// What the arguments say of the key.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    pub via: Option<Via>,
    /// A template was named: only a provider that sends those comes into question.
    pub template: bool,
}

/// Returns the key that sends: the named one, else the scope's at Mailgun,
/// else at the only other provider there. By API if the scope has such a key.
///
/// # Errors
/// Exit 8 when there is none, exit 2 when several come into question.
pub fn choose<'a>(
    inventory: &'a Inventory,
    selected: &Selected,
    wish: Wish,
) -> Result<(&'a KeyRef, &'a Record), Situation> {
    let scope = match selected {
        Selected::Key(_) => return inventory.choose(selected, &[], Filter::default()),
        Selected::Scope(scope) => scope,
    };
    let effective = inventory.effective(scope);
    let ways = wish.via.map_or_else(|| vec![Via::Api, Via::Smtp], |via| vec![via]);
    for via in ways {
        let mut providers: Vec<ProviderId> = effective
            .iter()
            .filter(|it| Via::of(it.record.kind) == via && sends(it.key.provider, wish.template))
            .map(|it| it.key.provider)
            .collect();
        providers.sort_unstable();
        providers.dedup();
        match providers.as_slice() {
            [] => {}
            [one, rest @ ..] if rest.is_empty() || platform_sends_with(*one) => {
                let kinds: Vec<Kind> =
                    one.kinds().iter().copied().filter(|kind| Via::of(*kind) == via).collect();
                let filter = Filter { provider: Some(*one), ..Filter::default() };
                return inventory.choose(selected, &kinds, filter);
            }
            several => return Err(ambiguous(scope, several)),
        }
    }
    // Says what is wrong with the scope, if it is that.
    inventory.choose(selected, &[], Filter::default())?;
    Err(Situation::missing(
        "nothing-selected",
        format!("no key that can send like that is effective at `{scope}`"),
    )
    .hint(format!("`keyctl which {scope}` tells what is, and why")))
}

fn platform_sends_with(provider: ProviderId) -> bool {
    provider::provider(provider).terms().sends_for_highlevel
}

fn sends(provider: ProviderId, template: bool) -> bool {
    provider::provider(provider).test_mail().is_some_and(|it| !template || it.needs_template())
}

fn ambiguous(scope: &Scope, providers: &[ProviderId]) -> Situation {
    let names: Vec<&str> = providers.iter().map(|it| it.as_str()).collect();
    Situation::new(
        Exit::Usage,
        "ambiguous",
        format!("keys of several providers are effective at `{scope}`: {}", names.join(", ")),
    )
    .hint("choose one by its key ref")
}

/// Returns how the provider of a key sends test mails.
///
/// # Errors
/// Exit 2 when this key cannot send that way.
pub fn facet(key: &KeyRef, record: &Record, wish: Wish) -> Result<&'static dyn TestMail, Situation> {
    let Some(facet) = provider::provider(key.provider).test_mail() else {
        return Err(Situation::usage(format!("`{key}` is a key of {}, which sends no mail", key.provider))
            .hint("name a key of Mailgun, Brevo or Klaviyo"));
    };
    let via = Via::of(record.kind);
    if let Some(wanted) = wish.via.filter(|it| *it != via) {
        return Err(Situation::usage(format!(
            "`{key}` is a {} key, which does not send by {wanted}",
            record.kind
        ))
        .hint(format!("leave out `--via`, or name a key that sends by {wanted}")));
    }
    if wish.template && !facet.needs_template() {
        return Err(Situation::usage(format!("{} sends no templates as a test", key.provider))
            .hint("leave out `--template`"));
    }
    Ok(facet)
}

/// Returns the domain to send from: the one named, the key's own (a Mailgun
/// login has it behind its `@`), the scope's.
pub fn domain(
    named: Option<&Domain>,
    inventory: &Inventory,
    scope: &Scope,
    record: &Record,
) -> Option<Domain> {
    let login = record.login.as_deref().filter(|_| record.kind == Kind::Smtp);
    let of_login = || {
        let (_, domain) = login?.rsplit_once('@')?;
        // Brevo's logins are all of its own domain, which nobody sends from.
        Domain::parse(domain).ok().filter(|it| it.as_str() != "smtp-brevo.com")
    };
    let at_scope = || inventory.domain_at(scope).map(|(domain, _)| domain);
    named.or(record.domain.as_ref()).cloned().or_else(of_login).or_else(at_scope)
}

/// Returns the key that may read what became of a message: the sending key
/// itself, where its kind can, else the scope's key of the kind that can.
///
/// # Errors
/// Why there is none.
pub fn reader<'a>(
    inventory: &'a Inventory,
    scope: &Scope,
    key: &'a KeyRef,
    record: &'a Record,
) -> Result<(&'a KeyRef, &'a Record), Situation> {
    let able = key.provider.kinds().first().copied().unwrap_or(record.kind);
    if record.kind == able {
        return Ok((key, record));
    }
    let filter = Filter { provider: Some(key.provider), kind: Some(able), ..Filter::default() };
    inventory.choose(&Selected::Scope(scope.clone()), &[able], filter)
}
