//! What serde's derived readers let pass and a request must not: an array in place of an object, an object in place of
//! a word, and lists without end.
//!
//! It stands between the types and serde_json, and passes everything else through. Payloads are not looked into.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};

/// How the message of a list that is too long begins.
pub(super) const TOO_MANY: &str = "holds more than ";
/// Names and values that an object may hold whose names are free, such as labels.
const ENTRIES_MAX: usize = 100;

pub(super) struct Strict<D> {
    pub(super) inner: D,
    /// Elements of each array.
    pub(super) elements_max: usize,
}

macro_rules! pass {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
                self.inner.$method(visitor)
            }
        )*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    pass! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_unit deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let elements_max = self.elements_max;
        self.inner.deserialize_option(Inside {
            visitor,
            elements_max,
            is_struct: false,
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    /// The only ones are payloads.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let elements_max = self.elements_max;
        self.inner.deserialize_seq(Inside {
            visitor,
            elements_max,
            is_struct: false,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let elements_max = self.elements_max;
        self.inner.deserialize_map(Inside {
            visitor,
            elements_max,
            is_struct: false,
        })
    }

    /// serde_json's own would take an array of the fields in their order as well.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let elements_max = self.elements_max;
        self.inner.deserialize_map(Inside {
            visitor,
            elements_max,
            is_struct: true,
        })
    }

    /// serde_json's own would take `{"completed": null}` as well.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(Word(visitor))
    }
}

/// Reads what stands within a value in the same way.
struct Inside<V> {
    visitor: V,
    elements_max: usize,
    /// Its names are known and each stands once, so they need no limit.
    is_struct: bool,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Inside<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_struct {
            return f.write_str("an object");
        }
        self.visitor.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict {
            inner,
            elements_max: self.elements_max,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Elements {
            inner,
            left: self.elements_max,
            max: self.elements_max,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let left = if self.is_struct {
            usize::MAX
        } else {
            ENTRIES_MAX
        };
        self.visitor.visit_map(Entries {
            inner,
            left,
            elements_max: self.elements_max,
        })
    }
}

struct Elements<A> {
    inner: A,
    left: usize,
    max: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return match self.inner.next_element::<IgnoredAny>()? {
                None => Ok(None),
                Some(_) => Err(too_many(self.max, "elements")),
            };
        };
        self.left = left;
        self.inner.next_element_seed(Seed {
            seed,
            elements_max: self.max,
        })
    }
}

struct Entries<A> {
    inner: A,
    left: usize,
    elements_max: usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return match self.inner.next_key::<IgnoredAny>()? {
                None => Ok(None),
                Some(_) => Err(too_many(ENTRIES_MAX, "entries")),
            };
        };
        self.left = left;
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(Seed {
            seed,
            elements_max: self.elements_max,
        })
    }
}

struct Seed<S> {
    seed: S,
    elements_max: usize,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.seed.deserialize(Strict {
            inner,
            elements_max: self.elements_max,
        })
    }
}

/// One word of several, and nothing else.
struct Word<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Word<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<V::Value, E> {
        self.0.visit_enum(only(word.into_deserializer()))
    }
}

/// Says which of its traits is meant.
fn only<'de, E: Error>(word: StrDeserializer<'_, E>) -> impl EnumAccess<'de, Error = E> {
    word
}

#[cold]
fn too_many<E: Error>(max: usize, what: &str) -> E {
    E::custom(format_args!("{TOO_MANY}{max} {what}"))
}
