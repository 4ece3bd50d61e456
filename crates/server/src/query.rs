//! Query strings: every parameter known, and each said once unless it may be repeated.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use taskyard_api::problem::Problem;

use crate::problem::{self, Code};

/// The parameters of a request's query.
pub(crate) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// A longer name is cut where it is quoted.
const QUOTED_MAX: usize = 64;

impl<'a> Params<'a> {
    /// Refuses what is not among `known`, and what is said twice and not in `repeated`.
    pub(crate) fn read(
        query: Option<&'a str>,
        known: &[&str],
        repeated: &[&str],
    ) -> Result<Self, Box<Problem>> {
        utf8(query)?;
        let params = Self(pairs(query));
        for (name, _) in &params.0 {
            if !known.contains(&name.as_ref()) {
                let name: String = name.chars().take(QUOTED_MAX).collect();
                let detail = if known.is_empty() {
                    "unknown parameter; there are none here".to_owned()
                } else {
                    format!("unknown parameter, expected one of {}", known.join(", "))
                };
                return Err(problem::at(Code::UnknownField, &name, detail));
            }
        }
        params.once(repeated)?;
        Ok(params)
    }

    /// Passes over what is not among `known`; refuses what is said twice, for one of the two would be passed over as well.
    pub(crate) fn of_known(query: Option<&'a str>, known: &[&str]) -> Result<Self, Box<Problem>> {
        utf8(query)?;
        let mut pairs = pairs(query);
        pairs.retain(|(name, _)| known.contains(&name.as_ref()));
        let params = Self(pairs);
        params.once(&[])?;
        Ok(params)
    }

    fn once(&self, repeated: &[&str]) -> Result<(), Box<Problem>> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            let is_second = self.0[..index].iter().any(|(other, _)| other == name);
            if is_second && !repeated.contains(&name.as_ref()) {
                return Err(problem::at(Code::Invalid, name, "may stand only once"));
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let (_, value) = pairs.find(|(other, _)| other == name)?;
        Some(value)
    }

    pub(crate) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_ref())
    }

    /// A whole number in a range.
    pub(crate) fn number(
        &self,
        name: &str,
        min: u64,
        max: u64,
        default: u64,
    ) -> Result<u64, Box<Problem>> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if plain && (min..=max).contains(&number) => Ok(number),
            _ => Err(problem::at(
                Code::Invalid,
                name,
                format!("must be a whole number from {min} to {max}"),
            )),
        }
    }
}

/// Bytes that are no text would be looked for as other ones.
fn utf8(query: Option<&str>) -> Result<(), Box<Problem>> {
    let is_text = |text: &str| percent_decode_str(text).decode_utf8().is_ok();
    let pairs = query.unwrap_or_default().split('&');
    let Some(wrong) = pairs.into_iter().find(|pair| !is_text(pair)) else {
        return Ok(());
    };
    let name = wrong.split('=').next().filter(|name| is_text(name));
    let name: String = name.unwrap_or_default().chars().take(QUOTED_MAX).collect();
    Err(problem::at(Code::Invalid, &name, "is not UTF-8"))
}

fn pairs(query: Option<&str>) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    serde_urlencoded::from_str(query.unwrap_or_default()).unwrap_or_default()
}

/// Routes without parameters take none.
pub(crate) fn none(query: Option<&str>) -> Result<(), Box<Problem>> {
    Params::read(query, &[], &[]).map(drop)
}
