//! A run in a terminal: what is seen while it goes on and when it is over, compared as text.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{plugin_dir, rivet};
use rivet_test_servers::oracle;
use serde_json::Value;

use super::workspace;

/// Runs a command on a terminal of so many columns and plays what it writes on a screen; Ctrl-C is pressed when `press` is on it.
const SCRIPT: &str = r#"
import fcntl, json, os, pty, re, struct, sys, termios
folder, columns, variables, press = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(), sys.argv[4]
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(folder)
    env = dict(v.split('=') for v in variables)
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    os.execve(sys.argv[5], sys.argv[5:], env)
rows, row, column, moments, raw, pending = [[]], 0, 0, [], '', ''
part = re.compile(r'\x1b\[([0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]')
def play(text):
    global row, column
    for m in part.finditer(text):
        c = m.group(0)
        if c == '\r': column = 0
        elif c == '\n': row += 1
        elif m.group(2) == 'A': row -= int(m.group(1) or 1)
        elif m.group(2) == 'K': rows[row] = []
        elif m.group(2) == 'm': pass
        elif m.group(2): sys.exit(f'an unknown sequence {c!r}')
        else:
            if column == columns: row, column = row + 1, 0
            while len(rows) <= row: rows.append([])
            line = rows[row]
            line.extend(' ' * (column + 1 - len(line)))
            line[column] = c
            column += 1
        while len(rows) <= row: rows.append([])
def screen(): return [''.join(line).rstrip() for line in rows]
while True:
    try: piece = os.read(terminal, 65536)
    except OSError: break
    if not piece: break
    pending += piece.decode('utf-8', 'surrogateescape')
    if pending[-1:] == '\x1b' or re.search(r'\x1b\[[0-9;]*$', pending) or pending.encode('utf-8', 'surrogateescape')[-1:] > b'\x7f':
        if len(pending) < 100000: continue
    raw, text, pending = raw + pending, pending, ''
    play(text)
    last = screen()[-1]
    if last not in moments: moments.append(last)
    if press and press in last:
        os.write(terminal, b'\x03')
        press = ''
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({'screen': screen(), 'moments': moments, 'raw': raw, 'code': code}))
"#;

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
exports:
- {name: a, table: a, tuning: {batch_size: 2, throttle_ms: 250}, destination: {type: local, path: out}}
";

/// What was seen: the screen in the end, the last lines of the screen on the way, all that was written, and the exit code.
struct Seen {
    screen: Vec<String>,
    moments: Vec<String>,
    raw: String,
    code: i64,
}

fn seen(columns: u16, variables: &str, press: &str, words: &[&str]) -> Result<Seen> {
    let workspace = workspace(CONFIG)?;
    let (rivet, plugins) = (rivet()?.display().to_string(), plugin_dir()?.display().to_string());
    let (folder, columns) = (workspace.path().display().to_string(), columns.to_string());
    let before = [&folder, &columns, variables, press, &rivet];
    let said = oracle::run(SCRIPT, &[&before[..], &["run"], words, &["--plugin-dir", &plugins]].concat())?;
    let said: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
    let lines = |key: &str| -> Vec<String> {
        said[key].as_array().into_iter().flatten().filter_map(|l| l.as_str().map(str::to_owned)).collect()
    };
    Ok(Seen {
        screen: lines("screen"),
        moments: lines("moments"),
        raw: said["raw"].as_str().context("what was written")?.to_owned(),
        code: said["code"].as_i64().context("a code")?,
    })
}

/// Labels of a screen that holds a block and nothing else.
fn labels(screen: &[String]) -> Result<Vec<&str>> {
    let (first, rest) = screen.split_first().context("a line")?;
    ensure!(first == "── a ──", "{screen:#?}");
    Ok(rest.iter().filter_map(|line| line.strip_prefix("  ")?.split_once(": ").map(|(label, _)| label)).collect())
}

const LABELS: [&str; 13] = [
    "run_id",
    "status",
    "tuning",
    "strategy",
    "rows",
    "files",
    "bytes",
    "duration",
    "peak RSS",
    "compression",
    "ended",
    "read",
    "manifest",
];

#[test]
fn a_line_of_progress_fits_and_goes_at_the_end() -> Result<()> {
    for (columns, is_whole) in [(40, false), (80, true)] {
        let Seen { screen, moments, raw, code } = seen(columns, "TERM=xterm", "", &[])?;
        ensure!(code == 0 && raw.contains("\x1b[32msuccess"), "{code} {raw:?}");
        let progress: Vec<&String> =
            moments.iter().filter(|line| line.starts_with("a: ") || line.starts_with("a [")).collect();
        ensure!(progress.len() >= 3, "it moves: {moments:?}");
        for line in &progress {
            ensure!(line.chars().count() <= usize::from(columns) - 3, "{line:?} is too long for {columns}");
        }
        let reading = progress.iter().filter(|line| line.contains(" of about 20 rows")).count();
        ensure!(reading >= 2, "{progress:?}");
        ensure!(progress.iter().any(|line| line.contains(" rows/s, ")) == is_whole, "{columns}: {progress:?}");
        assert_eq!(labels(&screen)?, LABELS, "{screen:#?}");
        ensure!(!screen.iter().any(|line| line.contains("of about")), "no stale line: {screen:#?}");
    }
    Ok(())
}

#[test]
fn no_color_and_dumb_terminals_get_plain_text() -> Result<()> {
    let plain = seen(80, "TERM=xterm NO_COLOR=1", "", &[])?;
    ensure!(plain.raw.contains("\x1b[2K"), "lines still change: {:?}", plain.raw);
    let colours = plain
        .raw
        .split("\x1b[")
        .skip(1)
        .filter(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'));
    assert_eq!(colours.count(), 0, "{:?}", plain.raw);
    let dumb = seen(80, "TERM=dumb", "", &[])?;
    ensure!(!dumb.raw.contains('\x1b'), "{:?}", dumb.raw);
    for seen in [plain, dumb] {
        assert_eq!((labels(&seen.screen)?, seen.code), (LABELS.to_vec(), 0), "{:#?}", seen.screen);
    }
    Ok(())
}

#[test]
fn an_interrupt_leaves_no_stale_line() -> Result<()> {
    for columns in [40, 80] {
        let Seen { screen, code, .. } = seen(columns, "TERM=xterm", "rows", &[])?;
        assert_eq!(code, 130, "{screen:#?}");
        ensure!(!screen.iter().any(|line| line.contains("of about")), "{screen:#?}");
        ensure!(screen.iter().any(|line| line == "  status:      failed"), "{screen:#?}");
        ensure!(screen.iter().any(|line| line == "  error:       export 'a': interrupted"), "{screen:#?}");
    }
    Ok(())
}

#[test]
fn log_lines_and_the_line_of_progress_do_not_mix() -> Result<()> {
    let Seen { screen, moments, .. } = seen(100, "TERM=xterm", "", &["-vv"])?;
    ensure!(moments.iter().any(|line| line.contains(" of about 20 rows")), "{moments:?}");
    ensure!(screen.iter().any(|line| line.contains(" DEBUG ")), "{screen:#?}");
    ensure!(!screen.iter().any(|line| line.contains("of about 20 rows") && !line.contains("INFO")), "{screen:#?}");
    Ok(())
}
