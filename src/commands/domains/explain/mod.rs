//! `domains --explain`: why a domain is not in the drop-down list. One check a
//! line, each with what was found, what is expected, and how to mend it.

mod check;
mod near;
mod report;
mod routes;

use std::net::SocketAddr;

use self::check::{Check, Outcome};
use self::report::ExplainReport;
use self::routes::{not_shadowed, reply_route};
use super::readers::{Found, Reader, Readers, asked};
use super::report::rule_word;
use super::{Args, records};
use crate::context::Context;
use crate::dns::{Answer, Resolver};
use crate::domain::{DnsState, RecordRole, SendingDomain, UsRule};
use crate::exit::{Exit, Situation};
use crate::key::{Domain, KeyRef, ProviderId, Region, Scope};
use crate::provider::{self, DomainListing};

/// Explains one domain.
///
/// # Errors
/// When the network cannot be set up, or the resolver is none.
pub fn run(domain: &Domain, args: &Args, readers: &Readers, context: &Context) -> anyhow::Result<Exit> {
    let resolver = if args.dns { Some(resolver(context)?) } else { None };
    let found = readers.list(context)?;
    let inventory = context.inventory()?;
    // The key that sees the domain tells most; else the first.
    let sees = |it: &&Found<'_>| it.listing.domains.iter().any(|held| held.name == *domain);
    let Some(one) = found.iter().find(sees).or_else(|| found.first()) else {
        return Err(Situation::missing("nothing-selected", "no key can tell of domains").into());
    };
    let scope = readers.scope.as_ref();
    let rule = args.rule(context, one.reader.key.as_ref().map(|it| &it.scope).or(scope))?;
    let subject = Subject {
        domain,
        reader: one.reader,
        listing: &one.listing,
        rule,
        context,
        asked: asked(args.selector.as_ref()),
    };
    let mut checks = subject.in_list();
    checks.extend(subject.dns(resolver.as_ref())?);
    checks.push(subject.may_list());
    checks.push(subject.allowlist()?);
    checks.extend(subject.inbound()?);
    checks.push(unique(inventory, domain));
    checks.push(level(inventory, scope, one.reader));
    let report = ExplainReport { domain: domain.clone(), selectable: verdict(&checks), checks };
    let exit = match report.selectable {
        Some(true) => Exit::Done,
        Some(false) => Exit::Rejected,
        None => Exit::Unknown,
    };
    context.console.report(&report)?;
    Ok(exit)
}

fn verdict(checks: &[Check]) -> Option<bool> {
    let deciding = || checks.iter().filter(|it| it.decides);
    if deciding().any(|it| it.result == Outcome::Fail) {
        return Some(false);
    }
    deciding().all(|it| it.result == Outcome::Pass).then_some(true)
}

fn resolver(context: &Context) -> anyhow::Result<Resolver> {
    let address = match context.environment.get("KEYCTL_DNS") {
        None => None,
        Some(text) => Some(text.parse::<SocketAddr>().map_err(|_| {
            Situation::usage("KEYCTL_DNS is no IP:PORT").hint("write it like 127.0.0.1:53 or [::1]:53")
        })?),
    };
    Resolver::open(address).map_err(|why| {
        Situation::usage(format!("there is no resolver to ask: {why}"))
            .hint("name one with KEYCTL_DNS=IP:PORT")
            .into()
    })
}

/// The domain in question and who tells of it.
struct Subject<'a> {
    domain: &'a Domain,
    reader: &'a Reader,
    listing: &'a DomainListing,
    rule: UsRule,
    context: &'a Context,
    asked: String,
}

