//! The whole window on a made-up state without a display, and what was wanted of it.

use std::{cell::RefCell, rc::Rc};

use egui_kittest::{Harness, kittest::Queryable};
use voxhall::ui::{Intents, Want, theme};
use voxhall_session::Intent;

use super::Stage;

pub type Wants = Rc<RefCell<Vec<Want>>>;

/// Of a usual window.
pub const SIZE: [f32; 2] = [1100.0, 720.0];

/// A window of the usual size.
pub fn window(stage: Stage) -> (Harness<'static, Stage>, Wants) {
    sized(stage, SIZE)
}

pub fn sized(stage: Stage, size: [f32; 2]) -> (Harness<'static, Stage>, Wants) {
    let wants = Wants::default();
    let kept = Rc::clone(&wants);
    let draw = move |ui: &mut egui::Ui, stage: &mut Stage| {
        let mut intents = Intents::default();
        stage.draw(ui, &mut intents);
        kept.borrow_mut().extend(intents.0);
    };
    (drawn(draw, stage, size), wants)
}

/// As the app draws, and drawn until it has settled.
pub fn drawn<S>(
    draw: impl FnMut(&mut egui::Ui, &mut S) + 'static,
    state: S,
    size: [f32; 2],
) -> Harness<'static, S> {
    let mut harness = Harness::builder()
        .with_size(size)
        .with_max_steps(60)
        .with_context_setup(theme::install)
        .build_ui_state(draw, state);
    settle(&mut harness);
    harness
}

/// Spinners never rest, so a number of frames is all one can wait for.
pub fn settle<S>(harness: &mut Harness<'_, S>) {
    harness.run_steps(6);
}

pub fn click<S>(harness: &mut Harness<'_, S>, label: &str) {
    harness.get_by_label(label).click();
    settle(harness);
}

/// Everything that was wanted since the last call.
pub fn taken(wants: &Wants) -> Vec<Want> {
    std::mem::take(&mut wants.borrow_mut())
}

/// What of it is for the session.
pub fn session(wants: &Wants) -> Vec<Intent> {
    let session = |want| match want {
        Want::Session(intent) => Some(intent),
        _ => None,
    };
    taken(wants).into_iter().filter_map(session).collect()
}
