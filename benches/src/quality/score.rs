//! Scores by `scripts/quality-score`.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::Way;
use crate::table::{heading, row};

/// Of the own score without loss.
const GOAL_OF_CLEAN: f64 = 0.9;
const GOAL_OVER_FEC: f64 = 0.5;

/// Mean opinion scores, 1 to 5, by way; plus and minus a standard error over clips.
#[derive(Serialize)]
pub struct Scores {
    plcmos_clean: Option<f64>,
    plcmos_plc: Option<f64>,
    plcmos_fec: Option<f64>,
    plcmos_dred: Option<f64>,
    scores: Output,
}

#[derive(Serialize, Deserialize)]
struct Output {
    plcmos: BTreeMap<String, Mean>,
    /// ViSQOL of the way against the reference.
    visqol: BTreeMap<String, Mean>,
    missing: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Mean {
    mean: f64,
    standard_error: f64,
    clips: usize,
}

/// The program is in the source tree it was built from; a copy elsewhere can't score.
pub fn score(wav_dir: &Path) -> anyhow::Result<Scores> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/quality-score");
    println!("scoring …");
    let output = Command::new(&script)
        .arg(wav_dir)
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("can't run {}", script.display()))?;
    ensure!(output.status.success(), "{} failed", script.display());
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().context("no scores came")?;
    let scores: Output = serde_json::from_str(last).context("scores that can't be read")?;
    let plcmos = |way: Way| Some(scores.plcmos.get(way.name())?.mean);
    Ok(Scores {
        plcmos_clean: plcmos(Way::Clean),
        plcmos_plc: plcmos(Way::Plc),
        plcmos_fec: plcmos(Way::Fec),
        plcmos_dred: plcmos(Way::Dred),
        scores,
    })
}

impl Scores {
    pub fn show(&self) {
        heading("PLCMOS, of 5 (and ViSQOL against what was said)");
        let show = |name: &str, explained: &str| {
            let Some(plcmos) = self.scores.plcmos.get(name) else {
                return;
            };
            let visqol = self.scores.visqol.get(name).map_or(String::new(), |mean| {
                format!("{:.2} +- {:.2}", mean.mean, mean.standard_error)
            });
            row(
                explained,
                format!("{:.2} +- {:.2}", plcmos.mean, plcmos.standard_error),
                visqol,
            );
        };
        show("reference", "what was said");
        for way in Way::ALL {
            show(way.name(), way.explained());
        }
        if let (Some(clean), Some(dred)) = (self.plcmos_clean, self.plcmos_dred) {
            row(
                "ours to ours without loss",
                format!("{:.1} %", 100.0 * dred / clean),
                goal(dred / clean >= GOAL_OF_CLEAN, ">= 90 %"),
            );
        }
        if let (Some(fec), Some(dred)) = (self.plcmos_fec, self.plcmos_dred) {
            row(
                "ours over plain FEC",
                format!("{:+.2}", dred - fec),
                goal(dred - fec >= GOAL_OVER_FEC, ">= +0.5"),
            );
        }
        for missing in &self.scores.missing {
            println!("Not measured: {missing}");
        }
    }
}

fn goal(reached: bool, goal: &str) -> String {
    format!("goal {goal}{}", if reached { "" } else { ", missed" })
}
