//! Glyphs of `assets/icons.ttf`: Phosphor Icons, bold, and filled for what stands for a state.

pub const CELL_SIGNAL_FULL: &str = "\u{E142}";
pub const CELL_SIGNAL_LOW: &str = "\u{E146}";
pub const CELL_SIGNAL_MEDIUM: &str = "\u{E148}";
pub const CELL_SIGNAL_SLASH: &str = "\u{E14C}";
pub const CROWN: &str = "\u{E614}";
pub const GEAR_SIX: &str = "\u{E272}";
pub const HASH: &str = "\u{E2A2}";
pub const HEADPHONES: &str = "\u{E2A6}";
pub const INFO: &str = "\u{E2CE}";
pub const MICROPHONE: &str = "\u{E326}";
pub const MICROPHONE_SLASH: &str = "\u{E328}";
pub const PALETTE: &str = "\u{E6C8}";
pub const PAPER_PLANE_RIGHT: &str = "\u{E396}";
pub const PHONE_DISCONNECT: &str = "\u{E3BC}";
pub const SHIELD_WARNING: &str = "\u{E412}";
pub const SPEAKER_HIGH: &str = "\u{E44A}";
pub const SPEAKER_SLASH: &str = "\u{E45A}";
pub const USER: &str = "\u{E4C2}";
pub const USER_PLUS: &str = "\u{E4D0}";
pub const WARNING: &str = "\u{E4E0}";
pub const WAVEFORM: &str = "\u{E802}";
pub const WIFI_SLASH: &str = "\u{E4F2}";
pub const X: &str = "\u{E4F6}";
