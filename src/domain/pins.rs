//! What becomes of an account's pins: at most five, in the owner's order. Pure.

use super::ids::PostId;

/// The most: what Mastodon lets its own people pin, and what Misskey reads.
pub const MOST: usize = 5;

/// A change of pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Pin a post, after those that are pinned.
    Add(PostId),
    /// Unpin one.
    Remove(PostId),
    /// Put these first, in this order; the others follow as they stand.
    Order(Vec<PostId>),
}

impl Change {
    /// The pins after the change; a sentence where that is not possible. Pinning what is pinned and unpinning what is not
    /// changes nothing.
    pub fn apply(&self, pins: &[PostId]) -> Result<Vec<PostId>, String> {
        match self {
            Change::Add(id) if pins.contains(id) => Ok(pins.to_vec()),
            Change::Add(id) if pins.len() >= MOST => Err(format!(
                "post {id} cannot be pinned: {MOST} posts are pinned already, and servers read no more; unpin one with \
                 `everpost pin remove {}`",
                pins.last().unwrap_or(id)
            )),
            Change::Add(id) => Ok(pins.iter().copied().chain([*id]).collect()),
            Change::Remove(id) => Ok(pins.iter().copied().filter(|pin| pin != id).collect()),
            Change::Order(first) => {
                for (at, id) in first.iter().enumerate() {
                    if !pins.contains(id) {
                        return Err(format!("post {id} is not pinned; `everpost pin list` shows those that are"));
                    }
                    if first[..at].contains(id) {
                        return Err(format!("post {id} is named twice; name each once"));
                    }
                }
                let rest = pins.iter().copied().filter(|pin| !first.contains(pin));
                Ok(first.iter().copied().chain(rest).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: Change, pins: &[i64]) -> Result<Vec<i64>, String> {
        let pins: Vec<PostId> = pins.iter().copied().map(PostId).collect();
        change.apply(&pins).map(|pins| pins.into_iter().map(|pin| pin.0).collect())
    }

    fn order(ids: &[i64]) -> Change {
        Change::Order(ids.iter().copied().map(PostId).collect())
    }

    #[test]
    fn pins_are_added_at_the_end_and_removed_from_anywhere() {
        assert_eq!(check(Change::Add(PostId(7)), &[]), Ok(vec![7]));
        assert_eq!(check(Change::Add(PostId(7)), &[3, 9]), Ok(vec![3, 9, 7]));
        assert_eq!(check(Change::Add(PostId(3)), &[3, 9]), Ok(vec![3, 9]));
        assert_eq!(check(Change::Add(PostId(3)), &[1, 2, 3, 4, 5]), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(check(Change::Remove(PostId(3)), &[3, 9]), Ok(vec![9]));
        assert_eq!(check(Change::Remove(PostId(4)), &[3, 9]), Ok(vec![3, 9]));
    }

    #[test]
    fn a_sixth_pin_is_refused_with_the_way_out() {
        let refused = check(Change::Add(PostId(6)), &[1, 2, 3, 4, 5]).unwrap_err();
        assert!(refused.contains("post 6") && refused.contains("everpost pin remove 5"), "{refused}");
    }

    #[test]
    fn pins_that_are_not_named_follow_those_that_are() {
        assert_eq!(check(order(&[3, 1, 2]), &[1, 2, 3]), Ok(vec![3, 1, 2]));
        assert_eq!(check(order(&[3]), &[1, 2, 3]), Ok(vec![3, 1, 2]));
        assert!(check(order(&[4]), &[1, 2, 3]).unwrap_err().contains("post 4 is not pinned"));
        assert!(check(order(&[3, 3]), &[1, 2, 3]).unwrap_err().contains("post 3 is named twice"));
    }
}
