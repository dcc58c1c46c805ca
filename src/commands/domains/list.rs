//! The list: what each key sees, what of it can be chosen, and which parts
//! could not be read. Reads both regions and all pages; then, of few domains,
//! the DNS records of each.

use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::commands::CommandContext;
use crate::domain::{DnsState, DnsSummary, DomainType, SendingDomain, UsRule};
use crate::exit::Exit;
use crate::key::{KeyRef, ProviderId, Reason, Region, Verdict};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::provider;
use crate::provider::{DomainListing, Net, Trouble};
use crate::workflow::domains::DomainQuestion;
use crate::workflow::domains::keys_to_ask;
use crate::workflow::domains::keys_to_ask::{Picked, Target};
use crate::workflow::{provider_failure, worker_pool};

/// Lists and details asked for at the same time.
const JOBS: usize = 8;

/// One domain, its fields in the contract's order.
#[derive(Debug, Clone, Serialize)]
struct Line {
    name: String,
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

/// A part that could not be read, and why.
#[derive(Debug, Clone, Serialize)]
struct Unread {
    key: Option<KeyRef>,
    region: Option<Region>,
    reason: Reason,
    detail: String,
    #[serde(skip)]
    hint: Option<String>,
}

/// Lists what can be chosen.
///
/// # Errors
/// As [`crate::commands::domains::run`].
pub fn run(question: &DomainQuestion, all: bool, context: &CommandContext) -> anyhow::Result<Exit> {
    let picked = keys_to_ask::pick(question, context, None)?;
    if picked.targets.is_empty() {
        return Err(match &picked.mute {
            Some((key, kind)) => keys_to_ask::mute(context.inventory()?, key, *kind).into(),
            None => crate::workflow::domains::explain::nobody().into(),
        });
    }
    let net = context.net()?;
    let listings = ask(context, &net, &picked.targets);
    let mut found = Found::new(context, &picked, listings);
    if !all {
        found.rows.retain(|row| row.line.selectable);
    }
    found.add_details(context, &net, &picked.targets);
    context.console.report(&found)?;
    found.say(context);
    Ok(found.exit())
}

fn ask(context: &CommandContext, net: &Net<'_>, targets: &[Target]) -> Vec<DomainListing> {
    let progress = context.operator.progress(targets.len(), "reading domains");
    let timeout = context.timeout();
    worker_pool::each(targets, JOBS, |target| {
        // One key has the whole command's time; of many, each has its own.
        let deadline = if targets.len() == 1 { net.deadline } else { std::time::Instant::now() + timeout };
        let listing = match keys_to_ask::facet(target.provider) {
            Ok(facet) => facet.list(Net { deadline, ..*net }.by(&target.credential())),
            Err(_) => DomainListing::default(),
        };
        progress.step();
        listing
    })
}

/// A line, and the domain and key it was made of.
struct Row {
    line: Line,
    domain: SendingDomain,
    target: usize,
}

/// What was found.
struct Found {
    rows: Vec<Row>,
    hidden: Hidden,
    unread: Vec<Unread>,
    /// The code of each key with which nothing can be chosen.
    empty: Vec<Exit>,
    selectable: usize,
    keys: usize,
}

/// What the short list leaves out.
#[derive(Debug, Clone, Copy, Default)]
struct Hidden {
    all: usize,
    /// Those with nothing against them but their region.
    in_eu: usize,
}

impl Found {
    fn new(context: &CommandContext, picked: &Picked, listings: Vec<DomainListing>) -> Self {
        let mut found = Self {
            rows: Vec::new(),
            hidden: Hidden::default(),
            unread: Vec::new(),
            empty: Vec::new(),
            selectable: 0,
            keys: picked.targets.len() + picked.unread.len(),
        };
        for (n, (target, listing)) in picked.targets.iter().zip(listings).enumerate() {
            let weigh = |trouble| provider_failure::weighed(context, target.record(), trouble);
            let troubles: Vec<_> =
                listing.troubles.into_iter().map(|(region, it)| (region, weigh(it))).collect();
            found.take(n, target, listing.domains, troubles);
        }
        for (key, trouble) in &picked.unread {
            found.empty.push(Exit::Unknown);
            found.unread.push(Unread::of(Some(key), None, trouble.clone()));
        }
        let order = |row: &Row| (row.line.key.clone(), row.line.name.clone(), row.line.region);
        found.rows.sort_by_cached_key(order);
        found.unread.sort_by(|a, b| (&a.key, a.region).cmp(&(&b.key, b.region)));
        found
    }

