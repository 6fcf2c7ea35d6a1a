//! What a server says in `GET /metrics` of its database.

/// Counts since the server's start, those of them that it knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Transactions, each with one fsync.
    pub(super) commits: Option<u64>,
    /// Batches that transactions kept.
    pub(super) batches: Option<u64>,
    /// Statements of writes.
    pub(super) statements: Option<u64>,
    /// Statements of reads.
    pub(super) queries: Option<u64>,
}

impl Counts {
    /// From the text of the format: lines of name and number, for these names without labels.
    pub(super) fn read(text: &str) -> Counts {
        let of = |name: &str| {
            let mut samples = text.lines().filter_map(|line| line.split_once(' '));
            samples.find(|(found, _)| *found == name).and_then(|(_, number)| number.parse().ok())
        };
        Counts {
            commits: of("selvedge_database_commits_total"),
            batches: of("selvedge_database_batches_total"),
            statements: of("selvedge_database_statements_total"),
            queries: of("selvedge_database_queries_total"),
        }
    }

    /// What came since an earlier look.
    pub(super) fn since(&self, earlier: &Counts) -> Counts {
        let less = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Counts {
            commits: less(self.commits, earlier.commits),
            batches: less(self.batches, earlier.batches),
            statements: less(self.statements, earlier.statements),
            queries: less(self.queries, earlier.queries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_not_known() {
        let text = "# HELP selvedge_database_commits_total Commits.\n# TYPE selvedge_database_commits_total \
            counter\nselvedge_database_commits_total 12\nselvedge_database_statements_total 30\n\
            selvedge_database_queries_totals 9\n";
        let counts = Counts::read(text);
        assert_eq!(counts, Counts { commits: Some(12), batches: None, statements: Some(30), queries: None });
        let earlier = Counts { commits: Some(2), ..Counts::default() };
        assert_eq!(counts.since(&earlier), Counts { commits: Some(10), ..Counts::default() });
    }
}
