//! What `validate` tells: counts, one line a key, JSON by the contract.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::judge::{At, Judged};
use super::{Args, verdict_exit};
use crate::clock::rfc3339;
use crate::commands::listing::{expires, verdict_cell};
use crate::context::Context;
use crate::exit::Exit;
use crate::key::{Cause, Fingerprint, KeyRef, Kind, ProviderId, Reason, Region, Scope, Verdict};
use crate::output::{Cell, Page, Report, Table, Tone};

/// One line of the results, its fields in the contract's order.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub key: Option<KeyRef>,
    pub provider: ProviderId,
    pub kind: Kind,
    pub scope: Option<Scope>,
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub reasons: Vec<Reason>,
    pub causes: Vec<Cause>,
    pub missing: Vec<String>,
    pub detail: String,
    pub hint: Option<String>,
    pub at: Vec<At>,
    pub identity: Option<String>,
    pub role: Option<String>,
    pub region: Option<Region>,
    pub fingerprint: Option<Fingerprint>,
    pub last2: Option<String>,
    pub created: Option<String>,
    pub expires: Option<String>,
    pub age_days: Option<i64>,
    pub changed: Option<bool>,
    pub latency_ms: Option<u64>,
    pub checked_at: Option<String>,
    /// The verdict that the exit code is made of.
    #[serde(skip)]
    pub counts_as: Verdict,
    /// A permission of `--require` is proven missing.
    #[serde(skip)]
    pub lacks_required: bool,
    #[serde(skip)]
    pub numbers: Numbers,
}

/// What metrics are made of; `None` where it is not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    pub created: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub checked: Option<Timestamp>,
    pub last_success: Option<Timestamp>,
    /// How many domains can be chosen.
    pub selectable: Option<usize>,
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

/// All results, as the `data` of JSON.
#[derive(Serialize)]
pub struct Results {
    pub summary: Summary,
    #[serde(rename = "results")]
    pub lines: Vec<Line>,
}

impl Line {
    /// Makes a line of a judged record, or of a key that is in no inventory.
    pub fn new(one: Judged<'_>, expect: Option<super::Expect>) -> Self {
        let counts_as = one.counts_as(expect);
        let facts = &one.judgement.facts;
        let record = one.record;
        let created = record.and_then(|it| it.created).or(facts.created);
        let expiry = facts.expires.or_else(|| record.map(|it| it.expires)).unwrap_or_default();
        Self {
            key: one.key.cloned(),
            provider: one.provider,
            kind: one.kind,
            scope: one.key.map(|it| it.scope.clone()),
            verdict: one.judgement.verdict(),
            reason: one.judgement.reason(),
            reasons: one.judgement.reasons().to_vec(),
            causes: one.judgement.causes.clone(),
            missing: one.judgement.missing.clone(),
            detail: one.judgement.detail.clone(),
            hint: one.judgement.hint.clone(),
            at: one.at,
            identity: facts.identity.clone().or_else(|| record.and_then(|it| it.identity.clone())),
            role: facts.role.clone().or_else(|| record.and_then(|it| it.role.clone())),
            region: facts.region.or_else(|| record.and_then(|it| it.region)),
            fingerprint: record.and_then(|it| it.fingerprint.clone()),
            last2: record.and_then(|it| it.last2.clone()),
            created: created.map(rfc3339),
            expires: expires(expiry),
            age_days: created.map(|it| (one.now.as_second() - it.as_second()).div_euclid(86_400)),
            changed: one.changed,
            latency_ms: one.latency_ms,
            checked_at: one.checked_at.map(rfc3339),
            counts_as,
            lacks_required: one.lacks_required,
            numbers: Numbers {
                created,
                expires: expiry.at(),
                checked: one.checked_at,
                last_success: one.last_success,
                selectable: one.selectable,
            },
        }
    }

