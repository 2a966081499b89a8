//! What a cursor belongs to, and whether the stored one belongs to what is read now.
//! It must not know how keys compare, nor how rows travel.

use std::collections::BTreeMap;

use super::env::Env;
use crate::config::Incremental;
use crate::error::RunError;
use crate::manifest::digest;
use crate::plan::{Mark, Owner};
use crate::resolve::ExportSpec;

/// What a cursor of this export belongs to; `identity` is the engine's, of the relation.
pub fn of(spec: &ExportSpec, mode: &Incremental, server: &str, identity: Option<&str>) -> Owner {
    let json = serde_json::json!(spec.relation);
    Owner {
        source: spec.source.info().name.clone(),
        server: server.to_owned(),
        relation: spec.written.relation.label(),
        relation_digest: digest(json.to_string().as_bytes()),
        condition_digest: spec.condition.as_ref().map(|text| digest(text.as_bytes())).unwrap_or_default(),
        condition: spec.written.condition.clone(),
        key: mode.key.clone(),
        destination: spec.destination_template.clone(),
        identity: identity.map(str::to_owned),
    }
}

/// All of it but the identity in one digest.
pub fn fingerprint(spec: &ExportSpec, mode: &Incremental, server: &str) -> String {
    let parts = serde_json::json!([
        spec.source.info().name,
        server,
        spec.relation,
        spec.condition,
        mode.key,
        spec.destination_template,
    ]);
    digest(parts.to_string().as_bytes())
}

