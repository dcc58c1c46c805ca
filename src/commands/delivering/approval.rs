//! Which commands may be run on this machine: exactly those argument lists
//! that somebody here approved. The inventory can be shared or committed, so
//! what stands in it must not run by itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::exit::Situation;
use crate::key::text::escaped;
use crate::output::Answer;
use crate::state::APPROVALS;

/// An approved argument list, kept for people to read; the hash is what counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Approval {
    command: Vec<String>,
    at: Timestamp,
}

type Approvals = BTreeMap<String, Approval>;

/// Each argument counts with its length, so that no two lists share a hash.
fn hash(command: &[String]) -> String {
    let mut hasher = Sha256::new();
    for argument in command {
        hasher.update((argument.len() as u64).to_be_bytes());
        hasher.update(argument.as_bytes());
    }
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Returns whether exactly this argument list was approved on this machine.
pub fn is_approved(context: &Context, command: &[String]) -> bool {
    context.state.read::<Approvals>(APPROVALS).contains_key(&hash(command))
}

/// Approves an argument list on this machine.
///
/// # Errors
/// When the state folder cannot be written.
pub fn approve(context: &Context, command: &[String]) -> anyhow::Result<()> {
    let approval = Approval { command: command.to_vec(), at: context.now() };
    context.state.update(APPROVALS, |all: &mut Approvals| {
        all.insert(hash(command), approval);
    })
}

/// Makes sure that each command is approved, asking a person where one is there.
///
/// # Errors
/// Exit 9, naming the first that is not.
pub fn ask_approval(context: &Context, commands: &[(&str, &[String])]) -> anyhow::Result<()> {
    for (consumer, command) in commands {
        if is_approved(context, command) {
            continue;
        }
        let shown = spelt(command);
        // `--yes` says yes to a plan, not to a program from somebody else's file.
        let answer = if context.console.said_yes() {
            Answer::Nobody
        } else {
            context.console.confirm(&format!(
                "The consumer `{consumer}` runs this program and gives it the key:\n  {shown}\nAllow it on this machine?"
            ))
        };
        context.restart_clock();
        if answer != Answer::Yes {
            return Err(Situation::refused(
                "command-not-approved",
                format!("the command of the consumer `{consumer}` is not approved on this machine: {shown}"),
            )
            .hint("nothing was changed; read it, then approve it at a prompt, or remove the consumer and add it here")
            .into());
        }
        approve(context, command)?;
    }
    Ok(())
}

/// Returns an argument list as it would be typed. An argument with characters
/// that cannot be seen stands in `$'…'` with an escape for each, so that what is
/// approved is what is seen.
pub fn spelt(command: &[String]) -> String {
    let plain = |it: &str| {
        !it.is_empty() && it.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c))
    };
    let quoted = |it: &String| match escaped(it) {
        Cow::Borrowed(it) if plain(it) => it.to_owned(),
        Cow::Borrowed(it) => format!("'{}'", it.replace('\'', "'\\''")),
        Cow::Owned(it) => format!("$'{}'", it.replace('\'', "\\'")),
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_list_is_approved_as_a_whole() {
        let list = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert_ne!(hash(&list(&["a", "b"])), hash(&list(&["ab"])));
        assert_ne!(hash(&list(&["a"])), hash(&list(&["a", ""])));
        assert_eq!(spelt(&list(&["sh", "-c", "it's"])), "sh -c 'it'\\''s'");
    }

    #[test]
    fn a_command_shows_what_an_argument_hides() {
        let shown = |argument: &str| spelt(&["deploy".to_owned(), argument.to_owned()]);
        for (argument, expected) in [
            ("a\nb", r"deploy $'a\nb'"),
            ("\u{1b}[2Kx", r"deploy $'\x1b[2Kx'"),
            ("x\u{202e}'\\y", r"deploy $'x\u{202e}\'\\y'"),
            ("a\u{a0}b\u{200b}", r"deploy $'a\u{a0}b\u{200b}'"),
            // Somebody may type what an escape looks like.
            (r"\x1b", r"deploy '\x1b'"),
            ("Zürich", "deploy 'Zürich'"),
        ] {
            assert_eq!(shown(argument), expected);
        }
        for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| crate::key::text::hidden(*c).is_some())
        {
            let text = shown(&format!("a{c}b"));
            assert!(text.bytes().all(|it| it.is_ascii_graphic() || it == b' '), "{text:?}");
        }
    }
}
