//! What the admin server tells a metadata server unasked.

use std::time::Duration;

use proto::feed::{BEAT_MILLIS, FeedLine, FeedPosition, LINE_MAX};
use tokio::time::timeout;
use transport::TransportError;
use transport::rest::Lines;

use super::{AdminClient, ClientError};

const PATH: &str = "/v1/meta-stores/self/changes";
/// A server that says nothing for so long is gone: it gives a sign of life five times as often.
const SILENCE_MAX: Duration = Duration::from_millis(5 * BEAT_MILLIS);

/// An open feed. Dropping it ends it.
#[derive(Debug)]
pub struct Feed {
    lines: Lines,
    addr: String,
}

impl AdminClient {
    /// Listens for changes from `after` on.
    pub(super) async fn feed(&self, bearer: &str, after: Option<FeedPosition>) -> Result<Feed, ClientError> {
        let place = after.map(|after| (after.feed.to_string(), after.sequence.to_string()));
        let query = place.as_ref().map(|(feed, sequence)| [("feed", feed.as_str()), ("sequence", sequence.as_str())]);
        let query = query.as_ref().map_or(&[] as &[_], |query| query);
        match self.https.lines(PATH, query, bearer, LINE_MAX).await? {
            Ok(lines) => Ok(Feed { lines, addr: self.https.addr().to_owned() }),
            Err(response) => Err(self.refusal(&response)),
        }
    }
}

impl Feed {
    /// The next line. An error is the end of the feed: the server stopped, or the way to it is cut.
    pub async fn next(&mut self) -> Result<FeedLine, ClientError> {
        let line = match timeout(SILENCE_MAX, self.lines.next()).await {
            Ok(line) => line?.ok_or_else(|| self.cut("it ended the feed of changes"))?,
            Err(_) => return Err(self.cut("no sign of life on the feed of changes")),
        };
        serde_json::from_slice(&line)
            .map_err(|error| ClientError::Answer { addr: self.addr.clone(), reason: error.to_string() })
    }

    fn cut(&self, reason: &str) -> ClientError {
        TransportError::Unreachable { addr: self.addr.clone(), reason: reason.to_owned() }.into()
    }
}
