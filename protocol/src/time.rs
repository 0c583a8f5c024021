//! Points in time as people read them.

use crate::control::UnixMs;

/// Such as `2026-11-20 18:05 UTC`.
pub fn utc_words(at_ms: UnixMs) -> String {
    const MINUTES_OF_DAY: i64 = 24 * 60;
    let minutes = at_ms.div_euclid(60_000);
    let (hour, minute) = {
        let of_day = minutes.rem_euclid(MINUTES_OF_DAY);
        (of_day / 60, of_day % 60)
    };
    let (year, month, day) = civil_from_days(minutes.div_euclid(MINUTES_OF_DAY));
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Days since 1970-01-01 as a date of the Gregorian calendar, by way of eras of 400 years that begin in March, so that the leap day
/// comes last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (at_ms, words) in [
            (0, "1970-01-01 00:00 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
            (951_782_399_999, "2000-02-28 23:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00 UTC"),
            (1_709_251_200_000, "2024-03-01 00:00 UTC"),
            (1_795_197_900_000, "2026-11-20 18:05 UTC"),
            (4_107_542_399_000, "2100-02-28 23:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(utc_words(at_ms), words);
        }
        // Whatever a peer sends.
        utc_words(i64::MIN);
        utc_words(i64::MAX);
    }
}
