//! Where the links of a page lead: on the server to paths of its host, in a static site to files that lie beside the page.
//!
//! Pages are made by the same views and templates for both. Must never know what a page shows.

use crate::domain::urls::DomainUrls;

/// Longest name of a folder that every file system takes, in bytes.
const LONGEST: usize = 200;

/// The folder of a hashtag in a static site, which is its name as file servers look for it; `None` where no file system has
/// such a name.
pub fn folder(tag: &str) -> Option<&str> {
    let bad = tag.is_empty() || tag.len() > LONGEST || tag.starts_with('.') || tag.contains(['/', '\\']);
    (!bad && !tag.contains(char::is_control)).then_some(tag)
}

/// How a page writes addresses of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// The way from the page to the root of the site, empty or with a slash at its end; `None` on the server.
    up: Option<String>,
}

impl Paths {
    /// Of a page of the server.
    pub fn of_server() -> Paths {
        Paths::default()
    }

    /// Of a page of a static site that lies so many folders below its root.
    pub fn of_site(depth: usize) -> Paths {
        Paths { up: Some("../".repeat(depth)) }
    }

    /// Whether it is a page of a static site.
    pub fn is_site(&self) -> bool {
        self.up.is_some()
    }

    /// A file, by its path from the root, which begins with a slash.
    pub fn file(&self, path: &str) -> String {
        match &self.up {
            None => path.to_owned(),
            Some(up) => format!("{up}{}", path.trim_start_matches('/')),
        }
    }

    /// A page, likewise. In a static site it is a folder, so that every file server finds it.
    pub fn page(&self, path: &str) -> String {
        match &self.up {
            None => path.to_owned(),
            Some(up) if path == "/" && up.is_empty() => "./".to_owned(),
            Some(_) if path == "/" => self.file(path),
            Some(_) => format!("{}/", self.file(path)),
        }
    }

    /// The page of a hashtag. One whose name no folder can have has none in a static site, where the list of all stands for it.
    pub fn tag(&self, urls: &DomainUrls, tag: &str) -> String {
        match self.is_site() && folder(tag).is_none() {
            true => self.page("/tags"),
            false => self.page_at(urls.base(), urls.tag(tag)),
        }
    }

    /// A page whose whole URL is `url`, below `base`. Where the server would be asked it stays whole.
    pub fn page_at(&self, base: &str, url: String) -> String {
        match url.strip_prefix(base).filter(|_| self.is_site()) {
            Some(path) => self.page(path),
            None => url,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_same_thing_from_every_depth() {
        let of = |paths: Paths| [paths.page("/"), paths.page("/@ann/7"), paths.file("/media/a.jpg")];
        assert_eq!(of(Paths::of_server()), ["/", "/@ann/7", "/media/a.jpg"]);
        assert_eq!(of(Paths::of_site(0)), ["./", "@ann/7/", "media/a.jpg"]);
        assert_eq!(of(Paths::of_site(2)), ["../../", "../../@ann/7/", "../../media/a.jpg"]);
        let tag = || "https://a.example/tags/x".to_owned();
        assert_eq!(Paths::of_server().page_at("https://a.example", tag()), tag());
        assert_eq!(Paths::of_site(1).page_at("https://a.example", tag()), "../tags/x/");
        assert_eq!(Paths::of_site(1).page_at("https://b.example", tag()), tag());
    }

    #[test]
    fn only_names_that_every_file_system_takes_are_folders() {
        assert_eq!(folder("blåbær"), Some("blåbær"));
        for bad in ["", ".", "..", ".x", "a/b", "a\\b", "a\u{7}", &"ü".repeat(101)] {
            assert_eq!(folder(bad), None, "{bad}");
        }
        let urls = DomainUrls::new("https://a.example");
        assert_eq!(Paths::of_site(2).tag(&urls, "blåbær"), "../../tags/bl%C3%A5b%C3%A6r/");
        assert_eq!(Paths::of_site(2).tag(&urls, "a/b"), "../../tags/");
        assert_eq!(Paths::of_server().tag(&urls, "a/b"), "https://a.example/tags/a%2Fb");
    }
}
