//! Refuses, before anything is parsed, what must not be read at all: arguments
//! that are keys, and calls meant for the kernel keyring's program.

use std::ffi::OsString;

use crate::exit::{Exit, Situation};
use crate::key::shape::holds_key;

/// Commands of keyutils' keyctl(1) that we do not have (keyutils 1.6.3).
const KERNEL_COMMANDS: &[&str] = &[
    "padd",
    "request",
    "request2",
    "prequest2",
    "update",
    "newring",
    "revoke",
    "describe",
    "rdescribe",
    "clear",
    "link",
    "unlink",
    "search",
    "read",
    "pipe",
    "print",
    "rlist",
    "setperm",
    "chown",
    "chgrp",
    "session",
    "new_session",
    "instantiate",
    "pinstantiate",
    "negate",
    "reject",
    "timeout",
    "security",
    "reap",
    "purge",
    "invalidate",
    "get_persistent",
    "id",
    "move",
    "supports",
    "watch",
    "watch_add",
    "watch_rm",
    "watch_session",
    "watch_sync",
    "restrict_keyring",
    "dh_compute",
    "dh_compute_kdf",
    "dh_compute_kdf_oi",
    "pkey_query",
    "pkey_encrypt",
    "pkey_decrypt",
    "pkey_sign",
    "pkey_verify",
];

/// Global options that may stand before the command and take a value.
const GLOBAL_VALUES: &[&str] =
    &["--inventory", "--store", "--scope", "--format", "-f", "--color", "--timeout"];

/// Returns the first word that is no option, as far as it is a plausible
/// command: it is shown in JSON errors, so nothing else may stand there.
pub fn command_word(arguments: &[OsString]) -> Option<String> {
    let words = arguments.iter().skip(1).take_while(|it| *it != "--").filter_map(|it| it.to_str());
    let mut value_follows = false;
    let word = words
        .filter(|word| {
            let value = std::mem::replace(&mut value_follows, GLOBAL_VALUES.contains(word));
            !value && !word.starts_with('-')
        })
        .map(str::to_owned)
        .next()?;
    let plain = word.len() <= 20 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'_');
    // One of the other program's has a digit in it.
    (plain || KERNEL_COMMANDS.contains(&word.as_str())).then_some(word)
}

/// Checks the arguments before `--`.
///
/// # Errors
/// Exit 2 for a secret (not echoed), exit 64 for the other program.
pub fn check(arguments: &[OsString]) -> Result<(), Situation> {
    let words = || arguments.iter().skip(1).take_while(|it| *it != "--").filter_map(|it| it.to_str());
    if words().any(holds_key) {
        return Err(Situation::new(
            Exit::Usage,
            "secret-in-argument",
            "an argument looks like a key; it was not read",
        )
        .hint(
            "arguments are visible to every process of this machine and stay in the shell's history: \
                 rotate that key, and give keys by prompt, --stdin, --from-env or --from-file",
        ));
    }
    let operands = operands(arguments);
    let foreign_command =
        command_word(arguments).is_some_and(|word| KERNEL_COMMANDS.contains(&word.as_str()));
    // Only worth the look at our own options when something suspicious is there.
    let suspicious = |word: &String| {
        word.starts_with('@') || (!word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()))
    };
    if foreign_command || (operands.iter().any(suspicious) && true_operands(arguments).iter().any(suspicious))
    {
        return Err(Situation::new(
            Exit::WrongProgram,
            "wrong-program",
            "this is keyctl, the manager of e-mail API keys; that call is meant for the kernel keyring's keyctl(1)",
        )
        .hint("the other program is usually /usr/bin/keyctl (Debian package keyutils)"));
    }
    Ok(())
}

/// Returns the words that are not options.
fn operands(arguments: &[OsString]) -> Vec<String> {
    let words = arguments.iter().skip(1).take_while(|it| *it != "--").filter_map(|it| it.to_str());
    words.filter(|it| !it.starts_with('-')).map(str::to_owned).collect()
}

/// Returns the command that was called, with its verb, such as `keyctl scope add`.
pub fn command_path(arguments: &[OsString]) -> String {
    let root = super::command();
    let mut command = &root;
    let mut path = "keyctl".to_owned();
    for word in true_operands(arguments) {
        let Some(inner) = command.find_subcommand(word) else { break };
        command = inner;
        path.push(' ');
        path.push_str(command.get_name());
    }
    path
}

/// Returns the words that are neither options nor the values of options.
fn true_operands(arguments: &[OsString]) -> Vec<String> {
    let root = super::command();
    let mut command = &root;
    let mut found = Vec::new();
    let mut value_follows = false;
    for word in arguments.iter().skip(1).take_while(|it| *it != "--").filter_map(|it| it.to_str()) {
        if std::mem::take(&mut value_follows) {
            continue;
        }
        if word.starts_with('-') {
            value_follows = !word.contains('=') && takes_value(&root, command, word);
            continue;
        }
        if let Some(inner) = command.find_subcommand(word) {
            command = inner;
        }
        found.push(word.to_owned());
    }
    found
}

fn takes_value(root: &clap::Command, command: &clap::Command, word: &str) -> bool {
    let long = word.strip_prefix("--");
    let short = word.strip_prefix('-').filter(|it| it.len() == 1).and_then(|it| it.chars().next());
    root.get_arguments().chain(command.get_arguments()).any(|argument| {
        let named = (long.is_some() && argument.get_long() == long)
            || (short.is_some() && argument.get_short() == short);
        named && argument.get_action().takes_values()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<OsString> {
        std::iter::once("keyctl").chain(list.iter().copied()).map(OsString::from).collect()
    }

    fn code(list: &[&str]) -> Option<u8> {
        check(&words(list)).err().map(|it| it.exit.code())
    }

    #[test]
    fn a_key_is_never_an_argument() {
        let mailgun = ["0a".repeat(16).as_str(), "-0123abcd", "-4567cdef"].concat();
        let brevo = ["xkeysib", "-", &"ab12".repeat(16), "-", &"Zz09".repeat(4)].concat();
        for key in [mailgun.clone(), format!("api:{mailgun}"), format!("--note={mailgun}"), brevo] {
            let error = check(&words(&["add", "mailgun@acme", &key])).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert!(!format!("{error:?}").contains(&key));
        }
        assert_eq!(code(&["run", "acme", "--", "curl", &mailgun]), None);
        assert_eq!(code(&["get", "brevo:pk_shop@acme"]), None);
    }

    #[test]
    fn calls_for_the_kernel_keyring_are_told_apart() {
        for call in
            [&["show", "@s"][..], &["list", "@u"], &["print", "5"], &["list", "12345"], &["session", "-"]]
        {
            assert_eq!(code(call), Some(64), "{call:?}");
        }
        for call in
            [&["validate", "--jobs", "4"][..], &["set", "mailgun@acme", "--note", "@home"], &["list", "acme"]]
        {
            assert_eq!(code(call), None, "{call:?}");
        }
    }

    #[test]
    fn only_a_plausible_command_is_echoed() {
        assert_eq!(command_word(&words(&["-q", "-f", "json", "list"])).as_deref(), Some("list"));
        assert_eq!(command_word(&words(&["Some Secret"])), None);
    }
}