/// The stored cursor of the export. One that was brought by hand belongs to whatever is read now. One that does not say of which relation it is, is taken for one of `now`, and that
/// is said; where the source cannot say it any more, `now` keeps what is known.
///
/// # Errors
/// `Impossible` when it belongs to something else; the state's error.
pub fn stored_mark(
    spec: &ExportSpec,
    now: &mut Owner,
    fingerprint: &str,
    env: &Env<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<Mark>, RunError> {
    if spec.full_refresh {
        return Ok(None);
    }
    let name = &spec.name;
    let Some(stored) = env.state.cursor(name)? else { return Ok(None) };
    let mark: Mark = serde_json::from_value(stored.value)
        .map_err(|_| RunError::Internal(format!("the stored cursor of '{name}' cannot be read")))?;
    if stored.fingerprint.is_empty() {
        return Ok(Some(mark));
    }
    let known = mark.owner.clone().unwrap_or_default();
    if stored.fingerprint != fingerprint {
        let changes = mark.owner.as_ref().map(|before| changes(before, now)).unwrap_or_default();
        let what = if changes.is_empty() {
            "another database, relation, condition, cursor column or destination".to_owned()
        } else {
            format!("something else: {}", changes.join("; "))
        };
        return Err(RunError::Impossible {
            what: format!("the stored cursor of '{name}' belongs to {what}"),
            hint: format!("undo the change, or {}", all_again(name)),
        });
    }
    match (&known.identity, &now.identity) {
        (Some(before), Some(is)) => match one_identity(before, is) {
            Some(fuller) => {
                now.identity = Some(fuller.to_owned());
                Ok(Some(mark))
            }
            None => Err(RunError::Impossible {
                what: format!(
                    "the stored cursor of '{name}' belongs to another {}: it was {before} and is {is}",
                    spec.relation.label()
                ),
                hint: format!(
                    "where it was made anew, {}; where it holds the rows that it held before, as after a restore, keep the \
                     cursor with `rivet state set -e {name} --cursor {}`",
                    all_again(name),
                    shell_word(&mark.value.text)
                ),
            }),
        },
        (None, Some(is)) => {
            warnings.push(format!(
                "the stored cursor does not say which {} it is of: it is taken for one of {is}",
                spec.relation.label()
            ));
            Ok(Some(mark))
        }
        (before, None) => {
            now.identity.clone_from(before);
            Ok(Some(mark))
        }
    }
}

/// The one of two identities that says more, unless they are of two things. An identity has parts, each a name and a value
/// as in `database 5, relation 7`, and which of them an engine tells may depend on what the user is allowed to ask: parts
/// that only one of the two has tell nothing.
pub fn one_identity<'i>(before: &'i str, now: &'i str) -> Option<&'i str> {
    let (parts_before, parts_now) = (parts(before), parts(now));
    let mut common = parts_before.iter().filter_map(|(name, value)| Some((value, parts_now.get(name)?))).peekable();
    // What have no part in common can be told apart by the whole alone.
    let same = if common.peek().is_some() { common.all(|(before, now)| before == now) } else { before == now };
    same.then_some(if parts_before.len() > parts_now.len() { before } else { now })
}

fn parts(identity: &str) -> BTreeMap<&str, &str> {
    identity.split(',').map(|part| part.trim().split_once(' ').unwrap_or(("", part.trim()))).collect()
}

/// What helps when a cursor means nothing any more.
pub fn all_again(name: &str) -> String {
    format!(
        "read everything once with `rivet run -e {name} --full-refresh`, or forget the cursor with `rivet state reset -e \
         {name}`"
    )
}

/// A text as one word of a shell.
pub fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// One phrase for each part that differs, without the identity.
fn changes(before: &Owner, now: &Owner) -> Vec<String> {
    let (key_before, key_now) = (before.key.join(", "), now.key.join(", "));
    let was = [
        ("source", &before.source, &now.source),
        ("database", &before.server, &now.server),
        ("relation", &before.relation, &now.relation),
        ("cursor column", &key_before, &key_now),
        ("destination", &before.destination, &now.destination),
    ];
    let mut all: Vec<String> = was
        .iter()
        .filter(|(_, before, now)| before != now)
        .map(|(word, before, now)| format!("the {word} was {before} and is {now}"))
        .collect();
    if before.relation == now.relation && before.relation_digest != now.relation_digest {
        all.push(format!("the text of {} is another one", now.relation));
    }
    if before.condition_digest != now.condition_digest {
        all.push(condition_change(before, now));
    }
    all
}

fn condition_change(before: &Owner, now: &Owner) -> String {
    let shown = |condition: &Option<String>| condition.as_ref().map_or_else(|| "none".to_owned(), |c| format!("`{c}`"));
    if before.condition.is_none() && !before.condition_digest.is_empty() {
        "`where` is another one".to_owned()
    } else if before.condition == now.condition {
        "a variable in `where` has another value".to_owned()
    } else {
        format!("`where` was {} and is {}", shown(&before.condition), shown(&now.condition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_that_both_identities_have_tell_them_apart() {
        let (full, bare) = ("system 1, database 5, relation 7", "database 5, relation 7");
        for (before, now, expected) in [
            (full, full, Some(full)),
            (full, bare, Some(full)),
            (bare, full, Some(full)),
            (bare, "system 1, database 5, relation 8", None),
            (full, "system 2, database 5, relation 7", None),
            (full, "database 6, relation 7", None),
            ("x", "x", Some("x")),
            ("x", "y", None),
            ("system 1", "database 5", None),
        ] {
            assert_eq!(one_identity(before, now), expected, "{before} / {now}");
        }
    }

    #[test]
    fn each_part_that_differs_is_named() {
        let owner = |n: &str| Owner {
            source: format!("source{n}"),
            server: format!("server{n}"),
            relation: format!("t{n}"),
            relation_digest: n.to_owned(),
            condition_digest: n.to_owned(),
            condition: Some(format!("a > {n}")),
            key: vec![format!("c{n}"), "d".to_owned()],
            destination: format!("local(path=/{n})"),
            identity: Some(n.to_owned()),
        };
        let (one, two) = (owner("1"), owner("2"));
        assert_eq!(changes(&one, &one), Vec::<String>::new());
        assert_eq!(
            changes(&one, &two),
            [
                "the source was source1 and is source2",
                "the database was server1 and is server2",
                "the relation was t1 and is t2",
                "the cursor column was c1, d and is c2, d",
                "the destination was local(path=/1) and is local(path=/2)",
                "`where` was `a > 1` and is `a > 2`",
            ]
        );
        let with = |condition: Option<&str>, digest: &str| Owner {
            condition: condition.map(str::to_owned),
            condition_digest: digest.to_owned(),
            ..one.clone()
        };
        for (before, now, expected) in [
            (with(None, ""), with(Some("b"), "2"), "`where` was none and is `b`"),
            (with(Some("b"), "2"), with(None, ""), "`where` was `b` and is none"),
            (with(Some("a = ${N}"), "1"), with(Some("a = ${N}"), "2"), "a variable in `where` has another value"),
            (with(None, "1"), with(Some("b"), "2"), "`where` is another one"),
        ] {
            assert_eq!(changes(&before, &now), [expected]);
        }
        let query = |n: &str| Owner { relation: "query".to_owned(), relation_digest: n.to_owned(), ..one.clone() };
        assert_eq!(changes(&query("1"), &query("2")), ["the text of query is another one"]);
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
