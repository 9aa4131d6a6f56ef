//! Starts a new incarnation of a stream that was restored from an older copy while the fleet runs.

use metrics::counter;
use serde_json::{Value, json};
use tracing::{error, warn};

use super::found::StreamInfo;
use super::{CREATE_TIMEOUT, Streams, spec};
use crate::connect::ConnectError;
use crate::subjects;

impl Streams {
    /// Moves the stream to the first seq of the next incarnation, above everything that was seen, once what it
    /// holds is in the store. Its older events are no longer in the log then; readers find them in the store.
    ///
    /// Several processes may do so concurrently: they move it to the same seq, which deletes only what is below.
    pub(super) async fn begin_incarnation(
        &self,
        partition: u16,
        found: &StreamInfo,
    ) -> Result<(), ConnectError> {
        let last = found.state.last_seq;
        let known = self.known.last(partition);
        let seen = self.high_watermark(partition).await?;
        if self.config.seen_to.is_some() && seen < last {
            warn!(partition, last, seen, "a new incarnation waits for ingest");
            return Ok(());
        }
        let first_place = spec::first_seq_after(known.max(seen));
        let subject = format!("$JS.API.STREAM.PURGE.{}", subjects::stream(partition));
        let purged: Result<Value, _> = self
            .exchanges
            .call(subject, &json!({ "seq": first_place }), CREATE_TIMEOUT)
            .await;
        purged.map_err(|failure| ConnectError::Unreachable(Box::new(failure)))?;
        counter!("chat_log_incarnations_total").increment(1);
        error!(
            partition,
            last,
            known,
            first_place,
            "stream was restored from an older copy; started a new incarnation"
        );
        self.request_check(partition);
        Ok(())
    }
}
