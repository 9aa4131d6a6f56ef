//! Integers as JSON spells them: `5`, `5.0`, `5e0` and `0.5e1` are the same number, and `-0` is 0.
//!
//! The text is judged, not a float made from it: `9007199254740992.5` is no integer, and
//! `5.0000000000000000000001` is not 5.

/// The value of a JSON number that has no fraction and fits; `None` for all other JSON.
pub(crate) fn unsigned(number: &str) -> Option<u64> {
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, decimal_exponent(exponent)?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    // The digits up to the last that is not zero, and how many zeros follow it.
    let (mut significant, mut zeros) = (0_u64, 0_u32);
    for digit in whole.bytes().chain(fraction.bytes()) {
        match u64::from(digit - b'0') {
            0 if significant == 0 => {}
            0 => zeros += 1,
            digit => {
                let shifted = significant.checked_mul(10_u64.checked_pow(zeros + 1)?)?;
                (significant, zeros) = (shifted.checked_add(digit)?, 0);
            }
        }
    }
    if significant == 0 {
        return Some(0);
    }
    let scale = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(i64::from(zeros))?;
    let scale = u32::try_from(scale).ok().filter(|_| !negative)?;
    significant.checked_mul(10_u64.checked_pow(scale)?)
}

/// A JSON number's exponent; one that no `i64` holds is as good as the largest that one does.
fn decimal_exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.is_empty() || !is_digits(digits) {
        return None;
    }
    Some(sign * digits.parse::<i64>().unwrap_or(i64::MAX))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_the_same_however_it_is_spelt() {
        for (value, spellings) in [
            (
                0,
                &[
                    "0",
                    "-0",
                    "0.0",
                    "-0.00e-7",
                    "0e999999999999999999999",
                    "0E+5",
                ][..],
            ),
            (
                5,
                &[
                    "5",
                    "5.0",
                    "5e0",
                    "5E+0",
                    "0.5e1",
                    "50e-1",
                    "500.00e-2",
                    "0.00005e5",
                ],
            ),
            (
                9_007_199_254_740_991,
                &["9007199254740991.0", "9007199254740.991e3"],
            ),
            (9_007_199_254_740_993, &["9007199254740993.000"]),
            (
                u64::MAX,
                &["18446744073709551615", "1844674407370955161.5e1"],
            ),
        ] {
            for spelling in spellings {
                assert_eq!(unsigned(spelling), Some(value), "{spelling}");
            }
        }
    }

    #[test]
    fn what_has_a_fraction_a_sign_or_no_room_is_no_integer() {
        for other in [
            "5.5",
            "5.0000000000000000000000000000001",
            "5e-1",
            "1e-999999999999999999999",
            "-1",
            "-5.0",
            "-1e-5",
            "18446744073709551616",
            "1e20",
            "1e999999999999999999999",
            "\"5\"",
            "true",
            "null",
            "[5]",
            "{}",
            "",
            "-",
            "e5",
            "5e",
            "5e+",
            ".5",
            "+5",
            "0x5",
            " 5",
        ] {
            assert_eq!(unsigned(other), None, "{other}");
        }
    }
}
