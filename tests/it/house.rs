//! The figures of the house: how long functions and files are, how many
//! parameters a function takes, how much stands in one folder. Read as text,
//! from `src/`; whoever goes past one splits by idea, not by lines.

use std::collections::BTreeMap;

use crate::layering::whole_sources;

/// The most lines of a function.
const FUNCTION_LINES: usize = 60;

/// The most parameters besides `self`; more of them are a struct.
const PARAMETERS: usize = 5;

/// The most production lines of all files but the longest twentieth.
const FILE_LINES: usize = 350;

/// The largest top-level folder stays below this part of the lines, in per cent.
const FOLDER_SHARE: usize = 35;

/// So does each folder below `workflow/`.
const WORKFLOW_SHARE: usize = 15;

/// The lines of `commands/`, where nothing is decided, stay below this.
const COMMAND_LINES: usize = 10_000;

/// One function as it stands in the text.
struct Function {
    place: String,
    lines: usize,
    parameters: usize,
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// Returns whether a line begins a function.
fn begins_function(line: &str) -> bool {
    let head = line.trim_start();
    let words: Vec<&str> = head.split_whitespace().take_while(|word| *word != "fn").collect();
    let is_word = |word: &&str| ["const", "async", "unsafe"].contains(word) || word.starts_with("pub");
    words.iter().all(is_word) && head.split_whitespace().nth(words.len()) == Some("fn")
}

/// Returns the functions of a text that have a body of more than one line.
fn functions(file: &str, text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
        let head_ends = |line: &&str| line.ends_with(['{', ';', '}']);
        let Some(head) = lines[start..].iter().position(head_ends).map(|it| start + it) else { continue };
        let close = format!("{}}}", indent(line));
        let lines_of = match lines[head].ends_with('{') {
            true => lines[start..].iter().position(|it| *it == close).map_or(1, |it| it + 1),
            false => head + 1 - start,
        };
        let parameters = parameters(&lines[start..=head].join(" "));
        found.push(Function { place: format!("src/{file}:{}", start + 1), lines: lines_of, parameters });
    }
    found
}

/// Returns how many parameters the head of a function has besides `self`.
fn parameters(head: &str) -> usize {
    let mut angles = 0_i32;
    let mut depth = 0_i32;
    let mut previous = ' ';
    let mut parts = vec![String::new()];
    // `pub(crate)` stands before.
    let (_, head) = head.split_once("fn ").unwrap_or_default();
    for letter in head.chars() {
        let is_angle = |it| letter == it && previous != '-';
        angles += i32::from(is_angle('<')) - i32::from(is_angle('>'));
        previous = letter;
        let opens = matches!(letter, '(' | '[' | '{');
        let closes = matches!(letter, ')' | ']' | '}');
        // What stands in the generics is no list of parameters.
        if depth == 0 && (!opens || angles > 0) {
            continue;
        }
        depth += i32::from(opens) - i32::from(closes);
        if depth == 0 {
            break;
        }
        match letter {
            ',' if depth == 1 && angles == 0 => parts.push(String::new()),
            '(' if depth == 1 && opens => {}
            letter => parts.last_mut().expect("there is always one").push(letter),
        }
    }
    let is_self = |part: &str| part.starts_with("self:") || (part.ends_with("self") && !part.contains(':'));
    parts.iter().map(|it| it.trim()).filter(|it| !it.is_empty() && !is_self(it)).count()
}

