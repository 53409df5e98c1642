//! Who answers whom in a conversation.

use super::ids::PostId;
use std::collections::HashSet;

/// A post's place in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The post.
    pub id: PostId,
    /// What it answers.
    pub reply_to: Option<PostId>,
}

/// What stands below a post.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// Posts that answer it directly, in order of time.
    pub direct: Vec<PostId>,
    /// Posts that answer those, and so on, in order of time.
    pub further: Vec<PostId>,
}

/// What stands below `id`, given the whole conversation in order of time. Ends on circular replies too.
pub fn below(conversation: &[Place], id: PostId) -> Below {
    let mut found: HashSet<PostId> = HashSet::from([id]);
    loop {
        let before = found.len();
        for place in conversation {
            if place.reply_to.is_some_and(|parent| found.contains(&parent)) {
                found.insert(place.id);
            }
        }
        if found.len() == before {
            break;
        }
    }
    let (direct, further) = conversation
        .iter()
        .filter(|place| place.id != id && found.contains(&place.id))
        .partition::<Vec<&Place>, _>(|place| place.reply_to == Some(id));
    let ids = |places: Vec<&Place>| places.into_iter().map(|place| place.id).collect();
    Below { direct: ids(direct), further: ids(further) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: i64, reply_to: i64) -> Place {
        Place { id: PostId(id), reply_to: (reply_to > 0).then_some(PostId(reply_to)) }
    }

    fn ids(ids: &[i64]) -> Vec<PostId> {
        ids.iter().copied().map(PostId).collect()
    }

    #[test]
    fn a_chain_and_its_branches_are_found_in_order_of_time() {
        let conversation = [place(1, 0), place(2, 1), place(3, 2), place(4, 1), place(5, 4)];
        assert_eq!(below(&conversation, PostId(1)), Below { direct: ids(&[2, 4]), further: ids(&[3, 5]) });
        assert_eq!(below(&conversation, PostId(2)), Below { direct: ids(&[3]), further: vec![] });
        assert_eq!(below(&conversation, PostId(5)), Below::default());
    }

    #[test]
    fn posts_that_answer_each_other_do_not_hang_it() {
        let conversation = [place(1, 2), place(2, 1)];
        assert_eq!(below(&conversation, PostId(1)), Below { direct: ids(&[2]), further: vec![] });
    }
}
