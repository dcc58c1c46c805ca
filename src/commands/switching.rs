//! Switching a key off and on at its provider, reversibly: by API, or by a
//! person in the console. Either way the key itself is tried afterwards.

use serde::Serialize;
use serde_json::Value;

use super::guiding;
use super::keeping::not_in_rotation;
use super::logins;
use super::managing::{self, Managed, Managing};
use super::remember::{Asked, remember};
use crate::context::{Context, Slot, Unusable};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Judgement, KeyRef, KeyRefArg, KeyState, Reason, Record, Verdict};
use crate::output::{Answer, Page, Report, Tone};
use crate::provider::{self, ConsoleAsk, ConsoleTask, Family};

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
enum How {
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
) -> anyhow::Result<Exit> {
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
        remember(context, &[(&key, record, judgement)])?;
    }
    let exit = told(context, &key, turn, judgement.as_ref(), shown, records);
    let state = if records { turn.state() } else { record.state };
    let verdict = judgement.as_ref().map(Judgement::verdict);
    let reason = judgement.as_ref().and_then(Judgement::reason);
    context.console.report(&Switched { command: turn.word(), key, state, how, verdict, reason })?;
    Ok(exit)
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
        match managing::find(context, inventory, Managed { key, kind: record.kind }, using) {
            Ok(manager) => {
                consent(context, key, record, turn)?;
                let Some(id) = remote_id(context, inventory, (key, record), &manager)? else {
                    context.console.note(format!(
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
            Err(error) => context.console.note(format!("note: not by API: {error}")),
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
    match context.console.confirm(&format!("Switch `{key}` off at {}{breaks}?", key.provider)) {
        Answer::Yes => {
            context.restart_clock();
            Ok(())
        }
        Answer::No => Err(Situation::refused("not-confirmed", "nothing was changed").into()),
        Answer::Nobody => {
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
    guiding::show(context, &title, &guide);
    let question = format!("Is `{key}` {}d?", turn.word());
    let answer = context.console.ask(&format!("{question} [y/N] "));
    match answer.map(|it| it.trim().to_lowercase()) {
        Some(text) if ["y", "yes", "j", "ja"].contains(&text.as_str()) => Ok(How::Person),
        Some(_) => Err(Situation::refused("not-confirmed", "nothing was recorded").into()),
        None => {
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
    let mut judgement = logins::judge(context, inventory, (key, record), &secret)?;
    logins::doubt(key.provider, record.kind, &mut judgement);
    Ok(Some((judgement, Asked::of(context, inventory, key, record, &secret))))
}

fn told(
    context: &Context,
    key: &KeyRef,
    turn: Turn,
    judgement: Option<&Judgement>,
    shown: Option<bool>,
    recorded: bool,
) -> Exit {
    let detail = judgement.map(|it| it.detail.as_str()).unwrap_or("its secret is not in the store");
    let recorded = if recorded { "recorded all the same" } else { "nothing was recorded" };
    match (turn, shown) {
        (_, Some(true)) => Exit::Done,
        (Turn::Off, Some(false)) => {
            context.console.warning(format!("`{key}` still works; {recorded}: {detail}"));
            Exit::Rejected
        }
        (Turn::On, Some(false)) => {
            context.console.warning(format!("`{key}` is still refused; {recorded}: {detail}"));
            Exit::Rejected
        }
        (_, None) => {
            context
                .console
                .warning(format!("that `{key}` is {}d could not be proven: {detail}", turn.word()));
            if let Some(hint) = judgement.and_then(|it| it.hint.as_ref()) {
                context.console.hint(hint);
            }
            Exit::Unknown
        }
    }
}

struct Switched {
    command: &'static str,
    key: KeyRef,
    state: KeyState,
    how: How,
    verdict: Option<Verdict>,
    reason: Option<Reason>,
}

impl Report for Switched {
    fn command(&self) -> &'static str {
        self.command
    }

    fn data(&self) -> Value {
        serde_json::json!({
            "key": self.key,
            "state": self.state,
            "how": self.how,
            "verdict": self.verdict,
            "reason": self.reason,
        })
    }

    fn human(&self, page: &mut Page) {
        page.pieces(&[
            (Tone::Strong, self.key.as_str()),
            (Tone::Plain, "  "),
            (Tone::Plain, self.state.as_str()),
        ]);
        page.fields(&[
            ("  verdict", self.verdict.map(|it| it.as_str()).unwrap_or_default().into()),
            ("  reason", self.reason.map(|it| it.as_str()).unwrap_or_default().into()),
        ]);
    }
}
