//! Who may do what in a guild: the decision against a model that is written out for one right at a time, and the words against the decision.

use proptest::{prelude::*, sample::subsequence};
use voxhall_protocol::{
    RoleId, UserId,
    control::{ChannelKind, Explanation, Overwrite, OverwriteTarget, Role},
    permissions::{
        Layer, Permissions, Subject, decide, explain, sees_category, without_category_name,
    },
};

const ME: UserId = UserId(1);
const SOMEONE_ELSE: UserId = UserId(2);
const EVERYONE: RoleId = RoleId(100);
/// Not had by anyone.
const FOREIGN: RoleId = RoleId(999);
const NOON_MS: i64 = 1_795_176_000_000;

/// A member somewhere, owning everything that a subject and its layers point to.
#[derive(Debug, Clone)]
struct Scene {
    is_owner: bool,
    timed_out: bool,
    /// All roles of the guild, @everyone first.
    roles: Vec<Role>,
    /// Places of those that the member has.
    has: Vec<usize>,
    layers: Vec<(ChannelKind, String, Vec<Overwrite>)>,
}

impl Scene {
    fn with<T>(&self, judge: impl FnOnce(&Subject<'_>, &[Layer<'_>]) -> T) -> T {
        let roles: Vec<_> = self.has.iter().map(|place| &self.roles[*place]).collect();
        let subject = Subject {
            user: Some(ME),
            is_owner: self.is_owner,
            timed_out_until_ms: self.timed_out.then_some(NOON_MS),
            roles: &roles,
        };
        let layer = |(kind, name, overwrites): &'_ (ChannelKind, String, Vec<Overwrite>)| {
            (*kind, name.clone(), overwrites.clone())
        };
        let owned: Vec<_> = self.layers.iter().map(layer).collect();
        let layers: Vec<_> = owned
            .iter()
            .map(|(kind, name, overwrites)| Layer {
                kind: *kind,
                name,
                overwrites,
            })
            .collect();
        judge(&subject, &layers)
    }

    /// Whether the member may do one thing, told step by step.
    fn model(&self, bit: u32) -> bool {
        if self.is_owner {
            return true;
        }
        for place in &self.has {
            if is_set(self.roles[*place].permissions, ADMINISTRATOR) {
                return true;
            }
        }
        if bit == ADMINISTRATOR {
            return false;
        }
        if self.timed_out && ![VIEW_CHANNEL, CONNECT].contains(&bit) {
            return false;
        }
        if self.layers.is_empty() {
            return self.after_all_rules(bit);
        }
        if !self.after_all_rules(VIEW_CHANNEL) {
            return false;
        }
        if [ATTACH_FILES, MENTION_EVERYONE, BYPASS_SLOW_MODE].contains(&bit)
            && !self.after_all_rules(SEND_MESSAGES)
        {
            return false;
        }
        if bit == SPEAK && !self.after_all_rules(CONNECT) {
            return false;
        }
        self.after_all_rules(bit)
    }

    fn after_all_rules(&self, bit: u32) -> bool {
        let mut may = false;
        for place in &self.has {
            if is_set(self.roles[*place].permissions, bit) {
                may = true;
            }
        }
        for (_, _, overwrites) in &self.layers {
            for overwrite in overwrites {
                if overwrite.target == OverwriteTarget::Role(EVERYONE)
                    && is_set(overwrite.deny, bit)
                {
                    may = false;
                }
            }
            for overwrite in overwrites {
                if overwrite.target == OverwriteTarget::Role(EVERYONE)
                    && is_set(overwrite.allow, bit)
                {
                    may = true;
                }
            }
            for overwrite in overwrites {
                if self.is_role_of_mine(overwrite.target) && is_set(overwrite.deny, bit) {
                    may = false;
                }
            }
            for overwrite in overwrites {
                if self.is_role_of_mine(overwrite.target) && is_set(overwrite.allow, bit) {
                    may = true;
                }
            }
            for overwrite in overwrites {
                if overwrite.target == OverwriteTarget::Member(ME) && is_set(overwrite.deny, bit) {
                    may = false;
                }
            }
            for overwrite in overwrites {
                if overwrite.target == OverwriteTarget::Member(ME) && is_set(overwrite.allow, bit) {
                    may = true;
                }
            }
        }
        may
    }

    fn is_role_of_mine(&self, target: OverwriteTarget) -> bool {
        for place in &self.has {
            let id = self.roles[*place].id;
            if id != EVERYONE && target == OverwriteTarget::Role(id) {
                return true;
            }
        }
        false
    }
}

// As numbers, so that the model doesn't share a mistake in the flags.
const VIEW_CHANNEL: u32 = 0;
const SEND_MESSAGES: u32 = 1;
const ATTACH_FILES: u32 = 2;
const MENTION_EVERYONE: u32 = 4;
const BYPASS_SLOW_MODE: u32 = 6;
const CONNECT: u32 = 7;
const SPEAK: u32 = 8;
const ADMINISTRATOR: u32 = 23;
const RIGHTS: u32 = 24;

