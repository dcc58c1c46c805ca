//! Metrics in the OpenMetrics text format 1.0, restricted to what Prometheus'
//! older text format reads as well, since the textfile collector uses that:
//! gauges only, no timestamps of samples.

use super::checks::Checks;

/// Returns the whole exposition. A family without samples is left out.
pub fn text(all: &Checks) -> String {
    let mut out = String::new();
    for family in all.families.iter().filter(|it| !it.samples.is_empty()) {
        out += &format!("# TYPE {} gauge\n", family.name);
        if let Some(unit) = family.unit {
            out += &format!("# UNIT {} {unit}\n", family.name);
        }
        out += &format!("# HELP {} {}\n", family.name, escaped(family.help, false));
        for sample in &family.samples {
            out += family.name;
            if !sample.labels.is_empty() {
                let labels: Vec<String> = sample
                    .labels
                    .iter()
                    .map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true)))
                    .collect();
                out += &format!("{{{}}}", labels.join(","));
            }
            out += &format!(" {}\n", sample.value);
        }
    }
    out += "# EOF\n";
    out
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn labels_are_escaped_and_what_is_unknown_is_absent() {
        assert_eq!(
            text(&sample()),
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
