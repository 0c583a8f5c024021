//! When something is to begin: now, or at a time to come, as the clocks here show it.

use egui::Ui;
use jiff::{
    Timestamp, ToSpan, Zoned,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use voxhall_protocol::control::UnixMs;

use super::{
    Scene,
    widgets::{hint, labelled, segmented},
    window::pick,
};

/// Days to choose from.
const DAYS: i64 = 120;
const MINUTE_STEP: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    #[default]
    Now,
    Later(DateTime),
}

impl When {
    /// None: now.
    ///
    /// # Errors
    /// That time is over, or there is no such time.
    pub fn at_ms(self, zone: &TimeZone, now: Timestamp) -> Result<Option<UnixMs>, &'static str> {
        let Self::Later(at) = self else {
            return Ok(None);
        };
        let at = (at.to_zoned(zone.clone())).map_err(|_| "There is no such time.")?;
        if at.timestamp() <= now {
            return Err("That time is over. Choose a later one.");
        }
        Ok(Some(at.timestamp().as_millisecond()))
    }
}

/// What is offered first: the next full hour that is half an hour away.
fn soon(now: &Zoned) -> DateTime {
    let at = now.datetime().saturating_add(90.minutes());
    at.with()
        .minute(0)
        .second(0)
        .subsec_nanosecond(0)
        .build()
        .unwrap_or(at)
}

/// Why there is nothing to begin at that time, if so.
pub fn when_ui(ui: &mut Ui, scene: &Scene<'_>, when: &mut When) -> Result<Option<UnixMs>, ()> {
    let now = scene.now.to_zoned(scene.time_zone.clone());
    labelled(ui, "It begins", |ui| {
        let mut later = matches!(when, When::Later(_));
        if segmented(ui, &mut later, &[(false, "Now"), (true, "Later")]) {
            *when = if later {
                When::Later(soon(&now))
            } else {
                When::Now
            };
        }
    });
    if let When::Later(at) = when {
        ui.horizontal(|ui| later_ui(ui, &now, at));
    }
    when.at_ms(scene.time_zone, scene.now).map_err(|why| {
        hint(ui, why);
    })
}

fn later_ui(ui: &mut Ui, now: &Zoned, at: &mut DateTime) {
    let days: Vec<(Date, String)> = (0..DAYS)
        .filter_map(|days| now.date().checked_add(days.days()).ok())
        .map(|day| (day, day.strftime("%a %-d %B").to_string()))
        .collect();
    let hours: Vec<_> = (0..24_i8)
        .map(|hour| (hour, format!("{hour:02}")))
        .collect();
    let minutes: Vec<_> = (0..60_i8)
        .step_by(MINUTE_STEP)
        .map(|minute| (minute, format!("{minute:02}")))
        .collect();
    let (mut day, mut hour, mut minute) = (at.date(), at.hour(), at.minute());
    let changed = [
        pick(ui, "Day", &mut day, &days, 180.0),
        pick(ui, "Hour", &mut hour, &hours, 70.0),
        pick(ui, "Minute", &mut minute, &minutes, 70.0),
    ];
    if changed.contains(&true)
        && let Ok(time) = Time::new(hour, minute, 0, 0)
    {
        *at = day.to_datetime(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_of_this_place_and_lies_ahead() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now: Timestamp = "2026-11-28T18:20:00Z".parse().unwrap();
        assert_eq!(When::Now.at_ms(&zone, now), Ok(None));
        let at = |text: &str| When::Later(text.parse().unwrap());
        let eight: Timestamp = "2026-11-28T18:30:00Z".parse().unwrap();
        assert_eq!(
            at("2026-11-28T20:30:00").at_ms(&zone, now),
            Ok(Some(eight.as_millisecond()))
        );
        assert!(at("2026-11-28T20:20:00").at_ms(&zone, now).is_err());
        assert!(at("2026-11-27T21:00:00").at_ms(&zone, now).is_err());
    }

    #[test]
    fn what_is_offered_first_is_a_full_hour_soon() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let soon = |now: &str| {
            let now: Timestamp = now.parse().unwrap();
            soon(&now.to_zoned(zone.clone())).to_string()
        };
        assert_eq!(soon("2026-11-28T18:20:31Z"), "2026-11-28T21:00:00");
        assert_eq!(soon("2026-11-28T18:40:31Z"), "2026-11-28T22:00:00");
        assert_eq!(soon("2026-12-31T21:31:00Z"), "2027-01-01T01:00:00");
    }
}
