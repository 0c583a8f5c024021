//! Friends, who is there, following.

use clap::{Subcommand, ValueEnum};
use voxhall_protocol::control::{
    AcceptFriend, BlockUser, FindUsers, FollowUser, ListFollowers, ListFollowing, RelationKind,
    RemoveFriend, RequestFriend, SetPresence, StatusChoice, UnblockUser, UnfollowUser, UserPage,
};

use crate::client::Client;

#[derive(Subcommand)]
pub enum People {
    /// Lists friends and requests, or changes them.
    Friends {
        #[command(subcommand)]
        what: Option<Friends>,
    },
    /// How one is seen by others.
    Status {
        choice: Option<Choice>,
        /// A few words; empty: none.
        #[arg(long)]
        text: Option<String>,
    },
    /// Accounts by the beginning of their name.
    Find {
        name: String,
    },
    /// Follows someone.
    Follow {
        name: String,
    },
    Unfollow {
        name: String,
    },
    /// Who follows someone.
    Followers {
        name: String,
    },
    /// Whom someone follows.
    Following {
        name: String,
    },
}

#[derive(Subcommand)]
pub enum Friends {
    /// Asks someone to be friends.
    Add {
        name: String,
    },
    Accept {
        name: String,
    },
    /// Ends a friendship, refuses a request, or takes one's own back.
    Remove {
        name: String,
    },
    Block {
        name: String,
    },
    Unblock {
        name: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Choice {
    Online,
    Dnd,
    Invisible,
}

impl People {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::Friends { what: None } => {
                for relation in client.state().relations.values() {
                    let kind = match relation.kind {
                        RelationKind::Friend => "friend",
                        RelationKind::Incoming => "asks to be friends",
                        RelationKind::Outgoing => "was asked",
                        RelationKind::Blocked => "blocked",
                    };
                    let there = if relation.presence.is_online() {
                        ", there"
                    } else {
                        ""
                    };
                    client.show(relation, format!("{}: {kind}{there}", relation.user.name))?;
                }
                Ok(())
            }
            Self::Friends { what: Some(what) } => what.run(client).await,
            Self::Status { choice, text } => {
                let choice = choice.map(|choice| match choice {
                    Choice::Online => StatusChoice::Online,
                    Choice::Dnd => StatusChoice::DoNotDisturb,
                    Choice::Invisible => StatusChoice::Invisible,
                });
                let presence = client
                    .ask(SetPresence {
                        choice,
                        custom_status: text,
                        custom_until_ms: None,
                    })
                    .await?;
                let words = presence.custom_status.clone().unwrap_or_default();
                client.show(&presence, format!("{:?} {words}", presence.choice))
            }
            Self::Find { name } => {
                show_users(client, &client.ask(FindUsers { query: name }).await?)
            }
            Self::Follow { name } => {
                let user_id = client.user(&name).await?;
                client.tell(FollowUser { user_id }).await
            }
            Self::Unfollow { name } => {
                let user_id = client.user(&name).await?;
                client.tell(UnfollowUser { user_id }).await
            }
            Self::Followers { name } => {
                let user_id = client.user(&name).await?;
                let after = None;
                show_users(client, &client.ask(ListFollowers { user_id, after }).await?)
            }
            Self::Following { name } => {
                let user_id = client.user(&name).await?;
                let after = None;
                show_users(client, &client.ask(ListFollowing { user_id, after }).await?)
            }
        }
    }
}

impl Friends {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Self::Add { name } => {
                let request = RequestFriend {
                    user_id: Some(client.user(&name).await?),
                    name: None,
                };
                client.tell(request).await
            }
            Self::Accept { name } => {
                let user_id = client.user(&name).await?;
                client.tell(AcceptFriend { user_id }).await
            }
            Self::Remove { name } => {
                let user_id = client.user(&name).await?;
                client.tell(RemoveFriend { user_id }).await
            }
            Self::Block { name } => {
                let user_id = client.user(&name).await?;
                client.tell(BlockUser { user_id }).await
            }
            Self::Unblock { name } => {
                let user_id = client.user(&name).await?;
                client.tell(UnblockUser { user_id }).await
            }
        }
    }
}

fn show_users(client: &Client, page: &UserPage) -> anyhow::Result<()> {
    for user in &page.users {
        client.show(user, format!("{} (id {})", user.name, user.id))?;
    }
    Ok(())
}
