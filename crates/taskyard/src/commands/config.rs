//! `taskyard config`: the settings in force, and where each came from.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::Serialize;
use taskyard_api::client::Url;

use super::{Done, serve};
use crate::cli::ServeArgs;
use crate::database::without_password;
use crate::failure::Failure;
use crate::output::{self, Column, Format, Shown};
use crate::settings::units::duration_text;
use crate::settings::{Layered, Origin};

/// What is secret is never printed.
const SECRET: [&str; 1] = ["token"];

#[derive(Serialize)]
struct Setting {
    value: String,
    /// By command, where that has another value by default.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    other_values: BTreeMap<String, String>,
    from: String,
    /// What takes it; `all` for what every command does.
    commands: Vec<String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Settings(BTreeMap<String, Setting>);

impl Shown for Settings {
    fn table(&self) -> String {
        let rows = self.0.iter();
        let rows = rows.map(|(name, setting)| {
            vec![
                name.clone(),
                setting.value.clone() + &others(setting),
                setting.from.clone(),
                setting.commands.join(","),
            ]
        });
        let columns = [
            Column::new("setting"),
            Column::new("value").text(),
            Column::new("from").text().leaves(2),
            Column::new("commands").text().leaves(1),
        ];
        output::table(&columns, rows.collect())
    }

    fn ids(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(name, setting)| format!("{name}={}", setting.value))
            .collect()
    }
}

/// Prints the settings, and then refuses what a server would refuse of them.
pub(super) fn run(args: &ServeArgs, layered: &Layered, format: Format) -> Done {
    let lost = || Failure::new("the settings were not read");
    let (_, matches) = layered.matches.subcommand().ok_or_else(lost)?;
    let command = layered.command.find_subcommand("config").ok_or_else(lost)?;
    let takers = layered.takers("config");
    let typed = layered
        .in_force(command, matches)
        .filter(|(name, _, _)| name != "help" && name != "version");
    // Those of other commands cannot be typed here.
    let others = layered.beneath_flags();
    let mut settings = BTreeMap::new();
    for (name, value, origin) in others.chain(typed) {
        let other_values = match origin {
            Origin::Default => layered.other_defaults("config", &name, &value),
            Origin::Flag | Origin::Environment(_) | Origin::File(_) => BTreeMap::new(),
        };
        let setting = Setting {
            other_values,
            value: shown(&name, value),
            from: origin.to_string(),
            commands: takers.get(&name).cloned().unwrap_or_default(),
        };
        settings.insert(name, setting);
    }
    let plan = serve::Plan::make(args);
    // What it is by default hangs on others.
    if let (Ok(plan), Some(heartbeat)) = (&plan, settings.get_mut("heartbeat"))
        && heartbeat.value.is_empty()
    {
        heartbeat.value = duration_text(plan.policy.heartbeat);
    }
    format.print(&Settings(settings))?;
    plan?;
    Ok(ExitCode::SUCCESS)
}

/// The values that hold for some commands alone, behind the one for the others.
fn others(setting: &Setting) -> String {
    let others = setting.other_values.iter();
    let others = others.map(|(command, value)| format!(" ({command}: {value})"));
    others.collect()
}

fn shown(name: &str, value: String) -> String {
    if SECRET.contains(&name) && !value.is_empty() {
        return "(set, not shown)".to_owned();
    }
    if name == "database" {
        return without_password(&value);
    }
    if name == "inbox" {
        return each_without_password(&value);
    }
    if name == "server" {
        let each = value.split(',').map(server_without_password);
        return each.collect::<Vec<_>>().join(",");
    }
    value
}

/// A proxy before it may ask for one.
fn server_without_password(address: &str) -> String {
    let Ok(mut url) = address.trim().parse::<Url>() else {
        return address.to_owned();
    };
    if url.password().is_none() || url.set_password(Some("***")).is_err() {
        return address.to_owned();
    }
    url.to_string()
}

/// Of addresses with commas or spaces between them. One with several hosts has commas as well.
fn each_without_password(addresses: &str) -> String {
    const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
    let mut each: Vec<String> = Vec::new();
    for part in addresses.split([',', ' ']) {
        match each.last_mut() {
            Some(last) if !SCHEMES.iter().any(|scheme| part.starts_with(scheme)) => {
                last.push(',');
                last.push_str(part);
            }
            _ => each.push(part.to_owned()),
        }
    }
    let shown = each.iter().map(|address| without_password(address));
    shown.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_tokens_are_not_printed() {
        assert_eq!(
            shown("database", "postgres://me:secret@host/db".to_owned()),
            "postgres://me:***@host/db"
        );
        assert_eq!(
            shown(
                "database",
                "postgres://me:secret@host/db?password=hidden&connect_timeout=2".to_owned()
            ),
            "postgres://me:***@host/db?password=***&connect_timeout=2"
        );
        assert_eq!(
            shown(
                "inbox",
                "postgres://me:secret@a,b/shop,postgresql://you:hidden@c/x postgres://d/y"
                    .to_owned()
            ),
            "postgres://me:***@a,b/shop,postgresql://you:***@c/x,postgres://d/y"
        );
        assert_eq!(shown("inbox", "me:secret@host".to_owned()), "***");
        assert_eq!(shown("inbox", String::new()), "");
        assert_eq!(shown("database", "sqlite:a.db".to_owned()), "sqlite:a.db");
        assert_eq!(
            shown("server", "http://a:8000,http://me:secret@b/".to_owned()),
            "http://a:8000,http://me:***@b/"
        );
        assert_eq!(
            shown("database", "sqlite:postgres://me:secret@host/db".to_owned()),
            "***"
        );
        assert_eq!(shown("token", "secret".to_owned()), "(set, not shown)");
        assert_eq!(shown("token", String::new()), "");
    }
}
