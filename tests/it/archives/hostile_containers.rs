//! Zips and tars that are broken or set a trap: refused, or the one file left out, with place and reason.

use super::{Item, now, open_as, plain, posts, read_all, read_from, skipped};
use crate::support::packing::{Entry, Files, gzip, put, raw_zip, tar, tar_entry, zip};
use everpost::import::Only;
use everpost::import::limits::Limits;
use std::io::Read;
use std::path::Path;
use tar::EntryType;

/// The bytes of an outbox with one post.
fn one() -> Vec<u8> {
    plain(1)[0].1.clone()
}

/// Why an archive of these bytes is refused as a whole.
fn refusal(bytes: &[u8]) -> String {
    refusal_under(bytes, &Limits::default())
}

fn refusal_under(bytes: &[u8], limits: &Limits) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = put(folder.path(), "archive", bytes);
    let error =
        everpost::import::open(&path, Only::Everything, limits, now()).err().expect("it is refused").to_string();
    error.strip_prefix(&format!("{}: ", path.display())).unwrap_or_else(|| panic!("no path: {error}")).to_owned()
}

/// Everything that an archive of these bytes gives.
fn items(bytes: &[u8]) -> Vec<Item> {
    let folder = tempfile::tempdir().unwrap();
    read_all(&put(folder.path(), "archive", bytes))
}

/// What reading a media file of such an archive comes to.
fn media(bytes: &[u8], reference: &str, limits: &Limits) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = put(folder.path(), "archive", bytes);
    let reader = everpost::import::open(&path, Only::Everything, limits, now()).unwrap();
    let mut bytes = Vec::new();
    let mut stream = reader.media(reference).map_err(|error| error.to_string())?;
    stream.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// One good post, and these reasons.
fn assert_skips(bytes: &[u8], expected: &[&str]) {
    let items = items(bytes);
    assert_eq!(skipped(&items), expected);
    assert_eq!(items.iter().filter(|item| item.is_ok()).count(), 1, "the post is there all the same");
}

const LEADS_OUT: &str = "has a name that leads out of the archive";
const SPECIAL: &str = "is a link or another special file, which is never followed";

#[test]
fn a_name_that_leads_out_of_a_zip_is_left_out() {
    let mut entries = vec![Entry::deflated("outbox.json", &one())];
    for name in ["../../etc/cron.d/x", "/etc/passwd", "a/../../b", "..\\windows", "media_attachments/../../c.png"] {
        entries.push(Entry::stored(name, b"trap"));
    }
    let bytes = raw_zip(&entries);
    assert_skips(
        &bytes,
        &[
            &format!("../../etc/cron.d/x: {LEADS_OUT}"),
            format!("/etc/passwd: {LEADS_OUT}").trim_start_matches('/'),
            &format!("a/../../b: {LEADS_OUT}"),
            &format!("..\\windows: {LEADS_OUT}"),
            &format!("media_attachments/../../c.png: {LEADS_OUT}"),
        ],
    );
    let reason = media(&bytes, "/etc/passwd", &Limits::default()).unwrap_err();
    assert_eq!(reason, "/etc/passwd: is not in the archive");
}

#[test]
fn a_name_that_leads_out_of_a_tar_is_left_out() {
    let mut bytes = Vec::new();
    for name in ["../../etc/cron.d/x", "/etc/passwd", "a/../../b"] {
        bytes.extend(tar_entry(name, EntryType::Regular, "", b"trap"));
    }
    bytes.extend(tar_entry("outbox.json", EntryType::Regular, "", &one()));
    let expected = [
        format!("../../etc/cron.d/x: {LEADS_OUT}"),
        format!("etc/passwd: {LEADS_OUT}"),
        format!("a/../../b: {LEADS_OUT}"),
    ];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    assert_skips(&bytes, &expected);
    assert_skips(&gzip(&bytes), &expected);
}

#[test]
fn links_in_a_zip_are_never_followed() {
    let link = Entry { mode: 0o120_777, ..Entry::stored("media_attachments/a.png", b"/etc/passwd") };
    let bytes = raw_zip(&[Entry::stored("outbox.json", &one()), link]);
    assert_skips(&bytes, &[&format!("media_attachments/a.png: {SPECIAL}")]);
    let outbox = Entry { mode: 0o120_777, ..Entry::stored("outbox.json", b"/home/ann/outbox.json") };
    let reason = refusal(&raw_zip(&[outbox]));
    assert!(reason.starts_with("holds no outbox.json") && reason.ends_with(SPECIAL), "{reason}");
}

