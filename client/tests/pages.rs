//! The pages of guilds, people, account and administration, on a made-up server that answers.

mod common;

use common::{Stage, view, village};
use egui::{Key, Modifiers};
use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};
use voxhall::ui::{Dialog, Intents, Tab, Want, admin, guild::Page, people::Home};
use voxhall_protocol::{
    GuildId,
    control::{ChannelPlace, ReorderChannels, Request, SetOverwrite, SetPresence, StatusChoice},
    permissions::Permissions,
};
use voxhall_session::{Connection, Intent, Problem};

/// The window, and every request that it made.
struct Made {
    stage: Stage,
    requests: Vec<Request>,
}

fn window(dialog: Option<Dialog>) -> Harness<'static, Made> {
    let mut stage = Stage::new(village::village());
    stage.state.is_admin = true;
    stage.memory.dialog = dialog;
    of(stage)
}

fn of(stage: Stage) -> Harness<'static, Made> {
    let draw = move |ui: &mut egui::Ui, made: &mut Made| {
        let mut intents = Intents::default();
        made.stage.draw(ui, &mut intents);
        made.stage.respond(&intents);
        made.requests
            .extend(intents.0.into_iter().filter_map(|want| match want {
                Want::Session(Intent::Ask { request, .. }) => Some(request),
                _ => None,
            }));
    };
    let made = Made {
        stage,
        requests: Vec::new(),
    };
    view::drawn(draw, made, view::SIZE)
}

fn click(harness: &mut Harness<'_, Made>, label: &str) {
    harness.get_by_label(label).scroll_to_me();
    harness.run_steps(4);
    harness.get_by_label(label).click();
    harness.run_steps(6);
}

fn requests(harness: &mut Harness<'_, Made>) -> Vec<Request> {
    std::mem::take(&mut harness.state_mut().requests)
}

fn guild(page: Page) -> Option<Dialog> {
    Some(Dialog::Guild(village::GUILD, page))
}

#[test]
fn a_channel_is_moved_and_told_who_may_what() {
    let mut window = window(guild(Page::Channels));
    click(&mut window, "Channel clips");
    requests(&mut window);
    click(&mut window, "Move up");
    let asked = requests(&mut window);
    let Some(Request::ReorderChannels(ReorderChannels { channels, .. })) = asked.first() else {
        panic!("{asked:?}")
    };
    let ids: Vec<_> = channels
        .iter()
        .map(|place: &ChannelPlace| place.channel_id)
        .collect();
    assert_eq!(ids[..2], [common::CLIPS, common::GENERAL]);

    click(&mut window, "Rules for everyone");
    click(&mut window, "Deny: Send messages");
    click(&mut window, "Allow: Attach files");
    click(&mut window, "Save changes");
    let asked = requests(&mut window);
    let Some(Request::SetOverwrite(SetOverwrite { allow, deny, .. })) = asked.first() else {
        panic!("{asked:?}")
    };
    assert_eq!(
        (*allow, *deny),
        (Permissions::ATTACH_FILES, Permissions::SEND_MESSAGES)
    );
}

#[test]
fn nothing_is_gone_without_a_last_question() {
    let mut window = window(guild(Page::Overview));
    requests(&mut window);
    click(&mut window, "Delete this server");
    window.get_by_role_and_label(egui::Role::Dialog, "Delete Friday Night?");
    click(&mut window, "Keep it as it is");
    assert_eq!(requests(&mut window), []);
    click(&mut window, "Delete this server");
    click(&mut window, "Delete it");
    assert!(matches!(
        requests(&mut window)[..],
        [Request::DeleteGuild(_)]
    ));
}

#[test]
fn pages_show_what_the_server_answered() {
    for (page, words) in [
        (Page::Invites, "Came by it: Goran, Freya, Dan"),
        (Page::Bans, "Unban Ivo"),
        (
            Page::Audit,
            "Bea: member timed out Goran, 20 November, 19:41",
        ),
        (
            Page::Explain,
            "Mention everyone: may not, no role allows it",
        ),
        (Page::Roles, "Role Moderator"),
        (Page::Members, "Member Hana"),
    ] {
        let window = window(guild(page));
        window.get_by_label_contains(words);
    }
}

