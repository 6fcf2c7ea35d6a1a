//! `wasm` tasks: a call of a function of a module, and what its answer makes of the attempt.
//!
//! While the call is under way, what it prints and remembers is written down as it comes, where the host runs
//! it beside this; the rest follows at its end. So a server that dies loses no more than the last moment of a
//! long computation.

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};

use crate::engine::RetryWish;
use crate::engine::run::Category;
use crate::http::problem::{Problem, Slug};
use crate::ids::{CheckpointKey, FunctionName};
use crate::module::{
    Checkpoints, Encoding, Guest, LogChunk, ModuleCall, ModuleFailure, ModuleLimits, OUTPUT_BYTES_MAX,
};
use crate::platform::Platform;
use crate::store::database::Database;
use crate::store::leases::LeaseRow;
use crate::store::logs::{self, NewChunk};
use crate::store::modules;
use crate::time::{Duration, Timestamp};
use crate::value::{Payload, Value, json, msgpack};
use crate::workflow::model::{Kind, Pin};

use super::{LEASE_TTL, failed};
use crate::app::App;
use crate::app::checkpoints::{CHECKPOINT_BYTES_MAX, CHECKPOINTS_MAX};
use crate::app::fault::Fault;
use crate::app::leases::{Ending, Fail};
use crate::app::runs::{PAYLOAD_BYTES_MAX, payload};
use crate::app::shapes::ClaimedTask;

/// How long a call may take of a task that has no `timeout` of its own.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// What a call has printed and remembered, and nobody has written down yet.
#[derive(Default)]
struct Unwritten {
    chunks: Vec<NewChunk>,
    checkpoints: Vec<(CheckpointKey, Payload)>,
    /// The number of the next chunk, by which one that is written twice is stored once.
    seq: i64,
}

impl<D: Database, P: Platform> App<D, P> {
    /// Calls the function of a task. None if its lease was lost meanwhile.
    pub(super) async fn call_module(&self, task: &ClaimedTask) -> Option<Ending> {
        let (pin, function) = match self.called_by(task).await {
            Ok(found) => found,
            Err(ending) => return Some(ending),
        };
        let lease = match self.lease(&task.lease_id).await {
            Ok(lease) => lease,
            Err(problem) => return Some(host(problem.detail)),
        };
        let call = self.call_of(task, &pin, function);
        let guest = call.guest.clone();
        let mut unwritten = Unwritten::default();
        let answer = {
            let answer = std::pin::pin!(self.run_loaded(call));
            let scribe = std::pin::pin!(self.write_down_as_it_comes(&lease, &guest, &mut unwritten));
            match select(answer, scribe).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => return None,
            }
        };
        if let Err(problem) = self.write_down(&lease, &guest, &mut unwritten).await {
            if problem.slug == Slug::LeaseLost {
                return None;
            }
            let message =
                format_args!("what lease {} remembered was not stored: {}", lease.id, problem.detail);
            self.platform.log("warn", message);
        }
        Some(match answer {
            Ok(bytes) => answered(&bytes, pin.encoding),
            Err(failure) => broken(&failure),
        })
    }

    /// The module and the function that a task calls.
    async fn called_by(&self, task: &ClaimedTask) -> Result<(Pin, FunctionName), Ending> {
        let workflow = self.workflow_of_run(&self.tenant, &task.run_id).await;
        let workflow = workflow.map_err(|fault: Fault| host(fault.to_string()))?;
        let ix = workflow.index(&task.task);
        let Some(Kind::Wasm { module, function, .. }) = ix.map(|ix| &workflow.task(ix).kind) else {
            return Err(host(format!("task {} is none of kind wasm", task.task)));
        };
        match workflow.modules.get(module) {
            Some(pin) => Ok((pin.clone(), function.clone())),
            None => Err(broken(&ModuleFailure::Module(format!("module {module} was deleted")))),
        }
    }

    fn call_of(&self, task: &ClaimedTask, pin: &Pin, function: FunctionName) -> ModuleCall {
        let checkpoints = Checkpoints {
            earlier: task.checkpoints.clone(),
            count_max: CHECKPOINTS_MAX as usize,
            bytes_max: CHECKPOINT_BYTES_MAX,
            value_bytes_max: PAYLOAD_BYTES_MAX,
        };
        let granted_at =
            Timestamp::from_millis(task.lease_expires_at.as_millis() - LEASE_TTL.as_millis() as i64);
        let time = task.deadline.map_or(TIMEOUT_DEFAULT, |deadline| deadline.since(self.now()));
        ModuleCall {
            module: pin.digest.clone(),
            function,
            input: match pin.encoding {
                Encoding::Json => Bytes::copy_from_slice(task.input.as_str().as_bytes()),
                Encoding::MessagePack => task.input.to_value().to_msgpack().into(),
            },
            guest: Guest::new(pin.encoding, granted_at, checkpoints),
            limits: ModuleLimits {
                time,
                fuel: self.settings.wasm_fuel,
                memory_bytes_max: self.settings.wasm_memory_bytes_max,
                output_bytes_max: OUTPUT_BYTES_MAX,
            },
        }
    }

    /// Calls a module, with its bytes if the host does not have it at hand.
    async fn run_loaded(&self, call: ModuleCall) -> Result<Bytes, ModuleFailure> {
        match self.platform.run_module(call.clone(), None).await {
            Err(ModuleFailure::NotLoaded) => {}
            answer => return answer,
        }
        let host = |error: &dyn std::fmt::Display| ModuleFailure::Host(error.to_string());
        let read = self.database.read(vec![modules::body(&self.tenant, &call.module)]).await;
        let row = read.map_err(|error| host(&error))?.into_iter().flatten().next();
        let row = row.ok_or_else(|| ModuleFailure::Module(format!("module {} was deleted", call.module)))?;
        let bytes = modules::read_body(row).map_err(|error| host(&error))?;
        self.platform.run_module(call, Some(bytes)).await
    }

    /// Writes down what a guest says until the lease is lost. What the database does not take is kept for the
    /// next time.
    async fn write_down_as_it_comes(&self, lease: &LeaseRow, guest: &Guest, unwritten: &mut Unwritten) {
        loop {
            let said = guest.listen();
            if let Err(problem) = self.write_down(lease, guest, unwritten).await
                && problem.slug == Slug::LeaseLost
            {
                return;
            }
            said.await;
        }
    }

    async fn write_down(
        &self,
        lease: &LeaseRow,
        guest: &Guest,
        unwritten: &mut Unwritten,
    ) -> Result<(), Problem> {
        unwritten.take(guest, self.now());
        if !unwritten.chunks.is_empty() {
            let bytes = unwritten.chunks.iter().map(|chunk| chunk.text.len() as i64).sum();
            if !self.write(logs::append(&self.tenant, lease, &unwritten.chunks, bytes)).await? {
                return Err(Problem::new(Slug::LeaseLost, "the lease is no longer held"));
            }
            unwritten.chunks.clear();
        }
        let writes = unwritten.checkpoints.iter();
        let writes = writes.map(|(key, value)| Box::pin(self.checkpoint(&lease.id, key, value.clone())));
        for outcome in join_all(writes).await {
            outcome?;
        }
        unwritten.checkpoints.clear();
        Ok(())
    }
}

