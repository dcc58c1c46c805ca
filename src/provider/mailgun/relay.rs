//! Judges an SMTP login by one AUTH.

use super::{EU_RELAY, US_RELAY};
use crate::key::verdict::Facts;
use crate::key::{Cause, Judgement, Reason, Region};
use crate::provider::{Credential, Net, Trouble};
use crate::smtp::{Phase, Relay, SmtpFailure};

/// Returns the relay of a region.
pub(super) fn relay(region: Region) -> &'static Relay {
    match region {
        Region::Us => &US_RELAY,
        Region::Eu => &EU_RELAY,
    }
}

/// Checks a login at its region's relay (without one: the US).
pub(super) fn check(net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
    let Some(login) = credential.login else {
        return Judgement::because(
            Reason::PermissionNotCheckable,
            "an SMTP password can only be tried with its login, and none is recorded",
        )
        .with_hint("record it: `keyctl set KEYREF --login LOGIN`");
    };
    let region = credential.region.unwrap_or(Region::Us);
    let relay = relay(region);
    match net.smtp.login(relay, login, credential.secret, net.deadline) {
        Ok(accepted) => {
            let facts = Facts { region: Some(region), login: Some(login.to_owned()), ..Facts::default() };
            let detail = format!("{} took the login on port {}", relay.host, accepted.port);
            Judgement::valid(detail).with_facts(facts)
        }
        Err(failure) => judge(&failure, relay, credential, login),
    }
}

fn judge(failure: &SmtpFailure, relay: &Relay, credential: &Credential<'_>, login: &str) -> Judgement {
    if failure.phase == Phase::Auth && failure.code == Some(535) {
        let detail = format!("{} refused the login: {}", relay.host, failure.message);
        let mut causes = vec![Cause::Revoked, Cause::WrongLogin, Cause::WrongRegion, Cause::IpNotAllowlisted];
        if !login.contains('@') {
            causes.swap(0, 1);
        } else if credential.region.is_none() {
            causes.swap(1, 2);
        }
        return Judgement::because(Reason::Unauthorized, detail).with_causes(causes).with_hint(
            "the password of an SMTP login is not the API key; the login is a whole address such as \
             `postmaster@DOMAIN`, and a login of the EU region works at smtp.eu.mailgun.org only (`--region eu`)",
        );
    }
    let trouble = trouble(failure, relay);
    let mut judgement = Judgement::because(trouble.reason, trouble.detail);
    judgement.hint = trouble.hint;
    judgement
}

/// Returns what a failed conversation is worth, apart from a refused login.
pub(super) fn trouble(failure: &SmtpFailure, relay: &Relay) -> Trouble {
    let said = &failure.message;
    let lower = said.to_ascii_lowercase();
    let limited = ["rate", "limit", "too many", "throttl"].iter().any(|word| lower.contains(word));
    let blocked =
        ["blocked", "blacklist", "blocklist", "not allowed from"].iter().any(|word| lower.contains(word));
    let reason = match (failure.phase, failure.code) {
        (_, None) => failure.transport_reason(),
        (Phase::Auth, Some(535)) => Reason::Unauthorized,
        (_, Some(400..=499)) if limited => Reason::RateLimited,
        (_, Some(400..=499)) => Reason::ProviderError,
        (Phase::Connect | Phase::Greeting, Some(_)) if blocked => Reason::IpBlocked,
        (Phase::Mail | Phase::Data, Some(_)) => Reason::PermissionMissing,
        _ => Reason::UnexpectedResponse,
    };
    let trouble = Trouble::new(reason, format!("{}: {said}", relay.host));
    let trouble = match reason {
        Reason::Unreachable => trouble.with_hint(
            "many networks and CI runners close the mail ports; the relay listens on 587, 2525 and 465",
        ),
        Reason::Tls => {
            let own_root = "for a root of your own name a PEM file in KEYCTL_CA_FILE";
            trouble.with_hint(failure.hint().unwrap_or(own_root))
        }
        Reason::RateLimited | Reason::ProviderError => trouble.with_hint("try again later"),
        _ => trouble,
    };
    // After the end of the message, only the server knows whether it took it.
    if failure.phase == Phase::Data && failure.code.is_none() { trouble.unknown_outcome() } else { trouble }
}
