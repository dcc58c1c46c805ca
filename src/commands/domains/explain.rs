//! `domains --explain`: why a domain is not in the drop-down list. One check a
//! line, each with what was found, what is expected, and how to mend it.

use std::net::SocketAddr;

use serde::Serialize;
use serde_json::Value;

use super::readers::{Found, Reader, Readers, asked};
use super::report::rule_word;
use super::{Args, records};
use crate::context::Context;
use crate::dns::{Answer, Resolver};
use crate::domain::{DnsState, RecordRole, SendingDomain, UsRule};
use crate::exit::{Exit, Situation};
use crate::key::text::printable;
use crate::key::{Domain, KeyRef, ProviderId, Region, Scope};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::provider::{self, DomainListing, InboundRoute};

/// Where HighLevel forwards replies to its Conversations: the path, and the
/// hosts seen (HighLevel's help, "How to setup Replies in MailGun", 48000987293).
const INBOUND_PATH: &str = "/conversations/providers/mailgun/webhook/inbound";
const INBOUND_HOSTS: [&str; 2] = ["services.leadconnectorhq.com", "services.msgsndr.com"];
const INBOUND_URL: &str =
    "https://services.leadconnectorhq.com/conversations/providers/mailgun/webhook/inbound";

/// As much of a value is shown in the table; JSON has it whole.
const FOUND_LIMIT: usize = 60;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Pass,
    Fail,
    NotCheckable,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
struct Check {
    id: String,
    result: Outcome,
    found: Option<String>,
    expected: Option<String>,
    fix: Option<String>,
    /// Decides whether the domain is in the list.
    #[serde(skip)]
    decides: bool,
}

impl Check {
    fn new(id: &str, result: Outcome, found: impl Into<String>) -> Self {
        let found = Some(found.into()).filter(|it| !it.is_empty());
        Self { id: id.to_owned(), result, found, expected: None, fix: None, decides: false }
    }

    fn of(
        id: &str,
        good: bool,
        found: impl Into<String>,
        expected: &str,
        fix: impl FnOnce() -> String,
    ) -> Self {
        let outcome = if good { Outcome::Pass } else { Outcome::Fail };
        let fix = if good { None } else { Some(fix()) };
        Self { expected: Some(expected.to_owned()), fix, ..Self::new(id, outcome, found) }
    }

    fn unknown(id: &str, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..Self::new(id, Outcome::NotCheckable, why) }
    }

    fn deciding(mut self) -> Self {
        self.decides = true;
        self
    }
}

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
        let near = self.listing.domains.iter().find(|it| {
            let (a, b) = (it.name.as_str(), self.domain.as_str());
            a.ends_with(&format!(".{b}")) || b.ends_with(&format!(".{a}")) || distance(a, b) <= 2
        });
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

/// Returns whether a route hands replies to HighLevel.
fn to_highlevel(route: &InboundRoute) -> Option<bool> {
    let action = route.actions.iter().find(|it| it.contains(INBOUND_PATH))?;
    Some(INBOUND_HOSTS.iter().any(|host| action.contains(&format!("//{host}/"))))
}

fn shown(route: &InboundRoute) -> String {
    format!("{} → {} (priority {})", route.expression, route.actions.join(", "), route.priority)
}

fn reply_route(matching: Option<&InboundRoute>) -> Check {
    let create = || {
        format!(
            "replies do not reach HighLevel's Conversations: save key and domain in HighLevel again, or create the route \
             catch_all() → forward(\"{INBOUND_URL}\") with priority 99 in Mailgun under Receiving › Routes"
        )
    };
    let expected = "a route that forwards to HighLevel";
    match matching {
        None => Check::of("inbound-route", false, "no route takes mail for the domain", expected, create),
        Some(route) => match to_highlevel(route) {
            Some(true) => Check::of("inbound-route", true, shown(route), expected, String::new),
            Some(false) => Check {
                fix: Some("the path is HighLevel's, the host is not one that is known: check that it is your white label's".to_owned()),
                ..Check::of("inbound-route", true, shown(route), expected, String::new)
            },
            None => Check::of("inbound-route", false, shown(route), expected, create),
        },
    }
}

/// The route that takes the mail must be HighLevel's own; one of lower
/// priority number that stops, or takes everything, comes before it.
fn not_shadowed(matching: Option<&InboundRoute>, routes: &[InboundRoute]) -> Check {
    let expected = "nothing before HighLevel's route";
    let Some(own) = routes.iter().filter(|it| to_highlevel(it).is_some()).min_by_key(|it| it.priority) else {
        return Check::unknown("route-not-shadowed", "there is no route to HighLevel", "see inbound-route");
    };
    let before = matching.filter(|it| it.id != own.id && it.priority < own.priority);
    let before = before.or_else(|| {
        routes.iter().find(|it| {
            it.priority < own.priority
                && it.id != own.id
                && (it.expression.trim() == "catch_all()"
                    || it.actions.iter().any(|action| action.trim() == "stop()"))
        })
    });
    let found = before.map_or_else(|| shown(own), shown);
    Check::of("route-not-shadowed", before.is_none(), found, expected, || {
        format!("give that route a larger priority number than {}, or remove it", own.priority)
    })
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

/// Returns how many single-letter changes lie between two names, up to 3.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<u8>, Vec<u8>) = (a.bytes().collect(), b.bytes().collect());
    if a.len().abs_diff(b.len()) > 2 {
        return 3;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

struct ExplainReport {
    domain: Domain,
    /// `None`: it could not be told.
    selectable: Option<bool>,
    checks: Vec<Check>,
}

impl Report for ExplainReport {
    fn command(&self) -> &'static str {
        "domains"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "domain": self.domain, "selectable": self.selectable, "checks": self.checks })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("checks")
    }

    fn human(&self, page: &mut Page) {
        let (tone, words) = match self.selectable {
            Some(true) => (Tone::Good, "can be chosen"),
            Some(false) => (Tone::Bad, "cannot be chosen"),
            None => (Tone::Warn, "could not be told"),
        };
        page.pieces(&[(Tone::Strong, self.domain.as_str()), (Tone::Plain, "  "), (tone, words)]);
        let mut table = Table::new(&["check", "result", "found"]);
        for check in &self.checks {
            let (word, tone) = match check.result {
                Outcome::Pass => ("pass", Tone::Good),
                Outcome::Fail => ("fail", Tone::Bad),
                Outcome::NotCheckable => ("not checkable", Tone::Warn),
            };
            table.row([
                check.id.as_str().into(),
                Cell::toned(word, tone),
                printable(check.found.as_deref().unwrap_or_default(), FOUND_LIMIT).into(),
            ]);
        }
        page.table(&table);
        let fixes: Vec<_> = self.checks.iter().filter_map(|it| Some((&it.id, it.fix.as_ref()?))).collect();
        if !fixes.is_empty() {
            page.blank();
            page.line(Tone::Strong, "What to do");
            for (id, fix) in fixes {
                page.paragraph(Tone::Plain, 2, &format!("{id}: {fix}"));
            }
        }
    }
}
