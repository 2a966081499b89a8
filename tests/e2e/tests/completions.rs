//! Completions and manual pages, as a shell and a typesetter take them.
//! Must not know any crate of the product.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;

/// Asks as Bash does when the tab key is pressed after `"$@"`.
const ASK: &str = r#"
eval "$SCRIPT"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
"$(complete -p rivet | sed 's/.*-F \([^ ]*\).*/\1/')" rivet "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// What Bash would offer for a line.
fn offered(script: &str, line: &str) -> Result<Vec<String>> {
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", ASK, "bash"]).args(line.split(' ')).env("SCRIPT", script);
    let ran = bash.output()?;
    let errors = String::from_utf8(ran.stderr)?;
    ensure!(ran.status.success() && errors.is_empty(), "bash: {errors}");
    Ok(String::from_utf8(ran.stdout)?.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect())
}

#[test]
fn bash_offers_commands_flags_and_words() -> Result<()> {
    let workspace = Workspace::new("")?;
    let script = workspace.rivet(&["completions", "bash"])?.expect(0)?;
    let script = script.text()?;
    for (line, offers) in [
        ("rivet ru", &["run"][..]),
        ("rivet st", &["state"]),
        ("rivet state sh", &["show"]),
        ("rivet run --parallel-exports", &["--parallel-exports"]),
        ("rivet schema con", &["config"]),
        ("rivet run --output nd", &["ndjson"]),
        ("rivet nonsense", &[]),
    ] {
        assert_eq!(offered(script, line)?, offers, "{line}");
    }
    Ok(())
}

#[test]
fn every_shell_has_its_script() -> Result<()> {
    let workspace = Workspace::new("")?;
    for (shell, has, file) in [
        ("bash", "complete -F _rivet", "rivet.bash"),
        ("zsh", "#compdef rivet", "_rivet"),
        ("fish", "complete -c rivet", "rivet.fish"),
        ("powershell", "Register-ArgumentCompleter", "_rivet.ps1"),
        ("elvish", "edit:completion:arg-completer", "rivet.elv"),
    ] {
        let printed = workspace.rivet(&["completions", shell])?.expect(0)?;
        ensure!(printed.text()?.contains(has) && printed.text()?.contains("parallel-exports"), "{shell}");
        workspace.rivet(&["completions", shell, "--dir", "made/completions"])?.expect(0)?;
        let written = fs::read_to_string(workspace.path().join("made/completions").join(file))?;
        assert_eq!(written, printed.text()?, "{shell}");
    }
    let unknown = workspace.rivet(&["completions", "tcsh"])?.expect(1)?;
    ensure!(unknown.stderr.contains("powershell"), "{}", unknown.stderr);
    Ok(())
}

#[test]
fn manual_pages_are_typeset_without_a_complaint() -> Result<()> {
    let workspace = Workspace::new("")?;
    workspace.rivet(&["completions", "man"])?.expect(1)?;
    workspace.rivet(&["completions", "man", "--dir", "man"])?.expect(0)?;
    let pages = rivet_test_e2e::files_below(&workspace.path().join("man"))?;
    let names: Vec<_> = pages.iter().filter_map(|p| p.file_name()?.to_str()).collect();
    for name in ["rivet.1", "rivet-run.1", "rivet-state-set.1", "rivet-metrics.1", "rivet-completions.1"] {
        ensure!(names.contains(&name), "{name} in {names:?}");
    }
    let has_groff = Command::new("groff").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    for page in &pages {
        let text = fs::read_to_string(page)?;
        for section in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            ensure!(text.contains(section), "{section} in {}", page.display());
        }
        if has_groff {
            let set = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(page).output()?;
            let said = String::from_utf8_lossy(&set.stderr).into_owned();
            ensure!(set.status.success() && said.is_empty(), "{}: {said}", page.display());
        }
    }
    let run = fs::read_to_string(workspace.path().join("man/rivet-run.1"))?;
    ensure!(run.contains("dry\\-run") && !run.contains("\\-\\-fault"), "flags are there, hidden ones are not");
    Ok(())
}
