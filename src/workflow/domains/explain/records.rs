//! The DNS records, one check each: what the provider last saw and, where it
//! was asked, what the resolver sees now.

use crate::dns::Found;
use crate::domain::{DnsRecord, DnsState, RecordRole};
use crate::provider;
use crate::workflow::checklist::Check;
use crate::workflow::domains::explain::account::not_there;
use crate::workflow::domains::explain::explained::Explained;

/// What the resolver's answer says of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sight {
    Published,
    /// Something else is published; what is wrong with it.
    Other(String),
    NoRecords,
    NoSuchName,
    Failed(String),
    TimedOut,
}

impl Sight {
    fn word(&self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Other(_) => "other",
            Self::NoRecords => "no-records",
            Self::NoSuchName => "no-such-name",
            Self::Failed(_) => "failed",
            Self::TimedOut => "timed-out",
        }
    }
}

/// Returns the records that are judged, in the order of the checks: SPF, DKIM,
/// MX, tracking, others. Extra DKIM selectors that are not in use do not count.
pub fn judged(records: &[DnsRecord]) -> Vec<&DnsRecord> {
    let mut judged: Vec<&DnsRecord> = records.iter().filter(|it| it.active).collect();
    judged.sort_by_key(|it| it.role);
    judged
}

/// Checks every record. `answers` are the resolver's, in the order of
/// [`judged`]; `None`: it was not asked.
pub fn checks(it: &Explained<'_>, answers: &[Option<Found>]) -> Vec<Check> {
    let records = it.seen.domain().and_then(|it| it.records.as_deref());
    let Some(records) = records else {
        let usual = provider::provider(it.target.provider).terms().domains.usual_records;
        return usual.iter().map(|id| not_there(id)).collect();
    };
    let judged = judged(records);
    let ids = ids(&judged);
    let judged = judged.into_iter().zip(ids).enumerate();
    judged.map(|(n, (record, id))| check(it, record, id, answers.get(n).and_then(Option::as_ref))).collect()
}

/// `dns-spf`, `dns-dkim` (`-1`, `-2` where there are several), `dns-mx-1`, …
fn ids(records: &[&DnsRecord]) -> Vec<String> {
    let count = |role: RecordRole| records.iter().filter(|it| it.role == role).count();
    let mut seen: Vec<RecordRole> = Vec::new();
    let id = |record: &&DnsRecord| {
        let number = seen.iter().filter(|it| **it == record.role).count() + 1;
        seen.push(record.role);
        let (word, numbered) = match record.role {
            RecordRole::Spf => ("dns-spf", count(RecordRole::Spf) > 1),
            RecordRole::Dkim => ("dns-dkim", count(RecordRole::Dkim) > 1),
            RecordRole::Mx => ("dns-mx", true),
            RecordRole::Tracking => ("dns-tracking", count(RecordRole::Tracking) > 1),
            RecordRole::Other => ("dns-other", true),
        };
        if numbered { format!("{word}-{number}") } else { word.to_owned() }
    };
    records.iter().map(id).collect()
}

fn check(it: &Explained<'_>, record: &DnsRecord, id: String, answer: Option<&Found>) -> Check {
    let sight = answer.map(|answer| sight(record, answer));
    let says_valid = record.state == DnsState::Valid;
    let passes = match &sight {
        None | Some(Sight::Failed(_) | Sight::TimedOut) => says_valid,
        Some(Sight::Published) => says_valid,
        Some(Sight::Other(_) | Sight::NoRecords | Sight::NoSuchName) => false,
    };
    let mut check =
        if passes { Check::pass(id) } else { Check::fail(id).fix(fix(it, record, sight.as_ref())) };
    check.found = found(record, answer);
    check.expected = Some(wanted(record));
    check.provider = Some(record.state);
    check.resolver = sight.as_ref().map(Sight::word);
    check
}

