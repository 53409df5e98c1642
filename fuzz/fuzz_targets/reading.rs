//! Reads bytes as an archive through the door that everybody uses, and checks what must hold of whatever comes out.

use everpost::domain::source::Format;
use everpost::import::Only;
use everpost::import::limits::Limits;
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Small limits: what goes beyond them is found sooner.
const LIMITS: Limits = Limits { unpacked: 8 << 20, ratio: 200, members: 1_000, media: 1 << 20, post: 64 * 1024 };

/// A file with these bytes in a folder of this process's own, in memory where there is such a place.
fn file(bytes: &[u8]) -> Option<PathBuf> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = place.join(format!("everpost-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    });
    let path = folder.join("index.md");
    std::fs::write(&path, bytes).ok()?;
    Some(path)
}

/// Open, read to the end, and read all media.
pub fn read(bytes: &[u8], only: Option<Format>) {
    let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
    let Some(path) = file(bytes) else { return };
    let wanted = only.map_or(Only::Everything, Only::Format);
    let Ok(mut reader) = everpost::import::open(&path, wanted, &LIMITS, now) else { return };
    let mut items = 0_u64;
    while let Some(item) = reader.next() {
        items += 1;
        assert!(items <= 100_000 + bytes.len() as u64, "the reader comes to an end");
        match item {
            Ok(post) => {
                assert!(post.published <= now + chrono::Duration::days(1), "no post of the future");
                assert!(!post.key.0.is_empty() && !post.at.contains('\n'));
                assert!(!post.html.contains('\0') || only == Some(Format::HugoBundle), "a zero byte was kept");
                for media in post.media.iter().take(4) {
                    if let Ok(stream) = reader.media(&media.reference) {
                        let mut bytes = Vec::new();
                        let _ = stream.take(2 << 20).read_to_end(&mut bytes);
                        assert!(bytes.len() as u64 <= LIMITS.media, "more than the limit allows");
                    }
                }
            }
            Err(skipped) => assert!(!skipped.reason.is_empty() && !skipped.reason.contains('\n'), "{skipped:?}"),
        }
    }
    let _ = reader.profile();
}
