//! From a call to its handler, and the care for requests that are repeated.

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::operations::OperationId;
use crate::http::problem::{Problem, Slug};
use crate::http::problems_page;
use crate::platform::Platform;
use crate::store::database::{Batch, Database};
use crate::store::idempotency;

use super::request::{Keep, Stored};
use super::{App, lock};

impl<D: Database, P: Platform> App<D, P> {
    /// The answer to a call; to one that was answered before, the same answer.
    pub(super) async fn answer(&self, call: &Call<'_>) -> Result<Answer, Problem> {
        let Some(keep) = Keep::of(call, &self.tenant, self.now())? else {
            return self.dispatch(call, None).await;
        };
        let Some(_under_way) = UnderWay::enter(&self.under_way, &keep.scope) else {
            let detail = "the first request with this idempotency key is still under way; try again";
            return Err(Problem::new(Slug::IdempotencyInProgress, detail)
                .retry_after(crate::http::limits::RETRY_AFTER_DEFAULT));
        };
        if let Some(stored) = self.kept(&keep).await? {
            return stored.replay();
        }
        let answer = self.dispatch(call, Some(&keep)).await;
        if matches!(&answer, Err(problem) if problem.slug == Slug::IdempotencyInProgress)
            && let Some(stored) = self.kept(&keep).await?
        {
            return stored.replay();
        }
        if keep.is_kept() && answer.is_ok() {
            return answer;
        }
        let stored = match &answer {
            Ok(answer) => Stored::of(answer),
            Err(problem) if matches!(problem.status(), 401 | 429 | 500..) => return answer,
            Err(problem) => Stored::Problem(problem.clone()),
        };
        let mut batch = Batch::default();
        keep.add(&mut batch, &stored);
        self.write(batch).await?;
        answer
    }

    async fn kept(&self, keep: &Keep) -> Result<Option<Stored>, Problem> {
        let Some(row) =
            self.first_row(idempotency::by_scope(&keep.tenant, &keep.scope, keep.since())).await?
        else {
            return Ok(None);
        };
        let kept = idempotency::read(row).map_err(|error| self.problem(&error))?;
        if *kept.digest != *keep.digest {
            let detail = "this idempotency key was used for a request with another body or query";
            return Err(Problem::new(Slug::IdempotencyMismatch, detail));
        }
        let stored = serde_json::from_str(&kept.answer).map_err(|error| {
            self.platform.log("error", format_args!("a kept answer cannot be read: {error}"));
            Problem::internal()
        })?;
        Ok(Some(stored))
    }

    /// Each handler's future is boxed: together they are as large as the largest of them, and every request would
    /// be moved about with that.
    async fn dispatch(&self, call: &Call<'_>, keep: Option<&Keep>) -> Result<Answer, Problem> {
        match call.operation.id {
            OperationId::Health => self.health(),
            OperationId::Ready => Box::pin(self.ready()).await,
            OperationId::Metrics => self.metrics(),
            OperationId::Info => self.info(),
            OperationId::Openapi => self.openapi(),
            OperationId::WorkflowSchema => self.workflow_schema(),
            OperationId::ProblemPage => problems_page::answer(call),
            OperationId::ListWorkflows => Box::pin(self.list_workflows(call)).await,
            OperationId::PutWorkflow => Box::pin(self.put_workflow(call)).await,
            OperationId::GetWorkflow => Box::pin(self.get_workflow(call)).await,
            OperationId::WorkflowVersions => Box::pin(self.workflow_versions(call)).await,
            OperationId::DeleteWorkflow => Box::pin(self.delete_workflow(call)).await,
            OperationId::ListModules => Box::pin(self.list_modules(call)).await,
            OperationId::PutModule => Box::pin(self.put_module(call)).await,
            OperationId::GetModule => Box::pin(self.get_module(call)).await,
            OperationId::DeleteModule => Box::pin(self.delete_module(call)).await,
            OperationId::ValidateDocument => self.validate_document(call),
            OperationId::DocumentGraph => self.document_graph(call),
            OperationId::StartRun => Box::pin(self.start_run(call, keep)).await,
            OperationId::ListRuns => Box::pin(self.list_runs(call)).await,
            OperationId::GetRun => Box::pin(self.get_run(call)).await,
            OperationId::RunResult => Box::pin(self.run_result(call)).await,
            OperationId::RunOutput => Box::pin(self.run_output(call)).await,
            OperationId::CancelRun => Box::pin(self.cancel_run(call, keep)).await,
            OperationId::PauseRun => Box::pin(self.pause_run(call, keep)).await,
            OperationId::ResumeRun => Box::pin(self.resume_run(call, keep)).await,
            OperationId::RetryRun => Box::pin(self.retry_run(call, keep)).await,
            OperationId::RerunRun => Box::pin(self.rerun_run(call, keep)).await,
            OperationId::DeleteRun => Box::pin(self.delete_run(call)).await,
            OperationId::RunEvents => Box::pin(self.run_events(call)).await,
            OperationId::RunLogs => Box::pin(self.run_logs(call)).await,
            OperationId::RunTasks => Box::pin(self.run_tasks(call)).await,
            OperationId::GetTask => Box::pin(self.get_task(call)).await,
            OperationId::TaskLogs => Box::pin(self.task_logs(call)).await,
            OperationId::SendSignal => Box::pin(self.send_signal(call, keep)).await,
            OperationId::ListSignals => Box::pin(self.list_signals(call)).await,
            OperationId::ListTasks => Box::pin(self.list_tasks(call)).await,
            OperationId::TaskCounts => Box::pin(self.task_counts()).await,
            OperationId::ClaimTasks => Box::pin(self.claim_tasks(call)).await,
            OperationId::RegisterWorker => Box::pin(self.register_worker(call, keep)).await,
            OperationId::ListWorkers => Box::pin(self.list_workers(call)).await,
            OperationId::GetWorker => Box::pin(self.get_worker(call)).await,
            OperationId::HeartbeatWorker => Box::pin(self.heartbeat_worker(call)).await,
            OperationId::DrainWorker => Box::pin(self.drain_worker(call)).await,
            OperationId::HeartbeatLease => Box::pin(self.heartbeat_lease(call)).await,
            OperationId::CompleteLease => Box::pin(self.complete_lease(call, keep)).await,
            OperationId::FailLease => Box::pin(self.fail_lease(call, keep)).await,
            OperationId::ReleaseLease => Box::pin(self.release_lease(call, keep)).await,
            OperationId::AppendLogs => Box::pin(self.append_logs(call, keep)).await,
            OperationId::PutCheckpoint => Box::pin(self.put_checkpoint(call)).await,
            OperationId::LeaseBatch => Box::pin(self.lease_batch(call)).await,
        }
    }
}

/// The mark of a request that is under way, among those of this server.
struct UnderWay<'a> {
    scopes: &'a std::sync::Mutex<std::collections::HashSet<String>>,
    scope: String,
}

impl<'a> UnderWay<'a> {
    fn enter(scopes: &'a std::sync::Mutex<std::collections::HashSet<String>>, scope: &str) -> Option<Self> {
        lock(scopes).insert(scope.to_owned()).then(|| Self { scopes, scope: scope.to_owned() })
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(self.scopes).remove(&self.scope);
    }
}
