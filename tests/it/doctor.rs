//! `everpost doctor`: a good set-up has no problem, and each broken one is found, with what to do about it.

use crate::support::{Asked, Authority, Bundle, Front, Issued, Program, Reply, Serving, TestDatabase};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

const HOST: &str = "kept.example";

/// A published account on a server that runs, ready for a front.
struct Setting {
    program: Program,
    authority: Authority,
    serving: Serving,
}

impl Setting {
    fn start() -> Setting {
        let (mut program, authority) = (Program::new(), Authority::new());
        program.set("EVERPOST_SERVER__PUBLIC_URL", &format!("https://{HOST}"));
        program.set("EVERPOST_SERVER__CONTACT", "keeper@kept.example");
        program.set("EVERPOST_FEDERATION__EXTRA_CA", authority.write(program.scratch()).to_str().unwrap());
        Bundle::new().post("2024-01-01T10:00:00Z", "<p>One.</p>").write(&program.scratch().join("archive"));
        program.ok(&["import", "archive"]);
        program.ok(&["account", "publish", "ann"]);
        std::fs::create_dir_all(program.data_dir()).unwrap();
        let serving = Serving::start(&program);
        Setting { program, authority, serving }
    }

    /// What the doctor says about this front.
    fn examine(&self, issued: &Issued, act: impl Fn(Asked) -> Reply + Send + 'static) -> Report {
        let front = Front::start(issued, self.serving.address, act);
        let bind = format!("server.bind={}", self.serving.address);
        doctor(&self.program, &["--set", &bind, "--connect", &front.address.to_string()])
    }

    /// The same with a certificate that is good.
    fn behind(&self, act: impl Fn(Asked) -> Reply + Send + 'static) -> Report {
        self.examine(&self.authority.issue(HOST), act)
    }
}

/// What the doctor found.
struct Report {
    code: i32,
    json: Value,
}

impl Report {
    fn of(&self, severity: &str) -> Vec<&Value> {
        self.json["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == severity).collect()
    }

    /// The only problem is of this check, was seen like this, and comes with this advice.
    fn finds_only(&self, check: &str, seen: &str, advice: &str) {
        let problems = self.of("problem");
        assert_eq!(problems.len(), 1, "{:#}", self.json);
        self.finds(check, seen, advice);
    }

    /// Among the problems is one of this check, seen like this, with this advice.
    fn finds(&self, check: &str, seen: &str, advice: &str) {
        assert_eq!(self.code, 1, "{:#}", self.json);
        let holds = |problem: &&&Value| {
            problem["check"] == check
                && problem["seen"].as_str().unwrap().contains(seen)
                && problem["advice"].as_str().unwrap().contains(advice)
        };
        let problems = self.of("problem");
        assert!(problems.iter().any(|problem| holds(&problem)), "{check}, {seen:?}, {advice:?}: {:#}", self.json);
    }
}

fn doctor(program: &Program, more: &[&str]) -> Report {
    let outcome = program.run(&[&["doctor", "--json"], more].concat());
    let json = serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {outcome:?}"));
    Report { code: outcome.code, json }
}

#[test]
fn a_good_set_up_has_no_problem_and_the_report_has_its_documented_shape() {
    let setting = Setting::start();
    let report = setting.behind(|asked| asked.pass_on());
    assert_eq!((report.code, report.of("problem").len(), report.of("warning").len()), (0, 0, 0), "{:#}", report.json);
    assert_eq!((&report.json["public_url"], &report.json["problems"]), (&format!("https://{HOST}").into(), &0.into()));
    let checks: Vec<&str> = report.of("ok").iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    for check in [
        "configuration",
        "disk",
        "server",
        "database",
        "migrations",
        "clock",
        "domain",
        "accounts",
        "media",
        "certificate",
        "host",
        "webfinger",
        "actor",
        "caching",
        "compression",
    ] {
        assert!(checks.contains(&check), "{check} is not in {checks:?}");
    }
    for finding in report.json["findings"].as_array().unwrap() {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["check", "severity", "seen", "advice"]);
        assert_eq!(
            finding["advice"].is_null(),
            matches!(finding["severity"].as_str(), Some("ok" | "note")),
            "{finding}"
        );
    }
}

