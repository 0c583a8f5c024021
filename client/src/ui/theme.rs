//! The look: colour roles for dark and light, type, space, and egui's own widgets brought into line with them.

use egui::{
    Color32, Context, CornerRadius, FontFamily, FontId, Margin, Stroke, Style, TextStyle, Theme,
    Ui, epaint::Shadow, style::HandleShape, vec2,
};

use crate::settings::Accent;

/// Colour roles. A view never names a colour, only what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Palette {
    /// Behind the guilds.
    pub rail: Color32,
    /// Behind channels and people.
    pub sidebar: Color32,
    pub main: Color32,
    /// Cards, fields and other things that lie on top.
    pub raised: Color32,
    pub hover: Color32,
    pub pressed: Color32,
    pub border: Color32,

    pub text: Color32,
    /// Second in rank: names of channels, hints.
    pub muted: Color32,
    /// Third: times, placeholders.
    pub faint: Color32,

    pub accent: Color32,
    pub accent_hover: Color32,
    pub on_accent: Color32,
    /// Marks what is selected, behind `text`.
    pub accent_soft: Color32,
    /// Somebody's voice; everything is well.
    pub live: Color32,
    pub warning: Color32,
    pub danger: Color32,
    pub on_danger: Color32,
    /// Behind text that warns or fails.
    pub danger_soft: Color32,
    pub warning_soft: Color32,
}

const fn hex(rgb: u32) -> Color32 {
    Color32::from_rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

pub const DARK: Palette = Palette {
    rail: hex(0x0e1015),
    sidebar: hex(0x15181f),
    main: hex(0x1b1f28),
    raised: hex(0x252a35),
    hover: hex(0x2a303c),
    pressed: hex(0x343b4a),
    border: hex(0x2d3340),
    text: hex(0xeef0f5),
    muted: hex(0xaab1c2),
    faint: hex(0x9098ab),
    accent: hex(0x8b9bff),
    accent_hover: hex(0xa3b0ff),
    on_accent: hex(0x10132b),
    accent_soft: hex(0x2c3253),
    live: hex(0x3ddc97),
    warning: hex(0xffc766),
    danger: hex(0xff7a7a),
    on_danger: hex(0x2a0709),
    danger_soft: hex(0x3a2229),
    warning_soft: hex(0x373023),
};

pub const LIGHT: Palette = Palette {
    rail: hex(0xdfe3ec),
    sidebar: hex(0xedf0f6),
    main: hex(0xfdfdff),
    raised: hex(0xf1f3f8),
    hover: hex(0xe4e8f1),
    pressed: hex(0xd7dce9),
    border: hex(0xd5dae6),
    text: hex(0x171a24),
    muted: hex(0x474f63),
    faint: hex(0x5b6478),
    accent: hex(0x4350d6),
    accent_hover: hex(0x333fbc),
    on_accent: hex(0xffffff),
    accent_soft: hex(0xdbdffc),
    live: hex(0x08784a),
    warning: hex(0x855300),
    danger: hex(0xbb2433),
    on_danger: hex(0xffffff),
    danger_soft: hex(0xfbe3e5),
    warning_soft: hex(0xfbeed3),
};

/// Backgrounds of avatars; the letters on them are white. Chosen to be told apart.
pub const PEOPLE: [Color32; 10] = [
    hex(0x5b5fc7),
    hex(0x0f7b8a),
    hex(0xa8447c),
    hex(0x2f7d46),
    hex(0xb0532a),
    hex(0x7a4fc0),
    hex(0x1f6fb5),
    hex(0x8a6210),
    hex(0xb03a4a),
    hex(0x4d6b7a),
];

pub const SPACE_XS: f32 = 4.0;
pub const SPACE_S: f32 = 8.0;

pub const RADIUS: u8 = 8;
pub const RADIUS_L: u8 = 14;

pub const TITLE: f32 = 26.0;
pub const HEADING: f32 = 18.0;
pub const BODY: f32 = 14.5;
pub const SMALL: f32 = 12.5;
pub const CAPTION: f32 = 11.5;

/// An accent's own colours: itself, hovered, what is written on it, and its soft shade.
type AccentColors = (u32, u32, u32, u32);

/// For dark and for light, in the order of [`Accent`].
const ACCENTS: [(AccentColors, AccentColors); 8] = [
    (
        (0x8b9bff, 0xa3b0ff, 0x10132b, 0x2c3253),
        (0x4350d6, 0x333fbc, 0xffffff, 0xdbdffc),
    ),
    (
        (0x6cb8ff, 0x8cc8ff, 0x061b2e, 0x1c3a55),
        (0x1264a8, 0x0e5088, 0xffffff, 0xd4e8fb),
    ),
    (
        (0x4fd1c5, 0x74ddd3, 0x06201d, 0x17403d),
        (0x0a6e68, 0x085954, 0xffffff, 0xcfeeeb),
    ),
    (
        (0x6fd08c, 0x8cdca3, 0x0b2113, 0x1d3f2a),
        (0x1b7038, 0x155a2d, 0xffffff, 0xd3f0dc),
    ),
    (
        (0xf5b84b, 0xf8c970, 0x2a1c02, 0x43351a),
        (0x855300, 0x6b4300, 0xffffff, 0xfbeed3),
    ),
    (
        (0xff8fab, 0xffa9be, 0x2b0a14, 0x4b2433),
        (0xb3245a, 0x931c49, 0xffffff, 0xfbdde7),
    ),
    (
        (0xc08bff, 0xcfa5ff, 0x1d0b30, 0x3c2a55),
        (0x7a35c7, 0x6329a3, 0xffffff, 0xebdcfb),
    ),
    (
        (0xb4bccb, 0xc6cdd9, 0x14171d, 0x343a46),
        (0x4a5468, 0x3a4252, 0xffffff, 0xdfe3ea),
    ),
];

const fn accented(base: Palette, colors: AccentColors) -> Palette {
    Palette {
        accent: hex(colors.0),
        accent_hover: hex(colors.1),
        on_accent: hex(colors.2),
        accent_soft: hex(colors.3),
        ..base
    }
}

const fn all_accented(base: Palette, dark: bool) -> [Palette; ACCENTS.len()] {
    let mut all = [base; ACCENTS.len()];
    let mut i = 0;
    while i < ACCENTS.len() {
        all[i] = accented(base, if dark { ACCENTS[i].0 } else { ACCENTS[i].1 });
        i += 1;
    }
    all
}

static DARKS: [Palette; ACCENTS.len()] = all_accented(DARK, true);
static LIGHTS: [Palette; ACCENTS.len()] = all_accented(LIGHT, false);

/// The palette with this accent.
pub fn palette_of(dark: bool, accent: Accent) -> &'static Palette {
    let all = if dark { &DARKS } else { &LIGHTS };
    &all[accent as usize]
}

