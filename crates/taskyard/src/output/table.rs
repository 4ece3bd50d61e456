//! Tables: one line a row, whatever the terminal's width. Words stay whole; where there is no room, columns that matter
//! less are left out, in an order of their own, and free text is cut. Where nobody looks, as in a pipe, all is there.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::safe;

/// Between two columns.
const GAP: usize = 2;
/// Before free text is cut shorter than this, another column goes.
const TEXT_MIN: usize = 12;
/// The same of names, most of which are shorter.
const NAME_MIN: usize = 24;
/// An id is cut no shorter than this: so much of it tells its time, and finds it.
const ID_MIN: usize = 14;

#[derive(Clone, Copy)]
pub(crate) struct Column {
    header: &'static str,
    /// When it goes where there is no room, the lowest first; none stays.
    leaves: Option<u8>,
    /// It may be cut, but no shorter than this.
    cut_to: Option<usize>,
    /// Before the last other column leaves, it is cut, but no shorter than this.
    shortens_to: Option<usize>,
    /// It is no narrower than this, where there is room.
    at_least: usize,
}

impl Column {
    /// Always there, and whole.
    pub(crate) const fn new(header: &'static str) -> Self {
        Self {
            header,
            leaves: None,
            cut_to: None,
            shortens_to: None,
            at_least: 0,
        }
    }

    /// So wide from the first row on, in a table that is printed as it comes.
    pub(crate) const fn at_least(self, width: usize) -> Self {
        Self {
            at_least: width,
            ..self
        }
    }

    /// Left out where there is no room; those with lower numbers go before it.
    pub(crate) const fn leaves(self, turn: u8) -> Self {
        Self {
            leaves: Some(turn),
            ..self
        }
    }

    /// Free text, cut to what the others leave.
    pub(crate) const fn text(self) -> Self {
        Self {
            cut_to: Some(TEXT_MIN),
            ..self
        }
    }

    /// An id, which is whole while there is something else to leave out, and stays when all else has left.
    pub(crate) const fn id(self) -> Self {
        Self {
            shortens_to: Some(ID_MIN),
            ..self
        }
    }

    /// A name, of which one that is very long does not cost the others their column.
    pub(crate) const fn name(self) -> Self {
        Self {
            cut_to: Some(NAME_MIN),
            ..self
        }
    }
}

/// The columns that are left out where there is no room, the first to go first, for people to read.
pub(crate) fn leaving(columns: &[Column]) -> String {
    let mut leaving: Vec<_> = columns
        .iter()
        .filter(|column| column.leaves.is_some())
        .collect();
    leaving.sort_by_key(|column| column.leaves);
    let names: Vec<&str> = leaving.iter().map(|column| column.header).collect();
    let shortens = columns.iter().any(|column| column.shortens_to.is_some());
    let ids = if shortens {
        ", before which ids are shortened"
    } else {
        ""
    };
    format!("{}{ids}", names.join(", "))
}

/// What a word is told apart by where there are colours.
#[derive(Clone, Copy)]
pub(crate) enum Tint {
    Plain,
    Active,
    Good,
    Bad,
    Odd,
}

impl Tint {
    /// The escapes are taken out again where nobody sees colours; see [`super::line`].
    pub(crate) fn paint(self, text: &str) -> String {
        let colour = match self {
            Self::Plain => return text.to_owned(),
            Self::Active => AnsiColor::Blue,
            Self::Good => AnsiColor::Green,
            Self::Bad => AnsiColor::Red,
            Self::Odd => AnsiColor::Yellow,
        };
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{text}{style:#}")
    }
}

/// One line of text, whatever it was made from.
pub(crate) struct Cell {
    text: String,
    tint: Tint,
}

impl Cell {
    pub(crate) fn tinted(text: &str, tint: Tint) -> Self {
        Self {
            tint,
            ..Self::from(text)
        }
    }
}

impl<T: Display> From<T> for Cell {
    fn from(value: T) -> Self {
        Self {
            text: safe(&value.to_string()).replace(['\n', '\t'], " "),
            tint: Tint::Plain,
        }
    }
}

/// The table as standard output takes it: fit for its terminal, or whole.
pub(crate) fn table<C: Into<Cell>>(columns: &[Column], rows: Vec<Vec<C>>) -> String {
    Pieces::of(columns).more(rows)
}

/// A table that is printed as it comes: its columns are as wide as the widest cell so far.
pub(crate) struct Pieces<'a> {
    columns: &'a [Column],
    within: Option<usize>,
    /// None before its first piece, which has the header.
    natural: Option<Vec<usize>>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(columns: &'a [Column]) -> Self {
        let width = terminal_size::terminal_size_of(std::io::stdout());
        Self {
            columns,
            within: width.map(|(width, _)| usize::from(width.0)),
            natural: None,
        }
    }

