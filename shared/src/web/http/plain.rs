//! JSON whose enumerations are strings. serde takes `{"sms": null}` for the word `"sms"` as well,
//! which no document of ours says.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// A value that is read so.
pub(super) struct Plain(pub Value);

impl<'de> Deserializer<'de> for Plain {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Self));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Value::Object(members) => {
                let mut members = MapDeserializer::new(
                    members.into_iter().map(|(name, value)| (name, Self(value))),
                );
                let value = visitor.visit_map(&mut members)?;
                members.end()?;
                Ok(value)
            }
            simple => simple.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.into_deserializer()),
            _ => Err(Error::invalid_type(
                Unexpected::Other("something else"),
                &"a string",
            )),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, serde_json::Error> for Plain {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Sms,
        Email,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Request {
        word: Word,
        more: Option<Vec<Word>>,
        count: u32,
    }

    #[test]
    fn an_enumeration_is_a_string() {
        let read = |value| Request::deserialize(Plain(value));
        let good = json!({"word": "sms", "more": ["email"], "count": 3});
        assert_eq!(
            read(good).unwrap(),
            Request {
                word: Word::Sms,
                more: Some(vec![Word::Email]),
                count: 3
            }
        );
        assert_eq!(
            read(json!({"word": "sms", "more": null, "count": 3}))
                .unwrap()
                .more,
            None
        );
        for wrong in [
            json!({"word": {"sms": null}, "count": 3}),
            json!({"word": {"sms": {}}, "count": 3}),
            json!({"word": 0, "count": 3}),
            json!({"word": null, "count": 3}),
            json!({"word": "sms", "more": [{"email": null}], "count": 3}),
            json!({"word": "sms", "count": 3.5}),
            json!({"word": "sms", "count": 3, "other": 1}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn everything_else_reads_as_serde_json_reads_it(number in any::<f64>(), whole in any::<i64>(), text in "\\PC{0,20}", flag: bool) {
            let value = json!({"a": [number, whole, null], "b": {"c": text, "d": flag}});
            prop_assert_eq!(Value::deserialize(Plain(value.clone())).unwrap(), value);
        }
    }
}
