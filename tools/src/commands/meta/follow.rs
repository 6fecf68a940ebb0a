//! Following what the admin server tells unasked, for as long as the metadata server runs, and telling it how far the
//! server acts by that.

use std::time::Duration;

use ::meta::Ear;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::feed::{FeedLine, FeedPosition};
use tokio::sync::mpsc;

use crate::admin_client::{ClientError, ServerClient};

/// Pause before the feed is opened again, at first and at the most: changes wait for it.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Hands every line to the server. What is missed while the way to the admin server is cut, it learns when the feed is
/// open again. Ends when the server stopped.
pub(super) async fn follow(admin: ServerClient, ear: Ear) {
    // Outlives each feed: what was heard over the last one is acted on first.
    let (told, acting) = mpsc::channel(UNREPORTED_MAX);
    tokio::join!(listen_again(&admin, &ear, told), report(&admin, acting));
}

async fn listen_again(admin: &ServerClient, ear: &Ear, told: mpsc::Sender<Acting>) {
    let (mut place, mut pause, mut is_away) = (None, PAUSE_MIN, false);
    loop {
        let mut was_open = false;
        let Err(error) = listen(admin, ear, &mut place, &mut was_open, &told).await else { return };
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

/// Changes that the server does not act by yet, or that were not reported. Beyond that the later ones speak for all.
const UNREPORTED_MAX: usize = 1024;

/// A change that the server was told of: ends, with its place, when it acts by it.
type Acting = BoxFuture<'static, FeedPosition>;

/// Follows one answer to its end. `place`: the last change that the server was told of. `was_open`: set when it began.
async fn listen(
    admin: &ServerClient,
    ear: &Ear,
    place: &mut Option<FeedPosition>,
    was_open: &mut bool,
    told: &mpsc::Sender<Acting>,
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
        if line == FeedLine::Beat {
            continue;
        }
        let Some(acting) = ear.tell(line).await else { return Ok(()) };
        if let Some(place) = *place {
            let _ = told.try_send(acting.map(move |()| place).boxed());
        }
    }
}

/// Tells the admin server how far the server acts by what it heard, until there is nothing to come.
async fn report(admin: &ServerClient, mut told: mpsc::Receiver<Acting>) {
    let mut next = told.recv().await;
    while let Some(acting) = next.take() {
        let mut place = acting.await;
        while let Ok(mut acting) = told.try_recv() {
            match (&mut acting).now_or_never() {
                Some(later) => place = later,
                None => {
                    next = Some(acting);
                    break;
                }
            }
        }
        // Who waits for it waits for a while only; where the way is cut, the feed is about to end too.
        if let Err(error) = admin.report_acts(place).await {
            tracing::debug!(%error, "the admin server does not hear that changes are acted on");
        }
        if next.is_none() {
            next = told.recv().await;
        }
    }
}