    fn take(
        &mut self,
        n: usize,
        target: &Target,
        domains: Vec<SendingDomain>,
        troubles: Vec<(Option<Region>, Trouble)>,
    ) {
        let rows: Vec<Row> = domains
            .into_iter()
            .map(|domain| Row { line: Line::of(target, &domain), domain, target: n })
            .collect();
        let here = rows.iter().filter(|row| row.line.selectable).count();
        self.selectable += here;
        self.hidden.all += rows.len() - here;
        self.hidden.in_eu += rows.iter().filter(|row| row.line.reasons == [Reason::DomainInEu]).count();
        if here == 0 {
            self.empty.push(exit_of(target, &troubles));
        }
        self.unread
            .extend(troubles.into_iter().map(|(region, it)| Unread::of(target.key.as_ref(), region, it)));
        self.rows.extend(rows);
    }

    fn exit(&self) -> Exit {
        if self.selectable > 0 { Exit::Done } else { Exit::merge(self.empty.iter().copied()) }
    }

    /// Asks for the DNS records of the rows that lack them, if they are few.
    fn add_details(&mut self, context: &CommandContext, net: &Net<'_>, targets: &[Target]) {
        let lacks =
            |row: &Row, provider: ProviderId| row.domain.records.is_none() && row.line.provider == provider;
        for provider in ProviderId::ALL {
            let count = self.rows.iter().filter(|row| lacks(row, provider)).count();
            let Ok(facet) = keys_to_ask::facet(provider) else { continue };
            if count == 0 {
                continue;
            }
            if count > provider::provider(provider).terms().domains.most_details {
                context.console.note(format!(
                    "note: the DNS of {count} {provider} domains was not asked for, one by one; `--explain DOMAIN` tells it"
                ));
                continue;
            }
            let asked: Vec<usize> =
                (0..self.rows.len()).filter(|n| lacks(&self.rows[*n], provider)).collect();
            let shown = worker_pool::each(&asked, JOBS, |n| {
                let row = &self.rows[*n];
                facet.show(net.by(&targets[row.target].credential()), &row.domain.name, row.domain.region)
            });
            for (n, shown) in asked.into_iter().zip(shown) {
                let row = &mut self.rows[n];
                match shown {
                    Ok(Some(domain)) => row.line.dns = domain.dns(),
                    Ok(None) => {}
                    Err(trouble) => context.console.note(format!(
                        "note: the DNS of {} could not be read: {}",
                        row.line.name, trouble.detail
                    )),
                }
            }
        }
    }

    /// Says what the list does not: what could not be read, what is left out.
    fn say(&self, context: &CommandContext) {
        for part in &self.unread {
            context.console.warning(part.sentence());
            if let Some(hint) = &part.hint {
                context.console.hint(hint);
            }
        }
        if self.hidden.in_eu > 0 {
            context.console.hint(format!(
                "{} good but in the EU region, which HighLevel does not use; `--any-region` lets them count",
                count(self.hidden.in_eu, "domain is", "domains are")
            ));
        }
    }
}

fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Returns the code of a key with which nothing can be chosen: proven so, or
/// not, because a list that is needed could not be read. A refusal is one only
/// if every region gave it.
fn exit_of(target: &Target, troubles: &[(Option<Region>, Trouble)]) -> Exit {
    let needed = |region: &Option<Region>| *region != Some(Region::Eu) || target.rule == UsRule::Waived;
    if !troubles.iter().any(|(region, _)| needed(region)) {
        return Exit::Rejected;
    }
    let refused = troubles.iter().filter(|(_, it)| it.reason.verdict() == Verdict::Rejected);
    let regions: Vec<Option<Region>> = refused.map(|(region, _)| *region).collect();
    let everywhere =
        regions.contains(&None) || Region::ALL.iter().all(|region| regions.contains(&Some(*region)));
    if everywhere { Exit::Rejected } else { Exit::Unknown }
}

impl Line {
    fn of(target: &Target, domain: &SendingDomain) -> Self {
        let reasons = domain.against(target.rule);
        Self {
            name: domain.name.to_string(),
            provider: target.provider,
            key: target.key.clone(),
            region: domain.region,
            state: domain.state.clone(),
            kind: domain.kind,
            disabled: domain.disabled,
            selectable: reasons.is_empty(),
            reasons,
            created: domain.created.map(rfc3339),
            dns: domain.dns(),
        }
    }
}

impl Unread {
    fn of(key: Option<&KeyRef>, region: Option<Region>, trouble: Trouble) -> Self {
        let Trouble { reason, detail, hint, .. } = trouble;
        Self { key: key.cloned(), region, reason, detail, hint }
    }

