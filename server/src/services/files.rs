//! Uploads.

use voxhall_protocol::control::{BeginUpload, Failure, Upload, UploadStatus, Uploaded};

use super::{Caller, Services};

impl Services {
    pub async fn begin_upload(
        &self,
        _caller: &Caller,
        _params: BeginUpload,
    ) -> Result<Upload, Failure> {
        Err(super::not_there_yet())
    }

    pub async fn upload_status(
        &self,
        _caller: &Caller,
        _params: UploadStatus,
    ) -> Result<Uploaded, Failure> {
        Err(super::not_there_yet())
    }
}
