//! What must hold across the formats.

use super::*;

/// A linear congruential generator (Knuth's MMIX constants): the same worlds on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ (self.0 >> 29)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    fn text(&mut self) -> String {
        const CHARS: [char; 16] = [
            'a', 'Z', '0', ' ', '"', '\\', '/', '~', '\n', '\t', '\u{0}', '\u{1f}', 'é', '\u{2028}',
            '\u{fffd}', '😀',
        ];
        (0..self.below(12)).map(|_| CHARS[self.below(16) as usize]).collect()
    }

    fn float(&mut self) -> f64 {
        loop {
            let number = f64::from_bits(self.next());
            if number.is_finite() {
                return number;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 9 } else { 12 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => Value::Int(self.next() as i64),
            3 => Value::Int(self.below(300) as i64 - 150),
            4 => Value::from(self.next()),
            5 => Value::Float(self.float()),
            6 => Value::Float(self.below(1_000) as f64),
            7 => Value::String(self.text()),
            8 => Value::Bytes((0..self.below(40)).map(|_| self.next() as u8).collect()),
            9 => Value::Array((0..self.below(5)).map(|_| self.value(depth - 1)).collect()),
            _ => {
                let names: Vec<String> = (0..self.below(5)).map(|_| self.text()).collect();
                Value::Object(names.into_iter().map(|name| (name, self.value(depth - 1))).collect())
            }
        }
    }
}

/// Sees that the value comes back, the same in every bit that shows, from every format that it is written in.
fn check_round_trips(value: &Value, what: &str) {
    let json = value.to_json();
    assert_eq!(&Value::from_json(json.as_bytes()).expect(what), value, "{what}");
    let packed = value.to_msgpack();
    assert_eq!(&Value::from_msgpack(&packed).expect(what), value, "{what}");
    let crossed = Value::from_msgpack(&Value::from_json(json.as_bytes()).expect(what).to_msgpack());
    assert_eq!(crossed.expect(what).to_json(), json, "{what}");
    let payload = Payload::from(value);
    assert_eq!(&payload.to_value(), value, "{what}");
    assert_eq!(serde_json::to_string(&payload).expect(what), json, "{what}");
    let through_serde: Value = rmp_serde::from_slice(&packed).expect(what);
    assert_eq!(&through_serde, value, "{what}");
    assert_eq!(Locations::of_json(&json).get(&Pointer::root()), Some((1, 1)), "{what}");
}

#[test]
fn every_kind_survives_every_format() {
    let rows = [
        Value::Null,
        Value::Bool(false),
        Value::Int(0),
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::UInt(1 << 63),
        Value::UInt(u64::MAX),
        Value::Float(0.0),
        Value::Float(1.0),
        Value::Float(-1.5),
        Value::Float(1e300),
        Value::Float(f64::MIN_POSITIVE),
        Value::Float(9_007_199_254_740_993.0),
        Value::Float(1e19),
        Value::from(""),
        Value::from("plain, ünï, 漢字, 😀, \u{0}\u{1f}\"\\/"),
        Value::Bytes(Vec::new()),
        Value::Bytes((0..=255).collect()),
        Value::Array(Vec::new()),
        Value::Object(Object::new()),
        Value::from([
            ("", Value::Null),
            ("$binary", Value::Int(1)),
            ("é/~\"", Value::from(vec![Value::Null])),
        ]),
        Value::from([("$binary", Value::from("x")), ("more", Value::Null)]),
    ];
    for value in rows {
        check_round_trips(&value, &format!("{value:?}"));
        check_round_trips(&Value::from(vec![value.clone(), value.clone()]), &format!("[{value:?}; 2]"));
        check_round_trips(&Value::from([("a", value.clone())]), &format!("{{a: {value:?}}}"));
    }
}

#[test]
fn random_values_survive_every_format() {
    for seed in 0..2_000 {
        let value = Random(seed).value(4);
        check_round_trips(&value, &format!("seed {seed}"));
    }
}

#[test]
fn random_bytes_never_panic() {
    for seed in 0..5_000 {
        let mut random = Random(seed);
        let alphabet = b"{}[]:,\"\\u0-1.e9tfn \n\t#&*a!|>'%@?=\xc3\xa9";
        let bytes: Vec<u8> =
            (0..random.below(40)).map(|_| alphabet[random.below(alphabet.len() as u64) as usize]).collect();
        let text = String::from_utf8_lossy(&bytes);
        // A reader that accepts must say where everything stands, and what it read must survive.
        let read = [
            (Value::from_json(text.as_bytes()), Locations::of_json(&text)),
            (Value::from_yaml(&text), Locations::of_yaml(&text)),
            (Value::from_toml(&text), Locations::of_toml(&text)),
        ];
        for (value, locations) in read {
            assert_eq!(value.is_ok(), locations.get(&Pointer::root()).is_some(), "seed {seed}: {text:?}");
            if let Ok(value) = value {
                check_round_trips(&value, &format!("seed {seed}: {text:?}"));
            }
        }
        let packed: Vec<u8> = (0..random.below(20)).map(|_| random.next() as u8).collect();
        if let Ok(value) = Value::from_msgpack(&packed) {
            check_round_trips(&value, &format!("seed {seed}: {packed:x?}"));
        }
    }
}

#[test]
fn bytes_at_the_deepest_place_survive_json() {
    let nest = |mut value: Value, levels: usize| {
        for _ in 0..levels {
            value = Value::from(vec![value]);
        }
        value
    };
    let deepest = nest(Value::Bytes(vec![1]), DEPTH_MAX);
    assert_eq!(deepest.depth(), DEPTH_MAX);
    check_round_trips(&deepest, "bytes");
    let too_deep = nest(Value::Object(Object::new()), DEPTH_MAX);
    assert_eq!(too_deep.depth(), DEPTH_MAX + 1);
    for read in [Value::from_json(too_deep.to_json().as_bytes()), Value::from_msgpack(&too_deep.to_msgpack())]
    {
        assert!(read.is_err_and(|error| error.message.contains("nested deeper than 100 levels")));
    }
}

#[test]
fn json_text_means_the_same_in_yaml() {
    for seed in 0..500 {
        let value = Random(seed).value(3);
        let json = value.to_json();
        assert_eq!(Value::from_yaml(&json).as_ref(), Ok(&value), "seed {seed}: {json}");
        let (of_json, of_yaml) = (Locations::of_json(&json), Locations::of_yaml(&json));
        assert_eq!(of_json, of_yaml, "seed {seed}: {json}");
    }
}
