//! What moderators did.

use voxhall_protocol::{
    control::{AuditPage, Failure, ListAudit},
    limits::PAGE,
    permissions::Permissions,
};
use voxhall_store::{Audit, AuditFilter};

use super::{Caller, Services};
use crate::words;

impl Services {
    pub async fn list_audit(
        &self,
        caller: &Caller,
        params: ListAudit,
    ) -> Result<AuditPage, Failure> {
        self.in_guild(caller, params.guild_id, Permissions::VIEW_AUDIT_LOG)?;
        let filter = AuditFilter {
            before: params.before,
            action: params.action,
            by: params.by,
        };
        let page = self.store.audit_page(params.guild_id, filter, PAGE).await;
        page.map_err(|error| words::store(&error))
    }
}
