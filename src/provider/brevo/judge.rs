//! What Brevo's answers prove. Five different situations share HTTP 401 and
//! the code `unauthorized`; only the message tells them apart. The texts are
//! those people met in the field (Brevo documents almost none).

use super::wire::{Account, HOST, Plan, Refusal};
use crate::http::Reply;
use crate::key::text::printable;
use crate::key::verdict::Facts;
use crate::key::{Cause, Judgement, Reason};
use crate::provider::finding::{Finding, common, quoted, unexpected};
use crate::smtp::{Phase, SmtpFailure};

/// Where the owner of an account authorises addresses.
pub const AUTHORISED_IPS: &str = "https://app.brevo.com/security/authorised_ips";

/// Returns the body of a success as `T`, or what the reply says instead.
pub fn read<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, Finding> {
    if let Some(finding) = refusal(reply) {
        return Err(finding);
    }
    serde_json::from_str(&reply.body)
        .map_err(|_| unexpected(&HOST, reply, "the body is not what was asked for"))
}

/// Returns what speaks against the call; `None`: it succeeded.
pub fn refusal(reply: &Reply) -> Option<Finding> {
    if let Some(finding) = common(&HOST, reply) {
        return Some(finding);
    }
    if (200..300).contains(&reply.status) {
        return None;
    }
    let said: Refusal = serde_json::from_str(&reply.body).unwrap_or_default();
    let words = said.message.to_lowercase();
    Some(match (reply.status, said.code.as_str()) {
        (401, _) => unauthorised(reply, &said, &words),
        (_, "not_enough_credits") | (402, _) => out_of_credit(&said),
        (_, "account_under_validation") => unexpected(&HOST, reply, &said.message)
            .hint("Brevo is still checking this account; the key may be good"),
        _ if not_activated(&words) => not_activated_finding(&said.message),
        (403, _) => restricted(&said),
        _ => unexpected(&HOST, reply, &said.message),
    })
}

fn unauthorised(reply: &Reply, said: &Refusal, words: &str) -> Finding {
    if words.contains("authentication not found") {
        return unexpected(&HOST, reply, &said.message)
            .hint("the key never reached Brevo; something in between drops the `api-key` header");
    }
    if speaks_of_address(words) {
        return blocked(&said.message);
    }
    if words.contains("key not found") {
        return Finding::new(Reason::KeyNotFound, "Brevo does not know this key (\"Key not found\")")
            .causes(&[Cause::Revoked, Cause::Truncated])
            .hint("it was deleted, or is not whole; keys unused for 90 days expire");
    }
    if words.contains("not enabled") || words.contains("deactivated") {
        let detail = format!("Brevo knows this key, but it is switched off{}", quoted(&said.message));
        return Finding::new(Reason::Disabled, detail)
            .hint("activate it again in the console, or replace it if it has expired");
    }
    if words.contains("key") && words.contains("expired") {
        return Finding::new(Reason::Expired, format!("this key has expired{}", quoted(&said.message)));
    }
    unexpected(&HOST, reply, &said.message)
}

/// Returns whether a text speaks of `IP address(es)`.
fn speaks_of_address(words: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric();
    words.match_indices("ip address").any(|(at, found)| {
        let before = words[..at].chars().next_back().is_none_or(|c| !letter(c));
        let after =
            words[at + found.len()..].trim_start_matches("es").chars().next().is_none_or(|c| !letter(c));
        before && after
    })
}

/// The key is recognised, this address is not: never a reason for a new key.
fn blocked(message: &str) -> Finding {
    let here = message
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '(' | ')'))
        .map(|word| word.trim_end_matches('.'))
        .find(|word| word.parse::<std::net::IpAddr>().is_ok());
    let detail = match here {
        Some(address) => format!("Brevo blocks calls from this address ({address}); the key itself is known"),
        None => "Brevo blocks calls from this address; the key itself is known".to_owned(),
    };
    let hint = format!("authorise it at {AUTHORISED_IPS}; a new key would not help");
    Finding::new(Reason::IpBlocked, detail).hint(hint)
}

fn not_activated(words: &str) -> bool {
    words.contains("not yet activated") || words.contains("platform is currently disabled")
}

fn not_activated_finding(message: &str) -> Finding {
    let detail = format!("the key is good, but the account is not activated for sending{}", quoted(message));
    Finding::new(Reason::AccountNotActivated, detail)
        .hint("ask Brevo's support to activate transactional mail; a new key would not help")
}

fn out_of_credit(said: &Refusal) -> Finding {
    let detail = format!("the account has no credit left{}", quoted(&said.message));
    Finding::new(Reason::OutOfCredit, detail).hint("buy credit or wait for the plan's next day")
}

fn restricted(said: &Refusal) -> Finding {
    let detail = format!("the key may not do this{}", quoted(&said.message));
    Finding::new(Reason::PermissionMissing, detail)
        .hint("Brevo's restricted keys start with every permission at None; edit the key in the console")
}

