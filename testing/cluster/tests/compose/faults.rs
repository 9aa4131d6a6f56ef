//! Errors of a compose file that show only when it is started.

use std::path::Path;

use serde_norway::Value;

const ROLES: [&str; 6] = [
    "gateway", "ingest", "history", "presence", "accounts", "rooms",
];

/// Reads YAML, merging `<<` as compose does.
pub(crate) fn read(text: &str) -> Value {
    let mut value: Value = serde_norway::from_str(text).expect("it is YAML");
    value.apply_merge().expect("what it merges are mappings");
    value
}

/// The services by their names.
pub(crate) fn services(compose: &Value) -> Vec<(&str, &Value)> {
    let services = compose["services"].as_mapping().expect("it has services");
    let named = |(name, service)| (word(name), service);
    services.iter().map(named).collect()
}

/// Everything that is wrong with it.
pub(crate) fn of(compose: &Value, root: &Path, options: &[String]) -> Vec<String> {
    let services = services(compose);
    let names: Vec<&str> = services.iter().map(|(name, _)| *name).collect();
    let mut faults = Vec::new();
    for (name, service) in services {
        let mut found = mounts(service, compose, root);
        found.extend(build(service, root));
        found.extend(dependencies(service, compose, &names));
        if service["image"] == "roomcast" {
            found.extend(command(service, options));
            found.extend(environment(service, options, &names));
        }
        faults.extend(found.into_iter().map(|fault| format!("{name} {fault}")));
    }
    faults
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn words(value: &Value) -> Vec<&str> {
    value
        .as_sequence()
        .map_or_else(Vec::new, |list| list.iter().map(word).collect())
}

/// A mount is a path from here that is there, or a volume that is declared.
fn mounts(service: &Value, compose: &Value, root: &Path) -> Vec<String> {
    let is_there = |source: &str| {
        if source.starts_with('.') {
            root.join(source).exists()
        } else {
            let volumes = compose["volumes"].as_mapping();
            volumes.is_some_and(|volumes| volumes.contains_key(source))
        }
    };
    let volumes = words(&service["volumes"]);
    let sources = volumes.iter().filter_map(|volume| volume.split(':').next());
    let missing = sources.filter(|source| !is_there(source));
    missing
        .map(|source| format!("mounts {source}, which is not there"))
        .collect()
}

fn build(service: &Value, root: &Path) -> Option<String> {
    let context = service.get("build")?;
    let dockerfile = format!("{}/Dockerfile", word(context));
    let missing = !root.join(&dockerfile).is_file();
    missing.then(|| format!("is built from {dockerfile}, which is not there"))
}

/// Its dependencies exist and, where they must be healthy, have a health check.
fn dependencies(service: &Value, compose: &Value, names: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(on) = service.get("depends_on") else {
        return faults;
    };
    for name in words(on) {
        if !names.contains(&name) {
            faults.push(format!("depends on {name}, which is no service"));
        }
    }
    for (name, how) in on.as_mapping().into_iter().flatten() {
        let name = word(name);
        let healthy = how["condition"] == "service_healthy";
        if !names.contains(&name) {
            faults.push(format!("depends on {name}, which is no service"));
        } else if healthy && compose["services"][name].get("healthcheck").is_none() {
            faults.push(format!("waits for {name}, which has no health check"));
        }
    }
    faults
}

fn command(service: &Value, options: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    for pair in words(&service["command"]).chunks(2) {
        let name = pair[0].strip_prefix("--").unwrap_or(pair[0]);
        let value = pair.get(1).copied().unwrap_or_default();
        if !options.iter().any(|option| option == name) {
            faults.push(format!("gives {}, which is no option", pair[0]));
        }
        if name == "role" && !ROLES.contains(&value) {
            faults.push(format!("is a {value}, which is no role"));
        }
    }
    faults
}

/// Each variable is an option, and each host in its value a service.
fn environment(service: &Value, options: &[String], names: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    for (variable, value) in service["environment"].as_mapping().into_iter().flatten() {
        let (variable, value) = (word(variable), word(value));
        let option = variable.strip_prefix("ROOMCAST_").map(str::to_lowercase);
        let option = option.map(|name| name.replace('_', "-"));
        if !option.is_some_and(|name| options.contains(&name)) {
            faults.push(format!("sets {variable}, which is no option"));
        }
        let Some((_, hosts)) = value.split_once("://") else {
            continue;
        };
        let hosts = hosts.split('/').next().unwrap_or_default();
        for host in hosts.split(',').filter_map(|host| host.split(':').next()) {
            if !names.contains(&host) {
                faults.push(format!("looks for {host}, which is no service"));
            }
        }
    }
    faults
}