#[test]
fn while_the_server_is_away_pages_say_so_and_do_nothing() {
    let mut stage = Stage::new(village::village());
    stage.state.connection = Connection::Reconnecting {
        retry_in_ms: 3_200,
        problem: Problem::ConnectionLost,
    };
    stage.memory.dialog = guild(Page::Overview);
    let mut window = of(stage);
    window.get_by_label_contains("The server is away.");
    click(&mut window, "Delete this server");
    assert!(window.query_by_label("Delete Friday Night?").is_none());
}

#[test]
fn members_stand_under_their_roles_and_lead_to_their_profiles() {
    let mut window = window(None);
    window.get_by_label("MODERATOR (1)");
    window.get_by_label("RAID LEAD (1)");
    window.get_by_label("Cid, idle");
    click(&mut window, "Bea, online");
    assert_eq!(
        window.state().stage.memory.dialog,
        Some(Dialog::Profile(common::BEA))
    );
    window.get_by_label("follows you");
}

#[test]
fn presence_is_chosen_in_one_click() {
    let mut window = window(None);
    click(&mut window, "Ann, in voice: choose how others see you");
    click(&mut window, "Do not disturb");
    let set = SetPresence {
        choice: Some(StatusChoice::DoNotDisturb),
        ..SetPresence::default()
    };
    assert_eq!(requests(&mut window), [Request::SetPresence(set)]);
}

#[test]
fn the_switcher_finds_by_a_few_letters_and_goes_there() {
    let mut window = window(None);
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(4);
    window.get_by_label("Where to").type_text("rai");
    window.run_steps(4);
    window.get_by_label("Go to Raiders, direct messages");
    window.key_press(Key::ArrowDown);
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(4);
    let memory = &window.state().stage.memory;
    assert_eq!(memory.dialog, None);
    assert_eq!(
        (memory.guild, memory.channel),
        (Some(GuildId(1)), Some(common::RAID))
    );
}

#[test]
fn alt_and_arrows_go_through_the_channels() {
    let mut window = window(None);
    let at = |window: &Harness<'_, Made>| window.state().stage.memory.channel;
    assert_eq!(at(&window), Some(common::GENERAL));
    window.key_press_modifiers(Modifiers::ALT, Key::ArrowDown);
    window.run_steps(2);
    assert_eq!(at(&window), Some(common::CLIPS));
    window.key_press_modifiers(Modifiers::ALT, Key::ArrowUp);
    window.key_press_modifiers(Modifiers::ALT, Key::ArrowUp);
    window.run_steps(2);
    assert_eq!(
        at(&window),
        Some(village::STAGE),
        "round from the first to the last"
    );
}

#[test]
fn alt_and_arrows_go_through_the_conversations_as_they_stand() {
    let mut window = window(None);
    window.state_mut().stage.memory.home = Some(Home::Friends);
    window.run_steps(2);
    window.key_press_modifiers(Modifiers::ALT, Key::ArrowDown);
    window.run_steps(2);
    let home = window.state().stage.memory.home;
    assert_eq!(home, Some(Home::Conversation(village::RAIDERS)));
}

#[test]
fn a_user_of_a_further_page_stays_when_something_about_them_changes() {
    let mut window = window(Some(Dialog::Admin(admin::Page::Users)));
    click(&mut window, "More users");
    click(&mut window, "User Dan");
    click(&mut window, "Suspended: can't sign in, and is signed out");
    window.get_by_label("suspended");
    window.get_by_label("User Dan");
    window.get_by_label("Delete the account");
}

fn type_into(window: &mut Harness<'_, Made>, field: &str, text: &str) {
    window.get_by_label(field).focus();
    window.run_steps(2);
    window.get_by_label(field).type_text(text);
    window.run_steps(3);
}

