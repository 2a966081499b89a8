//! Layers: the keys of a block over those of a weaker one, as trees, before they have types.
//! It must not know any key.

use serde_json::Value as Json;

use super::node::{Entry, Node, Value};
use super::schema;

/// `own` over `base`, key by key, blocks that their schema describes likewise. A block that names a plugin replaces one of
/// another level; of keys that exclude each other, `own` has the last word.
pub(super) fn merge(root: &Json, of: &Json, base: &Node, own: &Node) -> Node {
    let of = schema::resolve(root, of);
    let names_plugin = schema::properties(of).contains_key("type") && own.get("type").is_some();
    let (Value::Map(_), Value::Map(entries), false) = (&base.value, &own.value, names_plugin) else {
        return own.clone();
    };
    let mut merged = base.clone();
    merged.id = own.id;
    for set in schema::exclusive(of) {
        let keys = || set.iter().flatten().copied();
        if keys().any(|key| own.get(key).is_some()) {
            keys().for_each(|key| merged.remove(key));
        }
    }
    for (key, needed) in schema::dependent(of) {
        if merged.get(needed).is_none() {
            merged.remove(key);
        }
    }
    for entry in entries {
        let below = base.entries().iter().find(|e| e.key == entry.key);
        let node = match (below, schema::properties(of).get(&entry.key)) {
            (Some(below), Some(of)) => merge(root, of, &below.node, &entry.node),
            _ => entry.node.clone(),
        };
        merged.put(Entry { node, ..entry.clone() });
    }
    merged
}
