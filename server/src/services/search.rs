//! Full-text search.

use voxhall_protocol::control::{Failure, SearchMessages, SearchPage};

use super::{Caller, Services};

impl Services {
    pub async fn search_messages(
        &self,
        _caller: &Caller,
        _params: SearchMessages,
    ) -> Result<SearchPage, Failure> {
        Err(super::not_there_yet())
    }
}
