//! What `audit` tells: findings, gravest first for people; JSON by the contract.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::finding::{Finding, Id, Severity};
use crate::commands::reporting::{self, Reports};
use crate::context::Context;
use crate::exit::Exit;
use crate::key::KeyRef;
use crate::output::{Check, Checks, Family, Level, Outcome, Page, Report, Rule, Sample, Tone};

/// What was looked at, and what was found.
pub struct Audit {
    pub keys: Vec<KeyRef>,
    pub findings: Vec<Finding>,
}

impl Audit {
    /// Writes the reports and, unless one took its place, the normal output.
    /// Returns what that adds to the exit code.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn publish(&self, context: &Context, reports: &Reports, strict: bool) -> anyhow::Result<Exit> {
        if !reports.any() {
            context.console.report(self)?;
            return Ok(Exit::Done);
        }
        let lines = reports.lines(context)?;
        reports.publish(context, self, &self.checks(context, &lines, strict))
    }

    fn checks(&self, context: &Context, lines: &BTreeMap<KeyRef, usize>, strict: bool) -> Checks {
        let found = self.findings.iter().map(|it| check(it, lines, strict));
        let clean =
            self.keys.iter().filter(|key| !self.findings.iter().any(|it| it.key.as_ref() == Some(key)));
        let mut checks: Vec<Check> = found.chain(clean.map(|key| clean_key(key, lines))).collect();
        checks.sort_by(|a, b| a.subject.cmp(&b.subject));
        Checks {
            command: "audit",
            at: context.now(),
            complete: true,
            summary: self.sentence(),
            file: Some(reporting::inventory_name(context)),
            rules: Id::ALL
                .into_iter()
                .map(|id| Rule { id: id.as_str(), text: id.about(), level: id.severity().level() })
                .collect(),
            checks,
            families: self.families(context),
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
    fn families(&self, context: &Context) -> Vec<Family> {
        let mut samples = Vec::new();
        for id in Id::ALL {
            let count = self.findings.iter().filter(|it| it.id == id && !it.waived).count();
            let labels =
                vec![("id", id.as_str().to_owned()), ("severity", id.severity().as_str().to_owned())];
            samples.push(Sample { labels, value: count as f64 });
        }
        let single = |value| vec![Sample { labels: Vec::new(), value }];
        vec![
            Family {
                name: "keyctl_audit_findings",
                unit: None,
                help: "Findings that are not waived, by rule",
                samples,
            },
            Family {
                name: "keyctl_audit_waived",
                unit: None,
                help: "Findings that are waived",
                samples: single(self.findings.iter().filter(|it| it.waived).count() as f64),
            },
            Family {
                name: "keyctl_audit_timestamp_seconds",
                unit: Some("seconds"),
                help: "When this audit was made",
                samples: single(context.now().as_second() as f64),
            },
        ]
    }
}

fn check(finding: &Finding, lines: &BTreeMap<KeyRef, usize>, strict: bool) -> Check {
    let outcome = match (finding.waived, finding.id, finding.severity) {
        (true, ..) => Outcome::Waived,
        (false, Id::NotLookedAt, _) if !strict => Outcome::Undecided,
        (false, _, Severity::Note) if !strict => Outcome::Remarked,
        (false, ..) => Outcome::Failed,
    };
    let mut facts = Vec::new();
    if let Some(waiver) = &finding.waiver {
        let until = waiver.until.as_ref().map_or_else(String::new, |it| format!(" until {it}"));
        facts.push(format!("waived{until}: {}", waiver.reason));
    }
    Check {
        subject: finding.subject(),
        group: finding.key.as_ref().map_or("inventory", |key| key.provider.as_str()).to_owned(),
        rule: Some(finding.id.as_str()),
        outcome,
        level: finding.severity.level(),
        state: finding.severity.as_str().to_owned(),
        message: finding.detail.clone(),
        hint: Some(finding.fix.clone()),
        facts,
        line: finding.key.as_ref().and_then(|key| lines.get(key).copied()),
        milliseconds: None,
    }
}

fn clean_key(key: &KeyRef, lines: &BTreeMap<KeyRef, usize>) -> Check {
    Check {
        subject: key.to_string(),
        group: key.provider.as_str().to_owned(),
        rule: None,
        outcome: Outcome::Passed,
        level: Level::Note,
        state: "fine".to_owned(),
        message: "nothing found".to_owned(),
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
        serde_json::json!({ "findings": self.findings })
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