/// The palette in force: the style says which, by its theme and its links, which have the accent's colour.
pub fn palette(ui: &Ui) -> &'static Palette {
    let visuals = ui.visuals();
    let all = if visuals.dark_mode { &DARKS } else { &LIGHTS };
    let found = all
        .iter()
        .find(|palette| palette.accent == visuals.hyperlink_color);
    found.unwrap_or(&all[0])
}

/// A colour as roles have it, 0xRRGGBB.
pub fn rgb(color: u32) -> Color32 {
    hex(color)
}

/// The colour, made lighter or darker until it can be read on this ground.
pub fn readable(color: Color32, ground: Color32) -> Color32 {
    let end = if luminance(ground) < 0.2 {
        Color32::WHITE
    } else {
        Color32::BLACK
    };
    (0..=10)
        .map(|step| color.lerp_to_gamma(end, step as f32 / 10.0))
        .find(|color| contrast(*color, ground) >= 4.5)
        .unwrap_or(end)
}

fn luminance(color: Color32) -> f32 {
    let linear = |byte: u8| {
        let c = f32::from(byte) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(color.r()) + 0.7152 * linear(color.g()) + 0.0722 * linear(color.b())
}

/// WCAG 2.2 contrast ratio.
fn contrast(a: Color32, b: Color32) -> f32 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

pub fn regular(size: f32) -> FontId {
    FontId::new(size, FontFamily::Proportional)
}

pub fn strong(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("strong".into()))
}

pub fn icon(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("icons".into()))
}

/// Installs fonts and both themes.
pub fn install(ctx: &Context) {
    super::fonts::install(ctx);
    look(ctx, Accent::default(), false);
    // The text size is a setting of its own.
    ctx.options_mut(|options| options.zoom_with_keyboard = false);
}

/// Dresses both themes: with this accent, and with movement or without.
pub fn look(ctx: &Context, accent: Accent, still: bool) {
    for (theme, dark) in [(Theme::Dark, true), (Theme::Light, false)] {
        ctx.style_mut_of(theme, |style| {
            dress(style, palette_of(dark, accent));
            if still {
                style.animation_time = 0.0;
                style.scroll_animation = egui::style::ScrollAnimation::none();
            }
        });
    }
}

