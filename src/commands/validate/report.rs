//! What `validate` tells: counts, one line a key, JSON by the contract.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::cli::shared::key_row::{expires, verdict_cell};
use crate::clock::rfc3339;
use crate::commands::CommandContext;
use crate::commands::validate::{Args, verdict_exit};
use crate::context::Slot;
use crate::exit::Exit;
use crate::key::{Cause, Fingerprint, KeyRef, Kind, ProviderId, Reason, Region, Scope, Verdict};
use crate::output::{Cell, Page, Pieces, Report, Table, Tone, json};
use crate::workflow::validation::judged::{At, Judged};

/// One line of the results, its fields in the contract's order. It borrows
/// what it tells: of ten thousand only one is there at a time.
#[derive(Serialize)]
struct Line<'a> {
    key: Option<&'a KeyRef>,
    provider: ProviderId,
    kind: Kind,
    scope: Option<&'a Scope>,
    verdict: Verdict,
    reason: Option<Reason>,
    reasons: &'a [Reason],
    causes: &'a [Cause],
    missing: &'a [String],
    detail: &'a str,
    hint: Option<&'a str>,
    at: &'a [At],
    identity: Option<&'a str>,
    role: Option<&'a str>,
    region: Option<Region>,
    fingerprint: Option<&'a Fingerprint>,
    last2: Option<&'a str>,
    created: Option<String>,
    expires: Option<String>,
    age_days: Option<i64>,
    changed: Option<bool>,
    latency_ms: Option<u64>,
    checked_at: Option<String>,
    slot: Option<&'static str>,
}

/// How many of which verdict.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Summary {
    checked: usize,
    valid: usize,
    limited: usize,
    rejected: usize,
    unknown: usize,
    pub probes: usize,
    pub complete: bool,
}

/// All results.
pub struct Results<'a> {
    pub summary: Summary,
    pub judged: Vec<Judged<'a>>,
    now: Timestamp,
}

impl<'a> Line<'a> {
    fn of(one: &'a Judged<'_>, now: Timestamp) -> Self {
        let judgement = &one.judgement;
        let created = one.created();
        Self {
            key: one.key,
            provider: one.provider,
            kind: one.kind,
            scope: one.key.map(|it| &it.scope),
            verdict: judgement.verdict(),
            reason: judgement.reason(),
            reasons: judgement.reasons(),
            causes: &judgement.causes,
            missing: &judgement.missing,
            detail: &judgement.detail,
            hint: judgement.hint.as_deref(),
            at: &one.at,
            identity: one.told(|it| it.identity.as_deref(), |it| it.identity.as_deref()),
            role: one.role(),
            region: one.told(|it| it.region, |it| it.region),
            fingerprint: one.record.and_then(|it| it.fingerprint.as_ref()),
            last2: one.record.and_then(|it| it.last2.as_deref()),
            created: created.map(rfc3339),
            expires: expires(one.expires()),
            age_days: created.map(|it| (now.as_second() - it.as_second()).div_euclid(86_400)),
            changed: one.changed,
            latency_ms: one.latency_ms,
            checked_at: one.checked_at.map(rfc3339),
            slot: one.slot.map(Slot::as_str),
        }
    }
}

impl<'a> Results<'a> {
    pub fn new(judged: Vec<Judged<'a>>, probes: usize, complete: bool, now: Timestamp) -> Self {
        let count = |verdict| judged.iter().filter(|it| it.judgement.verdict() == verdict).count();
        let summary = Summary {
            checked: judged.len(),
            valid: count(Verdict::Valid),
            limited: count(Verdict::Limited),
            rejected: count(Verdict::Rejected),
            unknown: count(Verdict::Unknown),
            probes,
            complete,
        };
        Self { summary, judged, now }
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.judged.iter().map(|one| Line::of(one, self.now))
    }

    /// Returns the code that speaks for all results.
    pub fn exit(&self, args: &Args) -> Exit {
        Exit::merge(self.judged.iter().map(|one| verdict_exit(one.counts_as(args.expect), args)))
    }