    /// The next rows of it.
    pub(crate) fn more<C: Into<Cell>>(&mut self, rows: Vec<Vec<C>>) -> String {
        let header = || {
            let headers = self.columns.iter();
            let header = headers.map(|column| column.header.to_uppercase().into());
            header.collect()
        };
        let header: Option<Vec<Cell>> = self.natural.is_none().then(header);
        let rows = rows.into_iter();
        let rows = rows.map(|row| row.into_iter().map(Into::into).collect());
        let lines: Vec<Vec<Cell>> = header.into_iter().chain(rows).collect();
        let least = || self.columns.iter().map(|column| column.at_least).collect();
        let natural = self.natural.get_or_insert_with(least);
        for line in &lines {
            for (width, cell) in natural.iter_mut().zip(line) {
                *width = cell.text.width().max(*width);
            }
        }
        let widths = fit(self.columns, natural, self.within);
        let lines: Vec<String> = lines.iter().map(|line| one(line, &widths)).collect();
        lines.join("\n")
    }
}

/// The width of each column, none for those that are left out.
fn fit(columns: &[Column], natural: &[usize], within: Option<usize>) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = natural.iter().copied().map(Some).collect();
    let Some(within) = within else {
        return widths;
    };
    for (column, width) in columns.iter().zip(&mut widths) {
        if let Some(least) = column.cut_to {
            *width = width.map(|width| width.min(least));
        }
    }
    while taken(&widths) > within {
        let leaving = (0..columns.len())
            .filter(|number| widths[*number].is_some())
            .filter_map(|number| Some((columns[number].leaves?, number)));
        let (first, count) = (leaving.clone().min(), leaving.count());
        if count <= 1 && shorten(columns, &mut widths, within) {
            break;
        }
        let Some((_, leaves)) = first else { break };
        widths[leaves] = None;
    }
    for (number, column) in columns.iter().enumerate() {
        let others = taken(&widths) - widths[number].unwrap_or_default();
        let room = within.saturating_sub(others).max(1);
        if column.cut_to.is_some() {
            widths[number] = widths[number].map(|_| natural[number].min(room));
        }
    }
    widths
}

/// Cuts ids by what is too much, if they are long enough for that.
fn shorten(columns: &[Column], widths: &mut [Option<usize>], within: usize) -> bool {
    let mut too_much = taken(widths).saturating_sub(within);
    let mut cut = widths.to_vec();
    for (column, width) in columns.iter().zip(&mut cut) {
        if let (Some(least), Some(width)) = (column.shortens_to, width) {
            let less = too_much.min(width.saturating_sub(least));
            *width -= less;
            too_much -= less;
        }
    }
    if too_much == 0 {
        widths.copy_from_slice(&cut);
    }
    too_much == 0
}

