//! Validation of names, passwords and display names; errors are `BAD_FRAME` with the field's name.

use std::sync::Arc;

use roomcast_protocol::{Refusal, id};

const NAME_CHARS_MIN: usize = 3;
const NAME_CHARS_MAX: usize = 32;
const PASSWORD_CHARS_MIN: usize = 8;
const PASSWORD_CHARS_MAX: usize = 256;

/// Checks a name to sign in with.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    if may_be_name(name) {
        return Ok(());
    }
    Err(Refusal::bad_frame(format!(
        "name: {NAME_CHARS_MIN} to {NAME_CHARS_MAX} characters of A-Z a-z 0-9 _ - . :"
    )))
}

/// Whether an account could have this name.
pub(crate) fn may_be_name(name: &str) -> bool {
    // The characters of an id are one byte each.
    (NAME_CHARS_MIN..=NAME_CHARS_MAX).contains(&name.len()) && id::validate(name).is_ok()
}

/// The key by which names are compared. Of an invalid name, as much as distinguishes it from all valid ones.
pub(crate) fn name_key(name: &str) -> Arc<str> {
    let name = name.chars().take(NAME_CHARS_MAX + 1);
    name.map(|it| it.to_ascii_lowercase())
        .collect::<String>()
        .into()
}

/// Whether the name of an account could begin so.
pub(crate) fn may_begin_name(prefix: &str) -> bool {
    // As `.` and `..` are no ids but begin some.
    prefix.len() <= NAME_CHARS_MAX
        && (prefix.is_empty() || id::validate(&format!("{prefix}x")).is_ok())
}

/// Checks a new password. Characters count, not bytes, so that every script has the same rule.
pub(crate) fn check_password(password: &str) -> Result<(), Refusal> {
    let characters = password.chars().take(PASSWORD_CHARS_MAX + 1).count();
    if (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&characters) {
        return Ok(());
    }
    Err(Refusal::bad_frame(format!(
        "password: {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
    )))
}

/// What others see: the name of an account whose display name was cleared, or never given.
pub(crate) fn shown_name(display_name: String, name: &str) -> String {
    if display_name.is_empty() {
        name.to_owned()
    } else {
        display_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_3_to_32_id_characters() {
        for good in ["ana", "A.b-c_d:9", "...", &"x".repeat(32)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "an a", "añá", &"x".repeat(33)] {
            let refusal = check_name(bad).unwrap_err();
            assert!(refusal.message.starts_with("name:"), "{bad}: {refusal}");
        }
    }

    #[test]
    fn passwords_are_counted_in_characters_not_in_bytes() {
        assert!(check_password(&"ñ".repeat(8)).is_ok());
        assert!(check_password(&"漢".repeat(256)).is_ok());
        assert!(check_password(&"ñ".repeat(7)).is_err());
        let refusal = check_password(&"x".repeat(257)).unwrap_err();
        assert!(refusal.message.starts_with("password:"));
    }

    #[test]
    fn a_prefix_may_be_empty_or_a_dot_but_not_what_no_name_has() {
        for good in ["", ".", "..", "an", "_"] {
            assert!(may_begin_name(good), "{good}");
        }
        for bad in ["a ", "%", "ñ", &"x".repeat(33)] {
            assert!(!may_begin_name(bad), "{bad}");
        }
    }
}
