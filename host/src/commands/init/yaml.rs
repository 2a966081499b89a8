//! The config that `rivet init` writes: YAML with comments for who reads it tired.
//! It must not know how a proposal was made.

use std::fmt::Write as _;
use std::path::Path;

use rivet_core::config::{Profile, literal};
use rivet_core::propose::{Proposal, Refusal, Surveyed, Way};
use rivet_plugin_api::{ListedTable, TableKind};

use crate::out::shown;
use crate::render::{counted, size};

/// The file with the schema of the config that editors go by, beside the config.
pub const SCHEMA_FILE: &str = "rivet.schema.json";

/// How a relation is exported that is left out since it is no table.
pub const HOW_OTHERS: &str = "`rivet init --table NAME` takes one in, as does an export with `table:` or `query:`";

/// All of a config but its exports.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Blocks `source` and `plugins`.
    pub source: &'a str,
    /// What to know about the source, one sentence each.
    pub source_notes: &'a [String],
    /// Where state is kept, if not at its usual place.
    pub state: Option<&'a Path>,
    /// Keys that all exports share, one a line.
    pub shape: &'a [String],
    /// The pace was chosen: none is proposed.
    pub has_profile: bool,
    /// Folder of the files.
    pub to: &'a str,
    /// Relations that were listed and not looked at, since they are no tables.
    pub others: &'a [ListedTable],
}

