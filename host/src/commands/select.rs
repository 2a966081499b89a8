//! Which exports a command is about: those that were named, and for exports with `tables` one for each table.
//! It must not know what is done with them.

use rivet_core::config::{Config, did_you_mean};
use rivet_core::error::RunError;
use rivet_core::tables::is_made_of;

/// The exports that were asked for, in the config's order; all where none was named. An export with `tables` stays when
/// it is named or one that it may stand for is.
///
/// # Errors
/// `Impossible` for a name that nothing has.
pub fn before_expansion(mut config: Config, names: &[String]) -> Result<Config, RunError> {
    if names.is_empty() {
        return Ok(config);
    }
    let known: Vec<&str> = config.exports.iter().map(|e| e.name.as_str()).collect();
    let groups: Vec<&str> = config.exports.iter().filter(|e| e.tables.is_some()).map(|e| e.name.as_str()).collect();
    let may_be = |name: &String| known.contains(&name.as_str()) || groups.iter().any(|group| is_made_of(name, group));
    if let Some(unknown) = names.iter().find(|name| !may_be(name)) {
        return Err(no_export(unknown, &known));
    }
    config.exports.retain(|e| names.iter().any(|n| *n == e.name || (e.tables.is_some() && is_made_of(n, &e.name))));
    Ok(config)
}

/// The exports that were asked for, when each table has its own. `groups` are the names of those with `tables`.
///
/// # Errors
/// `Impossible` for a name that nothing has.
pub fn after_expansion(mut config: Config, names: &[String], groups: &[String]) -> Result<Config, RunError> {
    if names.is_empty() {
        return Ok(config);
    }
    let known: Vec<&str> = config.exports.iter().map(|e| e.name.as_str()).collect();
    let is = |name: &String| known.contains(&name.as_str()) || groups.contains(name);
    if let Some(unknown) = names.iter().find(|name| !is(name)) {
        return Err(no_export(unknown, &known));
    }
    let of_group = |name: &str, export: &str| groups.iter().any(|g| g == name) && is_made_of(export, name);
    config.exports.retain(|e| names.iter().any(|n| *n == e.name || of_group(n, &e.name)));
    Ok(config)
}

fn no_export(unknown: &str, known: &[&str]) -> RunError {
    let guess = did_you_mean(unknown, known.iter().copied()).map_or_else(String::new, |guess| format!("{guess} "));
    RunError::Impossible {
        what: format!("no export is called '{unknown}'"),
        hint: format!("{guess}Known exports: {}", known.join(", ")),
    }
}
