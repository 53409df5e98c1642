//! `jsonl`: one ActivityStreams activity a line, for scripts. Media are links; those that are not public stay away.

use super::wire::{Place, Wire};
use super::{ArchiveWriter, Error, Item, Open, Subject, Summary};
use crate::activitystreams::context::ACTIVITYSTREAMS;
use std::fs::File;
use std::io::{BufWriter, Write};

/// Writes lines.
pub struct Writer {
    wire: Wire,
    out: BufWriter<File>,
    line: Vec<u8>,
    summary: Summary,
}

impl Writer {
    /// Write into a file.
    pub fn new(file: File, subject: &Subject) -> Writer {
        let (wire, out) = (Wire::new(subject, Place::Links), BufWriter::new(file));
        Writer { wire, out, line: Vec::new(), summary: Summary::default() }
    }
}

impl ArchiveWriter for Writer {
    fn item(&mut self, item: &Item, _open: &mut Open<'_>) -> Result<(), Error> {
        // JSON has no line ends but those inside of strings, and there they are escaped.
        self.line.clear();
        self.wire.write(item, Some(ACTIVITYSTREAMS), &mut self.line)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)?;
        self.summary.count(item);
        Ok(())
    }

    fn finish(mut self: Box<Self>, _open: &mut Open<'_>) -> Result<Summary, Error> {
        self.out.flush()?;
        Ok(self.summary)
    }
}