fn taken(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

fn one(line: &[Cell], widths: &[Option<usize>]) -> String {
    let mut text = String::new();
    // Blanks are owed until something follows them, so that no line ends with any.
    let mut owed = 0;
    for (cell, width) in line.iter().zip(widths) {
        let Some(width) = *width else { continue };
        let shown = cut(&cell.text, width);
        if !shown.is_empty() {
            text.extend(std::iter::repeat_n(' ', owed));
            owed = 0;
            text.push_str(&cell.tint.paint(&shown));
        }
        owed += width - shown.width() + GAP;
    }
    text
}

/// At most so wide, with a sign where something is missing.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.width() <= max {
        return text.to_owned();
    }
    let (mut cut, mut width) = (String::new(), 0);
    for letter in text.chars() {
        width += letter.width().unwrap_or_default();
        if width >= max {
            break;
        }
        cut.push(letter);
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render<C: Into<Cell>>(
        columns: &[Column],
        rows: Vec<Vec<C>>,
        within: Option<usize>,
    ) -> String {
        let mut whole = Pieces {
            within,
            ..Pieces::of(columns)
        };
        whole.more(rows)
    }

    const COLUMNS: [Column; 5] = [
        Column::new("task"),
        Column::new("queue").leaves(1),
        Column::new("status").leaves(4),
        Column::new("age").leaves(2),
        Column::new("what").text().leaves(3),
    ];

    fn render_tasks(within: Option<usize>) -> Vec<String> {
        let rows = vec![
            vec![
                "01890a5d",
                "default",
                "completed",
                "12s",
                "the longest text there is,\nwith 漢字 in it",
            ],
            vec!["01890a5e", "default", "pending", "3s", ""],
        ];
        let text = render(&COLUMNS, rows, within);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn nothing_is_missing_where_there_is_room_or_no_terminal() {
        let whole = [
            "TASK      QUEUE    STATUS     AGE  WHAT",
            "01890a5d  default  completed  12s  the longest text there is, with 漢字 in it",
            "01890a5e  default  pending    3s",
        ];

        assert_eq!(render_tasks(None), whole);
        assert_eq!(render_tasks(Some(200)), whole);
        assert_eq!(render_tasks(Some(77)), whole);
    }

    #[test]
    fn text_is_cut_first_then_columns_leave_in_their_order() {
        let second = |within| render_tasks(Some(within)).swap_remove(1);
        for (within, line) in [
            (
                60,
                "01890a5d  default  completed  12s  the longest text there i…",
            ),
            (47, "01890a5d  default  completed  12s  the longest…"),
            (46, "01890a5d  completed  12s  the longest text th…"),
            (37, "01890a5d  completed  the longest tex…"),
            (24, "01890a5d  completed"),
            (18, "01890a5d"),
            (4, "01890a5d"),
        ] {
            assert_eq!(second(within), line, "{within}");
            let fits = render_tasks(Some(within))
                .iter()
                .all(|line| line.width() <= within);
            assert!(fits || within < 8, "{within}");
        }
    }

    #[test]
    fn one_long_name_is_cut_and_costs_the_others_nothing() {
        let columns = [
            Column::new("task"),
            Column::new("kind").name().leaves(3),
            Column::new("status").leaves(2),
            Column::new("what").text().leaves(1),
        ];
        let long = "k".repeat(64);
        let rows = || {
            vec![
                vec!["01890a5d", &long, "pending", ""],
                vec!["01890a5e", "echo", "pending", ""],
            ]
        };
        let second = |within| {
            let text = render(&columns, rows(), Some(within));
            text.lines().nth(2).map(str::to_owned)
        };
        let cut = |letters: usize| format!("01890a5e  echo{}  pending", " ".repeat(letters - 4));

        assert_eq!(second(100), Some(cut(64)));
        assert_eq!(second(80), Some(cut(55)));
        assert_eq!(second(43), Some(cut(24)));
        assert_eq!(second(42), Some("01890a5e  echo".to_owned()));
        assert_eq!(second(33), Some("01890a5e".to_owned()));
    }

    #[test]
    fn the_status_stays_as_long_as_ids_can_be_shortened_for_it() {
        let columns = [
            Column::new("task").id(),
            Column::new("status").leaves(2),
            Column::new("what").text().leaves(1),
        ];
        let second = |within| {
            let row = vec!["01890a5d-ac96-774b-bcce-b302099a8057", "completed", "12"];
            let text = render(&columns, vec![row], Some(within));
            text.lines().nth(1).unwrap().to_owned()
        };
        for (within, line) in [
            (53, "01890a5d-ac96-774b-bcce-b302099a8057  completed  12"),
            (50, "01890a5d-ac96-774b-bcce-b302099a8057  completed"),
            (40, "01890a5d-ac96-774b-bcce-b302…  completed"),
            (25, "01890a5d-ac96…  completed"),
            (24, "01890a5d-ac96-774b-bcce…"),
            (14, "01890a5d-ac96…"),
        ] {
            assert_eq!(second(within), line, "{within}");
        }
    }

    #[test]
    fn a_table_in_pieces_has_one_header_and_grows_as_wide_as_it_must() {
        let columns = [Column::new("queue"), Column::new("state")];
        let mut pieces = Pieces {
            within: None,
            ..Pieces::of(&columns)
        };
        let mut next = |queue| pieces.more(vec![vec![queue, "open"]]);

        assert_eq!(next("a"), "QUEUE  STATE\na      open");
        assert_eq!(next("longer"), "longer  open");
        assert_eq!(next("b"), "b       open");
        assert_eq!(pieces.more(Vec::<Vec<Cell>>::new()), "");

        let columns = [Column::new("status").at_least(9), Column::new("b")];
        let mut pieces = Pieces {
            within: None,
            ..Pieces::of(&columns)
        };
        let mut next = |status| pieces.more(vec![vec![status, "x"]]);
        assert_eq!(next("failed"), "STATUS     B\nfailed     x");
        assert_eq!(next("completed"), "completed  x");
    }

    #[test]
    fn wide_letters_are_counted_as_they_are_shown() {
        assert_eq!(cut("漢字漢字", 8), "漢字漢字");
        assert_eq!(cut("漢字漢字", 7), "漢字漢…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
    }

    #[test]
    fn colours_take_no_room() {
        let row = vec![Cell::tinted("failed", Tint::Bad), Cell::from("x")];
        let text = render(&[Column::new("a"), Column::new("b")], vec![row], Some(9));

        assert_eq!(
            anstream::adapter::strip_str(&text).to_string(),
            "A       B\nfailed  x"
        );
    }

    #[test]
    fn the_order_in_which_columns_leave_can_be_told() {
        assert_eq!(leaving(&COLUMNS), "queue, age, what, status");
    }
}
