//! Lists by any filter, page by page.

use taskyard_core::filter::{Filter, Search};
use taskyard_core::id::TaskId;
use taskyard_core::name::Name;
use taskyard_core::query::List;
use taskyard_core::status::Status;
use taskyard_core::time::Timestamp;

use super::Sequence;

impl Sequence {
    /// Some statuses, lanes and labels or all of them, in pages of any size, either way round.
    pub(super) fn list(&mut self) -> List {
        let statuses = Status::ALL.into_iter();
        let statuses = if self.one_in(2) {
            statuses.filter(|_| self.one_in(3)).collect()
        } else {
            Vec::new()
        };
        let kind = ["a", "b", "c"][self.below(3)];
        let queue = ["default", "other"][self.below(2)];
        let team = ["blue", "red"][self.below(2)];
        let filter = Filter {
            statuses,
            kind: self.one_in(3).then(|| Name::path(kind).unwrap()),
            queue: self.one_in(3).then(|| Name::path(queue).unwrap()),
            labels: self
                .one_in(3)
                .then(|| (Name::path("team").unwrap(), team.into()))
                .into_iter()
                .collect(),
            worker: self
                .one_in(4)
                .then(|| self.any(|it| &it.workers).expect("there are some").worker),
            search: self.one_in(4).then(|| self.search()),
            created_after: self.one_in(4).then(|| self.moment()),
            created_before: self.one_in(4).then(|| self.moment()),
        };
        List {
            filter,
            oldest_first: self.one_in(2),
            limit: 1 + self.below(20),
            ..List::default()
        }
    }

    /// Words that stand on some, or the beginning of an id.
    fn search(&mut self) -> Search {
        let id = self.any(|it| &it.tasks).map(|task| task.to_string());
        let len = Search::ID_LEN_MIN + self.below(20);
        let words = ["a", "BLUE", "team red", "b blue"][self.below(4)];
        let text = id.filter(|_| self.one_in(2)).map(|id| id[..len].to_owned());
        Search::read(text.as_deref().unwrap_or(words)).unwrap()
    }

    /// When some task was made.
    fn moment(&mut self) -> Timestamp {
        self.any(|it| &it.tasks)
            .map_or(self.yard.now(), TaskId::made_at)
    }

    /// Page by page.
    pub(super) async fn read_all(&self, mut list: List) {
        loop {
            let listed = self.yard.list(list.clone()).await;
            list.after = listed.next;
            if list.after.is_none() {
                return;
            }
        }
    }
}
