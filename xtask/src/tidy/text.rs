//! Words and blanks that must not be in any file of the product.

use super::Finding;
use super::code::is_identifier;
use super::tree::TextFile;

/// Paths of the machine something was built on, which mean nothing elsewhere.
/// (Written in two parts, so that this list does not find itself.)
const MACHINE_WORDS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Notes to oneself: do it now, or write down what is missing where users look.
const MARKERS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// Findings for every line of one file.
pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        let mut found = |says: String| findings.push(Finding::at_line(&file.path, number, says));
        for word in MACHINE_WORDS.iter().filter(|word| line.contains(**word)) {
            found(format!("`{word}` is a path of one machine"));
        }
        for marker in MARKERS.iter().filter(|marker| contains_word(line, marker)) {
            found(format!(
                "`{marker}`: do it, or say what is missing where users look"
            ));
        }
        if line.ends_with([' ', '\t', '\r']) {
            found("trailing whitespace".to_owned());
        }
    }
    findings
}

/// Whether `word` stands in `line` on its own, not inside a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !before.is_some_and(is_identifier) && !after.is_some_and(is_identifier)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn a_path_of_the_build_machine_is_found() {
        for word in MACHINE_WORDS {
            let found = printed(check, "deploy/a.yaml", &format!("a: 1\nb: {word}x\n"));
            assert_eq!(
                found,
                [format!(
                    "deploy/a.yaml:2: `{word}` is a path of one machine"
                )]
            );
        }
        assert_eq!(
            printed(check, "README.md", "network/ and /usr/bin\n"),
            [""; 0]
        );
    }

    #[test]
    fn a_note_to_oneself_is_found_as_a_whole_word_only() {
        for marker in MARKERS {
            assert_eq!(
                printed(check, "a.md", &format!("// {marker}: later\n")).len(),
                1
            );
            assert_eq!(
                printed(check, "a.md", &format!("let {marker}S = mktemp;\n")),
                [""; 0]
            );
        }
    }

    #[test]
    fn trailing_whitespace_is_found() {
        for text in ["a \n", "a\t\n", "a\r\n", "a\n "] {
            let found = printed(check, "a.md", text);
            assert!(
                found.len() == 1 && found[0].ends_with("trailing whitespace"),
                "{text:?}"
            );
        }
        assert_eq!(printed(check, "a.md", " a\n\nb\n"), [""; 0]);
    }
}
