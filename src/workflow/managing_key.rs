//! Which key makes and deletes other keys: the one that was named, else the
//! key itself if it may, else the only one at the scope or its agency that may.

use crate::context::{Context, Slot, Usable};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::verdict::Facts;
use crate::key::{Judgement, KeyRef, KeyState, Kind, Record, Scope, Secret};
use crate::provider;
use crate::provider::{Credential, Family, KeyAdmin, RemoteKey, Right};

/// A recorded key with its secret: enough to use it.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub key: KeyRef,
    pub record: Record,
    pub secret: Secret,
}

impl Keyed {
    /// Reads the current secret of a record.
    ///
    /// # Errors
    /// Exit 7 when the store cannot be read, exit 8 when there is no such key
    /// or its secret is missing, exit 4 when the store holds another text.
    pub fn read(context: &Context, inventory: &Inventory, key: &KeyRef) -> anyhow::Result<Self> {
        let record = inventory.record(key)?;
        let secret = context.need_secret(inventory, key, record, Slot::Current)?;
        Ok(Self { key: key.clone(), record: record.clone(), secret })
    }

    /// Reads a secret for a command that only looks or sends a message: of a
    /// key that is being rotated also the version that the `env` store holds.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn usable(context: &Context, inventory: &Inventory, key: &KeyRef) -> anyhow::Result<Self> {
        let Usable { secret, record } = context.usable(inventory, key, inventory.record(key)?)?;
        Ok(Self { key: key.clone(), record: record.into_owned(), secret })
    }

    pub fn credential(&self) -> Credential<'_> {
        Credential::of(&self.record, &self.secret)
    }
}

/// A key that may manage others, proven in this run.
#[derive(Debug, Clone)]
pub struct Managing {
    pub keyed: Keyed,
    pub judgement: Judgement,
}

/// What is to be managed.
#[derive(Debug, Clone, Copy)]
pub struct Managed<'a> {
    /// The key itself; it need not be recorded yet.
    pub key: &'a KeyRef,
    pub kind: Kind,
}

/// Finds the key that manages `managed`. Each candidate is proven live; none
/// is used that only its record says it may.
///
/// # Errors
/// Exit 2 when none may (or several may, and none was named), exit 4 when it
/// could not be told, exit 7 or 8 when the named one cannot be read.
pub fn find(
    context: &Context,
    inventory: &Inventory,
    managed: Managed<'_>,
    using: Option<&KeyRef>,
) -> anyhow::Result<Managing> {
    let provider = provider::provider(managed.key.provider);
    let Some(admin) = provider.keys() else {
        return Err(
            Situation::usage(format!("{} has no API that makes or deletes keys", provider.id())).into()
        );
    };
    if let Some(named) = using {
        if named.provider != managed.key.provider {
            return Err(Situation::usage(format!(
                "`{named}` is a key of {}, not of {}",
                named.provider, managed.key.provider
            ))
            .into());
        }
        return match tried(context, Keyed::read(context, inventory, named)?, managed, admin)? {
            (managing, Right::Yes) => Ok(managing),
            (_, Right::No(why)) => Err(may_not(managed, format!("`{named}` may not manage keys: {why}"))),
            (_, Right::Unknown(why)) => Err(untold(named, &why)),
        };
    }
    let mut found = Candidates::default();
    for key in candidates(inventory, managed, admin) {
        let keyed = match Keyed::read(context, inventory, &key) {
            Ok(keyed) => keyed,
            Err(error) => {
                found.unable.push(format!("`{key}`: {error}"));
                continue;
            }
        };
        match tried(context, keyed, managed, admin)? {
            (managing, Right::Yes) if key == *managed.key => return Ok(managing),
            (managing, Right::Yes) => found.able.push(managing),
            (_, Right::No(why)) => found.unable.push(format!("`{key}`: {why}")),
            (_, Right::Unknown(why)) => {
                found.doubt.get_or_insert((key, why));
            }
        }
    }
    found.only(managed)
}

/// The keys that were tried, by what came of it.
#[derive(Default)]
struct Candidates {
    able: Vec<Managing>,
    /// Why each of the others may not manage, or could not be read.
    unable: Vec<String>,
    /// The first of which it could not be told, and why.
    doubt: Option<(KeyRef, String)>,
}

