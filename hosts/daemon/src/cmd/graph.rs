//! `selvedge graph FILE`: a document's graph for Graphviz, Mermaid or programs, without a server.

use http::Method;
use serde_json::Value;

use super::{CommandError, Exit, placed, pretty};
use crate::cli::{GraphArgs, GraphFormat};
use crate::client::Problem;
use crate::document::File;
use crate::{inprocess, module, terminal};

pub(super) async fn run(args: GraphArgs) -> Result<Exit, CommandError> {
    let file = File::open(&args.file)?;
    let mut document = file.parse()?;
    let modules = module::take(&mut document, &args.file).map_err(CommandError::Faults)?;
    let server = inprocess::scratch().await.map_err(|fault| CommandError::Machine(fault.to_string()))?;
    let path = format!("/api/v1/documents/graph?format={}", word(args.format));
    let (media_type, bytes) = document.body(&file, &modules);
    let (status, answer) = inprocess::call(&server, Method::POST, &path, media_type, bytes).await;
    if !status.is_success() {
        return Err(placed(&Problem::read(status, answer), &document, ""));
    }
    match answer {
        Value::String(text) => terminal::out(text.trim_end()),
        value => terminal::out(&pretty(&value)),
    }
    Ok(Exit::Done)
}

fn word(format: GraphFormat) -> &'static str {
    match format {
        GraphFormat::Dot => "dot",
        GraphFormat::Mermaid => "mermaid",
        GraphFormat::Json => "json",
    }
}
