//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write as _};

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Only grows, until the process starts again.
    Counter,
    Gauge,
    Histogram,
}

/// A page of metrics, family after family.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Names follow the conventions: a unit in plural at the end, counters with `_total` behind it. Samples of the family follow.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
        Family { page: self, name }
    }

    pub fn counter(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, Kind::Counter, help).value(value);
    }

    pub fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help).value(value);
    }

    pub fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("writing to a string");
    }
}

/// Where a family's samples go. Labels are words of this program, never anyone's input, so nothing needs to be escaped.
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    pub fn value(&mut self, value: impl Display) {
        let name = self.name;
        self.page.line(format_args!("{name} {value}"));
    }

    pub fn labelled(&mut self, label: &str, is: &str, value: impl Display) {
        let name = self.name;
        self.page
            .line(format_args!("{name}{{{label}=\"{is}\"}} {value}"));
    }

    pub fn labelled_twice(&mut self, labels: [(&str, &str); 2], value: impl Display) {
        let name = self.name;
        let [(a, a_is), (b, b_is)] = labels;
        let labels = format_args!("{a}=\"{a_is}\",{b}=\"{b_is}\"");
        self.page.line(format_args!("{name}{{{labels}}} {value}"));
    }

    /// Upper bounds in seconds with the number of observations in each bucket alone; the last bucket has no bound.
    pub fn histogram(&mut self, buckets: impl IntoIterator<Item = (f64, u64)>, sum_s: f64) {
        let name = self.name;
        let mut count = 0;
        let mut buckets = buckets.into_iter().peekable();
        while let Some((bound_s, here)) = buckets.next() {
            count += here;
            if buckets.peek().is_some() {
                self.page
                    .line(format_args!("{name}_bucket{{le=\"{bound_s}\"}} {count}"));
            }
        }
        self.page
            .line(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        self.page.line(format_args!("{name}_sum {sum_s}"));
        self.page.line(format_args!("{name}_count {count}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_the_format_says() {
        let mut page = Page::default();
        page.counter("a_total", "Help.", 3);
        let mut family = page.family("b_bytes", Kind::Gauge, "More help.");
        family.labelled("k", "v", 1.5);
        family.labelled_twice([("k", "v"), ("l", "w")], 2);
        let mut family = page.family("c_seconds", Kind::Histogram, "Time.");
        family.histogram([(0.001, 2), (0.002, 0), (0.004, 1)], 0.25);
        assert_eq!(
            page.finish(),
            "# HELP a_total Help.\n# TYPE a_total counter\na_total 3\n\
             # HELP b_bytes More help.\n# TYPE b_bytes gauge\nb_bytes{k=\"v\"} 1.5\nb_bytes{k=\"v\",l=\"w\"} 2\n\
             # HELP c_seconds Time.\n# TYPE c_seconds histogram\n\
             c_seconds_bucket{le=\"0.001\"} 2\nc_seconds_bucket{le=\"0.002\"} 2\nc_seconds_bucket{le=\"+Inf\"} 3\n\
             c_seconds_sum 0.25\nc_seconds_count 3\n"
        );
    }
}
