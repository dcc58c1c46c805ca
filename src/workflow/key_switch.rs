//! Switching a key off and on at its provider, reversibly: by API, or by a
//! person in the console. Either way the key itself is tried afterwards.

use serde::Serialize;

use crate::context::{Context, Slot, Unusable};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Judgement, KeyRef, KeyRefArg, KeyState, Reason, Record, Verdict};
use crate::operator::{Consent, ConsentQuestion, Testimony, TestimonyQuestion};
use crate::provider;
use crate::provider::{ConsoleAsk, ConsoleTask, Family};
use crate::workflow::managing_key::{Managed, Managing};
use crate::workflow::store_secret::not_in_rotation;
use crate::workflow::verdict_memory::{Asked, remember};
use crate::workflow::{console_guide, managing_key, smtp_login};

/// Which way a key is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Off,
    On,
}

impl Turn {
    fn word(self) -> &'static str {
        match self {
            Self::Off => "disable",
            Self::On => "enable",
        }
    }

    fn state(self) -> KeyState {
        match self {
            Self::Off => KeyState::Disabled,
            Self::On => KeyState::Active,
        }
    }

    fn task(self) -> ConsoleTask {
        match self {
            Self::Off => ConsoleTask::Disable,
            Self::On => ConsoleTask::Enable,
        }
    }

    /// Returns whether a verdict is what is expected after it.
    fn is_shown_by(self, verdict: Verdict) -> Option<bool> {
        match (self, verdict) {
            (_, Verdict::Unknown) => None,
            (Self::Off, Verdict::Rejected) | (Self::On, Verdict::Valid | Verdict::Limited) => Some(true),
            (Self::Off, Verdict::Valid | Verdict::Limited) | (Self::On, Verdict::Rejected) => Some(false),
        }
    }
}

/// Who switched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    Api,
    Person,
    Recorded,
}

/// Switches a key, proves it and records it.
///
/// # Errors
/// As the commands say.
pub fn run(
    context: &Context,
    typed: &KeyRefArg,
    turn: Turn,
    done: bool,
    using: Option<&KeyRefArg>,
) -> anyhow::Result<Switched> {
    let inventory = context.inventory()?;
    let key = context.complete(typed)?;
    let record = inventory.record(&key)?;
    not_in_rotation(inventory, &key)?;
    let how = if done {
        How::Recorded
    } else {
        let using = using.map(|it| context.complete(it)).transpose()?;
        switched(context, inventory, (&key, record), turn, using.as_ref())?
    };
    context.restart_clock();
    let (judgement, asked) = tried(context, inventory, &key, record)?.unzip();
    let shown = judgement.as_ref().and_then(|it| turn.is_shown_by(it.verdict()));
    // A person's word stands against a live key only where it was given by `--done`.
    let records = how == How::Recorded || how == How::Api || shown != Some(false);
    if records {
        context.update(|inventory| {
            let Some(record) = inventory.keys.get_mut(&key) else {
                return Err(inventory.no_such_key(&key).into());
            };
            record.state = turn.state();
            Ok(())
        })?;
    }
    if let (Some(judgement), true) = (&judgement, asked.is_some_and(|it| it.is_current())) {
        remember(context, &[(&key, record, judgement)]);
    }
    let outcome = Outcome { turn, judgement: judgement.as_ref(), shown, recorded: records };
    let exit = outcome.tell(context, &key);
    let state = if records { turn.state() } else { record.state };
    let verdict = judgement.as_ref().map(Judgement::verdict);
    let reason = judgement.as_ref().and_then(Judgement::reason);
    Ok(Switched { command: turn.word(), key, state, how, verdict, reason, exit })
}

fn switched(
    context: &Context,
    inventory: &Inventory,
    (key, record): (&KeyRef, &Record),
    turn: Turn,
    using: Option<&KeyRef>,
) -> anyhow::Result<How> {
    let provider = provider::provider(key.provider);
    let switch = provider.keys().and_then(|it| it.switch());
    if let Some(switch) = switch {
        match managing_key::find(context, inventory, Managed { key, kind: record.kind }, using) {
            Ok(manager) => {
                consent(context, key, record, turn)?;
                let Some(id) = remote_id(context, inventory, (key, record), &manager)? else {
                    context.operator.note(format!(
                        "note: not by API: the list that `{}` sees does not tell which key `{key}` is",
                        manager.keyed.key
                    ));
                    return by_person(context, key, record, turn);
                };
                let net = context.net()?;
                switch.set(net.by(&manager.keyed.credential()), &id, turn == Turn::On).map_err(
                    |trouble| {
                        let unknown = trouble.reason.verdict() == Verdict::Unknown;
                        let exit = if unknown { Exit::Unknown } else { Exit::Failed };
                        let message = format!("`{key}` was not switched: {}", trouble.detail);
                        let hint = trouble.hint.unwrap_or_else(|| "nothing was recorded".to_owned());
                        Situation::new(exit, trouble.reason.as_str(), message).hint(hint)
                    },
                )?;
                return Ok(How::Api);
            }
            Err(error) if using.is_some() => return Err(error),
            Err(error) => context.operator.note(format!("note: not by API: {error}")),
        }
    }
    by_person(context, key, record, turn)
}

