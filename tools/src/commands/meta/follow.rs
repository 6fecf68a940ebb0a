//! Following what the admin server tells unasked, for as long as the metadata server runs.

use std::time::Duration;

use ::meta::Ear;
use proto::feed::{FeedLine, FeedPosition};

use crate::admin_client::{ClientError, ServerClient};

/// Pause before the feed is opened again, at first and at the most: changes wait for it.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Hands every line to the server. What is missed while the way to the admin server is cut, it learns when the feed is
/// open again. Ends when the server stopped.
pub(super) async fn follow(admin: ServerClient, ear: Ear) {
    let (mut place, mut pause, mut is_away) = (None, PAUSE_MIN, false);
    loop {
        let mut was_open = false;
        let Err(error) = listen(&admin, &ear, &mut place, &mut was_open).await else { return };
        if was_open {
            // This is the first failure of a new outage.
            (pause, is_away) = (PAUSE_MIN, false);
        }
        if !is_away {
            tracing::warn!(%error, "changes of tokens are not heard of until the admin server is back");
        }
        is_away = true;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Follows one answer to its end. `place`: the last change that the server was told of. `was_open`: set when it began.
async fn listen(
    admin: &ServerClient,
    ear: &Ear,
    place: &mut Option<FeedPosition>,
    was_open: &mut bool,
) -> Result<(), ClientError> {
    let mut feed = admin.feed(*place).await?;
    loop {
        let line = feed.next().await?;
        match (line, place.as_mut()) {
            (FeedLine::Start { position, .. }, _) => {
                tracing::info!("changes of tokens are heard of as they come");
                (*place, *was_open) = (Some(position), true);
            }
            (FeedLine::Change { sequence, .. } | FeedLine::Gap { sequence }, Some(place)) => place.sequence = sequence,
            // A server that begins without a start is none of this version; it tells nothing that could be missed.
            (FeedLine::Change { .. } | FeedLine::Gap { .. } | FeedLine::Beat, _) => {}
        }
        if line != FeedLine::Beat && !ear.tell(line).await {
            return Ok(());
        }
    }
}
