//! The one checker: values against JSON schemas, core's own and those of plugins. What fits becomes what its schema asks for,
//! what does not is reported and marked as failed. It must not know any key or plugin, nor YAML.

use serde_json::{Number, Value as Json};

use super::choice::Choice;
use super::error::{At, ConfigError};
use super::node::{Entry, Node, Value, item, join};
use super::report::Report;
use super::schema::{self, MAX_DEPTH};
use super::suggest::{did_you_mean, one_of};
use super::words::{self, Wrong};

/// Where a value stands.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) path: String,
    /// Of the key, or of the value where it has none.
    pub(super) id: u32,
    depth: u32,
}

impl Place {
    /// Where a check begins.
    pub(super) fn new(path: &str, id: u32) -> Self {
        Self { path: path.to_owned(), id, depth: 0 }
    }

    /// A key of the block here.
    pub(super) fn key(&self, key: &str, id: u32) -> Self {
        Self { path: join(&self.path, key), id, depth: self.depth + 1 }
    }
}

/// A check of one block.
pub(super) struct Checker<'s, 'r> {
    /// Where references start.
    pub(super) root: &'s Json,
    pub(super) report: &'r mut Report,
    /// Whether keys may be missing, since another level may have them.
    pub(super) partial: bool,
    /// Keys that belong beside those of the outermost block, and are read elsewhere.
    pub(super) beside: &'r [String],
}

