//! Which of several schemas a block of options is meant for, where it says so itself.
//! It must not know what is wrong with the block.

use serde_json::Value;

use super::node::Node;

/// Alternatives that a value chooses among by a word: the value of one key (serde's `tag`), or the name of the only key.
pub(super) struct Choice<'s> {
    /// The key, where it is the same in all.
    pub(super) tag: Option<&'s str>,
    /// Each word with its schema.
    pub(super) branches: Vec<(&'s str, &'s Value)>,
}

impl<'s> Choice<'s> {
    /// None where there is no such word.
    pub(super) fn of(all: &'s [Value]) -> Option<Self> {
        let objects: Vec<&Value> = all.iter().filter(|s| s.get("properties").is_some()).collect();
        let first = objects.first()?.get("properties")?.as_object()?;
        let word = |s: &'s Value, key: &str| s.get("properties")?.get(key)?.get("const")?.as_str();
        let tagged = |key: &'s String| -> Option<Self> {
            let branches = all.iter().map(|s| Some((word(s, key)?, s))).collect::<Option<_>>()?;
            Some(Self { tag: Some(key), branches })
        };
        let named = |s: &&'s Value| {
            let required = s.get("required")?.as_array()?;
            let closed = s.get("additionalProperties") == Some(&Value::Bool(false));
            if closed && required.len() == 1 { Some((required[0].as_str()?, *s)) } else { None }
        };
        let by_name = || Some(Self { tag: None, branches: objects.iter().map(named).collect::<Option<_>>()? });
        first.keys().find_map(tagged).or_else(by_name)
    }

    /// What the word in a block stands for.
    pub(super) fn branch(&self, block: &Node) -> Option<&'s Value> {
        let is_chosen = |word: &str| match self.tag {
            Some(tag) => block.text(tag) == Some(word),
            None => block.get(word).is_some(),
        };
        self.branches.iter().find(|(word, _)| is_chosen(word)).map(|(_, schema)| *schema)
    }
}
