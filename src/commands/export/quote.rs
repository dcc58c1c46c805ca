//! One variable, written so that a shell or a reader of `.env` files takes
//! exactly its value, whatever is in it.

/// A shell whose rules are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Pwsh,
    Nu,
}

impl Shell {
    pub const ALL: [Self; 5] = [Self::Bash, Self::Zsh, Self::Fish, Self::Pwsh, Self::Nu];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Pwsh => "pwsh",
            Self::Nu => "nu",
        }
    }
}
crate::key::kind::fixed_words!(Shell, "shell");

/// Returns the line that sets and exports a variable.
pub fn shell(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        // Nothing is special between single quotes; a quote itself stands outside.
        Shell::Bash | Shell::Zsh => format!("export {name}='{}'\n", value.replace('\'', r"'\''")),
        Shell::Fish => {
            format!("set -gx {name} '{}'\n", value.replace('\\', r"\\").replace('\'', r"\'"))
        }
        Shell::Pwsh => format!("$env:{name} = '{}'\n", pwsh(value)),
        Shell::Nu => format!("$env.{name} = \"{}\"\n", escaped(value, "")),
    }
}

/// PowerShell takes typographic quotes for quotes, too (about_Quoting_Rules).
fn pwsh(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
            out.push(c);
        }
        out.push(c);
    }
    out
}

fn escaped(value: &str, more: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == '"' || c == '\\' || more.contains(c) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Returns the line of a `.env` file: bare where nothing can be taken for
/// something else, else in single quotes, which every reader takes as they
/// are, else in double quotes with escapes.
pub fn dotenv(name: &str, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@+,%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        format!("{name}={value}\n")
    } else if !value.contains(['\'', '\n', '\r', '\\']) {
        format!("{name}='{value}'\n")
    } else {
        format!("{name}=\"{}\"\n", escaped(value, "$`"))
    }
}

/// Returns the entry of a GitHub environment file. A value of several lines
/// stands between marks that it does not contain (GitHub documentation:
/// multiline strings).
pub fn github(name: &str, value: &str) -> String {
    if !value.contains(['\n', '\r']) {
        return format!("{name}={value}\n");
    }
    let mut mark = "KEYCTL_END".to_owned();
    while value.contains(&mark) {
        mark.push('_');
    }
    format!("{name}<<{mark}\n{value}\n{mark}\n")
}

/// Returns the workflow commands that star a value out in logs, one a line of
/// it: the runner masks line by line.
pub fn mask(value: &str) -> String {
    let lines = value.lines().filter(|line| !line.is_empty());
    lines.map(|line| format!("::add-mask::{}\n", line.replace('%', "%25").replace('\r', "%0D"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a'b\"c $d `e` \\f !g %h\n#i ’j";

    #[test]
    fn each_shell_has_its_own_quotes() {
        assert_eq!(shell(Shell::Bash, "A", NASTY), "export A='a'\\''b\"c $d `e` \\f !g %h\n#i ’j'\n");
        assert_eq!(shell(Shell::Zsh, "A", NASTY), shell(Shell::Bash, "A", NASTY));
        assert_eq!(shell(Shell::Fish, "A", NASTY), "set -gx A 'a\\'b\"c $d `e` \\\\f !g %h\n#i ’j'\n");
        assert_eq!(shell(Shell::Pwsh, "A", NASTY), "$env:A = 'a''b\"c $d `e` \\f !g %h\n#i ’’j'\n");
        assert_eq!(shell(Shell::Nu, "A", NASTY), "$env.A = \"a'b\\\"c $d `e` \\\\f !g %h\\n#i ’j\"\n");
    }

    #[test]
    fn a_dotenv_value_is_bare_only_when_nothing_is_special() {
        assert_eq!(dotenv("A", "mg.acme.example"), "A=mg.acme.example\n");
        assert_eq!(dotenv("A", "a b#c$d"), "A='a b#c$d'\n");
        assert_eq!(dotenv("A", "a'b$c\n"), "A=\"a'b\\$c\\n\"\n");
        assert_eq!(dotenv("A", ""), "A=''\n");
    }

    #[test]
    fn a_github_value_of_two_lines_has_marks_it_does_not_contain() {
        assert_eq!(github("A", "x=y"), "A=x=y\n");
        assert_eq!(github("A", "x\nKEYCTL_END"), "A<<KEYCTL_END_\nx\nKEYCTL_END\nKEYCTL_END_\n");
        assert_eq!(mask("100%\n\nx"), "::add-mask::100%25\n::add-mask::x\n");
    }
}
