//! What Mailgun answers about its keys and domains without a call.

use crate::key::{Kind, Region};
use crate::provider::{DomainTerms, DotenvNames, KeyRoles, Terms};

pub(super) const TERMS: Terms = Terms {
    clones: false,
    lifetimes: None,
    idle_limit: None,
    overlap_limit: None,
    // Accounts are in the US unless told otherwise (documentation: regions).
    regions: &[Region::Us, Region::Eu],
    bound_kinds: &[Kind::Sending, Kind::Smtp],
    roles: Some(ROLES),
    sends_for_highlevel: true,
    key_for_each_use: false,
    permissions_page: None,
    login_page: None,
    dotenv: DOTENV,
    domains: DOMAINS,
};

/// The roles of a new key (OpenAPI document, `POST /v1/keys`).
const ROLES: KeyRoles = KeyRoles { kind: Kind::Account, names: &["admin", "developer", "basic", "support"] };

/// The names of Mailgun's own tools, and those of frameworks beside them.
const DOTENV: DotenvNames = DotenvNames {
    secrets: &[("MAILGUN_API_KEY", None), ("MAILGUN_SMTP_PASSWORD", Some(Kind::Smtp))],
    login: Some("MAILGUN_SMTP_LOGIN"),
    domain: Some("MAILGUN_DOMAIN"),
    region: Some("MAILGUN_API_REGION"),
};

const DOMAINS: DomainTerms = DomainTerms {
    add: "add it in Mailgun's console: Send › Sending › Domains › Add new domain, region US; then create \
          the DNS records it shows",
    verified: "active",
    wrong_region: Some(
        "Mailgun cannot move a domain: add it in the US region after deleting it in the EU one, or take \
         another subdomain there; HighLevel uses the US region only",
    ),
    disabled: Some("Mailgun disabled it: its console tells why at the domain; ask Mailgun's support"),
    sandbox: Some("is Mailgun's play area, which writes to authorized recipients only"),
    usual_records: &["dns-spf", "dns-dkim", "dns-mx-1", "dns-mx-2", "dns-tracking"],
    most_details: 25,
};
