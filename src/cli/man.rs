//! `keyctl man`: manual pages from the same table as the help.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::commands::CommandContext;
use crate::durable;
use crate::exit::{Exit, Situation};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

/// Prints the main page, or writes all pages.
///
/// # Errors
/// When a page cannot be written.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let mut command = crate::cli::command();
    command.build();
    let Some(folder) = args.output_dir else {
        context.console.data(&render(&command)?)?;
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(&folder).map_err(|error| {
        Situation::failed("cannot-write", format!("cannot make `{}`: {error}", folder.display()))
            .hint("name a folder that you can write to with `--output-dir`")
    })?;
    let mut written = 0;
    for (name, command) in pages(&command, "keyctl") {
        let path = folder.join(format!("{name}.1"));
        durable::publish_as_named(&path, &render(&command)?)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        written += 1;
    }
    context.console.note(format!("wrote {written} pages to `{}`", folder.display()));
    Ok(Exit::Done)
}

fn pages(command: &clap::Command, name: &str) -> Vec<(String, clap::Command)> {
    let mut found = vec![(name.to_owned(), command.clone())];
    for inner in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        found.extend(pages(inner, &format!("{name}-{}", inner.get_name())));
    }
    found
}

fn render(command: &clap::Command) -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
