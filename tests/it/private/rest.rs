//! At rest: what lies in the database and on the disk tells nothing without the key, and nothing false with it.

use super::{
    Archive, MARK, ONE, THREE, TWO, files, hidden, keep, picture, public, request, run, sealed_files, show, with_media,
};
use crate::support::{TestApp, TestDatabase, vault};
use everpost::operations::App;
use everpost::operations::private;

/// Every row of every table, as text.
fn dump(database: &TestDatabase) -> String {
    let tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'";
    let rows = |table: String| database.texts(&format!("SELECT t::text FROM {table} t"));
    database.texts(tables).into_iter().flat_map(rows).collect::<Vec<_>>().join("\n")
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[tokio::test]
async fn nothing_of_a_private_post_lies_in_the_database_or_on_the_disk_in_clear() {
    let app = TestApp::start_sealed(7).await;
    let name = format!("{MARK}.png");
    let archive = Archive::new(&[public(ONE, "For all."), with_media(hidden(TWO), &[&name]), hidden(THREE)]);
    let report = keep(&app.app, &archive.with_media(&[])).await;
    assert_eq!((report.created, report.private.stored, report.private.left_out), (1, 2, 0));
    assert_eq!((report.skipped.len(), report.media_missing, report.published), (0, 0, 1));

    let dump = dump(&app.database);
    assert!(dump.contains("For all."), "the dump shows what is not sealed");
    let status = super::key(TWO).0.rsplit(':').next().unwrap().to_owned();
    for word in [MARK, "only</b>", "everpost private post 1", "other.example", "Comment", &status] {
        assert!(!dump.contains(word) && !dump.contains(&hex(word)), "{word}");
    }
    let sealed = sealed_files(&app);
    assert_eq!(sealed.len(), 1);
    for file in files(app.data_dir.path()) {
        assert!(!file.to_str().unwrap().contains(MARK));
        let bytes = std::fs::read(&file).unwrap();
        assert!(!contains(&bytes, MARK) && !contains(&bytes, "IHDR"), "{}", file.display());
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&sealed[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn with_the_key_everything_comes_out_as_it_went_in() {
    let app = TestApp::start_sealed(7).await;
    let archive = Archive::new(&[with_media(hidden(TWO), &["a.png", "gone.png", "b.png"])]).with_media(&["gone.png"]);
    let report = keep(&app.app, &archive).await;
    assert_eq!(report.media_missing, 1);
    let source = archive.read().remove(0);
    let (_, post) = show(&app, TWO).await.unwrap();
    assert_eq!((&post.key, &post.source, post.published), (&source.key, &source.bytes, source.published));
    assert_eq!(post.content.to_plain(), format!("{MARK} at {TWO}, only for you"));
    assert_eq!((&post.warning, &post.tags, post.format), (&source.warning, &source.tags, source.format));
    assert_eq!(post.mentions, [format!("@{MARK}@other.example")]);
    assert_eq!((&post.object_id, &post.canonical_url), (&source.object_id, &source.canonical_url));
    assert!(post.media[1].file.is_none() && post.media[1].source_url == "/media_attachments/gone.png");
    let folder = app.data_dir.path().join("opened");
    let paths = private::open_media(&app.app, &app.account("ann").await, &post, &folder).await.unwrap();
    assert_eq!(paths, [folder.join("1.png"), folder.join("3.png")]);
    assert_eq!(std::fs::read(&paths[0]).unwrap(), picture("a.png"));
    assert_eq!(std::fs::read(&paths[1]).unwrap(), picture("b.png"));
}

#[tokio::test]
async fn another_key_opens_nothing_and_adds_nothing() {
    let app = TestApp::start_sealed(7).await;
    let archive = Archive::new(&[hidden(TWO)]);
    keep(&app.app, &archive).await;
    let account = app.account("ann").await;
    for vault in [vault(8), everpost::federation::keys::Vault::open(None).unwrap()] {
        let other = App { vault, ..app.app.clone() };
        let error = private::list(&other, &account, None, 10).await.unwrap_err().to_string();
        assert!(error.contains("secrets.key_file") && !error.contains(MARK), "{error}");
        let error = run(&other, &archive, &request(true, false)).await.unwrap_err().to_string();
        assert!(error.contains("secrets.key_file"), "{error}");
        run(&other, &archive, &request(false, false)).await.unwrap();
    }
    assert_eq!(app.database.number("SELECT count(*) FROM private_posts"), 1);
}

#[tokio::test]
async fn a_flipped_byte_is_found_in_a_row_and_in_a_file_and_the_next_import_mends_the_row() {
    let app = TestApp::start_sealed(7).await;
    let archive = Archive::new(&[with_media(hidden(TWO), &["a.png"])]).with_media(&[]);
    keep(&app.app, &archive).await;
    let (_, post) = show(&app, TWO).await.unwrap();
    let file = &sealed_files(&app)[0];
    let whole = std::fs::read(file).unwrap();
    for at in [0, 30, 100, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(file, &flipped).unwrap();
        let folder = app.data_dir.path().join("opened");
        let opened = private::open_media(&app.app, &app.account("ann").await, &post, &folder).await;
        assert!(opened.is_err() && files(&folder).is_empty(), "{at}: nothing half-opened stays");
    }
    std::fs::write(file, &whole).unwrap();
    for at in [0, 20, 60] {
        app.database
            .execute(&format!("UPDATE private_posts SET sealed = set_byte(sealed, {at}, get_byte(sealed, {at}) # 1)"));
        let error = show(&app, TWO).await.unwrap_err().to_string();
        assert!(error.contains("does not open") && !error.contains(MARK), "{error}");
        assert_eq!(keep(&app.app, &archive).await.private.stored, 1, "what does not open is written anew");
        show(&app, TWO).await.unwrap();
    }
}

#[tokio::test]
async fn a_sealed_post_opens_in_its_own_row_alone() {
    let app = TestApp::start_sealed(7).await;
    keep(&app.app, &Archive::new(&[hidden(TWO), hidden(THREE)])).await;
    app.database.execute("UPDATE private_posts p SET sealed = q.sealed FROM private_posts q WHERE q.id <> p.id");
    assert!(show(&app, TWO).await.is_err() && show(&app, THREE).await.is_err());
}
