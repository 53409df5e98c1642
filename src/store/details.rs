//! [`Details`] and [`MediaTold`] as JSON columns: short keys, absent where there is nothing, read leniently.

use crate::domain::details::Details;
use crate::domain::told::{Emoji, MediaTold, Mention, Poll, PollOption, Totals};
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A column for details; `None` when there are none, as for most posts.
pub(super) fn write(details: &Details) -> Option<Value> {
    if *details == Details::default() {
        return None;
    }
    serde_json::to_value(Row::from(details)).ok()
}

/// Details from their column. What this version does not know is left out.
pub(super) fn read(column: Option<Value>) -> Result<Details, serde_json::Error> {
    column.map_or_else(|| Ok(Details::default()), |value| serde_json::from_value::<Row>(value).map(Details::from))
}

/// A column for what a source told about a media file; `None` when it told nothing.
pub(super) fn write_told(told: &MediaTold) -> Option<Value> {
    (*told != MediaTold::default()).then(|| serde_json::to_value(ToldRow::from(told)).ok()).flatten()
}

/// What a source told about a media file, from its column.
pub(super) fn read_told(column: Option<Value>) -> Result<MediaTold, serde_json::Error> {
    column
        .map_or_else(|| Ok(MediaTold::default()), |value| serde_json::from_value::<ToldRow>(value).map(MediaTold::from))
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    object_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    languages: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emoji: Vec<(String, Option<String>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<PollRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boosts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replies: Option<u64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct PollRow {
    multiple: bool,
    options: Vec<(String, Option<u64>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voters: Option<u64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct ToldRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    focal_point: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blurhash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
}

impl From<&Details> for Row {
    fn from(details: &Details) -> Row {
        Row {
            object_type: details.object_type.clone(),
            title: details.title.clone(),
            languages: details.languages.iter().map(|(name, html)| (name.clone(), html.as_str().to_owned())).collect(),
            mentions: details.mentions.iter().map(|who| (who.href.clone(), who.name.clone())).collect(),
            emoji: details.emoji.iter().map(|emoji| (emoji.shortcode.clone(), emoji.url.clone())).collect(),
            poll: details.poll.as_ref().map(|poll| PollRow {
                multiple: poll.multiple,
                options: poll.options.iter().map(|option| (option.name.clone(), option.votes)).collect(),
                ends: poll.ends.map(|at| at.to_rfc3339()),
                closed: poll.closed.map(|at| at.to_rfc3339()),
                voters: poll.voters,
            }),
            quote: details.quote.clone(),
            answers: details.answers.clone(),
            likes: details.totals.likes,
            boosts: details.totals.boosts,
            replies: details.totals.replies,
        }
    }
}

impl From<Row> for Details {
    fn from(row: Row) -> Details {
        let time = |text: Option<String>| text.and_then(|text| text.parse::<DateTime<Utc>>().ok());
        let option = |(name, votes)| PollOption { name, votes };
        Details {
            object_type: row.object_type,
            title: row.title,
            languages: row.languages.into_iter().map(|(name, html)| (name, SafeHtml::stored(html))).collect(),
            mentions: row.mentions.into_iter().map(|(href, name)| Mention { href, name }).collect(),
            emoji: row.emoji.into_iter().map(|(shortcode, url)| Emoji { shortcode, url }).collect(),
            poll: row.poll.map(|poll| Poll {
                multiple: poll.multiple,
                options: poll.options.into_iter().map(option).collect(),
                ends: time(poll.ends),
                closed: time(poll.closed),
                voters: poll.voters,
            }),
            quote: row.quote,
            answers: row.answers,
            totals: Totals { likes: row.likes, boosts: row.boosts, replies: row.replies },
        }
    }
}

impl From<&MediaTold> for ToldRow {
    fn from(told: &MediaTold) -> ToldRow {
        let told = told.clone();
        ToldRow {
            media_type: told.media_type,
            size: told.size,
            focal_point: told.focal_point,
            blurhash: told.blurhash,
            duration: told.duration,
            icon: told.icon,
        }
    }
}

impl From<ToldRow> for MediaTold {
    fn from(row: ToldRow) -> MediaTold {
        MediaTold {
            media_type: row.media_type,
            size: row.size,
            focal_point: row.focal_point,
            blurhash: row.blurhash,
            duration: row.duration,
            icon: row.icon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = String> {
        "[a-zäß☃:@/ ]{0,12}"
    }

    fn total() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(0..u64::from(u32::MAX))
    }

    fn time() -> impl Strategy<Value = Option<DateTime<Utc>>> {
        proptest::option::of((0_i64..4_000_000_000_000).prop_filter_map("a time", DateTime::from_timestamp_millis))
    }

    fn poll() -> impl Strategy<Value = Poll> {
        let option = (text(), total()).prop_map(|(name, votes)| PollOption { name, votes });
        let options = proptest::collection::vec(option, 0..4);
        let parts = (any::<bool>(), options, time(), time(), total());
        parts.prop_map(|(multiple, options, ends, closed, voters)| Poll { multiple, options, ends, closed, voters })
    }

    fn details() -> impl Strategy<Value = Details> {
        let pair = || proptest::collection::vec((text(), text()), 0..3);
        let maybe = || proptest::option::of(text());
        let first = (maybe(), maybe(), pair(), pair(), proptest::collection::vec((text(), maybe()), 0..3));
        let second = (proptest::option::of(poll()), maybe(), maybe(), (total(), total(), total()));
        (first, second).prop_map(|((object_type, title, languages, mentions, emoji), second)| {
            let (poll, quote, answers, (likes, boosts, replies)) = second;
            Details {
                object_type,
                title,
                languages: languages.into_iter().map(|(name, html)| (name, SafeHtml::from_plain(&html))).collect(),
                mentions: mentions.into_iter().map(|(href, name)| Mention { href, name }).collect(),
                emoji: emoji.into_iter().map(|(shortcode, url)| Emoji { shortcode, url }).collect(),
                poll,
                quote,
                answers,
                totals: Totals { likes, boosts, replies },
            }
        })
    }

    proptest! {
        #[test]
        fn details_come_back_from_their_column_as_they_went_in(details in details()) {
            prop_assert_eq!(read(write(&details)).unwrap(), details);
        }
    }

    #[test]
    fn a_post_without_details_has_an_empty_column() {
        assert_eq!(write(&Details::default()), None);
        assert_eq!(read(None).unwrap(), Details::default());
        assert_eq!(write_told(&MediaTold::default()), None);
    }

    #[test]
    fn what_was_told_about_a_file_comes_back_as_it_went_in() {
        let told = MediaTold {
            media_type: Some("image/png".to_owned()),
            size: Some((640, 480)),
            focal_point: Some((-0.25, 0.5)),
            blurhash: Some("UBL_:rOpGG-;~qRjWBay".to_owned()),
            duration: Some("PT12.5S".to_owned()),
            icon: Some("media_attachments/files/1/small.png".to_owned()),
        };
        assert_eq!(read_told(write_told(&told)).unwrap(), told);
    }
}
