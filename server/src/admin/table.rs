//! Rows for people.

use voxhall_protocol::control::UnixMs;

/// Columns as wide as their widest cell; the last one as it is.
pub fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(heads[column].chars().count())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths);
        let line: Vec<_> = padded
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", line.join("  ").trim_end())
    };
    let mut text = line(heads);
    for row in rows {
        text.push_str(&line(std::array::from_fn(|column| row[column].as_str())));
    }
    text
}

/// Of the world, not of the machine: servers seldom stand where their people are.
pub fn time(at_ms: UnixMs) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "never".to_owned(),
    }
}

pub fn time_or(at_ms: Option<UnixMs>, none: &str) -> String {
    at_ms.map_or_else(|| none.to_owned(), time)
}

pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        if size < 1_024.0 {
            break;
        }
        size /= 1_024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

pub fn span(s: u64) -> String {
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h", s / 3_600),
        _ => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["1".into(), "änn".into()], ["22".into(), "bob".into()]];
        assert_eq!(table(["ID", "NAME"], &rows), "ID  NAME\n1   änn\n22  bob\n");
        assert_eq!(table(["ID", "NAME"], &[]), "ID  NAME\n");
    }

    #[test]
    fn figures_are_for_people() {
        assert_eq!(time(0), "1970-01-01 00:00 UTC");
        assert_eq!(time(UnixMs::MAX), "never");
        assert_eq!([bytes(1_023), bytes(1_536)], ["1023 B", "1.5 KiB"]);
        assert_eq!([span(90), span(200_000)], ["90 s", "2 days"]);
    }
}
