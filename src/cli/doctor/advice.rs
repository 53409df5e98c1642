//! What to do, in plain words: the longer pieces of advice, each with what to write into which file.

/// A configuration that cannot be used.
pub const CONFIGURATION: &str = "Correct that setting. config/default.toml explains every key; `everpost config check` \
                                 shows what is in force.";

/// The proxy replaces the Host header.
pub const HOST: &str = "The proxy must pass the Host header on as it came.\n\
                        nginx: proxy_set_header Host $host;\n\
                        Apache: ProxyPreserveHost On\n\
                        Caddy does so by itself; remove a line `header_up Host …`.\n\
                        A proxy that cannot: let it send X-Forwarded-Host, and name its address in server.trusted_proxies.";

/// The proxy is there, and what is behind it is not.
pub const BEHIND: &str = "The proxy answers, and finds no Everpost behind it. See whether the server runs (`systemctl status \
                          everpost`, or `docker compose ps`), and whether the proxy passes on to the address in server.bind.";

/// Somebody else answers.
pub const SOMEBODY_ELSE: &str = "Something other than Everpost answers for this name. See to which place DNS leads, and which \
                                 site of the proxy answers; every path of this name has to be passed on to Everpost.";

/// WebFinger does not come through.
pub const WEBFINGER: &str = "Mastodon finds an account by this address alone. The proxy must pass /.well-known/webfinger on with \
                             its query and without a change. Often a rule for /.well-known/ (made for certificates), or the \
                             static site that had the name before, answers instead: take it away, or limit it to \
                             /.well-known/acme-challenge/.";

/// The type of a document is changed on the way.
pub const CONTENT_TYPE: &str = "Something between sets another Content-Type. Everpost's own must stay as it is; other servers \
                                compare it letter by letter. Remove rules such as `default_type`, `ForceType`, \
                                `add_header Content-Type` or `header Content-Type` for this name.";

/// A cache does not tell pages and objects apart.
pub const CACHE: &str = "A cache gives everybody the same copy. One address answers people with a page and servers with an \
                         object, and says so by `Vary: Accept`. Let the cache heed Vary (nginx: proxy_cache does unless \
                         proxy_ignore_headers names Vary; Varnish does), or switch it off for this name. Many content delivery \
                         networks ignore Vary: there, bypass the cache when the Accept header names `json`.";

/// Redirects on the addresses of objects.
pub const REDIRECT: &str = "Many servers follow no redirect from the address of an actor or a post. Answer under exactly the name \
                            in server.public_url: no redirect to www, to another host, to a trailing slash or to http.";

/// The certificate is not renewed.
pub const EXPIRED: &str = "Renew it. Caddy does that by itself: see its log (`journalctl -u caddy`, `docker compose logs caddy`); it \
                           needs ports 80 and 443 open to the world. certbot: `certbot renew`, then reload what serves it.";

/// The certificate is for another name.
pub const OTHER_NAME: &str = "Get a certificate for the name in server.public_url, and see that the proxy's site for that name \
                              uses it (nginx: server_name and ssl_certificate of the same server block).";

/// The certificate is by nobody who is believed.
pub const UNKNOWN_AUTHORITY: &str = "Other servers refuse it. Use a certificate of a public authority such as Let's Encrypt, and \
                                     serve it with its whole chain (certbot: fullchain.pem, not cert.pem). In a private network, \
                                     name your own authority in federation.extra_ca, here and on every server that shall read \
                                     this one.";

/// Nobody answers at the public address.
pub const UNREACHABLE: &str = "Nothing answers there. See whether the proxy runs (`systemctl status caddy` or nginx), whether the \
                               firewall and the provider's panel let port 443 in, and whether this is the address of this machine.";

/// The name leads nowhere.
pub const RESOLVE: &str = "Where you manage the domain, make an A record (and an AAAA record for IPv6) for this name with the \
                           address of this machine. It can take an hour until everybody sees it.";

/// A clock is wrong.
pub const CLOCK: &str = "Other servers refuse what is signed with a wrong time. Let the machine set its clock by itself: \
                         `timedatectl set-ntp true`, and look at it with `timedatectl`.";
