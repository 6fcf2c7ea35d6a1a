//! A fixed number of threads for calls that take as long as they take.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The stack of each thread, in bytes: room for a module's own and for the compiler.
const STACK_BYTES: usize = 8 << 20;

/// Something to be done on a thread.
type Job = Box<dyn FnOnce() + Send>;

/// Threads that take jobs in their order. They end when this is dropped and the last job is done.
pub(crate) struct Threads(Mutex<Sender<Job>>);

impl Threads {
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let (sender, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..count {
            let receiver = receiver.clone();
            let builder = thread::Builder::new().name(format!("selvedge-wasm-{number}"));
            builder.stack_size(STACK_BYTES).spawn(move || {
                while let Some(job) = next(&receiver) {
                    // A job that panics drops what would have told its outcome, and the thread takes the next.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        }
        Ok(Self(Mutex::new(sender)))
    }

    /// Has a job done as soon as a thread is free.
    pub(crate) fn run(&self, job: Job) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // No thread ends while there is a sender.
        let _ = sender.send(job);
    }
}

fn next(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
