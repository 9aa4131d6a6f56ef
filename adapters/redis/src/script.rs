//! The Lua scripts, loaded again into a server that does not have them.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use fred::bytes_utils::Str;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::LuaInterface as _;
use fred::types::Value;

/// What a script does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScriptName {
    Lease,
    Sweep,
    Read,
}

/// All scripts.
#[derive(Debug)]
pub(crate) struct Scripts {
    lease: Script,
    sweep: Script,
    read: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            lease: Script::new(include_str!("scripts/lease.lua")),
            sweep: Script::new(include_str!("scripts/sweep.lua")),
            read: Script::new(include_str!("scripts/read.lua")),
        }
    }

    /// Runs a script where `key` is.
    pub(crate) async fn run(
        &self,
        client: &Client,
        verb: ScriptName,
        key: &str,
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        let script = match verb {
            ScriptName::Lease => &self.lease,
            ScriptName::Sweep => &self.sweep,
            ScriptName::Read => &self.read,
        };
        match client
            .evalsha(script.digest.clone(), key, args.clone())
            .await
        {
            // A restarted server: it caches the script from now on.
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                client.eval(script.source.clone(), key, args).await
            }
            answer => answer,
        }
    }
}

#[derive(Debug)]
struct Script {
    source: Str,
    /// The name Redis gives it.
    digest: Str,
}

impl Script {
    fn new(body: &str) -> Self {
        let source = format!("{}\n{body}", include_str!("scripts/prelude.lua"));
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, source.as_bytes());
        let digest = sha1.as_ref().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Self {
            source: source.into(),
            digest: digest.into(),
        }
    }
}
