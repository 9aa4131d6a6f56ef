//! Command-line arguments of `cluster`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use roomcast_test_cluster::Sync;
use roomcast_test_cluster::cluster::ClusterSpec;

/// Runs Roomcast as a fleet on this machine.
#[derive(Debug, Parser)]
#[command(name = "cluster")]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Installs the servers that are missing
    Servers,
    /// Starts a fleet in the background, or shows the one that runs
    Start(StartArgs),
    /// Shows the processes of the fleet
    Status(DirectoryArgs),
    /// Stops the fleet and keeps its data
    Stop(DirectoryArgs),
    /// Stops the fleet and removes its data
    Clean(DirectoryArgs),
    /// Runs a command against a fleet of its own on free ports, and stops the fleet afterwards
    ///
    /// The command finds the fleet in ROOMCAST_TEST_URL, ROOMCAST_TEST_ADMIN_URL and ROOMCAST_TEST_HS256 (a file with
    /// the secret that signs tokens).
    Exec(ExecArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DirectoryArgs {
    /// Directory of data, logs and the list of processes
    #[arg(long, value_name = "DIR", default_value = "roomcast-fleet")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    directory: DirectoryArgs,
    /// Port of the edge on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    #[command(flatten)]
    processes: ProcessArgs,
    /// Further options for every process of roomcast
    #[arg(last = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    processes: ProcessArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
struct ProcessArgs {
    /// The program roomcast
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// Nodes of the store, 1 or 3
    #[arg(long, value_name = "N", default_value = "1", value_parser = ["1", "3"])]
    nodes: String,
    /// When the store writes its commit log
    #[arg(long, value_name = "WHEN", default_value = "batch")]
    store_sync: StoreSync,
    /// Gateways
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u16).range(1..))]
    gateways: u16,
    /// Ingest workers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u16).range(1..))]
    ingest: u16,
    /// HAProxy processes that share the edge's port
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = value_parser!(u16).range(1..))]
    edges: u16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StoreSync {
    /// Before it answers
    Batch,
    /// Every few seconds, the default of clusters: a killed node loses its last writes, which the log restores
    Periodic,
}

impl StartArgs {
    /// The fleet that these arguments describe.
    pub(crate) fn into_spec(self) -> ClusterSpec {
        ClusterSpec {
            directory: Some(self.directory.directory),
            edge_port: Some(self.port),
            arguments: self.options,
            ..self.processes.into_spec()
        }
    }
}

impl ExecArgs {
    /// The fleet on free ports, and the command.
    pub(crate) fn into_parts(self) -> (ClusterSpec, Vec<String>) {
        (self.processes.into_spec(), self.command)
    }
}

impl ProcessArgs {
    fn into_spec(self) -> ClusterSpec {
        ClusterSpec {
            store_nodes: if self.nodes == "3" { 3 } else { 1 },
            sync: match self.store_sync {
                StoreSync::Batch => Sync::Batch,
                StoreSync::Periodic => Sync::Periodic,
            },
            gateways: self.gateways.into(),
            ingest: self.ingest.into(),
            edges: self.edges.into(),
            ..ClusterSpec::new(self.program)
        }
    }
}
