//! Everything that can be found out before the first change: a rotation that
//! would get stuck half-way does not begin.

use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{ConsumerKind, Judgement, KeyRef, KeyState, Kind, Reason, Record, Secret, Verdict};
use crate::provider::{ConsoleTask, RemoteKey};
use crate::rotation::{Delivery, Liveness, Progress, Side};
use crate::workflow::key_permissions::Held;
use crate::workflow::managing_key::{Managed, Managing};
use crate::workflow::rotation::compare_permissions::Seen;
use crate::workflow::rotation::options::Options;
use crate::workflow::rotation::plan::{Maker, Plan};
use crate::workflow::rotation::record_view::{console_ask, family, place};
use crate::workflow::rotation::{compare_permissions, provider_overlap};
use crate::workflow::smtp_login::Sought;
use crate::workflow::store_secret::{not_in_rotation, recorded_store};
use crate::workflow::{consumers, managing_key, smtp_login};
use crate::{provider, rotation};

/// The grace period when nothing else is said.
const GRACE_SECONDS: i64 = 24 * 60 * 60;

/// Checks one group of records with the same secret. Asks nobody and changes
/// nothing.
///
/// # Errors
/// Why this rotation cannot begin.
pub fn check(
    context: &Context,
    inventory: &Inventory,
    keys: &[KeyRef],
    options: &Options,
) -> anyhow::Result<Plan> {
    let [first, ..] = keys else { return Err(Situation::usage("no key is named").into()) };
    let mut record = inventory.record(first)?.clone();
    place(&mut record);
    let record = &record;
    for key in keys {
        ready(context, inventory, key)?;
    }
    let secret = context.secret(inventory, first, record, Slot::Current).map_err(Situation::from)?;
    let provider = provider::provider(first.provider);
    let mut warnings = Vec::new();
    let by_api = replaceable(first, record, options)?;
    let using = options.using.as_ref().map(|it| context.complete(it)).transpose()?;
    let managing =
        if by_api { Some(manager(context, inventory, first, record, using.as_ref())?) } else { None };
    let judgement = match (&managing, &secret) {
        (Some(found), Some(_)) if keys.contains(&found.keyed.key) => Some(found.judgement.clone()),
        (_, Some(secret)) => Some(smtp_login::judge(context, inventory, (first, record), secret)?),
        (_, None) => None,
    };
    has_login(inventory, (first, record), judgement.as_ref())?;
    judged((first, record), judgement.as_ref(), &mut warnings)?;
    let present = Present { key: first, record, secret: secret.as_ref(), judgement: judgement.as_ref() };
    let Remote { old, using, held } = match &managing {
        Some(found) => Remote {
            old: listed(context, found, present)?,
            using: Some(found.keyed.key.clone()),
            held: Held::default(),
        },
        None => unmanaged(context, inventory, present, options, &mut warnings)?,
    };
    let grace_seconds = grace(options);
    warnings.extend(provider_overlap::warning(first, grace_seconds));
    let asked = permissions(first, options)?;
    let wanted = rotation::wanted(&asked, record, (&held.names, held.whole));
    let guide = provider.console(ConsoleTask::Create, &console_ask(record, wanted, &held.names));
    let clones = !by_api && provider.clones() && wanted.is_empty();
    Ok(Plan {
        keys: keys.to_vec(),
        versions: keys.iter().map(|key| inventory.keys.get(key).and_then(|it| it.current)).collect(),
        consumers: consumers(context, inventory, keys, &mut warnings)?,
        maker: if by_api { using.clone().map_or(Maker::Person, Maker::Api) } else { Maker::Person },
        using,
        grace_seconds,
        compromised: options.compromised,
        kill_now: options.kill_now,
        permissions: asked,
        held,
        guide,
        clones,
        warnings,
        old,
        record: record.clone(),
    })
}

/// The key that is to be replaced, with what the store and the provider say of it.
#[derive(Clone, Copy)]
struct Present<'a> {
    key: &'a KeyRef,
    record: &'a Record,
    /// `None` when the store has lost it.
    secret: Option<&'a Secret>,
    judgement: Option<&'a Judgement>,
}

