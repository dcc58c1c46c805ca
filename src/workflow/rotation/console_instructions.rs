//! What only a person can do, told with the exact way through the console, and
//! the stops that wait for a person or for time.

use jiff::Timestamp;

use crate::clock;
use crate::context::Context;
use crate::exit::Exit;
use crate::key::Record;
use crate::provider::{ConsoleTask, Guide, Stays};
use crate::workflow::console_guide;
use crate::workflow::rotation::provider_overlap;
use crate::workflow::rotation::record_view::console_ask;
use crate::workflow::rotation::session::{Flow, Session, Snapshot};

/// Stops until the grace period is over. Somebody who still uses the old key
/// is a matter for people, not for time.
pub fn wait(work: &Session<'_>, snapshot: &Snapshot, until: Timestamp) -> Flow {
    let operator = &work.context.operator;
    let key = snapshot.key();
    match snapshot.rotation.used_at {
        Some(used) => {
            operator.warning(format!(
                "the old key of `{key}` was used at {}, after every place had the new one",
                clock::rfc3339(used)
            ));
            operator.hint(format!(
                "find who still has it; from {} on `keyctl rotate {key} --resume` goes on, sooner with `--grace 0s`",
                clock::rfc3339(until)
            ));
            Flow::Stop(Exit::Human)
        }
        None => {
            operator.note(format!(
                "`{key}`: both keys work until {}; then `keyctl rotate {key} --resume` retires the old one",
                clock::rfc3339(until)
            ));
            if let Some(end) = provider_overlap::ends_by_itself(&snapshot.rotation, until) {
                operator.warning(provider_overlap::ends_before(key, end));
            }
            Flow::Stop(Exit::Done)
        }
    }
}

/// Returns the way through the console for a key of this rotation.
pub fn guide(snapshot: &Snapshot, record: &Record, task: ConsoleTask) -> Option<Guide> {
    let rotation = &snapshot.rotation;
    let mut ask = console_ask(record, rotation.wanted(record), &rotation.held);
    let leaving = rotation.leaving();
    if let (Some(like), Some(name)) = (&mut ask.like, &rotation.old.name) {
        like.name = Some(name);
    }
    ask.remote_name = match task {
        ConsoleTask::Create => record.remote_name.as_deref(),
        _ => leaving.name.as_deref(),
    };
    ask.stays = match (task, rotation.stage.is_undoing()) {
        (ConsoleTask::Delete, true) => Some(Stays::Old),
        (ConsoleTask::Delete, false) => Some(Stays::New),
        _ => None,
    };
    ask.name = rotation.new.name.as_deref().filter(|_| task == ConsoleTask::Create);
    let mut guide = snapshot.provider().console(task, &ask)?;
    // A clone that was never pasted looks like the key that is in use.
    if let (true, None, Some(used)) = (rotation.stage.is_undoing(), &leaving.last2, &rotation.old.last2)
        && snapshot.clones()
    {
        guide.steps.insert(0, format!("Keep the key that ends in `{used}`: it is in use"));
    }
    Some(guide)
}

/// Writes a guide for a person to stderr; its title alone where there is none.
pub fn show(context: &Context, title: &str, guide: Option<&Guide>) {
    match guide {
        Some(guide) => console_guide::show(context, title, guide),
        None => context.operator.note(title),
    }
}

/// Returns a key as a person finds it in a list: its last two characters, its
/// id. Its name, if it has one of its own, is told by the guide.
pub fn described(side: &crate::rotation::Side) -> String {
    let parts = [
        side.last2.as_ref().map(|it| format!("ending in {it}")),
        side.login.clone(),
        side.remote_id.as_ref().map(|it| format!("id {it}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}
