//! How durations and sizes are written on the command line, in the environment and in the file.

use std::time::Duration;

use taskyard_core::labels::{BadLabels, Labels};
use taskyard_core::name::Name;
use taskyard_core::retention::Retention;

/// The longest time that can be set: ten years, as for a task's own times. Every clock bears as much added to it, and a
/// few times as much.
const TIME_MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// The shortest time that counts as one.
const MOMENT: Duration = Duration::from_millis(1);

/// The largest size that can be set, so that some of them can be added up.
const BYTES_MAX: usize = 1 << 40;

/// `30s`, `1500ms`, `5m`, `1h30m`, `30d`, up to ten years. A number without a unit is refused, for nobody knows what it
/// means; a month has no one length.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a duration with its unit, such as 30s, 1500ms, 1h30m or 7d".to_owned();
    if text.trim().parse::<f64>().is_ok() {
        return Err(wrong());
    }
    let span: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(wrong());
    }
    let long = || "must be at most 3650d, which is ten years".to_owned();
    let time = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    let time = Duration::try_from(time.map_err(|_| long())?);
    let time = time.map_err(|_| "must not be negative".to_owned())?;
    if time > TIME_MAX {
        return Err(long());
    }
    Ok(time)
}

/// A time in which something can happen.
pub(crate) fn moment(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < MOMENT {
        return Err("must be at least 1ms".to_owned());
    }
    Ok(time)
}

/// A time of so many milliseconds or more.
pub(crate) fn at_least<const MS: u64>(text: &str) -> Result<Duration, String> {
    let (time, least) = (duration(text)?, Duration::from_millis(MS));
    if time < least {
        return Err(format!("must be at least {}", duration_text(least)));
    }
    Ok(time)
}

/// As [`duration`] reads it, in the unit that needs no fraction.
pub(crate) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

/// How long tasks are kept: one time for all ways to end, such as `30d`, or one each, such as `completed=7d,failed=30d`.
/// `forever` keeps those too that had a time before.
pub(crate) fn retention(text: &str) -> Result<Retention, String> {
    let mut retention = Retention::default();
    let mut seen = Vec::new();
    for item in text.split(',').map(str::trim) {
        let Some((status, time)) = item.split_once('=') else {
            if seen.is_empty() && item == text.trim() {
                return life(item).map(|life| life.map(Retention::all).unwrap_or_default());
            }
            return Err(format!(
                "expected a status with its time, such as failed=30d, not {item}"
            ));
        };
        if seen.contains(&status) {
            return Err(format!("{status} is given twice"));
        }
        let place = match status {
            "completed" => &mut retention.completed,
            "failed" => &mut retention.failed,
            "timeout" => &mut retention.timeout,
            "cancelled" => &mut retention.cancelled,
            _ => {
                return Err(format!(
                    "{status} is no way to end; those are completed, failed, timeout and cancelled"
                ));
            }
        };
        *place = life(time)?;
        seen.push(status);
    }
    Ok(retention)
}

fn life(text: &str) -> Result<Option<Duration>, String> {
    if text == "forever" {
        return Ok(None);
    }
    duration(text).map(Some)
}

fn life_text(life: Duration) -> String {
    let seconds = life.as_secs();
    let is_of_days = seconds > 0 && seconds.is_multiple_of(24 * 3600);
    if is_of_days && life.subsec_nanos() == 0 {
        return format!("{}d", seconds / (24 * 3600));
    }
    duration_text(life)
}

/// As [`retention`] reads it.
pub(crate) fn retention_text(retention: &Retention) -> String {
    let named = [
        ("completed", retention.completed),
        ("failed", retention.failed),
        ("timeout", retention.timeout),
        ("cancelled", retention.cancelled),
    ];
    let set = named
        .iter()
        .filter_map(|(status, life)| Some(format!("{status}={}", life_text((*life)?))));
    let set: Vec<String> = set.collect();
    if set.is_empty() {
        return "forever".to_owned();
    }
    set.join(",")
}

/// Bytes: `1048576`, `512KiB`, `1MiB`, `2GiB`.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || "expected bytes, such as 1048576, 512KiB, 1MiB or 2GiB".to_owned();
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "kib" | "k" => 10,
        "mib" | "m" => 20,
        "gib" | "g" => 30,
        _ => return Err(wrong()),
    };
    let count: usize = digits.trim_end().parse().map_err(|_| wrong())?;
    let bytes = count.checked_mul(1 << shift).ok_or_else(wrong)?;
    if bytes > BYTES_MAX {
        return Err("must be at most 1024GiB".to_owned());
    }
    Ok(bytes)
}