impl Subject<'_> {
    /// Returns the entry that decides: the US one before others.
    fn entry(&self) -> Option<&SendingDomain> {
        let mut held: Vec<&SendingDomain> =
            self.listing.domains.iter().filter(|it| it.name == *self.domain).collect();
        held.sort_by_key(|it| it.region);
        held.first().copied()
    }

    fn in_list(&self) -> Vec<Check> {
        let rule = rule_word(self.rule);
        let Some(entry) = self.entry() else { return self.absent() };
        let region = entry.region.map_or("none", Region::as_str);
        let right_region = entry.region.is_none_or(|it| it == Region::Us) || self.rule == UsRule::Waived;
        let state = if entry.kind == crate::domain::DomainType::Sandbox {
            "sandbox".to_owned()
        } else {
            entry.state.clone()
        };
        let usable = entry.verified && entry.kind == crate::domain::DomainType::Custom;
        let note = entry.disabled_note.clone().unwrap_or_else(|| "disabled".to_owned());
        vec![
            Check::of("in-account", true, "yes", "yes", String::new).deciding(),
            Check::of("region", right_region, region, rule, || {
                format!(
                    "HighLevel asks Mailgun's US region only, and a domain cannot move: add {} (or a subdomain) in the US region",
                    self.domain
                )
            })
            .deciding(),
            Check::of("state", usable, state, "active", || {
                if entry.kind == crate::domain::DomainType::Sandbox {
                    "a sandbox domain is for trying only: add a domain of your own".to_owned()
                } else {
                    format!("set the DNS records below, then `keyctl domains {} --verify {}`", self.asked, self.domain)
                }
            })
            .deciding(),
            Check::of("disabled", !entry.disabled, if entry.disabled { note } else { "no".to_owned() }, "no", || {
                format!("ask {}'s support why it is disabled", self.reader.provider)
            })
            .deciding(),
        ]
    }

    /// The domain was not seen: not there, or not to be told.
    fn absent(&self) -> Vec<Check> {
        let unread = self.listing.troubles.first();
        let first = match unread {
            Some((region, trouble)) => {
                let part = region.map_or_else(String::new, |it| format!(" ({})", it.as_str()));
                Check::unknown(
                    "in-account",
                    format!("the list{part} could not be read: {}", trouble.detail),
                    trouble.hint.clone().unwrap_or_else(|| "try again".to_owned()),
                )
            }
            None if self.reader.facet().is_none() => Check::unknown(
                "in-account",
                format!("a key of kind {} may not ask", self.reader.record.kind),
                "use the account's key",
            ),
            None => Check::of("in-account", false, "no", "yes", || self.add_or_near()),
        };
        let unknown = |id| Check::unknown(id, "the domain was not seen", "see in-account").deciding();
        vec![first.deciding(), unknown("region"), unknown("state"), unknown("disabled")]
    }

    fn add_or_near(&self) -> String {
        let near = self.listing.domains.iter().find(|it| near::is_near(&it.name, self.domain));
        match near {
            Some(near) => format!("the account has {}: is that the one?", near.name),
            None => {
                format!("add it at {} in the US region, or use the account that has it", self.reader.provider)
            }
        }
    }

    fn dns(&self, resolver: Option<&Resolver>) -> anyhow::Result<Vec<Check>> {
        let region = self.entry().and_then(|it| it.region);
        let Some(facet) = self.reader.facet().filter(|_| self.entry().is_some()) else {
            return Ok(vec![Check::unknown(
                "dns",
                "the provider tells the records of its own domains only",
                "see in-account",
            )]);
        };
        let whole = match facet.show(&self.context.net()?, &self.reader.credential(), self.domain, region) {
            Ok(whole) => whole,
            Err(trouble) => return Ok(vec![Check::unknown("dns", trouble.detail, "try again")]),
        };
        let mut wanted = whole.and_then(|it| it.records).unwrap_or_default();
        wanted.sort_by_key(|it| it.role);
        let mut checks: Vec<Check> = Vec::new();
        for record in wanted.iter().filter(|it| it.active) {
            let base = match record.role {
                RecordRole::Spf => "dns-spf",
                RecordRole::Dkim => "dns-dkim",
                RecordRole::Mx => "dns-mx",
                RecordRole::Tracking => "dns-tracking",
                RecordRole::Other => "dns-other",
            };
            let before =
                checks.iter().filter(|it| it.id == base || it.id.starts_with(&format!("{base}-"))).count();
            let id = if before == 0 { base.to_owned() } else { format!("{base}-{}", before + 1) };
            checks.push(record_check(&id, record, resolver));
        }
        if checks.is_empty() {
            checks.push(Check::unknown("dns", "the provider names no records", "see its console"));
        }
        Ok(checks)
    }

    fn may_list(&self) -> Check {
        let record = &self.reader.record;
        let shown = match &record.role {
            Some(role) => format!("{} ({role})", record.kind),
            None => record.kind.to_string(),
        };
        let good = self.reader.facet().is_some();
        Check::of("key-may-list", good, shown, "a key that may list domains", || {
            "paste the account's private API key, not a sending key, an SMTP password or the webhook signing key".to_owned()
        })
        .deciding()
    }

    fn allowlist(&self) -> anyhow::Result<Check> {
        let Some(facet) = provider::provider(self.reader.provider).allowlist() else {
            let check = Check::new("ip-allowlist", Outcome::Pass, "the provider has none");
            return Ok(check);
        };
        let key = self.reader.name();
        Ok(match facet.read(&self.context.net()?, &self.reader.credential()) {
            Ok(entries) => {
                let found = entries.iter().map(|it| it.address.as_str()).collect::<Vec<_>>().join(", ");
                let found = if found.is_empty() { "empty".to_owned() } else { found };
                Check::of("ip-allowlist", entries.is_empty(), found, "empty", || {
                    format!(
                        "HighLevel's addresses are not published: `keyctl allowlist {key} --relax`, save the key in \
                         HighLevel, then `keyctl allowlist {key} --restore`"
                    )
                })
                .deciding()
            }
            Err(trouble) => Check::unknown(
                "ip-allowlist",
                trouble.detail,
                "look at it with an admin key, in Mailgun's console",
            ),
        })
    }

    fn inbound(&self) -> anyhow::Result<Vec<Check>> {
        let facet = provider::provider(self.reader.provider).inbound();
        let region = self.entry().and_then(|it| it.region).unwrap_or(Region::Us);
        let Some(facet) = facet.filter(|_| self.reader.facet().is_some()) else {
            let none =
                |id| Check::unknown(id, "this key cannot read routes", "look in the provider's console");
            return Ok(vec![none("inbound-route"), none("route-not-shadowed")]);
        };
        let net = self.context.net()?;
        let credential = self.reader.credential();
        // An address nobody has: what would take a reply to any address.
        let address = format!("keyctl-probe@{}", self.domain);
        let unknown =
            |id, detail: String| Check::unknown(id, detail, "try again, or look under Receiving › Routes");
        let matching = match facet.matching(&net, &credential, &address, region) {
            Ok(matching) => matching,
            Err(trouble) => {
                return Ok(vec![
                    unknown("inbound-route", trouble.detail.clone()),
                    unknown("route-not-shadowed", trouble.detail),
                ]);
            }
        };
        let mut checks = vec![reply_route(matching.as_ref())];
        checks.push(match facet.list(&net, &credential, region) {
            Ok(routes) => not_shadowed(matching.as_ref(), &routes),
            Err(trouble) => unknown("route-not-shadowed", trouble.detail),
        });
        Ok(checks)
    }
}