/// Returns how many lines of a file are not unit tests.
fn production_lines(file: &str, text: &str) -> usize {
    if file.ends_with("/tests.rs") || file.contains("/tests/") {
        return 0;
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut count = 0;
    let mut inside: Option<String> = None;
    for (n, line) in lines.iter().enumerate() {
        let is_module = |it: &&str| it.trim_start().starts_with("mod ") && it.ends_with('{');
        match &inside {
            Some(close) if line == close => inside = None,
            Some(_) => {}
            None if line.trim() == "#[cfg(test)]" && lines.get(n + 1).is_some_and(is_module) => {
                inside = Some(format!("{}}}", indent(line)));
            }
            None => count += 1,
        }
    }
    count
}

/// Returns the value that all but the largest twentieth stay at or below.
fn most(mut values: Vec<usize>) -> usize {
    values.sort_unstable();
    values[values.len() * 95 / 100]
}

#[test]
fn the_figures_of_the_house_hold() {
    let sources = whole_sources();
    let lines: BTreeMap<&str, usize> =
        sources.iter().map(|(file, text)| (file.as_str(), production_lines(file, text))).collect();
    let total: usize = lines.values().sum();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    let mut workflows: BTreeMap<&str, usize> = BTreeMap::new();
    for (file, count) in &lines {
        let mut parts = file.split('/');
        let folder = parts.next().unwrap_or_default();
        *folders.entry(folder).or_default() += count;
        if let ("workflow", Some(inner)) = (folder, parts.next()) {
            *workflows.entry(inner).or_default() += count;
        }
    }
    let largest = |of: &BTreeMap<&str, usize>| {
        of.iter().max_by_key(|it| it.1).map(|(name, count)| ((*name).to_owned(), *count)).unwrap()
    };
    let (folder, in_folder) = largest(&folders);
    let (workflow, in_workflow) = largest(&workflows);
    let in_commands = folders["commands"];
    let file_lines = most(lines.values().copied().filter(|it| *it > 0).collect());
    let functions: Vec<Function> = sources.iter().flat_map(|(file, text)| functions(file, text)).collect();
    let longest = functions.iter().max_by_key(|it| it.lines).unwrap();
    let share = |part: usize| 100.0 * part as f64 / total as f64;
    println!("production lines         {total}");
    println!("largest folder           {folder} {in_folder} ({:.1} %)", share(in_folder));
    println!("largest in workflow      {workflow} {in_workflow} ({:.1} %)", share(in_workflow));
    println!("commands                 {in_commands}");
    println!("lines of a file (95 %)   {file_lines}");
    println!("functions                {}", functions.len());
    println!("lines of a function      95 % {}", most(functions.iter().map(|it| it.lines).collect()));
    println!("longest function         {} ({})", longest.lines, longest.place);
    println!("most parameters          {}", functions.iter().map(|it| it.parameters).max().unwrap());

    let wide = functions.iter().filter(|it| it.parameters > PARAMETERS);
    let wide: Vec<String> = wide.map(|it| format!("{} has {} parameters", it.place, it.parameters)).collect();
    assert!(wide.is_empty(), "more than {PARAMETERS}: {wide:#?}");
    let long = functions.iter().filter(|it| it.lines > FUNCTION_LINES);
    let long: Vec<String> = long.map(|it| format!("{} has {} lines", it.place, it.lines)).collect();
    assert!(long.is_empty(), "more than {FUNCTION_LINES}: {long:#?}");
    assert!(file_lines <= FILE_LINES, "one file in twenty has more than {file_lines} lines");
    assert!(in_folder * 100 < total * FOLDER_SHARE, "{folder} has {in_folder} of {total} lines");
    assert!(in_workflow * 100 <= total * WORKFLOW_SHARE, "workflow/{workflow} has {in_workflow} of {total}");
    assert!(in_commands < COMMAND_LINES, "commands has {in_commands} lines");
}

#[test]
fn functions_are_measured_as_they_stand() {
    let text = "impl It {\n    pub(crate) async fn one<F: Fn(&str, u8) -> T>(\n        &mut self,\n        (a, b): (u8, u8),\n        f: impl Fn(u8, u8) -> u8,\n        m: Map<u8, u8>,\n    ) -> u8 {\n        1\n    }\n\n    fn two() {}\n}\n\nfn three(a: [u8; 2], b: &str) {\n    fn_like();\n}\n";
    let found: Vec<(usize, usize)> =
        functions("it.rs", text).into_iter().map(|it| (it.lines, it.parameters)).collect();
    assert_eq!(found, [(8, 3), (1, 0), (3, 2)]);
    assert_eq!(production_lines("it.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n    use x;\n}\n"), 1);
    assert_eq!(production_lines("a/tests.rs", text), 0);
}
