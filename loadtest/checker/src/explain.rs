//! Lines of a counterexample: connection, time, observation and expectation.

use crate::history::Disconnect;
use crate::history::recording::{Recording, Response};
use crate::room::Room;
use crate::sends::Sends;
use crate::total_order::{OrderedEvent, TotalOrder};

/// Formats a time of the run, in seconds.
pub(crate) fn time(at_us: u64) -> String {
    format!("{}.{:06} s", at_us / 1_000_000, at_us % 1_000_000)
}

/// Formats a connection: user, gateway and number.
pub(crate) fn who(recording: &Recording, connection: u32) -> String {
    let this = &recording.connections[connection as usize];
    let (user, gateway) = (recording.name(this.user), recording.name(this.gateway));
    format!("{user} through {gateway} (connection {connection})")
}

/// Describes the end of a connection.
pub(crate) fn ending(recording: &Recording, connection: u32) -> String {
    match recording.connections[connection as usize].ended {
        None => "the connection's end was not seen".to_owned(),
        Some((at_us, Disconnect::Finished)) => {
            format!(
                "{}: the run was over, the connection still stood",
                time(at_us)
            )
        }
        Some((at_us, Disconnect::Cut)) => format!("{}: the run cut the connection", time(at_us)),
        Some((at_us, Disconnect::Lost)) => format!("{}: the connection broke", time(at_us)),
        Some((at_us, Disconnect::Closed(code))) => format!("{}: closed with {code}", time(at_us)),
    }
}

impl Room<'_> {
    /// Describes the first observation of a view.
    pub(crate) fn describe_observation(&self, view: usize) -> String {
        let (seen, shown) = (self.observations.view(view), self.view(view));
        let others = (u64::from(seen.delivered) + u64::from(seen.paged)).saturating_sub(1);
        let others = match others {
            0 => String::new(),
            others => format!(", and {others} times more"),
        };
        let prev = if shown.has_prev() {
            format!(" with prev {}", shown.prev)
        } else {
            String::new()
        };
        format!(
            "{}: {} got {}{prev}{others}",
            time(seen.first_us),
            who(self.recording, seen.by),
            self.describe_view(view),
        )
    }

    /// Describes the content of a view.
    pub(crate) fn describe_view(&self, view: usize) -> String {
        let shown = self.view(view);
        let sender = self.recording.name(shown.sender);
        let deleted = if shown.deleted { "deleted " } else { "" };
        let prints = [
            ("message", shown.subject),
            ("clientMsgId", shown.client),
            ("content", shown.content),
        ];
        let prints = prints.iter().filter(|(_, print)| *print != 0);
        let prints = prints.map(|(what, print)| format!(", {what} {}", short(*print)));
        format!(
            "the {deleted}{} of {sender}{}",
            shown.kind.name(),
            prints.collect::<String>()
        )
    }

    /// Describes a send, its attempts and responses, in time order.
    pub(crate) fn describe_send(&self, sends: &Sends, send: usize) -> Vec<String> {
        let what = &sends.all[send];
        let mut lines = Vec::new();
        for number in &what.attempts {
            let attempt = &self.attempts[*number];
            let name = format!(
                "{}, clientMsgId {}",
                attempt.kind.name(),
                short(what.client)
            );
            let again = if lines.is_empty() {
                "sent"
            } else {
                "sent again"
            };
            lines.push((
                attempt.at_us,
                format!(
                    "{} {again} a {name}",
                    who(self.recording, attempt.connection)
                ),
            ));
        }
        for number in &what.responses {
            let response = &self.responses[*number];
            let who = who(self.recording, response.connection);
            let text = match response.outcome {
                Response::Acked {
                    message,
                    seq,
                    duplicate,
                } => format!(
                    "{who} was answered ACK, seq {seq}, message {}, duplicate {duplicate}",
                    short(message)
                ),
                Response::Refused(code) => format!("{who} was refused with {}", code.as_str()),
            };
            lines.push((response.at_us, text));
        }
        lines.sort_by_key(|(at_us, _)| *at_us);
        let described = lines.into_iter();
        described
            .map(|(at_us, text)| format!("{}: {text}", time(at_us)))
            .collect()
    }

    /// Describes the send and the first observation of an event.
    pub(crate) fn describe_event(
        &self,
        order: &TotalOrder,
        sends: &Sends,
        event: usize,
    ) -> Vec<String> {
        let event: &OrderedEvent = &order.events[event];
        let mut lines = match event.send {
            Some(send) => self.describe_send(sends, send),
            None => Vec::new(),
        };
        match event.view {
            Some(view) => lines.push(self.describe_observation(view)),
            None => lines.push("no client observed it, live or in history".to_owned()),
        }
        lines
    }
}

/// Formats the first half of a fingerprint.
pub(crate) fn short(print: u64) -> String {
    format!("#{:08x}", print >> 32)
}
