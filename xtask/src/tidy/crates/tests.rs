//! Each edge that must not be, in a made-up workspace.

use super::*;

/// A crate in `folder` that depends on `(name, kind, folder of ours)`.
fn found(folder: &str, dependencies: &[(&str, Option<&str>, Option<&str>)]) -> Vec<String> {
    let dependencies = dependencies.iter().map(|&(name, kind, path)| Dependency {
        name: name.to_owned(),
        kind: kind.map(str::to_owned),
        path: path.map(|path| format!("/repo/{path}")),
    });
    let package = Package {
        name: format!("roomcast-{}", folder.rsplit('/').next().unwrap_or_default()),
        manifest_path: format!("/repo/{folder}/Cargo.toml"),
        dependencies: dependencies.collect(),
    };
    let workspace = Workspace {
        root: "/repo".to_owned(),
        packages: vec![package],
    };
    check(&workspace).iter().map(ToString::to_string).collect()
}

/// What is found when `folder` depends on the crate of ours in `on`.
fn edge(folder: &str, kind: Option<&str>, on: &str) -> Vec<String> {
    found(folder, &[("ours", kind, Some(on))])
}

#[test]
fn the_edges_of_the_map_are_allowed() {
    let edges = [
        ("ports", "protocol"),
        ("gateway", "protocol"),
        ("rooms", "ports"),
        ("adapters/nats", "ports"),
        ("server", "presence"),
        ("server", "adapters/redis"),
        ("loadtest", "protocol"),
        ("loadtest", "loadtest/checker"),
        ("loadtest/checker", "protocol"),
        ("xtask", "protocol"),
    ];
    for (folder, on) in edges {
        assert_eq!(edge(folder, None, on), [""; 0], "{folder} on {on}");
    }
}

#[test]
fn every_other_edge_is_found() {
    let edges = [
        ("protocol", "ports"),
        ("ports", "adapters/embedded"),
        ("gateway", "rooms"),
        ("gateway", "server"),
        ("history", "adapters/embedded"),
        ("adapters/nats", "adapters/embedded"),
        ("adapters/nats", "ingest"),
        ("server", "loadtest"),
        ("server", "loadtest/checker"),
        ("loadtest/checker", "loadtest"),
        ("loadtest/checker", "ports"),
        ("loadtest", "ports"),
        ("loadtest", "server"),
        ("xtask", "gateway"),
        ("server", "testing/cluster"),
        ("adapters/nats", "testing/cluster"),
        ("testing/cluster", "protocol"),
        ("testing/cluster", "server"),
        ("gateway", "vendor/codec"),
    ];
    for (folder, on) in edges {
        let says = format!("{folder}/Cargo.toml: {folder} must not depend on {on}");
        assert_eq!(edge(folder, None, on), [says]);
    }
}

#[test]
fn a_service_may_have_the_embedded_adapter_in_its_tests_and_nothing_else() {
    let dev = Some("dev");
    assert_eq!(edge("gateway", dev, "adapters/embedded"), [""; 0]);
    assert_eq!(edge("gateway", dev, "adapters/nats").len(), 1);
    assert_eq!(edge("gateway", dev, "rooms").len(), 1);
    assert_eq!(edge("gateway", Some("build"), "adapters/embedded").len(), 1);
    assert_eq!(edge("ports", dev, "adapters/embedded").len(), 1);
}

#[test]
fn the_local_servers_are_for_the_tests_of_adapters_server_and_load_test() {
    let dev = Some("dev");
    for folder in ["adapters/nats", "server", "loadtest"] {
        assert_eq!(edge(folder, dev, "testing/cluster"), [""; 0], "{folder}");
    }
    for folder in ["gateway", "ports", "protocol", "xtask"] {
        assert_eq!(edge(folder, dev, "testing/cluster").len(), 1, "{folder}");
    }
    assert_eq!(edge("server", Some("build"), "testing/cluster").len(), 1);
    assert_eq!(edge("testing/cluster", dev, "ports").len(), 1);
}

#[test]
fn checker_is_a_dev_dependency_of_the_server_only() {
    let dev = Some("dev");
    assert_eq!(edge("server", dev, "loadtest/checker"), [""; 0]);
    for folder in ["gateway", "adapters/nats", "ports", "xtask"] {
        assert_eq!(edge(folder, dev, "loadtest/checker").len(), 1, "{folder}");
    }
}

#[test]
fn a_driver_outside_the_adapters_is_found_even_in_tests() {
    for driver in ["rusqlite", "async-nats", "scylla", "fred"] {
        assert_eq!(found("adapters/any", &[(driver, None, None)]), [""; 0]);
        for folder in ["gateway", "server", "loadtest", "ports", "protocol"] {
            let says = found(folder, &[(driver, Some("dev"), None)]);
            assert!(
                says.len() == 1 && says[0].contains("drivers stay behind"),
                "{says:?}"
            );
        }
    }
}

#[test]
fn io_in_the_protocol_is_found() {
    for name in ["tokio", "hyper", "axum", "rustix"] {
        let says = format!(
            "protocol/Cargo.toml: must not depend on {name}: the protocol and the checker are pure \
             data, without network or tasks"
        );
        assert_eq!(found("protocol", &[(name, None, None)]), [says]);
        assert_eq!(found("gateway", &[(name, None, None)]), [""; 0]);
    }
}

#[test]
fn anyhow_in_a_library_is_found() {
    assert_eq!(found("ingest", &[("anyhow", None, None)]).len(), 1);
    for folder in ["server", "testing/cluster"] {
        assert_eq!(found(folder, &[("anyhow", None, None)]), [""; 0]);
    }
}

#[test]
fn a_crate_named_for_no_purpose_or_off_the_map_is_found() {
    let says = found("common", &[]);
    assert_eq!(says.len(), 2, "{says:?}");
    assert!(says[0].contains("`common` names no purpose"));
    assert!(says[1].contains("no place on the map"));
    assert_eq!(found("adapters/nats/inner", &[]).len(), 1);
}

#[test]
fn a_crate_without_the_lints_of_the_workspace_is_found() {
    let lints = |text: &str| {
        check_lints(&TextFile {
            path: "rooms/Cargo.toml".to_owned(),
            text: text.to_owned(),
        })
    };
    assert!(lints("[package]\nname = \"a\"\n[lints]\nworkspace = true\n").is_none());
    assert!(lints("[package]\nname = \"a\"\n").is_some());
    assert!(lints("[lints.rust]\nunused = \"allow\"\n[lints]\nworkspace = false\n").is_some());
    assert!(lints("[dependencies]\nworkspace = true\n").is_some());
}
