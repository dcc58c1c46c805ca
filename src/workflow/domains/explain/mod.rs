//! "Why is my domain not in the drop-down list?": every check from the account
//! to the reply route, each with what was found and what to do.

pub mod account;
pub mod explained;
pub mod explanation;
pub mod level;
pub mod provider_answers;
pub mod records;

use std::net::SocketAddr;

pub use crate::workflow::domains::explain::records::{judged, wanted};

use crate::context::Context;
use crate::dns::{Found, RecordKind, Resolver};
use crate::domain::DnsRecord;
use crate::exit::Situation;
use crate::key::{Domain, KeyRef, Kind};
use crate::provider;
use crate::provider::Net;
use crate::workflow::checklist::Check;
use crate::workflow::domains::DomainQuestion;
use crate::workflow::domains::explain::explained::Explained;
use crate::workflow::domains::explain::explanation::Explanation;
use crate::workflow::domains::explain::provider_answers::Seen;
use crate::workflow::domains::keys_to_ask::{Picked, Target};
use crate::workflow::domains::{inbound_route, keys_to_ask};

/// Explains one domain.
///
/// # Errors
/// As for the list of domains.
pub fn run(question: &DomainQuestion, context: &Context, domain: &Domain) -> anyhow::Result<Explanation> {
    let asked = Asked::of(question, context)?;
    let net = context.net()?;
    let Some(target) = asked.seeing(&net, domain) else {
        return asked.without_a_voice(context, domain);
    };
    let inventory = if target.key.is_some() { Some(context.inventory()?) } else { None };
    let seen = Seen::ask(context, &net, target, domain);
    let records = seen.domain().and_then(|it| it.records.clone()).unwrap_or_default();
    let answers = if question.dns { ask_resolver(context, &net, &judged(&records))? } else { Vec::new() };
    let explained = Explained { domain, target, inventory, seen: &seen };
    let mut checks = checks(&explained, &answers);
    if let (Some((key, kind)), Some(inventory)) = (&asked.mute, inventory)
        && let Some(place) =
            checks.iter_mut().find(|it| it.id == crate::workflow::domains::explain::account::KEY_MAY_LIST)
    {
        // The key that was named may not list; another one answered the rest.
        *place = crate::workflow::domains::explain::account::mute(inventory, key, *kind);
    }
    let explanation = Explanation::new(domain, target.key.as_ref(), checks);
    if !question.dns && explanation.lacks_records() {
        context.operator.hint("`--dns` asks the resolver, too, what is published");
    }
    Ok(explanation)
}

/// The keys that can be asked about one domain.
pub struct Asked {
    targets: Vec<Target>,
    /// The key that was named, where its kind may not list.
    pub mute: Option<(KeyRef, Kind)>,
}

impl Asked {
    /// Finds them: as for the list, but at one scope where that is clear.
    ///
    /// # Errors
    /// As [`keys_to_ask::pick`].
    pub fn of(question: &DomainQuestion, context: &Context) -> anyhow::Result<Self> {
        let recorded = !question.stdin && question.from_env.is_none();
        let fallback = if recorded { context.inventory()?.only_scope() } else { None };
        let Picked { mut targets, mute, .. } = keys_to_ask::pick(question, context, fallback.as_ref())?;
        if !targets.is_empty() {
            // The unlabelled key of the first provider is asked first.
            targets.sort_by_key(|it| (it.provider, it.key.as_ref().is_some_and(|key| key.label.is_some())));
            return Ok(Self { targets, mute: None });
        }
        if let Some((key, _)) = &mute {
            targets.extend(keys_to_ask::stand_in(question, context, key)?);
        }
        Ok(Self { targets, mute })
    }

    /// Returns the key that sees the domain, else the first.
    pub fn seeing(&self, net: &Net<'_>, domain: &Domain) -> Option<&Target> {
        if let [only] = self.targets.as_slice() {
            return Some(only);
        }
        let sees = |target: &&Target| {
            let shown = keys_to_ask::facet(target.provider)
                .map(|it| it.show(net.by(&target.credential()), domain, None));
            matches!(shown, Ok(Ok(Some(_))))
        };
        self.targets.iter().find(sees).or_else(|| self.targets.first())
    }

    /// Nobody can be asked: the kind of key is the whole answer.
    fn without_a_voice(&self, context: &Context, domain: &Domain) -> anyhow::Result<Explanation> {
        let Some((key, kind)) = &self.mute else { return Err(nobody().into()) };
        let inventory = context.inventory()?;
        let checks = vec![
            crate::workflow::domains::explain::account::not_there("in-account"),
            crate::workflow::domains::explain::account::mute(inventory, key, *kind),
        ];
        Ok(Explanation::new(domain, Some(key), checks))
    }
}

/// The situation in which no key may list domains.
pub fn nobody() -> Situation {
    Situation::missing("nothing-selected", "no key there may list domains")
        .hint("`keyctl list` shows what there is")
}

fn checks(it: &Explained<'_>, answers: &[Option<Found>]) -> Vec<Check> {
    let mut checks = vec![crate::workflow::domains::explain::account::in_account(it)];
    checks.extend(crate::workflow::domains::explain::account::region(it));
    checks.push(crate::workflow::domains::explain::account::state(it));
    checks.extend(crate::workflow::domains::explain::account::disabled(it));
    checks.extend(crate::workflow::domains::explain::account::sandbox(it));
    checks.extend(crate::workflow::domains::explain::records::checks(it, answers));
    checks.push(crate::workflow::domains::explain::account::key_may_list(it));
    checks.extend(crate::workflow::domains::explain::account::ip_allowlist(it));
    let sends = provider::provider(it.target.provider).terms().sends_for_highlevel;
    if sends && it.target.highlevel {
        if let Some(routes) = &it.seen.routes {
            checks.extend([
                inbound_route::inbound_route(routes, it.domain),
                inbound_route::not_shadowed(routes, it.domain),
            ]);
        }
        checks.extend(it.inventory.map(|inventory| inbound_route::unique_location(inventory, it.domain)));
        checks.push(crate::workflow::domains::explain::level::level(it));
    }
    checks
}

/// Asks the resolver for each record; `None` for types it is not asked for.
///
/// # Errors
/// Exit 2 when `KEYCTL_DNS` is no address.
pub fn ask_resolver(
    context: &Context,
    net: &Net<'_>,
    records: &[&DnsRecord],
) -> anyhow::Result<Vec<Option<Found>>> {
    let resolver = match context.environment.get("KEYCTL_DNS") {
        None => Resolver::OfSystem,
        Some(text) => Resolver::At(text.parse::<SocketAddr>().map_err(|_| {
            Situation::usage("KEYCTL_DNS is no IP:PORT").hint("such as 192.0.2.53:53 or [2001:db8::53]:53")
        })?),
    };
    let kinds: Vec<Option<RecordKind>> =
        records.iter().map(|it| RecordKind::named(&it.record_type)).collect();
    let questions: Vec<(String, RecordKind)> = records
        .iter()
        .zip(&kinds)
        .filter_map(|(record, kind)| Some((record.name.clone(), (*kind)?)))
        .collect();
    let mut answers = resolver.ask(&questions, net.deadline).into_iter();
    Ok(kinds.into_iter().map(|kind| kind.and_then(|_| answers.next())).collect())
}
