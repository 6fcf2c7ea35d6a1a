//! `selvedge graph FILE`: a document's graph for Graphviz, Mermaid or programs, without a server.

use http::Method;
use serde_json::Value;

use super::{CommandError, Exit, placed, pretty};
use crate::cli::{GraphArgs, GraphFormat};
use crate::client::Problem;
use crate::document::File;
use crate::{inprocess, terminal};

pub(super) async fn run(args: GraphArgs) -> Result<Exit, CommandError> {
    let file = File::open(&args.file)?;
    let document = file.parse()?;
    let server = inprocess::scratch().await.map_err(|fault| CommandError::Machine(fault.to_string()))?;
    let path = format!("/api/v1/documents/graph?format={}", word(args.format));
    let media_type = file.format.media_type();
    let (status, answer) = inprocess::call(&server, Method::POST, &path, media_type, file.bytes).await;
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
