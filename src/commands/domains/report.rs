//! What `domains` tells of a list.

use serde::Serialize;
use serde_json::Value;

use super::Args;
use super::readers::{Found, Reader};
use crate::clock::rfc3339;
use crate::context::Context;
use crate::domain::{DnsSummary, DomainType, SendingDomain, UsRule};
use crate::key::{Domain, KeyRef, ProviderId, Reason, Region};
use crate::output::{Cell, Page, Report, Table, Tone};

/// DNS records are asked for where at most so many domains are listed.
const DETAIL_LIMIT: usize = 25;

/// One domain, its fields in the contract's order.
#[derive(Debug, Clone, Serialize)]
struct Line {
    name: Domain,
    provider: ProviderId,
    key: Option<KeyRef>,
    region: Option<Region>,
    state: String,
    #[serde(rename = "type")]
    kind: DomainType,
    disabled: bool,
    selectable: bool,
    reasons: Vec<Reason>,
    created: Option<String>,
    dns: DnsSummary,
}

/// The list.
pub struct Listing {
    pub selectable: usize,
    lines: Vec<Line>,
    hidden: usize,
}

impl Listing {
    /// Makes the list of what the readers found, with DNS where that costs
    /// few requests.
    ///
    /// # Errors
    /// When the inventory cannot be read.
    pub fn new(found: &[Found<'_>], args: &Args, context: &Context) -> anyhow::Result<Self> {
        let mut shown: Vec<(&Reader, SendingDomain, Vec<Reason>)> = Vec::new();
        let (mut selectable, mut hidden) = (0, 0);
        for one in found {
            let scope = one.reader.key.as_ref().map(|it| &it.scope);
            let rule = args.rule(context, scope)?;
            for domain in &one.listing.domains {
                let reasons = domain.against(rule);
                selectable += usize::from(reasons.is_empty());
                if reasons.is_empty() || args.all {
                    shown.push((one.reader, domain.clone(), reasons));
                } else {
                    hidden += 1;
                }
            }
        }
        if shown.len() <= DETAIL_LIMIT {
            read_records(&mut shown, context)?;
        } else {
            context.console.detail(format!("{} domains: their DNS records were not asked for", shown.len()));
        }
        let mut lines: Vec<Line> =
            shown.into_iter().map(|(reader, domain, reasons)| line(reader, domain, reasons)).collect();
        lines.sort_by(|a, b| (&a.key, &a.name, a.region).cmp(&(&b.key, &b.name, b.region)));
        Ok(Self { selectable, lines, hidden })
    }
}

fn read_records(
    shown: &mut [(&Reader, SendingDomain, Vec<Reason>)],
    context: &Context,
) -> anyhow::Result<()> {
    let net = context.net()?;
    std::thread::scope(|scope| {
        // A few at a time: an account's requests are budgeted.
        for part in shown.chunks_mut(DETAIL_LIMIT.div_ceil(4)) {
            scope.spawn(move || {
                for (reader, domain, _) in part {
                    let Some(facet) = reader.facet() else { continue };
                    // A list without details is still a list.
                    if let Ok(Some(whole)) =
                        facet.show(&net, &reader.credential(), &domain.name, domain.region)
                    {
                        domain.records = whole.records;
                    }
                }
            });
        }
    });
    Ok(())
}

fn line(reader: &Reader, domain: SendingDomain, reasons: Vec<Reason>) -> Line {
    Line {
        dns: domain.dns(),
        provider: domain.provider,
        key: reader.key.clone(),
        region: domain.region,
        state: domain.state,
        kind: domain.kind,
        disabled: domain.disabled,
        selectable: reasons.is_empty(),
        reasons,
        created: domain.created.map(rfc3339),
        name: domain.name,
    }
}

impl Report for Listing {
    fn command(&self) -> &'static str {
        "domains"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "selectable": self.selectable, "domains": self.lines })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("domains")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["domain", "region", "state", "dns", "can be chosen"]);
        for line in &self.lines {
            let why = line.reasons.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
            table.row([
                line.name.as_str().into(),
                line.region.map(|it| it.as_str()).unwrap_or_default().into(),
                line.state.clone().into(),
                dns_word(line.dns).into(),
                if line.selectable {
                    Cell::toned("yes", Tone::Good)
                } else {
                    Cell::toned(format!("no: {why}"), Tone::Warn)
                },
            ]);
        }
        page.table(&table);
        if self.selectable == 0 {
            page.line(Tone::Warn, "no domain can be chosen");
        }
        if self.hidden > 0 {
            let (verb, them) = if self.hidden == 1 { ("is", "it") } else { ("are", "them") };
            page.paragraph(
                Tone::Dim,
                0,
                &format!(
                    "{} more {verb} not listed: `--all` shows {them}, `--explain DOMAIN` says why",
                    self.hidden
                ),
            );
        }
    }
}

fn dns_word(dns: DnsSummary) -> String {
    let parts = [("sending", dns.sending), ("receiving", dns.receiving), ("tracking", dns.tracking)];
    let wrong: Vec<String> = parts
        .iter()
        .filter_map(|(name, state)| Some((name, (*state)?)))
        .filter(|(_, state)| *state != crate::domain::DnsState::Valid)
        .map(|(name, state)| format!("{name} {state}"))
        .collect();
    match (wrong.is_empty(), dns.sending.is_some()) {
        (true, true) => "valid".to_owned(),
        (true, false) => String::new(),
        (false, _) => wrong.join(", "),
    }
}

/// Returns whether only US domains count, as words for a check.
pub fn rule_word(rule: UsRule) -> &'static str {
    match rule {
        UsRule::Counts => "us",
        UsRule::Waived => "any",
    }
}
