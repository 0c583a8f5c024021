//! What moderators did.

use voxhall_protocol::control::{AuditPage, Failure, ListAudit};

use super::{Caller, Services};

impl Services {
    pub async fn list_audit(
        &self,
        _caller: &Caller,
        _params: ListAudit,
    ) -> Result<AuditPage, Failure> {
        Err(super::not_there_yet())
    }
}
