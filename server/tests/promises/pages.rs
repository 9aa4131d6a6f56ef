//! Reading a room's history over HTTP, page by page.

use serde_json::Value;

use crate::line::number;
use crate::support::node::Node;

/// One page: the events, the head, and whether there is more before and after.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) events: Vec<Value>,
    pub(crate) head: u64,
    pub(crate) more_before: bool,
    pub(crate) more_after: bool,
}

/// Who reads which room.
pub(crate) struct Reader<'a> {
    node: &'a Node,
    token: String,
    room: String,
}

impl<'a> Reader<'a> {
    /// The host product's server, which may read every room.
    pub(crate) fn new(node: &'a Node, room: &str) -> Self {
        let (token, room) = (node.admin_token(), room.to_owned());
        Self { node, token, room }
    }

    /// The page of this query: `after=7&limit=50`.
    pub(crate) fn page(&self, query: &str) -> Page {
        let path = format!("/v1/rooms/{}/messages?{query}", self.room);
        let mut page = self.node.call("GET", &path, &self.token, Value::Null);
        let mut body = page.ok(200);
        page.body.clear();
        let flag = |name: &str| body[name].as_bool().expect("a flag");
        let (more_before, more_after) = (flag("hasMoreBefore"), flag("hasMoreAfter"));
        let head = number(&body, "head");
        let Value::Array(events) = body["events"].take() else {
            panic!("no events in a page");
        };
        Page {
            events,
            head,
            more_before,
            more_after,
        }
    }

    /// One message in its current state.
    pub(crate) fn message(&self, message_id: &str) -> Value {
        let path = format!("/v1/rooms/{}/messages/{message_id}", self.room);
        let reply = self.node.call("GET", &path, &self.token, Value::Null);
        reply.ok(200)
    }

    /// Every event after `after`, up to the head.
    pub(crate) fn after(&self, mut after: u64, limit: usize) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let page = self.page(&format!("after={after}&limit={limit}"));
            after = page.events.last().map_or(after, |last| number(last, "seq"));
            all.extend(page.events);
            if !page.more_after {
                return all;
            }
        }
    }

    /// Every message, from the newest page backwards; oldest first.
    pub(crate) fn backwards(&self, limit: usize) -> Vec<Value> {
        let mut pages = Vec::new();
        let mut page = self.page(&format!("limit={limit}"));
        loop {
            let (more, events) = (page.more_before, page.events);
            let Some(first) = events.first() else {
                break;
            };
            let before = number(first, "seq");
            pages.push(events);
            if !more {
                break;
            }
            page = self.page(&format!("before={before}&limit={limit}"));
        }
        pages.into_iter().rev().flatten().collect()
    }
}
