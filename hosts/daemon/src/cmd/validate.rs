//! `selvedge validate FILE…`: the server's own judgement of documents, without a server.

use std::path::Path;

use http::Method;
use serde_json::Value;

use super::{CommandError, Exit};
use crate::cli::ValidateArgs;
use crate::client::Problem;
use crate::document::{Document, Fault, File};
use crate::inprocess::{self, Server};
use crate::{module, terminal};

const PATH: &str = "/api/v1/documents/validate";

pub(super) async fn run(args: ValidateArgs) -> Result<Exit, CommandError> {
    let server = inprocess::scratch().await.map_err(|fault| CommandError::Machine(fault.to_string()))?;
    let mut faults = Vec::new();
    for path in &args.files {
        let judged = match File::open(path) {
            Ok(file) => judge(&server, &file, path).await,
            Err(fault) => vec![fault.to_string()],
        };
        if judged.is_empty() {
            terminal::out(&format!("{}: valid", path.display()));
        }
        faults.extend(judged);
    }
    faults.iter().for_each(|line| terminal::err(line));
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Usage })
}

/// Everything that is wrong with the document, one line each.
async fn judge(server: &Server, file: &File, path: &Path) -> Vec<String> {
    let mut document = match file.parse() {
        Ok(document) => document,
        Err(fault) => return vec![fault.to_string()],
    };
    let modules = match module::take(&mut document, path) {
        Ok(modules) => modules,
        Err(faults) => return faults,
    };
    let (media_type, bytes) = document.body(file, &modules);
    let (status, answer) = inprocess::call(server, Method::POST, PATH, media_type, bytes).await;
    if status.is_success() {
        return lines(&document, answer.get("errors"));
    }
    let problem = Problem::read(status, answer.clone());
    let lines = lines(&document, answer.get("errors"));
    if lines.is_empty() { vec![format!("{}: {}", document.label, problem.summary())] } else { lines }
}

fn lines(document: &Document, errors: Option<&Value>) -> Vec<String> {
    let faults: Vec<Fault> =
        errors.cloned().and_then(|errors| serde_json::from_value(errors).ok()).unwrap_or_default();
    faults.iter().map(|fault| document.show(fault, "")).collect()
}
