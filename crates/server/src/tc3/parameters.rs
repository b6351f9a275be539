//! The parameters of a request: a JSON object in a POST, a query with flattened lists in a GET.
//!
//! Each parameter is taken out by the action that knows it; what is left at the end, nobody knows.

use super::fault::Fault;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Parameters not taken yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    fields: Map<String, Value>,
    /// Of a query: numbers are written as text.
    is_query: bool,
}

/// A number as somebody wrote it.
enum Number {
    Fits(u64),
    /// Negative, or larger than any.
    OutOfRange,
    /// Not a whole number.
    No,
}

impl Parameters {
    /// Of a body. `null` counts as left out.
    pub fn from_json(body: &[u8]) -> Result<Self, Fault> {
        let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|_| Fault::Body)?;
        fields.retain(|_, value| !value.is_null());
        Ok(Self { fields, is_query: false })
    }

    /// Of a query: `RoomId=5&UserIds.0=a&UserIds.1=b`. A list is whole from 0 on, in any order.
    pub fn from_query(query: &str) -> Result<Self, Fault> {
        let mut fields = Map::new();
        let mut lists: BTreeMap<String, BTreeMap<usize, String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let item = name.rsplit_once('.').and_then(|(list, number)| Some((list, number.parse().ok()?)));
            match item {
                Some((list, number)) => {
                    lists.entry(list.to_owned()).or_default().insert(number, value.into_owned());
                }
                None => {
                    fields.insert(name.into_owned(), Value::String(value.into_owned()));
                }
            }
        }
        for (name, items) in lists {
            let is_whole = items.keys().copied().eq(0..items.len());
            if !is_whole || fields.contains_key(&name) {
                return Err(Fault::Unknown(format!("{name} with these numbers")));
            }
            fields.insert(name, items.into_values().map(Value::String).collect());
        }
        Ok(Self { fields, is_query: true })
    }

    fn number(&self, value: &Value) -> Number {
        match value {
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(fits), _) => Number::Fits(fits),
                // Integers beyond 64 bits are read as floating point.
                (None, Some(other)) if number.is_i64() || other.abs() >= u64::MAX as f64 => Number::OutOfRange,
                (None, _) => Number::No,
            },
            Value::String(text) if self.is_query => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Number::No;
                }
                text.parse().map_or(Number::OutOfRange, Number::Fits)
            }
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => Number::No,
        }
    }

    /// A whole number from 0 on, if it is there. Out of range: [`u64::MAX`], which no rule allows.
    pub fn whole(&mut self, name: &'static str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.fields.remove(name) else { return Ok(None) };
        match self.number(&value) {
            Number::Fits(number) => Ok(Some(number)),
            Number::OutOfRange => Ok(Some(u64::MAX)),
            Number::No => Err(Fault::Invalid(name, "a whole number")),
        }
    }

    /// A text, if it is there.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Fault> {
        match self.fields.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Fault::Invalid(name, "a text")),
        }
    }

    /// A list of texts, if it is there.
    pub fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Fault> {
        let wrong = || Fault::Invalid(name, "a list of texts");
        match self.fields.remove(name) {
            None => Ok(None),
            Some(Value::Array(items)) => {
                let texts = items.into_iter().map(|item| match item {
                    Value::String(text) => Ok(text),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        Err(wrong())
                    }
                });
                texts.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(wrong()),
        }
    }

    /// Everything known was taken: nothing may be left.
    pub fn finish(self) -> Result<(), Fault> {
        match self.fields.into_iter().next() {
            Some((name, _)) => Err(Fault::Unknown(name.chars().take(64).collect())),
            None => Ok(()),
        }
    }
}

/// A parameter that must be there.
pub fn needed<T>(name: &'static str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or(Fault::Missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Parameters {
        Parameters::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_are_numbers_in_json_and_texts_in_a_query() {
        for (value, number) in [("5", 5), ("0", 0), ("-1", u64::MAX), ("99999999999999999999999", u64::MAX)] {
            assert_eq!(json(&format!("{{\"N\": {value}}}")).whole("N"), Ok(Some(number)), "{value}");
            assert_eq!(Parameters::from_query(&format!("N={value}")).unwrap().whole("N"), Ok(Some(number)), "{value}");
        }
        let wrong = Err(Fault::Invalid("N", "a whole number"));
        for value in ["\"5\"", "1.5", "true", "[5]", "{}", "\"\""] {
            assert_eq!(json(&format!("{{\"N\": {value}}}")).whole("N"), wrong, "{value}");
        }
        for value in ["", "x", "1.5", "0x5", "+5", "-", "5%20"] {
            assert_eq!(Parameters::from_query(&format!("N={value}")).unwrap().whole("N"), wrong, "{value}");
        }
        assert_eq!(json("{\"N\": null}").whole("N"), Ok(None));
    }

    #[test]
    fn lists_are_flattened_in_a_query() {
        let mut query = Parameters::from_query("U.1=b&U.0=a%20c&T=x+y").unwrap();
        assert_eq!(query.texts("U"), Ok(Some(vec!["a c".to_owned(), "b".to_owned()])));
        assert_eq!(query.text("T"), Ok(Some("x y".to_owned())));
        assert_eq!(query.finish(), Ok(()));
        for query in ["U.1=b", "U.0=a&U.2=b", "U=a&U.0=b"] {
            assert!(matches!(Parameters::from_query(query), Err(Fault::Unknown(_))), "{query}");
        }
        assert!(Parameters::from_query("U=a").unwrap().texts("U").is_err());
        assert!(json("{\"U\": [\"a\", 5]}").texts("U").is_err());
    }

    #[test]
    fn what_nobody_took_is_unknown() {
        let mut parameters = json("{\"A\": \"x\", \"B\": 1}");
        parameters.text("A").unwrap();
        assert_eq!(parameters.finish(), Err(Fault::Unknown("B".to_owned())));
    }

    #[test]
    fn a_body_is_one_object() {
        for body in ["", "[]", "5", "{", "{} x", "\u{feff}{}"] {
            assert_eq!(Parameters::from_json(body.as_bytes()), Err(Fault::Body), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(body in proptest::collection::vec(any::<u8>(), 0..64), query in ".*") {
            let _ = Parameters::from_json(&body);
            let _ = Parameters::from_query(&query);
        }

        #[test]
        fn a_query_says_what_json_says(
            number: u32,
            text in "[a-zA-Z0-9 !#$%&()+:;<=.>?@^_{}|~,-]{0,20}",
            list in proptest::collection::vec("[a-zA-Z0-9_-]{1,8}", 0..12),
        ) {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("N", &number.to_string()).append_pair("T", &text);
            for (place, item) in list.iter().enumerate() {
                query.append_pair(&format!("L.{place}"), item);
            }
            let mut from_query = Parameters::from_query(&query.finish()).unwrap();
            let object = if list.is_empty() {
                serde_json::json!({"N": number, "T": text})
            } else {
                serde_json::json!({"N": number, "T": text, "L": list})
            };
            let mut from_json = json(&object.to_string());
            prop_assert_eq!(from_query.whole("N"), from_json.whole("N"));
            prop_assert_eq!(from_query.text("T"), from_json.text("T"));
            prop_assert_eq!(from_query.texts("L"), from_json.texts("L"));
            prop_assert_eq!(from_query.finish(), from_json.finish());
        }
    }
}
