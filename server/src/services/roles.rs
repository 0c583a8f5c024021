//! Roles, and why someone may do what.

use voxhall_protocol::control::{
    CreateRole, DeleteRole, Done, ExplainPermissions, Explained, Failure, ReorderRoles, Role,
    UpdateRole,
};

use super::{Caller, Services};

impl Services {
    pub async fn create_role(
        &self,
        _caller: &Caller,
        _params: CreateRole,
    ) -> Result<Role, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn update_role(
        &self,
        _caller: &Caller,
        _params: UpdateRole,
    ) -> Result<Role, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn delete_role(
        &self,
        _caller: &Caller,
        _params: DeleteRole,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn reorder_roles(
        &self,
        _caller: &Caller,
        _params: ReorderRoles,
    ) -> Result<Done, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn explain_permissions(
        &self,
        _caller: &Caller,
        _params: ExplainPermissions,
    ) -> Result<Explained, Failure> {
        Err(super::not_there_yet())
    }
}
