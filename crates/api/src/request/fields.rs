//! Fields that are read more kindly than their types say.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer};

/// For fields that may be left out: null is the same.
pub(crate) fn null_is_absent<'de, D, T>(reader: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

/// An array, or one of its elements by itself, which is a text; null is absent.
pub(crate) fn one_or_several<'de, D, T>(reader: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct OneOrSeveral<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrSeveral<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array, or one of its elements")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_str<E: de::Error>(self, word: &str) -> Result<Vec<T>, E> {
            T::deserialize(word.into_deserializer()).map(|one| vec![one])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, elements: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(de::value::SeqAccessDeserializer::new(elements))
        }
    }

    reader.deserialize_any(OneOrSeveral(PhantomData))
}

/// Any whole number; one that is too small or too large is the next that there is, which the rules refuse with the range
/// that holds.
pub(crate) fn nearest<'de, D: Deserializer<'de>>(reader: D) -> Result<u32, D::Error> {
    let number = i64::deserialize(reader)?.clamp(0, i64::from(u32::MAX));
    Ok(u32::try_from(number).expect("it was brought into range"))
}

/// The same, of what may be left out.
pub(crate) fn nearest_if_any<'de, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<u32>, D::Error> {
    struct Nearest(u32);

    impl<'de> Deserialize<'de> for Nearest {
        fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
            nearest(reader).map(Self)
        }
    }

    let number: Option<Nearest> = Option::deserialize(reader)?;
    Ok(number.map(|Nearest(number)| number))
}
