//! An export as Mastodon's zip against the same bytes going through the same zip compressor alone, in turns.

use crate::figure::{Figure, Limit};
use crate::place::{Place, watch};
use crate::{Wanted, mastodon};
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Bytes that are read, and written, at once.
const BUFFER: usize = 256 * 1024;

/// Of an archive of a million items, which is imported once.
pub fn run(place: &Place, wanted: &Wanted) -> Vec<Figure> {
    println!(
        "\n== export: everpost export --format mastodon of what came of {} items, then its bytes alone",
        wanted.posts
    );
    let (url, data, archive) = (place.create("exported"), place.path("exported"), place.path("to-export"));
    mastodon::write(&archive, wanted.posts);
    let settings = [("DATABASE_URL", url.as_str()), ("EVERPOST_STORAGE__DATA_DIR", data.to_str().unwrap())];
    let status = place.command(&settings).arg("import").arg(&archive).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "the import failed");
    std::fs::remove_dir_all(&archive).unwrap();
    place.sql("exported", "VACUUM ANALYZE");
    let (mut ratios, mut peaks) = (Vec::new(), Vec::new());
    for round in 0..wanted.rounds.clamp(1, 3) {
        let zip = place.path(&format!("export-{round}.zip"));
        let (ours, peak) = export(place, &settings, &zip);
        let (bytes, alone) = compress(place, &zip);
        let rate = |took: f64| bytes as f64 / took / 1e6;
        println!(
            "{} MB: export {ours:.1} s ({:.1} MB/s), peak {peak:.1} MiB; compressor alone {alone:.1} s ({:.1} MB/s); ratio {:.2}",
            bytes / 1_000_000,
            rate(ours),
            rate(alone),
            alone / ours
        );
        ratios.push(alone / ours);
        peaks.push(peak);
        std::fs::remove_file(zip).unwrap();
    }
    std::fs::remove_dir_all(&data).unwrap();
    vec![
        Figure::new("export / its bytes through the compressor alone, rate", "", ratios, Limit::AtLeast(0.5)),
        Figure::new("peak memory of the export (VmHWM)", "MiB", peaks, Limit::AtMost(100.0)),
    ]
}

/// Seconds, and the peak of the process's memory in MiB.
fn export(place: &Place, settings: &[(&str, &str)], zip: &Path) -> (f64, f64) {
    let begun = Instant::now();
    let mut command = place.command(settings);
    command.args(["export", "--format", "mastodon", "--json", "--output"]).arg(zip).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    let (status, peak) = watch(child);
    assert!(status.success(), "the export failed");
    (begun.elapsed().as_secs_f64(), peak)
}

/// The bytes of a zip's outbox, and the seconds that they take through the compressor into a file. They are unpacked before.
fn compress(place: &Place, zip: &Path) -> (u64, f64) {
    let (plain, packed) = (place.path("outbox.json"), place.path("alone.zip"));
    let mut archive = ZipArchive::new(BufReader::new(File::open(zip).unwrap())).unwrap();
    let mut outbox = archive.by_name("outbox.json").unwrap();
    io::copy(&mut outbox, &mut BufWriter::with_capacity(BUFFER, File::create(&plain).unwrap())).unwrap();
    let begun = Instant::now();
    let mut out = ZipWriter::new(BufWriter::with_capacity(BUFFER, File::create(&packed).unwrap()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
    out.start_file("outbox.json", options).unwrap();
    let bytes = io::copy(&mut BufReader::with_capacity(BUFFER, File::open(&plain).unwrap()), &mut out).unwrap();
    out.finish().unwrap().into_inner().unwrap().sync_all().unwrap();
    let took = begun.elapsed().as_secs_f64();
    std::fs::remove_file(plain).unwrap();
    std::fs::remove_file(packed).unwrap();
    (bytes, took)
}
