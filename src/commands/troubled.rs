//! What a provider's refusal means for the exit code of a command that asked
//! for one thing.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::key::{Reason, Record, Verdict};
use crate::provider::Trouble;
use crate::state::{EVIDENCE, Evidence};

/// Returns the situation a call that did not succeed ends in: `message` and
/// what the provider said; `limited` is the code of "the key may not".
///
/// A refusal of an account that is known to have an IP allowlist proves
/// nothing of the key: Mailgun answers both alike.
pub fn situation(
    context: &Context,
    record: &Record,
    message: &str,
    trouble: Trouble,
    limited: Exit,
) -> Situation {
    let blocked = trouble.reason == Reason::Unauthorized && has_allowlist(context, record);
    let reason = if blocked { Reason::IpBlocked } else { trouble.reason };
    let exit = match reason.verdict() {
        Verdict::Rejected => Exit::Rejected,
        Verdict::Unknown => Exit::Unknown,
        Verdict::Limited | Verdict::Valid => limited,
    };
    let hint = if blocked {
        Some("the account has an IP allowlist: call from an address that is on it".to_owned())
    } else {
        trouble.hint
    };
    let situation = Situation::new(exit, reason.as_str(), format!("{message}: {}", trouble.detail));
    match hint {
        Some(hint) => situation.hint(hint),
        None => situation,
    }
}

fn has_allowlist(context: &Context, record: &Record) -> bool {
    let all: BTreeMap<String, Evidence> = context.state.read(EVIDENCE);
    all.get(record.id.as_str()).and_then(|it| it.allowlist) == Some(true)
}
