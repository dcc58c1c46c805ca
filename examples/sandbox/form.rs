//! Form bodies: urlencoded, multipart, or none of both.

use percent_encoding::percent_decode_str;

/// How a body was encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    Absent,
    Urlencoded,
    Multipart,
    /// Some other content type, without its parameters.
    Other(String),
}

/// The fields of a body, in the order sent.
#[derive(Debug)]
pub struct Form {
    pub encoding: Encoding,
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// Reads a body by its content type.
    pub fn read(content_type: Option<&str>, body: &[u8]) -> Self {
        let Some(content_type) = content_type else {
            return Self { encoding: Encoding::Absent, fields: Vec::new() };
        };
        let mut parts = content_type.split(';').map(str::trim);
        match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => {
                Self { encoding: Encoding::Urlencoded, fields: pairs(&String::from_utf8_lossy(body)) }
            }
            "multipart/form-data" => {
                let boundary = parts.find_map(|it| it.strip_prefix("boundary=")).unwrap_or_default();
                let fields = multipart(boundary.trim_matches('"'), body);
                Self { encoding: Encoding::Multipart, fields }
            }
            other => Self { encoding: Encoding::Other(other.to_owned()), fields: Vec::new() },
        }
    }

    /// Returns a field that is there and not empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(it, value)| it == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// Reads `a=1&b=2`.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        })
        .collect()
}

/// Undoes percent-encoding.
pub fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn multipart(boundary: &str, body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    if boundary.is_empty() {
        return Vec::new();
    }
    let mark = format!("--{boundary}");
    text.split(mark.as_str()).skip(1).filter_map(part).collect()
}

fn part(text: &str) -> Option<(String, String)> {
    let (head, value) = text.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
    let disposition =
        head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let name = disposition.split(';').map(str::trim).find_map(|it| it.strip_prefix("name="))?;
    let value = value.strip_suffix("\r\n").unwrap_or(value);
    Some((name.trim_matches('"').to_owned(), value.to_owned()))
}