/// Returns what is published now, else what the provider last saw.
fn found(record: &DnsRecord, answer: Option<&Found>) -> Option<String> {
    match answer {
        Some(Found::Records(texts)) => Some(texts.join("; ")),
        Some(Found::NoRecords) => Some(format!("no {} record at {}", record.record_type, record.name)),
        Some(Found::NoSuchName) => Some(format!("no such name: {}", record.name)),
        Some(Found::Failed(said)) => Some(format!("the resolver failed: {said}")),
        Some(Found::TimedOut) => Some("the resolver did not answer".to_owned()),
        None if record.found.is_empty() => None,
        None => Some(record.found.join("; ")),
    }
}

/// `TXT mg.a.example v=spf1 …`, `MX mg.a.example 10 mxa.mailgun.org`
pub fn wanted(record: &DnsRecord) -> String {
    let priority = record.priority.map(|it| format!("{it} ")).unwrap_or_default();
    format!("{} {} {priority}{}", record.record_type, record.name, record.expected)
}

fn fix(it: &Explained<'_>, record: &DnsRecord, sight: Option<&Sight>) -> String {
    let verify = format!("`keyctl domains {} --verify {}`", it.target.argument(), it.domain);
    let priority = record.priority.map(|it| format!(", priority {it},")).unwrap_or_default();
    let create = format!(
        "create the {} record `{}`{priority} with the value `{}`",
        record.record_type, record.name, record.expected
    );
    match sight {
        Some(Sight::Published) => {
            format!("it is published; have {} look again: {verify}", it.target.provider)
        }
        Some(Sight::Other(what)) => format!("{what}; then {verify}"),
        Some(Sight::NoRecords | Sight::NoSuchName | Sight::Failed(_) | Sight::TimedOut) | None => {
            format!("{create}, then {verify}")
        }
    }
}

fn sight(record: &DnsRecord, answer: &Found) -> Sight {
    let texts = match answer {
        Found::Records(texts) => texts,
        Found::NoRecords => return Sight::NoRecords,
        Found::NoSuchName => return Sight::NoSuchName,
        Found::Failed(said) => return Sight::Failed(said.clone()),
        Found::TimedOut => return Sight::TimedOut,
    };
    match record.role {
        RecordRole::Spf => spf(record, texts),
        RecordRole::Mx => mx(record, texts),
        RecordRole::Dkim | RecordRole::Tracking | RecordRole::Other => {
            let same = |text: &String| plain(text) == plain(&record.expected);
            if texts.iter().any(same) {
                Sight::Published
            } else {
                Sight::Other(format!(
                    "replace the {} record `{}` by the value `{}`",
                    record.record_type, record.name, record.expected
                ))
            }
        }
    }
}

/// One SPF record that holds every mechanism wanted (RFC 7208: several are an error).
fn spf(record: &DnsRecord, texts: &[String]) -> Sight {
    let held: Vec<&String> =
        texts.iter().filter(|it| it.trim().to_ascii_lowercase().starts_with("v=spf1")).collect();
    match held.as_slice() {
        [] => Sight::NoRecords,
        [one] => {
            let has = |word: &str| one.split_whitespace().any(|it| it.eq_ignore_ascii_case(word));
            let wanted = record.expected.split_whitespace().filter(|it| it.contains(':'));
            let missing: Vec<&str> = wanted.filter(|it| !has(it)).collect();
            if missing.is_empty() {
                Sight::Published
            } else {
                Sight::Other(format!(
                    "add `{}` to the SPF record of `{}`, before its `all`",
                    missing.join(" "),
                    record.name
                ))
            }
        }
        several => Sight::Other(format!(
            "`{}` has {} SPF records, which counts as none: merge them into one with `{}`",
            record.name,
            several.len(),
            record.expected
        )),
    }
}

