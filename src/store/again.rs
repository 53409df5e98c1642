//! SQL that is asked again and again in the same words: a connection has it planned once, and not each time.
//!
//! `diesel::sql_query` keeps no plan, for its words may be made anew each time. Must never wrap words that depend on values.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

/// A question whose words are always the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again<Q>(pub Q);

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Again<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

/// The words tell one from another.
impl<Q> QueryId for Again<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Again<Q> {
    type SqlType = Q::SqlType;
}
