//! The verdicts as the neutral shape that every report format is made of, and
//! the metrics: what is not known has no sample.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::report::{Line, Results};
use super::{Args, FailOn};
use crate::commands::reporting;
use crate::context::Context;
use crate::key::{Cause, KeyRef, Reason, Verdict};
use crate::output::{Check, Checks, Family, Level, Outcome, Rule, Sample};

/// The rule of a key that works and should not: `--expect rejected`, or a key
/// recorded as switched off.
const STILL_WORKS: &str = "still-works";

/// Returns the neutral shape of the results.
pub fn checks(results: &Results, args: &Args, context: &Context, lines: &BTreeMap<KeyRef, usize>) -> Checks {
    let in_inventory = results.lines.iter().any(|it| it.key.is_some());
    let at = context.now();
    Checks {
        command: "validate",
        at,
        complete: results.summary.complete,
        summary: results.summary.sentence(),
        file: in_inventory.then(|| reporting::inventory_name(context)),
        rules: rules(),
        checks: results.lines.iter().map(|line| check(line, args, lines)).collect(),
        families: families(results, at),
    }
}

fn check(line: &Line, args: &Args, lines: &BTreeMap<KeyRef, usize>) -> Check {
    let strict = args.strict || args.fail_on.contains(&FailOn::Limited);
    let (outcome, level) = match line.counts_as {
        Verdict::Valid => (Outcome::Passed, Level::Note),
        Verdict::Limited if strict => (Outcome::Failed, Level::Error),
        Verdict::Limited => (Outcome::Remarked, Level::Warning),
        Verdict::Unknown => (Outcome::Undecided, Level::Warning),
        Verdict::Rejected => (Outcome::Failed, Level::Error),
    };
    let works = matches!(line.verdict, Verdict::Valid | Verdict::Limited);
    let rule = match line.counts_as {
        Verdict::Valid => None,
        Verdict::Rejected if works && !line.lacks_required => Some(STILL_WORKS),
        _ if line.lacks_required => Some(Reason::PermissionMissing.as_str()),
        _ => line.reason.map(Reason::as_str),
    };
    Check {
        subject: line.name(),
        group: line.provider.as_str().to_owned(),
        rule,
        outcome,
        level,
        state: line.verdict.as_str().to_owned(),
        message: line.detail.clone(),
        hint: line.hint.clone(),
        facts: facts(line),
        line: line.key.as_ref().and_then(|key| lines.get(key).copied()),
        milliseconds: line.latency_ms,
    }
}

fn facts(line: &Line) -> Vec<String> {
    let mut facts = Vec::new();
    if !line.causes.is_empty() {
        let causes: Vec<&str> = line.causes.iter().copied().map(Cause::as_str).collect();
        facts.push(format!("likely causes: {}", causes.join(", ")));
    }
    if !line.missing.is_empty() {
        facts.push(format!("missing: {}", line.missing.join(", ")));
    }
    for (at, reason) in line.troubled() {
        let domain = at.domain.as_ref().map_or("no domain", |it| it.as_str());
        facts.push(format!("at {} ({domain}): {} {reason}", at.scope, at.verdict));
    }
    facts
}

fn rules() -> Vec<Rule> {
    let of = |reason: Reason| Rule {
        id: reason.as_str(),
        text: about(reason),
        level: match reason.verdict() {
            Verdict::Rejected => Level::Error,
            Verdict::Unknown | Verdict::Limited | Verdict::Valid => Level::Warning,
        },
    };
    let still = Rule {
        id: STILL_WORKS,
        text: "The provider accepts a key that should be dead or switched off",
        level: Level::Error,
    };
    Reason::ALL.into_iter().map(of).chain([still]).collect()
}

/// Returns what a reason means, in one sentence.
fn about(reason: Reason) -> &'static str {
    match reason {
        Reason::WrongKind => "The secret is not the kind of key that is recorded",
        Reason::Disabled => "The provider says that the key is disabled",
        Reason::Expired => "The provider says that the key has expired",
        Reason::KeyNotFound => "The provider does not know the key",
        Reason::Unauthorized => "The provider refused the key without telling why",
        Reason::WrongAccount => "The key works, but in another account than recorded",
        Reason::IpBlocked => "The provider refuses this address; nothing was proven of the key",
        Reason::RateLimited => "The provider takes no more requests for now",
        Reason::Unreachable => "The provider did not answer",
        Reason::Tls => "No trusted connection to the provider could be made",
        Reason::ProviderError => "The provider has trouble of its own",
        Reason::UnexpectedResponse => "The answer proves nothing",
        Reason::SecretMissing => "The store has no secret for this key",
        Reason::StoreLocked => "The secret store could not be read",
        Reason::PermissionNotCheckable => "Whether the key has a permission could not be found out",
        Reason::PermissionMissing => "The key lacks a permission it needs",
        Reason::PermissionExcess => "The key may do more than it should",
        Reason::AccountNotActivated => "The account is not activated for sending",
        Reason::OutOfCredit => "The account has no sending credit left",
        Reason::NoVerifiedUsDomain => "No domain of the account can be chosen",
        Reason::DomainNotVerified => "The domain is not verified",
        Reason::DomainInEu => "The domain is in the EU region, where it cannot be chosen",
        Reason::DomainDisabled => "The provider has disabled the domain",
        Reason::ExpiresSoon => "The key expires within 14 days",
        Reason::SandboxDomain => "The domain is the provider's sandbox",
        Reason::DomainNotFound => "The domain is not in the account, or not the key's",
    }
}

