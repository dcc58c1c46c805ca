//! Brevo (formerly Sendinblue): API keys and SMTP keys. No public API lists,
//! creates, disables or deletes either, so there is no key facet: the console
//! is the way (developers.brevo.com, read 2026-10).

mod facets;
mod guide;
mod judge;
mod wire;

use super::finding::{Finding, ask};
use super::{
    Candidate, ConsoleAsk, ConsoleTask, Credential, Detection, DomainTerms, DotenvNames, Facets, Guide,
    Handout, HandoutAsk, Net, Provider, Recognition, Refusal, Terms, Unsorted,
};
use crate::clock::Span;
use crate::http::Host;
use crate::key::verdict::Facts;
use crate::key::{Judgement, Kind, ProviderId, Reason, Region, Scope, Secret};
use crate::smtp::Relay;

/// The prefixes of the two kinds.
const API: &str = "xkeysib-";
const SMTP: &str = "xsmtpsib-";
/// After the prefix: 64 hex digits, `-`, 16 letters and digits.
const TAIL: usize = 81;

/// The names of Brevo's own libraries, and that of the time when it was Sendinblue.
const DOTENV: DotenvNames = DotenvNames {
    secrets: &[
        ("BREVO_API_KEY", Some(Kind::Api)),
        ("BREVO_SMTP_KEY", Some(Kind::Smtp)),
        ("SENDINBLUE_API_KEY", Some(Kind::Api)),
    ],
    login: Some("BREVO_SMTP_LOGIN"),
    domain: None,
    region: None,
};

/// All keys of an account share 100 calls an hour, so few domains are asked for alone.
const DOMAINS: DomainTerms = DomainTerms {
    add: "add it in Brevo's console: Settings › Senders, Domains & Dedicated IPs › Domains",
    verified: "authenticated",
    wrong_region: None,
    disabled: None,
    sandbox: None,
    usual_records: &[],
    most_details: 5,
};

/// Brevo.
#[derive(Debug)]
pub struct Brevo;

impl Provider for Brevo {
    fn id(&self) -> ProviderId {
        ProviderId::Brevo
    }
    fn hosts(&self) -> &'static [&'static Host] {
        &wire::HOSTS
    }
    fn relays(&self) -> &'static [&'static Relay] {
        &wire::RELAYS
    }

    fn recognise(&self, text: &str) -> Recognition {
        recognise(text)
    }

    fn check(&self, net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
        if credential.secret.is_empty() {
            return Judgement::because(Reason::SecretMissing, "the secret is empty");
        }
        if let Some(judgement) = wrong_kind(credential) {
            return judgement;
        }
        match credential.kind {
            Kind::Smtp => check_login(net, credential),
            _ => check_account(net, credential),
        }
    }

    /// `relay.data.userName` of `GET /v3/account`: the login is the account's.
    fn login_teller(&self, kind: Kind) -> Option<Kind> {
        (kind == Kind::Smtp).then_some(Kind::Api)
    }

    fn handout(&self, ask: &HandoutAsk<'_>) -> Vec<(&'static str, Handout)> {
        let secret = Handout::Secret(ask.credential.secret.clone());
        if ask.credential.kind != Kind::Smtp {
            return vec![("BREVO_API_KEY", secret)];
        }
        let mut out = vec![
            ("BREVO_SMTP_HOST", Handout::RelayHost(&wire::RELAY)),
            ("BREVO_SMTP_PORT", Handout::RelayPort(&wire::RELAY)),
        ];
        if let Some(login) = ask.credential.login {
            out.push(("BREVO_SMTP_LOGIN", Handout::Plain(login.to_owned())));
        }
        out.push(("BREVO_SMTP_KEY", secret));
        out
    }

    fn handout_names(&self) -> &'static [&'static str] {
        &["BREVO_API_KEY", "BREVO_SMTP_HOST", "BREVO_SMTP_PORT", "BREVO_SMTP_LOGIN", "BREVO_SMTP_KEY"]
    }

    fn endpoint(&self, kind: Kind, _: Option<Region>) -> (Option<&'static Host>, Option<&'static Relay>) {
        if kind == Kind::Smtp { (None, Some(&wire::RELAY)) } else { (Some(&wire::HOST), None) }
    }

    fn console(&self, task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide> {
        guide::console(task, ask)
    }

    fn detect(&self, _: &Net<'_>, _: &Unsorted<'_>) -> Option<Detection> {
        None
    }

    fn chosen_by_person(&self, _: Kind) -> bool {
        false
    }

    fn embedded_id(&self, _: &Secret) -> Option<String> {
        None
    }

    fn embedded_account(&self, _: &Secret) -> Option<String> {
        None
    }

    fn kind_at(&self, _: &Scope) -> Option<Kind> {
        None
    }

    /// The console offers 7 days to 1 year, or no end; API and SMTP keys alike
    /// end after 90 days without use (help.brevo.com, 40159485019794).
    fn terms(&self) -> Terms {
        let days = |count: i64| Span::seconds(count * 86_400);
        Terms {
            clones: false,
            lifetimes: Some((days(7), days(366))),
            idle_limit: Some(days(90)),
            overlap_limit: None,
            regions: &[],
            bound_kinds: &[],
            roles: None,
            sends_for_highlevel: false,
            key_for_each_use: true,
            permissions_page: Some("Brevo shows an API key's permissions in its console only"),
            login_page: Some("Brevo's SMTP page shows it, `…@smtp-brevo.com`"),
            dotenv: DOTENV,
            domains: DOMAINS,
        }
    }

    fn facets(&self) -> Facets<'_> {
        Facets {
            domains: Some(self),
            test_mail: Some(self),
            keys: None,
            allowlist: None,
            inbound: None,
            permissions: None,
            locations: None,
        }
    }
}

