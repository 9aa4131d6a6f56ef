//! No cycles between sibling modules of one crate.
//!
//! The modules below one parent form a graph: a module points at a sibling when it, or a module inside
//! it, names a path into that sibling. Paths to ancestors are not counted, since a child may use what
//! its parent holds. Tests are not counted either.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::code::{code_only, is_identifier};
use super::tree::TextFile;

/// A module by the names on its path from the crate's root.
type Module = Vec<String>;

/// Findings for the sources of all crates.
pub(crate) fn check(files: &[TextFile]) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Vec<&TextFile>> = BTreeMap::new();
    for file in files {
        if let Some((folder, inside)) = file.path.split_once("/src/")
            && file.extension() == "rs"
            && !inside
                .split('/')
                .any(|part| matches!(part, "tests" | "tests.rs"))
        {
            crates.entry(folder).or_default().push(file);
        }
    }
    let found = crates.iter().flat_map(|(folder, files)| {
        let cycles = cycles_of(
            files
                .iter()
                .map(|file| (module_of(&file.path), file.text.as_str())),
        );
        cycles
            .into_iter()
            .map(move |(parent, members)| (*folder, parent, members))
    });
    let findings = found.map(|(folder, parent, members)| {
        let path = format!("{folder}/src");
        Finding::in_file(
            &path,
            format!("modules of `{parent}` form a cycle: {}", members.join(", ")),
        )
    });
    findings.collect()
}

/// `gateway/src/hub/room.rs` is `hub::room`; `lib.rs` and `main.rs` are the root.
fn module_of(path: &str) -> Module {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let stem = inside.strip_suffix(".rs").unwrap_or(inside);
    if matches!(stem, "lib" | "main") {
        return Vec::new();
    }
    stem.split('/').map(str::to_owned).collect()
}

/// Each parent module with the members of one cycle among its children, sorted.
fn cycles_of<'a>(files: impl Iterator<Item = (Module, &'a str)>) -> Vec<(String, Vec<String>)> {
    let files: Vec<_> = files.collect();
    let modules: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let mut edges: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, text) in &files {
        for target in targets(module, text, &modules) {
            let shared = module
                .iter()
                .zip(&target)
                .take_while(|(a, b)| a == b)
                .count();
            if let (Some(from), Some(to)) = (module.get(shared), target.get(shared)) {
                let parent = edges.entry(module[..shared].to_vec()).or_default();
                parent.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    let mut cycles = Vec::new();
    for (parent, graph) in &edges {
        let reach = |from: &str| reachable(graph, from);
        let mut seen = BTreeSet::new();
        for name in graph.keys() {
            let members: Vec<String> = reach(name)
                .into_iter()
                .filter(|other| other != name && reach(other).contains(name))
                .chain([name.clone()])
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect();
            if members.len() > 1 && seen.insert(members.clone()) {
                cycles.push((parent.join("::"), members));
            }
        }
    }
    cycles
}

fn reachable(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut found, mut queue) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(next) = queue.pop() {
        for to in graph.get(&next).into_iter().flatten() {
            if found.insert(to.clone()) {
                queue.push(to.clone());
            }
        }
    }
    found
}

/// The modules that a file's paths lead into.
fn targets(module: &Module, text: &str, modules: &BTreeSet<Module>) -> BTreeSet<Module> {
    let code = code_only(text);
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut found = BTreeSet::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_identifier(c) || c == ':') {
                continue;
            }
            for path in paths(&code[at..]) {
                found.insert(resolve(module, &path, modules));
            }
        }
    }
    found
}

/// The paths that begin here, a group in braces opened up by its first level.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = code;
    loop {
        let name: String = rest.chars().take_while(|&c| is_identifier(c)).collect();
        rest = &rest[name.len()..];
        if !name.is_empty() {
            path.push(name);
        }
        let Some(behind) = rest.strip_prefix("::") else {
            return vec![path];
        };
        if let Some(group) = behind.strip_prefix('{') {
            let each = split_group(group).into_iter().map(|item| {
                let mut whole = path.clone();
                whole.extend(paths(item.trim()).into_iter().next().unwrap_or_default());
                whole
            });
            return each.collect();
        }
        rest = behind;
    }
}

/// The items of a group up to its closing brace.
fn split_group(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..at]);
                return items;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// The deepest module on the path, which starts with `crate` or `super`.
fn resolve(from: &Module, path: &[String], modules: &BTreeSet<Module>) -> Module {
    let mut at = from.clone();
    for name in path {
        match name.as_str() {
            "crate" => at.clear(),
            "super" => {
                at.pop();
            }
            "self" => {}
            name => {
                at.push(name.to_owned());
                if !modules.contains(&at) {
                    at.pop();
                    break;
                }
            }
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(files: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        cycles_of(files.iter().map(|(path, text)| (module_of(path), *text)))
    }

    fn members(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn modules_that_use_each_other_are_a_cycle_also_through_a_third_and_in_groups() {
        let files = [
            ("a/src/lib.rs", "mod one;\nmod two;\nmod three;\n"),
            ("a/src/one.rs", "use crate::{three::X, two::{self, Y}};\n"),
            ("a/src/two.rs", "fn f() { crate::three::g() }\n"),
            ("a/src/three.rs", "use super::one::Z;\n"),
        ];
        let expected = [(String::new(), members(&["one", "three", "two"]))];
        assert_eq!(cycles(&files), expected);
    }

    #[test]
    fn cycle_inside_a_module_is_found_at_its_level() {
        let files = [
            ("a/src/lib.rs", ""),
            ("a/src/one.rs", ""),
            ("a/src/one/left.rs", "use super::right::R;\n"),
            ("a/src/one/right.rs", "use crate::one::left::L;\n"),
        ];
        assert_eq!(
            cycles(&files),
            [("one".to_owned(), members(&["left", "right"]))]
        );
    }

    #[test]
    fn paths_to_ancestors_in_tests_and_one_way_are_no_cycle() {
        let files = [
            ("a/src/lib.rs", ""),
            ("a/src/one.rs", "use crate::two::Y;\n"),
            (
                "a/src/two.rs",
                "use crate::Root;\n// crate::one\n#[cfg(test)]\nmod tests { use crate::one::X; }\n",
            ),
            (
                "a/src/two/part.rs",
                "use super::Y;\nuse super::super::Root;\n",
            ),
        ];
        assert_eq!(cycles(&files), []);
    }
}
