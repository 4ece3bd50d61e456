//! `GET /problems/{code}`: what the `type` of a problem leads to, which is its row of `docs/problems.md`.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use taskyard_api::problem::NO_SUCH_ROUTE;

use super::{Code, new};
use crate::response::Answer;

const TABLE: &str = include_str!("../../../../docs/problems.md");

/// Whether the path is that of the route below.
pub(crate) fn is_one(path: &str) -> bool {
    path.starts_with("/problems/")
}

pub(crate) async fn show(Path(word): Path<String>) -> Answer {
    let code = Code::ALL.iter().find(|code| code.word() == word);
    let row = code.and_then(|code| Some((code, row(code.word())?)));
    let Some((code, [when, what_to_do])) = row else {
        return Err(new(Code::NotFound, NO_SUCH_ROUTE).into());
    };
    let text = format!(
        "{word}: {} {}\n\nWhen: {when}.\nWhat to do: {what_to_do}.\n",
        code.status(),
        code.title()
    );
    Ok(plain(text))
}

/// When it is said, and what to do.
fn row(word: &str) -> Option<[&'static str; 2]> {
    let begin = format!("| `{word}` |");
    let line = TABLE.lines().find(|line| line.starts_with(&begin))?;
    let mut cells = line.split(" | ").map(|cell| cell.trim_matches(['|', ' ']));
    Some([cells.nth(2)?, cells.next()?])
}

fn plain(text: String) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(CONTENT_TYPE, "text/plain; charset=utf-8");
    say(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // After an upgrade it may say something else.
    say(CACHE_CONTROL, "max-age=600");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_row_that_says_when_and_what_to_do() {
        for code in Code::ALL {
            let row = row(code.word()).unwrap_or_else(|| panic!("{}", code.word()));
            assert!(row.iter().all(|cell| cell.len() > 5), "{row:?}");
        }
    }
}