    /// Returns the scopes worth naming: where it is not fit, unless a key that
    /// was not accepted is so everywhere alike.
    pub fn troubled(&self) -> impl Iterator<Item = (&At, Reason)> {
        let accepted = matches!(self.verdict, Verdict::Valid | Verdict::Limited);
        let alike = self.at.windows(2).all(|pair| pair[0].reason == pair[1].reason);
        let places = if accepted || !alike { self.at.as_slice() } else { &[] };
        places.iter().filter_map(|at| Some((at, at.reason?)))
    }

    /// Returns the key ref, or the provider of a key that is in no inventory.
    pub fn name(&self) -> String {
        self.key.as_ref().map_or_else(|| self.provider.as_str().to_owned(), ToString::to_string)
    }
}

impl Results {
    pub fn new(lines: Vec<Line>, probes: usize, complete: bool) -> Self {
        let count = |verdict| lines.iter().filter(|it| it.verdict == verdict).count();
        let summary = Summary {
            checked: lines.len(),
            valid: count(Verdict::Valid),
            limited: count(Verdict::Limited),
            rejected: count(Verdict::Rejected),
            unknown: count(Verdict::Unknown),
            probes,
            complete,
        };
        Self { summary, lines }
    }

    /// Returns the code that speaks for all results.
    pub fn exit(&self, args: &Args) -> Exit {
        Exit::merge(self.lines.iter().map(|line| verdict_exit(line.counts_as, args)))
    }

    /// Says which keys were accepted although they were expected to be dead.
    pub fn say_unexpected(&self, context: &Context, expect: Option<super::Expect>) {
        let Some(expect) = expect else { return };
        for line in self.lines.iter().filter(|it| matches!(it.verdict, Verdict::Valid | Verdict::Limited)) {
            let name = line.name();
            context.console.warning(format!("`{name}` works, but was expected to be {}", expect.as_str()));
        }
    }

    /// Writes the reports and, unless one took its place, the normal output.
    /// Returns what that adds to the exit code.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn publish(&self, context: &Context, args: &Args) -> anyhow::Result<Exit> {
        let exit = if args.reports.any() {
            let lines = args.reports.lines(context)?;
            args.reports.publish(context, self, &super::health::checks(self, args, context, &lines))?
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

impl Report for Results {
    fn command(&self) -> &'static str {
        "validate"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "summary": self.summary, "results": self.lines })
    }

    fn json(&self) -> String {
        // Ten thousand results as a tree of values would be most of the memory.
        serde_json::to_string(self).unwrap_or_else(|_| self.data().to_string())
    }

    fn rows(&self) -> Option<&'static str> {
        Some("results")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["key", "kind", "verdict", "reason", "role", "took"])
            .optional(&["took", "role", "kind"]);
        for line in &self.lines {
            table.row([
                line.name().into(),
                line.kind.as_str().into(),
                verdict_cell(Some(line.verdict.as_str())),
                line.reason.map(|it| it.as_str()).unwrap_or_default().into(),
                line.role.clone().unwrap_or_default().into(),
                line.latency_ms.map(|it| Cell::toned(format!("{it} ms"), Tone::Dim)).unwrap_or_default(),
            ]);
        }
        page.table(&table);
        for line in self.lines.iter().filter(|it| it.verdict != Verdict::Valid) {
            page.blank();
            page.line(Tone::Strong, line.name());
            page.paragraph(Tone::Plain, 2, &line.detail);
            if !line.causes.is_empty() {
                let causes: Vec<&str> = line.causes.iter().map(|it| it.as_str()).collect();
                page.paragraph(
                    Tone::Plain,
                    2,
                    &format!("likely causes, likeliest first: {}", causes.join(", ")),
                );
            }
            for (at, reason) in line.troubled() {
                let domain = at.domain.as_ref().map_or("no domain", |it| it.as_str());
                page.paragraph(Tone::Plain, 2, &format!("{} ({domain}): {} {reason}", at.scope, at.verdict));
            }
            if let Some(hint) = &line.hint {
                page.paragraph(Tone::Dim, 2, hint);
            }
        }
        self.totals(page);
    }
}

impl Results {
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
