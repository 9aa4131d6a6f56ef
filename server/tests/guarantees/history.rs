//! Every page of history, both ways and around, is the live log folded (§2.5, §7).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::UNLIMITED;
use crate::client::number;
use crate::follower::Follower;
use crate::model::Model;
use crate::pages::{Page, Reader};
use crate::rng::{Rng, seed};
use crate::sender::StopAtEnd;
use crate::support::node::Node;
use crate::workload::Talk;

const LIMITS: [usize; 4] = [1, 7, 50, 200];

/// A room, its members, and a thread that receives all its events live.
struct Fixture {
    node: Node,
    room: String,
    names: Vec<String>,
    witness: std::thread::JoinHandle<Vec<Value>>,
}

impl Fixture {
    fn new() -> Self {
        let node = Node::own(UNLIMITED);
        let names: Vec<String> = (0..6).map(|number| format!("u{number}")).collect();
        let members: Vec<&str> = names.iter().map(String::as_str).collect();
        let room = node.room(&members);
        let mut witness = Follower::new(node.token("u5"), &room);
        let address = node.http().to_owned();
        let witness = std::thread::spawn(move || {
            witness.follow(&address, "the-end", || false);
            witness.log()
        });
        Self {
            node,
            room,
            names,
            witness,
        }
    }

    fn talk(&self, people: std::ops::Range<usize>, rng: Rng) -> Talk {
        Talk::new(&self.node, &self.room, &self.names[people], rng)
    }

    /// The received events, up to the message `the-end`.
    fn log(self) -> (Node, String, Vec<Value>) {
        let log = self.witness.join().expect("the witness");
        (self.node, self.room, log)
    }
}

/// A question of history: which page, at which seq, of how many.
#[derive(Debug, Clone, Copy)]
enum Query {
    Newest(usize),
    Before(u64, usize),
    After(u64, usize),
    Around(u64, usize),
}

impl Query {
    fn text(self) -> String {
        match self {
            Self::Newest(limit) => format!("limit={limit}"),
            Self::Before(place, limit) => format!("before={place}&limit={limit}"),
            Self::After(place, limit) => format!("after={place}&limit={limit}"),
            Self::Around(place, limit) => format!("around={place}&limit={limit}"),
        }
    }

    /// Holds the page against what the log comes to.
    fn judge(self, page: &Page, model: &Model) {
        let all = match self {
            Self::After(..) => &model.events,
            _ => &model.messages,
        };
        let at = |place: u64| all.partition_point(|event| number(event, "seq") < place);
        let (start, end) = match self {
            Self::Newest(limit) => (all.len().saturating_sub(limit), all.len()),
            Self::Before(place, limit) => (at(place).saturating_sub(limit), at(place)),
            Self::After(place, limit) => (at(place + 1), at(place + 1) + limit),
            Self::Around(place, limit) => {
                let middle = at(place).min(all.len().saturating_sub(1));
                (middle.saturating_sub(limit / 2), middle + limit / 2 + 1)
            }
        };
        let end = end.min(all.len());
        for (came, expected) in page.events.iter().zip(&all[start..end]) {
            assert_eq!(came, expected, "{self:?}");
        }
        assert_eq!(page.events.len(), end - start, "{self:?}");
        let more = (page.more_before, page.more_after);
        assert_eq!(
            more,
            (start > 0, end < all.len()),
            "{self:?}: more before and after"
        );
        assert_eq!(page.head, model.head(), "{self:?}");
    }
}

