//! What a provider's refusal means for the exit code of a command that asked
//! for one thing.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::key::{Reason, Record, Verdict};
use crate::provider::Trouble;
use crate::state::{EVIDENCE, Evidence};

/// Returns the exit code a call's trouble leads to; `limited` is the code of
/// "the key may not".
pub fn exit(trouble: &Trouble, limited: Exit) -> Exit {
    if trouble.outcome_unknown {
        return Exit::Unknown;
    }
    match trouble.reason.verdict() {
        Verdict::Rejected => Exit::Rejected,
        Verdict::Unknown => Exit::Unknown,
        Verdict::Limited | Verdict::Valid => limited,
    }
}

/// Returns the situation a call that did not succeed ends in: `message` and
/// what the provider said.
pub fn situation(
    context: &Context,
    record: &Record,
    message: &str,
    trouble: Trouble,
    limited: Exit,
) -> Situation {
    let mut trouble = weighed(context, Some(record), trouble);
    trouble.detail = format!("{message}: {}", trouble.detail);
    plain(trouble, limited)
}

/// Returns the situation of trouble that says all there is to say.
pub fn plain(trouble: Trouble, limited: Exit) -> Situation {
    let situation = Situation::new(exit(&trouble, limited), trouble.reason.as_str(), trouble.detail);
    match trouble.hint {
        Some(hint) => situation.hint(hint),
        None => situation,
    }
}

/// Weighs a refusal: of an account that is known to have an IP allowlist it
/// proves nothing of the key, since Mailgun answers both alike.
pub fn weighed(context: &Context, record: Option<&Record>, trouble: Trouble) -> Trouble {
    let blocked =
        trouble.reason == Reason::Unauthorized && record.is_some_and(|it| has_allowlist(context, it));
    if !blocked {
        return trouble;
    }
    let hint = "the account has an IP allowlist: call from an address that is on it".to_owned();
    Trouble { reason: Reason::IpBlocked, hint: Some(hint), ..trouble }
}

fn has_allowlist(context: &Context, record: &Record) -> bool {
    let all: BTreeMap<String, Evidence> = context.state.read(EVIDENCE);
    all.get(record.id.as_str()).and_then(|it| it.allowlist) == Some(true)
}
