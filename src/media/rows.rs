//! A PNG made smaller while it is read, row by row, so that its pixels are never in memory all at once.
//!
//! Must never know what the small picture is for.

use std::io::{BufRead, Seek};

/// A picture of 8 bits a channel: RGB, or RGBA with the colours multiplied by how opaque they are.
pub(super) struct Small {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) has_alpha: bool,
    pub(super) bytes: Vec<u8>,
}

/// Read a PNG that is not interlaced, and make one pixel of each square of `factor` by `factor`; `None` when it is damaged,
/// or its decoder needs more than `limit` bytes. An animation gives its still picture. `factor` is at least 1.
pub(super) fn read(source: impl BufRead + Seek, factor: u32, limit: usize) -> Option<Small> {
    let mut decoder = png::Decoder::new_with_limits(source, png::Limits { bytes: limit });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().ok()?;
    let (samples, channels) = match reader.output_color_type().0 {
        png::ColorType::Grayscale => (1, 3),
        png::ColorType::GrayscaleAlpha => (2, 4),
        png::ColorType::Rgb => (3, 3),
        png::ColorType::Rgba => (4, 4),
        png::ColorType::Indexed => return None,
    };
    let (whole_width, whole_height) = (reader.info().width, reader.info().height);
    let (width, height) = (whole_width.div_ceil(factor), whole_height.div_ceil(factor));
    let mut bytes = Vec::with_capacity(channels * width as usize * height as usize);
    let mut sums = Sums { of: vec![0; channels * width as usize], channels, factor: factor as usize, rows: 0 };
    while let Some(row) = reader.next_row().ok()? {
        sums.add(row.data(), samples);
        if sums.rows == u64::from(factor) {
            sums.move_into(&mut bytes, whole_width);
        }
    }
    if sums.rows > 0 {
        sums.move_into(&mut bytes, whole_width);
    }
    (bytes.len() == channels * width as usize * height as usize).then_some(Small {
        width,
        height,
        has_alpha: channels == 4,
        bytes,
    })
}

/// Sums of the samples of a row of squares.
struct Sums {
    of: Vec<u64>,
    channels: usize,
    factor: usize,
    rows: u64,
}

impl Sums {
    fn add(&mut self, row: &[u8], samples: usize) {
        for (square, pixels) in self.of.chunks_exact_mut(self.channels).zip(row.chunks(samples * self.factor)) {
            for pixel in pixels.chunks_exact(samples) {
                let (colours, alpha) = match pixel {
                    [grey] => ([*grey; 3], 255),
                    [grey, alpha] => ([*grey; 3], *alpha),
                    [red, green, blue] => ([*red, *green, *blue], 255),
                    [red, green, blue, alpha, ..] => ([*red, *green, *blue], *alpha),
                    [] => continue,
                };
                for (sum, colour) in square.iter_mut().zip(colours) {
                    *sum += u64::from(colour) * u64::from(alpha) / 255;
                }
                if let Some(sum) = square.get_mut(3) {
                    *sum += u64::from(alpha);
                }
            }
        }
        self.rows += 1;
    }

    /// Append the means, and begin anew. The last square of a row may be narrower.
    fn move_into(&mut self, bytes: &mut Vec<u8>, whole_width: u32) {
        let factor = self.factor as u64;
        for (at, square) in (0_u64..).zip(self.of.chunks_exact_mut(self.channels)) {
            let across = factor.min(u64::from(whole_width) - at * factor);
            for sum in square {
                bytes.push(u8::try_from(*sum / (across * self.rows)).unwrap_or(u8::MAX));
                *sum = 0;
            }
        }
        self.rows = 0;
    }
}
