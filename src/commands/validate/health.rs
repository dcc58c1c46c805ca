//! The verdicts as the neutral shape that every report format is made of, and
//! the metrics: what is not known has no sample.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cli::shared::report_option;
use crate::commands::CommandContext;
use crate::commands::validate::Args;
use crate::commands::validate::report::Results;
use crate::key::{Cause, KeyRef, Reason, Verdict};
use crate::output::{Check, Checks, Family, Level, Outcome, Rule, Sample, Samples};
use crate::workflow::validation::expectation::FailOn;
use crate::workflow::validation::judged::Judged;

/// The rule of a key that works and should not: `--expect rejected`, or a key
/// recorded as switched off.
const STILL_WORKS: &str = "still-works";

/// Returns the neutral shape of the results.
pub fn checks<'a>(
    results: &'a Results<'a>,
    args: &Args,
    context: &CommandContext,
    lines: &BTreeMap<KeyRef, usize>,
) -> Checks<'a> {
    let in_inventory = results.judged.iter().any(|it| it.key.is_some());
    let at = context.now();
    Checks {
        command: "validate",
        at,
        complete: results.summary.complete,
        summary: results.summary.sentence(),
        file: in_inventory.then(|| report_option::inventory_name(context)),
        rules: rules(),
        checks: results.judged.iter().map(|one| check(one, args, lines)).collect(),
        families: families(results, at),
    }
}

fn check<'a>(one: &'a Judged<'_>, args: &Args, lines: &BTreeMap<KeyRef, usize>) -> Check<'a> {
    let strict = args.strict || args.fail_on.contains(&FailOn::Limited);
    let counts_as = one.counts_as(args.expect);
    let (outcome, level) = match counts_as {
        Verdict::Valid => (Outcome::Passed, Level::Note),
        Verdict::Limited if strict => (Outcome::Failed, Level::Error),
        Verdict::Limited => (Outcome::Remarked, Level::Warning),
        Verdict::Unknown => (Outcome::Undecided, Level::Warning),
        Verdict::Rejected => (Outcome::Failed, Level::Error),
    };
    let judgement = &one.judgement;
    let rule = match counts_as {
        Verdict::Valid => None,
        Verdict::Rejected if judgement.accepted() && !one.lacks_required => Some(STILL_WORKS),
        _ if one.lacks_required => Some(Reason::PermissionMissing.as_str()),
        _ => judgement.reason().map(Reason::as_str),
    };
    Check {
        subject: one.name().into(),
        group: one.provider.as_str(),
        rule,
        outcome,
        level,
        state: judgement.verdict().as_str(),
        message: &judgement.detail,
        hint: judgement.hint.as_deref(),
        facts: facts(one),
        line: one.key.and_then(|key| lines.get(key).copied()),
        milliseconds: one.latency_ms,
    }
}

fn facts(one: &Judged<'_>) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(slot) = one.slot {
        facts.push(format!("this is its {slot} version"));
    }
    if !one.judgement.causes.is_empty() {
        let causes: Vec<&str> = one.judgement.causes.iter().copied().map(Cause::as_str).collect();
        facts.push(format!("likely causes: {}", causes.join(", ")));
    }
    if !one.judgement.missing.is_empty() {
        facts.push(format!("missing: {}", one.judgement.missing.join(", ")));
    }
    for (at, reason) in one.troubled() {
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
        Reason::SecretMismatch => "The store holds another secret than the one recorded; it was not sent",
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
fn families<'a>(results: &'a Results<'a>, at: Timestamp) -> Vec<Family<'a>> {
    let mut families = of_keys(results, at);
    families.push(scopes(results));
    families.extend(of_run(results, at));
    families
}

fn of_run<'a>(results: &'a Results<'a>, at: Timestamp) -> [Family<'a>; 3] {
    let complete = f64::from(u8::from(results.summary.complete));
    [
        Family::single("keyctl_run_timestamp_seconds", Some("seconds"), "When this run ended", seconds(at)),
        Family::single("keyctl_run_complete", None, "Whether every selected key was checked", complete),
        Family::single(
            "keyctl_run_probes",
            None,
            "Distinct secrets this run asked about",
            results.summary.probes as f64,
        ),
    ]
}

