//! People of the tests: accounts in a guild, and what they ask for.

use std::time::Duration;

use voxhall_protocol::{
    ChannelId, GuildId, RoleId, SecretText, UserId,
    control::{
        Call, ChannelKind, CreateGuild, CreateInvite, Credentials, Failure, FailureKind, Guild,
        Login, Ready, RedeemInvite, Register, UpdateMember,
    },
};

use crate::{client::Client, fixture::Server};

pub struct Person {
    pub client: Box<Client>,
    pub id: UserId,
    /// For what goes over HTTPS.
    pub token: SecretText,
    /// What they saw first.
    pub ready: Ready,
}

impl Person {
    /// A new account by the server's own invite or owner link.
    pub async fn new(server: &Server, name: &str, code: &str) -> Self {
        let mut client = Client::greeted(server).await;
        let register = Register {
            name: name.into(),
            password: "correct horse".into(),
            invite: Some(code.into()),
            device: "test".into(),
        };
        let credentials = client.call(&register).await.unwrap();
        Self::signed_in(client, credentials).await
    }

    /// The same account on another device.
    pub async fn again(server: &Server, name: &str) -> Self {
        let mut client = Client::greeted(server).await;
        let login = Login {
            name: name.into(),
            password: "correct horse".into(),
            device: "another".into(),
        };
        let credentials = client.call(&login).await.unwrap();
        Self::signed_in(client, credentials).await
    }

    async fn signed_in(mut client: Client, credentials: Credentials) -> Self {
        let ready = client.begin(&credentials.access_token).await.unwrap();
        Self {
            client: Box::new(client),
            id: credentials.user.id,
            token: credentials.access_token,
            ready,
        }
    }

    /// Asks, and waits where it went too fast.
    pub async fn call<C: Call>(&mut self, call: &C) -> Result<C::Reply, Failure> {
        loop {
            match self.client.call(call).await {
                Err(failure) if failure.kind() == FailureKind::RateLimited => {
                    let wait = failure.data.retry_after_ms.unwrap_or(100);
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                }
                answer => return answer,
            }
        }
    }

    /// What a call is refused with; None: it is done.
    pub async fn tries<C: Call>(&mut self, call: &C) -> Option<FailureKind> {
        self.call(call).await.err().map(|failure| failure.kind())
    }

    pub async fn makes_guild(&mut self, name: &str) -> Guild {
        self.call(&CreateGuild { name: name.into() }).await.unwrap()
    }

    pub async fn invites(&mut self, guild_id: GuildId) -> String {
        let invite = CreateInvite {
            guild_id,
            expires_in_s: None,
            max_uses: None,
        };
        self.call(&invite).await.unwrap().code
    }

    pub async fn joins(&mut self, code: &str) {
        self.call(&RedeemInvite { code: code.into() })
            .await
            .unwrap();
    }

    pub async fn gives(&mut self, guild_id: GuildId, user_id: UserId, roles: &[RoleId]) {
        self.call(&set_roles(guild_id, user_id, roles))
            .await
            .unwrap();
    }
}

pub fn set_roles(guild_id: GuildId, user_id: UserId, roles: &[RoleId]) -> UpdateMember {
    UpdateMember {
        guild_id,
        user_id,
        nick: None,
        roles: Some(roles.to_vec()),
    }
}

pub fn channel_of(guild: &Guild, kind: ChannelKind) -> ChannelId {
    let channel = guild.channels.iter().find(|channel| channel.kind == kind);
    channel.unwrap().id
}

pub fn busy_server() -> Server {
    Server::start_with(&["--sign-ins-per-minute", "10000"])
}