#[test]
fn people_read_the_same_with_the_advice_below_each_finding() {
    let program = Program::new();
    let outcome = program.run(&["doctor", "--set", "server.bind=127.0.0.1:1"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("problem  server")).unwrap();
    assert!(lines[at].contains("Nothing listens on 127.0.0.1:1") && lines[at + 1].contains("systemctl start everpost"));
    assert_eq!(lines.last(), Some(&"1 problem was found."), "{}", outcome.stdout);
}

// On this machine.

#[test]
fn a_configuration_that_cannot_be_read_is_found() {
    let mut program = Program::private();
    program.set("EVERPOST_SERVER__BIND", "8080");
    doctor(&program, &[]).finds_only("configuration", "EVERPOST_SERVER__BIND", "config/default.toml");
}

#[test]
fn a_server_that_does_not_run_is_found_and_the_rest_is_looked_at_all_the_same() {
    let program = Program::new();
    let report = doctor(&program, &["--set", "server.bind=127.0.0.1:1"]);
    report.finds_only("server", "Nothing listens on 127.0.0.1:1", "journalctl -u everpost");
    assert!(report.of("ok").iter().any(|finding| finding["check"] == "migrations"), "{:#}", report.json);
}

#[test]
fn a_database_that_cannot_be_reached_is_found_without_its_password() {
    let mut program = Program::private();
    program.set("DATABASE_URL", "postgres://ann:geheim@127.0.0.1:1/everpost");
    let report = doctor(&program, &[]);
    report.finds("database", "cannot be reached", "systemctl status postgresql");
    assert!(!report.json.to_string().contains("geheim"));
}

#[test]
fn migrations_that_have_not_run_are_found_and_not_run() {
    let database = TestDatabase::empty();
    let mut program = Program::private();
    program.set("DATABASE_URL", &database.url());
    doctor(&program, &[]).finds("migrations", "create_posts", "everpost migrate");
    assert_eq!(database.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), 0, "it only looks");
    program.ok(&["migrate"]);
    let report = doctor(&program, &[]);
    assert!(report.of("problem").iter().all(|finding| finding["check"] == "server"), "{:#}", report.json);
}

#[test]
fn a_data_folder_that_cannot_be_written_to_is_found() {
    let mut program = Program::new();
    // Not even root can write there.
    program.set("EVERPOST_STORAGE__DATA_DIR", "/proc/self");
    doctor(&program, &[]).finds("disk", "/proc/self cannot be written to", "chown");
    program.set("EVERPOST_STORAGE__DATA_DIR", "/nowhere/at/all");
    doctor(&program, &[]).finds("disk", "/nowhere/at/all is not there", "storage.data_dir");
}

#[test]
fn a_key_file_that_others_can_read_or_that_is_missing_is_found() {
    let mut program = Program::new();
    let file = program.scratch().join("everpost.key");
    std::fs::write(&file, "5a".repeat(32)).unwrap();
    program.set("EVERPOST_SECRETS__KEY_FILE", file.to_str().unwrap());
    program.ok(&["account", "create", "ann"]);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    doctor(&program, &[]).finds("keys", "mode 0644", "chmod 600");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let report = doctor(&program, &[]);
    assert!(report.of("problem").iter().all(|finding| finding["check"] == "server"), "{:#}", report.json);
    std::fs::write(&file, "5b".repeat(32)).unwrap();
    doctor(&program, &[]).finds("keys", "not the one that sealed it", "backup");
    std::fs::remove_file(&file).unwrap();
    doctor(&program, &[]).finds("keys", "everpost.key", "backup");
}

#[test]
fn media_that_are_gone_from_the_disk_are_found() {
    let setting = Setting::start();
    let picture = crate::support::fixture(
        "hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png",
    );
    setting.program.ok(&["account", "set", "ann", &format!("avatar={}", picture.display())]);
    std::fs::remove_dir_all(setting.program.data_dir().join("media")).unwrap();
    setting.behind(|asked| asked.pass_on()).finds_only("media", "1 of 1 files are not there", "backup");
}