impl Unwritten {
    fn take(&mut self, guest: &Guest, now: Timestamp) {
        let (chunks, checkpoints) = guest.take_new();
        for LogChunk { stream, text } in chunks {
            self.chunks.push(NewChunk { seq: Some(self.seq), stream: stream.to_owned(), text, at: now });
            self.seq += 1;
        }
        self.checkpoints.extend(checkpoints);
    }
}

/// What a function's answer makes of the attempt: it is the body of a worker's completion, `{output}`, or of
/// its failure, `{error, retryable, retry_after}`.
fn answered(bytes: &[u8], encoding: Encoding) -> Ending {
    let breach = |why: String| broken(&ModuleFailure::Contract(why));
    let (value, name) = match encoding {
        Encoding::Json => (Value::from_json(bytes), "JSON"),
        Encoding::MessagePack => (Value::from_msgpack(bytes), "MessagePack"),
    };
    let value = match value {
        Ok(value) => value,
        Err(error) => return breach(format!("the function's answer is no {name}: {error}")),
    };
    match value {
        Value::Object(mut members) if members.len() == 1 && members.contains_key("output") => {
            let output = members.remove("output").unwrap_or(Value::Null);
            match payload(&output, "the output") {
                Ok(output) => Ending::Complete(output),
                Err(problem) => too_long(problem.detail),
            }
        }
        Value::Object(members) if members.contains_key("error") => {
            let read = match encoding {
                Encoding::Json => json::read::<Fail>(bytes),
                Encoding::MessagePack => msgpack::read::<Fail>(bytes),
            };
            match read.map(Fail::ending) {
                Ok(Ok(ending)) => ending,
                Ok(Err(problem)) => too_long(problem.detail),
                Err(error) => breach(format!("the function's answer: {error}")),
            }
        }
        other => breach(format!(
            "expected the function to answer an object with `output` or `error`, found {}",
            other.kind()
        )),
    }
}

fn too_long(message: String) -> Ending {
    failed(Category::Resource, "wasm_too_long", message, RetryWish::Never)
}

/// What a call without an answer makes of the attempt. What would fail again anywhere is not tried again;
/// another host may have more room, and another attempt begins where the checkpoints of this one end.
fn broken(failure: &ModuleFailure) -> Ending {
    let (category, code, wish) = match failure {
        ModuleFailure::Module(_) => (Category::Application, "wasm_module", RetryWish::Never),
        ModuleFailure::Trap(_) => (Category::Application, "wasm_trap", RetryWish::Policy),
        ModuleFailure::Contract(_) => (Category::Application, "wasm_contract", RetryWish::Never),
        ModuleFailure::TimedOut(_) => (Category::Timeout, "wasm_timeout", RetryWish::Policy),
        ModuleFailure::OutOfFuel(_) => (Category::Resource, "wasm_fuel", RetryWish::Policy),
        ModuleFailure::OutOfMemory(_) => (Category::Resource, "wasm_memory", RetryWish::Policy),
        ModuleFailure::OutOfStack => (Category::Resource, "wasm_stack", RetryWish::Policy),
        ModuleFailure::TooLong { .. } => (Category::Resource, "wasm_too_long", RetryWish::Never),
        ModuleFailure::NotLoaded | ModuleFailure::Host(_) => {
            (Category::System, "wasm_host", RetryWish::Policy)
        }
    };
    failed(category, code, failure.to_string(), wish)
}

/// The failure of an attempt that could not even begin.
fn host(why: String) -> Ending {
    broken(&ModuleFailure::Host(why))
}
