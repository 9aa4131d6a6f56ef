//! Words that plain technical English does without, in comments, test names and manuals.
//!
//! STYLE.md has the rules and their reasons: subjects are components and verbs name operations, so
//! that a search for the usual term finds the code. A line that needs one of the words (a quotation,
//! a term of another product) gives the reason at its end or on the line above: `tidy: word: REASON`.

use std::collections::BTreeMap;

use super::Finding;
use super::code::code_only;
use super::tree::TextFile;

/// The words, in lower case; each is matched as a whole word.
/// (Written in two parts, so that this list does not find itself.)
const WORDS: [&str; 23] = [
    concat!("who", "ever"),
    concat!("some", "body"),
    concat!("no", "body"),
    concat!("any", "body"),
    concat!("every", "body"),
    concat!("to", "ld"),
    concat!("te", "ll"),
    concat!("te", "lls"),
    concat!("tel", "ling"),
    concat!("sa", "y"),
    concat!("sa", "ys"),
    concat!("sa", "id"),
    concat!("say", "ing"),
    concat!("an", "ew"),
    concat!("mean", "while"),
    concat!("for e", "ver"),
    concat!("he", "ar"),
    concat!("he", "ars"),
    concat!("hea", "rd"),
    concat!("beg", "un"),
    concat!("for", "got"),
    concat!("look", "s again"),
    concat!("look", "ed again"),
];

const EXCEPTION: &str = "tidy: word:";

/// Files that are not checked. The comments of wire types are the descriptions of published schemas,
/// which do not change with the house's style; the others go from this list when they are clean.
const UNCHECKED: [&str; 8] = [
    "docs/",
    "protocol/src/api.rs",
    "protocol/src/client_frame.rs",
    "protocol/src/event.rs",
    "protocol/src/refusal.rs",
    "protocol/src/room.rs",
    "protocol/src/seq.rs",
    "protocol/src/server_frame.rs",
];

/// Findings for every line of one file.
pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    if !is_checked(&file.path) {
        return Vec::new();
    }
    let lines: Vec<(usize, &str)> = file.lines().collect();
    let mut findings = Vec::new();
    for (number, text) in prose(file) {
        let excused = [number, number.saturating_sub(1)].iter().any(|&number| {
            lines
                .iter()
                .any(|(at, line)| *at == number && line.contains(EXCEPTION))
        });
        for word in WORDS.iter().filter(|word| contains(&text, word)) {
            if !excused {
                let message = format!("`{word}` is no word of a manual; STYLE.md, Language");
                findings.push(Finding::at_line(&file.path, number, message));
            }
        }
    }
    findings
}

/// Lines of prose, and how many of them have a listed word, of each folder.
pub(crate) fn count(files: &[TextFile]) -> BTreeMap<String, (usize, usize)> {
    let mut counts = BTreeMap::new();
    for file in files {
        let (first, rest) = file.path.split_once('/').unwrap_or((".", ""));
        let folder = match rest.split_once('/') {
            Some((second, _)) if matches!(first, "adapters" | "testing" | "deploy") => {
                format!("{first}/{second}")
            }
            _ => first.to_owned(),
        };
        let (lines, hits): &mut (usize, usize) = counts.entry(folder).or_default();
        for (_, text) in prose(file) {
            *lines += 1;
            *hits += usize::from(WORDS.iter().any(|word| contains(&text, word)));
        }
    }
    counts.retain(|_, (lines, _)| *lines > 0);
    counts
}

fn is_checked(path: &str) -> bool {
    !UNCHECKED.iter().any(|folder| path.starts_with(folder))
}

/// The file's lines of prose, in lower case, with their numbers: comments and names of functions in
/// source, everything in a manual; without quoted code and types.
fn prose(file: &TextFile) -> Vec<(usize, String)> {
    let lines = raw_prose(file).into_iter();
    lines
        .map(|(number, line)| (number, without_code(&line)))
        .collect()
}

/// The line without what stands in backticks or braces.
fn without_code(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let (mut quoted, mut braces) = (false, 0_usize);
    for c in line.chars() {
        match c {
            '`' => quoted = !quoted,
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ if !quoted && braces == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

fn raw_prose(file: &TextFile) -> Vec<(usize, String)> {
    match file.extension() {
        "md" => file
            .lines()
            .map(|(n, line)| (n, line.to_lowercase()))
            .collect(),
        "rs" => {
            let code = code_only(&file.text);
            let lines = file.lines().zip(code.split('\n'));
            lines
                .filter_map(|((number, line), code)| rust_prose(number, line, code))
                .collect()
        }
        "js" | "mjs" => {
            let comments = file.lines().filter_map(|(number, line)| {
                let line = line.trim_start();
                let is_comment = ["//", "/*", "*"]
                    .iter()
                    .any(|start| line.starts_with(start));
                is_comment.then(|| (number, line.to_lowercase()))
            });
            comments.collect()
        }
        _ => Vec::new(),
    }
}

fn rust_prose(number: usize, line: &str, code: &str) -> Option<(usize, String)> {
    let kept = code.trim_end().len();
    // What was blanked behind the code and starts with slashes is a comment, not a string.
    if let Some(comment) = line.get(kept..).map(str::trim_start)
        && comment.starts_with("//")
    {
        return Some((number, comment.to_lowercase()));
    }
    let name = code
        .trim_start()
        .trim_start_matches("pub ")
        .trim_start_matches("async ");
    let name = name.strip_prefix("fn ")?;
    let name: String = name
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    // Names of several words read as sentences do: those of tests.
    (name.matches('_').count() > 2).then(|| (number, name.replace('_', " ")))
}

fn contains(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn listed_word_is_found_in_comments_test_names_and_manuals() {
        let word = WORDS[1];
        for text in [
            format!("//! {word} does it\n"),
            format!("let a = 1; // {word}.\n"),
            format!("async fn one_{word}_sends_it() {{}}\n"),
        ] {
            let found = printed(check, "a/src/b.rs", &text);
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].contains(word), "{found:?}");
        }
        assert_eq!(printed(check, "a.md", &format!("{word}\n")).len(), 1);
        assert_eq!(printed(check, "a.js", &format!(" * {word}\n")).len(), 1);
    }

    #[test]
    fn listed_word_is_allowed_in_code_strings_and_longer_words() {
        let word = WORDS[5];
        for text in [
            format!("let {word} = \"{word} // {word}\";\n"),
            format!("// un{word}\n"),
            format!("/// See `{word}`.\n"),
            "fn short_name() {}\n".to_owned(),
        ] {
            assert_eq!(printed(check, "a/src/b.rs", &text), [""; 0], "{text}");
        }
    }

    #[test]
    fn listed_word_is_allowed_with_a_reason() {
        let word = WORDS[5];
        let text = format!("// tidy: word: a quotation\n// {word}\n");
        assert_eq!(printed(check, "a/src/b.rs", &text), [""; 0]);
    }
}
