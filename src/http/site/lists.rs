//! Pages of a year or a hashtag, one after another from the newest on: which comes where, and what stands on it.

use super::super::entries::EntryView;
use super::super::paths::Paths;
use super::PAGE;

/// Where an entry is going to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder of the first page of the list.
    base: String,
    /// Which page of it, from 1.
    number: u32,
}

impl Place {
    /// The folder of the page.
    pub fn path(&self) -> String {
        if self.number == 1 { self.base.clone() } else { format!("{}/page-{}", self.base, self.number) }
    }

    /// How that page writes addresses.
    pub fn paths(&self) -> Paths {
        Paths::of_site(self.path().split('/').count())
    }
}

/// One page with its neighbours.
pub struct Run {
    place: Place,
    /// What stands on it.
    pub entries: Vec<EntryView>,
    /// The page with newer entries, of whatever list.
    newer: Option<Place>,
    /// The page with older entries.
    older: Option<Place>,
}

impl Run {
    /// Where the next entry of the list `base` stands, after those of `run`.
    pub fn place(run: Option<&Run>, base: &str) -> Place {
        let first = || Place { base: base.to_owned(), number: 1 };
        match run.filter(|run| run.place.base == base) {
            None => first(),
            Some(run) if run.entries.len() < PAGE => run.place.clone(),
            Some(run) => Place { number: run.place.number + 1, ..run.place.clone() },
        }
    }

    /// Put an entry into its place: the page that it stands on, and the page before if that is whole now.
    pub fn add(run: Option<Run>, place: Place, entry: EntryView) -> (Run, Option<Run>) {
        match run {
            Some(mut run) if run.place == place => {
                run.entries.push(entry);
                (run, None)
            }
            before => {
                let newer = before.as_ref().map(|before| before.place.clone());
                let full = before.map(|before| Run { older: Some(place.clone()), ..before });
                (Run { place, entries: vec![entry], newer, older: None }, full)
            }
        }
    }

    /// Its folder.
    pub fn path(&self) -> String {
        self.place.path()
    }

    /// How it writes addresses.
    pub fn paths(&self) -> Paths {
        self.place.paths()
    }

    /// The last part of the list's name: of a year, the year.
    pub fn name(&self) -> &str {
        self.place.base.rsplit('/').next().unwrap_or_default()
    }

    /// The addresses of newer and older entries.
    pub fn around(&self) -> (Option<String>, Option<String>) {
        let paths = self.paths();
        let link =
            |place: &Option<Place>| place.as_ref().map(|place| paths.page(&format!("/{}", encoded(&place.path()))));
        (link(&self.newer), link(&self.older))
    }
}

/// A path as an address: all but what needs no encoding in one.
fn encoded(path: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'@')
        .remove(b'_')
        .remove(b'-')
        .remove(b'.')
        .remove(b'~');
    percent_encoding::utf8_percent_encode(path, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_an_address() {
        assert_eq!(encoded("tags/blåbær/page-2"), "tags/bl%C3%A5b%C3%A6r/page-2");
        assert_eq!(encoded("@ann/years/2024"), "@ann/years/2024");
    }
}
