//! What is asked at the same time is asked together.
//!
//! A question to Postgres costs the same for one post as for fifty, nearly, and a commit for one like as for fifty. So what
//! is asked for while another question is under way waits for it and goes in one; who asks alone never waits (decision
//! 0011). Start with [`Question`].

use super::{Connection, Error};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::Pool;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Those in one.
const MOST: usize = 64;
/// Those that may wait; who comes later waits to say his.
const WAITING: usize = 1024;

/// Something that can be asked about many things at once.
pub(super) trait Question: Clone + Send + Sync + 'static {
    /// What each gets.
    type Answer: Send + 'static;

    /// How many of these can be under way at once. With one, more come together in the next.
    const ASKERS: usize = 1;

    /// Answer all of them, in their order. An error concerns all, and nothing has happened then.
    fn answer(
        questions: &[Self],
        connection: &mut Connection,
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, Error>>, Error>> + Send;
}

/// A question, and where its answer is waited for.
type Asked<Q> = (Q, oneshot::Sender<Result<<Q as Question>::Answer, Error>>);

/// Where questions of one kind are gathered.
pub(super) struct Together<Q: Question>(mpsc::Sender<Asked<Q>>);

// By hand: the questions themselves are not cloned.
impl<Q: Question> Clone for Together<Q> {
    fn clone(&self) -> Together<Q> {
        Together(self.0.clone())
    }
}

impl<Q: Question> Together<Q> {
    /// Start to ask what is gathered, until nobody can ask any more.
    pub(super) fn start(pool: &Pool<AsyncPgConnection>) -> Together<Q> {
        let (sender, gathered) = mpsc::channel::<Asked<Q>>(WAITING);
        let gathered = Arc::new(Mutex::new(gathered));
        for _ in 0..Q::ASKERS {
            let (gathered, pool) = (gathered.clone(), pool.clone());
            tokio::spawn(async move {
                loop {
                    let mut batch = Vec::new();
                    if gathered.lock().await.recv_many(&mut batch, MOST).await == 0 {
                        return;
                    }
                    // Who does not wait any more wants nothing.
                    batch.retain(|(_, answer)| !answer.is_closed());
                    // Apart, so that one that breaks takes no other along: who waits is told that nobody asks.
                    let _ = tokio::spawn(ask_all(pool.clone(), batch)).await;
                }
            });
        }
        Together(sender)
    }

    /// Ask.
    pub(super) async fn ask(&self, question: Q) -> Result<Q::Answer, Error> {
        let (answer, answered) = oneshot::channel();
        let ended = || Error::Unavailable("nobody asks any more".to_owned());
        self.0.send((question, answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// Ask and hand the answers out. Where that fails for what was asked and not for want of a database, each is asked alone:
/// nobody's question spoils another's.
async fn ask_all<Q: Question>(pool: Pool<AsyncPgConnection>, batch: Vec<Asked<Q>>) {
    let (questions, mut waiting): (Vec<Q>, Vec<_>) = batch.into_iter().unzip();
    let mut connection = match pool.get().await {
        Ok(connection) => connection,
        Err(cause) => {
            for answer in waiting {
                // Who went away meanwhile needs no answer; the same below.
                let _ = answer.send(Err(Error::Unavailable(cause.to_string())));
            }
            return;
        }
    };
    let alone = match Q::answer(&questions, &mut connection).await {
        Ok(answers) => {
            for (answer, given) in waiting.into_iter().zip(answers) {
                let _ = answer.send(given);
            }
            return;
        }
        Err(Error::Unavailable(cause)) => {
            for answer in waiting {
                let _ = answer.send(Err(Error::Unavailable(cause.clone())));
            }
            return;
        }
        Err(error) if questions.len() == 1 => {
            if let Some(answer) = waiting.pop() {
                let _ = answer.send(Err(error));
            }
            return;
        }
        Err(_) => questions.into_iter().zip(waiting),
    };
    for (question, answer) in alone {
        let given = match Q::answer(std::slice::from_ref(&question), &mut connection).await {
            Ok(mut answers) => answers.pop().unwrap_or_else(|| Err(Error::Damaged("no answer".to_owned()))),
            Err(error) => Err(error),
        };
        let _ = answer.send(given);
    }
}