/// Bytes that something fits into: with none, what they bound could not be at all.
pub(crate) fn room(text: &str) -> Result<usize, String> {
    match bytes(text)? {
        0 => Err("must be at least 1 byte".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Where a server is: `http://127.0.0.1:8000`.
pub(crate) fn url(text: &str) -> Result<reqwest::Url, String> {
    let url: Option<reqwest::Url> = text.trim().parse().ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| "expected an address such as http://127.0.0.1:8000".to_owned())
}

/// Where a server listens: `127.0.0.1:8000`, `[::1]:0`, `localhost:8000`.
pub(crate) fn listen(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':');
    let is_right =
        parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    is_right.then(|| text.to_owned()).ok_or_else(|| {
        "expected an address of this machine and a port, such as 127.0.0.1:8000".to_owned()
    })
}

/// `name=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected name=value".to_owned()),
    }
}

/// Labels of a worker, with commas between; a comma behind a backslash belongs to a value.
pub(crate) fn labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut words = vec![String::new()];
    for letter in text.chars() {
        let word = words.last_mut().expect("there is one from the first on");
        match letter {
            ',' if word.ends_with('\\') => {
                word.pop();
                word.push(',');
            }
            ',' => words.push(String::new()),
            letter => word.push(letter),
        }
    }
    let is_one = words.len() == 1;
    let labels = words.iter().map(|word| {
        label(word).map_err(|wrong| match is_one {
            true => wrong,
            false => format!("{word:?}: {wrong}"),
        })
    });
    labels.collect()
}

fn label(text: &str) -> Result<(String, String), String> {
    let label = pair(text)?;
    match Labels::new([label.clone()]) {
        Ok(_) => Ok(label),
        Err(BadLabels::Name(_, why)) => Err(format!("its name {why}")),
        Err(bad) => Err(bad.to_string()),
    }
}

/// A demand on a worker's labels: `gpu=a100`, `memory_gb=>=16`.
pub(crate) fn demand(text: &str) -> Result<(String, String), String> {
    let name = text.split(['=', '<', '>']).next().unwrap_or_default();
    let said = &text[name.len()..];
    if said.starts_with(['<', '>']) && !name.is_empty() {
        return Err(format!(
            "a comparison stands behind name=, so this is written {name}={said}"
        ));
    }
    pair(text)
}

/// A whole number, of which the server says how large it may be.
pub(crate) fn whole(text: &str) -> Result<i64, String> {
    let number = text.trim().parse();
    number.map_err(|_| "expected a whole number, such as 3".to_owned())
}

/// How many are listed at most.
pub(crate) fn limit(text: &str) -> Result<u32, String> {
    let number = text.trim().parse().ok();
    let number = number.filter(|number| (1..=1000).contains(number));
    number.ok_or_else(|| "expected a whole number from 1 to 1000".to_owned())
}

/// A number with or without a point, of which the server says how large it may be.
pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    let number = text.trim().parse().ok();
    let number = number.filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a number, such as 2 or 0.5".to_owned())
}

