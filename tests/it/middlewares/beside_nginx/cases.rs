//! Annotations, and what ingress-nginx makes of them in nginx's words.

/// One Ingress.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Paths with their types.
    pub(super) paths: &'static [(&'static str, &'static str)],
    /// Without `nginx.ingress.kubernetes.io/`. `AUTH` stands for the Service of `auth-url`.
    pub(super) annotations: &'static [(&'static str, &'static str)],
    /// The `auth` of Secret `users`, and the file `USERS`.
    pub(super) users: &'static str,
    /// Directives of nginx's `http` block.
    pub(super) http: &'static str,
    /// Directives of its `server` block. `PASS` passes on to the pod, `POD`, `AUTH` and `PAGE` are addresses,
    /// `SUBREQUEST` asks the server of `auth-url`, `PAGES` asks the one of
    /// `default-backend`, and `CORS` does what `enable-cors` does.
    pub(super) server: &'static str,
    pub(super) requests: &'static [&'static str],
}

pub(super) const PLAIN: Case = Case {
    name: "",
    paths: &[("/", "Prefix")],
    annotations: &[],
    users: "",
    http: "",
    server: "",
    requests: &[],
};

const EXPRESSION: &str = "ImplementationSpecific";

/// One request of a visitor at a time.
pub(super) const AT_ONCE: Case = Case {
    name: "requests at once",
    annotations: &[("limit-connections", "1")],
    http: "limit_conn_zone $binary_remote_addr zone=z:1m;",
    server: "location / { limit_conn z 1; proxy_set_header Host $http_host; PASS; }",
    ..PLAIN
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "allowed addresses",
        annotations: &[("whitelist-source-range", "192.0.2.0/24, 198.51.100.7,2001:db8::/32")],
        server: "location / { allow 192.0.2.0/24; allow 198.51.100.7; allow 2001:db8::/32; deny all;
            proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /",
            "GET /\nX-Forwarded-For: 192.0.2.9",
            "GET /\nX-Forwarded-For: 198.51.100.7",
            "GET /\nX-Forwarded-For: 198.51.100.8",
            "GET /\nX-Forwarded-For: 192.0.2.9, 203.0.113.1",
            "GET /\nX-Forwarded-For: 203.0.113.1, 192.0.2.9",
            "GET /\nX-Forwarded-For: 2001:db8::1",
            "GET /\nX-Forwarded-For: 2001:db9::1",
            "POST /\nX-Forwarded-For: 203.0.113.1\n@body 10",
        ],
        ..PLAIN
    },
    Case {
        name: "denied addresses",
        annotations: &[("denylist-source-range", "192.0.2.0/24")],
        server: "location / { deny 192.0.2.0/24; proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /",
            "GET /\nX-Forwarded-For: 192.0.2.9",
            "GET /\nX-Forwarded-For: 192.0.2.9, 203.0.113.1",
        ],
        ..PLAIN
    },
    Case {
        name: "denied and allowed addresses",
        annotations: &[
            ("denylist-source-range", "192.0.2.128/25"),
            ("allowlist-source-range", "192.0.2.0/24"),
        ],
        server: "location / { deny 192.0.2.128/25; allow 192.0.2.0/24; deny all;
            proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /\nX-Forwarded-For: 192.0.2.9",
            "GET /\nX-Forwarded-For: 192.0.2.129",
            "GET /\nX-Forwarded-For: 203.0.113.1",
        ],
        ..PLAIN
    },
    Case {
        name: "users",
        annotations: &[("auth-type", "basic"), ("auth-secret", "users")],
        // `secret`, of Apache's MD5, SHA-1, MD5 and bcrypt.
        users: "ann:$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=:Bob\n\
            # a comment\neve:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n",
        server: "location / { auth_basic \"Authentication Required\"; auth_basic_user_file USERS;
            proxy_set_header Authorization \"\"; proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /",
            "GET /\nAuthorization: Basic YW5uOnNlY3JldA==",
            "GET /\nAuthorization: basic YW5uOnNlY3JldA==",
            "GET /\nAuthorization: Basic YW5uOndyb25n",
            "GET /\nAuthorization: Basic Ym9iOnNlY3JldA==",
            "GET /\nAuthorization: Basic Ym9iOnNlY3JldDpj",
            "GET /\nAuthorization: Basic ZXZlOnNlY3JldA==",
            "GET /\nAuthorization: Basic bm9ib2R5OnNlY3JldA==",
            "GET /\nAuthorization: Basic YW5uOg==",
            "GET /\nAuthorization: Basic ???",
            "GET /\nAuthorization: Basic",
            "GET /\nAuthorization: Bearer YW5uOnNlY3JldA==",
            "OPTIONS /",
        ],
        ..PLAIN
    },
    Case {
        name: "a realm",
        annotations: &[("auth-type", "basic"), ("auth-secret", "users"), ("auth-realm", "Staff")],
        users: "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
        server: "location / { auth_basic Staff; auth_basic_user_file USERS;
            proxy_set_header Authorization \"\"; proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /"],
        ..PLAIN
    },
    Case {
        name: "a limit a minute",
        annotations: &[("limit-rpm", "1")],
        http: "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/m;",
        server: "location / { limit_req zone=z burst=5 nodelay; proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /1", "GET /2", "GET /3", "GET /4", "GET /5", "GET /6", "GET /7", "GET /8",
            "GET /\nX-Forwarded-For: 192.0.2.9"],
        ..PLAIN
    },
    Case {
        name: "a limit with a burst",
        annotations: &[("limit-rpm", "2"), ("limit-burst-multiplier", "1")],
        http: "limit_req_zone $binary_remote_addr zone=z:1m rate=2r/m;",
        server: "location / { limit_req zone=z burst=2 nodelay; proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /1", "GET /2", "GET /3", "GET /4", "GET /5"],
        ..PLAIN
    },
    Case {
        name: "a prefix taken away",
        paths: &[("/api(/|$)(.*)", EXPRESSION)],
        annotations: &[("use-regex", "true"), ("rewrite-target", "/$2")],
        server: "location ~* \"^/api(/|$)(.*)\" { rewrite \"(?i)/api(/|$)(.*)\" /$2 break;
            proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /api/x/y?q=1&q=2",
            "GET /api",
            "GET /api/",
            "GET /api?q",
            "GET /apix",
            "GET /other",
            "GET /API/x",
            "GET /api/a%20b",
            "GET /api/%C3%A9",
            "GET /api/a+b",
            "GET /api/~a!$&'()*,;=:@",
            "GET /api/a%2Fb",
            "GET /api/a%3Fb",
            "GET /api//x",
            "GET //api/x",
            "GET /other/../api/x",
            "GET /api/../other",
            "GET /api/%2e%2e/other",
        ],
        ..PLAIN
    },
    Case {
        name: "everything to the root",
        paths: &[("/app", "Prefix")],
        annotations: &[("rewrite-target", "/")],
        server: "location ~* \"^/app\" { rewrite \"(?i)/app\" / break;
            proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /app", "GET /app/x?q=1", "GET /APP/x", "GET /appx", "GET /x"],
        ..PLAIN
    },
    Case {
        name: "a group in the middle",
        paths: &[("/u-([0-9]+)", EXPRESSION)],
        annotations: &[("rewrite-target", "/users/$1")],
        server: "location ~* \"^/u-([0-9]+)\" { rewrite \"(?i)/u-([0-9]+)\" /users/$1 break;
            proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /u-7", "GET /u-7/x?q", "GET /U-7", "GET /u-x", "GET /a/u-7"],
        ..PLAIN
    },
    Case {
        name: "expressions without a rewrite",
        paths: &[("/v[12]/.*", EXPRESSION), ("/files/(.+)\\.png$", EXPRESSION)],
        annotations: &[("use-regex", "true")],
        server: "location ~* \"^/v[12]/.*\" { proxy_set_header Host $http_host; PASS; }
            location ~* \"^/files/(.+)\\.png$\" { proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /v1/a?b", "GET /V2/", "GET /v2", "GET /v3/a", "GET /files/a/b.png",
            "GET /files/a.png?x", "GET /files/a.pngs", "GET /files/.png"],
        ..PLAIN
    },
    Case {
        name: "moved",
        annotations: &[("permanent-redirect", "https://b.example$request_uri")],
        server: "location / { return 301 https://b.example$request_uri; }",
        requests: &["GET /a%20b?c=%2F&d", "POST /\n@body 3", "HEAD /a", "GET /../a", "GET /a//b"],
        ..PLAIN
    },
    Case {
        name: "moved for a while",
        annotations: &[("temporal-redirect", "$scheme://b.example/new"), ("temporal-redirect-code", "307")],
        server: "location / { return 307 $scheme://b.example/new; }",
        requests: &["GET /a?b", "POST /\n@body 3"],
        ..PLAIN
    },
    Case {
        name: "moved with another status",
        annotations: &[("permanent-redirect", "https://b.example/"), ("permanent-redirect-code", "308")],
        server: "location / { return 308 https://b.example/; }",
        requests: &["GET /a?b", "PUT /\n@body 3"],
        ..PLAIN
    },
    Case {
        name: "the page of an application",
        annotations: &[("app-root", "/app")],
        server: "if ($uri = /) { return 302 $scheme://$http_host/app; }
            location / { proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /", "GET /?q=1", "GET /x", "POST /\n@body 1", "GET //"],
        ..PLAIN
    },
    Case {
        name: "the other name of a host",
        annotations: &[("from-to-www-redirect", "true")],
        // A map, as a second server would need a second block.
        http: "map $host $is_other { www.h.example 1; default 0; }",
        server: "if ($is_other) { return 308 $scheme://h.example$request_uri; }
            location / { proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /a%20b?c=%2F&d\n@host www.h.example",
            "GET /\n@host WWW.h.example",
            "POST /\n@host www.h.example\n@body 3",
            "HEAD /a\n@host www.h.example",
            "GET /a//b\n@host www.h.example",
            "GET /a?b",
        ],
        ..PLAIN
    },
    Case {
        name: "to https",
        annotations: &[("force-ssl-redirect", "true")],
        server: "location / { if ($http_x_forwarded_proto != https) { return 308 https://$host$request_uri; }
            proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /a?b=%20", "POST /a\n@body 2", "GET /a\nX-Forwarded-Proto: https",
            "GET /a\nX-Forwarded-Proto: http"],
        ..PLAIN
    },
    Case {
        name: "a bound for bodies",
        annotations: &[("proxy-body-size", "1k")],
        server: "location / { client_max_body_size 1k; proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "POST /\n@body 1024",
            "POST /\n@body 1025",
            "POST /\n@chunks 1024",
            "PUT /\n@body 0",
            "GET /",
            // At the end: a pod may hear of it when it has been answered.
            "POST /\n@chunks 1025",
        ],
        ..PLAIN
    },
    Case {
        name: "a server that is asked",
        annotations: &[
            ("auth-url", "http://AUTH/verify"),
            ("auth-response-headers", "X-Auth-Request-User"),
        ],
        server: "location = /_auth { internal; SUBREQUEST }
            location / { auth_request /_auth; auth_request_set $auth_cookie $upstream_http_set_cookie;
            add_header Set-Cookie $auth_cookie;
            auth_request_set $user $upstream_http_x_auth_request_user;
            proxy_set_header X-Auth-Request-User $user; proxy_set_header Host $http_host; PASS; }",
        requests: ASKED,
        ..PLAIN
    },
    Case {
        name: "a server that is asked, and a page to sign in",
        annotations: &[
            ("auth-url", "http://AUTH/verify"),
            ("auth-signin", "https://login.example/start?rd=$scheme://$host$request_uri"),
        ],
        server: "location = /_auth { internal; SUBREQUEST }
            location @signin { internal; add_header Set-Cookie $auth_cookie;
            return 302 https://login.example/start?rd=$scheme://$host$request_uri; }
            location / { auth_request /_auth; auth_request_set $auth_cookie $upstream_http_set_cookie;
            add_header Set-Cookie $auth_cookie; error_page 401 = @signin;
            proxy_set_header Host $http_host; PASS; }",
        requests: ASKED,
        ..PLAIN
    },
    Case {
        name: "any origin",
        annotations: &[("enable-cors", "true")],
        server: "location / { CORS proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /",
            "GET /\nOrigin: https://a.example",
            "POST /\nOrigin: https://a.example\n@body 2",
            "GET /\nOrigin: https://a.example\nX-Answer: 500",
            "OPTIONS /\nOrigin: https://a.example",
            "OPTIONS /",
        ],
        ..PLAIN
    },
    Case {
        name: "a preflight of any origin",
        annotations: &[("enable-cors", "true")],
        server: "location / { CORS proxy_set_header Host $http_host; PASS; }",
        requests: &["OPTIONS /\nOrigin: https://a.example\nAccess-Control-Request-Method: PUT"],
        ..PLAIN
    },
    Case {
        name: "one origin",
        annotations: &[
            ("enable-cors", "true"),
            ("cors-allow-origin", "https://a.example, https://b.example"),
            ("cors-allow-methods", "GET, PUT"),
            ("cors-allow-headers", "X-One"),
            ("cors-max-age", "60"),
            ("cors-expose-headers", "X-Two"),
        ],
        http: "map $http_origin $allowed { https://a.example $http_origin; https://b.example $http_origin; }
            map $allowed $credentials { default true; \"\" \"\"; }
            map $allowed $exposed { default X-Two; \"\" \"\"; }",
        server: "location / { if ($request_method = OPTIONS) {
            add_header Access-Control-Allow-Origin $allowed; add_header Access-Control-Allow-Credentials true;
            add_header Access-Control-Allow-Methods \"GET, PUT\"; add_header Access-Control-Allow-Headers X-One;
            add_header Access-Control-Max-Age 60; add_header Access-Control-Expose-Headers X-Two; return 204; }
            add_header Access-Control-Allow-Origin $allowed; add_header Access-Control-Allow-Credentials $credentials;
            add_header Access-Control-Expose-Headers $exposed; proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /",
            "GET /\nOrigin: https://b.example",
            "GET /\nOrigin: https://c.example",
            "GET /\nOrigin: https://a.example.c.example",
            "OPTIONS /\nOrigin: https://a.example\nAccess-Control-Request-Method: PUT",
        ],
        ..PLAIN
    },
    Case {
        name: "a Host and a prefix for the pod",
        annotations: &[("upstream-vhost", "pod.example"), ("x-forwarded-prefix", "/app")],
        server: "location / { proxy_set_header Host pod.example; proxy_set_header X-Forwarded-Prefix /app;
            PASS; }",
        requests: &["GET /", "GET /\nX-Forwarded-Prefix: /evil"],
        ..PLAIN
    },
    Case {
        name: "pages for errors",
        annotations: &[("custom-http-errors", "404,503"), ("default-backend", "page")],
        server: "location @404 { internal; PAGES proxy_set_header X-Code 404; }
            location @503 { internal; PAGES proxy_set_header X-Code 503; }
            location / { proxy_intercept_errors on; error_page 404 = @404; error_page 503 = @503;
            proxy_set_header Host $http_host; PASS; }",
        requests: &["GET /", "GET /a?b\nX-Answer: 404", "GET /\nX-Answer: 503\nAccept: text/html",
            "GET /\nX-Answer: 503\nX-Code: 1\nX-Format: 2\nX-Original-URI: 3", "GET /\nX-Answer: 500"],
        ..PLAIN
    },
];

const ASKED: &[&str] = &[
    "GET /a?b=c",
    "GET /a?b=c\nCookie: ann",
    "GET /\nCookie: ann\nX-Auth-Request-User: mallory",
    "POST /form\nCookie: ann\n@body 5",
    "POST /form\n@body 5",
    "GET /\nCookie: 200\nX-Auth-Request-User: mallory",
    "GET /\nCookie: 403",
    "GET /\nCookie: 302",
    "GET /\nCookie: 404",
    "GET /\nCookie: 500",
    "GET /\nCookie: 503",
];
