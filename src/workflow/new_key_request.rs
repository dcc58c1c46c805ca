//! The key that is to be made: what was asked for, completed by what is recorded
//! and by the key that it shall be like, and checked before anything is asked.

use crate::clock::{Span, spoken};
use crate::context::Context;
use crate::exit::Situation;
use crate::key::{Domain, Expiry, KeyRef, KeyRefArg, Kind, ProviderId, Record, Region};
use crate::provider;
use crate::provider::{ConsoleAsk, ConsoleTask, Guide};
use crate::workflow::clone_key::Like;
use crate::workflow::consumers::spelt;
use crate::workflow::key_description;
use crate::workflow::key_description::Described;

/// What was asked of a new key, as it was said.
#[derive(Debug, Clone, Default)]
pub struct NewKeyOptions {
    pub kind: Option<Kind>,
    pub domain: Option<Domain>,
    pub login: Option<String>,
    pub region: Option<Region>,
    pub role: Option<String>,
    pub permissions: Vec<String>,
    pub expires_in: Option<Span>,
    pub name: Option<String>,
    pub note: Option<String>,
    pub consumers: Vec<String>,
    pub like: Option<KeyRefArg>,
    pub using: Option<KeyRefArg>,
}

/// The key that is to be made.
pub struct New<'a> {
    pub options: &'a NewKeyOptions,
    pub key: KeyRef,
    pub kind: Kind,
    /// The key that `--like` names.
    pub like: Option<Like>,
    /// The key that `--using` names.
    pub using: Option<KeyRef>,
    pub described: Described,
    pub role: Option<String>,
    /// As they are asked for in a console: also `read-only`, `full`.
    pub permissions: Vec<String>,
}

impl<'a> New<'a> {
    pub fn read(context: &Context, options: &'a NewKeyOptions, key: KeyRef) -> anyhow::Result<Self> {
        let inventory = context.inventory()?;
        let mut permissions = asked_for(&options.permissions)?;
        let like = options
            .like
            .as_ref()
            .map(|it| crate::workflow::clone_key::read(context, it, &key, permissions.is_empty()));
        let like = like.transpose()?;
        let model = like.as_ref().map(|it| &it.record);
        let vendor = provider::provider(key.provider);
        let bound_kinds = vendor.terms().bound_kinds;
        let of_domain = bound_kinds.first().copied().filter(|_| options.domain.is_some());
        let usual =
            of_domain.or_else(|| vendor.kind_at(&key.scope)).unwrap_or_else(|| key.provider.kinds()[0]);
        let kind = options.kind.or(model.map(|it| it.kind)).unwrap_or(usual);
        let bound = bound_kinds.contains(&kind);
        let domain = options
            .domain
            .clone()
            .or_else(|| model.and_then(|it| it.domain.clone()))
            .or_else(|| inventory.domain_at(&key.scope).map(|(it, _)| it).filter(|_| bound));
        if let Some(model) = model.filter(|_| permissions.is_empty()) {
            permissions.clone_from(&model.permissions);
        }
        let named = |it: &String| it != "read-only" && it != "full";
        // Whole seconds: nobody knows it better.
        let now = Span::seconds(0).after(context.now());
        let expires = options.expires_in.map(|span| Expiry::At(span.after(now)));
        let mut described = Described {
            kind: Some(kind),
            region: options.region.or(model.and_then(|it| it.region)),
            domain: domain.filter(|_| bound || options.domain.is_some()),
            login: options.login.clone(),
            note: options.note.clone(),
            created: Some(now),
            expires,
            permissions: permissions.iter().filter(|it| named(it)).cloned().collect(),
            consumers: options.consumers.clone(),
            no_more_than: permissions.clone(),
            no_less_than: like.as_ref().map(|it| it.held.clone()).unwrap_or_default(),
        };
        if kind == Kind::Smtp && bound && described.login.is_none() {
            described.login = described.domain.as_ref().map(|domain| login(context, &key, domain));
        }
        described.check(key.provider)?;
        let role = role(options, &key, kind, model)?;
        if kind == Kind::Smtp && options.expires_in.is_some() {
            return Err(Situation::usage("an SMTP password does not expire; leave `--expires-in` out").into());
        }
        check_lifetime(key.provider, options.expires_in)?;
        key_description::one_line("--name", options.name.as_deref())?;
        let using = options.using.as_ref().map(|it| context.complete(it)).transpose()?;
        Ok(Self { options, key, kind, like, using, described, role, permissions })
    }

    /// Returns the key that a person clones, since not all that it may do is known.
    pub fn cloned(&self) -> Option<&Like> {
        let clones = provider::provider(self.key.provider).clones() && self.permissions.is_empty();
        self.like.as_ref().filter(|_| clones)
    }