fn dress(style: &mut Style, palette: &Palette) {
    style.text_styles = [
        (TextStyle::Heading, strong(HEADING)),
        (TextStyle::Body, regular(BODY)),
        (TextStyle::Button, regular(BODY)),
        (TextStyle::Small, regular(SMALL)),
        (
            TextStyle::Monospace,
            FontId::new(13.0, FontFamily::Monospace),
        ),
    ]
    .into();
    style.animation_time = 0.12;
    style.scroll_animation = egui::style::ScrollAnimation::default();
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.35;

    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(SPACE_S, SPACE_S);
    spacing.button_padding = vec2(12.0, 7.0);
    spacing.interact_size = vec2(36.0, 34.0);
    spacing.slider_rail_height = 6.0;
    spacing.slider_width = 220.0;
    spacing.combo_width = 220.0;
    spacing.combo_height = 320.0;
    spacing.icon_spacing = 8.0;
    spacing.menu_margin = Margin::same(6);
    spacing.window_margin = Margin::same(0);
    spacing.tooltip_width = 320.0;
    spacing.scroll.bar_width = 8.0;
    spacing.scroll.floating_width = 4.0;

    let visuals = &mut style.visuals;
    let radius = CornerRadius::same(RADIUS);
    visuals.override_text_color = None;
    visuals.weak_text_color = Some(palette.faint);
    visuals.panel_fill = palette.main;
    visuals.window_fill = palette.main;
    visuals.window_stroke = Stroke::new(1.0, palette.border);
    visuals.window_corner_radius = CornerRadius::same(RADIUS_L);
    visuals.menu_corner_radius = CornerRadius::same(RADIUS + 2);
    visuals.extreme_bg_color = palette.raised;
    visuals.text_edit_bg_color = Some(palette.raised);
    visuals.faint_bg_color = palette.raised;
    visuals.code_bg_color = palette.raised;
    visuals.hyperlink_color = palette.accent;
    visuals.warn_fg_color = palette.warning;
    visuals.error_fg_color = palette.danger;
    visuals.selection.bg_fill = palette.accent_soft;
    visuals.selection.stroke = Stroke::new(1.5, palette.accent);
    visuals.text_cursor.stroke = Stroke::new(2.0, palette.accent);
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = HandleShape::Circle;
    visuals.indent_has_left_vline = false;
    let shadow = Shadow {
        offset: [0, 8],
        blur: 24,
        spread: 0,
        color: Color32::from_black_alpha(if visuals.dark_mode { 110 } else { 38 }),
    };
    visuals.popup_shadow = shadow;
    visuals.window_shadow = shadow;

    let widgets = &mut visuals.widgets;
    for (widget, fill) in [
        (&mut widgets.noninteractive, palette.main),
        (&mut widgets.inactive, palette.raised),
        (&mut widgets.hovered, palette.hover),
        (&mut widgets.active, palette.pressed),
        (&mut widgets.open, palette.hover),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::new(1.0, palette.border);
        widget.fg_stroke = Stroke::new(1.0, palette.text);
        widget.corner_radius = radius;
        widget.expansion = 0.0;
    }
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, palette.border);
    widgets.active.bg_stroke = Stroke::new(1.5, palette.accent);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_meets_aa_on_everything_it_stands_on() {
        let all = DARKS
            .iter()
            .map(|p| ("dark", p))
            .chain(LIGHTS.iter().map(|p| ("light", p)));
        for (name, p) in all {
            let grounds = [p.rail, p.sidebar, p.main, p.raised];
            for ground in grounds {
                for (role, text) in [("text", p.text), ("muted", p.muted), ("faint", p.faint)] {
                    let ratio = contrast(text, ground);
                    assert!(ratio >= 4.5, "{name}: {role} on {ground:?} has {ratio:.2}");
                }
            }
            for (what, text, ground) in [
                ("muted on hover", p.muted, p.hover),
                ("text on pressed", p.text, p.pressed),
                ("text on accent_soft", p.text, p.accent_soft),
                ("on_accent", p.on_accent, p.accent),
                ("on_accent, hovered", p.on_accent, p.accent_hover),
                ("on_danger", p.on_danger, p.danger),
                ("danger on danger_soft", p.danger, p.danger_soft),
                ("text on danger_soft", p.text, p.danger_soft),
                ("text on warning_soft", p.text, p.warning_soft),
                ("warning on warning_soft", p.warning, p.warning_soft),
                ("accent on main", p.accent, p.main),
                ("danger on main", p.danger, p.main),
                ("danger on sidebar", p.danger, p.sidebar),
                ("live on sidebar", p.live, p.sidebar),
                ("warning on sidebar", p.warning, p.sidebar),
            ] {
                let ratio = contrast(text, ground);
                assert!(ratio >= 4.5, "{name}: {what} has {ratio:.2}");
            }
        }
        for color in PEOPLE {
            let ratio = contrast(Color32::WHITE, color);
            assert!(ratio >= 4.5, "white on {color:?} has {ratio:.2}");
        }
    }

    #[test]
    fn any_role_colour_can_be_read() {
        for ground in [DARK.sidebar, DARK.main, LIGHT.sidebar, LIGHT.main] {
            for color in [0x000000, 0xffffff, 0x808080, 0x0000ff, 0xffff00, 0x123456] {
                let ratio = contrast(readable(rgb(color), ground), ground);
                assert!(ratio >= 4.5, "{color:06x} on {ground:?} has {ratio:.2}");
            }
        }
    }
}
