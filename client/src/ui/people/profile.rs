//! Someone's page.

use egui::{Label, RichText, Sense, Ui, vec2};
use voxhall_protocol::{
    UserId,
    control::{
        AcceptFriend, BlockUser, FollowUser, GetProfile, ListFollowers, ListFollowing, Profile,
        RelationKind, RemoveFriend, Reply, Request, RequestFriend, UnblockUser, UnfollowUser, User,
        UserKind,
    },
};
use voxhall_session::Connection;

use super::{
    super::{
        Dialog, Intents, Memory, Scene, Tab,
        ask::{Found, Topic},
        icons,
        theme::{self, BODY, palette},
        widgets::{Kind, avatar, button, caption, hint, rule, segmented, title, trouble},
        window::{Confirm, change_ui, count, dialog_ui, found_ui, item_ui, tag_ui, time_words},
    },
    presence_of, presence_words, status_dot, write_to,
};

#[derive(Default)]
pub struct ProfilePage {
    part: Part,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Part {
    #[default]
    About,
    Followers,
    Following,
}

pub fn profile_ui(
    ui: &Ui,
    scene: &Scene<'_>,
    user: UserId,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let state = scene.state;
    // What the last answer said holds until it is asked again: it may have changed by what is done here.
    if memory
        .asks
        .take_done(Topic::Change, state, intents)
        .is_some()
    {
        memory.asks.forget(Topic::List, intents);
    }
    let found = memory
        .asks
        .keep(Topic::List, GetProfile { user_id: user }, state, intents);
    let profile = match found {
        Found::Done(Reply::GetProfile(profile)) => Some(profile),
        _ => state.profiles.get(&user),
    };
    let close = dialog_ui(ui, "profile", "Profile", 440.0, |ui| {
        let known = profile
            .map(|profile| &profile.user)
            .or_else(|| state.user(user));
        if let Some(person) = known {
            head_ui(ui, scene, person, profile);
        }
        let Some(profile) = profile else {
            match found {
                Found::Failed(error) => trouble(ui, &error.to_string(), ""),
                _ => {
                    found_ui(ui, Found::Waiting);
                }
            }
            return false;
        };
        let me = state.me.as_ref().is_some_and(|me| me.id == user);
        ui.scope(|ui| {
            if state.connection != Connection::Online {
                ui.disable();
            }
            if me {
                if button(ui, Kind::Secondary, "Edit your profile").clicked() {
                    memory.dialog = Some(Dialog::Preferences(Tab::Profile));
                }
            } else {
                acts_ui(ui, scene, profile, memory, intents);
            }
        });
        change_ui(ui, &memory.asks, state);
        rule(ui);
        let followers = count(profile.followers as usize, "follower");
        let following = format!("Follows {}", profile.following);
        let parts = [
            (Part::About, "About"),
            (Part::Followers, followers.as_str()),
            (Part::Following, following.as_str()),
        ];
        segmented(ui, &mut memory.people.profile.part, &parts);
        let (user_id, after) = (user, None);
        let question: Request = match memory.people.profile.part {
            Part::About => {
                about_ui(ui, scene, profile, memory);
                return false;
            }
            Part::Followers => ListFollowers { user_id, after }.into(),
            Part::Following => ListFollowing { user_id, after }.into(),
        };
        let found = memory.asks.keep(Topic::More, question, state, intents);
        people_ui(ui, found, memory);
        false
    });
    let here = memory.dialog == Some(Dialog::Profile(user));
    if close && here && memory.confirm.is_none() {
        memory.dialog = None;
    }
}

fn head_ui(ui: &mut Ui, scene: &Scene<'_>, user: &User, profile: Option<&Profile>) {
    let p = palette(ui);
    let presence = presence_of(scene.state, user.id);
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(84.0, 84.0), Sense::hover());
        avatar(
            ui.painter(),
            ui.ctx(),
            rect.center(),
            40.0,
            user,
            false,
            false,
        );
        let at = rect.center() + vec2(29.0, 29.0);
        status_dot(ui, ui.painter(), at, presence.status, p.main);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            title(ui, user.shown_name());
            let kind = match user.kind {
                UserKind::Guest => "guest",
                UserKind::Account => "account",
            };
            hint(ui, format!("{}, {kind}", user.name));
            hint(ui, presence_words(&presence));
        });
    });
    if profile.is_some_and(|profile| profile.follows_you) {
        tag_ui(ui, "follows you", p.muted);
    }
}

