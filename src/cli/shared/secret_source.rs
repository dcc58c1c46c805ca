//! The options that say where a secret comes from.

use std::path::PathBuf;

use crate::context::Context;
use crate::exit::Situation;
use crate::operator::Presence;
use crate::workflow::secret_input::Source;

/// How the options name the way in.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// Read the key from stdin
    #[arg(long, conflicts_with_all = ["from_env", "from_file"])]
    pub stdin: bool,
    /// Read the key from an environment variable
    #[arg(long, value_name = "VAR", conflicts_with = "from_file")]
    pub from_env: Option<String>,
    /// Read the key from a file
    #[arg(long, value_name = "PATH")]
    pub from_file: Option<PathBuf>,
}

impl SourceArgs {
    /// Returns where the secret comes from: what was said, else a prompt.
    ///
    /// # Errors
    /// Exit 2 when nothing was said and nobody can be asked.
    pub fn source(&self, context: &Context, prompt: &str) -> Result<Source, Situation> {
        if self.stdin {
            return Ok(Source::Stdin);
        }
        if let Some(variable) = &self.from_env {
            return Ok(Source::Variable(variable.clone()));
        }
        if let Some(path) = &self.from_file {
            return Ok(Source::File(path.clone()));
        }
        if context.operator.presence() != Presence::NoOne {
            return Ok(Source::Prompt(prompt.to_owned()));
        }
        Err(Situation::usage("there is no terminal to ask for the key on")
            .hint("give it by `--stdin`, `--from-env VAR` or `--from-file PATH`"))
    }
}
