//! The app's icon, drawn: a voice in a hall, and in the tray how it stands with that voice.

/// At the lower right of the icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Badge {
    None,
    /// One is in voice, and heard.
    Live,
    Minus,
    Cross,
}

/// Half the side of the square that it is designed in.
const HALF: f32 = 32.0;
const CORNER: f32 = 18.0;
const BARS: [f32; 4] = [18.0, 40.0, 26.0, 13.0];
const INK: [u8; 3] = [0x10, 0x13, 0x2b];
const GROUND: [u8; 3] = [0x8b, 0x9b, 0xff];
const LIVE: [u8; 3] = [0x2f, 0xb3, 0x6d];
const OFF: [u8; 3] = [0xe0, 0x4b, 0x4b];
const WHITE: [u8; 3] = [0xff; 3];
/// Its centre and how far it reaches.
const BADGE: (f32, f32) = (15.0, 17.0);

/// Red, green, blue and alpha of a square, row by row.
pub fn pixels(size: usize, badge: Badge) -> Vec<[u8; 4]> {
    let scale = 2.0 * HALF / size as f32;
    let at = |i: usize| (i as f32 + 0.5) * scale - HALF;
    (0..size)
        .flat_map(|y| (0..size).map(move |x| (x, y)))
        .map(|(x, y)| pixel(at(x), at(y), badge))
        .collect()
}

fn pixel(x: f32, y: f32, badge: Badge) -> [u8; 4] {
    let opaque = |[r, g, b]: [u8; 3]| [r, g, b, 0xff];
    let (dx, dy) = (x - BADGE.0, y - BADGE.0);
    if badge != Badge::None && dx.hypot(dy) < BADGE.1 {
        let sign = match badge {
            Badge::Minus => dx.abs() < 9.0 && dy.abs() < 2.5,
            Badge::Cross => (dx.abs() - dy.abs()).abs() < 3.5 && dx.abs() < 8.0,
            Badge::None | Badge::Live => false,
        };
        let ground = if badge == Badge::Live { LIVE } else { OFF };
        return opaque(if sign { WHITE } else { ground });
    }
    let corner = HALF - CORNER;
    let outside = ((x.abs() - corner)
        .max(0.0)
        .hypot((y.abs() - corner).max(0.0))
        - CORNER)
        .clamp(0.0, 1.0);
    let bar = BARS
        .iter()
        .enumerate()
        .any(|(i, height)| (x - (i as f32 - 1.5) * 12.0).abs() < 3.2 && y.abs() < height / 2.0);
    let [r, g, b] = if bar { INK } else { GROUND };
    [r, g, b, ((1.0 - outside) * 255.0) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_badge_is_told_from_the_others_even_when_small() {
        let all = [Badge::None, Badge::Live, Badge::Minus, Badge::Cross];
        let drawn = all.map(|badge| pixels(22, badge));
        for (i, one) in drawn.iter().enumerate() {
            assert_eq!(one.len(), 22 * 22);
            for other in &drawn[i + 1..] {
                let differ = one.iter().zip(other).filter(|(a, b)| a != b).count();
                assert!(differ > 10, "{differ} pixels of {i}");
            }
        }
        assert_eq!(drawn[0][0][3], 0, "the corner is round");
    }
}
