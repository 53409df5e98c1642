//! `outbox.json` as it is written item by item: how many there are is said at the end, when it is known.

use super::wire::Wire;
use super::{Error, Item};
use crate::activitystreams::context;
use serde_json::Value;
use std::io::Write;

/// Writes the collection. What it writes into is given each time.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    items: u64,
    line: Vec<u8>,
}

impl Outbox {
    /// Begin the collection.
    pub(super) fn begin(out: &mut dyn Write) -> Result<Outbox, Error> {
        write!(
            out,
            r#"{{"@context":{},"id":"outbox.json","type":"OrderedCollection","orderedItems":["#,
            context::archived()
        )?;
        Ok(Outbox::default())
    }

    /// Add an item.
    pub(super) fn item(&mut self, item: &Item, wire: &mut Wire, out: &mut dyn Write) -> Result<(), Error> {
        self.line.clear();
        if self.items > 0 {
            self.line.push(b',');
        }
        wire.write(item, None, &mut self.line)?;
        self.items += 1;
        Ok(out.write_all(&self.line)?)
    }

    /// End the collection.
    pub(super) fn end(&self, out: &mut dyn Write) -> Result<(), Error> {
        Ok(write!(out, r#"],"totalItems":{}}}"#, self.items)?)
    }
}

/// A collection that an archive has and that is empty here: nobody likes or bookmarks anything by an account that only keeps.
pub(super) fn empty(name: &str) -> Value {
    serde_json::json!({
        "@context": context::plain(),
        "id": name,
        "type": "OrderedCollection",
        "totalItems": 0,
        "orderedItems": [],
    })
}
