//! Runs a consumer's command: an argument list without a shell, the secret on
//! its stdin and nowhere else. Tests stand in `tests/it/rotation`.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::key::text::{escaped, printable};
use crate::workflow::consumers::handover::{Failed, Handover};
use crate::workflow::consumers::{approval, is_approved};

/// How long a deployment may take when `--timeout` says nothing.
const LIMIT: Duration = Duration::from_secs(300);
/// How much of a program's output is kept to explain a failure.
const KEPT: usize = 16 * 1024;
const STEP: Duration = Duration::from_millis(5);

/// Names the program finds in its environment, next to the secret on stdin.
/// Every other `KEYCTL_…` is taken away: they may hold secrets.
pub const NAMES: [&str; 5] =
    ["KEYCTL_KEY", "KEYCTL_CONSUMER", "KEYCTL_LOGIN", "KEYCTL_DOMAIN", "KEYCTL_REGION"];

/// Runs the command and waits for its end.
pub fn run(context: &Context, handover: &Handover<'_>) -> Result<String, Failed> {
    let consumer = handover.consumer;
    let Some((program, arguments)) = consumer.command.split_first() else {
        return Err(Failed::new("no command is recorded"));
    };
    if !is_approved(context, &consumer.command) {
        return Err(Failed::new("its command is not approved on this machine"));
    }
    let limit = context.options.timeout.map_or(LIMIT, |it| it.std());
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    surround(&mut command, context, handover);
    handover.must_be_wanted()?;
    let mut child = command.spawn().map_err(|error| {
        Failed::new(format!("cannot start `{}`: {error}", escaped(program)))
            .hint("is it on the PATH of this machine?")
    })?;
    let output = read(child.stdout.take());
    let errors = read(child.stderr.take());
    let secret = handover.secret.clone();
    let stdin = child.stdin.take();
    // In a thread of its own: a program that does not read must not hold us up.
    std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(secret.expose().as_bytes());
        }
    });
    let end = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() >= end => {
                let _ = child.kill();
                let _ = child.wait();
                let shown = approval::spelt(&consumer.command);
                return Err(Failed::new(format!("`{shown}` did not end within {} s", limit.as_secs()))
                    .hint("allow more time with `--timeout`"));
            }
            Ok(None) => std::thread::sleep(STEP),
            Err(error) => return Err(Failed::new(format!("lost `{}`: {error}", escaped(program)))),
        }
    };
    context.restart_clock();
    let said = [errors, output].map(|it| handover.secret.scrub(&taken(&it)));
    for text in said.iter().filter(|it| !it.trim().is_empty()) {
        context.operator.detail(format!("{}: {}", consumer.name, printable(text.trim(), 2_000)));
    }
    if status.success() {
        return Ok(format!("`{}` took it", escaped(program)));
    }
    let ended =
        status.code().map_or_else(|| "was killed".to_owned(), |code| format!("ended with code {code}"));
    let said = said.iter().find(|it| !it.trim().is_empty()).map(|it| tail(it)).unwrap_or_default();
    Err(Failed::new(format!("`{}` {ended}{said}", approval::spelt(&consumer.command))))
}

fn surround(command: &mut Command, context: &Context, handover: &Handover<'_>) {
    command.env_clear();
    let secret = |name: &str| name.starts_with("KEYCTL_") || ["VAULT_TOKEN", "BAO_TOKEN"].contains(&name);
    let kept = context.environment.all().filter(|(name, _)| !name.to_str().is_some_and(secret));
    command.envs(kept);
    let record = handover.record;
    let values = [
        Some(handover.key.to_string()),
        Some(handover.consumer.name.clone()),
        record.login.clone(),
        record.domain.as_ref().map(ToString::to_string),
        record.region.map(|it| it.to_string()),
    ];
    for (name, value) in NAMES.into_iter().zip(values) {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
}

/// Reads in a thread of its own: a grandchild may hold the pipe open for ever.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut chunk = [0; 4096];
        let mut kept = 0;
        while let Ok(count @ 1..) = pipe.read(&mut chunk) {
            if kept < KEPT {
                kept += count;
                let _ = sender.send(chunk.get(..count).unwrap_or_default().to_vec());
            }
        }
    });
    receiver
}

fn taken(receiver: &Receiver<Vec<u8>>) -> String {
    let mut bytes = Vec::new();
    while let Ok(chunk) = receiver.recv_timeout(Duration::from_millis(200)) {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|it| !it.trim().is_empty()).collect();
    let last = lines.iter().rev().take(3).rev().map(|it| printable(it.trim(), 200));
    format!(": {}", last.collect::<Vec<_>>().join("; "))
}
