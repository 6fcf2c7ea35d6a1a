//! The texts of a query as serde sees them: a struct of parameters, each with one or more values.

use std::collections::BTreeMap;
use std::collections::btree_map::Iter;

use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The values of each parameter, by name; at least one each.
pub(super) type Groups<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// What is wrong with a query, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("unknown parameter {0}")]
    Unknown(String),
    #[error("{name}: {message}")]
    Wrong { name: String, message: String },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0}")]
    Whole(String),
}

impl Fault {
    /// The same fault, of this parameter if it was of none in particular.
    fn of(self, name: &str) -> Self {
        match self {
            Fault::Whole(message) => Fault::Wrong { name: name.to_owned(), message },
            other => other,
        }
    }
}

impl Error for Fault {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Fault::Whole(message.to_string())
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Fault::Unknown(field.to_owned())
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::Missing(field)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Fault::Whole(format!("expected one of {}, found {variant:?}", expected.join(", ")))
    }
}

/// All parameters, as serde sees a struct.
pub(super) struct Parameters<'a>(pub(super) &'a Groups<'a>);

impl<'de> Deserializer<'de> for Parameters<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Entries { rest: self.0.iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0.keys().find(|name| !fields.contains(name)) {
            Some(unknown) => Err(Fault::Unknown((*unknown).to_owned())),
            None => self.deserialize_any(visitor),
        }
    }

    /// What a struct with `flatten` asks for; it would take any name.
    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::Whole("a query is read into a struct whose fields are all its own".to_owned()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct enum identifier ignored_any
    }
}

struct Entries<'a> {
    rest: Iter<'a, &'a str, Vec<&'a str>>,
    value: Option<Parameter<'a>>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((name, values)) = self.rest.next() else { return Ok(None) };
        self.value = Some(Parameter { name, values });
        seed.deserialize((*name).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let parameter = self.value.take().expect("serde asks for a value after its key");
        let name = parameter.name;
        seed.deserialize(parameter).map_err(|fault| fault.of(name))
    }
}

/// One parameter with all its values; at least one.
struct Parameter<'a> {
    name: &'a str,
    values: &'a [&'a str],
}

impl<'a> Parameter<'a> {
    fn single(&self) -> Result<&'a str, Fault> {
        match self.values {
            [only] => Ok(only),
            several => Err(Fault::Whole(format!("given {} times, expected once", several.len()))),
        }
    }

    /// An integer as JSON writes it.
    fn integer<T: TryFrom<i128>>(&self, min: impl Into<i128>, max: impl Into<i128>) -> Result<T, Fault> {
        let text = self.single()?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_integer = digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.is_empty()
            && (digits == "0" || !digits.starts_with('0'));
        if !is_integer {
            return Err(Fault::Whole(format!("expected an integer, found {text:?}")));
        }
        let number = text.parse::<i128>().ok().and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| {
            Fault::Whole(format!("expected an integer from {} to {}, found {text}", min.into(), max.into()))
        })
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
                visitor.$visit(self.integer(<$type>::MIN, <$type>::MAX)?)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Parameter<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.single()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.single()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(Fault::Whole(format!("expected true or false, found {other:?}"))),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.single()?;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => visitor.visit_f64(number),
            _ => Err(Fault::Whole(format!("expected a number, found {text:?}"))),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(self.single()?.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let name = self.name;
        let each = self.values.iter().map(|value| Parameter { name, values: std::slice::from_ref(value) });
        visitor.visit_seq(SeqDeserializer::new(each))
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Parameter<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
