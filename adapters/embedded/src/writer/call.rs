//! A write request with a typed answer.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Failure;

/// A task whose kind the thread does not know.
pub(crate) trait WriteRequest: Send {
    /// Writes within the open transaction. May be called again after a rollback.
    fn apply(&mut self, connection: &Connection) -> rusqlite::Result<()>;

    /// Answers, once it is known what became of the transaction.
    fn answer(self: Box<Self>, result: Result<(), Failure>);
}

struct Asked<F, T> {
    write: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

/// A call and where its answer will be.
pub(crate) fn call<T, F>(write: F) -> (Box<dyn WriteRequest>, oneshot::Receiver<Result<T, Failure>>)
where
    T: Send + 'static,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    (
        Box::new(Asked {
            write,
            value: None,
            reply,
        }),
        answer,
    )
}

impl<T, F> WriteRequest for Asked<F, T>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn apply(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.value = Some((self.write)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), Failure>) {
        let Self { value, reply, .. } = *self;
        let answer = result.map(|()| value.expect("a committed call has been applied"));
        // Who asked may have gone; what they asked is written all the same.
        let _ = reply.send(answer);
    }
}
