//! The part of a plan that moves a cursor.
//! It must not know how keys compare, nor where a cursor is stored.

use rivet_plugin_api::KeyValue;
use serde::{Deserialize, Serialize};

/// What an incremental run reads, and where it leaves the cursor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Increment {
    /// The cursor: the first of these columns that is not NULL.
    pub key: Vec<String>,
    /// Where the cursor is; none on the first run.
    pub lower: Option<KeyValue>,
    /// The largest key that is read; none where there are no rows.
    pub upper: Option<KeyValue>,
    /// Digest of what the cursor belongs to.
    pub fingerprint: String,
    /// Stored as the cursor when the run is finished; none leaves it as it is.
    pub next: Option<Mark>,
}

/// A cursor: a key, and the rows near it that were exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The largest key that was read.
    pub value: KeyValue,
    /// Hash and number of the rows that the next run reads again; none where there are too many to remember.
    #[serde(default, with = "hash_words")]
    pub rows: Option<Vec<(u128, u32)>>,
    /// What it belongs to; none where an older version stored it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// What a cursor belongs to, part by part, so that a mismatch can be named. What may hold the value of a variable is
/// there as a digest only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Source plugin.
    pub source: String,
    /// Server and database.
    pub server: String,
    /// The relation as messages call it.
    pub relation: String,
    /// Digest of the relation, which can be a query.
    pub relation_digest: String,
    /// Digest of the condition; empty where there is none.
    pub condition_digest: String,
    /// The condition as the config has it; none where there is none, or where an older version stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The cursor columns.
    pub key: Vec<String>,
    /// Destination, before placeholders are filled in.
    pub destination: String,
    /// The engine's identity of relation and database; none where it has none, or where the cursor was set by hand.
    pub identity: Option<String>,
}

impl Mark {
    /// A mark that was brought from elsewhere. Without a type, it is of its column's.
    pub fn brought(native_type: &str, text: &str) -> Self {
        Self { value: KeyValue::new(native_type, text), rows: Some(Vec::new()), owner: None }
    }

    /// The mark at another value of the same type. Rows near the old one mean nothing there, and whoever moves it says
    /// that it is of the relation that the next run finds.
    pub fn moved_to(&self, text: &str) -> Self {
        let value = KeyValue { native_type: self.value.native_type.clone(), text: text.to_owned() };
        let owner = self.owner.clone().map(|owner| Owner { identity: None, ..owner });
        Self { value, rows: Some(Vec::new()), owner }
    }
}

/// Hashes as words of 32 hex digits, with `xN` where there is more than one row: JSON numbers do not hold 128 bits.
mod hash_words {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    type Rows = Option<Vec<(u128, u32)>>;

    pub fn serialize<S: Serializer>(rows: &Rows, serializer: S) -> Result<S::Ok, S::Error> {
        let word = |(hash, n): &(u128, u32)| if *n == 1 { format!("{hash:032x}") } else { format!("{hash:032x}x{n}") };
        let text = rows.as_ref().map(|rows| rows.iter().map(word).collect::<Vec<_>>().join(" "));
        text.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rows, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let row = |word: &str| {
            let (hash, n) = word.split_once('x').unwrap_or((word, "1"));
            Some((u128::from_str_radix(hash, 16).ok()?, n.parse().ok()?))
        };
        let rows: Option<Vec<_>> = text.split_whitespace().map(row).collect();
        rows.map(Some).ok_or_else(|| D::Error::custom("a hash that is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_json_with_all_its_bits() {
        let value = KeyValue { native_type: "numeric".to_owned(), text: "0.10".to_owned() };
        for rows in [None, Some(vec![]), Some(vec![(u128::MAX, 1), (7, 3), (0, u32::MAX)])] {
            let owner = Some(Owner { identity: Some("relation 7".to_owned()), ..Owner::default() });
            let mark = Mark { value: value.clone(), rows, owner };
            let json = serde_json::to_value(&mark).expect("JSON");
            assert_eq!(serde_json::from_value::<Mark>(json).expect("a mark"), mark);
        }
        assert!(serde_json::from_str::<Mark>(r#"{"value":{"native_type":"a","text":"b"},"rows":"zz"}"#).is_err());
        let old = serde_json::from_str::<Mark>(r#"{"value":{"native_type":"a","text":"b"},"rows":null}"#);
        assert_eq!(old.expect("a mark without an owner").owner, None);
    }
}
