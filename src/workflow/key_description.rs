//! What a person says of a key on the command line, read and checked once for
//! every command that records it.

use jiff::Timestamp;

use crate::exit::Situation;
use crate::key::text::{first_unprintable, printable};
use crate::key::{Consumer, Domain, Expiry, KeyRef, Kind, ProviderId, Record, Region};
use crate::provider::Terms;
use crate::{clock, provider};

/// What was said; `None` and empty lists change nothing.
#[derive(Debug, Clone, Default)]
pub struct Described {
    pub kind: Option<Kind>,
    pub region: Option<Region>,
    pub domain: Option<Domain>,
    pub login: Option<String>,
    pub note: Option<String>,
    pub created: Option<Timestamp>,
    pub expires: Option<Expiry>,
    pub permissions: Vec<String>,
    pub consumers: Vec<String>,
    /// What was asked for when the key was made: it should have no more.
    pub no_more_than: Vec<String>,
    /// What the key that it is to be like was seen to have: it should have no less.
    pub no_less_than: Vec<String>,
}

fn terms(id: ProviderId) -> Terms {
    provider::provider(id).terms()
}

impl Described {
    /// Checks what can be checked without the secret.
    ///
    /// # Errors
    /// Exit 2, naming the option.
    pub fn check(&mut self, provider: ProviderId) -> Result<(), Situation> {
        if let Some(kind) = self.kind
            && !provider.kinds().contains(&kind)
        {
            let known = provider.kinds().iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Situation::usage(format!("{provider} has no `{kind}` keys"))
                .hint(format!("`--kind` may be: {known}")));
        }
        if self.region.is_some() && terms(provider).regions.is_empty() {
            return Err(Situation::usage(format!("{provider} has no regions; leave `--region` out")));
        }
        one_line("--login", self.login.as_deref())?;
        one_line("--note", self.note.as_deref())?;
        for name in &self.consumers {
            check_place("--consumer", name)?;
        }
        self.permissions = permissions(provider, &self.permissions)?;
        self.complete_login(provider);
        match self.kind {
            Some(kind) => self.check_kind(provider, kind),
            None => Ok(()),
        }
    }

    /// Checks that a kind has what it needs to be used.
    ///
    /// # Errors
    /// Exit 2 naming `--domain` or `--login`.
    pub fn check_kind(&self, provider: ProviderId, kind: Kind) -> Result<(), Situation> {
        if kind == Kind::Sending && self.domain.is_none() {
            return Err(Situation::usage("a sending key belongs to one domain, which must be known")
                .hint("name it: `--domain DOMAIN`"));
        }
        // Where another key of the account tells the login, it is looked up later.
        let told = provider::provider(provider).login_teller(kind).is_some();
        if kind == Kind::Smtp && !told && self.login.is_none() {
            return Err(Situation::usage("an SMTP password is of no use without its login")
                .hint("name it: `--login user@domain`"));
        }
        Ok(())
    }

    /// A login that belongs to a domain is whole with it, and tells it.
    fn complete_login(&mut self, provider: ProviderId) {
        if !terms(provider).bound_kinds.contains(&Kind::Smtp) {
            return;
        }
        let Some(login) = &self.login else { return };
        match (login.split_once('@'), &self.domain) {
            (None, Some(domain)) => self.login = Some(format!("{login}@{domain}")),
            (Some((_, domain)), None) => self.domain = Domain::parse(domain).ok(),
            _ => {}
        }
    }

    /// Writes what was said into a record.
    pub fn fill(&self, record: &mut Record) {
        fn put<T: Clone>(into: &mut Option<T>, said: Option<&T>) {
            if said.is_some() {
                *into = said.cloned();
            }
        }
        put(&mut record.region, self.region.as_ref());
        put(&mut record.domain, self.domain.as_ref());
        put(&mut record.login, self.login.as_ref());
        put(&mut record.note, self.note.as_ref());
        put(&mut record.created, self.created.as_ref());
        if let Some(expires) = self.expires {
            record.expires = expires;
        }
        if !self.permissions.is_empty() {
            record.permissions.clone_from(&self.permissions);
        }
        for name in &self.consumers {
            if !record.consumers.iter().any(|it| it.name == *name) {
                record.consumers.push(Consumer::manual(name));
            }
        }
    }
}

/// Reads `DATE|never`.
///
/// # Errors
/// Says what is understood.
pub fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" { Ok(Expiry::Never) } else { clock::date(text).map(Expiry::At) }
}

/// Returns permissions in their one spelling, each once.
///
/// # Errors
/// Exit 2 for one that the provider does not have, and for nothing at all where
/// something was said.
pub fn permissions(provider: ProviderId, said: &[String]) -> Result<Vec<String>, Situation> {
    if !said.is_empty() && said.iter().all(|it| it.trim().is_empty()) {
        return Err(Situation::usage("`--permissions` is empty").hint("name some, or leave the option out"));
    }
    let mut all = Vec::new();
    for name in said.iter().map(|it| it.trim()).filter(|it| !it.is_empty()) {
        let name = match provider::provider(provider).permissions() {
            Some(facet) => facet.normalise(name).map_err(Situation::usage)?,
            None => {
                one_line("--permissions", Some(name))?;
                name.to_lowercase()
            }
        };
        if !all.contains(&name) {
            all.push(name);
        }
    }
    Ok(all)
}

/// Checks that a text can name a place where a key is used: it is typed again
/// later, so all of it has to be seen.
///
/// # Errors
/// Exit 2, naming the option and the character.
pub fn check_place(option: &str, name: &str) -> Result<(), Situation> {
    if name.trim().is_empty() {
        return Err(Situation::usage(format!("`{option}` is empty")));
    }
    match first_unprintable(name) {
        None => Ok(()),
        Some(named) => {
            let shown = crate::key::shape::shown(name, 60);
            let message = format!("`{option}`: `{shown}` cannot name a consumer: it has {named}");
            let hint = "a name has no control characters and none that cannot be seen; take that one out";
            Err(Situation::usage(message).hint(hint))
        }
    }
}

/// Checks that a text can stand on one line of a listing.
///
/// # Errors
/// Exit 2, naming the option.
pub fn one_line(option: &str, text: Option<&str>) -> Result<(), Situation> {
    match text {
        Some(text) if text.trim().is_empty() => Err(Situation::usage(format!("`{option}` is empty"))),
        Some(text) if text.chars().any(char::is_control) => Err(Situation::usage(format!(
            "`{option}` has control characters in it: `{}`",
            printable(text, 60)
        ))),
        _ => Ok(()),
    }
}

/// Returns the situation of a kind that must be said, since the text does not tell it.
pub fn say_the_kind(key: &KeyRef, kinds: &[Kind], why: &str) -> Situation {
    let kinds: Vec<&str> = kinds.iter().map(|it| it.as_str()).collect();
    Situation::new(
        crate::exit::Exit::Usage,
        "kind-not-clear",
        format!("which kind of {} key this is cannot be told: {why}", key.provider),
    )
    .hint(format!(
        "say it with `--kind {}`; a sending key needs `--domain`, an SMTP password `--login`",
        kinds.join("|")
    ))
}
