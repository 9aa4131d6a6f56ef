//! No function is longer than a screen, tests included.
//!
//! A table that happens to be a `match` may give the reason in a comment above the function:
//! `// tidy: long: one arm per refusal, in the order of the contract`.

use super::Finding;
use super::code::{code_only, is_identifier};
use super::tree::TextFile;

const FUNCTION_LINES_MAX: usize = 70;
const EXCEPTION: &str = "// tidy: long";

/// Findings for every function of a Rust file that is too long.
pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    if file.extension() != "rs" {
        return Vec::new();
    }
    let source: Vec<&str> = file.text.split('\n').collect();
    let mut findings = Vec::new();
    for function in functions(&code_only(&file.text)) {
        let lines = function.last_line - function.first_line + 1;
        let at = |says: String| Finding::at_line(&file.path, function.first_line, says);
        match exception(&source, function.first_line) {
            Some("") => findings.push(at(format!("`{EXCEPTION}` needs a reason behind it"))),
            None if lines > FUNCTION_LINES_MAX => findings.push(at(format!(
                "fn {} has {lines} lines, the limit is {FUNCTION_LINES_MAX}",
                function.name
            ))),
            Some(_) | None => {}
        }
    }
    findings
}

/// The reason given in the comments and attributes right above `first_line`, if one is.
fn exception<'a>(source: &[&'a str], first_line: usize) -> Option<&'a str> {
    source[..first_line - 1]
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| line.starts_with("//") || line.starts_with("#["))
        .find_map(|line| line.strip_prefix(EXCEPTION))
        .map(|reason| reason.trim_matches([':', ' ', '-', ',']))
}

/// A function with a body, by its lines counted from one.
struct Function {
    name: String,
    first_line: usize,
    last_line: usize,
}

/// Every `fn name … { … }` of blanked source; one inside another is listed on its own as well.
fn functions(code: &str) -> Vec<Function> {
    let code: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < code.len() {
        let word_ends = code[at..]
            .iter()
            .position(|&c| !is_identifier(c))
            .map(|length| at + length);
        let word_ends = word_ends.unwrap_or(code.len());
        if word_ends == at {
            line += usize::from(code[at] == '\n');
            at += 1;
            continue;
        }
        let raw = at > 0 && code[at - 1] == '#';
        if !raw && code[at..word_ends] == ['f', 'n'] {
            found.extend(function(&code[word_ends..], line));
        }
        at = word_ends;
    }
    found
}

/// Reads on from just behind the word `fn`: a pointer type or a declaration has no body.
fn function(code: &[char], first_line: usize) -> Option<Function> {
    let name_starts = code.iter().position(|c| !c.is_whitespace())?;
    let name: String = code[name_starts..]
        .iter()
        .take_while(|&&c| is_identifier(c) || matches!(c, '$' | '#'))
        .collect();
    if name.is_empty() {
        return None;
    }
    let mut last_line = first_line;
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for &c in code {
        match c {
            '\n' => last_line += 1,
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
        match c {
            ';' if braces == 0 && brackets == 0 => return None,
            '}' if braces == 0 && brackets == 0 => {
                return Some(Function {
                    name,
                    first_line,
                    last_line,
                });
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    /// A function of exactly `lines` lines whose body would confuse a plain brace counter.
    fn function_of(lines: usize) -> String {
        let body = "    let _ = (\"}\", '{', [0; 2]); // }\n".repeat(lines - 2);
        format!("fn table(_: [u8; 2]) -> u8 {{\n{body}}}\n")
    }

    #[test]
    fn a_function_of_seventy_lines_is_fine_and_one_more_is_found() {
        assert_eq!(printed(check, "a/src/b.rs", &function_of(70)), [""; 0]);
        let text = format!("//! Doc.\n\nimpl T {{\n{}}}\n", function_of(71));
        let says = "a/src/b.rs:4: fn table has 71 lines, the limit is 70";
        assert_eq!(printed(check, "a/src/b.rs", &text), [says]);
    }

    #[test]
    fn long_table_with_a_reason_is_allowed() {
        let long = function_of(90);
        let with_reason = format!("// tidy: long: one arm per code\n#[rustfmt::skip]\n{long}");
        assert_eq!(printed(check, "a/src/b.rs", &with_reason), [""; 0]);
        let without = format!("// tidy: long\n{long}");
        let says = "a/src/b.rs:2: `// tidy: long` needs a reason behind it";
        assert_eq!(printed(check, "a/src/b.rs", &without), [says]);
        let elsewhere = format!("// tidy: long: for another one\nconst A: u8 = 1;\n{long}");
        assert_eq!(printed(check, "a/src/b.rs", &elsewhere).len(), 1);
    }

    #[test]
    fn pointer_types_and_declarations_have_no_body_to_measure() {
        let code =
            "type F = fn(u8) -> u8;\ntrait T { fn a(&self); fn r#b(&self) {} }\nlet r#fn = 1;";
        let names: Vec<_> = functions(code).into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["r#b"]);
    }

    #[test]
    fn a_function_inside_another_is_measured_too() {
        let inner = function_of(71);
        let outer = format!("mod m {{\nfn outer() {{\n{inner}}}\n}}\n");
        assert_eq!(printed(check, "a/src/b.rs", &outer).len(), 2);
    }
}