fn of_keys<'a>(results: &'a Results<'a>, at: Timestamp) -> Vec<Family<'a>> {
    let second = Some("seconds");
    vec![
        per_key(
            results,
            "keyctl_key_up",
            None,
            "Whether the provider accepts the key; absent when nothing was proven",
            |one| up(one.judgement.verdict()),
        ),
        verdicts(results),
        per_key(results, "keyctl_key_age_seconds", second, "Time since the key was made", move |one| {
            one.created().map(|created| seconds(at) - seconds(created))
        }),
        per_key(
            results,
            "keyctl_key_expires_timestamp_seconds",
            second,
            "When the key stops working by itself",
            |one| one.expires().at().map(seconds),
        ),
        per_key(
            results,
            "keyctl_key_last_check_timestamp_seconds",
            second,
            "When the verdict was given",
            |one| one.checked_at.map(seconds),
        ),
        per_key(
            results,
            "keyctl_key_last_success_timestamp_seconds",
            second,
            "When the provider last accepted the key, as far as this machine knows",
            |one| one.last_success.map(seconds),
        ),
        per_key(
            results,
            "keyctl_key_probe_duration_seconds",
            second,
            "How long the check of the key took",
            |one| one.latency_ms.map(|it| it as f64 / 1_000.0),
        ),
        per_key(
            results,
            "keyctl_domains_selectable",
            None,
            "How many sending domains can be chosen with the key",
            |one| one.selectable.map(|it| it as f64),
        ),
    ]
}

fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

fn per_key<'a>(
    results: &'a Results<'a>,
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    value: impl Fn(&Judged<'_>) -> Option<f64> + Copy + 'a,
) -> Family<'a> {
    let samples = move || -> Samples<'a> {
        let known = move |one: &'a Judged<'a>| Some(Sample { labels: labels(one), value: value(one)? });
        Box::new(results.judged.iter().filter_map(known))
    };
    Family { name, unit, help, samples: Box::new(samples) }
}

/// One sample for each verdict, so that a change leaves no stale series.
fn verdicts<'a>(results: &'a Results<'a>) -> Family<'a> {
    let of_key = |one: &'a Judged<'a>| {
        Verdict::ALL.into_iter().map(move |verdict| {
            let mut labels = labels(one);
            labels.push(("verdict", verdict.as_str().into()));
            Sample { labels, value: f64::from(u8::from(one.judgement.verdict() == verdict)) }
        })
    };
    let samples = move || -> Samples<'a> { Box::new(results.judged.iter().flat_map(of_key)) };
    let help = "1 for the verdict that was given";
    Family { name: "keyctl_key_verdict", unit: None, help, samples: Box::new(samples) }
}

fn scopes<'a>(results: &'a Results<'a>) -> Family<'a> {
    let of_key = |one: &'a Judged<'a>| {
        let proven = one.at.iter().filter(|at| at.verdict != Verdict::Unknown);
        proven.map(move |at| {
            let labels = vec![("key", one.name().into()), ("scope", at.scope.to_string().into())];
            Sample { labels, value: f64::from(u8::from(at.verdict == Verdict::Valid)) }
        })
    };
    let samples = move || -> Samples<'a> { Box::new(results.judged.iter().flat_map(of_key)) };
    let help = "Whether the key is fit at a scope where it is effective; absent when nothing was proven";
    Family { name: "keyctl_scope_fit", unit: None, help, samples: Box::new(samples) }
}

fn up(verdict: Verdict) -> Option<f64> {
    match verdict {
        Verdict::Valid | Verdict::Limited => Some(1.0),
        Verdict::Rejected => Some(0.0),
        Verdict::Unknown => None,
    }
}

fn labels<'a>(one: &'a Judged<'_>) -> Vec<(&'static str, Cow<'a, str>)> {
    let mut labels = vec![
        ("key", one.name().into()),
        ("provider", one.provider.as_str().into()),
        ("kind", one.kind.as_str().into()),
    ];
    labels.extend(one.key.map(|it| ("scope", it.scope.to_string().into())));
    labels
}
