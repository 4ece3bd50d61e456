//! How long things took, in buckets that grow with what is in them: four to each power of two, so a bucket is at most a
//! quarter wider than where it begins, from a microsecond to longer than anything lasts.

use std::time::Duration;

/// A bucket's number. Those below four hold one microsecond each.
type Bucket = u8;

/// How many buckets there are.
const BUCKETS: usize = 252;

/// How many of each bucket there are, of those that there are any of, the shortest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durations(Vec<(Bucket, u64)>);

/// Bytes that are no durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("they are no buckets of durations")]
pub struct BadDurations;

fn bucket(duration: Duration) -> Bucket {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if micros < 4 {
        return Bucket::try_from(micros).expect("it is below four");
    }
    let octave = micros.ilog2();
    let quarter = (micros >> (octave - 2)) & 3;
    let number = u64::from(octave - 1) * 4 + quarter;
    Bucket::try_from(number).expect("64 octaves have no more quarters")
}

/// Where a bucket begins, and how wide it is, in microseconds.
fn range(bucket: Bucket) -> (f64, f64) {
    if bucket < 4 {
        return (f64::from(bucket), 1.0);
    }
    let octave = i32::from(bucket / 4 - 1);
    let width = 2_f64.powi(octave);
    (f64::from(4 + bucket % 4) * width, width)
}

impl Durations {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, duration: Duration) {
        self.push_many(bucket(duration), 1);
    }

    fn push_many(&mut self, bucket: Bucket, count: u64) {
        match self.0.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(place) => self.0[place].1 += count,
            Err(place) => self.0.insert(place, (bucket, count)),
        }
    }

    pub fn add(&mut self, more: &Self) {
        for (bucket, count) in &more.0 {
            self.push_many(*bucket, *count);
        }
    }

    /// Each bucket's number, and how many it holds in groups of seven bits, the lowest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 3);
        for (bucket, count) in &self.0 {
            bytes.push(*bucket);
            let mut left = *count;
            while left >= 0x80 {
                bytes.push((left & 0x7f) as u8 | 0x80);
                left >>= 7;
            }
            bytes.push((left & 0x7f) as u8);
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadDurations> {
        // Each takes two bytes or more.
        let mut buckets: Vec<(Bucket, u64)> = Vec::with_capacity(bytes.len() / 2);
        let mut bytes = bytes.iter();
        while let Some(bucket) = bytes.next() {
            let follows = buckets.last().is_none_or(|(last, _)| last < bucket);
            if !follows || usize::from(*bucket) >= BUCKETS {
                return Err(BadDurations);
            }
            let (mut count, mut shift) = (0_u64, 0);
            loop {
                let byte = *bytes.next().ok_or(BadDurations)?;
                let bits = u64::from(byte & 0x7f);
                if shift > 63 || (bits << shift) >> shift != bits {
                    return Err(BadDurations);
                }
                count |= bits << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            buckets.push((*bucket, count));
        }
        Ok(Self(buckets))
    }
}

/// Durations of several minutes together, each with its weight, for asking how long most of them were.
#[derive(Clone, Debug, Default)]
pub struct Quantiles {
    /// By number, up to the longest that there is.
    buckets: Vec<f64>,
    total: f64,
}

impl Quantiles {
    pub fn add(&mut self, durations: &Durations, weight: f64) {
        for (bucket, count) in &durations.0 {
            let weighed = *count as f64 * weight;
            *self.bucket(usize::from(*bucket)) += weighed;
            self.total += weighed;
        }
    }

    pub fn add_all(&mut self, more: &Self) {
        for (bucket, count) in more.buckets.iter().enumerate() {
            *self.bucket(bucket) += count;
        }
        self.total += more.total;
    }

    fn bucket(&mut self, number: usize) -> &mut f64 {
        if self.buckets.len() <= number {
            self.buckets.resize(number + 1, 0.0);
        }
        &mut self.buckets[number]
    }

    /// How many there are, those of a minute that lies only partly within counted by that part.
    pub fn count(&self) -> f64 {
        self.total
    }

    /// How long this part of them, from 0 to 1, took at most; none where there are none. Within a bucket they are taken
    /// to be spread evenly, so it is off by less than the bucket is wide.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        if self.total <= 0.0 {
            return None;
        }
        let wanted = part * self.total;
        let (mut below, mut last) = (0.0, Duration::ZERO);
        for (bucket, count) in (0..).zip(self.buckets.iter()) {
            if *count <= 0.0 {
                continue;
            }
            let (begins, width) = range(bucket);
            let within = ((wanted - below) / count).clamp(0.0, 1.0);
            last = Duration::from_secs_f64((begins + width * within) / 1e6);
            below += count;
            if below >= wanted {
                break;
            }
        }
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for number in 0..=u8::try_from(BUCKETS - 1).unwrap() {
            let (begins, width) = range(number);
            assert_eq!(bucket(micros(begins as u64)), number);
            if number < 200 {
                // Beyond, a microsecond is lost in a number of this size.
                let last = (begins + width) as u64 - 1;
                assert_eq!(bucket(micros(last)), number, "{last}");
            }
            assert!(number < 8 || width / begins <= 0.25);
        }
        assert_eq!(usize::from(bucket(Duration::MAX)), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_nothing_are_none() {
        assert_eq!(Quantiles::default().quantile(0.5), None);
    }

    #[test]
    fn bytes_that_nobody_wrote_are_refused() {
        for bytes in [
            &[252, 1][..],
            &[3],
            &[3, 0x80],
            &[4, 1, 4, 1],
            &[5, 1, 4, 1],
            &[1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
        ] {
            assert_eq!(Durations::from_bytes(bytes), Err(BadDurations), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(all in prop::collection::vec(any::<(u64, u32)>(), 0..50)) {
            let mut durations = Durations::default();
            for (length, count) in all {
                durations.push_many(bucket(micros(length)), u64::from(count) + 1);
            }
            let read = Durations::from_bytes(&durations.to_bytes());
            prop_assert_eq!(read, Ok(durations));
        }

        #[test]
        fn a_quantile_is_off_by_less_than_a_bucket(
            mut all in prop::collection::vec(1_u64..10_000_000_000, 1..200),
            part in 0.01_f64..1.0,
        ) {
            let mut durations = Durations::default();
            all.iter().for_each(|length| durations.push(micros(*length)));
            let mut quantiles = Quantiles::default();
            quantiles.add(&durations, 0.5);
            all.sort_unstable();
            let place = ((part * all.len() as f64).ceil() as usize).clamp(1, all.len()) - 1;
            let exact = all[place] as f64;

            let found = quantiles.quantile(part).unwrap().as_secs_f64() * 1e6;

            prop_assert!(found >= exact * 0.79 - 1.0 && found <= exact * 1.26 + 1.0, "{found} for {exact}");
        }

        #[test]
        fn parts_add_up(one in prop::collection::vec(any::<u32>(), 0..50), other in prop::collection::vec(any::<u32>(), 0..50)) {
            let of = |all: &[u32]| {
                let mut durations = Durations::default();
                all.iter().for_each(|length| durations.push(micros(u64::from(*length))));
                durations
            };
            let mut sum = of(&one);
            sum.add(&of(&other));
            prop_assert_eq!(sum, of(&[one, other].concat()));
        }
    }
}
