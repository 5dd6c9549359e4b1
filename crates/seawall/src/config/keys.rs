//! Every configuration key, once: the parser, `check-config --print` and docs/configuration.md all read
//! this table, so that none of them can know a key which the others do not.

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Count,
    /// A number of bytes, or text such as `"64KiB"`.
    Size,
    /// A duration such as `"30m"`.
    Span,
    /// Several texts; in the environment divided by commas.
    List,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.key`.
    pub name: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// The value when none is given, as TOML; `None`: unset.
    pub default: Option<&'static str>,
    /// Whether it may hold a password: masked when shown, and readable from a file.
    pub secret: bool,
    /// For the reference page.
    pub meaning: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, default: Some(default), secret: false, meaning }
}

const fn unset(name: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { name, kind, default: None, secret: false, meaning }
}

/// A secret that is unset unless given, and hidden as a whole when shown.
const fn hidden(name: &'static str, meaning: &'static str) -> Key {
    Key { name, kind: Kind::Text, default: None, secret: true, meaning }
}

const fn secret(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind: Kind::Text, default: Some(default), secret: true, meaning }
}

/// All keys, section by section.
#[rustfmt::skip] // one key a line reads as the table that it is
pub(super) static KEYS: &[Key] = &[
    key("server.listen", Kind::Text, "\"127.0.0.1:8080\"", "Address and port that the APIs are served on. `--listen` outranks it."),
    key("server.trusted_proxies", Kind::List, "[]", "Networks of your own reverse proxies. Only from there is `client_ip_header` believed."),
    key("server.trust_any_proxy", Kind::Switch, "false", "Accepts a network of everybody (`0.0.0.0/0`) in `trusted_proxies`. Any client can then claim any address."),
    key("server.client_ip_header", Kind::Text, "\"x-forwarded-for\"", "The one header that names the caller: `x-forwarded-for`, `forwarded`, or a header of your proxy that holds one address."),
    key("server.allow_plain_http", Kind::Switch, "false", "Serves unencrypted HTTP to everybody on an address that is not loopback. API keys then cross the network in clear."),
    unset("server.public_url", Kind::Text, "Where this gateway is reached from outside, such as `https://sms.example.com`: links in messages (`{not_me}`) begin with it."),
    key("server.max_body", Kind::Size, "\"64KiB\"", "Largest request body, batches apart."),
    key("server.max_batch_body", Kind::Size, "\"4MiB\"", "Largest body of a batch of messages."),
    unset("tls.certificate", Kind::Text, "PEM file with the certificate chain. With `tls.key`: HTTPS, TLS 1.2 and 1.3. SIGHUP reads both again."),
    unset("tls.key", Kind::Text, "PEM file with the private key."),
    secret("store.url", "\"sqlite:./seawall-data\"", "Where data is kept: `sqlite:DIR`, or `postgres://USER:PASSWORD@HOST/DATABASE`. Beyond this machine PostgreSQL is spoken to with TLS, unless the URL says `sslmode=disable`; `sslrootcert=FILE` names its authority. `--data-dir` outranks a `sqlite:` URL."),
    key("store.data_dir", Kind::Text, "\"./seawall-data\"", "With PostgreSQL: the directory of `installation.key`, the same on all nodes, and of what this node keeps for itself. `--data-dir` outranks it. With `sqlite:DIR` it is DIR."),
    unset("keys.file", Kind::Text, "File with the key-encryption key, which opens the data keys in the database (keys.md). Unset, as the other two: `installation.key` in the data directory, made with it."),
    unset("keys.env", Kind::Text, "Name of an environment variable that holds the key-encryption key instead: `1:` and 64 hexadecimal digits; older ones before it, divided by commas."),
    key("keys.command", Kind::List, "[]", "A program that holds the key-encryption key instead, and its arguments: called with `wrap` or `unwrap` at the end, base64 on standard input, base64 on standard output."),
    key("keys.deadline", Kind::Span, "\"10s\"", "How long that program may take, 100ms to 60s."),
    secret("counters.url", "\"memory:\"", "Where limits count, refilled from the store when need be: `memory:`, or a Redis or Valkey (6.2 or newer) as `redis://HOST:PORT`, `rediss://…` (TLS), `redis+cluster://HOST:PORT,…` or `redis+sentinel://HOST:PORT,…/NAME`. Credentials go in front of the host: `redis://USER:PASSWORD@…`."),
    key("counters.on_loss", Kind::OneOf(&["refuse", "allow"]), "\"refuse\"", "What to do with sends while Redis does not answer. `allow`: each node counts the limits of `counters.allow_on_loss` for itself with its share of their quota. Budgets that block and limits of wrong codes always refuse. No effect on `memory:`, which cannot be lost."),
    key("counters.allow_on_loss", Kind::List, "[\"client_ip\", \"network\", \"msisdn\", \"number_range\", \"api_key\", \"subaccount\", \"account\", \"country\", \"caller_ip\", \"user\", \"fingerprint\", \"route\", \"custom\", \"back_off\"]", "With `on_loss = \"allow\"`: which limits, by what they count (`per`, all of its parts), go on without Redis. A request that any other limit counts is refused."),
    key("log.level", Kind::Text, "\"info\"", "`error`, `warn`, `info`, `debug` or `trace` (Seawall alone; libraries tell `info`), also by target: `\"info,hyper=debug\"`."),
    key("log.format", Kind::OneOf(&["text", "json"]), "\"text\"", "Lines for people or JSON for machines, on standard error."),
    unset("metrics.listen", Kind::Text, "A listener of its own for `/metrics`. Unset: on the main listener, for loopback and the admin token."),
    key("sandbox.clock", Kind::Switch, "false", "Lets the admin API move the gateway's clock. For tests only."),
    key("webhooks.allow_private", Kind::Switch, "false", "Lets webhooks go to private, loopback and link-local addresses."),
    key("webhooks.allow_http", Kind::Switch, "false", "Lets webhooks go out unencrypted."),
    key("smpp.allow_insecure", Kind::Switch, "false", "Lets SMPP binds cross the network without TLS."),
    key("verification.min_code_length", Kind::Count, "4", "Shortest code that may be asked for, 4 to 10. Clients made for 8x8 draw four boxes; 6 is safer."),
    key("verification.max_checks", Kind::Count, "5", "Wrong codes until a verification fails, 1 to 10."),
    key("verification.default_ttl", Kind::Span, "\"300s\"", "How long a code is valid when the request does not say, 10s to 24h."),
    key("retention.texts", Kind::Span, "\"7d\"", "How long texts of messages are kept; not longer than `retention.messages`."),
    key("retention.messages", Kind::Span, "\"90d\"", "How long messages, verifications and decisions are kept; at least 2d, because limits are refilled from them."),
    key("retention.audit", Kind::Span, "\"365d\"", "How long the audit log is kept; at least 1d."),
    key("retention.idempotency", Kind::Span, "\"24h\"", "How long an idempotency key is remembered; at least 1h."),
    key("retention.masking", Kind::Span, "\"30d\"", "How long masking sessions are kept once they are over, and masked calls; at least 1d."),
    hidden("voice.twilio_auth_token", "Twilio's auth token: its questions about calls and texts are answered when they are signed with it."),
    unset("voice.public_url", Kind::Text, "Where Twilio reaches the gateway, such as `https://gateway.example.com`: it signs the address that it calls."),
    unset("intel.country_mmdb", Kind::Text, "Your own file of countries by address, in MaxMind's format (.mmdb). It outranks the tables that come with the gateway. A changed file is in force within 10 s; a bad one never replaces a good one."),
    unset("intel.asn_mmdb", Kind::Text, "The same with AS numbers."),
    unset("intel.anonymous_mmdb", Kind::Text, "The same with hosting providers, VPNs, proxies, Tor exits and relays. It replaces what the tables say of these."),
    unset("intel.portability_csv", Kind::Text, "Your own file of ported numbers, CSV with the columns `number` (or a range `FIRST-LAST`), `mccmnc` or `operator`, `date` (lookup.md). It outranks the tables. A changed file is in force within 10 s; a bad one refuses the start and never replaces a good one."),
    key("limits.max_connections", Kind::Count, "16384", "Connections at a time. Lowered at start if the process may not open as many files."),
    key("limits.max_connections_per_address", Kind::Count, "512", "Connections at a time from one IPv4 address or IPv6 /64; loopback and trusted proxies are exempt."),
    key("limits.max_requests", Kind::Count, "1024", "Requests of subaccounts under way at a time. A subaccount is let in as long as it holds fewer places than are free, so one that floods the gateway holds half of them; what is beyond gets 503 `overloaded` at once."),
    key("limits.header_timeout", Kind::Span, "\"10s\"", "From accepting a connection (TLS included), or from a request's first byte, to the end of its headers. At most 2s while more than half of all connections are taken."),
    key("limits.request_timeout", Kind::Span, "\"30s\"", "From the end of the headers to the end of the body; also how long a response may stall."),
    key("limits.idle_timeout", Kind::Span, "\"60s\"", "How long a connection is kept without a request."),
];

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The environment variable of a key: `SEAWALL_SECTION__KEY`.
pub(super) fn variable(name: &str) -> String {
    format!("SEAWALL_{}", name.replace('.', "__").to_ascii_uppercase())
}
