//! Reading a room's history over HTTP, page by page.

use roomcast_checker::history::PageQuery;
use serde_json::Value;

use crate::client::number;
use crate::observed::{Log, Observed, seq};
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
    /// Records the pages read by [`Self::after`] and [`Self::backwards`].
    log: Option<Log>,
}

impl<'a> Reader<'a> {
    /// The host product's server, which may read every room.
    pub(crate) fn new(node: &'a Node, room: &str) -> Self {
        Self {
            node,
            token: node.admin_token(),
            room: room.to_owned(),
            log: None,
        }
    }

    /// A reader whose walks through the history are recorded for the checker.
    pub(crate) fn recorded(node: &'a Node, room: &str, observed: &Observed) -> Self {
        let mut reader = Self::new(node, room);
        reader.log = Some(observed.connection("host", node.http()));
        reader
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

    fn recorded_page(&self, query: PageQuery, limit: usize) -> Page {
        let asked_us = self.log.as_ref().map_or(0, Log::now_us);
        let page = self.page(&match query {
            PageQuery::After(seq) => format!("after={seq}&limit={limit}"),
            PageQuery::Before(seq) => format!("before={seq}&limit={limit}"),
            PageQuery::Newest => format!("limit={limit}"),
        });
        if let Some(log) = &self.log {
            log.page(asked_us, &self.room, query, &page);
        }
        page
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
            let page = self.recorded_page(PageQuery::After(seq(after)), limit);
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
        let mut page = self.recorded_page(PageQuery::Newest, limit);
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
            page = self.recorded_page(PageQuery::Before(seq(before)), limit);
        }
        pages.into_iter().rev().flatten().collect()
    }
}
