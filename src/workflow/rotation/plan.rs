//! What a rotation would do: plain data, shown before anything is changed.

use crate::clock::spoken;
use crate::key::{ConsumerKind, KeyRef, Record};
use crate::operator::{Emphasis, Sheet};
use crate::provider;
use crate::provider::{ConsoleTask, Guide};
use crate::rotation::{Delivery, Side};
use crate::workflow::key_permissions::Held;
use crate::workflow::rotation::record_view::console_ask;

/// Who makes the new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// This key, by API.
    Api(KeyRef),
    /// A person, in the provider's console.
    Person,
}

/// A rotation that passed every check that can be made before it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The records of the same secret; the first names the rotation.
    pub keys: Vec<KeyRef>,
    /// The first record.
    pub record: Record,
    /// The versions that were current when it was checked, in the order of `keys`.
    pub versions: Vec<Option<u32>>,
    pub old: Side,
    pub maker: Maker,
    /// The key that switches off or deletes the old one by API, where one may.
    pub using: Option<KeyRef>,
    pub consumers: Vec<Delivery>,
    pub grace_seconds: i64,
    pub compromised: bool,
    pub kill_now: bool,
    pub permissions: Vec<String>,
    /// What the old key was found to have, where nothing says what it should.
    pub held: Held,
    /// The person clones the old key: not all that it may do is known.
    pub clones: bool,
    /// The way through the console, where a person makes the key.
    pub guide: Option<Guide>,
    pub warnings: Vec<String>,
}

impl Plan {
    pub fn key(&self) -> &KeyRef {
        &self.keys[0]
    }

    /// Returns what would be done, in order, in one sentence each.
    pub fn steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        steps.push(match &self.maker {
            Maker::Api(key) => {
                let role = self.old.role.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
                format!("make a new {} key{role} by API, with `{key}`", self.record.kind)
            }
            Maker::Person if self.clones => format!(
                "a person clones the {} key in the console, since not all that it may do can be told, and pastes the clone here",
                self.record.kind
            ),
            Maker::Person => {
                format!("a person makes a new {} key in the console, and pastes it here", self.record.kind)
            }
        });
        steps.push("test it: accepted, the same account, at least the same rights and domains".to_owned());
        steps.push(format!("make it current for {}", joined(self.keys.iter().map(KeyRef::to_string))));
        let of = |automatic: bool| {
            let kinds = self.consumers.iter().filter(|it| (it.kind != ConsumerKind::Manual) == automatic);
            kinds.map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        let (pushed, pasted) = (of(true), of(false));
        if !pushed.is_empty() {
            steps.push(format!("hand it to {}", joined(pushed.into_iter())));
        }
        if !pasted.is_empty() {
            steps.push(format!(
                "wait until a person has pasted it: {}, and said so with `--ack`",
                joined(pasted.into_iter())
            ));
        }
        steps.push(self.last_step());
        steps
    }

    fn last_step(&self) -> String {
        let id = self.old.login.as_deref().filter(|_| self.record.kind == crate::key::Kind::Smtp);
        let id = id.or(self.old.remote_id.as_deref()).map(|it| format!(" ({it})")).unwrap_or_default();
        let how = match (&self.maker, &self.using) {
            (Maker::Api(_), _) => "delete the old key by API",
            (Maker::Person, Some(_)) => {
                "switch the old key off by API, have a person delete it in the console"
            }
            (Maker::Person, None) if self.person_switches_off() => {
                "have a person switch the old key off in the console, and then delete it"
            }
            (Maker::Person, None) => "have a person delete the old key in the console",
        };
        if self.kill_now {
            format!("no grace: {how}{id} at once, and prove it dead")
        } else if self.compromised {
            format!("no grace: {how}{id} as soon as every place has the new one, and prove it dead")
        } else {
            format!("after {} of grace, {how}{id}, and prove it dead", spoken(self.grace_seconds))
        }
    }

    fn person_switches_off(&self) -> bool {
        let ask = console_ask(&self.record, &[], &[]);
        let provider = provider::provider(self.key().provider);
        !self.compromised && provider.console(ConsoleTask::Disable, &ask).is_some()
    }

    /// Returns what stops working when the old key dies before the places have the new one.
    pub fn breaks(&self) -> Option<String> {
        if !self.compromised {
            return None;
        }
        let waiting = self.consumers.iter().filter(|it| it.kind == ConsumerKind::Manual);
        let waiting: Vec<String> = waiting.map(|it| it.name.clone()).collect();
        let what = if waiting.is_empty() {
            "whatever uses the old key and is not recorded".to_owned()
        } else {
            format!("{}, and whatever uses the old key and is not recorded", joined(waiting.into_iter()))
        };
        Some(format!("what still has the old key stops working when it dies: {what}"))
    }

    /// Returns the plan for a person to read.
    pub fn sheet(&self) -> Sheet {
        let shown = self.old.last2.as_ref().map(|it| format!("  …{it}")).unwrap_or_default();
        let mut sheet = Sheet::titled(format!("{}{shown}", self.key()));
        for (n, step) in self.steps().iter().enumerate() {
            sheet.line(Emphasis::Plain, 2, format!("{}. {step}", n + 1));
        }
        for warning in self.warnings.iter().chain(&self.breaks()) {
            sheet.line(Emphasis::Warn, 2, format!("! {warning}"));
        }
        sheet
    }
}

/// Returns names in backticks, separated by commas.
pub fn joined(names: impl Iterator<Item = String>) -> String {
    names.map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}
