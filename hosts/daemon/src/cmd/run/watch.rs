//! Following a run in the terminal until it ends or the user has had enough.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::super::{CommandError, signals};
use super::unclaimed::Unclaimed;
use crate::client::{Call, Client, ClientError, Prospect};
use crate::follow::{Follower, is_over};
use crate::progress::{Progress, Style};

/// How often the server is asked what is new.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often the run itself is read when nothing is new.
const RUN_INTERVAL: Duration = Duration::from_secs(2);
/// How long a server that has gone may stay away.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// How the watching ended.
#[derive(Debug)]
pub(super) enum Watched {
    /// The run is over; this is what it came to.
    Over(Value),
    /// The user left it running.
    Left,
}

/// Shows the run until it is over. The first interrupt cancels it, the second leaves.
pub(super) async fn to_end(
    client: &Client,
    run: &str,
    document: &Value,
    style: Style,
) -> Result<Watched, CommandError> {
    let mut signals = signals()?;
    let mut watch = Watch {
        follower: Follower::new(client, run, None),
        progress: Progress::new(style, run, client.server(), document),
        unclaimed: Unclaimed::new(),
        run_read: None,
        silent_since: None,
    };
    tokio::select! {
        run = watch.follow(client, run, document) => return run.map(Watched::Over),
        () = signals.next() => {}
    }
    watch.progress.say(&format!("cancelling run {run}; interrupt again to leave it to itself"));
    let cancelled = async {
        if let Err(fault) = client.send(Call::post(&["runs", run, "cancel"])).await {
            watch.progress.say(&format!("the run could not be cancelled: {fault}"));
        }
        watch.follow(client, run, document).await
    };
    tokio::select! {
        run = cancelled => run.map(Watched::Over),
        () = signals.next() => Ok(Watched::Left),
    }
}

struct Watch<'a> {
    follower: Follower<'a>,
    progress: Progress,
    unclaimed: Unclaimed,
    /// When the run itself was last read.
    run_read: Option<Instant>,
    /// Since when the server does not answer.
    silent_since: Option<Instant>,
}

impl Watch<'_> {
    async fn follow(&mut self, client: &Client, run: &str, document: &Value) -> Result<Value, CommandError> {
        loop {
            match self.look(client, run, document).await {
                Ok(Some(run)) => {
                    self.progress.finish(&run);
                    return Ok(run);
                }
                Ok(None) => self.heard(),
                Err(fault) => self.not_heard(fault)?,
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Shows what is new. Returns the run once it is over and everything of it has been shown.
    async fn look(
        &mut self,
        client: &Client,
        run: &str,
        document: &Value,
    ) -> Result<Option<Value>, ClientError> {
        let events = self.follower.events().await?;
        let happened = !events.is_empty();
        let chunks = match self.follower.logs().await {
            Ok(chunks) => chunks,
            Err(fault) => {
                self.progress.show(&events, &[]);
                return Err(fault);
            }
        };
        self.progress.show(&events, &chunks);
        for line in self.unclaimed.look(client, run, document).await? {
            self.progress.say(&line);
        }
        let due = self.run_read.is_none_or(|read| read.elapsed() >= RUN_INTERVAL);
        if !happened && !due {
            return Ok(None);
        }
        let run = self.follower.run().await?;
        self.run_read = Some(Instant::now());
        if !is_over(&run) {
            return Ok(None);
        }
        // What came between the reading of the feeds and that of the run.
        let (events, chunks) = (self.follower.events().await?, self.follower.logs().await?);
        self.progress.show(&events, &chunks);
        Ok(Some(run))
    }

    fn heard(&mut self) {
        if self.silent_since.take().is_some() {
            self.progress.say("the server answers again");
        }
    }

    fn not_heard(&mut self, fault: ClientError) -> Result<(), CommandError> {
        if fault.prospect() == Prospect::Never {
            return Err(fault.into());
        }
        match self.silent_since {
            Some(since) if since.elapsed() > SILENCE_MAX => Err(fault.into()),
            Some(_) => Ok(()),
            None => {
                self.silent_since = Some(Instant::now());
                self.progress.say(&format!("waiting for the server: {fault}"));
                Ok(())
            }
        }
    }
}
