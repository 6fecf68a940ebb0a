//! fallocate: room is not reserved (the store grows as it is written), but sizes, holes and zeroes are as asked.

use proto::Errno;

use super::Cx;
use crate::adapter::{Answer, Fallocate, FallocateMode};
use crate::client::MetaClient;
use crate::data;

pub(super) async fn fallocate<C: MetaClient>(cx: &Cx<C>, range: Fallocate) -> Result<Answer, Errno> {
    let handle = cx.state.handles.find(range.handle)?;
    cx.state.flags.permit_change()?;
    cx.state.files.permit_use(handle.ino)?;
    if !handle.write {
        return Err(Errno::EBADF);
    }
    let mode = match range.mode {
        FallocateMode::Reserve { keep_size } => data::Fallocate::Allocate { keep_size },
        FallocateMode::Punch => data::Fallocate::PunchHole,
        FallocateMode::Zero { keep_size } => data::Fallocate::ZeroRange { keep_size },
    };
    let Fallocate { offset, length, .. } = range;
    cx.state.data.fallocate(&cx.client, &handle.file, mode, offset, length, cx.now).await?;
    Ok(Answer::Done)
}
