//! Fonts: the app's own, emoji in colour, symbols, and scripts that a system may lack a font for.
//!
//! Asked in this order: Inter, icons, emoji, symbols, the system's fonts (which `eframe` looks through), and last the scripts
//! that are embedded. Chinese, Japanese and Korean come from the system alone: docs/adr/0039-fonts.md.

use std::{ops::RangeInclusive, sync::Arc};

use egui::{Context, FontData, FontDefinitions, FontFamily, FontTweak};
use emojis::Emoji;
use epaint::text::{FallbackRequest, FontInsert, FontPriority, InsertFontFamily};

/// Always loaded.
const EMBEDDED: [(&str, &[u8]); 8] = [
    ("inter", include_bytes!("../../assets/Inter-Regular.otf")),
    (
        "inter-strong",
        include_bytes!("../../assets/Inter-SemiBold.otf"),
    ),
    ("icons", include_bytes!("../../assets/icons.ttf")),
    ("emoji", include_bytes!("../../assets/Twemoji.ttf")),
    ("latin", include_bytes!("../../assets/NotoSans.ttf")),
    (
        "symbols-2",
        include_bytes!("../../assets/NotoSansSymbols2.ttf"),
    ),
    (
        "symbols",
        include_bytes!("../../assets/NotoSansSymbols.ttf"),
    ),
    ("math", include_bytes!("../../assets/NotoSansMath.ttf")),
];

/// Behind the font of a family.
const BEHIND: [&str; 6] = ["icons", "emoji", "latin", "symbols-2", "symbols", "math"];

/// What is newer is not in the emoji font.
const NEWEST_EMOJI: emojis::UnicodeVersion = emojis::UnicodeVersion::new(15, 0);
/// On the keys of key caps stands what the text's font draws.
const KEY_CAP: char = '\u{20e3}';

/// Whether an emoji is drawn as one.
pub fn draws(emoji: &Emoji) -> bool {
    emoji.unicode_version() <= NEWEST_EMOJI && !emoji.as_str().contains(KEY_CAP)
}

struct Script {
    name: &'static str,
    /// Its blocks of Unicode.
    blocks: &'static [RangeInclusive<char>],
    font: &'static [u8],
}

macro_rules! script {
    ($name:literal, $($block:expr),+) => {
        Script {
            name: $name,
            blocks: &[$($block),+],
            font: include_bytes!(concat!("../../assets/scripts/", $name, ".ttf")),
        }
    };
}

/// Loaded when the first character of the script is drawn and the system has no font for it.
static SCRIPTS: [Script; 21] = [
    script!("Armenian", '\u{530}'..='\u{58f}', '\u{fb13}'..='\u{fb17}'),
    script!("Hebrew", '\u{590}'..='\u{5ff}', '\u{fb1d}'..='\u{fb4f}'),
    script!(
        "Arabic",
        '\u{600}'..='\u{6ff}',
        '\u{750}'..='\u{77f}',
        '\u{8a0}'..='\u{8ff}',
        '\u{fb50}'..='\u{fdff}',
        '\u{fe70}'..='\u{feff}'
    ),
    script!("Thaana", '\u{780}'..='\u{7bf}'),
    script!("Devanagari", '\u{900}'..='\u{97f}', '\u{a8e0}'..='\u{a8ff}'),
    script!("Bengali", '\u{980}'..='\u{9ff}'),
    script!("Gurmukhi", '\u{a00}'..='\u{a7f}'),
    script!("Gujarati", '\u{a80}'..='\u{aff}'),
    script!("Oriya", '\u{b00}'..='\u{b7f}'),
    script!("Tamil", '\u{b80}'..='\u{bff}'),
    script!("Telugu", '\u{c00}'..='\u{c7f}'),
    script!("Kannada", '\u{c80}'..='\u{cff}'),
    script!("Malayalam", '\u{d00}'..='\u{d7f}'),
    script!("Sinhala", '\u{d80}'..='\u{dff}'),
    script!("Thai", '\u{e00}'..='\u{e7f}'),
    script!("Lao", '\u{e80}'..='\u{eff}'),
    script!(
        "Myanmar",
        '\u{1000}'..='\u{109f}',
        '\u{a9e0}'..='\u{a9ff}',
        '\u{aa60}'..='\u{aa7f}'
    ),
    script!(
        "Georgian",
        '\u{10a0}'..='\u{10ff}',
        '\u{1c90}'..='\u{1cbf}',
        '\u{2d00}'..='\u{2d2f}'
    ),
    script!(
        "Ethiopic",
        '\u{1200}'..='\u{139f}',
        '\u{2d80}'..='\u{2ddf}',
        '\u{ab00}'..='\u{ab2f}'
    ),
    script!("Khmer", '\u{1780}'..='\u{17ff}', '\u{19e0}'..='\u{19ff}'),
    script!("Tifinagh", '\u{2d30}'..='\u{2d7f}'),
];

