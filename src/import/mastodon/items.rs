//! Splits a JSON collection into its items while it streams by: memory does not depend on the size of the file.
//!
//! Only strings and brackets are told apart here; each item is parsed by itself later, so that a broken one costs
//! nothing but itself. Start with [`Items`].

use std::io::{self, Read};

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;
/// Deepest nesting of an item: posts have about ten levels, and the parser gives up at 128.
const DEEPEST: u32 = 100;
/// Longest name of a member of the collection that is looked at.
const LONGEST_NAME: usize = 256;
/// Longest value beside the items that is looked at.
const LONGEST_VALUE: usize = 1024;

/// The items of a collection, in order.
pub(super) struct Items<R> {
    source: Source<R>,
    state: State,
    /// Bytes of the largest item.
    longest: usize,
    index: u64,
    met_items: bool,
    is_collection: bool,
}

/// Something in the collection that is no item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Its JSON path.
    pub(super) path: String,
    /// What is wrong with it.
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Members,
    Items,
    /// There is no collection: each line is an item.
    Lines,
    Done,
}

/// How a value ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Whole,
    TooLong,
    TooDeep,
    /// It holds a bracket that closes what was never opened.
    Empty,
    CutShort,
}

impl<R: Read> Items<R> {
    /// The items of the collection that `reader` holds, none longer than `longest` bytes.
    pub(super) fn new(reader: R, longest: usize) -> Items<R> {
        let source = Source { reader, buffer: vec![0; BUFFER], start: 0, end: 0, failed: None };
        Items { source, state: State::Start, longest, index: 0, met_items: false, is_collection: false }
    }

    /// The items of a file that has one on each line, none longer than `longest` bytes. Their positions are those of lines.
    pub(super) fn lines(reader: R, longest: usize) -> Items<R> {
        Items { state: State::Lines, ..Items::new(reader, longest) }
    }

    /// The next item as it stands in the file, with its position.
    pub(super) fn next(&mut self) -> Option<Result<(u64, Vec<u8>), Wrong>> {
        loop {
            let step = match self.state {
                State::Start => self.start(),
                State::Members => self.member(),
                State::Items => self.item(),
                State::Lines => self.line(),
                State::Done => return None,
            };
            if step.is_some() {
                return step;
            }
        }
    }

    /// Whether what came so far says that it is an ordered collection.
    pub(super) fn is_collection(&self) -> bool {
        self.is_collection
    }

    /// Before the first bracket.
    fn start(&mut self) -> Option<Result<(u64, Vec<u8>), Wrong>> {
        self.source.skip_byte_order_mark();
        match self.source.next_solid() {
            Some(b'{') => self.state = State::Members,
            _ => return self.end("$", "is not the JSON of a collection"),
        }
        None
    }

    /// A member of the collection: its items, or something else, which is passed over.
    fn member(&mut self) -> Option<Result<(u64, Vec<u8>), Wrong>> {
        match self.source.next_solid() {
            Some(b',') => return None,
            Some(b'}') => {
                let met = self.met_items;
                self.state = State::Done;
                return (!met).then(|| Err(wrong("$", "has no orderedItems")));
            }
            Some(b'"') => {}
            Some(_) => return self.end("$", "is not JSON"),
            None => return self.end("$", "ends in the middle: it is cut short"),
        }
        self.source.start -= 1;
        let mut name = Vec::new();
        let ended = self.source.take_value(&mut name, LONGEST_NAME);
        let name: String = serde_json::from_slice(&name).unwrap_or_default();
        if ended == Ended::CutShort || self.source.next_solid() != Some(b':') {
            return self.end("$", "ends in the middle: it is cut short");
        }
        let is_items = name == "orderedItems" || name == "items";
        match self.source.peek_solid() {
            None => self.end("$", "ends in the middle: it is cut short"),
            Some(b'[') if is_items && !self.met_items => {
                self.source.start += 1;
                self.met_items = true;
                self.state = State::Items;
                None
            }
            // A list of one may be written as the one.
            Some(b'{') if is_items && !self.met_items => {
                self.met_items = true;
                Some(self.take_item())
            }
            Some(b'[' | b'{') if is_items => {
                let twice = wrong("$.orderedItems", "stands there twice; the first one is read");
                if self.source.take_value(&mut Vec::new(), 0) == Ended::CutShort {
                    self.state = State::Done;
                }
                Some(Err(twice))
            }
            Some(_) => {
                let mut value = Vec::new();
                if self.source.take_value(&mut value, LONGEST_VALUE) == Ended::CutShort {
                    return self.end("$", "ends in the middle: it is cut short");
                }
                self.is_collection |= name == "type" && value.windows(17).any(|part| part == b"OrderedCollection");
                None
            }
        }
    }

