//! Normalization and bounds of user-visible text: names, topics, display names, emoji.
//!
//! It is normalized before it is stored, so that two strings that look the same are the same, and so
//! that none of them changes the direction or the lines of the text around it. Bounds hold for what
//! remains.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::Refusal;
use crate::limits::{DISPLAY_NAME_CHARS_MAX, NAME_BYTES_MAX, TOPIC_BYTES_MAX};

/// The text in NFC, with TAB, LF and CR as spaces, without other control characters (Cc) and
/// without bidirectional formatting. ZWJ stays: emoji and several scripts need it.
pub fn normalize(text: &str) -> Cow<'_, str> {
    const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
    // First what is removed: a mark behind it may compose with the character before it.
    if !text.chars().any(|it| it.is_control() || is_bidi(it)) {
        return NFC.normalize(text);
    }
    let kept: String = text.chars().filter_map(kept).collect();
    Cow::Owned(NFC.normalize(&kept).into_owned())
}

fn kept(character: char) -> Option<char> {
    match character {
        '\t' | '\n' | '\r' => Some(' '),
        _ if character.is_control() || is_bidi(character) => None,
        _ => Some(character),
    }
}

/// Characters that change the direction of the text around them.
const fn is_bidi(character: char) -> bool {
    matches!(
        character,
        '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    )
}

/// A room's name as it is stored: 1 to [`NAME_BYTES_MAX`] bytes, or `BAD_FRAME`.
pub fn room_name(text: &str) -> Result<String, Refusal> {
    let name = normalize(text);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) {
        Ok(name.into_owned())
    } else {
        let message = format!("name: 1 to {NAME_BYTES_MAX} bytes of what is shown");
        Err(Refusal::bad_frame(message))
    }
}

/// A room's topic as it is stored: at most [`TOPIC_BYTES_MAX`] bytes, or `BAD_FRAME`; empty clears it.
pub fn topic(text: &str) -> Result<String, Refusal> {
    let topic = normalize(text);
    if topic.len() <= TOPIC_BYTES_MAX {
        Ok(topic.into_owned())
    } else {
        let message = format!("topic: at most {TOPIC_BYTES_MAX} bytes");
        Err(Refusal::bad_frame(message))
    }
}

/// A display name as it is stored: at most [`DISPLAY_NAME_CHARS_MAX`] Unicode scalar values, or
/// `BAD_FRAME`; empty clears it.
pub fn display_name(text: &str) -> Result<String, Refusal> {
    let name = normalize(text);
    if name.chars().count() <= DISPLAY_NAME_CHARS_MAX {
        Ok(name.into_owned())
    } else {
        let message = format!("displayName: at most {DISPLAY_NAME_CHARS_MAX} characters");
        Err(Refusal::bad_frame(message))
    }
}

/// What two spellings of one emoji have in common: the emoji without variation selectors. Empty when
/// there is nothing else.
pub fn emoji_key(emoji: &str) -> Cow<'_, str> {
    const SELECTORS: [char; 2] = ['\u{FE0E}', '\u{FE0F}'];
    if emoji.contains(SELECTORS) {
        Cow::Owned(emoji.replace(SELECTORS, ""))
    } else {
        Cow::Borrowed(emoji)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalize_removes_controls_and_direction_and_composes() {
        for (text, stored) in [
            ("", ""),
            (" a  b ", " a  b "),
            ("a\tb\nc\rd\r\n", "a b c d  "),
            ("a\0b\u{7}c\u{7F}d\u{85}e\u{9F}f", "abcdef"),
            (
                "\u{61C}a\u{200E}b\u{200F}c\u{202A}d\u{202E}e\u{2066}f\u{2069}",
                "abcdef",
            ),
            ("admin\u{202E}nimda", "adminnimda"),
            // NFC, also across what was removed.
            ("u\u{308}ber", "über"),
            ("u\u{0}\u{308}", "ü"),
            ("\u{212B}", "Å"),
            ("\u{1100}\u{1161}", "가"),
            // What stays: ZWJ and ZWNJ, variation selectors, line separators, soft hyphens.
            ("👩\u{200D}💻", "👩\u{200D}💻"),
            ("می\u{200C}خواهم", "می\u{200C}خواهم"),
            ("❤\u{FE0F}", "❤\u{FE0F}"),
            ("\u{2028}\u{AD}\u{2060}", "\u{2028}\u{AD}\u{2060}"),
        ] {
            assert_eq!(normalize(text), stored, "{text:?}");
            assert_eq!(normalize(stored), stored, "{stored:?} again");
        }
        assert!(matches!(normalize("plain ünicode"), Cow::Borrowed(_)));
    }

    #[test]
    fn bounds_hold_for_what_remains() {
        let long = "u\u{308}".repeat(64);
        assert_eq!(room_name(&long).unwrap().len(), 128);
        assert!(room_name(&format!("{long}x")).is_err());
        assert_eq!(room_name("a\u{202E}\0").unwrap(), "a");
        for nothing in ["", "\0", "\u{202E}\u{2066}"] {
            assert!(room_name(nothing).is_err(), "{nothing:?}");
            assert_eq!(topic(nothing).unwrap(), "");
            assert_eq!(display_name(nothing).unwrap(), "");
        }
        let padded = format!("{}\0", "x".repeat(1_024));
        assert_eq!(topic(&padded).unwrap().len(), 1_024);
        assert!(topic(&"x".repeat(1_025)).is_err());
        assert_eq!(display_name(&"😀".repeat(64)).unwrap().len(), 256);
        assert!(display_name(&"x".repeat(65)).is_err());
    }

    #[test]
    fn an_emoji_is_the_same_whatever_its_variation_selectors() {
        assert_eq!(emoji_key("❤\u{FE0F}"), "❤");
        assert_eq!(emoji_key("❤\u{FE0E}"), emoji_key("❤"));
        assert_eq!(emoji_key("1\u{FE0F}\u{20E3}"), "1\u{20E3}");
        assert_ne!(emoji_key("👩\u{200D}💻"), emoji_key("👩💻"));
        assert_eq!(emoji_key("\u{FE0F}\u{FE0E}"), "");
    }
}