/// What lists of keys at the provider tell of the old key.
struct Remote {
    old: Side,
    /// The key that made, lists or switches off the old one by API.
    using: Option<KeyRef>,
    /// The permissions that a clone in the console will have.
    held: Held,
}

/// The console makes the key; an API may still switch the old one off.
fn unmanaged(
    context: &Context,
    inventory: &Inventory,
    present: Present<'_>,
    options: &Options,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Remote> {
    let Present { key, record, secret, judgement } = present;
    let mut old = side(present);
    let sought = managing_key::Sought { record, remote_id: old.remote_id.as_deref(), secret };
    let (using, row) = switcher(context, inventory, key, sought, options)?.unzip();
    let row = row.flatten();
    row.iter().for_each(|row| adopt(&mut old, row));
    let unknown = options.permissions.is_empty() && record.permissions.is_empty();
    let mut held = Held::default();
    if provider::provider(key.provider).clones() && unknown {
        let works = judgement.filter(|it| it.accepted());
        let seen = secret.zip(works).map(|(secret, it)| Seen::new(record, secret, it));
        held = compare_permissions::held(context, key, seen, row.as_ref(), warnings)?;
    }
    Ok(Remote { old, using, held })
}

fn grace(options: &Options) -> i64 {
    if options.compromised { 0 } else { options.grace.map_or(GRACE_SECONDS, |it| it.seconds) }
}

fn ready(context: &Context, inventory: &Inventory, key: &KeyRef) -> anyhow::Result<()> {
    let record = inventory.record(key)?;
    not_in_rotation(inventory, key)?;
    if record.state == KeyState::Disabled {
        return Err(Situation::usage(format!("`{key}` is disabled"))
            .hint(format!("`keyctl enable {key}` first, or `keyctl remove {key}`"))
            .into());
    }
    if record.current.is_none() || record.pending.is_some() {
        return Err(Situation::failed("not-complete", format!("adding `{key}` was not completed"))
            .hint(format!("complete it: `keyctl add {key} --replace`"))
            .into());
    }
    let store = context.store_of(inventory, record)?;
    store.check_writable().map_err(Situation::from)?;
    context.must_be_newest(store.as_ref(), key, record)?;
    let recorded = recorded_store(inventory, record);
    if store.name() != recorded
        && context.secret(inventory, key, record, Slot::Current).map_err(Situation::from)?.is_none()
    {
        let message = format!("the secret of `{key}` is in the {recorded} store, not in {}", store.name());
        return Err(Situation::usage(message)
            .hint("leave `--store` away, or copy it with `keyctl store copy`")
            .into());
    }
    Ok(())
}

/// Returns whether the provider's API makes and deletes such keys.
fn replaceable(key: &KeyRef, record: &Record, options: &Options) -> anyhow::Result<bool> {
    let Some(admin) = provider::provider(key.provider).keys() else { return Ok(false) };
    if admin.can_replace(record.kind, None).is_err() || options.stdin {
        return Ok(false);
    }
    match admin.can_replace(record.kind, record.login.as_deref()) {
        Ok(()) => Ok(true),
        Err(why) => Err(Situation::usage(format!("`{key}` cannot be rotated: {why}"))
            .hint(format!(
                "make a login of its own beside it, `keyctl create {}:LABEL@{} --kind {}`, and rotate that one",
                key.provider, key.scope, record.kind
            ))
            .into()),
    }
}

fn manager(
    context: &Context,
    inventory: &Inventory,
    key: &KeyRef,
    record: &Record,
    using: Option<&KeyRef>,
) -> anyhow::Result<Managing> {
    managing_key::find(context, inventory, Managed { key, kind: record.kind }, using)
}

/// Returns a key that can switch the old one off by API, and the old one as the
/// list shows it. Not having one is no obstacle: a person does it then.
fn switcher(
    context: &Context,
    inventory: &Inventory,
    key: &KeyRef,
    old: managing_key::Sought<'_>,
    options: &Options,
) -> anyhow::Result<Option<(KeyRef, Option<RemoteKey>)>> {
    if provider::provider(key.provider).keys().and_then(|it| it.switch()).is_none() {
        return Ok(None);
    }
    let named = options.using.as_ref().map(|it| context.complete(it)).transpose()?;
    let found = match managing_key::find(
        context,
        inventory,
        Managed { key, kind: old.record.kind },
        named.as_ref(),
    ) {
        Ok(found) => found.keyed,
        Err(error) if named.is_some() => return Err(error),
        Err(_) => return Ok(None),
    };
    let row = managing_key::row(context, &found, old)?;
    Ok(Some((found.key, row)))
}

/// Where the login is the account's, it must be known: without it no new key
/// could be tested.
fn has_login(
    inventory: &Inventory,
    (key, record): (&KeyRef, &Record),
    judgement: Option<&Judgement>,
) -> Result<(), Situation> {
    let sought = Sought::of(key, record);
    let needs = record.login.is_none() && smtp_login::are_the_accounts(key.provider, record.kind);
    let untold = match judgement {
        Some(judgement) => judgement.reason() == Some(Reason::PermissionNotCheckable),
        None => smtp_login::teller(inventory, sought).is_none(),
    };
    if needs && untold {
        return Err(smtp_login::missing(inventory, sought, "a new key can only be tested with"));
    }
    Ok(())
}

/// A key that is refused may be replaced all the same; that nothing could be
/// proven of it may not be overlooked.
fn judged(
    (key, record): (&KeyRef, &Record),
    judgement: Option<&Judgement>,
    warnings: &mut Vec<String>,
) -> anyhow::Result<()> {
    let Some(judgement) = judgement else {
        warnings
            .push("the old secret is not in the store; whether it still works cannot be tried".to_owned());
        return Ok(());
    };
    match judgement.verdict() {
        Verdict::Valid => Ok(()),
        Verdict::Limited => {
            warnings.push(format!("the old key is limited: {}", judgement.detail));
            Ok(())
        }
        Verdict::Rejected => {
            warnings.push(format!("the old key does not work now: {}", judgement.detail));
            let suspect = smtp_login::is_suspect(key.provider, record.kind, judgement);
            warnings.extend(judgement.hint.clone().filter(|_| suspect));
            Ok(())
        }
        // What cannot be checked by anybody is no outage.
        Verdict::Unknown if judgement.reason() == Some(Reason::PermissionNotCheckable) => {
            warnings.push(judgement.detail.clone());
            Ok(())
        }
        Verdict::Unknown => {
            let situation = Situation::new(
                Exit::Unknown,
                judgement.reason().map_or("unknown", Reason::as_str),
                format!("whether `{key}` works now could not be told: {}", judgement.detail),
            );
            Err(situation.hint(judgement.hint.clone().unwrap_or_else(|| "try again later".to_owned())).into())
        }
    }
}

fn side(present: Present<'_>) -> Side {
    let Present { key, record, secret, judgement } = present;
    let provider = provider::provider(key.provider);
    let facts = judgement.map(|it| &it.facts);
    // What the secret itself says is believed first: an id that belongs to
    // another key would have that one deleted.
    let embedded = secret.and_then(|it| provider.embedded_id(it)).filter(|_| record.kind != Kind::Private);
    let told = facts.and_then(|it| it.remote_id.clone());
    let is_login = record.kind == Kind::Smtp;
    Side {
        fingerprint: record.fingerprint.clone(),
        last2: record.last2.clone(),
        remote_id: embedded.or(told).or_else(|| record.remote_id.clone()),
        login: record.login.clone().or_else(|| facts.and_then(|it| it.login.clone()).filter(|_| is_login)),
        state: Some(if secret.is_some() { Liveness::Live } else { Liveness::Lost }),
        name: record.remote_name.clone(),
        role: record.role.clone().or_else(|| facts.and_then(|it| it.role.clone())),
        created: record.created,
        expires: record.expires,
        permissions: record.permissions.clone(),
        foreign: false,
    }
}

/// Looks the old key up in the manager's list: what is made must be like it,
/// and in the same account.
fn listed(context: &Context, managing: &Managing, present: Present<'_>) -> anyhow::Result<Side> {
    let Present { key, record, judgement, .. } = present;
    let mut old = side(present);
    let Some(admin) = provider::provider(key.provider).keys() else { return Ok(old) };
    let rows = admin
        .list(context.net()?.by(&managing.keyed.credential()), &family(record, judgement))
        .map_err(|trouble| {
            Situation::new(
                Exit::Unknown,
                trouble.reason.as_str(),
                format!(
                    "the list of keys could not be read with `{}`: {}",
                    managing.keyed.key, trouble.detail
                ),
            )
        })?;
    let id = if record.kind == Kind::Smtp { old.login.clone() } else { old.remote_id.clone() };
    let Some(row) = id.as_ref().and_then(|id| rows.iter().find(|row| row.id == *id)) else {
        if id.is_some() && judgement.is_some_and(Judgement::accepted) {
            return Err(Situation::usage(format!(
                "`{}` manages another account: it does not list `{key}`, which works",
                managing.keyed.key
            ))
            .hint("name a managing key of the same account with `--using KEYREF`")
            .into());
        }
        return Ok(old);
    };
    fill(&mut old, row);
    Ok(old)
}

fn adopt(old: &mut Side, row: &RemoteKey) {
    old.remote_id = Some(row.id.clone());
    fill(old, row);
}

fn fill(old: &mut Side, row: &RemoteKey) {
    old.name = row.name.clone().or(old.name.take());
    old.role = row.role.clone().or(old.role.take());
    old.created = old.created.or(row.created);
    if let (crate::key::Expiry::Unknown, Some(at)) = (old.expires, row.expires) {
        old.expires = crate::key::Expiry::At(at);
    }
}

fn consumers(
    context: &Context,
    inventory: &Inventory,
    keys: &[KeyRef],
    warnings: &mut Vec<String>,
) -> anyhow::Result<Vec<Delivery>> {
    let mut deliveries = Vec::new();
    for key in keys {
        let record = inventory.record(key)?;
        for consumer in &record.consumers {
            if consumers::is_gone(inventory, key, consumer) {
                warnings.push(format!(
                    "`{}` is left out: HighLevel says that the location does not exist any more",
                    consumer.name
                ));
                continue;
            }
            consumers::ready(inventory, key, consumer).map_err(|failed| {
                let situation =
                    Situation::failed("consumer-not-ready", format!("`{}`: {}", consumer.name, failed.why));
                match failed.hint {
                    Some(hint) => situation.hint(hint),
                    None => situation,
                }
            })?;
            if consumer.kind == ConsumerKind::Command && !consumers::is_approved(context, &consumer.command) {
                let shown = consumers::spelt(&consumer.command);
                warnings
                    .push(format!("`{}` runs a command that is not approved here: {shown}", consumer.name));
            }
            deliveries.push(Delivery {
                key: key.clone(),
                name: consumer.name.clone(),
                kind: consumer.kind,
                state: Progress::Todo,
                by: None,
                at: None,
            });
        }
    }
    if deliveries.is_empty() {
        warnings.push(
            "no place is recorded where this key is used: after the grace period it is simply gone there"
                .to_owned(),
        );
    }
    Ok(deliveries)
}

/// Asks for the approval of every command that the plans would run.
///
/// # Errors
/// Exit 9 for the first that is not approved.
pub fn approvals(context: &Context, inventory: &Inventory, keys: &[KeyRef]) -> anyhow::Result<()> {
    let records = keys.iter().filter_map(|key| inventory.keys.get(key));
    let commands: Vec<(&str, &[String])> = records
        .flat_map(|record| &record.consumers)
        .filter(|it| it.kind == ConsumerKind::Command)
        .map(|it| (it.name.as_str(), it.command.as_slice()))
        .collect();
    consumers::ask_approval(context, &commands)
}

fn permissions(key: &KeyRef, options: &Options) -> anyhow::Result<Vec<String>> {
    let facet = provider::provider(key.provider).permissions();
    match (facet, options.permissions.as_slice()) {
        (_, []) => Ok(Vec::new()),
        (Some(facet), wanted) => {
            wanted.iter().map(|it| facet.normalise(it).map_err(|why| Situation::usage(why).into())).collect()
        }
        (None, _) => {
            Err(Situation::usage(format!("keys of {} have no permissions to choose", key.provider)).into())
        }
    }
}