    /// The next item, or the end of the list.
    fn item(&mut self) -> Option<Result<(u64, Vec<u8>), Wrong>> {
        match self.source.peek_solid() {
            Some(b',') => {
                self.source.start += 1;
                None
            }
            Some(b']') => {
                self.source.start += 1;
                self.state = State::Members;
                None
            }
            Some(_) => Some(self.take_item()),
            None => {
                let path = format!("$.orderedItems[{}]", self.index);
                self.end(&path, "is not there: the file is cut short before it")
            }
        }
    }

    /// The next line that is not empty.
    fn line(&mut self) -> Option<Result<(u64, Vec<u8>), Wrong>> {
        if self.index == 0 {
            self.source.skip_byte_order_mark();
        }
        let mut line = Vec::new();
        let (ended, last) = self.source.take_line(&mut line, self.longest);
        let index = self.index;
        self.index += 1;
        if last {
            self.state = State::Done;
        }
        let path = format!("line {}", index + 1);
        match ended {
            Ended::Whole if line.iter().all(u8::is_ascii_whitespace) => None,
            Ended::Whole => Some(Ok((index, line))),
            Ended::CutShort => self.end(&path, "ends in the middle"),
            _ => {
                let most = self.longest / 1024;
                Some(Err(wrong(&path, &format!("is longer than {most} KiB, which no post is (import.max_post_kib)"))))
            }
        }
    }

    fn take_item(&mut self) -> Result<(u64, Vec<u8>), Wrong> {
        let mut bytes = Vec::new();
        let ended = self.source.take_value(&mut bytes, self.longest);
        let index = self.index;
        self.index += 1;
        let reason = match ended {
            Ended::Whole => return Ok((index, bytes)),
            Ended::TooLong => {
                format!("is longer than {} KiB, which no post is (import.max_post_kib)", self.longest / 1024)
            }
            Ended::TooDeep => format!("is nested more than {DEEPEST} levels deep, which no post is"),
            Ended::Empty => "is not JSON".to_owned(),
            Ended::CutShort => {
                self.state = State::Done;
                match self.source.failed.take() {
                    Some(cause) => format!("cannot be read: {cause}"),
                    None => "ends in the middle: the file is cut short. Get the archive anew.".to_owned(),
                }
            }
        };
        Err(wrong(&format!("$.orderedItems[{index}]"), &reason))
    }

    /// Nothing more can be read.
    fn end(&mut self, path: &str, reason: &str) -> Option<Result<(u64, Vec<u8>), Wrong>> {
        self.state = State::Done;
        let reason = match self.source.failed.take() {
            Some(cause) => format!("cannot be read: {cause}"),
            None => reason.to_owned(),
        };
        Some(Err(Wrong { path: path.to_owned(), reason }))
    }
}

fn wrong(path: &str, reason: &str) -> Wrong {
    Wrong { path: path.to_owned(), reason: reason.to_owned() }
}

/// The bytes of the file, some at a time.
struct Source<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    failed: Option<io::Error>,
}

