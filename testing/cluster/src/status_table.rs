//! What runs where, for people.

use std::fmt::Write as _;
use std::path::Path;

use roomcast_test_cluster::cluster::Manifest;
use rustix::process::{Resource, getrlimit};

const HEAD: [&str; 6] = ["name", "state", "address", "admin", "pid", "log"];

/// One line for each process.
pub(crate) fn of(record: &Manifest) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for one in &record.running {
        let state = if one.is_alive() { "runs" } else { "DEAD" };
        rows.push([
            one.name.clone(),
            state.to_owned(),
            one.address.clone(),
            one.admin.clone(),
            one.pid.to_string(),
            one.log.display().to_string(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    text
}

/// Where to go from here.
pub(crate) fn how_to_use(record: &Manifest, program: &Path) -> String {
    let edge = record.running.iter().find(|one| one.name == "edge-1");
    let edge = edge.map_or("", |edge| &edge.address);
    let data = record.directory().join("data");
    let (program, data) = (program.display(), data.display());
    let descriptors = getrlimit(Resource::Nofile).maximum;
    let sockets = descriptors.map_or_else(
        || "no bound on sockets from file descriptors".to_owned(),
        |most| {
            let through = most / 2;
            format!(
                "a process may have {most} file descriptors here (ulimit -Hn): \
                 so many sockets for each gateway, and {through} through each edge process"
            )
        },
    );
    format!(
        "\nopen http://{edge} in a browser and sign up; or print a token:\n  \
         {program} token --data {data} --sub alice\n  \
         {program} token --data {data} --sub host --scope admin\n\
         {sockets}\n\
         make fleet-status shows this again, make fleet-stop ends it, make fleet-clean removes its data"
    )
}