fn acts_ui(
    ui: &mut Ui,
    scene: &Scene<'_>,
    profile: &Profile,
    memory: &mut Memory,
    intents: &mut Intents,
) {
    let user_id = profile.user.id;
    // The relation that events told of is newer than the profile.
    let relation = scene
        .state
        .relations
        .get(&user_id)
        .map(|relation| relation.kind);
    let blocked = relation == Some(RelationKind::Blocked);
    ui.horizontal_wrapped(|ui| {
        if !blocked && button(ui, Kind::Primary, "Message").clicked() {
            write_to(user_id, scene.state, memory, intents);
        }
        let account = profile.user.kind == UserKind::Account;
        match relation {
            None if account => {
                if button(ui, Kind::Secondary, "Add as a friend").clicked() {
                    let request = RequestFriend {
                        user_id: Some(user_id),
                        name: None,
                    };
                    memory.asks.ask(Topic::Change, request, intents);
                }
            }
            Some(RelationKind::Incoming) => {
                if button(ui, Kind::Secondary, "Accept as a friend").clicked() {
                    memory
                        .asks
                        .ask(Topic::Change, AcceptFriend { user_id }, intents);
                }
            }
            Some(RelationKind::Outgoing) => {
                if button(ui, Kind::Secondary, "Take the request back").clicked() {
                    memory
                        .asks
                        .ask(Topic::Change, RemoveFriend { user_id }, intents);
                }
            }
            Some(RelationKind::Friend) => {
                if button(ui, Kind::Secondary, "End the friendship").clicked() {
                    memory.confirm = Some(Confirm {
                        title: format!("No longer be friends with {}?", profile.user.shown_name()),
                        text: "They are not told, but they see that you are gone from their list."
                            .to_owned(),
                        verb: "End it".to_owned(),
                        request: RemoveFriend { user_id }.into(),
                    });
                }
            }
            None | Some(RelationKind::Blocked) => {}
        }
        if profile.followed {
            if button(ui, Kind::Secondary, "Unfollow").clicked() {
                memory
                    .asks
                    .ask(Topic::Change, UnfollowUser { user_id }, intents);
            }
        } else if !blocked && button(ui, Kind::Secondary, "Follow").clicked() {
            memory
                .asks
                .ask(Topic::Change, FollowUser { user_id }, intents);
        }
        if blocked {
            if button(ui, Kind::Secondary, "Unblock").clicked() {
                memory
                    .asks
                    .ask(Topic::Change, UnblockUser { user_id }, intents);
            }
        } else if button(ui, Kind::Quiet, "Block").clicked() {
            memory.confirm = Some(Confirm {
                title: format!("Block {}?", profile.user.shown_name()),
                text: "No direct messages and no friendship, either way. They are not told."
                    .to_owned(),
                verb: "Block them".to_owned(),
                request: BlockUser { user_id }.into(),
            });
        }
    });
}

fn about_ui(ui: &mut Ui, scene: &Scene<'_>, profile: &Profile, memory: &Memory) {
    let p = palette(ui);
    let about = match profile.about.as_str() {
        "" => RichText::new("Nothing said about themselves yet.").color(p.faint),
        about => RichText::new(about).color(p.text),
    };
    ui.add(Label::new(about.size(BODY)).wrap().selectable(true));
    hint(
        ui,
        format!("Here since {}", time_words(profile.created_at_ms, scene)),
    );
    let guild = memory.guild.and_then(|id| scene.state.guild(id));
    let member = guild.and_then(|guild| Some((guild, guild.members.get(&profile.user.id)?)));
    if let Some((guild, member)) = member.filter(|(_, member)| !member.roles.is_empty()) {
        caption(ui, &format!("ROLES ON {}", guild.name.to_uppercase()));
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().interact_size.y = 0.0;
            for role in guild
                .roles_of(member)
                .into_iter()
                .rev()
                .filter(|role| role.position > 0)
            {
                let ink = role.color.map_or(p.muted, theme::rgb);
                tag_ui(ui, &role.name, theme::readable(ink, p.main));
            }
        });
    }
}

fn people_ui(ui: &mut Ui, found: Found<'_>, memory: &mut Memory) {
    let page = match found_ui(ui, found) {
        Some(Reply::ListFollowers(page) | Reply::ListFollowing(page)) => page,
        _ => return,
    };
    if page.users.is_empty() {
        hint(ui, "Nobody yet.");
    }
    egui::ScrollArea::vertical()
        .max_height(220.0)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for user in &page.users {
                let icon = (icons::USER, palette(ui).faint);
                let name = format!("Profile of {}", user.shown_name());
                if item_ui(ui, icon, user.shown_name(), &user.name, false, &name).clicked() {
                    memory.dialog = Some(Dialog::Profile(user.id));
                }
            }
            if page.more {
                hint(ui, "And others.");
            }
        });
}
