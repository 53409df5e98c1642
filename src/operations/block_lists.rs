//! Lists of blocks as Mastodon writes them: an owner's blocked domains and accounts, and an administrator's domains.
//!
//! Pure: text in, targets out, and the other way round. Start with [`read`].

use crate::domain::block::BlockTarget;
use std::io::{Read, Write};

/// The header of an administrator's list of domains.
const DOMAIN_COLUMNS: [&str; 6] =
    ["#domain", "#severity", "#reject_media", "#reject_reports", "#public_comment", "#obfuscate"];
/// The header of a list of accounts.
const ACCOUNT_COLUMN: &str = "Account address";
/// Longest comment that is kept, in characters.
const MAX_COMMENT: usize = 500;

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// What it blocks and why, or why it is left out.
    pub content: Result<(BlockTarget, String), String>,
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Target,
    Severity,
    PublicComment,
    PrivateComment,
    Other,
}

/// Columns of lists that Mastodon writes of people who are not blocked, and which list that is.
const OTHER_LISTS: [(&str, &str); 3] = [
    ("show boosts", "accounts that are followed"),
    ("notify on new posts", "accounts that are followed"),
    ("hide notifications", "accounts that are muted"),
];

/// Most bytes of a list that are read: a million domains fit twice over.
const MAX_LIST: u64 = 64 << 20;

/// Read a list, whatever its kind: each line is a domain, the address of an account or the id of an actor. A header says what
/// the other columns are; without one only the first counts. A header of another list is an error: whom somebody follows is
/// nobody to be blocked.
pub(super) fn read(list: impl Read) -> Result<impl Iterator<Item = Line>, String> {
    let mut bytes = Vec::new();
    list.take(MAX_LIST).read_to_end(&mut bytes).map_err(|error| format!("the list cannot be read: {error}"))?;
    // Lines are counted by their feeds, and a carriage return before one would be counted as another line.
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    if let Some((column, list)) = other_list(&text) {
        return Err(format!(
            "this is a list of {list}, for it has a column {column:?}; nothing was blocked. \
             Mastodon exports those that are blocked as blocked_accounts.csv and blocked_domains.csv"
        ));
    }
    Ok(lines(std::io::Cursor::new(text)))
}

/// The column by which a list is another one than of blocks, and which one.
fn other_list(text: &str) -> Option<(&'static str, &'static str)> {
    let first = text.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty())?;
    let cell = |cell: &str| cell.trim().trim_matches('"').trim_start_matches('#').to_lowercase().replace('_', " ");
    let cells: Vec<String> = first.split([',', ';', '\t']).map(cell).collect();
    OTHER_LISTS.into_iter().find(|(column, _)| cells.iter().any(|cell| cell == column))
}

fn lines(list: impl Read) -> impl Iterator<Item = Line> {
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(list);
    let mut columns = vec![Column::Target];
    let mut records = reader.into_byte_records();
    let (mut first, mut ended) = (true, false);
    std::iter::from_fn(move || {
        while !ended {
            let record = match records.next()? {
                Ok(record) => record,
                Err(error) => {
                    ended = true;
                    let number = error.position().map_or(0, csv::Position::line);
                    return Some(Line { number, content: Err(format!("the file cannot be read on: {error}")) });
                }
            };
            let number = record.position().map_or(0, csv::Position::line);
            let cells: Vec<String> = record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
            if std::mem::take(&mut first)
                && let Some(named) = header(&cells)
            {
                columns = named;
                continue;
            }
            if cells.iter().any(|cell| !cell.trim_matches('\u{feff}').is_empty()) {
                return Some(Line { number, content: line(&cells, &columns) });
            }
        }
        None
    })
}

/// What the columns hold, if this is a header.
fn header(cells: &[String]) -> Option<Vec<Column>> {
    let column =
        |cell: &String| match cell.trim_start_matches('\u{feff}').trim_start_matches('#').to_lowercase().as_str() {
            "domain" | "account address" => Column::Target,
            "severity" => Column::Severity,
            "public_comment" => Column::PublicComment,
            "private_comment" => Column::PrivateComment,
            _ => Column::Other,
        };
    let columns: Vec<Column> = cells.iter().map(column).collect();
    columns.contains(&Column::Target).then_some(columns)
}

fn line(cells: &[String], columns: &[Column]) -> Result<(BlockTarget, String), String> {
    let cell = |wanted: Column| {
        let at = columns.iter().position(|column| *column == wanted)?;
        cells.get(at).map(|cell| cell.trim_start_matches('\u{feff}')).filter(|cell| !cell.is_empty())
    };
    let target = BlockTarget::parse(cell(Column::Target).unwrap_or_default())?;
    if let Some(severity) = cell(Column::Severity).filter(|severity| !severity.eq_ignore_ascii_case("suspend")) {
        return Err(format!("{target} is listed as {severity:?}, and there are only whole blocks here"));
    }
    let comment = cell(Column::PrivateComment).or(cell(Column::PublicComment)).unwrap_or_default();
    Ok((target, comment.chars().take(MAX_COMMENT).collect()))
}