    fn sentence(&self) -> String {
        let of = self.key.as_ref().map(|key| format!("`{key}`: ")).unwrap_or_default();
        format!("{of}{} ({})", self.detail, self.reason)
    }
}

impl Report for Found {
    fn command(&self) -> &'static str {
        "domains"
    }

    fn data(&self) -> Value {
        let lines: Vec<&Line> = self.rows.iter().map(|row| &row.line).collect();
        serde_json::json!({ "selectable": self.selectable, "domains": lines, "unread": self.unread })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("domains")
    }

    fn human(&self, page: &mut Page) {
        let mut rest = self.rows.as_slice();
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|row| row.line.key == first.line.key).count();
            let (group, after) = rest.split_at(same);
            if self.keys > 1 {
                page.blank();
                page.line(Tone::Strong, first.line.key.as_ref().map_or("", KeyRef::as_str));
            }
            page.table(&table(group));
            rest = after;
        }
        page.blank();
        let mut sentence = match self.selectable {
            0 => "no domain can be chosen".to_owned(),
            n => format!("{} be chosen", count(n, "domain can", "domains can")),
        };
        let shown = self.rows.len() - self.selectable;
        if self.hidden.all > shown {
            let more = count(self.hidden.all, "more cannot", "more cannot");
            sentence.push_str(&format!("; {more}: `--all` shows why"));
        }
        page.line(Tone::Dim, sentence);
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&["domain", "region", "state", "dns", "why not"]);
    for Row { line, .. } in rows {
        let tone = if line.selectable { Tone::Good } else { Tone::Warn };
        let reasons: Vec<&str> = line.reasons.iter().map(|it| it.as_str()).collect();
        table.row([
            short_name(line).into(),
            line.region.map(|it| it.as_str()).unwrap_or_default().into(),
            Cell::toned(line.state.as_str(), tone),
            dns_cell(line.dns),
            Cell::toned(reasons.join(", "), Tone::Warn),
        ]);
    }
    table
}

/// `sandbox0123…cdef.mailgun.org`: nobody reads 32 digits.
fn short_name(line: &Line) -> String {
    let digits = line.name.strip_prefix("sandbox").and_then(|it| it.strip_suffix(".mailgun.org"));
    match digits.filter(|it| it.len() == 32 && it.is_ascii()) {
        Some(digits) => format!("sandbox{}…{}.mailgun.org", &digits[..4], &digits[28..]),
        None => line.name.clone(),
    }
}

/// Returns the DNS in one word if all of it is the same, else what is not valid.
fn dns_cell(dns: DnsSummary) -> Cell {
    let parts = [("sending", dns.sending), ("receiving", dns.receiving), ("tracking", dns.tracking)];
    let told: Vec<(&str, DnsState)> =
        parts.iter().filter_map(|(word, state)| Some((*word, (*state)?))).collect();
    match told.as_slice() {
        [] => Cell::default(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, state)| state == first) => {
            let tone = if *first == DnsState::Valid { Tone::Good } else { Tone::Warn };
            Cell::toned(first.as_str(), tone)
        }
        several => {
            let wrong = several.iter().filter(|(_, state)| *state != DnsState::Valid);
            let words: Vec<String> = wrong.map(|(word, state)| format!("{word} {state}")).collect();
            Cell::toned(words.join(", "), Tone::Warn)
        }
    }
}
