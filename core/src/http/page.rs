//! Paging: how many, from where, and what a page looks like.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest, Sha256};

use crate::value::Value;

use super::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use super::problem::Problem;

/// How many items a page may have: 1 to 1000, 50 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last page.
    pub next_cursor: Option<String>,
    /// How many items there are on all pages, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// True if counting stopped at `total`, and there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_capped: Option<bool>,
}

/// The place in a list after an item, as an opaque text that is bound to filters and sort.
///
/// It is base64url of eight bytes of a hash of the filters and the JSON text of the item's sort key. It is not
/// signed: whoever makes one up gets a page that begins elsewhere, of what they may see anyway.
#[derive(Debug)]
pub struct Cursor;

/// What a cursor is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterHash([u8; 8]);

impl Limit {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(PAGE_ITEMS_DEFAULT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match u32::try_from(number) {
            Ok(limit @ 1..=PAGE_ITEMS_MAX) => Ok(Self(limit)),
            _ => {
                Err(de::Error::custom(format!("expected a limit from 1 to {PAGE_ITEMS_MAX}, found {number}")))
            }
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "minimum": 1,
            "maximum": PAGE_ITEMS_MAX,
            "default": PAGE_ITEMS_DEFAULT,
            "description": "How many items a page may have.",
        })
    }
}

impl<T> Page<T> {
    /// A page without a total.
    pub fn new(items: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { items, next_cursor, total: None, total_capped: None }
    }
}

impl FilterHash {
    /// Of everything that decides which items a list has and how they are sorted: not `limit`, not `cursor`.
    pub fn of<T: Serialize + ?Sized>(filters: &T) -> Self {
        let text = serde_json::to_vec(filters).expect("filters have string keys and finite numbers");
        let digest: [u8; 32] = Sha256::digest(text).into();
        let (head, _) = digest.split_first_chunk().expect("a SHA-256 digest is longer than eight bytes");
        Self(*head)
    }
}

impl Cursor {
    /// The place after the item with this sort key.
    pub fn encode(filters: FilterHash, key: &[Value]) -> String {
        let mut bytes = filters.0.to_vec();
        bytes.extend_from_slice(Value::Array(key.to_vec()).to_json().as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The sort key in a cursor.
    ///
    /// # Errors
    /// `invalid-parameter` if it is no cursor, or one of a list with other filters or another order.
    pub fn decode(text: &str, filters: FilterHash) -> Result<Vec<Value>, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Self::malformed())?;
        let (hash, key) = bytes.split_first_chunk::<8>().ok_or_else(Self::malformed)?;
        let Ok(Value::Array(key)) = Value::from_json(key) else { return Err(Self::malformed()) };
        if *hash != filters.0 {
            let message = "this cursor belongs to a list with other filters or another order";
            return Err(Problem::invalid_parameter("/query/cursor", message));
        }
        Ok(key)
    }

    /// The problem of a cursor whose key is not of the form that the list makes.
    pub fn malformed() -> Problem {
        Problem::invalid_parameter("/query/cursor", "expected the next_cursor of an earlier page")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_bound_to_their_filters() {
        let (red, blue) = (FilterHash::of(&("red", 1)), FilterHash::of(&("blue", 1)));
        let key = [Value::Int(7), Value::from("x"), Value::Null, Value::Bytes(vec![0, 255])];
        let text = Cursor::encode(red, &key);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{text}");
        assert_eq!(Cursor::decode(&text, red).expect("its own"), key);
        let bound = Cursor::decode(&text, blue).expect_err("another list");
        assert_eq!(bound.errors[0].pointer, "/query/cursor");
        assert!(bound.detail.contains("other filters"), "{}", bound.detail);
        for bad in ["", "x", "!!!", "AAAA", &text[..text.len() - 3], &URL_SAFE_NO_PAD.encode([0; 8])] {
            let problem = Cursor::decode(bad, red).expect_err(bad);
            assert_eq!(problem, Cursor::malformed(), "{bad}");
        }
    }

    #[test]
    fn limits_are_checked_in_bodies_too() {
        for (text, expected) in
            [("1", Some(1)), ("1000", Some(1000)), ("0", None), ("1001", None), ("-1", None)]
        {
            assert_eq!(serde_json::from_str::<Limit>(text).ok().map(Limit::get), expected, "{text}");
        }
    }

    #[test]
    fn pages_show_totals_only_when_asked() {
        let mut page = Page::new(vec![1], None);
        let text = |page: &Page<i32>| serde_json::to_string(page).expect("plain");
        assert_eq!(text(&page), r#"{"items":[1],"next_cursor":null}"#);
        (page.next_cursor, page.total, page.total_capped) = (Some("c".to_owned()), Some(10_000), Some(true));
        let expected = r#"{"items":[1],"next_cursor":"c","total":10000,"total_capped":true}"#;
        assert_eq!(text(&page), expected);
    }
}
