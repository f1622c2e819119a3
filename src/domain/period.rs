//! Calendar periods of budgets, correct across daylight saving: boundaries are local midnights
//! (or full hours) of the configured zone, as instants.

use jiff::{Span, Timestamp, ToSpan, Zoned, tz::TimeZone};

/// Length of a budget's period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeriodLength {
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday's midnight to the next.
    Week,
    /// From the first's midnight to the next first's.
    Month,
}

impl PeriodLength {
    /// The word used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A calendar that cuts time into periods.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    length: PeriodLength,
    zone: TimeZone,
    zone_name: String,
}

/// The previous, the current and the next period around an instant, as four boundaries in µs since 1970.
/// Period k is `[0[k], 0[k + 1])`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Boundaries(pub [u64; 4]);

impl Boundaries {
    /// The period that holds an instant; `None` when the instant is outside all three.
    pub fn period_of(&self, at_us: u64) -> Option<(u64, u64)> {
        self.0.windows(2).find(|w| w[0] <= at_us && at_us < w[1]).map(|w| (w[0], w[1]))
    }
}

impl Calendar {
    /// A calendar of that length in an IANA time zone.
    pub fn new(length: PeriodLength, zone_name: &str) -> Result<Self, jiff::Error> {
        Ok(Self { length, zone: TimeZone::get(zone_name)?, zone_name: zone_name.to_owned() })
    }

    /// The period's length.
    pub fn length(&self) -> PeriodLength {
        self.length
    }

    /// The IANA name of the zone.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// Boundaries of the three periods around an instant. Saturates at the ends of representable time.
    pub fn around(&self, at_us: u64) -> Boundaries {
        let at = Timestamp::from_microsecond(i64::try_from(at_us).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
        let (start, end) = self.period(at);
        let before = self.period(start.checked_sub(1.microsecond()).unwrap_or(start)).0;
        let after = self.period(end).1;
        Boundaries([before, start, end, after].map(instant_us))
    }

    /// Start and end of the period that holds an instant.
    fn period(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let zoned = at.to_zoned(self.zone.clone());
        let days = |start: Zoned, span: Span| {
            let end = start.checked_add(span).and_then(|next| next.start_of_day()).unwrap_or_else(|_| start.clone());
            (start.timestamp(), end.timestamp())
        };
        let midnight = |zoned: &Zoned| zoned.start_of_day().unwrap_or_else(|_| zoned.clone());
        match self.length {
            PeriodLength::Hour => self.hour(&zoned),
            PeriodLength::Day => days(midnight(&zoned), 1.day()),
            PeriodLength::Week => {
                let since_monday = i64::from(zoned.weekday().to_monday_zero_offset());
                days(midnight(&zoned.checked_sub(since_monday.days()).unwrap_or_else(|_| zoned.clone())), 1.week())
            }
            PeriodLength::Month => days(midnight(&zoned.first_of_month().unwrap_or_else(|_| zoned.clone())), 1.month()),
        }
    }

    /// From one full hour of the offset in force to the next, cut where the offset changes: the repeated
    /// hour of autumn is two periods, and a change by half an hour makes a short one.
    fn hour(&self, zoned: &Zoned) -> (Timestamp, Timestamp) {
        const HOUR: i64 = 3600;
        let (at, offset) = (zoned.timestamp(), i64::from(zoned.offset().seconds()));
        let floor = (at.as_second() + offset).div_euclid(HOUR) * HOUR - offset;
        let second = |second: i64| Timestamp::from_second(second).unwrap_or(at);
        let moves = |instant: &Timestamp| {
            let before = instant.checked_sub(1.second()).unwrap_or(*instant);
            self.zone.to_offset(before) != self.zone.to_offset(*instant)
        };
        let just_after = at.checked_add(1.nanosecond()).unwrap_or(at);
        let changed = self.zone.preceding(just_after).map(|t| t.timestamp()).find(moves);
        let changes = self.zone.following(at).map(|t| t.timestamp()).find(moves);
        let (start, end) = (second(floor), second(floor + HOUR));
        (changed.map_or(start, |change| start.max(change)), changes.map_or(end, |change| end.min(change)))
    }
}

fn instant_us(at: Timestamp) -> u64 {
    u64::try_from(at.as_microsecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_microsecond()).unwrap()
    }

