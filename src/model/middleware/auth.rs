//! Who may ask, by what they show.

use super::super::BackendKey;
use super::pattern::Pattern;
use http::{HeaderName, HeaderValue, Method, Uri};
use std::fmt;
use std::sync::Arc;

/// `basicAuth` (RFC 7617).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// Who may ask, sorted by user, each once.
    pub users: Vec<Credential>,
    /// `realm`, as the whole value of `WWW-Authenticate`.
    pub challenge: HeaderValue,
    /// `headerField`: where pods are told the user.
    pub user_field: Option<HeaderName>,
    /// `removeHeader`: pods do not get `Authorization`.
    pub remove_header: bool,
}

/// One line of an htpasswd file.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user.
    pub user: Box<str>,
    /// The hash of the password.
    pub hash: PasswordHash,
}

/// A hashed password. `Debug` shows its kind alone.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// `$2a$`, `$2b$`, `$2x$`, `$2y$`.
    Bcrypt(Box<str>),
    /// `$apr1$`, or `$1$`, with salt and hash.
    Md5Crypt {
        /// The text between the first two `$`.
        magic: &'static str,
        /// The salt, at most 8 bytes.
        salt: Box<str>,
        /// The 22 characters of the hash.
        hash: Box<str>,
    },
    /// `$5$` and `$6$`.
    ShaCrypt(Box<ShaCrypt>),
    /// `{SHA}`: the SHA-1 of the password.
    Sha1([u8; 20]),
    /// A password in clear, of a Secret of type `kubernetes.io/basic-auth`.
    Clear(Box<str>),
}

/// A hash of SHA-crypt.
#[derive(Clone, PartialEq, Eq)]
pub struct ShaCrypt {
    /// Whether it is of SHA-512 (`$6$`), and not of SHA-256 (`$5$`).
    pub is_512: bool,
    /// How often the sum is computed.
    pub rounds: u32,
    /// The salt, at most 16 bytes.
    pub salt: Box<str>,
    /// The 43 or 86 characters of the hash.
    pub hash: Box<str>,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bcrypt(_) => "bcrypt",
            Self::Md5Crypt { .. } => "md5-crypt",
            Self::ShaCrypt(_) => "sha-crypt",
            Self::Sha1(_) => "sha1",
            Self::Clear(_) => "clear",
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.user, self.hash)
    }
}

/// `digestAuth` (RFC 7616, MD5 with `qop=auth`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestAuth {
    /// Who may ask, sorted by user, each once.
    pub users: Vec<DigestUser>,
    /// `realm`.
    pub realm: Box<str>,
    /// `headerField`: where pods are told the user.
    pub user_field: Option<HeaderName>,
    /// `removeHeader`: pods do not get `Authorization`.
    pub remove_header: bool,
}

/// One line of an htdigest file.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestUser {
    /// The user.
    pub user: Box<str>,
    /// MD5 of `user:realm:password`, in hexadecimal digits.
    pub hash: Box<str>,
}

impl fmt::Debug for DigestUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:digest", self.user)
    }
}

/// `forwardAuth`: another server decides on each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardAuth {
    /// Who is asked.
    pub service: AuthService,
    /// `trustForwardHeader`.
    pub trust: ForwardedTrust,
    /// `authResponseHeaders`: fields of the answer that pods get. The client's own are removed first.
    pub response_fields: Vec<HeaderName>,
    /// `authResponseHeadersRegex`.
    pub response_pattern: Option<Pattern>,
    /// `authRequestHeaders`: the only fields of the request that are sent; all if empty.
    pub request_fields: Vec<HeaderName>,
    /// `addAuthCookiesToResponse`: cookies of the answer that the client gets.
    pub cookies: Vec<Box<str>>,
    /// `forwardBody`, if it is set.
    pub body: Option<ForwardBody>,
    /// `maxResponseBodySize`, in bytes.
    pub max_response_body: u64,
    /// `preserveLocationHeader`.
    pub keep_location: bool,
    /// `preserveRequestMethod`.
    pub keep_method: bool,
    /// `auth-signin` of ingress-nginx, or `authSigninURL`: where a client is sent that gets 401.
    pub sign_in: Option<SignIn>,
    /// How it is asked, and what its answers mean.
    pub flavour: AuthFlavour,
    /// `auth-method` of ingress-nginx: the method that it is asked with, whatever the flavour says.
    pub method: Option<Method>,
    /// `auth-proxy-set-headers` of ingress-nginx: further fields that it is told.
    pub told_fields: Vec<(HeaderName, HeaderValue)>,
}

/// How an auth server is asked, and what its answers mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthFlavour {
    /// As by Traefik: `X-Forwarded-Method` and `X-Forwarded-Uri`; what it answers in place of 2xx is for the
    /// client.
    Traefik,
    /// As by ingress-nginx: `X-Original-URL` and `X-Original-Method`; of what it answers in place of 2xx a
    /// client gets the status, if that is 4xx, and its cookies on 2xx.
    Nginx,
    /// As by remediation components of CrowdSec: seven `X-Crowdsec-Appsec-*` fields, of which this is the API
    /// key (marked as sensitive); 200 passes, and 403 is a refusal.
    AppSec(HeaderValue),
}

/// `forwardBody` and `maxBodySize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardBody {
    /// The most bytes that are held and sent; a longer body is refused with 401, as by Traefik.
    pub max: u64,
}

/// Which forwarded fields an auth server is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedTrust {
    /// Our own, which are true: what we verified of the client.
    Verified,
}

/// The server that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthService {
    /// `address`, with path and query.
    pub uri: Uri,
    /// `Host` of the requests to it.
    pub host: HeaderValue,
    /// Its backend: a Service of the cluster that the address names (`NAME.NAMESPACE.svc...`), whose endpoints
    /// are asked without DNS; or, for another address or with `tls`, one of its own, under the name
    /// `Middleware/NAME`.
    pub backend: BackendKey,
}

/// Where a client goes to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The address. `$host`, `$scheme`, `$request_uri` and `$escaped_request_uri` in it stand for the request's.
    pub url: Arc<str>,
    /// The parameter that the address of the request is added in; `None` for none.
    pub parameter: Option<Box<str>>,
}
