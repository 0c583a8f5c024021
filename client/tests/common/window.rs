//! The whole app without a display, and what a person does with it.

#![allow(
    dead_code,
    reason = "each user of this module needs another part of it"
)]

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};
use voxhall::{
    app::{App, Start},
    settings::Store,
};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Window(pub Harness<'static, App>);

impl Window {
    pub fn open(data: &Path, start: Start) -> Self {
        let store = Store::open(Some(data.to_owned())).expect("a folder");
        let build = |creation: &mut eframe::CreationContext<'static>| {
            App::new(&creation.egui_ctx, store, start).expect("the app starts")
        };
        Self(
            Harness::builder()
                .with_size([1100.0, 720.0])
                .build_eframe(build),
        )
    }

    pub fn join(data: &Path, link: &str, name: &str) -> Self {
        let link = Some(link.parse().expect("a link"));
        Self::open(
            data,
            Start {
                link,
                name: Some(name.to_owned()),
                ..Start::default()
            },
        )
    }

    /// Draws until `label` is to be seen.
    pub fn see(&mut self, label: &str) {
        let start = Instant::now();
        while self.0.query_all_by_label_contains(label).next().is_none() {
            assert!(
                start.elapsed() < PATIENCE,
                "never saw {label:?} but {}",
                self.words()
            );
            thread::sleep(Duration::from_millis(10));
            self.0.step();
        }
    }

    /// Everything that a screen reader would read.
    pub fn words(&self) -> String {
        let all = self.0.get_all(egui_kittest::kittest::by());
        let words = all.filter_map(|node| {
            node.accesskit_node()
                .label()
                .or_else(|| node.accesskit_node().value())
        });
        words.collect::<Vec<_>>().join(" | ")
    }

    pub fn no_longer_see(&mut self, label: &str) {
        let start = Instant::now();
        while self.0.query_all_by_label_contains(label).next().is_some() {
            assert!(start.elapsed() < PATIENCE, "still sees {label:?}");
            thread::sleep(Duration::from_millis(10));
            self.0.step();
        }
    }

    pub fn click(&mut self, label: &str) {
        self.see(label);
        // Until nothing moves any more: a click goes to a place.
        self.0.run_steps(5);
        self.0.get_by_label(label).click();
        self.0.run_steps(3);
    }

    /// Scrolled into view, then clicked.
    pub fn find(&mut self, label: &str) {
        self.see(label);
        self.0.get_by_label(label).scroll_to_me();
        self.0.run_steps(4);
        self.click(label);
    }

    pub fn write(&mut self, field: &str, text: &str) {
        self.see(field);
        self.0.get_by_label(field).focus();
        self.0.run_steps(2);
        self.0.get_by_label(field).type_text(text);
        self.0.run_steps(2);
    }
}