    /// Returns the way through the console.
    pub fn guide(&self) -> Result<Guide, Situation> {
        let name = self.name();
        let ask = ConsoleAsk {
            kind: Some(self.kind),
            name: Some(&name),
            domain: self.described.domain.as_ref(),
            permissions: &self.permissions,
            expires_in: self.options.expires_in,
            account_id: self.like.as_ref().and_then(|it| it.record.account_id.as_deref()),
            like: self.like.as_ref().map(Like::model),
            ..ConsoleAsk::default()
        };
        provider::provider(self.key.provider)
            .console(ConsoleTask::Create, &ask)
            .ok_or_else(|| Situation::usage(format!("{} has no console for that", self.key.provider)))
    }

    /// Returns the command that asks for the same key again, with more options:
    /// what was not asked for again would not be compared with.
    pub fn again(&self, more: &[&str]) -> String {
        let Self { options, key, .. } = self;
        fn said<T: ToString>(option: &str, value: Option<&T>) -> Vec<String> {
            value.map(|it| vec![option.to_owned(), it.to_string()]).unwrap_or_default()
        }
        let permissions = (!options.permissions.is_empty()).then(|| options.permissions.join(","));
        let consumers = options.consumers.iter().map(|it| said("--consumer", Some(it)));
        let parts = [
            said("--kind", options.kind.as_ref()),
            said("--domain", options.domain.as_ref()),
            said("--login", options.login.as_ref()),
            said("--region", options.region.as_ref()),
            said("--role", options.role.as_ref()),
            said("--permissions", permissions.as_ref()),
            said("--expires-in", options.expires_in.as_ref()),
            said("--name", options.name.as_ref()),
            said("--note", options.note.as_ref()),
            consumers.collect::<Vec<_>>().concat(),
            said("--like", self.like.as_ref().map(|it| &it.key)),
            said("--using", self.using.as_ref()),
        ];
        let command = ["keyctl", "create", key.as_str()].map(str::to_owned);
        let more: Vec<String> = more.iter().map(|it| (*it).to_owned()).collect();
        spelt(&[&command[..], &parts.concat(), &more].concat())
    }

    /// Returns what the key is to be called at the provider.
    pub fn name(&self) -> String {
        self.options.name.clone().unwrap_or_else(|| format!("keyctl {}", self.key))
    }
}

/// Refuses a lifetime that the provider's keys cannot have.
pub fn check_lifetime(id: ProviderId, wanted: Option<Span>) -> Result<(), Situation> {
    let (Some(span), Some((least, most))) = (wanted, provider::provider(id).lifetimes()) else {
        return Ok(());
    };
    if (least.seconds..=most.seconds).contains(&span.seconds) {
        return Ok(());
    }
    let (least, most) = (spoken(least.seconds), spoken(most.seconds));
    Err(Situation::usage(format!("{id} keys live {least} to {most}, or without end"))
        .hint("choose another `--expires-in`, or leave it out"))
}

/// Returns the permissions that were asked for, without blanks.
///
/// # Errors
/// Exit 2 when the option was given with nothing in it.
pub fn asked_for(said: &[String]) -> Result<Vec<String>, Situation> {
    let names: Vec<String> = said.iter().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    if names.is_empty() && !said.is_empty() {
        return Err(Situation::usage("`--permissions` is empty").hint(
            "name some, or `read-only`, or `full`; without the option you choose them in the console",
        ));
    }
    Ok(names)
}

fn role(
    options: &NewKeyOptions,
    key: &KeyRef,
    kind: Kind,
    like: Option<&Record>,
) -> Result<Option<String>, Situation> {
    let roles = provider::provider(key.provider).terms().roles;
    let Some(said) = &options.role else {
        let known = |role: &String| roles.is_some_and(|it| it.names.contains(&role.as_str()));
        return Ok(like.and_then(|it| it.role.clone()).filter(known));
    };
    let Some(roles) = roles.filter(|it| it.kind == kind) else {
        return Err(Situation::usage("only account keys of Mailgun have a role; leave `--role` out"));
    };
    let said = said.to_lowercase();
    if roles.names.contains(&said.as_str()) {
        return Ok(Some(said));
    }
    Err(Situation::usage(format!("`{}` is no role", crate::key::text::printable(&said, 40)))
        .hint(format!("known: {}", roles.names.join(", "))))
}

/// `news-20261122@mg.acme.example`
pub fn login(context: &Context, key: &KeyRef, domain: &Domain) -> String {
    let scope = key.scope.location.as_ref().unwrap_or(&key.scope.agency);
    let user = key.label.as_ref().unwrap_or(scope);
    format!("{user}-{}@{domain}", context.now().strftime("%Y%m%d"))
}
