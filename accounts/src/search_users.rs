//! Search of users by the prefix of their name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomcast_protocol::Refusal;
use roomcast_protocol::api::UserViews;

use crate::fields;
use crate::service::{Accounts, failed_to, view_of};

impl Accounts {
    /// Accounts whose name begins with `name_prefix`, compared without case, by name. What no name can
    /// start with finds no user: partial input in a search box is no error.
    pub async fn search_users(
        &self,
        name_prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<UserViews, Refusal> {
        let after = cursor.map(last_name).transpose()?;
        if !fields::may_begin_name(name_prefix) {
            return Ok(UserViews {
                users: Vec::new(),
                next_cursor: None,
            });
        }
        // One more than the limit shows whether there is a next page.
        let found = self
            .accounts
            .by_prefix(name_prefix, after.as_deref(), limit + 1)
            .await;
        let mut found = found.map_err(failed_to("find accounts by name"))?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        Ok(UserViews {
            next_cursor: last.map(|account| URL_SAFE_NO_PAD.encode(&account.name)),
            users: found.into_iter().map(view_of).collect(),
        })
    }
}

fn last_name(cursor: &str) -> Result<String, Refusal> {
    let name = URL_SAFE_NO_PAD.decode(cursor).ok();
    let name = name.and_then(|name| String::from_utf8(name).ok());
    name.filter(|name| fields::may_be_name(name))
        .ok_or_else(|| Refusal::bad_frame("cursor: it is not one we gave"))
}
