//! Where source files live, what they are called, how they begin and how long they may get.

use super::Finding;
use super::code::code_only;
use super::tree::TextFile;

const FILE_LINES_MAX: usize = 500;
const SOURCE_EXTENSIONS: [&str; 7] = ["rs", "js", "mjs", "cjs", "ts", "mts", "tsx"];

/// Names that do not describe the content, so that anything ends up there.
pub(crate) const VAGUE_NAMES: [&str; 7] = [
    "common", "util", "utils", "core", "helper", "helpers", "misc",
];

/// Findings for one source file; other files have none.
pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    if !SOURCE_EXTENSIONS.contains(&file.extension()) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        let says =
            format!("{lines} lines, the limit is {FILE_LINES_MAX}: split it by what it does");
        findings.push(Finding::in_file(&file.path, says));
    }
    findings.extend(check_name(&file.path));
    if file.extension() == "rs" {
        findings.extend(check_module_doc(file));
        findings.extend(check_ignored_tests(file));
    }
    findings
}

fn check_name(path: &str) -> Vec<Finding> {
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    parts.push(name.split('.').next().unwrap_or_default());
    let mut findings = Vec::new();
    for part in parts.iter().filter(|part| VAGUE_NAMES.contains(part)) {
        let says = format!("`{part}` names no purpose: call the module what it is for");
        findings.push(Finding::in_file(path, says));
    }
    if name == "mod.rs" {
        findings.push(Finding::in_file(
            path,
            "use `name.rs` beside `name/`, never `mod.rs`",
        ));
    }
    findings
}

fn check_module_doc(file: &TextFile) -> Option<Finding> {
    let in_src = file.path.starts_with("src/") || file.path.contains("/src/");
    let documented = file.text.lines().next().is_some_and(|line| {
        line.strip_prefix("//!")
            .is_some_and(|doc| !doc.trim().is_empty())
    });
    let says = "the first line must be a `//!` doc that says what this is";
    (in_src && !documented).then(|| Finding::at_line(&file.path, 1, says))
}

fn check_ignored_tests(file: &TextFile) -> Vec<Finding> {
    let code = code_only(&file.text);
    let ignored = |line: &str| {
        line.contains("#[ignore") || (line.contains("cfg_attr") && line.contains("ignore"))
    };
    let says = "an ignored test proves nothing: fix it, or delete it and say so in the commit";
    (1..)
        .zip(code.split('\n'))
        .filter(|(_, line)| ignored(line))
        .map(|(number, _)| Finding::at_line(&file.path, number, says))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn a_file_of_five_hundred_lines_is_fine_and_one_more_is_found() {
        let text = |lines: usize| "x();\n".repeat(lines);
        assert_eq!(printed(check, "web/a.js", &text(500)), [""; 0]);
        assert_eq!(
            printed(check, "web/a.js", &text(501)),
            ["web/a.js: 501 lines, the limit is 500: split it by what it does"]
        );
        assert_eq!(printed(check, "web/a.css", &text(501)), [""; 0]);
    }

    #[test]
    fn a_name_without_a_purpose_is_found_in_file_and_folder() {
        for path in [
            "gateway/src/utils.rs",
            "gateway/src/common/clock.rs",
            "web/src/helpers.test.mjs",
        ] {
            let found = printed(check, path, "//! Doc.\n");
            assert!(
                found.len() == 1 && found[0].contains("names no purpose"),
                "{path}: {found:?}"
            );
        }
        assert_eq!(
            printed(check, "gateway/src/utility_bills.rs", "//! Doc.\n"),
            [""; 0]
        );
    }

    #[test]
    fn mod_rs_is_found() {
        let found = printed(check, "gateway/src/hub/mod.rs", "//! Doc.\n");
        assert_eq!(
            found,
            ["gateway/src/hub/mod.rs: use `name.rs` beside `name/`, never `mod.rs`"]
        );
    }

    #[test]
    fn a_module_without_a_doc_on_its_first_line_is_found() {
        for text in [
            "",
            "//!\n",
            "\n//! Late.\n",
            "use a::b;\n",
            "// Not a doc.\n",
        ] {
            assert_eq!(
                printed(check, "gateway/src/hub.rs", text).len(),
                1,
                "{text:?}"
            );
        }
        assert_eq!(
            printed(check, "gateway/src/hub.rs", "//! Who hears a room.\n"),
            [""; 0]
        );
        assert_eq!(
            printed(check, "gateway/tests/resume.rs", "use a::b;\n"),
            [""; 0]
        );
    }

    #[test]
    fn an_ignored_test_is_found_but_not_one_in_a_string() {
        let found = printed(
            check,
            "a/tests/b.rs",
            "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n",
        );
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("a/tests/b.rs:2: "), "{found:?}");
        assert_eq!(
            printed(check, "a/tests/b.rs", "#[cfg_attr(miri, ignore)]\n").len(),
            1
        );
        assert_eq!(
            printed(check, "a/tests/b.rs", "let a = \"#[ignore]\";\n"),
            [""; 0]
        );
    }
}
