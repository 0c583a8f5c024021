//! Accounts that sign in with their passwords, as many at once as the server has cores and a few more.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use voxhall_protocol::{
    SecretText,
    control::{Login, Register},
    link::Link,
};

use crate::wire::Wire;

const AT_ONCE: usize = 8;
const DEVICE: &str = "voxhall-bench";

/// Sign-ins a second.
pub async fn measure(invite: &Link, how_long: Duration) -> anyhow::Result<f64> {
    let mut wires = Vec::new();
    for number in 0..AT_ONCE {
        let mut wire = Wire::open(invite).await?;
        wire.call(&Register {
            name: name(number),
            password: password(number),
            invite: invite.code.clone(),
            device: DEVICE.to_owned(),
        })
        .await?;
        wires.push(wire);
    }
    let began = Instant::now();
    let mut signing_in = JoinSet::new();
    for (number, mut wire) in wires.into_iter().enumerate() {
        signing_in.spawn(async move {
            let mut count = 0_u32;
            while began.elapsed() < how_long {
                wire.call(&Login {
                    name: name(number),
                    password: password(number),
                    device: DEVICE.to_owned(),
                })
                .await?;
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(done) = signing_in.join_next().await {
        count += done??;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

fn name(number: usize) -> String {
    format!("account {number}")
}

fn password(number: usize) -> SecretText {
    format!("a long enough password {number}").into()
}
