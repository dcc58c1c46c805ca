//! Waivers: findings somebody decided to live with, until a date.

use jiff::Timestamp;

use crate::clock::rfc3339;
use crate::inventory::Waiver;
use crate::workflow::audit::finding::{Finding, Id, Waived};

const DAY: i64 = 86_400;

/// Marks what is waived, and adds what is wrong with the waivers themselves.
/// `whole`: the findings are those of the whole inventory, so that a waiver
/// without one is of no use.
pub fn apply(findings: &mut Vec<Finding>, waivers: &[Waiver], now: Timestamp, whole: bool) {
    let mut own = Vec::new();
    for waiver in waivers {
        let expired = waiver.until.is_some_and(|until| end(until) <= now);
        let mut used = false;
        for finding in findings.iter_mut().filter(|it| covers(waiver, it)) {
            used = true;
            if !expired {
                finding.waived = true;
                finding.waiver =
                    Some(Waived { reason: waiver.reason.clone(), until: waiver.until.map(rfc3339) });
            }
        }
        if expired && (used || whole) {
            let until = waiver.until.map(|until| rfc3339(end(until))).unwrap_or_default();
            own.push(about(Id::WaiverExpired, waiver, format!("it ended at {until} ({})", waiver.reason)));
        } else if !used && whole {
            let known = waiver.finding.parse::<Id>().is_ok();
            let why = if known { "nothing of the kind is found" } else { "no finding has this id" };
            own.push(about(Id::WaiverUnused, waiver, why.to_owned()));
        }
    }
    findings.append(&mut own);
}

/// Returns when a waiver ends: a date counts through that day, in UTC.
fn end(until: Timestamp) -> Timestamp {
    let is_date = until.as_second().rem_euclid(DAY) == 0;
    let end = is_date.then(|| Timestamp::from_second(until.as_second() + DAY).ok()).flatten();
    end.unwrap_or(until)
}

fn covers(waiver: &Waiver, finding: &Finding) -> bool {
    let of_scope = |scope| finding.scope.as_ref().is_some_and(|it: &crate::key::Scope| scope == it);
    waiver.finding == finding.id.as_str()
        && waiver.key.as_ref().is_none_or(|key| finding.key.as_ref() == Some(key))
        && waiver.scope.as_ref().is_none_or(of_scope)
        && waiver.about.as_ref().is_none_or(|it| names(it, finding.about.as_deref()))
}

/// The id of a key stands behind the name of its provider.
fn names(wanted: &str, about: Option<&str>) -> bool {
    about.is_some_and(|it| {
        it == wanted || it.split_once(' ').is_some_and(|(_, id)| id.eq_ignore_ascii_case(wanted))
    })
}

fn about(id: Id, waiver: &Waiver, why: String) -> Finding {
    let detail = format!("the waiver of `{}`: {why}", waiver.finding);
    let fix = "change or remove the `[[waiver]]` in the inventory";
    let mut finding = Finding::anywhere(id, detail, fix).about(waiver.finding.as_str());
    finding.scope = waiver.scope.clone().or_else(|| waiver.key.as_ref().map(|it| it.scope.clone()));
    finding.key.clone_from(&waiver.key);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str) -> Timestamp {
        crate::clock::date(day).unwrap()
    }

    fn waiver(finding: &str, key: Option<&str>, until: Option<&str>) -> Waiver {
        Waiver {
            finding: finding.to_owned(),
            key: key.map(|it| it.parse().unwrap()),
            scope: None,
            about: None,
            reason: "known".to_owned(),
            until: until.map(at),
        }
    }

    fn run(waivers: &[Waiver], whole: bool) -> Vec<(&'static str, bool)> {
        let key = "brevo@acme".parse().unwrap();
        let mut findings = vec![Finding::on_key(Id::Unused, &key, "d", "f")];
        apply(&mut findings, waivers, at("2026-11-22"), whole);
        findings.iter().map(|it| (it.id.as_str(), it.waived)).collect()
    }

    #[test]
    fn a_waiver_counts_until_its_date() {
        let live = waiver("unused", Some("brevo@acme"), Some("2026-12-01"));
        assert_eq!(run(&[live], true), [("unused", true)]);
        let any = waiver("unused", None, None);
        assert_eq!(run(&[any], true), [("unused", true)]);
        let last_day = waiver("unused", None, Some("2026-11-22"));
        assert_eq!(run(&[last_day], true), [("unused", true)], "a date counts to its end");
        let over = waiver("unused", None, Some("2026-11-21"));
        assert_eq!(run(&[over], false), [("unused", false), ("waiver-expired", false)]);
    }

    #[test]
    fn one_of_several_findings_can_be_waived() {
        let scope = "acme".parse().unwrap();
        let stranger = |id: &str| Finding::on_scope(Id::NotRecorded, &scope, "d", "f").about(id);
        let mut findings = vec![stranger("mailgun aa-1"), stranger("mailgun bb-2")];
        let waiver = Waiver { about: Some("BB-2".to_owned()), ..waiver("not-recorded", None, None) };
        apply(&mut findings, &[waiver], at("2026-11-22"), true);
        let waived: Vec<bool> = findings.iter().map(|it| it.waived).collect();
        assert_eq!(waived, [false, true]);
    }

    #[test]
    fn a_waiver_of_nothing_is_told_where_everything_was_looked_at() {
        let other = waiver("unused", Some("brevo:x@acme"), None);
        assert_eq!(run(std::slice::from_ref(&other), true), [("unused", false), ("waiver-unused", false)]);
        assert_eq!(run(&[other], false), [("unused", false)]);
    }
}
