//! `--report FORMAT=PATH`: the option several commands share, and the delivery
//! of what it asks for.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::commands::CommandContext;
use crate::durable;
use crate::exit::{Exit, Situation};
use crate::key::KeyRef;
use crate::output::formats::{Material, Place, Target};
use crate::output::{Checks, Report, markdown};

/// The option itself.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Reports {
    /// Also write a report: json, junit, sarif, github, openmetrics or markdown; PATH - replaces the normal
    /// output (can be repeated)
    #[arg(long = "report", value_name = "FORMAT=PATH")]
    targets: Vec<Target>,
}

impl Reports {
    /// Refuses what can be seen to be impossible before anything is asked.
    ///
    /// # Errors
    /// Exit 2 when two reports want the place of the normal output, or a path
    /// is a folder.
    pub fn check(&self) -> Result<(), Situation> {
        if self.targets.iter().filter(|it| it.place == Place::Stdout).count() > 1 {
            return Err(Situation::usage("two reports cannot both replace the normal output")
                .hint("give all but one of them a file"));
        }
        for target in &self.targets {
            if let Place::File(path) = &target.place
                && path.is_dir()
            {
                let message = format!("`--report {}={}`: this is a folder", target.row.name, path.display());
                return Err(Situation::usage(message).hint("name a file in it"));
            }
        }
        Ok(())
    }

    /// Returns whether a report is wanted at all.
    pub fn any(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Returns the line of the inventory that declares each key, where a
    /// report tells it.
    ///
    /// # Errors
    /// When the inventory was damaged meanwhile.
    pub fn lines(&self, context: &CommandContext) -> anyhow::Result<BTreeMap<KeyRef, usize>> {
        if !self.targets.iter().any(|it| it.row.needs_lines) {
            return Ok(BTreeMap::new());
        }
        Ok(context.inventory_file.lines()?)
    }

    /// Writes every report and, unless one took its place, the normal output.
    /// Returns [`Exit::Failed`] when a report could not be written, having said
    /// which: the verdicts stand all the same.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn publish(
        &self,
        context: &CommandContext,
        report: &dyn Report,
        checks: &Checks<'_>,
    ) -> anyhow::Result<Exit> {
        let material = Material { report, checks };
        let mut exit = Exit::Done;
        let mut replaced = false;
        let mut write = |path: &Path, written: std::io::Result<()>| {
            if let Err(error) = written {
                context.console.failure(None, &unwritten(path, &error), true);
                exit = Exit::Failed;
            }
        };
        for target in &self.targets {
            let fill = |out: &mut dyn Write| (target.row.write)(&material, out);
            match &target.place {
                Place::Stdout => {
                    replaced = true;
                    context.console.stream(fill)?;
                }
                Place::File(path) => write(path, durable::publish(path, fill)),
            }
        }
        if !replaced {
            context.console.report(report)?;
        }
        if let Some(path) = self.step_summary(context) {
            // In one piece: other steps append to it, too.
            let mut text = Vec::new();
            let written = markdown::write_summary(checks, &mut text).and_then(|()| {
                text.push(b'\n');
                std::fs::OpenOptions::new().append(true).create(true).open(&path)?.write_all(&text)
            });
            write(&path, written);
        }
        Ok(exit)
    }

    /// Returns the summary page of the step, where the run is one of GitHub
    /// Actions and no report is written there by name.
    fn step_summary(&self, context: &CommandContext) -> Option<PathBuf> {
        let path = context.environment.path("GITHUB_STEP_SUMMARY")?;
        let named = self.targets.iter().any(|it| it.place == Place::File(path.clone()));
        let wanted = self.targets.iter().any(|it| it.row.name == "github");
        (wanted && !named).then_some(path)
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Situation {
    Situation::failed("report-not-written", format!("cannot write the report `{}`: {error}", path.display()))
        .hint("check the folder and its mode; the verdicts themselves are in the normal output")
}

/// Returns the inventory's path as reports name it: relative where it is below
/// the working tree, so that it means the same on another machine.
pub fn inventory_name(context: &CommandContext) -> String {
    let path = absolute(context.inventory_file.path());
    let tree = context.environment.path("GITHUB_WORKSPACE").or_else(|| std::env::current_dir().ok());
    let tree = tree.map(|it| absolute(&it));
    let name = tree.and_then(|tree| path.strip_prefix(tree).map(Path::to_owned).ok()).unwrap_or(path);
    name.to_string_lossy().into_owned()
}

fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}