fn is_set(permissions: Permissions, bit: u32) -> bool {
    (permissions.0 >> bit) % 2 == 1
}

fn role(place: u64, name: &str, permissions: Permissions) -> Role {
    Role {
        id: RoleId(EVERYONE.0 + place),
        name: name.into(),
        color: None,
        position: u32::try_from(place).unwrap(),
        permissions,
        hoist: false,
        mentionable: false,
    }
}

/// Each bit set or not; bits that no right has too, for newer programs may send them.
fn any_permissions() -> impl Strategy<Value = Permissions> {
    (any::<u64>(), any::<u64>(), prop::bool::weighted(0.03)).prop_map(|(a, b, admin)| {
        let bits = (a & b) & !(1 << ADMINISTRATOR);
        Permissions(bits | (u64::from(admin) << ADMINISTRATOR))
    })
}

fn any_target() -> impl Strategy<Value = OverwriteTarget> {
    prop_oneof![
        3 => Just(OverwriteTarget::Role(EVERYONE)),
        6 => (1..6_u64).prop_map(|place| OverwriteTarget::Role(RoleId(EVERYONE.0 + place))),
        1 => Just(OverwriteTarget::Role(FOREIGN)),
        3 => Just(OverwriteTarget::Member(ME)),
        1 => Just(OverwriteTarget::Member(SOMEONE_ELSE)),
    ]
}