/// A key of the other kind is refused before any call: the API would answer a
/// misleading "Key not found" to an SMTP key.
fn wrong_kind(credential: &Credential<'_>) -> Option<Judgement> {
    let text = credential.secret.expose();
    let (wrong, is, wanted) = match credential.kind {
        Kind::Smtp => (API, "an API key", "an SMTP key (`xsmtpsib-…`)"),
        _ => (SMTP, "an SMTP key", "an API key (`xkeysib-…`)"),
    };
    text.starts_with(wrong).then(|| {
        let judgement =
            Judgement::because(Reason::WrongKind, format!("this is {is} of Brevo; wanted is {wanted}"));
        judgement.with_hint("nothing was sent; record it under its own kind")
    })
}

fn check_account(net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
    let reply = match ask(net, &wire::account(credential)) {
        Ok(reply) => reply,
        Err(finding) => return finding.judgement(),
    };
    let latest = match judge::account(&reply) {
        Ok(judgement) => {
            if let Some(account) = &judgement.facts.account_id {
                wire::learn(net, credential, account);
            }
            return judgement;
        }
        Err(finding) => finding,
    };
    if reply.status != 403 || latest.reason != Reason::PermissionMissing {
        return latest.judgement();
    }
    elsewhere(net, credential, latest).judgement()
}

/// A restricted key: does any other call accept it? Frugal, for Brevo allows
/// 100 such calls an hour.
fn elsewhere(net: &Net<'_>, credential: &Credential<'_>, refused: Finding) -> Finding {
    for request in wire::alternatives(credential) {
        let answer = ask(net, &request).map(|reply| judge::refusal(&reply));
        match answer {
            Ok(None) => {
                let detail = "accepted, but the key may not read `/account`";
                return Finding { detail: detail.to_owned(), missing: vec!["account".to_owned()], ..refused };
            }
            Ok(Some(finding)) if finding.reason == Reason::PermissionMissing => {}
            Ok(Some(finding)) | Err(finding) => return finding,
        }
    }
    let detail = "Brevo refuses `/account` and every other call with 403, which proves nothing";
    Finding { reason: Reason::UnexpectedResponse, detail: detail.to_owned(), ..refused }
}

fn check_login(net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
    let Some(login) = credential.login else {
        let detail = "an SMTP key can only be proven together with its login, and none is recorded";
        let hint =
            "record it with `--login` of `set` (or `add`); Brevo's SMTP page shows it, `…@smtp-brevo.com`";
        return Judgement::because(Reason::PermissionNotCheckable, detail).with_hint(hint);
    };
    match net.smtp.login(&wire::RELAY, login, credential.secret, net.deadline) {
        Ok(accepted) => {
            let detail = format!("the relay accepted the login `{login}` on port {}", accepted.port);
            let facts = Facts { login: Some(login.to_owned()), ..Facts::default() };
            Judgement::valid(detail).with_facts(facts)
        }
        Err(failure) => judge::relay(&failure, login).judgement(),
    }
}

fn recognise(text: &str) -> Recognition {
    for (prefix, kind, name) in [(API, Kind::Api, "API"), (SMTP, Kind::Smtp, "SMTP")] {
        if let Some(tail) = text.strip_prefix(prefix) {
            return prefixed(tail, kind, prefix, name);
        }
    }
    let refused = |what: &str, wanted: &str| {
        Recognition::Refused(Refusal { what: what.to_owned(), wanted: wanted.to_owned() })
    };
    if text.starts_with("mcp_token_") {
        return refused("a Brevo MCP token", "an API key (`xkeysib-…`); MCP tokens work for MCP only");
    }
    if text.to_ascii_lowercase().ends_with("@smtp-brevo.com") {
        return refused(
            "Brevo's SMTP login, not a key",
            "the SMTP key (`xsmtpsib-…`), with this as `--login`",
        );
    }
    if wraps_key(text) {
        return refused("base64 text with a Brevo key in it", "the key itself (`xkeysib-…` or `xsmtpsib-…`)");
    }
    // Short SMTP keys and the master password; other vendors' share this shape.
    if matches!(text.len(), 15 | 16) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Recognition::Key(vec![Candidate { kind: Kind::Smtp, certain: false }]);
    }
    Recognition::No
}

fn prefixed(tail: &str, kind: Kind, prefix: &str, name: &str) -> Recognition {
    let plain = tail.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let whole = prefix.len() + TAIL;
    let wanted = format!("the whole key of {whole} characters, as shown once when it was made");
    if !plain {
        let what = format!("a masked Brevo {name} key, as the console lists it");
        return Recognition::Refused(Refusal { what, wanted });
    }
    if tail.len() < TAIL {
        let what = format!("a truncated Brevo {name} key ({} characters)", prefix.len() + tail.len());
        return Recognition::Refused(Refusal { what, wanted });
    }
    // Brevo does not document the length; a longer one may be a new form.
    Recognition::Key(vec![Candidate { kind, certain: tail.len() == TAIL }])
}

/// Returns whether `text` is base64 of something with a key in it: an MCP
/// token, or Basic credentials.
fn wraps_key(text: &str) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let bare = text.trim_end_matches('=');
    if bare.len() < 24 {
        return false;
    }
    STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).is_ok_and(|bytes| {
        let inside = String::from_utf8_lossy(&bytes);
        inside.contains(API) || inside.contains(SMTP)
    })
}

#[cfg(test)]
mod tests;