#[test]
fn a_public_address_that_is_not_the_one_of_the_accounts_is_found() {
    let mut setting = Setting::start();
    setting.behind(|asked| asked.pass_on());
    setting.program.set("EVERPOST_SERVER__PUBLIC_URL", "https://new.example");
    let report = setting.examine(&setting.authority.issue("new.example"), |asked| asked.pass_on());
    report.finds("domain", "https://kept.example", "everpost domain rename https://kept.example https://new.example");
    report.finds("host", "421", "");
}

#[test]
fn an_archive_without_a_private_database_is_no_problem_but_a_note() {
    let program = Program::private();
    let report = doctor(&program, &["--set", "server.bind=127.0.0.1:1"]);
    report.finds_only("server", "does not run", "Start it");
    assert!(report.of("note").iter().any(|finding| finding["check"] == "database"), "{:#}", report.json);
    assert!(!program.data_dir().exists(), "it made nothing");
}

// At the front door.

#[test]
fn a_name_that_does_not_resolve_is_found() {
    let mut program = Program::new();
    program.set("EVERPOST_SERVER__PUBLIC_URL", "https://nowhere.example");
    doctor(&program, &[]).finds("dns", "nowhere.example does not resolve", "A record");
}

#[test]
fn a_door_behind_which_nobody_answers_is_found() {
    let mut program = Program::new();
    program.set("EVERPOST_SERVER__PUBLIC_URL", &format!("https://{HOST}"));
    doctor(&program, &["--connect", "127.0.0.1:1"]).finds("https", "127.0.0.1:1", "firewall");
}

#[test]
fn a_certificate_that_strangers_refuse_is_found_for_what_it_is() {
    let setting = Setting::start();
    let own = &setting.authority;
    let refused = [
        (own.issue_for(HOST, (-90, -1)), "expired on", "Renew it"),
        (own.issue_for(HOST, (1, 30)), "not valid yet", "timedatectl"),
        (own.issue("other.example"), "is for other.example", "server_name"),
        (Authority::new().issue(HOST), "An invented authority, whom other servers do not believe", "fullchain.pem"),
    ];
    for (issued, seen, advice) in refused {
        setting.examine(&issued, |asked| asked.pass_on()).finds_only("certificate", seen, advice);
    }
    let soon = setting.examine(&own.issue_for(HOST, (-60, 1)), |asked| asked.pass_on());
    assert_eq!((soon.code, soon.of("warning").len()), (0, 1), "{:#}", soon.json);
}

#[test]
fn a_proxy_that_replaces_the_host_is_found() {
    let report = Setting::start().behind(|asked| asked.pass_on_as("127.0.0.1:8080"));
    report.finds_only("host", "421", "proxy_set_header Host $host");
}

#[test]
fn a_proxy_that_does_not_reach_the_server_or_has_another_site_is_found() {
    let setting = Setting::start();
    setting.behind(|_| Reply::new(502, "text/html", "<h1>Bad gateway</h1>")).finds_only("host", "502", "server.bind");
    let site = |_| Reply::new(200, "text/html", "<h1>Welcome</h1>");
    setting.behind(site).finds_only("host", "not with what Everpost says", "DNS");
    let www =
        |asked: Asked| Reply::new(301, "text/html", "").with("location", &format!("https://www.{HOST}{}", asked.path));
    setting.behind(www).finds_only("host", "https://www.kept.example/", "follow no redirect");
}

#[test]
fn a_proxy_that_answers_webfinger_itself_is_found() {
    let setting = Setting::start();
    let instead = |reply: fn() -> Reply| {
        move |asked: Asked| match asked.path.starts_with("/.well-known/webfinger") {
            true => reply(),
            false => asked.pass_on(),
        }
    };
    let page = setting.behind(instead(|| Reply::new(200, "text/html", "<h1>Welcome</h1>")));
    page.finds_only("webfinger", "text/html instead of JSON", "acme-challenge");
    let nothing = setting.behind(instead(|| Reply::new(404, "text/html", "<h1>Not found</h1>")));
    nothing.finds_only("webfinger", "answers 404", "acme-challenge");
    let typed = setting.behind(|asked: Asked| match asked.path.starts_with("/.well-known/webfinger") {
        true => asked.pass_on().with("content-type", "text/plain"),
        false => asked.pass_on(),
    });
    typed.finds_only("webfinger", "answers as text/plain", "acme-challenge");
}

