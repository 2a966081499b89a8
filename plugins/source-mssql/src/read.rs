//! Rows of a running statement, decoded as they come; their end is proved by the number that the server says.
//! It must not know what a row holds.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::stream::Stream;
use rivet_plugin_api::{CancelToken, Cx, PluginError, RecordBatch, Result};
use rivet_shared_net::{Ended, Limit};
use tiberius::QueryItem;

use crate::connect::{Client, Driver, quiet};
use crate::decode::BatchDecoder;
use crate::error;
use crate::tap::{Facts, Shared};

/// Longest wait for a statement to end after it was cancelled.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// What reader and caller hand each other. The reader runs only while the caller waits for it.
#[derive(Default)]
struct Hatch {
    /// The statement has begun to answer.
    begun: bool,
    batch: Option<RecordBatch>,
    /// Nobody wants more.
    stop: bool,
    /// The server was asked to stop.
    asked: bool,
    hits: Vec<(String, String, u64)>,
}

type SharedHatch = Arc<Mutex<Hatch>>;

fn lock(hatch: &SharedHatch) -> MutexGuard<'_, Hatch> {
    hatch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The driver, where it is of further use, and how the rows ended.
type Outcome = (Option<Driver>, Result<()>);

/// Rows of a statement; dropped early, it cancels the statement.
pub struct Reading<'c> {
    client: &'c mut Client,
    /// None when it has ended.
    work: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    hatch: SharedHatch,
    sent: Instant,
    ended_ms: Option<u64>,
}

impl<'c> Reading<'c> {
    /// Sends a statement and waits until it has begun to answer.
    ///
    /// # Errors
    /// The server's, `Connection`, `Timeout`, `Cancelled`.
    pub fn start(client: &'c mut Client, sql: String, decoder: BatchDecoder, cx: &Cx) -> Result<Self> {
        let driver = client.begin(cx)?;
        let hatch = SharedHatch::default();
        let work = Box::pin(read(driver, sql, decoder, hatch.clone(), client.seen.clone()));
        let mut reading = Self { client, work: Some(work), hatch, sent: Instant::now(), ended_ms: None };
        reading.wait(cx, |hatch| hatch.begun)?;
        Ok(reading)
    }

