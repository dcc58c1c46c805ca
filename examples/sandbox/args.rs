//! The sandbox's own command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

/// What the sandbox was asked to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// Serve the APIs by https.
    pub tls: bool,
    /// How long every API waits before it replies.
    pub latency: Duration,
    /// Write the `export` lines to this file as well.
    pub write_env: Option<PathBuf>,
    /// Fill the world with the demonstration agency.
    pub seed_demo: bool,
    /// End when the standard input ends.
    pub until_eof: bool,
    /// Run this command with the variables set, and end with it.
    pub run: Option<(OsString, Vec<OsString>)>,
}

/// What `--help` prints.
pub const USAGE: &str = "\
Stands in for Mailgun (US and EU), Brevo, Klaviyo and HighLevel on the loopback interface: HTTP, SMTP, DNS.

usage: sandbox [--tls] [--latency 50ms] [--write-env FILE] [--seed-demo] [--until-eof] [--run COMMAND ARG…]

It prints `export NAME='value'` lines and then `# ready`. The control API at
SANDBOX_CONTROL_URL is described at the top of examples/sandbox/control.rs.
";

impl Args {
    /// Parses the arguments; `None` asks for help.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Option<Self>> {
        let mut args = Self::default();
        let mut rest = arguments.into_iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{} needs a value", argument.display()));
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(None),
                Some("--tls") => args.tls = true,
                Some("--seed-demo") => args.seed_demo = true,
                Some("--until-eof") => args.until_eof = true,
                Some("--latency") => args.latency = duration(&value()?.to_string_lossy())?,
                Some("--write-env") => args.write_env = Some(PathBuf::from(value()?)),
                Some("--run") => {
                    let command = value()?;
                    args.run = Some((command, rest.by_ref().collect()));
                }
                _ => bail!("unknown argument {}\n\n{USAGE}", argument.display()),
            }
        }
        Ok(Some(args))
    }
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    let parsed = match text.strip_suffix("ms") {
        Some(number) => number.parse().map(Duration::from_millis),
        None => text.trim_end_matches('s').parse().map(Duration::from_secs),
    };
    parsed.with_context(|| format!("`{text}` is not a duration such as 50ms or 2s"))
}
