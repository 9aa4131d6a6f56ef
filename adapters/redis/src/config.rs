//! Configuration of the Redis adapter, and errors of connecting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fred::types::config::{Config, TlsConnector};
use roomcast_ports::BoxError;

/// How to reach Redis and what to keep there.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://host:port`, or `redis-cluster://host:port,host:port` with some nodes of a Redis Cluster;
    /// `rediss` and `rediss-cluster` for TLS. Before the host `user:password@`, after a single one `/database`.
    pub url: String,
    /// The user of its access control list; without one Redis takes its default user.
    pub user: Option<String>,
    /// The password of that user; one in the URL counts only without it.
    pub password: Option<String>,
    /// The client's side of TLS; with it the connection is encrypted whatever the scheme of the URL. A
    /// `rediss` URL without it trusts the authorities of the system.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// What every key begins with: fleets that share a Redis have different ones.
    pub prefix: String,
    /// How long Redis may take for an answer.
    pub answer_within: Duration,
    /// Retention of an offline user's `lastSeen`.
    pub remember: Duration,
    /// Whether to begin although Redis is away, and take it up when it comes. One that refuses us or is too
    /// old is an error all the same, if it is there.
    pub may_be_away: bool,
}

impl RedisConfig {
    /// Keys under `presence:`, answers within 4 s, 30 days of memory; Redis has to be there.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password: None,
            tls: None,
            prefix: "presence".to_owned(),
            answer_within: Duration::from_secs(4),
            remember: Duration::from_secs(30 * 24 * 3600),
            may_be_away: false,
        }
    }

    pub(crate) fn driver_config(&self) -> Result<Config, ConnectError> {
        let bad = |why: &'static str| ConnectError::BadUrl(why.into());
        if self.prefix.is_empty() || self.prefix.contains(['{', '}']) {
            return Err(bad("a prefix has at least one character and no braces"));
        }
        let (scheme, rest) = self.url.split_once("://").ok_or(bad("no scheme"))?;
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (format!("{credentials}@"), place),
            None => (String::new(), rest),
        };
        let mut hosts = place.trim_end_matches('/').split(',');
        let first = hosts.next().filter(|host| !host.is_empty());
        let first = first.ok_or(bad("no host"))?;
        let others: Vec<String> = hosts.map(|host| format!("node={host}")).collect();
        let url = match (scheme, others.is_empty()) {
            ("redis" | "rediss", true) => format!("{scheme}://{credentials}{first}"),
            ("redis" | "rediss", false) => {
                return Err(bad("several hosts are of a redis-cluster:// url"));
            }
            ("redis-cluster" | "rediss-cluster", _) => {
                format!("{scheme}://{credentials}{first}?{}", others.join("&"))
            }
            _ => {
                return Err(bad(
                    "the scheme is redis, rediss, redis-cluster or rediss-cluster",
                ));
            }
        };
        let mut config =
            Config::from_url(&url).map_err(|error| ConnectError::BadUrl(error.into()))?;
        if self.password.is_some() {
            config.username.clone_from(&self.user);
            config.password.clone_from(&self.password);
        }
        if let Some(tls) = &self.tls {
            let connector = TlsConnector::from(rustls::ClientConfig::clone(tls));
            config.tls = Some(connector.into());
        }
        Ok(config)
    }
}

impl fmt::Debug for RedisConfig {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self
            .url
            .rsplit_once('@')
            .map_or(&*self.url, |(_, place)| place);
        f.debug_struct("RedisConfig")
            .field("place", &place)
            .field("user", &self.user)
            .field("tls", &self.tls.is_some())
            .field("prefix", &self.prefix)
            .field("answer_within", &self.answer_within)
            .field("remember", &self.remember)
            .field("may_be_away", &self.may_be_away)
            .finish_non_exhaustive()
    }
}

/// Why presence cannot be kept there.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration names no place.
    #[error("not a url of redis")]
    BadUrl(#[source] BoxError),
    /// We may not come in, or what is configured cannot be.
    #[error("redis refuses us")]
    Refused(#[source] BoxError),
    /// No answer, or not one of Redis.
    #[error("redis cannot be reached")]
    Unreachable(#[source] BoxError),
    /// It lacks what the scripts need.
    #[error("redis is of version {found}, and has to be {least} or later")]
    TooOld {
        /// Its version.
        found: String,
        /// The oldest that will do.
        least: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use fred::types::config::ServerConfig;

    use super::*;

    fn servers(url: &str) -> Option<Vec<String>> {
        let config = RedisConfig::new(url).driver_config().ok()?;
        let mut servers: Vec<String> = match config.server {
            ServerConfig::Clustered { hosts, .. } => hosts,
            ServerConfig::Centralized { server } => vec![server],
            ServerConfig::Sentinel { .. } => return None,
        }
        .into_iter()
        .map(|server| format!("{}:{}", server.host, server.port))
        .collect();
        servers.sort();
        Some(servers)
    }

    #[test]
    fn a_url_names_one_server_or_some_nodes_of_a_cluster() {
        assert_eq!(servers("redis://one:7001").unwrap(), ["one:7001"]);
        assert_eq!(
            servers("redis-cluster://one:7001,two:7002,three:7003").unwrap(),
            ["one:7001", "three:7003", "two:7002"]
        );
        for bad in ["one:7001", "redis://", "redis://a:1,b:2", "http://a:1"] {
            assert_eq!(servers(bad), None, "{bad}");
        }
    }

    #[test]
    fn credentials_are_used_and_not_shown() {
        let config = RedisConfig::new("redis-cluster://me:secret@one:7001,two:7002");
        let driver_config = config.driver_config().unwrap();
        assert_eq!(driver_config.username.as_deref(), Some("me"));
        assert_eq!(driver_config.password.as_deref(), Some("secret"));
        assert!(!format!("{config:?}").contains("secret"), "{config:?}");
    }
}