    /// The next batch; none at the proved end.
    ///
    /// # Errors
    /// As [`Reading::start`], and `Data` for a value without an exact place.
    pub fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.check()?;
        self.wait(cx, |hatch| hatch.batch.is_some())?;
        Ok(lock(&self.hatch).batch.take())
    }

    /// How long the statement took, or takes, ms.
    pub fn elapsed_ms(&self) -> u64 {
        let now = || u64::try_from(self.sent.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ended_ms.unwrap_or_else(now)
    }

    /// Values that a policy changed.
    pub fn policy_hits(&self) -> Vec<(String, String, u64)> {
        lock(&self.hatch).hits.clone()
    }

    /// Lets the reader read until something is there, or all was read.
    fn wait(&mut self, cx: &Cx, there: impl Fn(&Hatch) -> bool) -> Result<()> {
        let Self { client, work, hatch, .. } = self;
        let Some(reader) = work else { return Ok(()) };
        let begun = lock(hatch).begun;
        let limit = if begun { client.limit_of_rows() } else { client.limit(self.sent) };
        Facts::lock(&client.seen).heard = Instant::now();
        let heard = || Facts::lock(&client.seen).heard;
        let quiet = quiet();
        let result = client.engine.poll(cx, limit, heard, |task| poll(reader, task, hatch, &there));
        drop(quiet);
        match result {
            Ok(None) => Ok(()),
            Ok(Some((driver, result))) => {
                self.ended_ms = Some(self.elapsed_ms());
                (self.work, self.client.driver) = (None, driver);
                result
            }
            Err(ended) => {
                let silent = || error::no_progress("read rows", Facts::lock(&self.client.seen).heard.elapsed());
                let e = match ended {
                    Ended::TooLate if begun => silent(),
                    ended => self.client.gave_up(&ended, self.sent),
                };
                self.cancel();
                Err(e)
            }
        }
    }

    /// Cancels what runs and reads to its end, within a bounded time. Without success the connection is closed, by which the
    /// server knows as well.
    fn cancel(&mut self) {
        let Some(mut reader) = self.work.take() else { return };
        lock(&self.hatch).stop = true;
        let (token, hatch) = (CancelToken::new(), self.hatch.clone());
        let nothing = |_: &Hatch| false;
        let limit = Limit::within(CANCEL_TIMEOUT);
        let ended =
            self.client.engine.poll(&token.cx(), limit, Instant::now, |task| poll(&mut reader, task, &hatch, &nothing));
        if let Ok(Some((driver, _))) = ended {
            self.client.driver = driver;
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.cancel();
    }
}

fn poll(
    reader: &mut Pin<Box<dyn Future<Output = Outcome> + Send>>,
    task: &mut Context<'_>,
    hatch: &SharedHatch,
    there: &impl Fn(&Hatch) -> bool,
) -> Poll<Option<Outcome>> {
    if there(&lock(hatch)) {
        return Poll::Ready(None);
    }
    match reader.as_mut().poll(task) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if there(&lock(hatch)) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}

/// Reads all rows, or until nobody wants more.
async fn read(mut driver: Driver, sql: String, mut decoder: BatchDecoder, hatch: SharedHatch, seen: Shared) -> Outcome {
    let result = drain(&mut driver, sql, &mut decoder, &hatch, &seen).await;
    let done = Facts::lock(&seen).done;
    if lock(&hatch).stop {
        let stopped = done.is_some_and(crate::tap::Done::is_attention);
        return (stopped.then_some(driver), Err(PluginError::cancelled()));
    }
    // Of what failed otherwise, rows are still to come that have nobody to go to.
    let usable = result.as_ref().map_or_else(|e| e.vendor().is_some(), |()| true);
    (usable.then_some(driver), result)
}

/// What comes next; once nobody wants it, the server is asked to stop, once, and what still comes is read.
async fn awaited<T>(hatch: &SharedHatch, seen: &Shared, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    poll_fn(|task| {
        let asks = {
            let mut hatch = lock(hatch);
            let asks = hatch.stop && !hatch.asked;
            hatch.asked |= asks;
            asks
        };
        if asks {
            let mut facts = Facts::lock(seen);
            facts.attention = facts.done.is_none();
        }
        poll(task)
    })
    .await
}

async fn drain(
    driver: &mut Driver,
    sql: String,
    decoder: &mut BatchDecoder,
    hatch: &SharedHatch,
    seen: &Shared,
) -> Result<()> {
    let doing = "read from the server";
    let mut sending = std::pin::pin!(driver.simple_query(sql));
    let sent = awaited(hatch, seen, |task| sending.as_mut().poll(task)).await;
    let mut stream = sent.map_err(|e| error::driver(doing, &e))?;
    let mut n_rows = 0_u64;
    loop {
        let item = awaited(hatch, seen, |task| Pin::new(&mut stream).poll_next(task)).await;
        match item.transpose().map_err(|e| name_row(error::driver(doing, &e), n_rows))? {
            None => break,
            Some(_) if lock(hatch).stop => {}
            Some(QueryItem::Metadata(columns)) => {
                if columns.result_index() > 0 || columns.columns().len() != decoder.n_columns() {
                    return Err(error::protocol("the result has other columns than were asked for"));
                }
                lock(hatch).begun = true;
            }
            Some(QueryItem::Row(row)) => {
                n_rows += 1;
                decoder.push(row, n_rows)?;
                if decoder.is_full() {
                    hand_over(decoder, hatch).await?;
                }
            }
        }
    }
    if lock(hatch).stop {
        return Ok(());
    }
    ended(Facts::lock(seen).done.and_then(crate::tap::Done::counted), n_rows)?;
    hand_over(decoder, hatch).await
}

/// The driver fails at a value without naming its row.
fn name_row(e: PluginError, n_rows: u64) -> PluginError {
    if e.code() == "mssql.invalid_text" { e.detail("row", n_rows + 1) } else { e }
}

/// An end is one that counts the rows that came.
fn ended(said: Option<u64>, n_rows: u64) -> Result<()> {
    match said {
        Some(said) if said == n_rows => Ok(()),
        Some(said) => Err(error::incomplete(&format!("the server counts {said} rows, {n_rows} came"))),
        None => Err(error::incomplete("the rows end without their number")),
    }
}

/// Gives a batch to the caller and waits until it is taken.
async fn hand_over(decoder: &mut BatchDecoder, hatch: &SharedHatch) -> Result<()> {
    lock(hatch).hits = decoder.policy_hits();
    if decoder.is_empty() {
        return Ok(());
    }
    lock(hatch).batch = Some(decoder.finish()?);
    poll_fn(|_| {
        let hatch = lock(hatch);
        if hatch.batch.is_none() || hatch.stop { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    Ok(())
}