/// Returns the provider's id of the key: the recorded one, else that of the
/// listed key whose masked form ends like the secret.
fn remote_id(
    context: &Context,
    inventory: &Inventory,
    (key, record): (&KeyRef, &Record),
    manager: &Managing,
) -> anyhow::Result<Option<String>> {
    if record.remote_id.is_some() {
        return Ok(record.remote_id.clone());
    }
    let Some(admin) = provider::provider(key.provider).keys() else { return Ok(None) };
    let secret = context.secret(inventory, key, record, Slot::Current).map_err(Situation::from)?;
    let Some(secret) = secret else { return Ok(None) };
    let family = Family { kind: record.kind, domain: record.domain.as_ref(), region: record.region };
    let listed = admin.list(context.net()?.by(&manager.keyed.credential()), &family).unwrap_or_default();
    Ok(admin.own(&listed, &secret).map(|it| it.id.clone()))
}

fn consent(context: &Context, key: &KeyRef, record: &Record, turn: Turn) -> anyhow::Result<()> {
    if turn == Turn::On {
        return Ok(());
    }
    let places: Vec<&str> = record.consumers.iter().map(|it| it.name.as_str()).collect();
    let breaks = if places.is_empty() { String::new() } else { format!(" ({} use it)", places.join(", ")) };
    let question = ConsentQuestion::SwitchOff {
        key: key.to_string(),
        provider: key.provider.to_string(),
        used_by: breaks,
    };
    match context.operator.consent(&question) {
        Consent::Given => {
            context.restart_clock();
            Ok(())
        }
        Consent::Refused => Err(Situation::refused("not-confirmed", "nothing was changed").into()),
        Consent::NoOne => {
            Err(Situation::refused("not-confirmed", format!("switching `{key}` off needs a word of consent"))
                .hint("add `--yes`")
                .into())
        }
    }
}

fn by_person(context: &Context, key: &KeyRef, record: &Record, turn: Turn) -> anyhow::Result<How> {
    let ask = ConsoleAsk {
        kind: Some(record.kind),
        domain: record.domain.as_ref(),
        account_id: record.account_id.as_deref(),
        remote_name: record.remote_name.as_deref(),
        ..ConsoleAsk::default()
    };
    let Some(guide) = provider::provider(key.provider).console(turn.task(), &ask) else {
        let message = format!(
            "keys of {} cannot be {}d: neither its API nor its console can; deleting is the only way",
            key.provider,
            turn.word()
        );
        return Err(Situation::usage(message)
            .hint(format!("`keyctl rotate {key}` replaces it, `keyctl remove {key} --revoke` deletes it"))
            .into());
    };
    let which = record.last2.as_ref().map(|it| format!(" (ending in {it})")).unwrap_or_default();
    let title =
        format!("{} `{key}`{which} in the console:", if turn == Turn::Off { "Disable" } else { "Enable" });
    console_guide::show(context, &title, &guide);
    let how = if turn == Turn::Off { "disabled" } else { "enabled" };
    match context.operator.testimony(&TestimonyQuestion::Switched { key: key.to_string(), how }) {
        Testimony::Given => Ok(How::Person),
        Testimony::Refused => Err(Situation::refused("not-confirmed", "nothing was recorded").into()),
        Testimony::NoOne => {
            Err(Situation::human(format!("a person {}s `{key}` in the console: {}", turn.word(), guide.url))
                .hint(format!("then record it: `keyctl {} {key} --done`", turn.word()))
                .into())
        }
    }
}

fn tried(
    context: &Context,
    inventory: &Inventory,
    key: &KeyRef,
    record: &Record,
) -> anyhow::Result<Option<(Judgement, Asked)>> {
    let secret = match context.secret(inventory, key, record, Slot::Current) {
        // What was done at the provider is recorded all the same.
        Err(Unusable::Mismatch(mismatch)) => return Ok(Some((mismatch.judgement(), Asked::Another))),
        other => other.map_err(Situation::from)?,
    };
    let Some(secret) = secret else { return Ok(None) };
    let mut judgement = smtp_login::judge(context, inventory, (key, record), &secret)?;
    smtp_login::doubt(key.provider, record.kind, &mut judgement);
    Ok(Some((judgement, Asked::of(context, inventory, key, record, &secret))))
}

/// What the try of a switched key showed.
struct Outcome<'a> {
    turn: Turn,
    judgement: Option<&'a Judgement>,
    /// Whether the key is shown to be switched as it should; `None`: neither way.
    shown: Option<bool>,
    recorded: bool,
}

impl Outcome<'_> {
    fn tell(&self, context: &Context, key: &KeyRef) -> Exit {
        let Self { turn, judgement, shown, recorded } = *self;
        let detail = judgement.map(|it| it.detail.as_str()).unwrap_or("its secret is not in the store");
        let recorded = if recorded { "recorded all the same" } else { "nothing was recorded" };
        match (turn, shown) {
            (_, Some(true)) => Exit::Done,
            (Turn::Off, Some(false)) => {
                context.operator.warning(format!("`{key}` still works; {recorded}: {detail}"));
                Exit::Rejected
            }
            (Turn::On, Some(false)) => {
                context.operator.warning(format!("`{key}` is still refused; {recorded}: {detail}"));
                Exit::Rejected
            }
            (_, None) => {
                context
                    .operator
                    .warning(format!("that `{key}` is {}d could not be proven: {detail}", turn.word()));
                if let Some(hint) = judgement.and_then(|it| it.hint.as_ref()) {
                    context.operator.hint(hint);
                }
                Exit::Unknown
            }
        }
    }
}

/// What came of it.
pub struct Switched {
    /// The command's word.
    pub command: &'static str,
    pub key: KeyRef,
    pub state: KeyState,
    pub how: How,
    pub verdict: Option<Verdict>,
    pub reason: Option<Reason>,
    pub exit: Exit,
}