/// Write domains with what is said about each, as an administrator of Mastodon imports them.
pub(super) fn write_domains<'a>(
    out: impl Write,
    domains: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(DOMAIN_COLUMNS)?;
    for (domain, comment) in domains {
        writer.write_record([domain, "suspend", "false", "false", comment, "false"])?;
    }
    Ok(writer.flush()?)
}

/// Write accounts by their addresses, as anybody with an account on Mastodon imports them.
pub(super) fn write_accounts<'a>(out: impl Write, accounts: impl Iterator<Item = &'a str>) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record([ACCOUNT_COLUMN])?;
    for account in accounts {
        writer.write_record([account])?;
    }
    Ok(writer.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Content = Result<(BlockTarget, String), String>;

    fn domain(text: &str, comment: &str) -> Content {
        Ok((BlockTarget::Domain(text.to_owned()), comment.to_owned()))
    }

    fn address(text: &str) -> Content {
        Ok((BlockTarget::Address(text.to_owned()), String::new()))
    }

    fn check(text: &str, expected: &[(u64, Content)]) {
        let lines: Vec<_> = read(text.as_bytes()).unwrap().map(|line| (line.number, line.content)).collect();
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn the_three_lists_of_mastodon_are_read() {
        check("bad.example\nworse.example\n", &[(1, domain("bad.example", "")), (2, domain("worse.example", ""))]);
        check("Account address\nbo@far.example\n", &[(2, address("bo@far.example"))]);
        let admin = "#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate\n\
            bad.example,suspend,true,true,\"Spam, and \"\"worse\"\"\",false\n";
        check(admin, &[(2, domain("bad.example", "Spam, and \"worse\""))]);
    }

    #[test]
    fn a_list_of_whom_somebody_follows_or_mutes_is_refused_and_named() {
        for (header, told) in [
            ("Account address,Show boosts,Notify on new posts,Languages", "accounts that are followed"),
            ("\u{feff}\"Account address\",\"Notify on new posts\"\r", "accounts that are followed"),
            ("Account address,Hide notifications", "accounts that are muted"),
        ] {
            let refused = read(format!("{header}\nbo@far.example,true\n").as_bytes()).err().unwrap();
            assert!(refused.contains(told), "{header}: {refused}");
        }
    }

    #[test]
    fn columns_go_by_their_names_and_a_line_may_be_short() {
        let text = "#domain,#public_comment,#severity\r\nbad.example,why,suspend\r\nworse.example\r\n\r\n";
        check(text, &[(2, domain("bad.example", "why")), (3, domain("worse.example", ""))]);
        check("\u{feff}#domain,#private_comment\nbad.example,ours\n", &[(2, domain("bad.example", "ours"))]);
    }

    #[test]
    fn a_line_that_blocks_nothing_says_why_and_the_others_stand() {
        let lines: Vec<Line> = read(
            "#domain,#severity\nbad.example,suspend\nnot a domain,suspend\nmild.example,silence\n,suspend\nworse.example,suspend\n"
                .as_bytes(),
        )
        .unwrap()
        .collect();
        let wrong = |number: u64| lines.iter().find(|line| line.number == number).unwrap().content.clone().unwrap_err();
        assert!(wrong(3).contains("not a domain"), "{}", wrong(3));
        assert!(wrong(4).contains("mild.example") && wrong(4).contains("silence"), "{}", wrong(4));
        assert!(wrong(5).contains("\"\""), "{}", wrong(5));
        assert_eq!(lines.iter().filter(|line| line.content.is_ok()).count(), 2);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let mut out = Vec::new();
        write_domains(&mut out, [("bad.example", "one, \"two\"\nthree"), ("worse.example", "")].into_iter()).unwrap();
        let lines: Vec<_> = read(out.as_slice()).unwrap().map(|line| line.content).collect();
        assert_eq!(lines, [domain("bad.example", "one, \"two\"\nthree"), domain("worse.example", "")]);
        let mut out = Vec::new();
        write_accounts(&mut out, ["bo@far.example"].into_iter()).unwrap();
        assert_eq!(out, b"Account address\nbo@far.example\n");
        assert_eq!(
            read(out.as_slice()).unwrap().map(|line| line.content).collect::<Vec<_>>(),
            [address("bo@far.example")]
        );
    }
}