#[test]
fn a_proxy_that_rewrites_the_type_of_actors_or_redirects_them_is_found() {
    let setting = Setting::start();
    let typed = setting.behind(|asked| match asked.wants_activitypub() {
        true => asked.pass_on().with("content-type", "application/json"),
        false => asked.pass_on(),
    });
    typed.finds_only("actor", "answers as application/json", "letter by letter");
    let sent = setting.behind(|asked| match asked.wants_activitypub() {
        true => Reply::new(302, "text/html", "").with("location", "https://www.kept.example/users/ann"),
        false => asked.pass_on(),
    });
    sent.finds_only("actor", "a redirect to https://www.kept.example/users/ann", "follow no redirect");
}

#[test]
fn a_cache_that_gives_everybody_the_same_copy_is_found() {
    let setting = Setting::start();
    let cache = || {
        let kept = Mutex::new(std::collections::HashMap::<String, Reply>::new());
        move |asked: Asked| kept.lock().unwrap().entry(asked.path.clone()).or_insert_with(|| asked.pass_on()).clone()
    };
    setting.behind(cache()).finds_only("caching", "the same, a redirect to /@ann", "Vary");
    // One that keeps pages and objects, but no redirects.
    let pages = cache();
    let report = setting.behind(move |asked| if asked.path == "/@ann" { pages(asked) } else { asked.pass_on() });
    report.finds_only("caching", "/@ann gives browsers and servers the same, text/html", "Vary");
    // It kept what a server asked for: whoever comes first decides.
    let served = setting.behind(|asked| match asked.path == "/@ann" {
        true => asked.pass_on_to("application/activity+json"),
        false => asked.pass_on(),
    });
    served.finds_only("caching", "/@ann gives browsers and servers the same, application/activity+json", "Vary");
}

#[test]
fn a_proxy_that_takes_the_headers_for_caches_away_is_a_warning() {
    let report = Setting::start().behind(|asked| asked.pass_on().without("vary"));
    assert_eq!(report.code, 0, "{:#}", report.json);
    let warnings = report.of("warning");
    assert_eq!(warnings.len(), 1, "{:#}", report.json);
    assert!(warnings[0]["check"] == "caching" && warnings[0]["seen"].as_str().unwrap().contains("Vary: Accept"));
}

#[test]
fn compression_that_nobody_asked_for_is_found() {
    let setting = Setting::start();
    let report = setting.behind(|asked| match asked.path.as_str() {
        "/users/ann" => asked.pass_on().with("content-encoding", "gzip"),
        _ => asked.pass_on(),
    });
    report.finds_only("compression", "for who cannot read that", "only what the asker accepts");
}

#[test]
fn a_clock_that_is_wrong_is_found() {
    let report = Setting::start().behind(|asked| asked.pass_on().with("date", "Mon, 01 Jan 2024 10:00:00 GMT"));
    report.finds_only("clock", "seconds behind that of this machine", "timedatectl");
}

#[test]
fn paused_deliveries_and_a_restore_that_has_not_ended_are_found() {
    let program = Program::new();
    program.ok(&["account", "create", "ann"]);
    let has = |report: &Report, severity: &str, check: &str, advice: &str| {
        let found = report.of(severity);
        found.iter().any(|finding| finding["check"] == check && finding["advice"].as_str().unwrap().contains(advice))
    };
    assert!(!has(&doctor(&program, &[]), "warning", "queue", ""));
    program.ok(&["queue", "pause"]);
    assert!(has(&doctor(&program, &[]), "warning", "queue", "everpost queue resume"));
    std::fs::create_dir_all(program.data_dir()).unwrap();
    std::fs::write(program.data_dir().join("restore.unfinished"), "0").unwrap();
    assert!(has(&doctor(&program, &[]), "problem", "database", "everpost restore"));
}
