//! Account registration.

use roomcast_ports::accounts::{Account, Registration};
use roomcast_protocol::api::UserView;
use roomcast_protocol::{ErrorCode, Refusal, UserId, text};

use crate::client::Client;
use crate::fields;
use crate::service::{Accounts, failed_to, view_of};

impl Accounts {
    /// Makes an account; without a display name others see the name. A taken name is `CONFLICT`. An
    /// address registers so many accounts a minute; what is refused does not count.
    pub async fn register(
        &self,
        name: &str,
        password: &str,
        display_name: Option<&str>,
        client: &Client,
    ) -> Result<UserView, Refusal> {
        fields::check_name(name)?;
        fields::check_password(password)?;
        let display_name = text::display_name(display_name.unwrap_or_default())?;
        let display_name = fields::shown_name(display_name, name);
        if client.exempt {
            return self
                .make_account(name, password, display_name, client)
                .await;
        }
        let place = self.throttle.registration(client.address, self.now())?;
        let made = self
            .make_account(name, password, display_name, client)
            .await;
        if made.is_err() {
            place.forgive();
        }
        made
    }

    async fn make_account(
        &self,
        name: &str,
        password: &str,
        display_name: String,
        client: &Client,
    ) -> Result<UserView, Refusal> {
        // The store decides who gets a name; asking before spares a hash for nothing.
        let holder = self.accounts.by_name(name).await;
        if holder.map_err(failed_to("look for a name"))?.is_some() {
            return Err(name_taken());
        }
        let turn = self.passwords.turn(client.address).await?;
        let account = Account {
            user_id: UserId::generate(),
            name: name.to_owned(),
            display_name,
            password_hash: self.passwords.hash(turn, password).await?,
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
    Refusal::new(ErrorCode::Conflict, "name: it is taken")
}