impl Candidates {
    /// Returns the only key that may manage.
    fn only(self, managed: Managed<'_>) -> anyhow::Result<Managing> {
        let Self { mut able, unable, doubt } = self;
        // The same secret recorded twice is one key.
        let mut seen = std::collections::BTreeSet::new();
        able.retain(|it| seen.insert(it.keyed.secret.fingerprint()));
        match (able.len(), doubt) {
            // A key of which nothing could be told does not make a proven one ambiguous.
            (1, _) => able.pop().ok_or_else(|| may_not(managed, String::new())),
            (0, Some((key, why))) => Err(untold(&key, &why)),
            (0, None) => {
                let tried =
                    if unable.is_empty() { String::new() } else { format!(" ({})", unable.join("; ")) };
                Err(may_not(managed, format!("no key at hand may manage `{}`{tried}", managed.key)))
            }
            (_, _) => {
                let refs: Vec<String> = able.iter().map(|it| format!("`{}`", it.keyed.key)).collect();
                Err(Situation::new(
                    Exit::Usage,
                    "ambiguous",
                    format!("several keys may manage `{}`: {}", managed.key, refs.join(", ")),
                )
                .hint("name one with `--using KEYREF`")
                .into())
            }
        }
    }
}

/// A key to be found in the list that a managing key reads.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    pub record: &'a Record,
    pub remote_id: Option<&'a str>,
    pub secret: Option<&'a Secret>,
}

/// Returns a key as the list of a managing key shows it; `None` where that
/// cannot be read or does not tell which one it is.
///
/// # Errors
/// When the network cannot be set up.
pub fn row(context: &Context, manager: &Keyed, sought: Sought<'_>) -> anyhow::Result<Option<RemoteKey>> {
    let Some(admin) = provider::provider(manager.key.provider).keys() else { return Ok(None) };
    let Sought { record, remote_id, secret } = sought;
    let family = Family { kind: record.kind, domain: record.domain.as_ref(), region: record.region };
    let rows = admin.list(context.net()?.by(&manager.credential()), &family).unwrap_or_default();
    let by_id = remote_id.and_then(|id| rows.iter().find(|row| row.id == id));
    let found = by_id.or_else(|| admin.own(&rows, secret?));
    Ok(found.cloned())
}

/// Returns the records worth asking: the key itself first, then those at its
/// scope and its agency whose kind can have the right at all.
fn candidates(inventory: &Inventory, managed: Managed<'_>, admin: &dyn KeyAdmin) -> Vec<KeyRef> {
    let levels: Vec<Scope> = managed.key.scope.levels().collect();
    let mut found: Vec<KeyRef> = Vec::new();
    let records = levels.iter().flat_map(|level| inventory.keys.at(level));
    for (key, record) in records.filter(|(key, _)| key.provider == managed.key.provider) {
        let known = Facts { role: record.role.clone(), ..Facts::default() };
        let hopeless = matches!(admin.may_manage(record.kind, &known, managed.kind), Right::No(_));
        let usable = record.state == KeyState::Active && record.current.is_some();
        if usable && (!hopeless || key == managed.key) {
            found.push(key.clone());
        }
    }
    found.sort_by_key(|key| key != managed.key);
    found
}

/// Proves a candidate live.
fn tried(
    context: &Context,
    keyed: Keyed,
    managed: Managed<'_>,
    admin: &dyn KeyAdmin,
) -> anyhow::Result<(Managing, Right)> {
    let without_a_probe = admin.may_manage(keyed.record.kind, &Facts::default(), managed.kind);
    if let Right::No(why) = without_a_probe {
        return Ok((Managing { keyed, judgement: Judgement::default() }, Right::No(why)));
    }
    let net = context.net()?;
    let judgement = provider::provider(managed.key.provider).check(&net, &keyed.credential());
    let right = if judgement.accepted() {
        admin.may_manage(keyed.record.kind, &judgement.facts, managed.kind)
    } else if judgement.verdict() == crate::key::Verdict::Rejected {
        Right::No(format!("it is refused: {}", judgement.detail))
    } else {
        Right::Unknown(judgement.detail.clone())
    };
    Ok((Managing { keyed, judgement }, right))
}

fn may_not(managed: Managed<'_>, message: String) -> anyhow::Error {
    let message = if message.is_empty() { format!("no key may manage `{}`", managed.key) } else { message };
    Situation::new(Exit::Usage, "no-managing-key", message)
        .hint(
            "name one that may with `--using KEYREF`, or give a key made in the provider's console with `--stdin`",
        )
        .into()
}

fn untold(key: &KeyRef, why: &str) -> anyhow::Error {
    Situation::new(
        Exit::Unknown,
        "managing-key-unknown",
        format!("whether `{key}` may manage keys could not be told: {why}"),
    )
    .hint("try again later, or name another key with `--using KEYREF`")
    .into()
}
