//! `selvedge signal RUN NAME [PAYLOAD]`.

use serde_json::{Value, json};

use super::{CommandError, Exit};
use crate::cli::SignalArgs;
use crate::client::Call;
use crate::document::json_or_text;
use crate::terminal;

pub(super) async fn run(args: SignalArgs) -> Result<Exit, CommandError> {
    let payload = args.payload.as_deref().map_or(Value::Null, json_or_text);
    let mut body = json!({ "payload": payload });
    if let Some(id) = &args.signal_id {
        body["signal_id"] = id.as_str().into();
    }
    let call = Call::post(&["runs", &args.run, "signals", &args.name]).body(&body);
    let answer = super::client(&args.server)?.send(call).await?;
    let duplicate = answer.get("duplicate").and_then(Value::as_bool) == Some(true);
    let again = if duplicate { " (it was sent before and counts once)" } else { "" };
    terminal::out(&format!("the signal {} is stored for run {}{again}", args.name, args.run));
    Ok(Exit::Done)
}
