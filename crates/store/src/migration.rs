//! Which migrations a database has yet to see, and which programs it is open to afterwards.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Migration {
    /// The schema it leads to; counted from 1, in order.
    pub(crate) number: i32,
    /// The oldest program, by the schema it knows, that can still work beside it.
    pub(crate) min_compatible: i32,
    pub(crate) statements: &'static str,
}

/// Those of `all` that a database of this schema has not seen, which is none if it is of a newer one; each with the
/// oldest program that can work beside it and all those before it.
pub(crate) fn missing(
    all: &[Migration],
    schema: i32,
    min_compatible: i32,
) -> impl Iterator<Item = Migration> {
    let later = all.iter().filter(move |one| one.number > schema);
    later.scan(min_compatible, |needs, one| {
        *needs = one.min_compatible.max(*needs);
        Some(Migration {
            min_compatible: *needs,
            ..*one
        })
    })
}

/// What is worth a line of a database that was of schema `from`: whoever goes back to an older program should know.
pub(crate) fn words(all: &[Migration], from: i32, min_compatible: i32) -> Option<String> {
    let last = missing(all, from, min_compatible).last()?;
    let (to, needs) = (last.number, last.min_compatible);
    let closed = if needs > min_compatible {
        format!("programs that know no schema from {needs} on cannot open it any more")
    } else {
        "the programs that could open it before still can".to_owned()
    };
    Some(format!(
        "the database was brought from schema {from} to {to}; {closed}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_stays_closed_to_programs_that_one_migration_kept_out() {
        let all = [(1, 1), (2, 2), (3, 1)].map(|(number, min_compatible)| Migration {
            number,
            min_compatible,
            statements: "",
        });
        let needs = |schema, min_compatible| -> Vec<(i32, i32)> {
            missing(&all, schema, min_compatible)
                .map(|one| (one.number, one.min_compatible))
                .collect()
        };

        assert_eq!(needs(0, 0), [(1, 1), (2, 2), (3, 2)]);
        assert_eq!(needs(2, 2), [(3, 2)]);
        assert_eq!(needs(9, 8), []);

        let said = |schema, min_compatible| words(&all, schema, min_compatible);
        assert_eq!(
            said(1, 1).as_deref(),
            Some(
                "the database was brought from schema 1 to 3; programs that know no schema from 2 on cannot open it any \
                 more"
            )
        );
        assert_eq!(
            said(2, 2).as_deref(),
            Some(
                "the database was brought from schema 2 to 3; the programs that could open it before still can"
            )
        );
        assert_eq!(said(3, 2), None);
    }
}
