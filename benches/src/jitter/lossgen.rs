//! Opus' generative model of packet loss (`dnn/lossgen.c` of libopus 1.6.1, as the package opusic-sys 0.7.7 carries it): two small
//! recurrent layers trained on recorded calls. The weights are in `lossgen.bin` under their own licence, `lossgen.LICENSE`.

use super::rng::Rng;

/// Layout, little endian: dense in (16 weights, 8 biases), dense out (32, 1), then for each recurrent layer its input and its recurrent
/// part: weights in 8 bits, a scale and a bias an output. All but the weights in 8 bits are `f32`.
const WEIGHTS: &[u8] = include_bytes!("lossgen.bin");
/// The state begins with zeros, which no call has; so the first draws are thrown away, as Opus does.
const WARM_UP: usize = 1_000;
const DENSE: usize = 8;

pub struct Lossgen {
    dense_in: Dense,
    dense_out: Dense,
    first: Gru,
    second: Gru,
    loss: f32,
    lost: bool,
}

impl Lossgen {
    /// `loss`: the share of packets that are to be lost, 0 to 1. The model keeps to it roughly.
    pub fn new(loss: f64, rng: &mut Rng) -> Self {
        let mut weights = Reader(WEIGHTS);
        let mut lossgen = Self {
            dense_in: Dense::read(&mut weights, 2, DENSE),
            dense_out: Dense::read(&mut weights, 32, 1),
            first: Gru::read(&mut weights, DENSE, 16),
            second: Gru::read(&mut weights, 16, 32),
            loss: loss as f32,
            lost: false,
        };
        for _ in 0..WARM_UP {
            lossgen.draw(rng);
        }
        lossgen
    }

    /// Whether the next packet is lost.
    pub fn draw(&mut self, rng: &mut Rng) -> bool {
        let input = [f32::from(u8::from(self.lost)), self.loss];
        let hidden: Vec<f32> = self
            .dense_in
            .run(&input)
            .into_iter()
            .map(f32::tanh)
            .collect();
        self.first.step(&hidden);
        self.second.step(&self.first.state);
        let out = sigmoid(self.dense_out.run(&self.second.state)[0]);
        self.lost = rng.unit() < f64::from(out);
        self.lost
    }
}

struct Dense {
    /// Column by column.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    fn read(from: &mut Reader, inputs: usize, outputs: usize) -> Self {
        Self {
            weights: from.floats(inputs * outputs),
            bias: from.floats(outputs),
        }
    }

    fn run(&self, input: &[f32]) -> Vec<f32> {
        let outputs = self.bias.len();
        let mut out = self.bias.clone();
        for (column, x) in self.weights.chunks(outputs).zip(input) {
            for (sum, weight) in out.iter_mut().zip(column) {
                *sum += weight * x;
            }
        }
        out
    }
}

/// Weights in 8 bits, in blocks of 8 outputs by 4 inputs; inputs are rounded to 8 bits as well.
struct Quantised {
    weights: Vec<i8>,
    scale: Vec<f32>,
    bias: Vec<f32>,
}

impl Quantised {
    fn read(from: &mut Reader, inputs: usize, outputs: usize) -> Self {
        Self {
            weights: from.bytes(inputs * outputs),
            scale: from.floats(outputs),
            bias: from.floats(outputs),
        }
    }

    fn run(&self, input: &[f32]) -> Vec<f32> {
        let rounded: Vec<f32> = input.iter().map(|x| (0.5 + 127.0 * x).floor()).collect();
        let mut out = vec![0.0; self.bias.len()];
        let mut blocks = self.weights.chunks(32);
        for rows in out.chunks_mut(8) {
            for (columns, block) in rounded.chunks(4).zip(&mut blocks) {
                for (sum, weights) in rows.iter_mut().zip(block.chunks(4)) {
                    *sum += weights
                        .iter()
                        .zip(columns)
                        .map(|(&weight, x)| f32::from(weight) * x)
                        .sum::<f32>();
                }
            }
        }
        for ((sum, scale), bias) in out.iter_mut().zip(&self.scale).zip(&self.bias) {
            *sum = *sum * scale + bias;
        }
        out
    }
}

struct Gru {
    input: Quantised,
    recurrent: Quantised,
    state: Vec<f32>,
}

impl Gru {
    fn read(from: &mut Reader, inputs: usize, units: usize) -> Self {
        Self {
            input: Quantised::read(from, inputs, 3 * units),
            recurrent: Quantised::read(from, units, 3 * units),
            state: vec![0.0; units],
        }
    }

    fn step(&mut self, input: &[f32]) {
        let units = self.state.len();
        let new = self.input.run(input);
        let old = self.recurrent.run(&self.state);
        for i in 0..units {
            let update = sigmoid(new[i] + old[i]);
            let reset = sigmoid(new[units + i] + old[units + i]);
            let candidate = (new[2 * units + i] + reset * old[2 * units + i]).tanh();
            self.state[i] = update * self.state[i] + (1.0 - update) * candidate;
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

struct Reader(&'static [u8]);

impl Reader {
    fn take(&mut self, bytes: usize) -> &'static [u8] {
        let (head, rest) = self.0.split_at(bytes);
        self.0 = rest;
        head
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        self.take(4 * count)
            .chunks(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    fn bytes(&mut self, count: usize) -> Vec<i8> {
        self.take(count).iter().map(|&byte| byte as i8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_keeps_to_the_share_asked_for_and_loses_in_bursts() {
        for share in [0.1, 0.3] {
            let mut rng = Rng::new(1);
            let mut lossgen = Lossgen::new(share, &mut rng);
            let fates: Vec<bool> = (0..8_000).map(|_| lossgen.draw(&mut rng)).collect();
            let lost = fates.iter().filter(|&&lost| lost).count() as f64;
            let bursts = fates.windows(2).filter(|w| !w[0] && w[1]).count() as f64;
            let got = lost / fates.len() as f64;
            println!(
                "asked for {share}, got {got:.3}, mean burst {:.2}",
                lost / bursts
            );
            assert!((got / share - 1.0).abs() < 0.5, "{got} of {share}");
            // Independent losses would have 1 / (1 - share).
            assert!(lost / bursts > 1.2 / (1.0 - got));
        }
    }
}
