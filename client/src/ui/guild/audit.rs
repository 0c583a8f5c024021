//! What moderators did: who, what, when, before and after.

use egui::{Label, RichText, Ui};
use voxhall_protocol::{
    UserId,
    control::{AuditAction, AuditChange, AuditEntry, ListAudit, Reply, Request},
};

use super::{
    super::{
        Intents, Memory,
        ask::{Behind, Topic},
        icons,
        theme::{self, BODY, SMALL, palette},
        widgets::{Kind, button, symbol},
        window::{at_right, capital, found_ui, more_ui, nothing_ui, pick, scrolled, time_words},
    },
    Site,
};

#[derive(Default)]
pub struct Form {
    action: Option<AuditAction>,
    by: Option<UserId>,
    older: Behind<ListAudit, AuditEntry>,
}

pub fn audit_ui(ui: &mut Ui, site: &Site<'_, '_>, memory: &mut Memory, intents: &mut Intents) {
    let state = site.scene.state;
    ui.horizontal(|ui| {
        let form = &mut memory.guild_form.audit;
        let actions = AuditAction::ALL
            .iter()
            .map(|action| (Some(*action), what(*action)));
        let actions: Vec<_> = std::iter::once((None, "Everything".to_owned()))
            .chain(actions)
            .collect();
        pick(ui, "What was done", &mut form.action, &actions, 230.0);
        pick(ui, "By whom", &mut form.by, &doers(site), 200.0);
        at_right(ui, |ui| {
            if button(ui, Kind::Quiet, "Look again").clicked() {
                memory.asks.forget(Topic::List, intents);
                memory.guild_form.audit.older = Behind::default();
            }
        });
    });
    let form = &memory.guild_form.audit;
    let question = ListAudit {
        guild_id: site.guild.id,
        before: None,
        action: form.action,
        by: form.by,
    };
    take_older(question, state, memory, intents);
    scrolled(ui, "audit", |ui| {
        let found = memory.asks.keep(Topic::List, question, state, intents);
        let Some(Reply::ListAudit(first)) = found_ui(ui, found) else {
            return;
        };
        let older = &memory.guild_form.audit.older;
        let (behind, more) = (older.all(), older.more(first.more));
        if first.entries.is_empty() {
            nothing_ui(ui, icons::SCROLL, "Nothing was done yet", "");
        }
        ui.spacing_mut().item_spacing.y = 10.0;
        for entry in first.entries.iter().chain(behind) {
            entry_ui(ui, site, entry);
        }
        let oldest = behind.last().or(first.entries.last()).map(|entry| entry.id);
        if more_ui(ui, more, "Older entries", &memory.asks, state) {
            let before = ListAudit {
                before: oldest,
                ..question
            };
            memory.asks.ask(Topic::More, before, intents);
        }
    });
}

/// Puts a page that came behind those that are there.
fn take_older(
    question: ListAudit,
    state: &voxhall_session::State,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    memory.guild_form.audit.older.keep(&question);
    let Some((Request::ListAudit(asked), Reply::ListAudit(page))) =
        memory.asks.take_done(Topic::More, state, intents)
    else {
        return;
    };
    let of_this = ListAudit {
        before: None,
        ..asked
    };
    if of_this == question {
        let older = &mut memory.guild_form.audit.older;
        older.add(question, page.entries, page.more);
    }
}

/// Members who may have done something: those with a role.
fn doers(site: &Site<'_, '_>) -> Vec<(Option<UserId>, String)> {
    let guild = site.guild;
    let members = guild.members.values();
    let with_role = members.filter(|it| !it.roles.is_empty() || guild.owner == Some(it.user.id));
    let named = with_role.map(|it| (Some(it.user.id), it.shown_name().to_owned()));
    std::iter::once((None, "By anyone".to_owned()))
        .chain(named)
        .collect()
}

/// `member_timed_out`: Member timed out.
fn what(action: AuditAction) -> String {
    capital(&action.as_str().replace('_', " "))
}

fn icon_of(action: AuditAction) -> &'static str {
    let name = action.as_str();
    match name.split('_').next() {
        Some("guild" | "owner") => icons::HOUSE,
        Some("channel" | "overwrite") => icons::HASH,
        Some("role") => icons::SHIELD,
        Some("invite") => icons::LINK,
        Some("voice") => icons::SPEAKER_HIGH,
        Some("message") => icons::CHAT_TEXT,
        _ => icons::USER,
    }
}

fn entry_ui(ui: &mut Ui, site: &Site<'_, '_>, entry: &AuditEntry) {
    let p = palette(ui);
    let by = entry.by.as_ref().map_or("The server", |by| by.shown_name());
    let words = format!("{by}: {}", what(entry.action).to_lowercase());
    let when = time_words(entry.at_ms, site.scene);
    let said = format!("{words} {}, {when}", entry.target);
    let shown = ui.horizontal_top(|ui| {
        symbol(ui, icon_of(entry.action), 16.0, p.faint);
        ui.vertical(|ui| {
            ui.spacing_mut().interact_size.y = 0.0;
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing.x = 5.0;
                ui.add(Label::new(RichText::new(&words).size(BODY).color(p.text)));
                let target = RichText::new(&entry.target)
                    .font(theme::strong(BODY))
                    .color(p.text);
                ui.add(Label::new(target));
                ui.add(Label::new(RichText::new(&when).size(SMALL).color(p.faint)));
            });
            for change in &entry.changes {
                change_words_ui(ui, change);
            }
            if !entry.reason.is_empty() {
                let reason = format!("“{}”", entry.reason);
                ui.add(Label::new(RichText::new(reason).size(SMALL).color(p.muted)).wrap());
            }
        });
    });
    let line = shown.response.interact(egui::Sense::hover());
    line.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &said));
}

fn change_words_ui(ui: &mut Ui, change: &AuditChange) {
    let p = palette(ui);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        let small = |text: &str, ink| Label::new(RichText::new(text).size(SMALL).color(ink));
        ui.add(small(&format!("{}:", change.field), p.muted));
        if let Some(before) = &change.before {
            let before = RichText::new(before)
                .size(SMALL)
                .color(p.faint)
                .strikethrough();
            ui.add(Label::new(before));
        }
        ui.add(small(change.after.as_deref().unwrap_or("none"), p.text));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_words() {
        assert_eq!(what(AuditAction::MemberTimedOut), "Member timed out");
        assert_eq!(icon_of(AuditAction::VoiceMoved), icons::SPEAKER_HIGH);
    }
}
