//! From a response to what AWS expects of a function: a JSON object whose body is a text or base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use selvedge::http::body::Body;
use serde_json::{Map, Value, json};

use crate::event::Origin;

/// Makes the answer to a request of this origin.
pub async fn write(origin: Origin, response: Response<Body>) -> Value {
    let (parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    let (body, is_base64) = match std::str::from_utf8(&body) {
        Ok(text) if is_text(&parts.headers) => (text.to_owned(), false),
        _ => (STANDARD.encode(&body), true),
    };
    let mut answer =
        json!({ "statusCode": parts.status.as_u16(), "body": body, "isBase64Encoded": is_base64 });
    match origin {
        Origin::ApiGatewayV1 => answer["multiValueHeaders"] = all_values(&parts.headers),
        Origin::ApiGatewayV2 => {
            let cookies = parts.headers.get_all(SET_COOKIE).iter();
            answer["cookies"] = cookies.map(|value| Value::String(text(value.as_bytes()))).collect();
            answer["headers"] = joined_values(&parts.headers);
        }
        // Which of the two it reads is a setting of the target group.
        Origin::LoadBalancer => {
            answer["statusDescription"] = parts.status.to_string().into();
            answer["headers"] = joined_values(&parts.headers);
            answer["multiValueHeaders"] = all_values(&parts.headers);
        }
    }
    answer
}

/// Whether a body may travel as text: compressed and binary ones would not survive it.
fn is_text(headers: &HeaderMap) -> bool {
    if headers.contains_key(CONTENT_ENCODING) {
        return false;
    }
    let Some(media) = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()) else { return true };
    let media = media.split(';').next().unwrap_or_default().trim();
    let subtype = media.strip_prefix("application/").map(|name| name.rsplit('+').next().unwrap_or(name));
    media.starts_with("text/") || matches!(subtype, Some("json" | "yaml" | "toml" | "javascript" | "xml"))
}

fn all_values(headers: &HeaderMap) -> Value {
    let values = |name| headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect::<Vec<_>>();
    headers.keys().map(|name| (name.to_string(), json!(values(name)))).collect::<Map<_, _>>().into()
}

/// Several values of a header are one list, but for cookies (RFC 9110, section 5.3).
fn joined_values(headers: &HeaderMap) -> Value {
    let values = |name| headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect::<Vec<_>>();
    let names = headers.keys().filter(|name| *name != SET_COOKIE);
    names.map(|name| (name.to_string(), Value::String(values(name).join(", ")))).collect::<Map<_, _>>().into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
