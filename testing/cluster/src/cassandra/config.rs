//! The configuration of one node, small enough for three on a laptop.

use std::path::Path;

use super::{Sync, jars};
use crate::certificates::STORE_PASSWORD;
use crate::process_group::ProcessGroup;
use crate::{Certificates, ClusterError};

const LOGBACK: &str = r#"<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %d{HH:mm:ss.SSS} [%thread] %logger{0} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"#;

/// What the nodes of a cluster have in common.
pub(super) struct Plan<'a> {
    pub(super) ips: &'a [&'a str],
    pub(super) port: u16,
    pub(super) storage_port: u16,
    pub(super) sync: Sync,
    pub(super) is_to_last: bool,
    pub(super) heap_megabytes: u32,
    pub(super) secured: Option<&'a Certificates>,
}

impl Plan<'_> {
    /// Writes the files of the node at `index` into `home/name`; gives the arguments for Java.
    pub(super) fn write(
        &self,
        home: &ProcessGroup,
        name: &str,
        index: usize,
        jars: &Path,
    ) -> Result<Vec<String>, ClusterError> {
        let directory = home.directory().join(name);
        for part in ["tmp", "data"] {
            let part = directory.join(part);
            std::fs::create_dir_all(&part)
                .map_err(ClusterError::machine(format!("make {}", part.display())))?;
        }
        home.write(&format!("{name}/cassandra.yaml"), &self.yaml(index))?;
        home.write(&format!("{name}/logback.xml"), LOGBACK)?;
        let mut arguments = vec![format!("-Xmx{}m", self.heap_megabytes)];
        if !self.is_to_last {
            // The first compiler only: a test's node does not live long enough for the second to pay.
            arguments.push("-XX:TieredStopAtLevel=1".to_owned());
        }
        arguments.append(&mut java_arguments(&directory, jars)?);
        Ok(arguments)
    }

    fn yaml(&self, index: usize) -> String {
        let Self {
            ips,
            port,
            storage_port,
            sync,
            ..
        } = self;
        let ip = ips[index];
        let token = token(index, ips.len());
        let seeds: Vec<String> = ips
            .iter()
            .map(|ip| format!("{ip}:{storage_port}"))
            .collect();
        let seeds = seeds.join(",");
        let sync = match sync {
            Sync::Batch => "commitlog_sync: batch",
            Sync::Periodic => "commitlog_sync: periodic\ncommitlog_sync_period: 10s",
        };
        format!(
            "cluster_name: roomcast
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
num_tokens: 1
initial_token: '{token}'
auto_bootstrap: false
listen_address: {ip}
rpc_address: {ip}
storage_port: {storage_port}
native_transport_port: {port}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{ seeds: '{seeds}' }}]
{sync}
commitlog_segment_size: 8MiB
commitlog_total_space: 64MiB
memtable_heap_space: 64MiB
memtable_offheap_space: 32MiB
file_cache_size: 32MiB
key_cache_size: 4MiB
concurrent_reads: 8
concurrent_writes: 32
concurrent_compactors: 1
auto_snapshot: false
storage_compatibility_mode: NONE
{}",
            self.secured.map(security).unwrap_or_default()
        )
    }
}

/// Passwords and TLS for clients.
fn security(certificates: &Certificates) -> String {
    let (own, trusted) = (
        certificates.file("server.p12"),
        certificates.file("trusted.p12"),
    );
    format!(
        "authenticator: PasswordAuthenticator
role_manager: CassandraRoleManager
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  keystore: {}
  keystore_password: {STORE_PASSWORD}
  truststore: {}
  truststore_password: {STORE_PASSWORD}
",
        own.display(),
        trusted.display(),
    )
}

/// Where on the ring a node begins: the ring of 64-bit tokens, cut evenly.
fn token(index: usize, nodes: usize) -> i128 {
    let (index, nodes) = (index as i128, nodes as i128);
    i128::from(i64::MIN) + (1 << 64) * index / nodes
}

fn java_arguments(directory: &Path, jars: &Path) -> Result<Vec<String>, ClusterError> {
    let archive = jars::archive()?;
    let archive = if archive.is_file() {
        format!("-XX:SharedArchiveFile={}", archive.display())
    } else {
        format!(
            "-XX:ArchiveClassesAtExit={}/classes.jsa",
            directory.display()
        )
    };
    let directory = directory.display();
    let mut arguments: Vec<String> = [
        // Little at first: as root all of it is locked into memory.
        "-Xms64m",
        "-XX:+UseParallelGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:+PerfDisableSharedMem",
        "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
        "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
        "--add-opens=java.base/java.io=ALL-UNNAMED",
        // Otherwise standard output, which is the log, is closed once it has started.
        "-Dcassandra-foreground=yes",
        "-Dcassandra.skip_sync=true",
        // Otherwise measured at each start, for one or two seconds.
        "-Dcassandra.memtable.row_overhead_size=180",
        // Otherwise eight seconds more in a cluster.
        "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        "-Dcassandra.shutdown_announce_in_ms=0",
        "-Dcassandra.libjemalloc=-",
        // Otherwise the first user of a node with passwords is made ten seconds later.
        "-Dcassandra.superuser_setup_delay_ms=0",
    ]
    .map(str::to_owned)
    .into();
    arguments.extend([
        archive,
        format!("-Djava.io.tmpdir={directory}/tmp"),
        format!("-Djna.tmpdir={directory}/tmp"),
        format!("-Dlogback.configurationFile=file://{directory}/logback.xml"),
        format!("-Dcassandra.config=file://{directory}/cassandra.yaml"),
        format!("-Dcassandra.storagedir={directory}/data"),
        "-cp".to_owned(),
        format!("{}/*", jars.display()),
        "org.apache.cassandra.service.CassandraDaemon".to_owned(),
    ]);
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_share_the_ring_evenly() {
        let tokens: Vec<i128> = (0..3).map(|index| token(index, 3)).collect();
        assert_eq!(tokens[0], i128::from(i64::MIN));
        let third = (1_i128 << 64) / 3;
        assert!((tokens[1] - tokens[0] - third).abs() <= 1);
        assert!((tokens[2] - tokens[1] - third).abs() <= 1);
    }
}
