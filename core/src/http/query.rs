//! Query strings into structs, strictly: nothing unknown, nothing twice, every fault at once.
//!
//! A query struct has scalar fields, options of them, and lists for parameters that may be repeated. No
//! `flatten`: it hides from serde which type a text is for.

use percent_encoding::percent_decode_str;
use schemars::SchemaGenerator;
use serde::de::DeserializeOwned;

use crate::workflow::nearest::nearest;

use super::catalogue::SchemaOf;
use super::parameter::Declared;
use super::problem::{FieldError, Problem, Slug};
use super::query_text::{Fault, Groups, Parameters};

/// The parameters of a query, decoded, in the order of the URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairs(pub Vec<(String, String)>);

impl Pairs {
    /// Reads `a=1&b=2`, with `+` for a space and percent escapes.
    ///
    /// # Errors
    /// [`Slug::InvalidParameter`] for a broken escape or bytes that are not UTF-8.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let parts = query.split('&').filter(|part| !part.is_empty());
        let mut pairs = Vec::new();
        let mut errors = Vec::new();
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match (decode(name), decode(value)) {
                (Some(name), Some(value)) => pairs.push((name, value)),
                (name, _) => errors.push(FieldError::new(
                    format!("/query/{}", name.as_deref().unwrap_or("?")),
                    format!("expected UTF-8 with percent escapes, found {part:?}"),
                )),
            }
        }
        if errors.is_empty() {
            Ok(Self(pairs))
        } else {
            Err(Problem::with_errors(Slug::InvalidParameter, errors))
        }
    }

    /// Refuses every parameter, for operations that take none.
    ///
    /// # Errors
    /// [`Slug::InvalidParameter`] naming each.
    pub fn require_none(&self) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        let errors = self.0.iter().map(|(name, _)| unknown(name, &Declared::default())).collect();
        Err(Problem::with_errors(Slug::InvalidParameter, errors))
    }
}

/// The query as a `T`, whose schema serves to find every fault and to know free names.
///
/// # Errors
/// [`Slug::InvalidParameter`] with every unknown, repeated, missing or wrong parameter.
pub fn read<T: DeserializeOwned>(pairs: &Pairs, schema: Option<SchemaOf>) -> Result<T, Problem> {
    let declared =
        || schema.map_or_else(Declared::default, |of| Declared::of(of, &mut SchemaGenerator::default()));
    let mut groups = Groups::new();
    for (name, value) in &pairs.0 {
        groups.entry(name).or_default().push(value);
    }
    if groups.keys().any(|name| name.contains('.')) {
        let declared = declared();
        groups.retain(|name, _| !declared.is_free(name));
    }
    let fault = match T::deserialize(Parameters(&groups)) {
        Ok(query) => return Ok(query),
        Err(fault) => fault,
    };
    Err(Problem::with_errors(Slug::InvalidParameter, faults::<T>(&groups, &declared(), fault)))
}

/// Every fault: serde stops at the first, so each parameter is tried alone.
fn faults<T: DeserializeOwned>(groups: &Groups<'_>, declared: &Declared, first: Fault) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (name, values) in groups {
        let alone = Groups::from([(*name, values.clone())]);
        match T::deserialize(Parameters(&alone)).err() {
            Some(Fault::Unknown(name)) => errors.push(unknown(&name, declared)),
            Some(Fault::Wrong { name, message }) => errors.push(FieldError::new(pointer(&name), message)),
            Some(Fault::Missing(_) | Fault::Whole(_)) | None => {}
        }
    }
    let absent = declared.required.iter().filter(|name| !groups.contains_key(name.as_str()));
    errors.extend(absent.map(|name| missing(name)));
    if errors.is_empty() {
        errors.push(match first {
            Fault::Unknown(name) => unknown(&name, declared),
            Fault::Wrong { name, message } => FieldError::new(pointer(&name), message),
            Fault::Missing(name) => missing(name),
            Fault::Whole(message) => FieldError::new("/query", message),
        });
    }
    errors
}

fn unknown(name: &str, declared: &Declared) -> FieldError {
    let message = match nearest(name, declared.names()) {
        Some(known) => format!("unknown parameter, did you mean {known}?"),
        None if declared.properties.is_empty() => "unknown parameter, this operation takes none".to_owned(),
        None => {
            let known: Vec<&str> = declared.names().collect();
            format!("unknown parameter, expected one of {}", known.join(", "))
        }
    };
    FieldError::new(pointer(name), message)
}

fn missing(name: &str) -> FieldError {
    FieldError::new(pointer(name), "this parameter is required")
}

