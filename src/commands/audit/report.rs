//! What `audit` tells: findings, gravest first for people; JSON by the contract.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cli::shared::report_option;
use crate::cli::shared::report_option::Reports;
use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::key::KeyRef;
use crate::output::{Check, Checks, Family, Level, Outcome, Page, Report, Rule, Sample, Tone};
use crate::workflow::audit::finding::{Finding, Id, Severity};

/// What was looked at, and what was found.
pub struct Audit {
    pub keys: Vec<KeyRef>,
    pub findings: Vec<Finding>,
    /// `false` when Ctrl-C came before the end.
    pub complete: bool,
}

impl Audit {
    /// Writes the reports and, unless one took its place, the normal output.
    /// Returns what that adds to the exit code.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn publish(&self, context: &CommandContext, reports: &Reports, strict: bool) -> anyhow::Result<Exit> {
        let exit = if reports.any() {
            let lines = reports.lines(context)?;
            reports.publish(context, self, &self.checks(context, &lines, strict))?
        } else {
            context.console.report(self)?;
            Exit::Done
        };
        if !self.complete {
            context.console.warning("interrupted: not everything was looked at");
        }
        Ok(exit)
    }

    fn checks(&self, context: &CommandContext, lines: &BTreeMap<KeyRef, usize>, strict: bool) -> Checks<'_> {
        let found = self.findings.iter().map(|it| check(it, lines, strict));
        let clean =
            self.keys.iter().filter(|key| !self.findings.iter().any(|it| it.key.as_ref() == Some(key)));
        let mut checks: Vec<Check<'_>> = found.chain(clean.map(|key| clean_key(key, lines))).collect();
        checks.sort_by(|a, b| a.subject.cmp(&b.subject));
        Checks {
            command: "audit",
            at: context.now(),
            complete: self.complete,
            summary: self.sentence(),
            file: Some(report_option::inventory_name(context)),
            rules: Id::ALL
                .into_iter()
                .map(|id| Rule { id: id.as_str(), text: id.about(), level: level(id.severity()) })
                .collect(),
            checks,
            families: self.families(context.now()),
        }
    }

    fn sentence(&self) -> String {
        let mut parts = Vec::new();
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            let count = self.findings.iter().filter(|it| !it.waived && it.severity == severity).count();
            let plural = if count == 1 { "" } else { "s" };
            if count > 0 {
                parts.push(format!("{count} {}{plural}", severity.as_str()));
            }
        }
        let waived = self.findings.iter().filter(|it| it.waived).count();
        if waived > 0 {
            parts.push(format!("{waived} waived"));
        }
        if parts.is_empty() {
            parts.push("nothing found".to_owned());
        }
        let plural = if self.keys.len() == 1 { "" } else { "s" };
        format!("{} key{plural}: {}", self.keys.len(), parts.join(", "))
    }

    /// Counts by rule; a rule that found nothing has its zero, so that an alarm
    /// can end.
    fn families(&self, at: jiff::Timestamp) -> Vec<Family<'_>> {
        let of_rule = |id: Id| {
            let count = self.findings.iter().filter(|it| it.id == id && !it.waived).count();
            let labels = vec![("id", id.as_str().into()), ("severity", id.severity().as_str().into())];
            Sample { labels, value: count as f64 }
        };
        let waived = self.findings.iter().filter(|it| it.waived).count();
        vec![
            Family {
                name: "keyctl_audit_findings",
                unit: None,
                help: "Findings that are not waived, by rule",
                samples: Box::new(move || Box::new(Id::ALL.into_iter().map(of_rule))),
            },
            Family::single("keyctl_audit_waived", None, "Findings that are waived", waived as f64),
            Family::single(
                "keyctl_audit_timestamp_seconds",
                Some("seconds"),
                "When this audit was made",
                at.as_second() as f64,
            ),
        ]
    }
}

fn check<'a>(finding: &'a Finding, lines: &BTreeMap<KeyRef, usize>, strict: bool) -> Check<'a> {
    let outcome = match (finding.waived, finding.severity) {
        (true, ..) => Outcome::Waived,
        (false, ..) if finding.undecided && !strict => Outcome::Undecided,
        (false, Severity::Note) if !strict => Outcome::Remarked,
        (false, ..) => Outcome::Failed,
    };
    let mut facts = Vec::new();
    if let Some(waiver) = &finding.waiver {
        let until = waiver.until.as_ref().map_or_else(String::new, |it| format!(" until {it}"));
        facts.push(format!("waived{until}: {}", waiver.reason));
    }
    Check {
        subject: finding.subject().into(),
        group: finding.key.as_ref().map_or("inventory", |key| key.provider.as_str()),
        rule: Some(finding.id.as_str()),
        outcome,
        level: level(finding.severity),
        state: finding.severity.as_str(),
        message: &finding.detail,
        hint: Some(&finding.fix),
        facts,
        line: finding.key.as_ref().and_then(|key| lines.get(key).copied()),
        milliseconds: None,
    }
}

fn clean_key<'a>(key: &'a KeyRef, lines: &BTreeMap<KeyRef, usize>) -> Check<'a> {
    Check {
        subject: key.as_str().into(),
        group: key.provider.as_str(),
        rule: None,
        outcome: Outcome::Passed,
        level: Level::Note,
        state: "fine",
        message: "nothing found",
        hint: None,
        facts: Vec::new(),
        line: lines.get(key).copied(),
        milliseconds: None,
    }
}

impl Report for Audit {
    fn command(&self) -> &'static str {
        "audit"
    }

    fn data(&self) -> Value {
        match self.complete {
            true => serde_json::json!({ "findings": self.findings }),
            false => serde_json::json!({ "findings": self.findings, "complete": false }),
        }
    }

    fn rows(&self) -> Option<&'static str> {
        Some("findings")
    }

    fn human(&self, page: &mut Page) {
        let mut gravest: Vec<&Finding> = self.findings.iter().collect();
        gravest.sort_by_key(|it| (it.waived, it.severity));
        let mut told = BTreeSet::new();
        for finding in &gravest {
            let tone = match (finding.waived, finding.severity) {
                (true, _) | (_, Severity::Note) => Tone::Dim,
                (_, Severity::Warning) => Tone::Warn,
                (_, Severity::Error) => Tone::Bad,
            };
            let word = if finding.waived { "waived" } else { finding.severity.as_str() };
            page.pieces(&[
                (tone, word),
                (Tone::Strong, &format!("  {}  ", finding.subject())),
                (tone, finding.id.as_str()),
            ]);
            page.paragraph(Tone::Plain, 2, &finding.detail);
            // What several findings have in common is said with the first.
            if !finding.waived && told.insert(&finding.fix) {
                page.paragraph(Tone::Dim, 2, &format!("→ {}", finding.fix));
            }
        }
        page.blank();
        page.line(Tone::Dim, self.sentence());
    }
}

/// Returns the level that reports give a finding.
fn level(severity: Severity) -> Level {
    match severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
        Severity::Note => Level::Note,
    }
}
