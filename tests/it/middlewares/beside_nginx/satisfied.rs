//! `satisfy: any`: addresses or authentication.

use super::cases::{Case, PLAIN};

pub(super) const SATISFIED: &[Case] = &[
    Case {
        name: "addresses or users",
        annotations: &[
            ("satisfy", "any"),
            ("whitelist-source-range", "192.0.2.0/24"),
            ("auth-type", "basic"),
            ("auth-secret", "users"),
        ],
        users: "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
        server: "location / { satisfy any; allow 192.0.2.0/24; deny all;
            auth_basic \"Authentication Required\"; auth_basic_user_file USERS;
            proxy_set_header Authorization \"\"; proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /",
            "GET /\nX-Forwarded-For: 192.0.2.9",
            "GET /\nX-Forwarded-For: 203.0.113.1",
            "GET /\nX-Forwarded-For: 203.0.113.1\nAuthorization: Basic Ym9iOnNlY3JldA==",
            "GET /\nX-Forwarded-For: 203.0.113.1\nAuthorization: Basic Ym9iOndyb25n",
            "GET /\nX-Forwarded-For: 192.0.2.9\nAuthorization: Basic Ym9iOndyb25n",
        ],
        ..PLAIN
    },
    Case {
        name: "addresses or a server that is asked",
        annotations: &[
            ("satisfy", "any"),
            ("whitelist-source-range", "192.0.2.0/24"),
            ("auth-url", "http://AUTH/verify"),
            ("auth-response-headers", "X-Auth-Request-User"),
        ],
        server: "location = /_auth { internal; SUBREQUEST }
            location / { satisfy any; allow 192.0.2.0/24; deny all; auth_request /_auth;
            auth_request_set $auth_cookie $upstream_http_set_cookie; add_header Set-Cookie $auth_cookie;
            auth_request_set $user $upstream_http_x_auth_request_user;
            proxy_set_header X-Auth-Request-User $user; proxy_set_header Host $http_host; PASS; }",
        requests: &[
            "GET /\nX-Forwarded-For: 192.0.2.9",
            "GET /\nX-Forwarded-For: 192.0.2.9\nX-Auth-Request-User: mallory",
            "GET /\nX-Forwarded-For: 203.0.113.1\nCookie: ann\nX-Auth-Request-User: mallory",
            "GET /\nX-Forwarded-For: 203.0.113.1",
            "GET /\nX-Forwarded-For: 203.0.113.1\nCookie: 200",
        ],
        ..PLAIN
    },
];
