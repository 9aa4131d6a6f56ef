//! The rules of the house as programs: `cargo xtask tidy`.
//!
//! What a reviewer would otherwise have to remember is checked here, by the same command on a laptop
//! and in CI. What clippy can express lives in `clippy.toml` instead.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program answers on its terminal; nothing here is a log"
)]

mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy     check the tree against the rules of STYLE.md
       cargo xtask words    count the lines of prose with words that STYLE.md refuses";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => report_tidy(),
        ["words"] => report_words(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn report_words() -> ExitCode {
    let counts = match tidy::count_words() {
        Ok(counts) => counts,
        Err(error) => {
            eprintln!("words could not run: {error:#}");
            return ExitCode::from(2);
        }
    };
    for (folder, lines, hits) in counts {
        let share = 1_000 * hits / lines.max(1);
        println!(
            "{folder:20} {lines:6} lines {hits:5} hits {}.{} %",
            share / 10,
            share % 10
        );
    }
    ExitCode::SUCCESS
}

fn report_tidy() -> ExitCode {
    let report = match tidy::check_workspace() {
        Ok(report) => report,
        Err(error) => {
            eprintln!("tidy could not run: {error:#}");
            return ExitCode::from(2);
        }
    };
    for finding in &report.findings {
        println!("{finding}");
    }
    if report.findings.is_empty() {
        println!(
            "tidy: {} files, {} crates, no findings",
            report.files, report.crates
        );
        ExitCode::SUCCESS
    } else {
        println!(
            "tidy: {} findings; STYLE.md says why each rule is there",
            report.findings.len()
        );
        ExitCode::FAILURE
    }
}
