//! What the configuration promises.

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Sources { environment: pairs.collect(), ..Sources::default() }
}

fn file(text: &str) -> (tempfile::NamedTempFile, Sources) {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), text).unwrap();
    let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
    (file, sources)
}

#[test]
fn the_manual_is_the_default_and_explains_every_key() {
    let settings = load(&Sources::default()).unwrap();
    assert_eq!(settings.server.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.server.public_url, "http://localhost:8080");
    assert_eq!((settings.database.url, settings.database.pool_size), (None, 10));
    assert_eq!(settings.storage.data_dir, PathBuf::from("./data"));
    let mut commented = false;
    for line in DEFAULT.lines() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(commented, "no comment above {line}");
        }
        commented = line.starts_with('#');
    }
    let shown: Vec<String> =
        effective(&load(&Sources::default()).unwrap()).iter().map(|(key, _)| (*key).to_owned()).collect();
    let mut keys: Vec<String> = default_entries().into_keys().collect();
    let mut sorted = shown.clone();
    sorted.sort();
    keys.sort();
    assert_eq!(sorted, keys, "config check shows every key");
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let (_file, mut sources) = file("[server]\ncontact = \"file\"\n[database]\nurl = \"postgres://file/a\"\n");
    assert_eq!(load(&sources).unwrap().server.contact, "file");
    sources.environment =
        environment(&[("DATABASE_URL", "postgres://env/b"), ("EVERPOST_SERVER__CONTACT", "env")]).environment;
    let settings = load(&sources).unwrap();
    assert_eq!(settings.server.contact, "env");
    assert_eq!(settings.database.url.as_deref(), Some("postgres://env/b"));
    sources.environment.push(("EVERPOST_DATABASE__URL".to_owned(), "postgres://own/c".to_owned()));
    sources.flags.push("server.contact=flag".to_owned());
    let settings = load(&sources).unwrap();
    assert_eq!(settings.server.contact, "flag");
    assert_eq!(settings.database.url.as_deref(), Some("postgres://own/c"));
}

#[test]
fn an_unknown_key_is_reported_with_its_place_and_what_is_allowed() {
    let (path, sources) = file("# mine\n[server]\nbnid = \"x\"\n");
    let message = load(&sources).unwrap_err().to_string();
    assert!(message.contains("server.bnid"), "{message}");
    assert!(message.contains(&format!("{} line 3", path.path().display())), "{message}");
    assert!(
        message.contains("bind, contact, metrics_token_file, public_url, tls_cert, tls_key, trusted_proxies"),
        "{message}"
    );
    let message = load(&environment(&[("EVERPOST_SERVER__BNID", "x")])).unwrap_err().to_string();
    assert!(message.contains("EVERPOST_SERVER__BNID"), "{message}");
    let message = load(&environment(&[("EVERPOST_SERVER_BIND", "x")])).unwrap_err().to_string();
    assert!(message.contains("EVERPOST_SERVER__BIND"), "{message}");
    assert!(load(&environment(&[("EVERPOST_SERVICE_HOST", "x"), ("EVERPOST_SAMPLES", "y")])).is_ok());
}

