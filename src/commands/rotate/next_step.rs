//! What comes next in a rotation, who does it, and the words for it.

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::rfc3339;
use crate::commands::CommandContext;
use crate::commands::rotate::place::Place;
use crate::inventory::Inventory;
use crate::key::{KeyRef, Record};
use crate::provider;
use crate::provider::{ConsoleTask, Provider};
use crate::rotation::{Means, Pause, Progress, Rotation, Stage, Step, next};
use crate::workflow::rotation::provider_overlap;
use crate::workflow::rotation::record_view::console_ask;
use crate::workflow::rotation::session::means;

/// Who acts next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    Keyctl,
    Human,
    Time,
}

#[derive(Debug, Clone, Serialize)]
pub struct Next {
    pub action: &'static str,
    pub by: By,
    pub detail: String,
    pub url: Option<String>,
}

impl Next {
    fn human(action: &'static str, detail: String) -> Self {
        Self { action, by: By::Human, detail, url: None }
    }
}

/// Returns what comes next; `None` for a rotation that is over.
pub fn next_of(
    context: &CommandContext,
    inventory: &Inventory,
    rotation: &Rotation,
    consumers: &[Place],
) -> Option<Next> {
    if !inventory.rotations.contains_key(&rotation.id) {
        return None;
    }
    let key = &rotation.keys[0];
    let record = inventory.keys.get(key)?;
    let provider = provider::provider(key.provider);
    let replaces =
        provider.keys().is_some_and(|it| it.can_replace(record.kind, record.login.as_deref()).is_ok());
    let means = means(provider, Some(record), rotation);
    let course = Course { rotation, key, record, provider, replaces, means };
    Some(course.next(next(rotation, context.now(), means), consumers))
}

/// What decides the words for the next step.
struct Course<'a> {
    rotation: &'a Rotation,
    key: &'a KeyRef,
    record: &'a Record,
    provider: &'static dyn Provider,
    /// Whether the provider's API makes and deletes such keys.
    replaces: bool,
    means: Means,
}

impl Course<'_> {
    fn next(&self, step: Step, consumers: &[Place]) -> Next {
        match step {
            Step::Create => self.create(),
            Step::Test => self.resume("test", "test the new key"),
            Step::Switch => self.resume("switch", "make the new key current"),
            Step::Deploy => self.resume("deploy", "hand the key to the places that take it by themselves"),
            Step::BeginGrace => self.resume("grace", "begin the grace period"),
            Step::CheckUse => self.resume("retire", "retire the old key"),
            Step::Disable if self.means.switches_off => self.resume("disable", "switch the old key off"),
            Step::Disable => self.by_person(
                ConsoleTask::Disable,
                "disable",
                "switch the old key off in the console, do not delete it yet; then `--resume`",
            ),
            Step::Retire => self.retire(),
            Step::Prove => self.resume("verify", "prove that the deleted key is dead"),
            Step::Finish => self.resume("finish", "tidy up"),
            Step::Wait(Pause::Time(until)) => self.time(until),
            Step::Wait(Pause::Campaign) => self.campaign(consumers),
            Step::Wait(Pause::People) => self.people(consumers),
        }
    }

    fn by_person(&self, task: ConsoleTask, action: &'static str, detail: &str) -> Next {
        let ask = console_ask(self.record, self.rotation.wanted(self.record), &self.rotation.held);
        let url = self.provider.console(task, &ask).map(|it| it.url);
        Next { url, ..Next::human(action, detail.to_owned()) }
    }

    fn resume(&self, action: &'static str, detail: &str) -> Next {
        let detail = format!("{detail}: `keyctl rotate {} --resume`", self.key);
        Next { action, by: By::Keyctl, detail, url: None }
    }

    fn create(&self) -> Next {
        let clones = self.provider.clones() && self.rotation.wanted(self.record).is_empty();
        let detail = if !self.replaces && clones {
            "clone the key in the console and give the clone with `--resume`"
        } else if self.rotation.using.is_none() || !self.replaces {
            "make the new key in the console and give it with `--resume`"
        } else {
            return self.resume("create", "make the new key");
        };
        self.by_person(ConsoleTask::Create, "create", detail)
    }

    fn retire(&self) -> Next {
        let Rotation { stage, using, .. } = self.rotation;
        let detail = if !self.replaces && *stage == Stage::Disabled {
            "the old key is switched off: delete it in the console when nothing misses it; `--rollback` until then"
        } else if !self.replaces || (stage.is_undoing() && using.is_none()) {
            "delete the key that leaves in the console"
        } else {
            return self.resume("retire", "delete the key that leaves");
        };
        self.by_person(ConsoleTask::Delete, "delete", detail)
    }

    fn time(&self, until: Timestamp) -> Next {
        if let Some(used) = self.rotation.used_at {
            let detail = format!("the old key was used at {}: find who still has it", rfc3339(used));
            return Next::human("find-user", detail);
        }
        let key = self.key;
        let plain = format!("both keys work until {}; then `keyctl rotate {key} --resume`", rfc3339(until));
        let detail = match provider_overlap::ends_by_itself(self.rotation, until) {
            Some(end) => format!("{plain}; {}", provider_overlap::ends_before(key, end)),
            None => plain,
        };
        Next { action: "wait", by: By::Time, detail, url: None }
    }

    fn campaign(&self, consumers: &[Place]) -> Next {
        let damaged = consumers.iter().filter(|it| it.state == Progress::Damaged);
        let damaged: Vec<String> = damaged.map(|it| format!("`{}`", it.name)).collect();
        let (action, what) = match damaged.is_empty() {
            true => ("canary", "the first location is written: look at it in HighLevel".to_owned()),
            false => ("look", format!("other settings of {} changed: look in HighLevel", damaged.join(", "))),
        };
        Next::human(action, format!("{what}, then `keyctl rotate {} --resume`", self.key))
    }

    fn people(&self, consumers: &[Place]) -> Next {
        let waiting: Vec<&Place> = consumers.iter().filter(|it| !it.state.is_done()).collect();
        let names: Vec<String> = waiting.iter().map(|it| format!("`{}`", it.name)).collect();
        let (action, what) = match self.rotation.stage == Stage::RollingBack {
            true => ("paste-back", "paste the old key back"),
            false => ("acknowledge", "paste the new key"),
        };
        let detail = format!("{what} at {}, then `keyctl rotate {} --ack NAME`", names.join(", "), self.key);
        Next { url: waiting.iter().find_map(|it| it.url.clone()), ..Next::human(action, detail) }
    }
}
