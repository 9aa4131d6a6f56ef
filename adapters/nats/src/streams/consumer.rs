//! The consumers that ingest workers share, one for each stream.

use roomcast_ports::back_off::BackOff;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{CREATE_TIMEOUT, RETRY_AFTER, RETRY_MAX, Streams, differences, spec, wait_or_fail};
use crate::connect::ConnectError;
use crate::error::{NatsError, refusal};
use crate::request::REPLY_TIMEOUT;
use crate::subjects;

impl Streams {
    /// Creates the ingest workers' consumers together with the streams.
    pub(super) async fn ensure_consumer(
        &self,
        partition: u16,
        until: Instant,
    ) -> Result<(), ConnectError> {
        if !self.config.manages_streams {
            return Ok(());
        }
        let (stream, name) = (subjects::stream(partition), &self.config.consumer);
        let wanted = spec::consumer(name);
        let mut changed = false;
        let mut back_off = BackOff::new(RETRY_AFTER, RETRY_MAX);
        loop {
            let subject = format!("$JS.API.CONSUMER.INFO.{stream}.{name}");
            let found: Result<Value, NatsError> = self
                .exchanges
                .call(subject, &json!({}), REPLY_TIMEOUT)
                .await;
            let failure = match found {
                Ok(found) => {
                    let differences = differences(&wanted, &found["config"]);
                    if differences.is_empty() {
                        return Ok(());
                    }
                    if changed {
                        let what = format!("{stream} consumer {name}");
                        return Err(ConnectError::Mismatch { what, differences });
                    }
                    changed = true;
                    self.put_consumer(&stream, &wanted).await.err()
                }
                Err(failure) if failure.is(refusal::NO_CONSUMER) => {
                    self.put_consumer(&stream, &wanted).await.err()
                }
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failure {
                wait_or_fail(
                    format!("{stream} consumer {name}"),
                    failure,
                    until,
                    &mut back_off,
                )
                .await?;
            }
        }
    }

    async fn put_consumer(&self, stream: &str, wanted: &Value) -> Result<(), NatsError> {
        let name = &self.config.consumer;
        let subject = format!("$JS.API.CONSUMER.CREATE.{stream}.{name}");
        let question = json!({ "stream_name": stream, "config": wanted, "action": "" });
        let _: Value = self
            .exchanges
            .call(subject, &question, CREATE_TIMEOUT)
            .await?;
        Ok(())
    }
}
