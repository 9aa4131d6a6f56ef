//! Figures as people read them.

use super::model::{Threshold, Unit};

/// Between a number and its unit, which belong on one line.
const THIN: char = '\u{a0}';

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds with as many digits as mean something.
pub(super) fn ms(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.2}{THIN}ms")
    } else if ms < 100.0 {
        format!("{ms:.1}{THIN}ms")
    } else if ms < 10_000.0 {
        format!("{ms:.0}{THIN}ms")
    } else {
        format!("{:.1}{THIN}s", ms / 1_000.0)
    }
}

/// Bytes in the unit they fill.
pub(super) fn bytes(bytes: f64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, power) in units {
        let size = f64::from(1_u32 << power);
        if bytes >= size {
            return format!("{:.1} {unit}", bytes / size);
        }
    }
    format!("{bytes:.0} B")
}

/// A number of this unit.
pub(super) fn amount(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Ms => ms(number),
        Unit::S => format!("{number:.2} s"),
        Unit::Share if number >= 1.0 => "100 %".to_owned(),
        // Rounding up would turn a miss into a hundred.
        Unit::Share => format!("{:.3} %", (number * 100_000.0).floor() / 1_000.0),
        Unit::Count => whole(number),
        Unit::PerSecond => format!("{}/s", whole(number)),
        Unit::Bytes => bytes(number),
    }
}

/// A level's bound, with its direction.
pub(super) fn bound(level: &Threshold) -> String {
    let sign = if level.at_least {
        "at least"
    } else {
        "at most"
    };
    format!("{sign} {}", amount(level.bound, level.unit))
}

/// A number without its fraction, unless it is small.
pub(super) fn whole(number: f64) -> String {
    if number < 10.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a double saturates, and figures here are not negative"
    )]
    let rounded = number.round() as u64;
    count(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(ms(3.456), "3.46\u{a0}ms");
        assert_eq!(ms(150.4), "150\u{a0}ms");
        assert_eq!(ms(12_345.0), "12.3\u{a0}s");
        assert_eq!(bytes(1_572_864.0), "1.5 MiB");
        assert_eq!(amount(0.999_999, Unit::Share), "99.999 %");
        assert_eq!(amount(0.5, Unit::PerSecond), "0.5/s");
    }
}
