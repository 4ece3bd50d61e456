//! The writes of a commit, joined to one statement. PostgreSQL answers each statement by a message of its own, which
//! wakes whoever waits for it: where a batch is small, that is a good part of what it costs.

use std::fmt::Write as _;

use tokio_postgres::Error;

use super::params::Params;
use super::question::Question;
use super::session::Session;
use super::sql::Write;

/// One statement after the other; most commits have one.
#[derive(Default)]
pub(super) struct Writes<'a> {
    statements: Vec<Joined<'a>>,
    /// What is added next begins another statement.
    is_closed: bool,
}

/// Writes that happen at once: none sees what the others do, nor is their order known.
#[derive(Default)]
struct Joined<'a> {
    form: Form,
    params: Params<'a>,
}

/// What makes a joined statement what it is.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Form {
    writes: Vec<Write>,
    /// One of them has several rows. Where none has, each parameter is a value in place of an array.
    has_many: bool,
}

impl<'a> Writes<'a> {
    /// Where there are rows for it.
    pub(super) fn add<R>(
        &mut self,
        rows: &'a [R],
        write: Write,
        params: impl FnOnce(&'a [R]) -> Params<'a>,
    ) {
        if rows.is_empty() {
            return;
        }
        if self.is_closed || self.statements.is_empty() {
            self.statements.push(Joined::default());
            self.is_closed = false;
        }
        if let Some(joined) = self.statements.last_mut() {
            joined.form.writes.push(write);
            joined.form.has_many |= rows.len() > 1;
            joined.params.append(params(rows));
        }
    }

    /// What is added from here on sees what came before it.
    pub(super) fn then(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn len(&self) -> usize {
        self.statements.len()
    }

    /// Which of the statements answers where counters stand.
    pub(super) fn spotting(&self) -> Option<usize> {
        let spots = |write: &Write| answers_spots(write.text());
        let mut forms = self.statements.iter().map(|joined| &joined.form);
        forms.position(|form| form.writes.iter().any(spots))
    }

    /// Each statement as this session asks it, prepared now where it was not before.
    pub(super) async fn prepared(
        self,
        session: &Session,
    ) -> Result<Vec<(Question, Params<'a>)>, Error> {
        let mut prepared = Vec::with_capacity(self.statements.len());
        for Joined { mut form, params } in self.statements {
            // Only the database could tell which of its parameters are no arrays.
            form.has_many |= session.is_pooled();
            prepared.push((session.joined(form).await?, params));
        }
        Ok(prepared)
    }
}

impl Form {
    /// One statement that does all of these, and fails unless those that are counted met as many rows as they were
    /// given: 1 / 0 stands for a conflict.
    pub(super) fn text(&self) -> String {
        let (mut parts, mut met, mut stood) = (Vec::new(), Vec::new(), Vec::new());
        let mut params = 0;
        for (place, write) in self.writes.iter().enumerate() {
            let text = write.text().trim_end();
            if is_counted(text) {
                let given = if self.has_many {
                    format!("cardinality(${})", params + 1)
                } else {
                    "1".to_owned()
                };
                met.push(format!("(select count(*) from write_{place}) = {given}"));
            }
            if answers_spots(text) {
                stood.push(format!("select lane, spot from write_{place}"));
            }
            let (text, last) = numbered_behind(params, text);
            parts.push(if self.has_many {
                text
            } else {
                for_one_row(&text)
            });
            params = last;
        }
        let has_met = !met.is_empty();
        let met = format!("select 1 / ({})::int", met.join(" and "));
        let end = if !stood.is_empty() {
            let stood = stood.join(" union all ");
            format!("{met}, array_agg(lane), array_agg(spot) from ({stood}) as stood")
        } else if has_met {
            met
        } else {
            parts.pop().unwrap_or_default()
        };
        let parts = parts.iter().enumerate();
        let parts: Vec<String> = parts
            .map(|(place, text)| format!("write_{place} as (\n{text}\n)"))
            .collect();
        if parts.is_empty() {
            return end;
        }
        format!("with {}\n{end}", parts.join(", "))
    }
}

/// The same statement with a value in place of each array.
fn for_one_row(text: &str) -> String {
    let text = text.replace("unnest($", "($").replace("any ($", "($");
    text.replace("[])", ")")
}

/// One answers a row for each that it met.
fn is_counted(text: &str) -> bool {
    text.trim_end().ends_with("returning 1") || answers_spots(text)
}

/// Where each row stands that it met.
fn answers_spots(text: &str) -> bool {
    text.trim_end().ends_with(" as spot")
}

/// The text with its parameters behind so many others, and the number of the last of them.
fn numbered_behind(others: usize, text: &str) -> (String, usize) {
    let mut pieces = text.split('$');
    let mut numbered = pieces.next().unwrap_or_default().to_owned();
    let mut last = others;
    for piece in pieces {
        let rest = piece.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let number = piece[..piece.len() - rest.len()].parse::<usize>();
        let number = others + number.expect("a parameter has a number");
        let _ = write!(numbered, "${number}{rest}");
        last = last.max(number);
    }
    (numbered, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_on() {
        let text = "select $1::int[], $2, ($10)";
        let expected = ("select $4::int[], $5, ($13)".to_owned(), 13);
        assert_eq!(numbered_behind(3, text), expected);
    }

    fn form(writes: &[Write], has_many: bool) -> Form {
        Form {
            writes: writes.to_vec(),
            has_many,
        }
    }

    #[test]
    fn only_what_is_counted_must_meet_its_rows() {
        let writes = [Write::ReadyInsert, Write::LeaseDelete, Write::LeaseUpdate];
        let statement = form(&writes, true).text();
        assert!(
            statement.ends_with(
                "select 1 / ((select count(*) from write_1) = cardinality($6) \
                and (select count(*) from write_2) = cardinality($7))::int"
            ),
            "{statement}"
        );
    }

    #[test]
    fn a_single_row_needs_no_arrays() {
        let statement = form(&[Write::LeaseDelete, Write::ReadyInsert], false).text();
        let expected = "where ctid = ($1::tid)\nreturning 1\n), write_1 as (\n";
        assert!(statement.contains(expected), "{statement}");
        let end = "select ($2::int), ($3::bigint), ($4::uuid), ($5::smallint), ($6::bool)\n)\n\
            select 1 / ((select count(*) from write_0) = 1)::int";
        assert!(statement.ends_with(end), "{statement}");
    }

    #[test]
    fn where_counters_stand_is_answered_for_all_of_them() {
        let writes = [Write::TaskInsert, Write::CounterAddAt, Write::CounterAdd];
        let statement = form(&writes, false).text();
        assert!(
            statement.ends_with(
                "select 1 / ((select count(*) from write_1) = 1 and (select count(*) from write_2) = 1)::int, \
                array_agg(lane), array_agg(spot) from (select lane, spot from write_1 union all \
                select lane, spot from write_2) as stood"
            ),
            "{statement}"
        );
    }

    #[test]
    fn one_that_is_not_counted_stands_as_it_is_written() {
        let alone = form(&[Write::TaskInsert], true).text();
        assert_eq!(alone, Write::TaskInsert.text().trim_end());
    }
}
