//! The file: TOML, one key a setting, named like its flag with underscores.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::Origin;
use super::strangers::nearest;

/// What is read when nobody names a file, if it is there.
const USUAL: &str = "taskyard.toml";

/// Every setting there is takes a few kilobytes.
const BYTES_MAX: u64 = 1 << 20;

pub(super) struct File {
    path: PathBuf,
    table: toml::Table,
}

impl File {
    /// The named file, which must be there, or else the usual one if it is.
    pub(super) fn find(named: Option<PathBuf>) -> Result<Option<Self>, String> {
        let path = match named {
            Some(path) => path,
            None if Path::new(USUAL).is_file() => PathBuf::from(USUAL),
            None => return Ok(None),
        };
        let shown = path.display();
        let text = read(&path)
            .map_err(|error| format!("the settings file {shown} cannot be read: {error}"))?;
        let table = text
            .parse()
            .map_err(|error| not_toml(&shown.to_string(), &text, &error))?;
        Ok(Some(Self { path, table }))
    }

    /// Refuses names that no setting has, and values that no setting can have.
    pub(super) fn check(&self, known: &[String], lists: &[String]) -> Result<(), String> {
        for (name, value) in &self.table {
            let shown = self.path.display();
            if !known.contains(name) {
                let step = match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("is {near:?} meant?"),
                    None => "`taskyard config` without this file lists them".to_owned(),
                };
                return Err(format!(
                    "the settings file {shown} names {name:?}, which is no setting; {step}"
                ));
            }
            if texts(value).is_none() {
                return Err(format!(
                    "the settings file {shown} gives {name} a table or a date; expected a text, a number, \
                     true or false, or a list of these"
                ));
            }
            if value.is_array() && !lists.contains(name) {
                return Err(format!(
                    "the settings file {shown} gives {name} a list; it takes one value"
                ));
            }
        }
        Ok(())
    }

    /// Each setting with its values and where they stand.
    pub(super) fn values(&self) -> Vec<(String, Vec<String>, Origin)> {
        self.table
            .iter()
            .filter_map(|(name, value)| {
                let origin = Origin::File(self.path.clone());
                Some((name.clone(), texts(value)?, origin))
            })
            .collect()
    }
}

/// The file's text, unless it is so long that it must be another one.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        let why = format!("it holds more than {BYTES_MAX} bytes, so it is something else");
        return Err(io::Error::other(why));
    }
    Ok(text)
}

/// Without the line as it stands, which may hold a password.
fn not_toml(file: &str, text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!(" in line {}", before.matches('\n').count() + 1));
    let (line, what) = (line.unwrap_or_default(), error.message());
    format!("the settings file {file} is not TOML{line}: {what}")
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::Array(values) => values.iter().map(text).collect(),
        one => text(one).map(|text| vec![text]),
    }
}

fn text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}