pub fn install(ctx: &Context) {
    ctx.set_fonts(definitions());
    ctx.add_font_provider(Arc::new(script_of));
}

fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    for (name, bytes) in EMBEDDED {
        let mut data = FontData::from_static(bytes);
        if name == "emoji" {
            // Beside letters of the same size, and in the middle of their line.
            data = data.tweak(FontTweak {
                scale: 1.15,
                y_offset_factor: 0.04,
                ..FontTweak::default()
            });
        }
        fonts.font_data.insert(name.to_owned(), Arc::new(data));
    }
    let mut family = |family: FontFamily, first: &[&str]| {
        let own = fonts.families.entry(family).or_default();
        let names = first.iter().chain(&BEHIND).map(|name| (*name).to_owned());
        // What egui has for the family: code's font stands before the emoji, whose digits are for key caps alone. It has none for icons.
        if first.is_empty() {
            own.extend(names);
        } else {
            *own = names.collect();
        }
    };
    family(FontFamily::Proportional, &["inter"]);
    family(FontFamily::Name("strong".into()), &["inter-strong"]);
    family(FontFamily::Name("icons".into()), &[]);
    family(FontFamily::Monospace, &[]);
    fonts
}

/// The embedded font for a character's script.
fn script_of(request: &FallbackRequest<'_>) -> Option<FontInsert> {
    let character = request.cluster.chars().next()?;
    let script = SCRIPTS
        .iter()
        .find(|script| script.blocks.iter().any(|block| block.contains(&character)))?;
    Some(FontInsert::new(
        script.name,
        FontData::from_static(script.font),
        vec![InsertFontFamily {
            family: request.family.clone(),
            priority: FontPriority::Lowest,
        }],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme;

    fn context() -> Context {
        let ctx = Context::default();
        theme::install(&ctx);
        let mut first = ctx.run_ui(egui::RawInput::default(), |_| {});
        first.textures_delta.clear();
        ctx
    }

    /// Without a system's fonts, as a bare machine shows them.
    #[test]
    fn a_sentence_of_every_script_has_its_glyphs() {
        let ctx = context();
        for text in [
            "Übergröße, Đặng, Ελληνικά, Кириллица, ŋəʃ",
            "Բարեւ ձեզ",
            "שלום עולם",
            "مرحبا بالعالم، پښتو، اُردو",
            "ދިވެހި",
            "नमस्ते दुनिया",
            "ওহে বিশ্ব",
            "ਸਤ ਸ੍ਰੀ ਅਕਾਲ",
            "નમસ્તે",
            "ନମସ୍କାର",
            "வணக்கம்",
            "నమస్కారం",
            "ನಮಸ್ಕಾರ",
            "നമസ്കാരം",
            "ආයුබෝවන්",
            "สวัสดีชาวโลก",
            "ສະບາຍດີ",
            "မင်္ဂလာပါ",
            "გამარჯობა",
            "ሰላም ለዓለም",
            "ជំរាបសួរ",
            "ⴰⵣⵓⵍ",
            "✓ ✗ → ⇒ ∑ ≤ ∞ ★ ◆ ⌘ ₿ ⅔ 𝓕𝓪𝓷𝓬𝔂",
        ] {
            let missing: String = ctx.fonts_mut(|fonts| {
                let fonts = &mut *fonts;
                let lacks = |c: &char| !fonts.has_glyph(&theme::regular(15.0), *c);
                text.chars().filter(lacks).collect()
            });
            assert_eq!(missing, "", "of {text}");
        }
    }

    /// A family, a flag and a skin tone are one glyph each, not the sum of their parts, and as wide as any other.
    #[test]
    fn sequences_of_emoji_are_one_glyph_of_the_emoji_font() {
        /// Signs of the text's font, which are emoji only with a selector behind them.
        const OF_TEXT: &str = "‼⁉©®™ℹ";
        let ctx = context();
        let width = |text: &str| {
            let text = text.to_owned();
            ctx.fonts_mut(|fonts| {
                let galley = fonts.layout_no_wrap(text, theme::regular(20.0), egui::Color32::WHITE);
                galley.size().x
            })
        };
        let one = width("😀");
        let broken: Vec<_> = emojis::iter()
            .filter(|emoji| draws(emoji) && !emoji.as_str().starts_with(|c| OF_TEXT.contains(c)))
            .map(|emoji| (emoji.as_str(), width(emoji.as_str())))
            .filter(|(_, width)| (width / one - 1.0).abs() > 0.01)
            .collect();
        assert!(broken.is_empty(), "one is {one} wide: {broken:?}");
    }
}
