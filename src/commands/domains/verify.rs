//! `--verify`: the provider checks the DNS of a domain again. A change there:
//! Mailgun takes the domain out of service until the check is through.

use serde::Serialize;
use serde_json::Value;

use crate::commands::CommandContext;
use crate::dns::Found;
use crate::domain::{DnsState, SendingDomain};
use crate::exit::{Exit, Situation};
use crate::key::{Domain, KeyRef, Reason, Region};
use crate::operator::{Consent, ConsentQuestion};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::workflow::domains::DomainQuestion;
use crate::workflow::domains::explain;
use crate::workflow::domains::explain::{judged, wanted};
use crate::workflow::provider_failure;

/// Has a domain's DNS checked again and shows its records.
///
/// # Errors
/// Exit 9 without a yes; as the trouble says when the check was not made.
pub fn run(keys: &DomainQuestion, context: &CommandContext, domain: &Domain) -> anyhow::Result<Exit> {
    let asked = explain::Asked::of(keys, context)?;
    let net = context.net()?;
    let target = asked.seeing(&net, domain).ok_or_else(explain::nobody)?;
    if let (Some((mute, _)), Some(key)) = (&asked.mute, &target.key) {
        context.console.note(format!("note: `{mute}` may not list domains; asking with `{key}`"));
    }
    let question =
        ConsentQuestion::VerifyDomain { provider: target.provider.to_string(), domain: domain.to_string() };
    match context.operator.consent(&question) {
        Consent::Given => {}
        Consent::Refused | Consent::NoOne => {
            return Err(Situation::refused(
                "not-confirmed",
                format!("{} was not asked to check {domain}: that is a change there", target.provider),
            )
            .hint("say yes, or give `--yes`")
            .into());
        }
    }
    let net = crate::workflow::new_key_proof::net(context)?;
    let facet = crate::workflow::domains::keys_to_ask::facet(target.provider)?;
    let verified = facet.verify(net.by(&target.credential()), domain, None).map_err(|it| {
        provider_failure::plain(provider_failure::weighed(context, target.record(), it), Exit::Failed)
    })?;
    let records = verified.records.clone().unwrap_or_default();
    let answers =
        if keys.dns { explain::ask_resolver(context, &net, &judged(&records))? } else { Vec::new() };
    let report = Verified::of(&verified, target.key.clone(), &verified.against(target.rule), &answers);
    context.console.report(&report)?;
    if !report.selectable {
        context
            .console
            .hint(format!("`keyctl domains {} --explain {domain}` tells what is missing", target.argument()));
    }
    Ok(if report.selectable { Exit::Done } else { Exit::Rejected })
}

/// One record after the check.
#[derive(Debug, Clone, Serialize)]
struct Line {
    state: DnsState,
    #[serde(rename = "type")]
    record_type: String,
    name: String,
    priority: Option<u16>,
    expected: String,
    found: Vec<String>,
    /// What the resolver sees, where it was asked.
    resolver: Option<Vec<String>>,
    #[serde(skip)]
    wanted: String,
}

/// The domain after the check.
#[derive(Debug, Clone, Serialize)]
struct Verified {
    domain: Domain,
    selectable: bool,
    reasons: Vec<Reason>,
    key: Option<KeyRef>,
    region: Option<Region>,
    state: String,
    records: Vec<Line>,
}

impl Verified {
    fn of(
        domain: &SendingDomain,
        key: Option<KeyRef>,
        reasons: &[Reason],
        answers: &[Option<Found>],
    ) -> Self {
        let records = domain.records.as_deref().unwrap_or_default();
        let line = |(n, record): (usize, &crate::domain::DnsRecord)| Line {
            state: record.state,
            record_type: record.record_type.clone(),
            name: record.name.clone(),
            priority: record.priority,
            expected: record.expected.clone(),
            found: record.found.clone(),
            resolver: answers.get(n).and_then(Option::as_ref).map(|found| match found {
                Found::Records(texts) => texts.clone(),
                Found::NoRecords | Found::NoSuchName | Found::Failed(_) | Found::TimedOut => Vec::new(),
            }),
            wanted: wanted(record),
        };
        Self {
            domain: domain.name.clone(),
            selectable: reasons.is_empty(),
            reasons: reasons.to_vec(),
            key,
            region: domain.region,
            state: domain.state.clone(),
            records: judged(records).into_iter().enumerate().map(line).collect(),
        }
    }
}

impl Report for Verified {
    fn command(&self) -> &'static str {
        "domains"
    }

    fn data(&self) -> Value {
        serde_json::json!(self)
    }

    fn rows(&self) -> Option<&'static str> {
        Some("records")
    }

    fn human(&self, page: &mut Page) {
        let tone = if self.selectable { Tone::Good } else { Tone::Warn };
        page.pieces(&[(Tone::Strong, self.domain.as_str()), (Tone::Plain, " is "), (tone, &self.state)]);
        page.blank();
        let mut table = Table::new(&["record", "state"]);
        for line in &self.records {
            let tone = if line.state == DnsState::Valid { Tone::Good } else { Tone::Warn };
            table.row([line.wanted.as_str().into(), Cell::toned(line.state.as_str(), tone)]);
        }
        page.table(&table);
    }
}