    /// Says which keys were accepted although they were expected to be dead.
    pub fn say_unexpected(
        &self,
        context: &CommandContext,
        expect: Option<crate::workflow::validation::expectation::Expect>,
    ) {
        let Some(expect) = expect else { return };
        for one in self.judged.iter().filter(|it| it.judgement.accepted()) {
            let name = one.name();
            context.console.warning(format!("`{name}` works, but was expected to be {}", expect.as_str()));
        }
    }

    /// Writes the reports and, unless one took its place, the normal output.
    /// Returns what that adds to the exit code.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn publish(&self, context: &CommandContext, args: &Args) -> anyhow::Result<Exit> {
        let exit = if args.reports.any() {
            let lines = args.reports.lines(context)?;
            args.reports.publish(
                context,
                self,
                &crate::commands::validate::health::checks(self, args, context, &lines),
            )?
        } else {
            context.console.report(self)?;
            Exit::Done
        };
        if !self.summary.complete {
            context.console.warning("interrupted: these are not all keys");
        }
        Ok(exit)
    }
}

/// The `data` of JSON.
#[derive(Serialize)]
struct Data<'a> {
    summary: &'a Summary,
    #[serde(serialize_with = "one_by_one")]
    results: &'a Results<'a>,
}

fn one_by_one<S: Serializer>(results: &Results<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(results.lines())
}

impl Report for Results<'_> {
    fn command(&self) -> &'static str {
        "validate"
    }

    fn data(&self) -> Value {
        json::tree(&Data { summary: &self.summary, results: self }).unwrap_or_default()
    }

    fn pieces(&self) -> Option<&dyn Pieces> {
        Some(self)
    }

    fn rows(&self) -> Option<&'static str> {
        Some("results")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["key", "kind", "verdict", "reason", "role", "took"])
            .optional(&["took", "role", "kind"]);
        for one in &self.judged {
            table.row([
                one.name().into(),
                one.kind.as_str().into(),
                verdict_cell(Some(one.judgement.verdict().as_str())),
                one.judgement.reason().map(|it| it.as_str()).unwrap_or_default().into(),
                one.role().unwrap_or_default().into(),
                one.latency_ms.map(|it| Cell::toned(format!("{it} ms"), Tone::Dim)).unwrap_or_default(),
            ]);
        }
        page.table(&table);
        let notable = |it: &&Judged<'_>| it.judgement.verdict() != Verdict::Valid || it.slot.is_some();
        for one in self.judged.iter().filter(notable) {
            let judgement = &one.judgement;
            page.blank();
            page.line(Tone::Strong, one.name());
            page.paragraph(Tone::Plain, 2, &judgement.detail);
            if !judgement.causes.is_empty() {
                let causes: Vec<&str> = judgement.causes.iter().map(|it| it.as_str()).collect();
                page.paragraph(
                    Tone::Plain,
                    2,
                    &format!("likely causes, likeliest first: {}", causes.join(", ")),
                );
            }
            for (at, reason) in one.troubled() {
                let domain = at.domain.as_ref().map_or("no domain", |it| it.as_str());
                page.paragraph(Tone::Plain, 2, &format!("{} ({domain}): {} {reason}", at.scope, at.verdict));
            }
            if let Some(hint) = &judgement.hint {
                page.paragraph(Tone::Dim, 2, hint);
            }
        }
        self.totals(page);
    }
}

impl Pieces for Results<'_> {
    fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        Ok(serde_json::to_writer(out, &Data { summary: &self.summary, results: self })?)
    }

    fn each_row(&self, line: &mut dyn FnMut(&Value) -> io::Result<()>) -> io::Result<()> {
        self.lines().try_for_each(|it| line(&json::tree(&it)?))
    }
}

impl Results<'_> {
    fn totals(&self, page: &mut Page) {
        if self.summary.checked < 2 {
            return;
        }
        page.blank();
        page.line(Tone::Dim, self.summary.sentence());
    }
}

impl Summary {
    /// Returns the counts in one line.
    pub fn sentence(&self) -> String {
        let mut parts = vec![format!("{} checked", self.checked)];
        let counts = [
            ("valid", self.valid),
            ("limited", self.limited),
            ("rejected", self.rejected),
            ("unknown", self.unknown),
        ];
        parts.extend(counts.iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!("{n} {word}")));
        if self.checked > self.probes {
            parts.push(format!("{} probes", self.probes));
        }
        parts.join(", ")
    }
}
