//! Making an account.

use roomcast_ports::accounts::{Account, Registration};
use roomcast_protocol::api::UserView;
use roomcast_protocol::{Code, Refusal, UserId};

use crate::fields;
use crate::service::{Accounts, failed_to, view_of};

impl Accounts {
    /// Makes an account; without a display name others see the name. A taken name is `CONFLICT`.
    pub async fn register(
        &self,
        name: &str,
        password: &str,
        display_name: Option<&str>,
    ) -> Result<UserView, Refusal> {
        let display_name = display_name.unwrap_or(name);
        fields::check_name(name)?;
        fields::check_password(password)?;
        fields::check_display_name(display_name)?;

        // The store decides who gets a name; asking before spares a hash for nothing.
        let holder = self.accounts.by_name(name).await;
        if holder.map_err(failed_to("look for a name"))?.is_some() {
            return Err(name_taken());
        }
        let account = Account {
            user_id: UserId::generate(),
            name: name.to_owned(),
            display_name: display_name.to_owned(),
            password_hash: self.passwords.hash(password).await?,
            created_at: self.now(),
        };
        let registration = self.accounts.create(&account).await;
        match registration.map_err(failed_to("keep an account"))? {
            Registration::Made => Ok(view_of(account)),
            Registration::NameTaken => Err(name_taken()),
        }
    }
}

fn name_taken() -> Refusal {
    Refusal::new(Code::Conflict, "name: it is taken")
}
