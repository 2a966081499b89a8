//! What to say of a key that is none where it stands: that it belongs into another block.
//! It must not know which keys there are.

use super::error::ConfigError;
use super::file::schema;
use super::schema::properties;

/// Blocks, and how to write a key of theirs.
const BLOCKS: [(&str, &str, &str); 4] = [
    ("/$defs/tuning", "tuning: {", ": …}"),
    ("/properties/source/properties/tls", "source: {tls: {", ": …}}"),
    ("/properties/exports/items", "exports: [{", ": …}]"),
    ("/properties/source", "source: {", ": …}"),
];

/// Adds where a key belongs to errors that know no better word for it. What stands at the top of the file is named so.
pub fn explain(errors: &mut [ConfigError]) {
    for error in errors {
        let ConfigError::UnknownKey { at, hint: hint @ None } = error else { continue };
        let key = at.path.rsplit('.').next().unwrap_or_default();
        let holds = |pointer: &str| schema().pointer(pointer).is_some_and(|block| properties(block).contains_key(key));
        let found = BLOCKS.iter().find(|(pointer, ..)| holds(pointer));
        *hint = match found {
            Some((_, before, after)) => Some(format!("it belongs into another block: `{before}{key}{after}`")),
            None if properties(schema()).contains_key(key) => {
                Some(format!("it belongs to the top of the file: `{key}: …`"))
            }
            None => None,
        };
    }
}