/// A time as it is answered.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time as it is sent.
pub(crate) fn millis_sent(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A queue's name.
pub(crate) fn queue(text: &str) -> Result<String, String> {
    let named = Name::path(text).map(|_| text.to_owned());
    named.map_err(|why| format!("it is no name: it {why}"))
}

/// A worker's name.
pub(crate) fn worker(text: &str) -> Result<String, String> {
    let named = Name::plain(text).map(|_| text.to_owned());
    named.map_err(|why| format!("it is no name: it {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_with_commas_between_and_may_hold_some() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let expected = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            assert_eq!(labels(text), Ok(expected.collect()), "{text}");
        };

        check("gpu=a100", &[("gpu", "a100")]);
        check("gpu=a100,disk=ssd", &[("gpu", "a100"), ("disk", "ssd")]);
        check(
            r"city=Paris\, Texas,x=\y\z",
            &[("city", "Paris, Texas"), ("x", r"\y\z")],
        );
        assert_eq!(labels("gpu"), Err("expected name=value".to_owned()));
        let wrong = labels("gpu=a100,disk").unwrap_err();
        assert_eq!(wrong, "\"disk\": expected name=value");
    }

    #[test]
    fn what_no_queue_or_worker_can_be_called_is_no_name() {
        assert_eq!(queue("a/b"), Ok("a/b".to_owned()));
        for (said, why) in [
            (queue("a b"), "may hold only"),
            (queue(""), "must not be empty"),
            (worker("a/b"), "may hold only"),
            (worker(".."), "must not be"),
        ] {
            let said = said.unwrap_err();
            assert!(
                said.starts_with("it is no name: it ") && said.contains(why),
                "{said}"
            );
        }
    }

    #[test]
    fn a_demand_that_is_a_comparison_is_told_how_it_is_written() {
        let read = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(demand("gpu=a100"), read("gpu", "a100"));
        assert_eq!(demand("memory_gb=>=16"), read("memory_gb", ">=16"));
        for (text, right) in [
            ("gpu>=3", "gpu=>=3"),
            ("gpu>3", "gpu=>3"),
            ("gpu<=3", "gpu=<=3"),
        ] {
            let said = demand(text).unwrap_err();
            assert!(said.ends_with(&format!(" {right}")), "{said}");
        }
        assert!(demand("gpu").is_err());
    }

    #[test]
    fn a_number_that_is_none_is_told_what_was_expected() {
        assert_eq!((whole("-3"), limit("1000")), (Ok(-3), Ok(1000)));
        assert_eq!(fraction("1.5"), Ok(1.5));
        for said in [
            whole("zz").unwrap_err(),
            limit("zz").unwrap_err(),
            limit("1001").unwrap_err(),
            fraction("NaN").unwrap_err(),
        ] {
            assert!(said.starts_with("expected a "), "{said}");
        }
    }

    #[test]
    fn an_address_says_how_the_server_is_spoken_to() {
        assert!(url("http://127.0.0.1:8000").is_ok());
        assert!(url("https://tasks.example").is_ok());
        for text in ["127.0.0.1:8000", "localhost:8000", "ftp://localhost", ""] {
            assert!(url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn retention_is_one_time_or_one_for_each_way_to_end() {
        let days = |days: u64| Some(Duration::from_hours(24 * days));
        assert_eq!(retention("30d"), Ok(Retention::all(days(30).unwrap())));
        assert_eq!(retention("forever"), Ok(Retention::default()));
        let mixed = Retention {
            completed: days(7),
            failed: days(30),
            ..Retention::default()
        };
        assert_eq!(
            retention("completed=7d, failed=30d,timeout=forever"),
            Ok(mixed)
        );
        assert_eq!(retention(&retention_text(&mixed)), Ok(mixed));
        assert_eq!(retention_text(&Retention::default()), "forever");
        for wrong in [
            "",
            "7",
            "done=7d",
            "running=7d",
            "failed=7d,failed=8d",
            "7d,failed=8d",
            "failed=7d,8d",
            "failed=-1s",
            "4000d",
        ] {
            assert!(retention(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, millis) in [
            ("30s", 30_000),
            ("1500ms", 1500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1d12h", 129_600_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["30", "1.5", "", "soon", "-3s", "9e9h", "1mo", "1y"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_ten_years_at_most() {
        assert_eq!(duration("87600h"), Ok(TIME_MAX));
        for text in ["87600h1ms", "3651d", "100000h"] {
            let said = duration(text).unwrap_err();
            assert!(said.contains("at most 3650d"), "{said}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for millis in [0, 1, 999, 1000, 1500, 60_000, 90_000, 3_600_000] {
            let wait = Duration::from_millis(millis);
            assert_eq!(duration(&duration_text(wait)), Ok(wait));
        }
    }

    #[test]
    fn what_would_leave_no_room_or_no_time_is_refused() {
        assert_eq!(room("1"), Ok(1));
        assert_eq!(bytes("0"), Ok(0));
        for text in ["0", "0GiB", "1025GiB", "18446744073709551615"] {
            assert!(room(text).is_err(), "{text}");
        }
        assert_eq!(moment("1ms"), Ok(MOMENT));
        for text in ["0s", "999us", "0h"] {
            assert!(moment(text).is_err(), "{text}");
        }
        assert_eq!(at_least::<300>("300ms"), Ok(Duration::from_millis(300)));
        for text in ["0s", "1ms", "299ms", "299999us"] {
            let said = at_least::<300>(text).unwrap_err();
            assert_eq!(said, "must be at least 300ms", "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!(bytes("1048576"), Ok(1 << 20));
        assert_eq!(bytes("1MiB"), Ok(1 << 20));
        assert_eq!(bytes("3 KiB"), Ok(3072));
        for text in ["", "MiB", "1XB", "-1", "1.5MiB", "99999999999999999999GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
