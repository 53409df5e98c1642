//! How much of an archive is believed: bounds that no honest archive meets, each a key in the configuration.

/// Bounds for reading one archive. Whatever goes beyond is refused or skipped, with place and reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files in an archive together, unpacked.
    pub unpacked: u64,
    /// How many times larger than packed a file may be; counts from [`Limits::RATIO_FROM`] on. Deflate reaches 1,032.
    pub ratio: u64,
    /// Files in an archive.
    pub members: u64,
    /// Bytes of one picture, film or sound.
    pub media: u64,
    /// Bytes of one post as it stands in the source.
    pub post: usize,
}

impl Limits {
    /// Bytes of a file below which its ratio does not matter: a short one can do no harm.
    pub const RATIO_FROM: u64 = 1024 * 1024;
}

impl Default for Limits {
    /// The values of `config/default.toml`.
    fn default() -> Limits {
        let mib = 1024 * 1024;
        Limits { unpacked: 65_536 * mib, ratio: 200, members: 500_000, media: 100 * mib, post: 1024 * 1024 }
    }
}

/// A size for people, rounded up.
pub(super) fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