fn pointer(name: &str) -> String {
    format!("/query/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Percent escapes and `+`; none where an escape is broken or the bytes are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let escape_is_whole =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(escape_is_whole) {
        return None;
    }
    let text = text.replace('+', " ");
    Some(percent_decode_str(&text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::http::catalogue::schema;
    use crate::http::page::Limit;
    use crate::time::Duration;

    #[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        DarkBlue,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[schemars(extend("patternProperties" = {"^attribute\\.": {"type": "string"}}))]
    struct Query {
        name: String,
        #[serde(default)]
        limit: Limit,
        #[serde(default)]
        colour: Vec<Colour>,
        offset: Option<u32>,
        count: Option<bool>,
        wait: Option<Duration>,
        ratio: Option<f64>,
    }

    fn read_query(text: &str) -> Result<Query, Problem> {
        read(&Pairs::parse(text)?, Some(schema::<Query>))
    }

    #[test]
    fn what_is_right_is_read() {
        let query = read_query(
            "name=a+b%2Bc&limit=7&colour=red&colour=dark_blue&offset=0&count=true&wait=1500ms&ratio=-0.5\
             &attribute.x=1&attribute.x.gte=2&&",
        )
        .expect("right");
        assert_eq!(query.name, "a b+c");
        assert_eq!(query.limit.get(), 7);
        assert_eq!(query.colour, [Colour::Red, Colour::DarkBlue]);
        assert_eq!((query.offset, query.count, query.ratio), (Some(0), Some(true), Some(-0.5)));
        assert_eq!(query.wait, Some(Duration::from_millis(1500)));
        let query = read_query("name=").expect("an empty text is a text");
        assert_eq!((query.limit.get(), query.colour.len(), query.offset), (50, 0, None));
    }

    #[test]
    fn what_is_wrong_is_named_all_at_once() {
        let limit = "/query/limit: expected a limit from 1 to 1000, found";
        for (text, expected) in [
            ("name=x&limit=0", vec![format!("{limit} 0")]),
            ("name=x&limit=1001", vec![format!("{limit} 1001")]),
            ("name=x&limit=abc", vec![r#"/query/limit: expected an integer, found "abc""#.to_owned()]),
            ("name=x&limit=", vec![r#"/query/limit: expected an integer, found """#.to_owned()]),
            ("name=x&limit=%2B5", vec![r#"/query/limit: expected an integer, found "+5""#.to_owned()]),
            ("name=x&limit=05", vec![r#"/query/limit: expected an integer, found "05""#.to_owned()]),
            (
                "name=x&offset=-1",
                vec!["/query/offset: expected an integer from 0 to 4294967295, found -1".to_owned()],
            ),
            ("name=x&name=y", vec!["/query/name: given 2 times, expected once".to_owned()]),
            ("name=x&count=yes", vec![r#"/query/count: expected true or false, found "yes""#.to_owned()]),
            (
                "name=x&colour=red&colour=green",
                vec![r#"/query/colour: expected one of red, dark_blue, found "green""#.to_owned()],
            ),
            ("name=x&ratio=NaN", vec![r#"/query/ratio: expected a number, found "NaN""#.to_owned()]),
            ("name=x&lmiit=3", vec!["/query/lmiit: unknown parameter, did you mean limit?".to_owned()]),
            ("", vec!["/query/name: this parameter is required".to_owned()]),
            (
                "zzzzzz=1&limit=0&wait=soon",
                vec![
                    format!("{limit} 0"),
                    "/query/wait: expected a duration such as 1500ms, 30s, 5m, 24h or P2D, found \"soon\"".to_owned(),
                    "/query/zzzzzz: unknown parameter, expected one of colour, count, limit, name, offset, ratio, \
                     wait"
                        .to_owned(),
                    "/query/name: this parameter is required".to_owned(),
                ],
            ),
            ("attribute=1&name=x", vec![
                "/query/attribute: unknown parameter, expected one of colour, count, limit, name, offset, \
                 ratio, wait"
                    .to_owned(),
            ]),
            ("name=%ff", vec![r#"/query/name: expected UTF-8 with percent escapes, found "name=%ff""#.to_owned()]),
            ("name=%4", vec![r#"/query/name: expected UTF-8 with percent escapes, found "name=%4""#.to_owned()]),
            ("na%zzme=1", vec![r#"/query/?: expected UTF-8 with percent escapes, found "na%zzme=1""#.to_owned()]),
        ] {
            let problem = read_query(text).expect_err(text);
            assert_eq!(problem.slug, Slug::InvalidParameter);
            let found: Vec<String> =
                problem.errors.iter().map(|error| format!("{}: {}", error.pointer, error.message)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_operation_without_parameters_refuses_any() {
        assert!(Pairs::default().require_none().is_ok());
        let problem =
            Pairs::parse("a=1&b/c").and_then(|pairs| pairs.require_none()).expect_err("two too many");
        let pointers: Vec<&str> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/query/a", "/query/b~1c"]);
    }
}