impl<R: Read> Source<R> {
    /// The bytes that are there; empty at the end, or after a failure.
    fn chunk(&mut self) -> &[u8] {
        while self.start == self.end && self.failed.is_none() {
            match self.reader.read(&mut self.buffer) {
                Ok(count) => {
                    (self.start, self.end) = (0, count);
                    break;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => self.failed = Some(cause),
            }
        }
        &self.buffer[self.start..self.end]
    }

    fn skip_byte_order_mark(&mut self) {
        for byte in [0xef, 0xbb, 0xbf] {
            if self.chunk().first() != Some(&byte) {
                return;
            }
            self.start += 1;
        }
    }

    /// The next byte that is no white space.
    fn peek_solid(&mut self) -> Option<u8> {
        loop {
            let chunk = self.chunk();
            let length = chunk.len();
            if length == 0 {
                return None;
            }
            match chunk.iter().position(|byte| !byte.is_ascii_whitespace()) {
                Some(at) => {
                    self.start += at;
                    return Some(self.buffer[self.start]);
                }
                None => self.start += length,
            }
        }
    }

    fn next_solid(&mut self) -> Option<u8> {
        let byte = self.peek_solid()?;
        self.start += 1;
        Some(byte)
    }

    /// Take a line without its end, and say whether it is the last. Its bytes go into `into` as long as there are no more
    /// than `longest`.
    fn take_line(&mut self, into: &mut Vec<u8>, longest: usize) -> (Ended, bool) {
        let mut too_long = false;
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                let ended = if self.failed.is_some() { Ended::CutShort } else { Ended::Whole };
                return (if too_long { Ended::TooLong } else { ended }, true);
            }
            let end = memchr::memchr(b'\n', chunk);
            let count = end.unwrap_or(chunk.len());
            too_long |= into.len() + count > longest;
            if too_long {
                *into = Vec::new();
            } else {
                into.extend_from_slice(&chunk[..count]);
            }
            self.start += count + usize::from(end.is_some());
            if end.is_some() {
                return (if too_long { Ended::TooLong } else { Ended::Whole }, false);
            }
        }
    }

    /// Take one value. Its bytes go into `into` as long as there are no more than `longest`.
    fn take_value(&mut self, into: &mut Vec<u8>, longest: usize) -> Ended {
        let mut scan = Scan::default();
        let mut too_long = false;
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                // Nothing tells a number from the start of one, so only what has brackets can be cut short.
                return if scan.at_end() { Ended::Whole } else { Ended::CutShort };
            }
            let (count, done) = scan.go(chunk);
            too_long |= into.len() + count > longest;
            if too_long || scan.deepest > DEEPEST {
                *into = Vec::new();
            } else {
                into.extend_from_slice(&chunk[..count]);
            }
            self.start += count;
            if done && scan.kind == Kind::Nothing {
                // A bracket that closes nothing: it is passed over, so that there is always progress.
                self.start += 1;
                return Ended::Empty;
            }
            if done {
                return match (scan.deepest > DEEPEST, too_long) {
                    (true, _) => Ended::TooDeep,
                    (_, true) => Ended::TooLong,
                    _ => Ended::Whole,
                };
            }
        }
    }
}

/// Where in a value the scan is.
#[derive(Default)]
struct Scan {
    kind: Kind,
    depth: u32,
    deepest: u32,
    in_string: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Nothing,
    /// An object, a list or a string: it has an end of its own.
    Closed,
    /// A number or a word: it ends where something else begins.
    Open,
}

impl Scan {
    /// Go on through `chunk`: how many of its bytes belong to the value, and whether it ends there.
    fn go(&mut self, chunk: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < chunk.len() {
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                    at += 1;
                    continue;
                }
                let Some(found) = memchr::memchr2(b'"', b'\\', &chunk[at..]) else { return (chunk.len(), false) };
                at += found + 1;
                match chunk[at - 1] {
                    b'\\' => self.escaped = true,
                    _ => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return (at, true);
                        }
                    }
                }
                continue;
            }
            match chunk[at] {
                b'"' if self.kind == Kind::Open => return (at, true),
                b'"' => {
                    self.kind = Kind::Closed;
                    self.in_string = true;
                }
                b'{' | b'[' if self.kind == Kind::Open => return (at, true),
                b'{' | b'[' => {
                    self.kind = Kind::Closed;
                    self.depth = self.depth.saturating_add(1);
                    self.deepest = self.deepest.max(self.depth);
                }
                b'}' | b']' if self.depth == 0 => return (at, true),
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                byte if self.depth == 0 && (byte == b',' || byte.is_ascii_whitespace()) => return (at, true),
                _ if self.depth == 0 => self.kind = Kind::Open,
                _ => {}
            }
            at += 1;
        }
        (chunk.len(), false)
    }

    /// Whether the value may end with the file.
    fn at_end(&self) -> bool {
        self.kind == Kind::Open
    }
}
