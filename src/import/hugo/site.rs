//! Where the media of a page are: beside it, or in the folders from which its site serves files.
//!
//! It only looks: opening a file, and refusing one outside of the root, is `files.rs`'s.

use crate::import::files::Tree;
use std::path::Path;

/// Why a file that a page names by its path on the site cannot be had.
pub const NOT_THERE: &str = "is not in the archive. It belongs into the static folder of the site: \
    if that lies outside of what was imported, import the folder of the whole site instead";

/// The folders of a site from which files are served at its top: Hugo's two, and the site itself as with Jekyll.
const SERVED: [&str; 3] = ["static", "assets", ""];

/// The reference under which the file of a `target` is found: a URL, a path below the root, or, for a path on the site
/// that nothing is found for, the path as it is written. `None` for what is no file at all.
///
/// A path on the site is looked for in the served folders of each folder around the page, the nearest first, so that a
/// tree may hold several sites.
pub fn reference(tree: &Tree, folder: &Path, target: &str) -> Option<String> {
    let lower = target.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Some(target.to_owned());
    }
    if target.starts_with("//") {
        return Some(format!("https:{target}"));
    }
    if target.is_empty() || target.starts_with('#') || has_scheme(&lower) {
        return None;
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if let Some(path) = path.strip_prefix('/') {
        return Some(on_site(tree, folder, path).unwrap_or_else(|| format!("/{path}")));
    }
    let beside = joined(folder, path);
    if tree.holds(&beside) {
        return Some(beside);
    }
    Some(on_site(tree, folder, path).unwrap_or(beside))
}

/// The path below the root of a file that its page names by its path on the site.
fn on_site(tree: &Tree, folder: &Path, path: &str) -> Option<String> {
    let served =
        |around: &Path| SERVED.iter().map(|served| joined(&around.join(served), path)).find(|at| tree.holds(at));
    folder.ancestors().find_map(served)
}

/// A path below the root, as a reference.
pub fn joined(folder: &Path, path: &str) -> String {
    folder.join(path).to_string_lossy().into_owned()
}

/// Whether it begins like a URL: `data:`, `mailto:` and so on.
fn has_scheme(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_beside_its_page_or_in_the_nearest_site_around_it() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "a/content/posts/beside.png",
            "a/static/m/one.png",
            "a/assets/two.png",
            "static/m/one.png",
            "b/assets/img/three.png",
            "b/_posts/x y.png",
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let tree = Tree::open(dir.path()).unwrap();
        let check = |folder: &str, target: &str, expected: Option<&str>| {
            assert_eq!(reference(&tree, Path::new(folder), target).as_deref(), expected, "{folder} {target}");
        };
        check("a/content/posts", "beside.png", Some("a/content/posts/beside.png"));
        check("a/content/posts", "../posts/beside.png?w=3", Some("a/content/posts/../posts/beside.png"));
        check("a/content/posts", "/m/one.png", Some("a/static/m/one.png"));
        check("a/content/posts", "m/one.png", Some("a/static/m/one.png"));
        check("a/content/posts", "/two.png", Some("a/assets/two.png"));
        check("c/content", "/m/one.png", Some("static/m/one.png"));
        check("b/_posts", "/assets/img/three.png", Some("b/assets/img/three.png"));
        check("b/_posts", "x%20y.png", Some("b/_posts/x%20y.png"));
        check("b/_posts", "gone.png", Some("b/_posts/gone.png"));
        check("b/_posts", "/gone.png#x", Some("/gone.png"));
        check("b/_posts", "/../../etc/passwd", Some("/../../etc/passwd"));
        check("b/_posts", "//c.example/i.png", Some("https://c.example/i.png"));
        check("b/_posts", "HTTPS://c.example/i.png?x", Some("HTTPS://c.example/i.png?x"));
        for nothing in ["", "#top", "data:image/png;base64,xx", "mailto:ann@a.example"] {
            check("b/_posts", nothing, None);
        }
    }
}
