//! What every driver of the `Database` trait must do, written once over the trait.
//!
//! A driver's test file names how an empty database is made; `driver_suite!` makes a test of each case.
//! Each case makes its own tables, so a database is used for one case only.

mod cases;

pub(crate) use cases::*;

use selvedge::store::database::{Batch, Cell, Database, Expect, Outcome, Row, Statement};

/// One test per case. `$open` is an expression that gives a fresh, empty database and whatever must
/// outlive it, as a pair.
#[macro_export]
macro_rules! driver_suite {
    ($driver:ident, $open:expr) => {
        mod $driver {
            use super::*;
            $crate::driver_cases!([$crate::driver_tests] $open);
        }
    };
}

/// Hands the names of the cases to a macro, after an argument for it.
#[macro_export]
macro_rules! driver_cases {
    ([$($then:tt)+] $argument:tt) => {
        $($then)+! {
            $argument;
            keeps_every_kind_of_value, commits_whole_or_not_at_all, checks_expectations,
            counts_rows_of_each_kind_of_write, refuses_what_violates_a_constraint,
            answers_for_each_batch_of_a_call, applies_batches_in_the_order_of_calls,
            keeps_the_order_behind_a_refusal, commits_what_nobody_waits_for, reads_one_view,
            reads_what_was_answered, names_wrong_statements, leaves_transactions_to_the_driver,
            takes_nothing_for_an_answer, changes_the_schema_under_prepared_statements
        }
    };
}

/// A test for each case, by tokio.
#[macro_export]
macro_rules! driver_tests {
    ($open:expr; $($case:ident),*) => {
        $(#[tokio::test]
        async fn $case() {
            let (database, _alive) = $open;
            $crate::suite::$case(&database).await;
        })*
    };
}

/// A batch of writes that may change any number of rows.
pub(crate) fn batch(statements: impl IntoIterator<Item = Statement>) -> Batch {
    Batch { writes: statements.into_iter().map(|statement| (statement, Expect::Any)).collect() }
}

/// A statement from its text and parameters.
pub(crate) fn sql<const N: usize>(
    text: impl Into<std::borrow::Cow<'static, str>>,
    params: [Cell; N],
) -> Statement {
    Statement::new(text, params.into())
}

/// Commits one batch of statements.
pub(crate) async fn commit(database: &impl Database, statements: impl IntoIterator<Item = Statement>) {
    let outcomes = database.write(vec![batch(statements)]).await;
    assert_eq!(outcomes, Ok(vec![Outcome::Committed]));
}

/// The rows of one read.
pub(crate) async fn rows<const N: usize>(
    database: &impl Database,
    text: &'static str,
    params: [Cell; N],
) -> Vec<Row> {
    let mut answers = database.read(vec![sql(text, params)]).await.expect("the read is right");
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// The only integer of the only row.
pub(crate) async fn number(database: &impl Database, text: &'static str) -> i64 {
    let rows = rows(database, text, []).await;
    let [row] = &rows[..] else { panic!("expected one row of {text}, found {rows:?}") };
    row[0].as_i64().expect("the column is an integer")
}