impl<'s> Checker<'s, '_> {
    /// Checks a value against the schema of its key.
    pub(super) fn value(&mut self, schema: &'s Json, node: &mut Node, place: &Place) {
        if place.depth > MAX_DEPTH || matches!(node.value, Value::Failed) {
            return;
        }
        let schema = schema::resolve(self.root, schema);
        if let Value::Text(text) = &node.value
            && schema["minLength"].as_u64() > Some(0)
            && text.trim().is_empty()
        {
            return self.fail(node, place, "is empty", Some("give it a value, or remove the key"));
        }
        if let Some(read) = schema::said(schema, schema::READS).and_then(|reads| words::read(reads, node, schema)) {
            return match read {
                Ok(json) => node.value = Value::Ready(json),
                Err(Wrong::Type(expected)) => self.wrong_type(node, place, &expected),
                Err(Wrong::Value(problem, hint)) => self.fail(node, place, &problem, hint.as_deref()),
            };
        }
        if let (Some(key), Value::Text(_)) = (schema::said(schema, schema::SHORTHAND), &node.value) {
            return self.shorthand(schema, key, node, place);
        }
        let types = schema::types(self.root, schema, 0);
        let words = schema::words(self.root, schema, 0);
        coerce(node, &types, words.as_deref());
        if !types.is_empty() && !types.iter().any(|t| schema::is_type(node, t)) {
            let expected =
                schema::said(schema, schema::EXPECTED).map_or_else(|| schema::expected(&types), str::to_owned);
            return self.wrong_type(node, place, &expected);
        }
        if let (Some(words), Value::Text(_)) = (words, &node.value) {
            return self.word(schema, &words, node, place);
        }
        if let Some(all) = schema::alternatives(schema) {
            return self.alternative(all, node, place);
        }
        match &mut node.value {
            Value::Map(_) => self.block(schema, node, place),
            Value::List(items) => {
                self.list(schema, items, place);
                if items.is_empty() && schema["minItems"].as_u64() > Some(0) {
                    self.fail(node, place, "is empty", Some("give it a value, or remove the key"));
                }
            }
            Value::Whole(_) | Value::Float(_) => self.range(schema, node, place),
            _ => {}
        }
    }

    /// Checks a block of keys.
    pub(super) fn block(&mut self, schema: &'s Json, node: &mut Node, place: &Place) {
        // A struct without a word on further keys means its own keys only: a typo must not pass in silence.
        let own = place.depth == 0 || schema.get("properties").is_some();
        let closed = schema::extra(schema).is_none() && (own || schema.get("additionalProperties").is_some());
        let Value::Map(entries) = &mut node.value else { return };
        if closed {
            entries
                .iter()
                .filter(|e| !schema::properties(schema).contains_key(&e.key))
                .for_each(|e| self.unknown(schema, e, place));
        }
        for entry in entries.iter_mut() {
            let inner = place.key(&entry.key, entry.id);
            match schema::property(schema, &entry.key) {
                Some(property) => self.value(property, &mut entry.node, &inner),
                None if !closed => self.bounded(&mut entry.node, &inner),
                None => {}
            }
        }
        if !self.partial {
            for key in schema::texts(schema, "required").filter(|key| node.get(key).is_none()) {
                self.missing(schema, key, place);
            }
        }
        self.together(schema, node, place);
    }

    /// Reports a missing key of the block here.
    pub(super) fn missing(&mut self, schema: &Json, key: &str, place: &Place) {
        let property = schema::properties(schema).get(key);
        let hint = property.and_then(|p| schema::said(p, schema::MISSING)).map(str::to_owned).or_else(|| {
            let about = property.and_then(|p| schema::said(p, "description"))?;
            Some(format!("`{key}`: {}", about.lines().next().unwrap_or_default().trim_end_matches('.')))
        });
        let at = self.report.at(join(&place.path, key), place.id);
        self.report.push(ConfigError::MissingKey { at, hint });
    }

    fn unknown(&mut self, schema: &Json, entry: &Entry, place: &Place) {
        let later = schema.get(schema::LATER).and_then(|later| schema::said(later, &entry.key));
        let at = self.report.at(join(&place.path, &entry.key), entry.id);
        if let Some(what) = later {
            return self.report.push(ConfigError::NotBuilt { at, what: what.to_owned() });
        }
        let beside: &[String] = if place.depth == 0 { self.beside } else { &[] };
        let known = schema::properties(schema).keys().chain(beside).map(String::as_str);
        let hint = match entry.key.as_str() {
            "<<" => Some("merge keys are not supported: put what exports share under `defaults`".to_owned()),
            key => did_you_mean(key, known),
        };
        // One that has no value and is like no known key may be a value that slipped out of its place
        // (`{password: ,secret}`), so it is not shown.
        let is_stray = matches!(entry.node.value, Value::Null) && hint.is_none();
        let path = if is_stray { join(&place.path, "") } else { at.path };
        self.report.push(ConfigError::UnknownKey { at: At { path, ..at }, hint });
    }

    /// Keys that exclude or need each other.
    fn together(&mut self, schema: &Json, node: &Node, place: &Place) {
        for set in schema::exclusive(schema) {
            let used = |keys: &Vec<&'_ str>| keys.iter().find_map(|key| Some(((*key).to_owned(), node.get(key)?.id)));
            let mut used = set.iter().filter_map(used);
            let Some((one, _)) = used.next() else { continue };
            for (other, id) in used {
                let at = self.report.at(place.path.clone(), id);
                self.report.push(ConfigError::Conflict { at, keys: (one.clone(), other) });
            }
        }
        for (key, needed) in schema::dependent(schema) {
            if let (Some(entry), None) = (node.get(key), node.get(needed)) {
                let hint = format!("write `{needed}` too, or remove the key");
                let problem = format!("means nothing without `{needed}`");
                self.report.bad(&join(&place.path, key), entry.id, problem, Some(&hint));
            }
        }
    }

    /// A text in the place of a block.
    fn shorthand(&mut self, schema: &'s Json, key: &str, node: &mut Node, place: &Place) {
        let Some(property) = schema::properties(schema).get(key) else { return };
        self.value(property, node, place);
        if !matches!(node.value, Value::Failed) {
            let inner = std::mem::replace(node, Value::Failed.into());
            node.id = inner.id;
            node.value = Value::Map(vec![Entry { key: key.to_owned(), id: place.id, node: inner, first: None }]);
        }
    }

    fn word(&mut self, schema: &Json, words: &[&str], node: &mut Node, place: &Place) {
        let Value::Text(text) = &node.value else { return };
        if words.contains(&text.as_str()) {
            return;
        }
        if let Some(what) = schema.get(schema::LATER).and_then(|later| schema::said(later, text)) {
            let at = self.report.at(place.path.clone(), place.id);
            self.report.push(ConfigError::NotBuilt { at, what: what.to_owned() });
            node.value = Value::Failed;
            return;
        }
        let hint = if node.from_env { None } else { did_you_mean(text, words.iter().copied()) };
        self.fail(node, place, &format!("must be {}", one_of(words)), hint.as_deref());
    }

    fn list(&mut self, schema: &'s Json, items: &mut [Node], place: &Place) {
        let mut seen: Vec<String> = Vec::new();
        for (i, node) in items.iter_mut().enumerate() {
            let inner = Place { path: item(&place.path, i, node), id: node.id, depth: place.depth + 1 };
            match (&node.value, schema["uniqueItems"].as_bool()) {
                (Value::Text(text), Some(true)) if seen.contains(text) => {
                    self.fail(node, &inner, "is in the list already", None);
                }
                (Value::Text(text), Some(true)) => seen.push(text.clone()),
                _ => {}
            }
            match schema.get("items") {
                Some(schema) => self.value(schema, node, &inner),
                None => self.bounded(node, &inner),
            }
        }
    }

    /// A block that says by a word which alternative it is; what is wrong with it is wrong with that one. Returns whether it
    /// is such a block.
    pub(super) fn chosen(&mut self, all: &'s [Json], node: &mut Node, place: &Place) -> bool {
        let Some(choice) = Choice::of(all).filter(|_| matches!(node.value, Value::Map(_))) else { return false };
        let inner = Place { depth: place.depth + 1, ..place.clone() };
        match (choice.branch(node), choice.tag) {
            (Some(branch), Some(tag)) if branch.get("$ref").is_some() => {
                // The keys of a variant that has a struct of its own, which does not know the tag.
                let word = node.get(tag).cloned();
                node.remove(tag);
                self.value(branch, node, &inner);
                word.into_iter().for_each(|word| node.put(word));
            }
            (Some(branch), _) => self.block(branch, node, &inner),
            (None, None) => return false,
            (None, Some(tag)) => {
                let words: Vec<&str> = choice.branches.iter().map(|(word, _)| *word).collect();
                let path = join(&place.path, tag);
                match node.get(tag) {
                    Some(entry) => {
                        let text = node.text(tag).filter(|_| !entry.node.from_env);
                        let hint = text.and_then(|text| did_you_mean(text, words.iter().copied()));
                        self.report.bad(&path, entry.id, format!("must be {}", one_of(&words)), hint.as_deref());
                    }
                    None => {
                        let hint = Some(format!("`{tag}` is {}", one_of(&words)));
                        let at = self.report.at(path, place.id);
                        self.report.push(ConfigError::MissingKey { at, hint });
                    }
                }
                node.value = Value::Failed;
            }
        }
        true
    }

    /// The value fits one of several schemas; if not, the errors of the one that has its type are the helpful ones.
    fn alternative(&mut self, all: &'s [Json], node: &mut Node, place: &Place) {
        if self.chosen(all, node, place) {
            return;
        }
        let mut best: Option<Vec<ConfigError>> = None;
        for schema in all {
            let mut report = Report::new(self.report.locator.clone());
            let mut tried = node.clone();
            let mut inner = Checker { root: self.root, report: &mut report, partial: self.partial, beside: &[] };
            inner.value(schema, &mut tried, &Place { depth: place.depth + 1, ..place.clone() });
            let errors = report.errors;
            if errors.is_empty() {
                *node = tried;
                return;
            }
            let mismatch = |e: &ConfigError| matches!(e, ConfigError::WrongType { at, .. } if at.path == place.path);
            if !errors.iter().any(mismatch) && best.as_ref().is_none_or(|b| errors.len() < b.len()) {
                best = Some(errors);
            }
        }
        match best {
            Some(errors) => {
                self.report.errors.extend(errors);
                node.value = Value::Failed;
            }
            None => self.fail(node, place, "is none of the forms that are allowed here", None),
        }
    }

    fn range(&mut self, schema: &Json, node: &mut Node, place: &Place) {
        let n = match node.value {
            Value::Whole(n) => n as f64,
            Value::Float(n) => n,
            _ => return,
        };
        let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
        let (low, high) = (bound("minimum"), bound("maximum"));
        let problem = match (low.filter(|low| n < *low), high.filter(|high| n > *high), low, high) {
            (None, None, _, _) => return self.bounded(node, place),
            // The bounds of a type are not those of its meaning.
            (_, _, Some(low), Some(high)) if schema.get("format").is_none() => {
                format!("must be between {low} and {high}")
            }
            (Some(low), _, _, _) => format!("must be at least {low}"),
            (_, Some(high), _, _) => format!("must be at most {high}"),
        };
        self.fail(node, place, &problem, None);
    }

    /// Numbers that JSON does not have are out of all bounds.
    fn bounded(&mut self, node: &mut Node, place: &Place) {
        match &mut node.value {
            Value::Whole(n) if i64::try_from(*n).is_ok() || u64::try_from(*n).is_ok() => {}
            Value::Float(n) if Number::from_f64(*n).is_some() => {}
            Value::Whole(_) | Value::Float(_) => {
                self.fail(node, place, "has a number that is out of all bounds", None);
            }
            Value::List(items) => items.iter_mut().for_each(|node| self.bounded(node, place)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.bounded(&mut entry.node, place)),
            _ => {}
        }
    }

    fn wrong_type(&mut self, node: &mut Node, place: &Place, expected: &str) {
        self.report.wrong_type(&place.path, place.id, node, expected);
        node.value = Value::Failed;
    }

    fn fail(&mut self, node: &mut Node, place: &Place, problem: &str, hint: Option<&str>) {
        self.report.bad(&place.path, place.id, problem, hint);
        node.value = Value::Failed;
    }
}

/// The text of a variable becomes what the schema asks for, where that takes no text; YAML reads the word `null` as nothing.
fn coerce(node: &mut Node, types: &[&str], words: Option<&[&str]>) {
    let takes = |name: &str| types.contains(&name);
    match &node.value {
        Value::Null if words.is_some_and(|words| words.contains(&"null")) => {
            node.value = Value::Text("null".to_owned())
        }
        Value::Text(text) if node.from_env && !types.is_empty() && !takes("string") => {
            let text = text.trim();
            let whole = text.parse().ok().filter(|_| takes("integer") || takes("number")).map(Value::Whole);
            let float = || text.parse().ok().filter(|n: &f64| n.is_finite() && takes("number")).map(Value::Float);
            let flag = || text.parse().ok().filter(|_| takes("boolean")).map(Value::Bool);
            if let Some(value) = whole.or_else(float).or_else(flag) {
                node.value = value;
            }
        }
        _ => {}
    }
}