fn record_check(id: &str, record: &crate::domain::DnsRecord, resolver: Option<&Resolver>) -> Check {
    let create = || {
        format!(
            "create the {} record `{}` with the value `{}`",
            record.record_type,
            record.name,
            records::value(record)
        )
    };
    let expected = format!("{} {} {}", record.record_type, record.name, records::value(record));
    let mut check = match resolver.map(|it| it.ask(&record.name, &record.record_type)) {
        Some(Answer::Found(values)) => {
            let good = records::matches(record, &values);
            Check::of(id, good, values.join(" | "), &expected, || {
                format!("{}; it is `{}` now", create(), values.join("`, `"))
            })
        }
        Some(Answer::NoSuchName) => Check::of(id, false, "no such name", &expected, create),
        Some(Answer::NoSuchRecord) => Check::of(id, false, "no such record", &expected, create),
        Some(Answer::Failed(why)) => Check::unknown(
            id,
            format!("the resolver could not be asked: {why}"),
            "try again, or name another with KEYCTL_DNS",
        ),
        None => {
            let found = if record.found.is_empty() {
                record.state.as_str().to_owned()
            } else {
                record.found.join(" | ")
            };
            match record.state {
                DnsState::Valid => Check::of(id, true, found, &expected, String::new),
                DnsState::Unknown | DnsState::Invalid => Check::of(id, false, found, &expected, create),
            }
        }
    };
    check.expected = Some(expected);
    check
}

fn unique(inventory: &crate::inventory::Inventory, domain: &Domain) -> Check {
    let users: Vec<String> = inventory
        .scopes()
        .filter(|(scope, place)| scope.location.is_some() && place.domain.as_ref() == Some(domain))
        .map(|(scope, _)| scope.to_string())
        .collect();
    let found = if users.is_empty() { "no location".to_owned() } else { users.join(", ") };
    Check::of("unique-location", users.len() < 2, found, "at most one location", || {
        "mail that is no reply is lost when several locations share a domain: give each its own subdomain"
            .to_owned()
    })
}

fn level(inventory: &crate::inventory::Inventory, scope: Option<&Scope>, reader: &Reader) -> Check {
    let look = "HighLevel cannot be asked which key it uses: look under Settings › Email Services of the location, then of the agency";
    let Some(scope) = scope else { return Check::unknown("level", "no scope was named", look) };
    let effective: Vec<(&KeyRef, bool)> = inventory
        .effective(scope)
        .iter()
        .filter(|it| it.key.provider == ProviderId::Mailgun)
        .map(|it| (it.key, it.overrides.is_some()))
        .collect();
    let found: Vec<String> = effective
        .iter()
        .map(
            |(key, overrides)| {
                if *overrides { format!("{key} (instead of the agency's)") } else { key.to_string() }
            },
        )
        .collect();
    let own = reader.key.as_ref().is_none_or(|key| effective.iter().any(|(it, _)| *it == key));
    let text = format!(
        "recorded as effective at {scope}: {}",
        if found.is_empty() { "none".to_owned() } else { found.join(", ") }
    );
    if own {
        return Check::unknown("level", text, look);
    }
    Check::of("level", false, text, "the key that was asked", || {
        format!("`{}` is not the one in effect at {scope}: `keyctl which {scope}`", reader.name())
    })
}
