//! Dates in UTC, written as the administration API signs them and as people read them.

const DAY: u64 = 86_400;

/// `YYYY-MM-DD` of so many seconds since 1970.
#[must_use]
pub fn date(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `YYYY-MM-DD HH:MM:SS` of so many seconds since 1970.
#[must_use]
pub fn date_time(seconds: u64) -> String {
    let second = seconds % DAY;
    format!("{} {:02}:{:02}:{:02}", date(seconds), second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of so many days since 1970, by the Gregorian calendar. Years begin in March inside, so that the
/// leap day is their last one.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / (DAYS_OF_400_YEARS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_are_written_right() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_551_113_065, "2019-02-25 16:44:25"),
            (1_795_198_874, "2026-11-20 18:21:14"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(date_time(seconds), text);
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = civil(0);
        for day in 1..200_000 {
            let today = civil(day);
            let same_month = (before.0, before.1, before.2 + 1);
            let next_month = (before.0, before.1 + 1, 1);
            let next_year = (before.0 + 1, 1, 1);
            assert!([same_month, next_month, next_year].contains(&today), "{before:?} {today:?}");
            assert!((28..=31).contains(&before.2) || today == same_month, "{before:?}");
            before = today;
        }
    }
}