#[test]
fn a_wrong_value_is_reported_with_its_place_and_what_is_allowed() {
    let (_file, sources) = file("[database]\npool_size = \"ten\"\n");
    let message = load(&sources).unwrap_err().to_string();
    assert!(
        message.contains("database.pool_size") && message.contains("line 2") && message.contains("whole number"),
        "{message}"
    );
    for (name, value) in [
        ("EVERPOST_DATABASE__POOL_SIZE", "0"),
        ("EVERPOST_DATABASE__URL", "mysql://a/b"),
        ("EVERPOST_SERVER__BIND", "8080"),
        ("EVERPOST_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,nonsense"),
        ("EVERPOST_SERVER__PUBLIC_URL", "https://a.example/"),
        ("EVERPOST_LOG__FORMAT", "xml"),
        ("EVERPOST_LOG__REQUESTS", "some"),
        ("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "10.0.0.0/8,everything"),
        ("EVERPOST_FEDERATION__ALLOW_HTTP", "localhost"),
        ("EVERPOST_FEDERATION__ALLOW_HTTP", "http://localhost:8080"),
        ("EVERPOST_FEDERATION__ALLOW_HTTP", "localhost:8080/x"),
        ("EVERPOST_FEDERATION__ALLOW_HTTP", "u@localhost:8080"),
        ("EVERPOST_FEDERATION__AUTHORIZED_FETCH", "maybe"),
    ] {
        let message = load(&environment(&[(name, value)])).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn nothing_inside_is_asked_unless_it_is_listed() {
    let federation = |pairs: &[(&str, &str)]| load(&environment(pairs)).unwrap().federation;
    let plain = federation(&[]);
    assert_eq!((plain.allow_addresses.len(), plain.allow_http.len(), plain.authorized_fetch), (0, 0, false));
    assert_eq!(plain.push_max_age, chrono::TimeDelta::hours(6));
    let lists = federation(&[
        ("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "10.0.0.0/8, 127.0.0.1,fd00::/8"),
        ("EVERPOST_FEDERATION__ALLOW_HTTP", "LocalHost:8080, [::1]:80,peer.example:0"),
        ("EVERPOST_FEDERATION__AUTHORIZED_FETCH", "on"),
    ]);
    let blocks: Vec<String> = lists.allow_addresses.iter().map(IpNet::to_string).collect();
    assert_eq!(blocks, ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"]);
    assert_eq!(lists.allow_http, ["localhost:8080", "[::1]:80", "peer.example:0"]);
    assert!(lists.authorized_fetch);
}

#[test]
fn a_public_url_has_no_path_no_slash_and_a_port_on_localhost_alone() {
    assert_eq!(read_public_url("https://Example.ORG").unwrap(), "https://example.org");
    assert_eq!(read_public_url("http://localhost:8080").unwrap(), "http://localhost:8080");
    for bad in [
        "https://a.example/",
        "https://a.example/x",
        "https://a.example:8443",
        "http://a.example",
        "ftp://a.example",
        "a.example",
        "https://u@a.example",
        "https://a.example?x",
    ] {
        assert!(read_public_url(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_password_is_never_shown() {
    let settings =
        load(&environment(&[("DATABASE_URL", "postgres://u:geheim@h/d?sslpassword=geheim&sslmode=require")])).unwrap();
    let shown = format!("{settings:?} {:?}", effective(&settings));
    assert!(!shown.contains("geheim"), "{shown}");
    assert!(shown.contains("sslmode=require"), "{shown}");
}

#[test]
fn a_certificate_and_its_key_are_named_together_or_not_at_all() {
    let (cert, key) = (("EVERPOST_SERVER__TLS_CERT", "c.pem"), ("EVERPOST_SERVER__TLS_KEY", "k.pem"));
    let both = load(&environment(&[cert, key])).unwrap();
    assert_eq!(both.server.tls, Some((PathBuf::from("c.pem"), PathBuf::from("k.pem"))));
    assert!(load(&environment(&[cert])).unwrap_err().to_string().contains("server.tls_key"));
    assert!(load(&environment(&[key])).unwrap_err().to_string().contains("server.tls_cert"));
    assert_eq!(load(&Sources::default()).unwrap().server.tls, None);
}

#[test]
fn the_log_is_text_about_failures_unless_told_otherwise() {
    assert_eq!(load(&Sources::default()).unwrap().log, Log { json: false, all_requests: false });
    let told = environment(&[("EVERPOST_LOG__FORMAT", "json"), ("EVERPOST_LOG__REQUESTS", "all")]);
    assert_eq!(load(&told).unwrap().log, Log { json: true, all_requests: true });
}