    fn around(length: PeriodLength, zone: &str, at: &str) -> [u64; 4] {
        Calendar::new(length, zone).unwrap().around(us(at)).0
    }

    #[test]
    fn a_day_of_clock_change_is_23_or_25_hours() {
        let hours = |b: [u64; 4]| (b[2] - b[1]) / 3_600_000_000;
        assert_eq!(hours(around(PeriodLength::Day, "America/Los_Angeles", "2026-03-08T18:00:00Z")), 23);
        assert_eq!(hours(around(PeriodLength::Day, "America/Los_Angeles", "2026-11-01T18:00:00Z")), 25);
        assert_eq!(hours(around(PeriodLength::Day, "Europe/Berlin", "2026-07-01T12:00:00Z")), 24);
    }

    #[test]
    fn the_repeated_hour_is_two_periods() {
        let first = around(PeriodLength::Hour, "Europe/Berlin", "2026-10-25T00:30:00Z");
        let second = around(PeriodLength::Hour, "Europe/Berlin", "2026-10-25T01:30:00Z");
        assert_eq!(first[2], second[1]);
        assert_eq!(first[2] - first[1], 3_600_000_000);
        assert_eq!(second[2] - second[1], 3_600_000_000);
    }

    #[test]
    fn half_hour_zones_begin_their_hours_at_their_own_full_hour() {
        let b = around(PeriodLength::Hour, "Asia/Kolkata", "2026-10-25T00:10:00Z");
        assert_eq!(b[1], us("2026-10-24T23:30:00Z"));
    }

    #[test]
    fn a_day_without_midnight_begins_at_one() {
        // Beirut skipped from 00:00 to 01:00 on this day.
        let b = around(PeriodLength::Day, "Asia/Beirut", "2021-03-28T12:00:00Z");
        assert_eq!(b[1], us("2021-03-27T22:00:00Z"));
        assert_eq!(b[2], us("2021-03-28T21:00:00Z"));
    }

    #[test]
    fn months_and_leap_days() {
        let b = around(PeriodLength::Month, "UTC", "2028-02-29T23:59:59Z");
        assert_eq!(
            b,
            [us("2028-01-01T00:00:00Z"), us("2028-02-01T00:00:00Z"), us("2028-03-01T00:00:00Z"), us("2028-04-01T00:00:00Z")]
        );
        let b = around(PeriodLength::Week, "UTC", "2026-11-24T10:00:00Z");
        assert_eq!(b[1], us("2026-11-23T00:00:00Z"));
    }

    #[test]
    fn periods_meet_without_gap_or_overlap_through_two_years() {
        for zone in ["America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Cairo"]
        {
            for length in [PeriodLength::Hour, PeriodLength::Day, PeriodLength::Week, PeriodLength::Month] {
                let calendar = Calendar::new(length, zone).unwrap();
                let mut at = us("2025-01-01T00:00:00Z");
                while at < us("2027-01-01T00:00:00Z") {
                    let b = calendar.around(at);
                    assert!(b.0.windows(2).all(|w| w[0] < w[1]), "{zone} {length:?} {at} {b:?}");
                    let (start, end) = b.period_of(at).unwrap();
                    assert_eq!((start, end), (b.0[1], b.0[2]), "{zone} {length:?} {at}");
                    assert_eq!(calendar.around(end).0[1], end, "{zone} {length:?} {at}");
                    assert_eq!(calendar.around(start.saturating_sub(1)).0[2], start, "{zone} {length:?} {at}");
                    at += if length == PeriodLength::Hour { 1_800_000_000 * 5 } else { 13 * 3_600_000_000 };
                }
            }
        }
    }
}
