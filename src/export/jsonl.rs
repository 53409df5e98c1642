//! `jsonl`: one ActivityStreams activity a line, for scripts. Media are links; those that are not public stay away.

use super::wire::{Place, Wire};
use super::{ArchiveWriter, Error, Item, Open, Subject, Summary};
use crate::activitystreams::context::ACTIVITYSTREAMS;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};

/// Writes lines.
pub struct Writer {
    wire: Wire,
    out: BufWriter<File>,
    summary: Summary,
}

impl Writer {
    /// Write into a file.
    pub fn new(file: File, subject: &Subject) -> Writer {
        Writer { wire: Wire::new(subject, Place::Links), out: BufWriter::new(file), summary: Summary::default() }
    }
}

impl ArchiveWriter for Writer {
    fn item(&mut self, item: &Item, _open: &mut Open<'_>) -> Result<(), Error> {
        let mut activity = self.wire.activity(item)?;
        if activity.get("@context").is_none() {
            activity["@context"] = json!(ACTIVITYSTREAMS);
        }
        // JSON has no line ends but those inside of strings, and there they are escaped.
        serde_json::to_writer(&mut self.out, &activity).map_err(std::io::Error::from)?;
        self.out.write_all(b"\n")?;
        self.summary.count(item);
        Ok(())
    }

    fn finish(mut self: Box<Self>, _open: &mut Open<'_>) -> Result<Summary, Error> {
        self.out.flush()?;
        Ok(self.summary)
    }
}
