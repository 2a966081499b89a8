//! Figures to a table, a plot and a file.
//! It must not know how they came about.

use std::fmt::Write;

use serde_json::{Value, json};

use super::cases::{CASES, Case};
use super::measure::{Run, median};
use super::tools::Tool;

/// All runs of one tool on one case.
#[derive(Debug)]
pub struct Series {
    pub tool: Tool,
    pub runs: Vec<Run>,
}

/// All series of a case.
#[derive(Debug)]
pub struct Outcome {
    pub case: &'static Case,
    /// What was measured.
    pub commit: String,
    /// What it was measured against.
    pub server: String,
    pub series: Vec<Series>,
}

impl Outcome {
    fn floor_s(&self) -> Option<f64> {
        let floor = self.series.iter().find(|s| s.tool == Tool::Floor)?;
        Some(median(&floor.runs).wall_s)
    }

    /// A table in Markdown: the medians, with ratios to the floor.
    pub fn table(&self) -> String {
        let mut text = format!(
            "### {}\n\nMedians of {} runs after a warm-up, commit {}{}.\n\n| tool | wall s | × floor | user s | system s | peak MiB | output MB |\n|---|---:|---:|---:|---:|---:|---:|\n",
            self.case.title,
            self.series.first().map_or(0, |series| series.runs.len()),
            self.commit,
            if self.server.is_empty() { String::new() } else { format!(", {}", self.server) },
        );
        for series in &self.series {
            let m = median(&series.runs);
            let ratio = self.floor_s().map_or_else(String::new, |floor| format!("{:.2}", m.wall_s / floor));
            let output = if m.bytes == 0 { String::new() } else { format!("{:.1}", m.bytes as f64 / 1e6) };
            let (name, wall, user, system, peak) = (series.tool.name(), m.wall_s, m.user_s, m.system_s, m.peak_mib);
            let _ = writeln!(text, "| {name} | {wall:.2} | {ratio} | {user:.2} | {system:.2} | {peak:.0} | {output} |");
        }
        text
    }

    /// Every run, for who wants to look closer.
    pub fn json(&self) -> Value {
        let series =
            |s: &Series| json!({"tool": s.tool.name(), "runs": s.runs.iter().map(Run::json).collect::<Vec<_>>()});
        json!({
            "case": self.case.name,
            "commit": self.commit,
            "server": self.server,
            "table": self.case.table,
            "format": self.case.format,
            "zstd_level": self.case.level,
            "parallel": self.case.parallel,
            "series": self.series.iter().map(series).collect::<Vec<_>>(),
        })
    }

    /// What [`json`](Self::json) gave; none where the case or a tool is not known any more.
    pub fn read(json: &Value) -> Option<Self> {
        let case = CASES.iter().find(|case| json["case"] == case.name)?;
        let series = |s: &Value| {
            let runs = s["runs"].as_array()?.iter().map(Run::read).collect();
            Some(Series { tool: Tool::named(&s["tool"])?, runs })
        };
        let commit = json["commit"].as_str()?.to_owned();
        // Results of earlier times name one server for all cases.
        let server = json["server"].as_str().unwrap_or_default().to_owned();
        Some(Self {
            case,
            commit,
            server,
            series: json["series"].as_array()?.iter().map(series).collect::<Option<_>>()?,
        })
    }
}

/// Bars of wall time and of memory, a pair for each tool of a case.
pub fn plot(outcomes: &[Outcome]) -> String {
    const ROW: usize = 22;
    const WIDTH: f64 = 300.0;
    let n_rows: usize = outcomes.iter().map(|o| o.series.len() + 2).sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        n_rows * ROW + 20
    );
    let mut y = 20;
    for outcome in outcomes {
        let title = outcome.case.title.replace('`', "");
        let _ = writeln!(svg, "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{title}</text>", y + 12);
        let _ = writeln!(
            svg,
            "<text x=\"180\" y=\"{0}\">wall, s</text><text x=\"540\" y=\"{0}\">peak memory, MiB</text>",
            y + 28
        );
        y += ROW * 3 / 2;
        let medians: Vec<(Tool, Run)> = outcome.series.iter().map(|s| (s.tool, median(&s.runs))).collect();
        let most = |figure: fn(&Run) -> f64| medians.iter().map(|(_, m)| figure(m)).fold(f64::MIN_POSITIVE, f64::max);
        let (longest, largest) = (most(|m| m.wall_s), most(|m| m.peak_mib));
        for (tool, m) in &medians {
            let colour = if tool.is_peer() { "#9aa5b1" } else { "#2f6f9f" };
            let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{}</text>", y + 12, tool.name());
            for (x, value, all, digits) in [(180.0, m.wall_s, longest, 1), (540.0, m.peak_mib, largest, 0)] {
                let width = value / all * WIDTH;
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"14\" fill=\"{colour}\"/>\
                     <text x=\"{:.1}\" y=\"{}\">{value:.digits$}</text>",
                    x + width + 4.0,
                    y + 12
                );
            }
            y += ROW;
        }
        y += ROW / 2;
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::super::cases::CASES;
    use super::*;

    #[test]
    fn a_table_relates_to_the_floor() {
        let run = |wall_s| Run { wall_s, user_s: 1.0, system_s: 0.5, peak_mib: 60.4, bytes: 1_500_000 };
        let series = |tool, wall: f64| Series { tool, runs: vec![run(wall), run(wall + 9.0), run(wall)] };
        let outcome = Outcome {
            case: &CASES[0],
            commit: "abc".to_owned(),
            server: "PostgreSQL 17".to_owned(),
            series: vec![series(Tool::Floor, 8.0), series(Tool::Rivet, 6.0)],
        };
        let table = outcome.table();
        assert!(table.ends_with("| rivet, dynamic plugins | 6.00 | 0.75 | 1.00 | 0.50 | 60 | 1.5 |\n"), "{table}");
        assert_eq!(outcome.json()["series"][1]["runs"][1]["wall_s"], 15.0);
        let read = Outcome::read(&outcome.json()).expect("case and tools are known");
        assert_eq!((read.table(), read.case.name), (table, "lineitem"));
        assert_eq!(plot(&[outcome]).matches("<rect").count(), 1 + 4);
    }
}
