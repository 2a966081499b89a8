//! `rivet report`: which runs a page is about, that a parser reads it, and that hostile names stay text in it.
//! Must not know what a page looks like.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{CANARY, Workspace, no_secret};
use rivet_test_servers::oracle;
use serde_json::Value;

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {destination: {type: local, path: 'out/{export}'}}
exports:
- {name: hostile, table: '\"<script>alert(1)</script>\"'}
- {name: plain, table: plain}
- {name: gone, table: gone}
";

/// Column names that would do something if they were not text.
pub const HOSTILE: [&str; 3] = ["</td></table><img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)", "&lt;b&gt;"];

/// Tables with hostile names and with none; the config has an export that fails, too.
pub fn workspace() -> Result<Workspace> {
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
quoted = lambda name: '\"' + name.replace('\"', '\"\"') + '\"'
columns = ', '.join(quoted(name) + ' text' for name in sys.argv[3:])
con.execute('create table ' + quoted('<script>alert(1)</script>') + ' (id integer primary key, ' + columns + ')')
con.execute('insert into ' + quoted('<script>alert(1)</script>') + ' (id, ' + quoted(sys.argv[3]) + ') values (1, ?)', [sys.argv[2]])
con.execute('create table plain (id integer primary key)')
con.executemany('insert into plain values (?)', [(i,) for i in range(1234)])
con.commit()
";
    let workspace = Workspace::new(CONFIG)?;
    let data = workspace.path().join("data.db").display().to_string();
    oracle::run(SCRIPT, &[&[data.as_str(), CANARY], &HOSTILE[..]].concat())?;
    Ok(workspace)
}

/// What a parser of HTML finds in a file: texts, tags with their attributes; it refuses tags that do not close.
fn parsed(html: &str) -> Result<Value> {
    const SCRIPT: &str = r"
import html.parser, json, sys
VOID = {'meta', 'br', 'img', 'link', 'input', 'hr', 'base', 'embed'}
class Parser(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.texts, self.tags, self.attributes, self.wrong = [], [], {}, [], []
    def handle_starttag(self, tag, attributes):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += [[tag, name, value or ''] for name, value in attributes]
        if tag not in VOID: self.open.append(tag)
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag: self.wrong.append(tag)
    def handle_data(self, data):
        if self.open and self.open[-1] != 'style' and data.strip(): self.texts.append(data.strip())
parser = Parser()
parser.feed(open(sys.argv[1], encoding='utf-8').read())
parser.close()
print(json.dumps({'texts': parser.texts, 'tags': parser.tags, 'attributes': parser.attributes, 'wrong': parser.wrong + parser.open}))
";
    let file = Workspace::new("")?;
    let path = file.path().join("page.html");
    std::fs::write(&path, html)?;
    serde_json::from_str(&oracle::run(SCRIPT, &[&path.display().to_string()])?).context("what the parser found")
}

fn texts(parsed: &Value) -> Vec<&str> {
    parsed["texts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn report(workspace: &Workspace, words: &[&str]) -> Result<String> {
    let ran = workspace.rivet(&[&["report", "-o", "-"], words].concat())?.expect(0)?;
    Ok(ran.text()?.to_owned())
}

#[test]
fn hostile_names_are_text_and_the_page_needs_nothing_else() -> Result<()> {
    let workspace = workspace()?;
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    let page = report(&workspace, &[])?;
    let parsed = parsed(&page)?;
    assert_eq!(parsed["wrong"], Value::Array(Vec::new()), "tags that do not close");
    for tag in ["script", "img", "link", "iframe", "object", "base", "form", "b"] {
        ensure!(parsed["tags"].get(tag).is_none(), "there is a <{tag}>");
    }
    for attribute in parsed["attributes"].as_array().context("attributes")? {
        let (name, value) = (attribute[1].as_str().unwrap_or_default(), attribute[2].as_str().unwrap_or_default());
        ensure!(!name.starts_with("on") && name != "src" && name != "style", "{attribute}");
        ensure!(name != "href" || value.starts_with('#'), "{attribute}");
    }
    ensure!(!page.contains("url(") && !page.contains("@import"), "the style loads something");
    let texts = texts(&parsed);
    for name in HOSTILE {
        ensure!(texts.contains(&name), "{name} is not in {texts:?}");
    }
    ensure!(texts.iter().any(|text| text.contains("<script>alert(1)</script>")), "the relation is named");
    ensure!(!page.contains(CANARY), "a value of the data is in the page");
    no_secret(&workspace, &ran, "alert(2)")?;
    Ok(())
}

#[test]
fn a_page_is_about_the_runs_that_were_started_together_unless_others_are_named() -> Result<()> {
    let workspace = workspace()?;
    workspace.rivet(&["report"])?.expect(1)?;
    workspace.rivet(&["run"])?.expect(1)?;
    let all = parsed(&report(&workspace, &[])?)?;
    ensure!(texts(&all).contains(&"3 exports: 2 went well, 1 failed"), "{:?}", texts(&all));
    let ran = workspace.rivet(&["run", "-e", "plain", "--output", "json"])?.expect(0)?.json()?;
    let run_id = ran["exports"][0]["run_id"].as_str().context("a run id")?;
    let last = report(&workspace, &[])?;
    let found = parsed(&last)?;
    ensure!(texts(&found).contains(&run_id) && texts(&found).contains(&"1,234"), "{:?}", texts(&found));
    ensure!(!last.contains("export-1"), "it is about one run");
    let named = report(&workspace, &["-e", "gone", "-e", "plain"])?;
    ensure!(parsed(&named)?["tags"]["h2"] == 2 && named.contains(run_id), "the newest run of each");
    ensure!(report(&workspace, &[run_id])?.contains(run_id));
    ensure!(report(&workspace, &["--state", ".rivet_state.db"])?.contains(run_id), "without a config");
    workspace.rivet(&["report", "r9"])?.expect(1)?;
    workspace.rivet(&["report", "-o", "no/such/folder.html"])?.expect(1)?;
    let written = workspace.rivet(&["report", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!((&written["file"], &written["runs"][0]), (&"report.html".into(), &run_id.into()));
    ensure!(std::fs::read_to_string(workspace.path().join("report.html"))?.contains(run_id));
    Ok(())
}

#[test]
fn a_run_that_died_says_so_before_and_after_the_next_one_settles_it() -> Result<()> {
    let workspace = workspace()?;
    let died = workspace.rivet(&["run", "-e", "plain", "--fault", "planned"])?;
    ensure!(died.code != Some(0), "{}", died.stderr);
    let page = report(&workspace, &[])?;
    let found = parsed(&page)?;
    let run_id =
        page.split_once("run <code>").and_then(|(_, rest)| rest.split_once('<')).context("the run is named")?.0;
    ensure!(
        texts(&found).iter().any(|text| text.contains("the next run of the export settles it")),
        "{:?}",
        texts(&found)
    );
    workspace.rivet(&["run", "-e", "plain"])?.expect(0)?;
    let found = parsed(&report(&workspace, &[run_id])?)?;
    ensure!(texts(&found).iter().any(|text| text.contains("nothing of it is visible")), "{:?}", texts(&found));
    Ok(())
}