/// The whole file.
pub fn config(frame: &Frame<'_>, surveyed: &[Surveyed], proposed: &[Result<Proposal, Refusal>]) -> String {
    let exports: Vec<&Proposal> = proposed.iter().filter_map(|one| one.as_ref().ok()).collect();
    let mut text = format!("# yaml-language-server: $schema={SCHEMA_FILE}\n");
    head(&mut text, &exports);
    text.push('\n');
    for note in frame.source_notes {
        comment(&mut text, "", note);
    }
    let _ = writeln!(text, "{}", frame.source.trim_end());
    if let Some(state) = frame.state {
        let _ = writeln!(text, "\nstate: {{url: {}}}", literal(&state.to_string_lossy()));
    }
    text.push_str("\n# What all exports share.\ndefaults:\n");
    for line in frame.shape {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "  destination: {{type: local, path: {}}}", literal(frame.to));
    // One that was chosen is in `shape`, and holds for all.
    let usual = if frame.has_profile { None } else { Some(usual_profile(&exports)) };
    if let Some(usual) = usual.filter(|usual| *usual != Profile::default()) {
        let _ = writeln!(text, "  tuning: {{profile: {usual}}}");
    }
    text.push_str("\nexports:\n");
    for proposal in exports {
        export(&mut text, proposal, usual);
        text.push('\n');
    }
    foot(&mut text, frame.others, surveyed, proposed);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn head(text: &mut String, exports: &[&Proposal]) {
    text.push_str(
        "# Written by `rivet init` from the database's catalogue: no rows were read, sizes are estimates.\n\
         # Change what you like, then:\n\
         #   rivet check   how each export will read, and how its columns are held\n\
         #   rivet run     export\n",
    );
    if exports.iter().any(|p| p.way != Way::Full) {
        text.push_str(
            "#\n\
             # Incremental exports read what their cursor shows as new. Rows that are deleted are not seen, and rows that\n\
             # are committed late with a smaller cursor only within a `lookback`, such as `lookback: 15m`.\n",
        );
    }
    if exports.iter().any(|p| p.notes.iter().any(|note| note.starts_with("would stop the run"))) {
        text.push_str(
            "#\n\
             # \"would stop the run\": files have no place for such a value. An export that meets one fails and names it;\n\
             # with `policies: {infinity_timestamp: clamp, nan: \"null\"}` in `defaults` or an export it goes on.\n",
        );
    }
}

/// The pace that suits most of the exports.
fn usual_profile(exports: &[&Proposal]) -> Profile {
    let count = |profile: &Profile| exports.iter().filter(|p| p.profile == *profile).count();
    Profile::ALL.into_iter().max_by_key(count).unwrap_or_default()
}

/// An export; `usual` is the pace of those that say nothing, where one was proposed.
fn export(text: &mut String, proposal: &Proposal, usual: Option<Profile>) {
    comment(text, "  ", &facts(proposal));
    for note in &proposal.notes {
        comment(text, "  ", note);
    }
    let _ = writeln!(text, "  - name: {}\n    table: {}", literal(&proposal.name), literal(&proposal.table));
    if let Some(reason) = &proposal.reason {
        comment(text, "    ", reason);
    }
    for (key, value) in proposal.way.keys() {
        let _ = writeln!(text, "    {key}: {}", literal(value));
    }
    if let Some((when, way)) = &proposal.instead {
        let keys: Vec<String> = way.keys().iter().map(|(key, value)| format!("`{key}: {}`", literal(value))).collect();
        comment(text, "    ", &format!("{when}: {}", keys.join(", ")));
    }
    if usual.is_some_and(|usual| usual != proposal.profile) {
        let _ = writeln!(text, "    tuning: {{profile: {}}}", proposal.profile);
    }
    if !proposal.columns.is_empty() {
        text.push_str("    columns:\n");
        for (name, logical) in &proposal.columns {
            let _ = writeln!(text, "      {}: {}", rivet_core::config::quoted(name), literal(logical));
        }
    }
}

/// What the relation is, how large, and what finds a row in it.
fn facts(proposal: &Proposal) -> String {
    let kind = match proposal.kind {
        TableKind::View => "view",
        TableKind::Table => "table",
        _ => "relation",
    };
    let rows = match proposal.estimate.rows {
        None => "rows unknown".to_owned(),
        Some(n) => format!("about {}", counted(n, "row")),
    };
    let bytes = proposal.estimate.bytes.map_or_else(String::new, |n| format!(", {}", size(n)));
    let key = proposal.key.as_ref().map_or_else(String::new, |key| format!(", key {}", key.join(", ")));
    format!("{kind}, {rows}{bytes}{key}")
}

/// What has no export.
fn foot(text: &mut String, others: &[ListedTable], surveyed: &[Surveyed], proposed: &[Result<Proposal, Refusal>]) {
    let refused = surveyed.iter().zip(proposed).filter_map(|(one, proposed)| Some((one, proposed.as_ref().err()?)));
    let refused: Vec<_> = refused.collect();
    if !refused.is_empty() {
        text.push_str("# Left out, since it cannot be exported as it is:\n");
        for (one, Refusal { why, hint }) in refused {
            let hint = hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
            comment(text, "", &format!("  {}: {why}{hint}", one.table.relation().label()));
        }
    }
    if !others.is_empty() {
        let _ = writeln!(text, "# Left out, since no table: {}; {HOW_OTHERS}:", others.len());
        for other in others {
            comment(text, "", &format!("  {}", other.relation().label()));
        }
    }
}

/// A comment of one line, whatever is in it.
fn comment(text: &mut String, indent: &str, said: &str) {
    let _ = writeln!(text, "{indent}# {}", shown(said));
}

#[cfg(test)]
mod tests {
    use rivet_core::propose::{Found, Known, propose};
    use rivet_plugin_api::{Column, CursorColumn, Estimate, Fidelity, LogicalType, SetOn, TableSchema};

    use super::*;

    const MOMENT: LogicalType = LogicalType::Timestamp { utc: true, nanos: false };
    const WHOLE: LogicalType = LogicalType::Int { bits: 64, signed: true };

    fn surveyed() -> Vec<Surveyed> {
        let table = |name: &str| ListedTable::new(Some("shop".to_owned()), name);
        let id = || Column::new("id", "bigint", WHOLE).required();
        let cursor = |name: &str, set_on| CursorColumn { indexed: true, set_on, ..CursorColumn::new(name) };
        let orders = TableSchema {
            keys: vec![vec!["id".to_owned()]],
            cursors: Some(vec![cursor("id", SetOn::Insert), cursor("updated_at", SetOn::Change)]),
            ..TableSchema::of(vec![id(), Column::new("updated_at", "timestamptz", MOMENT).required()])
        };
        let amount = Column { fidelity: Fidelity::Text, ..Column::new("a\nb", "numeric", LogicalType::Text) };
        let odd = TableSchema {
            cursors: Some(vec![cursor("id", SetOn::Insert)]),
            warnings: vec![
                "row-level security may hide rows of it: only those that this login sees are exported".into(),
            ],
            ..TableSchema::of(vec![id(), amount])
        };
        let found = |schema, rows| Found {
            schema,
            estimate: Estimate { rows, bytes: rows.map(|n| n * 100), splittable: true },
            refused: Vec::new(),
        };
        let no = Refusal { why: "this login may not read it".to_owned(), hint: Some("grant SELECT on it".to_owned()) };
        vec![
            Surveyed { table: table("orders"), found: Ok(found(orders, Some(1_234_567))) },
            Surveyed { table: table("$odd: #1"), found: Ok(found(odd, None)) },
            Surveyed { table: table("closed"), found: Err(no) },
        ]
    }

    const EXPECTED: &str = r#"# yaml-language-server: $schema=rivet.schema.json
# Written by `rivet init` from the database's catalogue: no rows were read, sizes are estimates.
# Change what you like, then:
#   rivet check   how each export will read, and how its columns are held
#   rivet run     export
#
# Incremental exports read what their cursor shows as new. Rows that are deleted are not seen, and rows that
# are committed late with a smaller cursor only within a `lookback`, such as `lookback: 15m`.
#
# "would stop the run": files have no place for such a value. An export that meets one fails and names it;
# with `policies: {infinity_timestamp: clamp, nan: "null"}` in `defaults` or an export it goes on.

# The URL holds a password, so it is not written here: set DATABASE_URL to it.
source:
  type: postgres
  url_env: DATABASE_URL

# What all exports share.
defaults:
  format: parquet
  destination: {type: local, path: "out/{export}"}

exports:
  # table, about 1,234,567 rows, 117.7 MiB, key id
  # would stop the run: infinity in updated_at
  - name: orders
    table: shop.orders
    # updated_at: indexed, never NULL, and a trigger sets it anew whenever a row changes
    mode: incremental
    cursor_column: updated_at

  # table, rows unknown
  # no key: nothing tells one row from another (no primary key, no unique columns that are never NULL)
  # written as text, as the source shows it, since files have no such type: a\nb (numeric)
  # row-level security may hide rows of it: only those that this login sees are exported
  - name: _odd___1
    table: "shop.$$odd: #1"
    mode: full
    # if rows are only added here and never changed: `mode: incremental`, `cursor_column: id`
    tuning: {profile: fast}
    columns:
      "a\nb": text

# Left out, since it cannot be exported as it is:
#   shop.closed: this login may not read it; grant SELECT on it
# Left out, since no table: 1; `rivet init --table NAME` takes one in, as does an export with `table:` or `query:`:
#   shop.totals
"#;

    #[test]
    fn the_file_is_what_a_person_would_write() {
        let others = [ListedTable { kind: TableKind::View, ..ListedTable::new(Some("shop".to_owned()), "totals") }];
        let frame = Frame {
            source: "source:\n  type: postgres\n  url_env: DATABASE_URL\n",
            source_notes: &["The URL holds a password, so it is not written here: set DATABASE_URL to it.".to_owned()],
            state: None,
            shape: &["format: parquet".to_owned()],
            has_profile: false,
            to: "out/{export}",
            others: &others,
        };
        let policies = ["infinity_timestamp".to_owned(), "nan".to_owned()];
        let known = Known { policies: &policies, overrides: true, ..Known::default() };
        let surveyed = surveyed();
        let text = config(&frame, &surveyed, &propose(&surveyed, known));
        assert_eq!(text, EXPECTED);
        let env = |name: &str| (name == "DATABASE_URL").then(|| "postgres://h/d".to_owned());
        let read = rivet_core::config::parse(&text, Path::new(""), &env, &Default::default()).expect("it is right");
        assert_eq!(read.exports[1].relation.label(), "shop.$odd: #1");
        assert!(read.exports[1].choices().columns.contains_key("a\nb"));
    }
}