/// Walks from the newest page back to the first message and from the first event on to the head, and
/// looks around some seqs; gives every page to `seen`.
fn walk(reader: &Reader<'_>, limit: usize, places: &[u64], seen: &mut dyn FnMut(Query, Page)) {
    let mut ask = |query: Query| {
        let page = reader.page(&query.text());
        let ends = |event: Option<&Value>| event.map(|event| number(event, "seq"));
        let (first, last) = (ends(page.events.first()), ends(page.events.last()));
        let more = (page.more_before, page.more_after);
        seen(query, page);
        (first, last, more)
    };
    let (mut first, _, mut more) = ask(Query::Newest(limit));
    while let (Some(place), true) = (first, more.0) {
        (first, _, more) = ask(Query::Before(place, limit));
    }
    let (_, mut last, mut more) = ask(Query::After(0, limit));
    while let (Some(place), true) = (last, more.1) {
        (_, last, more) = ask(Query::After(place, limit));
    }
    for place in places {
        ask(Query::Around(*place, limit));
        ask(Query::Before(*place, limit));
        ask(Query::After(*place, limit));
    }
}

#[test]
fn pages_in_every_direction_are_the_live_log_folded() {
    let seed = seed();
    println!("seed {seed}");
    let scene = Fixture::new();
    let mut talk = scene.talk(0..4, Rng::new(seed, 1));
    for _ in 0..700 {
        talk.go_on();
    }
    talk.end("the-end");
    let (node, room, log) = scene.log();
    let model = Model::of(&log);
    let reader = Reader::new(&node, &room);
    let seqs: Vec<u64> = log.iter().map(|event| number(event, "seq")).collect();
    let beyond = model.head() + 1;
    let mut pages = 0;
    for limit in LIMITS {
        // Every seq with a small page; with the larger ones some, and both ends.
        let mut places: Vec<u64> = seqs.iter().copied().step_by(limit.div_ceil(7)).collect();
        places.extend([
            0,
            1,
            seqs[0] - 1,
            seqs[0],
            model.head(),
            beyond,
            (1 << 53) - 1,
        ]);
        walk(&reader, limit, &places, &mut |query, page| {
            query.judge(&page, &model);
            pages += 1;
        });
    }
    for message in model.messages.iter().step_by(3) {
        let id = message["messageId"].as_str().expect("an id");
        assert_eq!(reader.message(id), *message);
    }
    println!("{} events, {pages} pages", log.len());
}

#[test]
fn every_page_read_while_people_write_is_the_log_folded_up_to_its_head() {
    let seed = seed();
    println!("seed {seed}");
    let scene = Fixture::new();
    let (done, pages) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let mut talk = scene.talk(0..2, Rng::new(seed, 1));
    for _ in 0..200 {
        talk.go_on();
    }
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&done);
        for who in 2..5 {
            let mut talk = scene.talk(who..who + 1, Rng::new(seed, who as u64));
            scope.spawn({
                let done = &done;
                move || {
                    while !done.load(Ordering::Relaxed) {
                        talk.go_on();
                    }
                }
            });
        }
        std::thread::scope(|scope| {
            for limit in LIMITS {
                let (scene, pages) = (&scene, &pages);
                scope.spawn(move || {
                    let reader = Reader::new(&scene.node, &scene.room);
                    let mut rng = Rng::new(seed, 100 + limit as u64);
                    let mut own = Vec::new();
                    while own.len() < 600 {
                        let head = reader.page("limit=1").head;
                        let place = head - rng.below(50) as u64;
                        let first = head.saturating_sub(100);
                        for query in [
                            Query::Newest(limit),
                            Query::Before(place, limit),
                            Query::After(place, limit),
                            Query::After(first, limit),
                            Query::Around(place, limit),
                        ] {
                            own.push((query, reader.page(&query.text())));
                        }
                    }
                    pages.lock().expect("no panic").extend(own);
                });
            }
        });
    });
    talk.end("the-end");
    let (_, _, log) = scene.log();
    let mut pages = pages.into_inner().expect("no panic");
    pages.sort_by_key(|(_, page)| page.head);
    let (mut model, mut rest) = (Model::default(), log.iter().peekable());
    for (query, page) in &pages {
        while let Some(event) = rest.next_if(|event| number(event, "seq") <= page.head) {
            model.see(event);
        }
        query.judge(page, &model);
    }
    println!("{} events, {} pages read meanwhile", log.len(), pages.len());
}
