//! The options of `roomcast token`: whom the token is for. Only the data directory is shared with serving.

use std::path::PathBuf;
use std::time::Duration;

use roomcast_protocol::{UserId, limits};

use super::error::ConfigError;
use super::sources::{Arity, OptionSpec, RawOptions};
use super::{Settings, options, parsers};

/// A token that lives longer is a password that cannot be changed.
const LIFETIME_MAX: Duration = Duration::from_secs(365 * 86_400);

/// The token's claims and signing key.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenOptions {
    /// Where the signing key is kept.
    pub data: PathBuf,
    /// Whom it speaks for.
    pub user_id: UserId,
    /// The name it gives them.
    pub name: Option<String>,
    /// Whether it is the host product's server.
    pub admin: bool,
    /// How long it works.
    pub lifetime: Duration,
}

#[derive(Default)]
pub(super) struct Draft {
    user_id: Option<UserId>,
    name: Option<String>,
    admin: bool,
    lifetime: Option<Duration>,
}

pub(super) const OPTIONS: &[OptionSpec<Draft>] = &[
    OptionSpec {
        name: "sub",
        value: "USER",
        default: "",
        shape: Arity::One,
        help: "the user it speaks for",
        take: |draft, given| {
            let text = parsers::one(given)?;
            let user_id = UserId::new(text).map_err(|error| format!("{text:?} is {error}"))?;
            draft.user_id = Some(user_id);
            Ok(())
        },
    },
    OptionSpec {
        name: "scope",
        value: "SCOPE",
        default: "",
        shape: Arity::One,
        help: "admin: the host product's server, who may act on any room and user",
        take: |draft, given| {
            draft.admin = parsers::parse_enum(given, &[("admin", true)])?;
            Ok(())
        },
    },
    OptionSpec {
        name: "ttl",
        value: "SPAN",
        default: "1h",
        shape: Arity::One,
        help: "how long it works, at most 365d",
        take: |draft, given| {
            let bounds = Duration::from_secs(1)..=LIFETIME_MAX;
            draft.lifetime = Some(parsers::duration(given, bounds)?);
            Ok(())
        },
    },
    OptionSpec {
        name: "name",
        value: "NAME",
        default: "",
        shape: Arity::One,
        help: "the name it gives them",
        take: |draft, given| {
            let text = parsers::one(given)?;
            if text.len() > limits::NAME_BYTES_MAX {
                return Err(format!("is longer than {} bytes", limits::NAME_BYTES_MAX));
            }
            draft.name = Some(text.to_owned());
            Ok(())
        },
    },
];

/// Reads what was given to `roomcast token`.
pub(super) fn read(given: &RawOptions, faults: &mut Vec<ConfigError>) -> TokenOptions {
    let mut draft = Draft::default();
    given.apply(OPTIONS, &mut draft, faults);
    if !given.has("sub") {
        faults.push(ConfigError::new(
            "--sub",
            "is missing: whom is the token for?",
        ));
    }
    let mut settings = Settings::default();
    let data = options::OPTIONS
        .iter()
        .position(|option| option.name == "data");
    if let Some(data) = data {
        given.apply(&options::OPTIONS[data..=data], &mut settings, faults);
    }
    // Without a subject there is an error already, and this value is unused.
    let user_id = draft.user_id.unwrap_or_else(UserId::generate);
    TokenOptions {
        data: settings.data,
        user_id,
        name: draft.name,
        admin: draft.admin,
        lifetime: draft.lifetime.unwrap_or(Duration::from_secs(3_600)),
    }
}

/// How an option of the command line is written, if it is one of this command's.
pub(super) fn shape_of(name: &str) -> Option<Arity> {
    let own = OPTIONS.iter().find(|option| option.name == name);
    match name {
        "data" | "config" => super::shape_of(name),
        _ => own.map(|option| option.shape),
    }
}
