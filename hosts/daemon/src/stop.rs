//! Being asked to stop: once means finish what runs, twice means now.

use tokio::sync::watch;

/// How far a process is on its way out. Phases only ever grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nobody asked.
    Running,
    /// Asked once: take nothing new, finish what runs.
    Stopping,
    /// Asked twice: end at once.
    Cut,
}

/// Learns of phases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Phase>);

/// Moves the phase on. When it is dropped, everybody who listens is cut.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Phase>);

/// A stopper and what listens to it.
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (Stopper(sender), Stop(receiver))
}

/// Moves on at each SIGTERM or SIGINT.
pub fn on_signals() -> std::io::Result<Stop> {
    let mut signals = Signals::new()?;
    let (stopper, stop) = channel();
    tokio::spawn(async move {
        for phase in [Phase::Stopping, Phase::Cut] {
            signals.next().await;
            stopper.move_to(phase);
        }
        // Dropping the stopper now would change nothing; a third signal has nothing left to do.
        std::future::pending::<()>().await;
    });
    Ok(stop)
}

impl Stopper {
    /// Moves on to this phase, or stays where it is when that is further.
    pub fn move_to(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let moves = *now < phase;
            *now = phase.max(*now);
            moves
        });
    }
}

impl Stop {
    /// Comes back once the phase is this one or a later one.
    pub async fn reached(&self, phase: Phase) {
        // An error says that the stopper is gone, which counts as the last phase.
        let _ = self.0.clone().wait_for(|now| *now >= phase).await;
    }
}

/// SIGTERM and SIGINT as one sequence, caught from the moment this exists.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Starts catching.
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Comes back at the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_grow() {
        let (stopper, stop) = channel();
        assert_eq!(*stop.0.borrow(), Phase::Running);
        stopper.move_to(Phase::Cut);
        stopper.move_to(Phase::Stopping);
        assert_eq!(*stop.0.borrow(), Phase::Cut);
        stop.reached(Phase::Stopping).await;
    }

    #[tokio::test]
    async fn losing_the_stopper_is_being_cut() {
        let (stopper, stop) = channel();
        drop(stopper);
        stop.reached(Phase::Cut).await;
    }
}