fn any_overwrite() -> impl Strategy<Value = Overwrite> {
    (any_target(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(target, a, b, c)| {
        Overwrite {
            target,
            allow: Permissions(a & b),
            deny: Permissions(b & c),
        }
    })
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let layer = |kind| {
        prop::collection::vec(any_overwrite(), 0..6)
            .prop_map(move |rules| (kind, "here".to_owned(), rules))
    };
    let layers = prop_oneof![
        1 => Just(Vec::new()),
        2 => layer(ChannelKind::Text).prop_map(|channel| vec![channel]),
        3 => (layer(ChannelKind::Category), layer(ChannelKind::Voice)).prop_map(|(category, channel)| vec![category, channel]),
    ];
    (
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.2),
        prop::collection::vec(any_permissions(), 6),
        subsequence(vec![1, 2, 3, 4, 5_usize], 0..=5),
        layers,
    )
        .prop_map(|(is_owner, timed_out, permissions, has, layers)| Scene {
            is_owner,
            timed_out,
            roles: (0..)
                .zip(permissions)
                .map(|(place, p)| role(place, &format!("R{place}"), p))
                .collect(),
            has: std::iter::once(0).chain(has).collect(),
            layers,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_decision_is_what_the_model_says_and_the_words_agree(scene in any_scene()) {
        let decided = scene.with(decide);
        for (permission, name, _) in Permissions::EACH {
            let bit = permission.0.trailing_zeros();
            prop_assert!(bit < RIGHTS);
            prop_assert_eq!(decided.contains(*permission), scene.model(bit), "{}", name);
            let why = scene.with(|subject, layers| explain(subject, layers, *permission));
            prop_assert_eq!((why.permission, why.allowed), (*permission, decided.contains(*permission)));
            let last = why.because.last().expect("a reason");
            let allows = last.starts_with("allowed") || last.ends_with("may do everything");
            prop_assert_eq!(allows, why.allowed, "{}: {:?}", name, why.because);
        }
        prop_assert_eq!(decided.without(Permissions::ALL), Permissions::NONE);
    }

    #[test]
    fn of_several_rights_the_first_that_is_missing_is_explained(scene in any_scene(), bits in any::<u64>()) {
        let asked = Permissions(bits).and(Permissions::ALL);
        let decided = scene.with(decide);
        let why = scene.with(|subject, layers| explain(subject, layers, asked));
        prop_assert_eq!(why.allowed, decided.contains(asked));
        prop_assert!(asked.contains(why.permission));
        prop_assert_eq!(why.allowed, decided.contains(why.permission));
    }
}

#[test]
fn all_rights_are_known_to_the_model() {
    assert_eq!(Permissions::ALL.0, (1 << RIGHTS) - 1);
    assert_eq!(Permissions::EACH.len(), RIGHTS as usize);
}

#[test]
fn a_right_that_nobody_knows_is_given_to_nobody() {
    let mut scene = staff();
    scene.is_owner = true;
    let unknown = Permissions(1 << 60);
    assert!(!scene.with(decide).contains(unknown));
    assert!(
        !scene
            .with(|subject, layers| explain(subject, layers, unknown))
            .allowed
    );
}

/// A moderator who looks at #staff, in the category Team.
fn staff() -> Scene {
    let rule = |target, allow, deny| Overwrite {
        target,
        allow,
        deny,
    };
    let view = Permissions::VIEW_CHANNEL;
    let none = Permissions::NONE;
    Scene {
        is_owner: false,
        timed_out: false,
        roles: vec![
            role(0, "everyone", Permissions::DEFAULT_EVERYONE),
            role(1, "Mod", Permissions::KICK_MEMBERS),
        ],
        has: vec![0, 1],
        layers: vec![
            (
                ChannelKind::Category,
                "Team".into(),
                vec![rule(OverwriteTarget::Role(RoleId(101)), view, none)],
            ),
            (
                ChannelKind::Text,
                "staff".into(),
                vec![rule(OverwriteTarget::Role(EVERYONE), none, view)],
            ),
        ],
    }
}

fn words(scene: &Scene, permission: Permissions) -> Vec<String> {
    scene
        .with(|subject, layers| explain(subject, layers, permission))
        .because
}

#[test]
fn the_words_name_each_rule_in_the_order_in_which_it_counts() {
    let mut scene = staff();
    assert_eq!(
        words(&scene, Permissions::VIEW_CHANNEL),
        [
            "allowed by @everyone",
            "allowed by role Mod on category Team",
            "denied by @everyone on #staff"
        ]
    );
    assert_eq!(
        words(&scene, Permissions::SEND_MESSAGES).last().unwrap(),
        "needs view channel: denied by @everyone on #staff"
    );
    scene.layers[1].2.push(Overwrite {
        target: OverwriteTarget::Member(ME),
        allow: Permissions::VIEW_CHANNEL,
        deny: Permissions::NONE,
    });
    assert_eq!(
        words(&scene, Permissions::VIEW_CHANNEL).last().unwrap(),
        "allowed for this member on #staff"
    );
    assert_eq!(
        words(&scene, Permissions::MANAGE_MESSAGES),
        ["no role allows it"]
    );

    scene.timed_out = true;
    assert_eq!(
        words(&scene, Permissions::SEND_MESSAGES),
        [
            "allowed by @everyone",
            "timed out until 2026-11-20 12:00 UTC"
        ]
    );
    scene.roles[1].permissions = Permissions::ADMINISTRATOR;
    assert_eq!(
        words(&scene, Permissions::SEND_MESSAGES),
        ["role Mod is administrator and may do everything"]
    );
    scene.is_owner = true;
    assert_eq!(
        words(&scene, Permissions::SPEAK),
        ["the owner may do everything"]
    );
}

#[test]
fn what_is_of_no_use_without_something_else_says_so() {
    let mut scene = staff();
    scene.layers = vec![(
        ChannelKind::Voice,
        "lounge".into(),
        vec![Overwrite {
            target: OverwriteTarget::Role(RoleId(101)),
            allow: Permissions::NONE,
            deny: Permissions::CONNECT.with(Permissions::SEND_MESSAGES),
        }],
    )];
    let last = |permission| words(&scene, permission).pop().unwrap();
    assert_eq!(
        last(Permissions::SPEAK),
        "needs connect: denied by role Mod on #lounge"
    );
    assert_eq!(
        last(Permissions::ATTACH_FILES),
        "needs send messages: denied by role Mod on #lounge"
    );
    assert_eq!(last(Permissions::CONNECT), "denied by role Mod on #lounge");
    assert_eq!(last(Permissions::ADD_REACTIONS), "allowed by @everyone");
}

#[test]
fn a_category_that_is_not_seen_is_not_named() {
    let everyone = role(0, "@everyone", Permissions::DEFAULT_EVERYONE);
    let rule = |allow, deny| Overwrite {
        target: OverwriteTarget::Role(everyone.id),
        allow,
        deny,
    };
    let hidden = [rule(
        Permissions::NONE,
        Permissions::VIEW_CHANNEL.with(Permissions::SEND_MESSAGES),
    )];
    let shown = [rule(Permissions::VIEW_CHANNEL, Permissions::NONE)];
    let layers = [
        Layer {
            kind: ChannelKind::Category,
            name: "vault",
            overwrites: &hidden,
        },
        Layer {
            kind: ChannelKind::Text,
            name: "open",
            overwrites: &shown,
        },
    ];
    let subject = Subject {
        user: Some(ME),
        is_owner: false,
        timed_out_until_ms: None,
        roles: &[&everyone],
    };
    assert!(!sees_category(&subject, &layers));
    let owner = Subject {
        is_owner: true,
        ..subject
    };
    assert!(sees_category(&owner, &layers) && sees_category(&subject, &layers[1..]));
    let told = explain(
        &subject,
        &without_category_name(&layers),
        Permissions::SEND_MESSAGES,
    );
    assert_eq!(
        told,
        Explanation {
            because: explain(&subject, &layers, Permissions::SEND_MESSAGES)
                .because
                .iter()
                .map(|words| words.replace("category vault", "its category"))
                .collect(),
            ..explain(&subject, &layers, Permissions::SEND_MESSAGES)
        }
    );
    assert!(!format!("{told:?}").contains("vault"), "{told:?}");
    assert_eq!(
        told.because.last().map(String::as_str),
        Some("denied by @everyone on its category")
    );
}