#[test]
fn links_in_a_tar_are_never_followed() {
    let mut bytes = tar_entry("media_attachments/a.png", EntryType::Symlink, "/etc/passwd", b"");
    bytes.extend(tar_entry("media_attachments/b.png", EntryType::Link, "../../secret", b""));
    bytes.extend(tar_entry("media_attachments/c.png", EntryType::Char, "", b""));
    bytes.extend(tar_entry("outbox.json", EntryType::Regular, "", &one()));
    let expected = ["a", "b", "c"].map(|name| format!("media_attachments/{name}.png: {SPECIAL}"));
    assert_skips(&gzip(&bytes), &expected.each_ref().map(String::as_str));
    let reason = refusal(&gzip(&tar_entry("outbox.json", EntryType::Symlink, "/home/ann/outbox.json", b"")));
    assert!(reason.starts_with("holds no outbox.json") && reason.ends_with(SPECIAL), "{reason}");
}

#[test]
fn a_link_in_a_folder_leads_nowhere() {
    let (outside, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(outside.path(), "secret.png", b"secret");
    put(folder.path(), "outbox.json", &one());
    std::os::unix::fs::symlink(outside.path(), folder.path().join("media_attachments")).unwrap();
    let reader = open_as(folder.path(), None).unwrap();
    let error = reader.media("/media_attachments/secret.png").err().unwrap().to_string();
    assert!(error.ends_with("is a link that leads out of the archive"), "{error}");
}

#[test]
fn a_file_that_grows_too_much_is_a_bomb() {
    let zeros = vec![b' '; 3 << 20];
    let bomb = |name| raw_zip(&[Entry::stored("outbox.json", &one()), Entry::deflated(name, &zeros)]);
    let dense = "unpacks to more than 200 times its size, as a trap does. If it is honest, raise import.max_ratio.";
    assert_skips(&bomb("media_attachments/a.png"), &[&format!("media_attachments/a.png: {dense}")]);
    let patient = Limits { ratio: 2_000, ..Limits::default() };
    assert_eq!(
        media(&bomb("media_attachments/a.png"), "media_attachments/a.png", &patient).unwrap().len(),
        zeros.len()
    );
    let mut files = plain(1);
    files.push(("media_attachments/a.png".to_owned(), zeros));
    assert_eq!(refusal(&gzip(&tar(&files))), dense);
    let reason = refusal(&raw_zip(&[Entry::deflated("outbox.json", &vec![b' '; 3 << 20])]));
    assert!(reason.starts_with("holds no outbox.json") && reason.ends_with(dense), "{reason}");
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_refused() {
    let mut files = plain(1);
    let noise: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    files.extend([("a.bin".to_owned(), noise.clone()), ("b.bin".to_owned(), noise)]);
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    let expected = "unpacks to more than 1.0 MiB. If it is what it should be, raise import.max_unpacked_mib.";
    for bytes in [zip(&files), tar(&files), gzip(&tar(&files))] {
        assert_eq!(refusal_under(&bytes, &limits), expected);
    }
}

#[test]
fn an_archive_of_too_many_files_is_refused() {
    let files: Files = (0..30).map(|number| (format!("{number}.txt"), vec![])).chain(plain(1)).collect();
    let limits = Limits { members: 10, ..Limits::default() };
    assert!(refusal_under(&zip(&files), &limits).contains("more than 10. If that is right, raise import.max_members."));
    assert!(refusal_under(&gzip(&tar(&files)), &limits).contains("more than 10 files."));
}

#[test]
fn a_media_file_above_the_limit_is_missing_with_its_size() {
    let mut files = plain(1);
    let noise: Vec<u8> = (0..500_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    files.push(("media_attachments/a.png".to_owned(), noise));
    let limits = Limits { media: 1 << 20, ..Limits::default() };
    for bytes in [zip(&files), tar(&files), gzip(&tar(&files))] {
        let reason = media(&bytes, "media_attachments/a.png", &limits).unwrap_err();
        assert_eq!(
            reason,
            "media_attachments/a.png: has 2.0 MiB, and no more than 1.0 MiB are read (import.max_media_mib)"
        );
    }
}

#[test]
fn files_that_lie_over_each_other_refuse_a_zip() {
    let first = Entry::deflated("outbox.json", &one());
    let second = Entry { name: "otherx.json", offset: Some(0), ..Entry::deflated("outbox.json", &one()) };
    assert_eq!(refusal(&raw_zip(&[first, second])), "lists files that lie over each other, as only a trap does");
}

#[test]
fn two_outboxes_refuse_an_archive_unless_one_is_at_the_top() {
    let twice = "lists two files under one name, so it is not known which one is meant";
    let entry = || Entry::deflated("outbox.json", &one());
    assert_eq!(refusal(&raw_zip(&[entry(), entry()])), twice);
    assert_eq!(refusal(&raw_zip(&[entry(), Entry { name: "./outbox.json", ..entry() }])), twice);
    let mut bytes = tar_entry("outbox.json", EntryType::Regular, "", &one());
    bytes.extend(tar_entry("./outbox.json", EntryType::Regular, "", &one()));
    assert!(refusal(&bytes).contains("so it is not known which one is meant"), "{}", refusal(&bytes));
    assert!(refusal(&gzip(&bytes)).contains("so it is not known which one is meant"));
    let files: Files = ["a/", "b/"].iter().map(|home| (format!("{home}outbox.json"), one())).collect();
    assert_eq!(refusal(&zip(&files)), "holds several archives, in a/, b/. Import them one by one.");
    let files: Files = ["", "b/"].iter().map(|home| (format!("{home}outbox.json"), one())).collect();
    assert_skips(&zip(&files), &["b/outbox.json: is a second outbox.json; the one at the top is read"]);
}

#[test]
fn archives_inside_of_an_archive_are_not_looked_into() {
    let inner = zip(&plain(1));
    let mut files = plain(1);
    files.push(("older.zip".to_owned(), inner.clone()));
    let reason = "is an archive in the archive, which is not looked into. Import it by itself.";
    assert_skips(&zip(&files), &[&format!("older.zip: {reason}")]);
    let reason = refusal(&zip(&vec![("older.zip".to_owned(), inner)]));
    assert!(reason.contains("It holds older.zip: unpack it and import that"), "{reason}");
}

#[test]
fn a_zip_that_is_cut_short_is_refused_wherever_it_ends() {
    let bytes = zip(&plain(3));
    for length in (4..bytes.len()).step_by(7) {
        let reason = refusal(&bytes[..length]);
        assert!(reason.starts_with("is no whole zip: its end is missing or damaged."), "{length}: {reason}");
    }
}

#[test]
fn a_tar_that_is_cut_short_gives_what_is_whole_and_says_so() {
    let cut = ": ends too early: what comes after is lost. Download the archive again.";
    let mut files = plain(1);
    let noise: Vec<u8> = (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    files.push(("media_attachments/a.png".to_owned(), noise));
    let whole = tar(&files);
    for bytes in [whole[..100_000].to_vec(), gzip(&whole[..100_000]), gzip(&whole)[..100_000].to_vec()] {
        assert_skips(&bytes, &[cut]);
        let reason = media(&bytes, "media_attachments/a.png", &Limits::default()).unwrap_err();
        assert!(reason.starts_with("media_attachments/a.png: is not "), "{reason}");
    }
    let outbox = tar(&plain(40));
    for bytes in [outbox[..9_000].to_vec(), gzip(&outbox[..9_000])] {
        assert!(refusal(&bytes).starts_with("holds no outbox.json"), "an outbox that is not whole is none");
        assert!(refusal(&bytes).contains("ends too early"), "{}", refusal(&bytes));
    }
    assert_eq!(refusal(&gzip(b"not a tar at all, but long enough")), "is packed, but holds no tar");
}

#[test]
fn a_damaged_outbox_gives_no_posts_at_all() {
    let good = plain(50)[0].1.clone();
    let wrong = |entry: Entry| Entry { crc: entry.crc ^ 1, ..entry };
    for entry in [wrong(Entry::stored("outbox.json", &good)), wrong(Entry::deflated("outbox.json", &good))] {
        let reason = refusal(&raw_zip(&[entry]));
        assert_eq!(reason, "outbox.json: its checksum is wrong: the archive is damaged. Get it anew.");
    }
    let long = Entry { size: 100, ..Entry::deflated("outbox.json", &good) };
    assert!(refusal(&raw_zip(&[long])).starts_with("outbox.json: its checksum is wrong"));
    let short = Entry { size: 1_000_000, ..Entry::deflated("outbox.json", &good) };
    assert!(refusal(&raw_zip(&[short])).starts_with("outbox.json: it is shorter than the archive says"));
}

#[test]
fn a_damaged_picture_is_missing_and_costs_nothing_else() {
    let picture = Entry { crc: 7, ..Entry::stored("media_attachments/a.png", b"a picture") };
    let bytes = raw_zip(&[Entry::deflated("outbox.json", &one()), picture]);
    assert_eq!(posts(items(&bytes)).len(), 1);
    let reason = media(&bytes, "media_attachments/a.png", &Limits::default()).unwrap_err();
    assert_eq!(reason, "its checksum is wrong: the archive is damaged. Get it anew.");
}

#[test]
fn an_encrypted_zip_asks_to_be_unpacked_first() {
    let reason = refusal(&raw_zip(&[Entry { flags: 1, ..Entry::deflated("outbox.json", &one()) }]));
    let expected = "is encrypted. Unpack the archive with its password and import the folder.";
    assert!(reason.ends_with(expected), "{reason}");
}

#[test]
fn a_zip_packed_in_an_unknown_way_asks_to_be_unpacked_first() {
    let reason = refusal(&raw_zip(&[Entry { method: 14, ..Entry::stored("outbox.json", &one()) }]));
    assert!(reason.ends_with("Unpack the archive and import the folder."), "{reason}");
}

#[test]
fn a_directory_that_claims_the_impossible_is_refused_before_room_is_made_for_it() {
    let honest = raw_zip(&[Entry::deflated("outbox.json", &one())]);
    let end = honest.len() - 22;
    let patched = |at: usize, bytes: &[u8]| {
        let mut zip = honest.clone();
        zip[end + at..end + at + bytes.len()].copy_from_slice(bytes);
        zip
    };
    for zip in [patched(8, &[0xfe, 0xff, 0xfe, 0xff]), patched(12, &[0xff; 4]), patched(16, &[0xff, 0xff, 0xff, 0x7f])]
    {
        assert!(refusal(&zip).starts_with("is no whole zip"), "{}", refusal(&zip));
    }
    let mut large = honest[..end].to_vec();
    let record = large.len() as u64;
    large.extend(b"PK\x06\x06");
    large.extend(44_u64.to_le_bytes());
    large.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [1 << 40, 1 << 40, 46 << 40, 0_u64] {
        large.extend(number.to_le_bytes());
    }
    large.extend(b"PK\x06\x07\0\0\0\0");
    large.extend(record.to_le_bytes());
    large.extend(1_u32.to_le_bytes());
    large.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    assert!(refusal(&large).starts_with("is no whole zip"), "{}", refusal(&large));
}

#[test]
fn a_tar_with_endless_names_holes_or_a_wrong_header_is_refused() {
    let mut bytes = tar_entry("././@LongLink", EntryType::GNULongName, "", &vec![b'a'; 100_000]);
    bytes.extend(tar_entry("outbox.json", EntryType::Regular, "", &one()));
    assert_eq!(refusal(&bytes), "holds a file with a name of more than 64 KiB");
    let holes = tar_entry("outbox.json", EntryType::GNUSparse, "", &one());
    assert_eq!(refusal(&holes), "holds a file with holes, which no server writes");
    let mut bytes = tar_entry("outbox.json", EntryType::Regular, "", &one());
    bytes.extend([7; 512]);
    assert_skips(&bytes, &[": is damaged after 1 files: what comes after is lost. Download it again."]);
}

#[test]
fn long_names_in_a_tar_are_read_in_both_spellings() {
    let name = format!("media_attachments/files/{}/a.png", "1".repeat(150));
    let mut gnu = tar_entry("././@LongLink", EntryType::GNULongName, "", format!("{name}\0").as_bytes());
    gnu.extend(tar_entry("cut", EntryType::Regular, "", b"picture"));
    let record = |key: &str, value: &str| {
        let rest = format!(" {key}={value}\n");
        format!("{}{rest}", rest.len() + 3)
    };
    let mut pax = tar_entry("PaxHeaders/x", EntryType::XHeader, "", record("path", &name).as_bytes());
    pax.extend(tar_entry("cut", EntryType::Regular, "", b"picture"));
    for mut bytes in [gnu, pax] {
        bytes.extend(tar_entry("outbox.json", EntryType::Regular, "", &one()));
        assert_eq!(media(&gzip(&bytes), &name, &Limits::default()).unwrap(), b"picture");
    }
}

#[test]
fn what_follows_the_end_of_a_tar_does_not_matter() {
    let mut bytes = gzip(&tar(&plain(2)));
    bytes.extend(b"trailing garbage");
    assert_eq!(posts(items(&bytes)).len(), 2);
    let mut bytes = tar(&plain(2));
    bytes.truncate(bytes.len() - 1024);
    assert_eq!(posts(items(&gzip(&bytes))).len(), 2, "nor does it matter when the end is missing");
}

#[test]
fn many_bad_names_are_counted_instead_of_told() {
    let mut bytes = Vec::new();
    for number in 0..150 {
        bytes.extend(tar_entry(&format!("../{number}"), EntryType::Regular, "", b""));
    }
    bytes.extend(tar_entry("outbox.json", EntryType::Regular, "", &one()));
    let items = items(&gzip(&bytes));
    let told = skipped(&items);
    assert_eq!(told.len(), 101);
    assert_eq!(told[100], ": 50 more of its files are left out for such reasons");
}

#[test]
fn nothing_is_written_beside_the_archive_or_anywhere_under_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = plain(3);
    files.push(("media_attachments/a.png".to_owned(), b"a picture".to_vec()));
    let path = put(folder.path(), "a.tar.gz", &gzip(&tar(&files)));
    let reader = open_as(&path, None).unwrap();
    assert!(reader.media("media_attachments/a.png").is_ok());
    let names = |path: &Path| std::fs::read_dir(path).unwrap().count();
    assert_eq!(names(folder.path()), 1);
    assert_eq!(read_from(reader, &path).len(), 3);
}