#[test]
fn passwords_are_forgotten_with_their_page() {
    let written = |window: &Harness<'_, Made>, field: &str| {
        let value = window.get_by_label(field).value();
        value.unwrap_or_default().chars().count()
    };
    for (dialog, button, field) in [
        (
            Dialog::Preferences(Tab::Account),
            None,
            "The password you have",
        ),
        (
            Dialog::Admin(admin::Page::Users),
            Some("New account"),
            "Its password",
        ),
    ] {
        let mut window = window(Some(dialog));
        if let Some(button) = button {
            click(&mut window, button);
        }
        type_into(&mut window, field, "correct horse");
        assert_eq!(written(&window, field), 13);
        window.state_mut().stage.memory.dialog = None;
        window.run_steps(3);
        window.state_mut().stage.memory.dialog = Some(dialog);
        window.run_steps(6);
        assert_eq!(written(&window, field), 0);
    }
}

#[test]
fn what_was_written_in_the_profile_outlives_another_picture() {
    let mut stage = Stage::new(village::village());
    stage.memory.dialog = Some(Dialog::Preferences(Tab::Profile));
    let me = stage.state.me.as_mut().expect("somebody");
    me.picture = Some(voxhall_protocol::FileId(5));
    let mut window = of(stage);
    type_into(&mut window, "Display name", "Annie");
    window.get_by_label("Save changes");
    click(&mut window, "Remove the picture");
    window.get_by_label("Save changes");
}

/// The harness panics on controls without a name and on glyphs without a font.
#[test]
fn every_page_can_be_read_aloud_and_drawn_in_both_themes_and_sizes() {
    let guild_pages = [
        Page::Overview,
        Page::Channels,
        Page::Roles,
        Page::Explain,
        Page::Members,
        Page::Invites,
        Page::Bans,
        Page::Audit,
    ];
    let tabs = [
        Tab::Appearance,
        Tab::Notifications,
        Tab::Keyboard,
        Tab::Profile,
        Tab::Account,
    ];
    let admin_pages = [
        admin::Page::Overview,
        admin::Page::Users,
        admin::Page::Guilds,
        admin::Page::Bans,
    ];
    let dialogs = guild_pages
        .into_iter()
        .filter_map(guild)
        .chain(tabs.into_iter().map(Dialog::Preferences))
        .chain(admin_pages.into_iter().map(Dialog::Admin))
        .chain([
            Dialog::NewGuild,
            Dialog::Profile(common::BEA),
            Dialog::Status,
            Dialog::NewConversation,
            Dialog::Group(village::RAIDERS),
            Dialog::Switcher,
        ]);
    for dialog in dialogs {
        for (dark, size) in [(true, [760.0, 500.0]), (false, [1920.0, 1080.0])] {
            let mut stage = Stage::new(village::village());
            stage.state.is_admin = true;
            stage.memory.dialog = Some(dialog);
            stage.memory.guild_form.show_channel(village::STAFF_ROOM);
            stage.memory.guild_form.show_role(village::MODERATOR);
            stage.memory.guild_form.show_member(common::BEA);
            stage.memory.home = Some(Home::Friends).filter(|_| dark);
            let mut window = of(stage);
            window.set_size(size.into());
            window.ctx.set_theme(if dark {
                egui::Theme::Dark
            } else {
                egui::Theme::Light
            });
            window.run_steps(4);
            let mut dialogs = window.get_all_by_role(egui::Role::Dialog);
            let named = dialogs.all(|it| it.accesskit_node().label().is_some());
            assert!(named, "{dialog:?} says what it is");
            // An icon's character means nothing to who hears it.
            let mut spoken = window.get_all(egui_kittest::kittest::by());
            let icon = |it: char| ('\u{e000}'..='\u{f8ff}').contains(&it);
            assert!(!spoken.any(|it| {
                it.accesskit_node()
                    .label()
                    .is_some_and(|it| it.contains(icon))
            }));
        }
    }
}