/// The wanted host, and no other provider's beside it: mail would go there, too.
fn mx(record: &DnsRecord, texts: &[String]) -> Sight {
    let host = |text: &String| plain(text.split_whitespace().last().unwrap_or_default());
    let wanted = plain(&record.expected);
    let vendor = parent(&wanted);
    if !texts.iter().any(|it| host(it) == wanted) {
        return Sight::Other(format!(
            "create the MX record `{}` with priority {} and the value `{}`",
            record.name,
            record.priority.unwrap_or(10),
            record.expected
        ));
    }
    let others: Vec<String> = texts.iter().map(host).filter(|it| parent(it) != vendor).collect();
    if others.is_empty() {
        Sight::Published
    } else {
        Sight::Other(format!(
            "mail for `{}` goes to {} as well, and replies with it: delete that MX record, or use a subdomain",
            record.name,
            others.join(", ")
        ))
    }
}

fn parent(host: &str) -> String {
    host.split_once('.').map_or_else(|| host.to_owned(), |(_, rest)| rest.to_owned())
}

/// A record's text without what has no meaning: quotes, spaces, the last dot, case of names.
fn plain(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
    let bare = bare.trim_end_matches(['.', ';']);
    // The key in a DKIM record is base64, where case counts.
    if bare.contains('=') { bare.to_owned() } else { bare.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(role: RecordRole, record_type: &str, expected: &str) -> DnsRecord {
        DnsRecord {
            role,
            record_type: record_type.into(),
            name: "mg.a.example".into(),
            expected: expected.into(),
            priority: (role == RecordRole::Mx).then_some(10),
            found: vec![],
            state: DnsState::Unknown,
            active: true,
        }
    }

    fn word(record: &DnsRecord, texts: &[&str]) -> &'static str {
        sight(record, &Found::Records(texts.iter().map(|it| (*it).to_owned()).collect())).word()
    }

    #[test]
    fn one_spf_record_with_the_mechanism_is_enough() {
        let spf = record(RecordRole::Spf, "TXT", "v=spf1 include:mailgun.org ~all");
        assert_eq!(
            word(&spf, &["google-site-verification=x", "V=spf1 a include:mailgun.org -all"]),
            "published"
        );
        assert_eq!(word(&spf, &["v=spf1 include:other.example ~all"]), "other");
        assert_eq!(word(&spf, &["v=spf1 include:mailgun.org ~all", "v=spf1 mx -all"]), "other");
        assert_eq!(word(&spf, &["hello"]), "no-records");
    }

    #[test]
    fn spaces_quotes_and_dots_do_not_matter_but_a_key_does() {
        let dkim = record(RecordRole::Dkim, "TXT", "k=rsa; p=MIGf");
        assert_eq!(word(&dkim, &["k=rsa;p=MIGf;"]), "published");
        assert_eq!(word(&dkim, &["k=rsa; p=migf"]), "other");
        let tracking = record(RecordRole::Tracking, "CNAME", "mailgun.org");
        assert_eq!(word(&tracking, &["Mailgun.org."]), "published");
    }

    #[test]
    fn another_providers_mx_takes_replies_away() {
        let mx = record(RecordRole::Mx, "MX", "mxa.mailgun.org");
        assert_eq!(word(&mx, &["10 mxa.mailgun.org", "10 mxb.mailgun.org"]), "published");
        assert_eq!(word(&mx, &["10 mxb.mailgun.org"]), "other");
        assert_eq!(word(&mx, &["1 aspmx.l.google.com", "10 mxa.mailgun.org"]), "other");
    }

    #[test]
    fn records_have_stable_ids() {
        let spf = record(RecordRole::Spf, "TXT", "v=spf1");
        let dkim = record(RecordRole::Dkim, "CNAME", "x");
        let mx = record(RecordRole::Mx, "MX", "mxa.mailgun.org");
        assert_eq!(ids(&[&spf, &dkim, &mx, &mx]), ["dns-spf", "dns-dkim", "dns-mx-1", "dns-mx-2"]);
        assert_eq!(ids(&[&dkim, &dkim]), ["dns-dkim-1", "dns-dkim-2"]);
    }
}
