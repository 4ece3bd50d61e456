//! The two formats: OpenMetrics 1.0.0, which the library writes, and the older text format 0.0.4.

use http::HeaderMap;
use http::header::ACCEPT;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    OpenMetrics,
    Plain,
}

impl Format {
    /// What the reader likes best of the two, as it says in its `Accept`; the older one where it says nothing of either.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let (mut open, mut plain) = (0.0, 0.0);
        let ranges = headers.get_all(ACCEPT).iter();
        let ranges = ranges.filter_map(|value| value.to_str().ok());
        for range in ranges.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = weight(parts);
            match &*media_type {
                "application/openmetrics-text" => open = weight.max(open),
                "text/plain" => plain = weight.max(plain),
                _ => {}
            }
        }
        if open > 0.0 && open >= plain {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// What was written as OpenMetrics, in this format.
    pub(super) fn of(self, open: String) -> String {
        match self {
            Self::OpenMetrics => open,
            Self::Plain => plain(&open),
        }
    }
}

/// RFC 9110 §12.4.2: from 0 to 1, and 1 where none is given. What is no number counts as 0.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> f64 {
    let weight = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

/// In the older format a family has the name of its samples; there is no end, and no type of its own for what is always
/// 1.
fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = "";
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                _ => ("", kind),
            };
            text += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_gets_what_it_likes_best() {
        let check = |accept: &str, wanted: Format| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Format::wanted(&headers), wanted, "{accept}");
        };
        let (open, plain) = (Format::OpenMetrics, Format::Plain);

        check("application/openmetrics-text", open);
        check("Application/OpenMetrics-Text; version=1.0.0", open);
        check("text/plain;version=0.0.4", plain);
        check("*/*", plain);
        check("text/html, text/*;q=0.9", plain);
        check(
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
            open,
        );
        check("application/openmetrics-text;q=0.3,text/plain;q=0.5", plain);
        check("application/openmetrics-text;q=0", plain);
        check("application/openmetrics-text;q=much", plain);
        assert_eq!(Format::wanted(&HeaderMap::new()), plain);
    }

    #[test]
    fn the_older_format_has_no_units_and_names_families_like_their_samples() {
        let open = "# HELP a_seconds Some.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1\n\
                    # HELP b What.\n# TYPE b info\nb_info{v=\"# 1\"} 1\n# HELP c C.\n# TYPE c gauge\nc 2\n# EOF\n";

        let plain = plain(open);

        assert_eq!(
            plain,
            "# HELP a_seconds_total Some.\n# TYPE a_seconds_total counter\na_seconds_total 1\n\
             # HELP b_info What.\n# TYPE b_info gauge\nb_info{v=\"# 1\"} 1\n# HELP c C.\n# TYPE c gauge\nc 2\n"
        );
    }
}
