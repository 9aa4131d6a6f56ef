//! Cassandra's jars, fetched once by Maven into the user's cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{ClusterError, binaries};

const VERSION: &str = "5.0.9";
const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// The directory of the jars, filled if it is not there yet. Several processes may ask concurrently: one fetches.
pub(super) fn fetch() -> Result<PathBuf, ClusterError> {
    let cache = directory()?;
    let jars = cache.join("lib");
    if jars.is_dir() {
        return Ok(jars);
    }
    let locked = || {
        fs::create_dir_all(&cache)?;
        let lock = File::create(cache.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    };
    let _lock = locked().map_err(ClusterError::machine(format!("lock {}", cache.display())))?;
    if jars.is_dir() {
        return Ok(jars);
    }
    let unfinished = cache.join("unfinished");
    let prepared = || {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir(&unfinished)?;
        fs::write(unfinished.join("pom.xml"), pom())
    };
    prepared().map_err(ClusterError::machine(format!(
        "fill {}",
        unfinished.display()
    )))?;
    run_maven(&unfinished)?;
    fs::rename(unfinished.join("lib"), &jars)
        .map_err(ClusterError::machine(format!("make {}", jars.display())))?;
    let _ = fs::remove_dir_all(&unfinished);
    Ok(jars)
}

/// Whether there is nothing to fetch.
pub(super) fn is_cached() -> Result<bool, ClusterError> {
    Ok(directory()?.join("lib").is_dir())
}

/// Whether no node has left a class archive yet.
pub(super) fn archive_is_missing() -> bool {
    archive().is_ok_and(|archive| !archive.is_file())
}

/// Where the class archive is, or will be.
pub(super) fn archive() -> Result<PathBuf, ClusterError> {
    Ok(directory()?.join("classes.jsa"))
}

/// Takes the archive that a node with this directory left when it ended, if it did.
pub(super) fn save_archive(node: &Path) {
    // The cache may be on another file system than the node: copied beside, then renamed atomically.
    let copied = || {
        let archive = archive().map_err(std::io::Error::other)?;
        let beside = archive.with_extension(format!("jsa.{}", std::process::id()));
        fs::copy(node.join("classes.jsa"), &beside)?;
        fs::rename(beside, archive)
    };
    // Without it starts take a second longer, and nothing else changes.
    let _: std::io::Result<()> = copied();
}

fn directory() -> Result<PathBuf, ClusterError> {
    Ok(binaries::cache()?.join(format!("cassandra-{VERSION}")))
}

fn run_maven(directory: &Path) -> Result<(), ClusterError> {
    let maven = binaries::on_path("mvn", "--version")?;
    let output = Command::new(maven)
        .args(["-q", "-B", "-f"])
        .arg(directory.join("pom.xml"))
        .args([COPY_DEPENDENCIES, "-DincludeScope=runtime"])
        .arg(format!(
            "-DoutputDirectory={}",
            directory.join("lib").display()
        ))
        .stdin(Stdio::null())
        .output()
        .map_err(ClusterError::machine("start mvn"))?;
    ClusterError::unless_well("fetching Cassandra with mvn", &output)
}

fn pom() -> String {
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>roomcast</groupId><artifactId>cassandra</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>{VERSION}</version>
  </dependency></dependencies>
</project>
"#
    )
}
