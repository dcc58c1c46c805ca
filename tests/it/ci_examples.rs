//! The README and `examples/ci` are tests: what they say parses, with the real
//! parser where it is a `keyctl` command, with the real tool where it is not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::skip;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the files of `examples/ci`, sorted.
fn examples() -> Vec<String> {
    let listed = std::fs::read_dir(root().join("examples/ci")).unwrap();
    let mut names: Vec<String> =
        listed.map(|entry| format!("examples/ci/{}", entry.unwrap().file_name().to_string_lossy())).collect();
    names.sort();
    names
}

/// Returns a Python that reads YAML, where there is one.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|program| {
        Command::new(program).args(["-c", "import yaml"]).output().is_ok_and(|it| it.status.success())
    })
}

/// One command of a shell line, as words without their quotes.
type Words = Vec<String>;

/// Splits shell lines into commands and those into words, well enough for
/// examples: quotes, comments, continued lines, `|`, `;`, `&&`, redirections.
fn commands(text: &str) -> Vec<Words> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars().peekable();
    let end = |word: &mut Option<String>, commands: &mut Vec<Words>| {
        commands.last_mut().expect("there is always a last command").extend(word.take());
    };
    while let Some(character) = characters.next() {
        match (character, quote) {
            (it, Some(open)) if it == open => quote = None,
            (it, Some(_)) => word.get_or_insert_default().push(it),
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            ('\\', None) if characters.peek() == Some(&'\n') => {
                characters.next();
            }
            ('#', None) if word.is_none() => while characters.next_if(|it| *it != '\n').is_some() {},
            ('\n' | '|' | ';' | '&', None) => {
                end(&mut word, &mut commands);
                commands.push(Vec::new());
            }
            (' ' | '\t', None) => end(&mut word, &mut commands),
            (it, None) => word.get_or_insert_default().push(it),
        }
    }
    end(&mut word, &mut commands);
    commands.retain(|words| !words.is_empty());
    commands
}

/// Returns the arguments if the command is a call of `keyctl`: variables set
/// before it and redirections are taken off.
fn keyctl_arguments(words: &[String]) -> Option<Words> {
    let mut rest = words.iter().skip_while(|word| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|it| it.is_ascii_uppercase() || it == '_')
    });
    let program = rest.next()?;
    if Path::new(program).file_name()? != "keyctl" {
        return None;
    }
    let arguments = rest.take_while(|word| !word.starts_with(['>', '<']) && !word.starts_with("2>"));
    Some(arguments.cloned().collect())
}