/// Returns the families that speak of single keys, then those of the run.
fn families(results: &Results, at: Timestamp) -> Vec<Family> {
    let seconds = |at: Timestamp| at.as_second() as f64;
    let per_key = |name, unit, help, value: &dyn Fn(&Line) -> Option<f64>| Family {
        name,
        unit,
        help,
        samples: results
            .lines
            .iter()
            .filter_map(|line| Some(Sample { labels: labels(line), value: value(line)? }))
            .collect(),
    };
    let of_run = |name, unit, help, value: f64| Family {
        name,
        unit,
        help,
        samples: vec![Sample { labels: Vec::new(), value }],
    };
    let second = Some("seconds");
    vec![
        per_key(
            "keyctl_key_up",
            None,
            "Whether the provider accepts the key; absent when nothing was proven",
            &|it| up(it.verdict),
        ),
        verdicts(results),
        per_key("keyctl_key_age_seconds", second, "Time since the key was made", &|it| {
            it.numbers.created.map(|created| seconds(at) - seconds(created))
        }),
        per_key(
            "keyctl_key_expires_timestamp_seconds",
            second,
            "When the key stops working by itself",
            &|it| it.numbers.expires.map(seconds),
        ),
        per_key("keyctl_key_last_check_timestamp_seconds", second, "When the verdict was given", &|it| {
            it.numbers.checked.map(seconds)
        }),
        per_key(
            "keyctl_key_last_success_timestamp_seconds",
            second,
            "When the provider last accepted the key, as far as this machine knows",
            &|it| it.numbers.last_success.map(seconds),
        ),
        per_key("keyctl_key_probe_duration_seconds", second, "How long the check of the key took", &|it| {
            it.latency_ms.map(|it| it as f64 / 1_000.0)
        }),
        per_key(
            "keyctl_domains_selectable",
            None,
            "How many sending domains can be chosen with the key",
            &|it| it.numbers.selectable.map(|it| it as f64),
        ),
        scopes(results),
        of_run("keyctl_run_timestamp_seconds", second, "When this run ended", seconds(at)),
        of_run(
            "keyctl_run_complete",
            None,
            "Whether every selected key was checked",
            f64::from(u8::from(results.summary.complete)),
        ),
        of_run(
            "keyctl_run_probes",
            None,
            "Distinct secrets this run asked about",
            results.summary.probes as f64,
        ),
    ]
}

/// One sample for each verdict, so that a change leaves no stale series.
fn verdicts(results: &Results) -> Family {
    let mut samples = Vec::new();
    for line in &results.lines {
        for verdict in Verdict::ALL {
            let mut labels = labels(line);
            labels.push(("verdict", verdict.as_str().to_owned()));
            samples.push(Sample { labels, value: f64::from(u8::from(line.verdict == verdict)) });
        }
    }
    Family { name: "keyctl_key_verdict", unit: None, help: "1 for the verdict that was given", samples }
}

fn scopes(results: &Results) -> Family {
    let mut samples = Vec::new();
    for line in &results.lines {
        for at in &line.at {
            let Some(value) = (at.verdict != Verdict::Unknown).then_some(at.verdict == Verdict::Valid) else {
                continue;
            };
            let labels = vec![("key", line.name()), ("scope", at.scope.to_string())];
            samples.push(Sample { labels, value: f64::from(u8::from(value)) });
        }
    }
    let help = "Whether the key is fit at a scope where it is effective; absent when nothing was proven";
    Family { name: "keyctl_scope_fit", unit: None, help, samples }
}

fn up(verdict: Verdict) -> Option<f64> {
    match verdict {
        Verdict::Valid | Verdict::Limited => Some(1.0),
        Verdict::Rejected => Some(0.0),
        Verdict::Unknown => None,
    }
}

fn labels(line: &Line) -> Vec<(&'static str, String)> {
    let mut labels = vec![
        ("key", line.name()),
        ("provider", line.provider.as_str().to_owned()),
        ("kind", line.kind.as_str().to_owned()),
    ];
    labels.extend(line.scope.as_ref().map(|it| ("scope", it.to_string())));
    labels
}
