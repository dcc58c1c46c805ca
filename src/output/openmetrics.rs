//! Metrics in the OpenMetrics text format 1.0, restricted to what Prometheus'
//! older text format reads as well, since the textfile collector uses that:
//! gauges only, no timestamps of samples.

use std::io::{self, Write};

use super::checks::Checks;

/// Writes the whole exposition. A family without samples is left out.
///
/// # Errors
/// As `out` says.
pub fn write(all: &Checks<'_>, out: &mut dyn Write) -> io::Result<()> {
    for family in &all.families {
        let mut samples = (family.samples)().peekable();
        if samples.peek().is_none() {
            continue;
        }
        writeln!(out, "# TYPE {} gauge", family.name)?;
        if let Some(unit) = family.unit {
            writeln!(out, "# UNIT {} {unit}", family.name)?;
        }
        writeln!(out, "# HELP {} {}", family.name, escaped(family.help, false))?;
        for sample in samples {
            out.write_all(family.name.as_bytes())?;
            if !sample.labels.is_empty() {
                let labels: Vec<String> = sample
                    .labels
                    .iter()
                    .map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true)))
                    .collect();
                write!(out, "{{{}}}", labels.join(","))?;
            }
            writeln!(out, " {}", sample.value)?;
        }
    }
    out.write_all(b"# EOF\n")
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::tests::written;
    use super::*;

    #[test]
    fn labels_are_escaped_and_what_is_unknown_is_absent() {
        assert_eq!(
            written(write),
            "# TYPE keyctl_key_up gauge\n\
             # HELP keyctl_key_up Whether the key works\\nor \\\\ not\n\
             keyctl_key_up{key=\"mailgun@acme\"} 0\n\
             keyctl_key_up{key=\"a\\\"b\\\\c\\nd\"} 1\n\
             # TYPE keyctl_key_age_seconds gauge\n\
             # UNIT keyctl_key_age_seconds seconds\n\
             # HELP keyctl_key_age_seconds Age\n\
             keyctl_key_age_seconds 86400.5\n\
             # EOF\n"
        );
    }
}