/// Returns what stands in the fences of a Markdown text that have no language.
fn fences(markdown: &str) -> String {
    let mut inside = None;
    let mut text = String::new();
    for line in markdown.lines() {
        match (line.strip_prefix("```"), inside) {
            (Some(language), None) => inside = Some(language.is_empty()),
            (Some(_), Some(_)) => inside = None,
            (None, Some(true)) => text.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    text
}

/// Returns the `keyctl …` commands in the running text of a Markdown file, up
/// to what it says of the kernel's program. One with an ellipsis is no command.
fn inline(markdown: &str) -> String {
    let markdown = markdown.split("\n## The other keyctl").next().unwrap_or_default();
    let prose = markdown.split("```").step_by(2).collect::<String>().replace('\n', " ");
    let spans: Vec<&str> = prose.split('`').skip(1).step_by(2).collect();
    spans
        .into_iter()
        .filter(|span| span.contains("keyctl ") && !span.contains('…'))
        .fold(String::new(), |all, span| all + span + "\n")
}

/// Returns the shell lines of an example, by what kind of file it is.
fn shell_of(path: &str) -> String {
    let text = read(path);
    match path.rsplit('.').next() {
        Some("cron") => {
            let jobs =
                text.lines().filter(|line| line.starts_with(|it: char| it.is_ascii_digit() || it == '*'));
            jobs.map(|line| line.split_whitespace().skip(6).collect::<Vec<_>>().join(" ") + "\n").collect()
        }
        Some("service") => {
            let starts = text.lines().filter_map(|line| line.strip_prefix("ExecStart="));
            starts.map(|line| format!("{line}\n")).collect()
        }
        Some("yml") => text
            .lines()
            .map(|line| {
                let line = line.trim_start().trim_start_matches("- ");
                line.trim_start_matches("run: ").to_owned() + "\n"
            })
            .collect(),
        Some("sh") => text,
        _ => String::new(),
    }
}

/// Returns every `keyctl` command of README and examples, with where it stands.
fn documented() -> Vec<(String, Words)> {
    let readme = read("README.md");
    let mut sources = vec![
        ("README.md".to_owned(), fences(&readme)),
        ("README.md".to_owned(), inline(&readme)),
        ("CONTRIBUTING.md".to_owned(), inline(&read("CONTRIBUTING.md"))),
    ];
    sources.extend(examples().into_iter().map(|path| (path.clone(), shell_of(&path))));
    let mut found = Vec::new();
    for (path, text) in sources {
        let called = commands(&text).into_iter().filter_map(|words| keyctl_arguments(&words));
        found.extend(called.map(|arguments| (path.clone(), arguments)));
    }
    found
}

#[test]
fn the_shell_reader_sees_what_a_shell_sees() {
    let text = "A=1 keyctl add x --note 'a | b' | jq . # keyctl no\nprintf %s \"$K\" |\\\n /usr/bin/keyctl get y >z; ls";
    let found: Vec<Words> = commands(text).iter().filter_map(|words| keyctl_arguments(words)).collect();
    assert_eq!(found, [vec!["add", "x", "--note", "a | b"], vec!["get", "y"]]);
}

#[test]
fn yaml_examples_parse_and_their_scripts_too() {
    let Some(python) = python() else { return skip("no Python that reads YAML") };
    // Prints each script of each file, so that the shell can read it.
    let program = "
import sys, yaml
def walk(node, inside):
    if isinstance(node, dict):
        for key, value in node.items():
            walk(value, key in ('run', 'script', 'before_script'))
    elif isinstance(node, list):
        for value in node:
            walk(value, inside)
    elif inside and isinstance(node, str):
        print(node)
walk(yaml.safe_load(open(sys.argv[1])), False)
";
    let files: Vec<String> = examples().into_iter().filter(|path| path.ends_with(".yml")).collect();
    assert!(files.len() >= 2, "{files:?}");
    for path in files {
        let read = Command::new(python).args(["-c", program]).arg(root().join(&path)).output().unwrap();
        assert!(read.status.success(), "{path}: {}", String::from_utf8_lossy(&read.stderr));
        let script = String::from_utf8(read.stdout).unwrap();
        // Alarm rules have no scripts; a pipeline has at least one that calls us.
        if !path.ends_with("alerts.yml") {
            assert!(script.contains("keyctl validate"), "{path} has no script that validates:\n{script}");
        }
        assert_shell(&path, &script);
    }
}

#[test]
fn shell_examples_parse() {
    for path in examples() {
        if path.ends_with(".sh") || path.ends_with(".cron") {
            assert_shell(&path, &shell_of(&path));
        }
    }
}

/// Fails unless `sh` can read a script; it runs nothing.
fn assert_shell(path: &str, script: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.sh");
    std::fs::write(&file, script).unwrap();
    let checked = Command::new("sh").arg("-n").arg(&file).output().unwrap();
    assert!(checked.status.success(), "{path}: {}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn systemd_reads_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skip("systemd-analyze is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for path in examples() {
        if path.ends_with(".service") || path.ends_with(".timer") {
            let unit = folder.path().join(Path::new(&path).file_name().unwrap());
            // It looks whether the program is there.
            let text = read(&path).replace("/usr/local/bin/keyctl", env!("CARGO_BIN_EXE_keyctl"));
            std::fs::write(&unit, text).unwrap();
            units.push(unit);
        }
    }
    assert_eq!(units.len(), 2);
    let verified = Command::new("systemd-analyze").arg("verify").args(&units).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    // An unknown key is only a warning to it, so silence is what counts.
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("keyctl-")).collect();
    assert!(verified.status.success() && about_ours.is_empty(), "{said}");
}

#[test]
fn every_documented_command_is_found() {
    let found = documented();
    assert!(found.len() > 60, "only {} commands were found", found.len());
    for (path, arguments) in found {
        assert!(!arguments.is_empty(), "{path}: a call of keyctl without a command");
    }
}

/// Commands of the examples are parsed by the program's own parser, with its
/// own guard against the kernel's program.
#[test]
fn every_documented_command_is_one() {
    let mut wrong = Vec::new();
    for (path, arguments) in documented() {
        let all: Vec<OsString> =
            std::iter::once("keyctl").chain(arguments.iter().map(String::as_str)).map(Into::into).collect();
        if let Err(situation) = keyctl::cli::parse(&all) {
            wrong.push(format!("{path}: keyctl {}: {situation}", arguments.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