/// Judges `GET /v3/account`; the facts only when it is really one.
pub fn account(reply: &Reply) -> Result<Judgement, Finding> {
    let account: Account = read(reply)?;
    let known =
        account.email.is_some() || account.organization_id.is_some() || account.company_name.is_some();
    if !known {
        return Err(unexpected(&HOST, reply, "no account in the body"));
    }
    let identity = match (&account.company_name, &account.email) {
        (Some(company), Some(email)) if !company.is_empty() => Some(format!("{company} ({email})")),
        (_, Some(email)) => Some(email.clone()),
        (company, None) => company.clone(),
    };
    let relay = account.relay.clone().unwrap_or_default();
    let told = about(&account.plan, account.organization_id.as_deref(), relay.data.user_name.as_deref());
    let facts = Facts {
        identity: identity.clone(),
        account_id: account.organization_id.clone(),
        login: relay.data.user_name,
        ..Facts::default()
    };
    let mut judgement = Judgement::valid(match identity {
        Some(identity) => format!("accepted for {identity}{told}"),
        None => format!("accepted{told}"),
    });
    if spent(&account.plan) {
        judgement.add(Reason::OutOfCredit);
        judgement.detail += ", but the plan has no sends left";
        judgement.hint = Some("buy credit or wait for the plan's next day".to_owned());
    }
    if relay.enabled == Some(false) {
        judgement.add(Reason::AccountNotActivated);
        judgement.detail += ", but the account is not activated for sending";
        judgement.hint = Some("ask Brevo's support to activate transactional mail".to_owned());
    }
    Ok(judgement.with_facts(facts))
}

/// Returns what tells one account of a person from another: its organization,
/// plans with the sends that are left, login at the relay.
fn about(plans: &[Plan], organization: Option<&str>, login: Option<&str>) -> String {
    let plan = |it: &Plan| {
        let left = it.credits.map_or_else(String::new, |left| format!(" ({left:.0} left)"));
        format!("plan {}{left}", printable(&it.kind, 40))
    };
    let organization = organization.map(|it| format!("organization {}", printable(it, 60)));
    let login = login.map(|it| format!("relay login {}", printable(it, 100)));
    let parts = organization.into_iter().chain(for_mail(plans).map(plan)).chain(login);
    parts.map(|it| format!(", {it}")).collect()
}

fn for_mail(plans: &[Plan]) -> impl Iterator<Item = &Plan> {
    plans.iter().filter(|it| it.kind != "sms")
}

/// Returns whether every plan for mail is of a type whose credits are sends
/// left, and none are.
fn spent(plans: &[Plan]) -> bool {
    let mut mail = for_mail(plans).peekable();
    mail.peek().is_some()
        && mail.all(|it| {
            matches!(it.kind.as_str(), "free" | "payAsYouGo" | "subscription")
                && it.credits.is_some_and(|left| left <= 0.0)
        })
}

/// Returns what a relay's refusal means.
pub fn relay(failure: &SmtpFailure, login: &str) -> Finding {
    let Some(code) = failure.code else { return Finding::unspoken(failure) };
    let words = failure.message.to_lowercase();
    // Before AUTH nobody knows whose key this is, and in clear anybody says it.
    if failure.phase >= Phase::Auth && not_activated(&words) {
        return not_activated_finding(&failure.message);
    }
    match (failure.phase, code) {
        (phase, 525) if phase >= Phase::Auth => {
            let detail = "Brevo's relay blocks this address (525); neither key nor login is proven";
            let hint = format!("authorise it at {AUTHORISED_IPS}; a new key would not help");
            Finding::new(Reason::IpBlocked, detail).hint(hint)
        }
        (Phase::Auth, 535) => wrong_login_or_key(login),
        (_, 421 | 450 | 451 | 452 | 454) if words.contains("rate") || words.contains("too many") => {
            Finding::new(
                Reason::RateLimited,
                format!("Brevo's relay limits logins{}", quoted(&failure.message)),
            )
        }
        (_, 400..=499) => {
            let detail = format!("Brevo's relay has trouble of its own ({code}){}", quoted(&failure.message));
            Finding::new(Reason::ProviderError, detail)
        }
        (_, 501) => {
            let detail = format!(
                "Brevo's relay takes no greeting from this host name (501){}",
                quoted(&failure.message)
            );
            let hint = "that says nothing about the key; give this machine a full host name";
            Finding::new(Reason::UnexpectedResponse, detail).hint(hint)
        }
        (_, 502) => {
            let detail = format!("Brevo's relay lost the login on the way (502){}", quoted(&failure.message));
            let hint = "that says nothing about the key; try again, or another port with `KEYCTL_BREVO_SMTP`";
            Finding::new(Reason::UnexpectedResponse, detail).hint(hint)
        }
        _ => {
            let words = quoted(&failure.message);
            let detail = format!("Brevo's relay answered {code} in a way that proves nothing{words}");
            Finding::new(Reason::UnexpectedResponse, detail)
        }
    }
}

fn wrong_login_or_key(login: &str) -> Finding {
    let newer = login.to_lowercase().ends_with("@smtp-brevo.com");
    let causes = if newer {
        [Cause::Revoked, Cause::WrongLogin, Cause::Truncated]
    } else {
        [Cause::WrongLogin, Cause::Revoked, Cause::Truncated]
    };
    let finding =
        Finding::new(Reason::Unauthorized, "Brevo's relay refuses this login and key (535)").causes(&causes);
    if newer {
        finding.hint("the key may be deleted, deactivated, expired (unused for 90 days) or cut short")
    } else {
        finding.hint(
            "the login is the one of Brevo's SMTP page (`…@smtp-brevo.com`), rarely the account's e-mail",
        )
    }
}
