//! A key of a team of Cloudflare Access, and every kind of token that must not pass.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The application that tokens are for.
pub(crate) const AUD: &str = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";

/// Another one of the same team.
pub(crate) const OTHER_AUD: &str =
    "97e2aae120121f902df8bc99fc345913ab186d174f3079ea729236766b2e7c4a";

/// One key of a team.
pub(crate) struct Signer {
    kid: String,
    pair: KeyPair,
}

impl Signer {
    pub(crate) fn new(kid: &str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self { kid: kid.to_owned(), pair }
    }

    /// The public key in DER (PKCS #1).
    fn der(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The public key as Access publishes it: modulus and exponent out of the DER, whose layout is the same for all
    /// keys of 2048 bits.
    pub(crate) fn jwk(&self) -> Value {
        let (modulus, exponent) = (&self.der()[9..265], &self.der()[267..]);
        json!({
            "kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig",
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent),
        })
    }

    /// Signs whatever it is given.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        self.sign_with(&RSA_PKCS1_SHA256, header, claims)
    }

    fn sign_with(
        &self,
        how: &'static dyn signature::RsaEncoding,
        header: &str,
        claims: &str,
    ) -> String {
        let message = message(header, claims);
        let mut signed = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(how, &random, message.as_bytes(), &mut signed).expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signed))
    }

    /// A token as Access makes it, with these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    fn header(&self) -> Value {
        json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"})
    }
}

fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// What `/cdn-cgi/access/certs` answers.
pub(crate) fn key_set(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({"keys": keys, "public_cert": {"kid": "x", "cert": "-----BEGIN"}}).to_string()
}

/// Claims of a user for [`AUD`], a minute old and good for an hour.
pub(crate) fn claims(now: u64) -> Value {
    json!({
        "aud": [AUD], "email": "ann@a.example", "exp": now + 3600, "iat": now - 60, "nbf": now - 60,
        "iss": "https://example.cloudflareaccess.com", "type": "app",
        "identity_nonce": "6ei69kawdKzMIAPF", "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
        "country": "DE", "custom": {"groups": ["ops", "staff"]},
    })
}

/// Claims of a service token, whose `aud` is a text.
pub(crate) fn service_claims(now: u64) -> Value {
    json!({
        "type": "app", "aud": AUD, "exp": now + 3600, "iat": now - 60, "sub": "",
        "iss": "https://example.cloudflareaccess.com", "common_name": "e367826f93b8.access",
    })
}

/// Something that must not pass, and the cause that it is refused for.
pub(crate) struct Forgery {
    pub(crate) what: &'static str,
    /// The values of the field, each a field of its own.
    pub(crate) tokens: Vec<String>,
    pub(crate) cause: &'static str,
}

fn one(what: &'static str, token: impl Into<String>, cause: &'static str) -> Forgery {
    Forgery { what, tokens: vec![token.into()], cause }
}

/// All of them, for a team whose one key is `team`; `other` is a key of somebody else.
pub(crate) fn forgeries(team: &Signer, other: &Signer, now: u64) -> Vec<Forgery> {
    let mut all = algorithms(team, now);
    all.extend(key_names(team, other, now));
    all.extend(wrong_claims(team, now));
    all.extend(times(team, now));
    all.extend(shapes(team, now));
    all.extend(signatures(team, other, now));
    all
}

fn algorithms(team: &Signer, now: u64) -> Vec<Forgery> {
    let claims = claims(now).to_string();
    let good = team.token(&self::claims(now));
    let signed = good.rsplit('.').next().expect("three parts");
    let header = |alg: &str| json!({"alg": alg, "kid": team.kid, "typ": "JWT"}).to_string();
    let hmac_with = |secret: &[u8]| {
        let message = message(&header("HS256"), &claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n", STANDARD.encode(team.der()));
    let jwk = team.jwk();
    let modulus = jwk["n"].as_str().expect("a text");
    let unsigned = |alg: &str| format!("{}.", message(&header(alg), &claims));
    vec![
        one("alg none, no signature", unsigned("none"), "algorithm"),
        one("alg None", unsigned("None"), "algorithm"),
        one("alg NONE", unsigned("NONE"), "algorithm"),
        one("alg nOnE", unsigned("nOnE"), "algorithm"),
        one("alg none with a space", unsigned("none "), "algorithm"),
        one("alg none, a signature", format!("{}{signed}", unsigned("none")), "algorithm"),
        one("alg empty", unsigned(""), "algorithm"),
        one("HS256, the public key in DER as secret", hmac_with(team.der()), "algorithm"),
        one("HS256, the public key in PEM as secret", hmac_with(pem.as_bytes()), "algorithm"),
        one("HS256, the modulus as secret", hmac_with(modulus.as_bytes()), "algorithm"),
        one("HS256, no secret", hmac_with(b""), "algorithm"),
        one(
            "RS512 by the right key",
            team.sign_with(&signature::RSA_PKCS1_SHA512, &header("RS512"), &claims),
            "algorithm",
        ),
        one(
            "PS256 by the right key",
            team.sign_with(&signature::RSA_PSS_SHA256, &header("PS256"), &claims),
            "algorithm",
        ),
        one("RS256 in lower case", team.sign(&header("rs256"), &claims), "algorithm"),
        one("ES256", team.sign(&header("ES256"), &claims), "algorithm"),
    ]
}

fn key_names(team: &Signer, other: &Signer, now: u64) -> Vec<Forgery> {
    let claims = claims(now).to_string();
    let named = |kid: Value| team.sign(&json!({"alg": "RS256", "kid": kid}).to_string(), &claims);
    let with = |key: &str, value: Value| {
        let mut header = other.header();
        header[key] = value;
        other.sign(&header.to_string(), &claims)
    };
    let mut by_team = json!({"alg": "RS256", "kid": team.kid, "jwk": other.jwk()});
    let with_jwk = other.sign(&by_team.to_string(), &claims);
    by_team["jku"] = "https://evil.example/certs".into();
    vec![
        one("no kid", team.sign(r#"{"alg":"RS256"}"#, &claims), "unknown_key"),
        one("kid empty", named("".into()), "unknown_key"),
        one("kid of nobody", named("nobody".into()), "unknown_key"),
        one("kid with a path", named("../../../../dev/null".into()), "unknown_key"),
        one("kid with a path to its key", named(format!("./{}", team.kid).into()), "unknown_key"),
        one("kid with a URL", named("https://evil.example/key".into()), "unknown_key"),
        one("kid with SQL", named("x' UNION SELECT 'k".into()), "unknown_key"),
        one("kid with a NUL", named(format!("{}\0", team.kid).into()), "unknown_key"),
        one("kid in upper case", named(team.kid.to_uppercase().into()), "unknown_key"),
        one("kid a number", named(1.into()), "malformed"),
        one("kid a list", named(json!([team.kid])), "malformed"),
        one("another key", other.token(&self::claims(now)), "unknown_key"),
        one("another key, in jwk", with("jwk", other.jwk()), "unknown_key"),
        one("another key, by x5u", with("x5u", "https://evil.example/".into()), "unknown_key"),
        one("another key in jwk, under the kid", with_jwk, "signature"),
        one("jku", other.sign(&by_team.to_string(), &claims), "signature"),
    ]
}

fn wrong_claims(team: &Signer, now: u64) -> Vec<Forgery> {
    let with = |name: &str, value: Value| {
        let mut claims = claims(now);
        claims[name] = value;
        team.token(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims(now);
        claims.as_object_mut().expect("a map").remove(name);
        team.token(&claims)
    };
    let issuer = |issuer: &str| with("iss", issuer.into());
    vec![
        one("aud of another application", with("aud", json!([OTHER_AUD])), "audience"),
        one("aud of another application, a text", with("aud", OTHER_AUD.into()), "audience"),
        one("aud missing", without("aud"), "claims"),
        one("aud null", with("aud", Value::Null), "claims"),
        one("aud empty", with("aud", json!([])), "audience"),
        one("aud an empty text", with("aud", "".into()), "audience"),
        one("aud the beginning of the tag", with("aud", json!([AUD[..32]])), "audience"),
        one("aud with more behind the tag", with("aud", json!([format!("{AUD}0")])), "audience"),
        one("aud in upper case", with("aud", json!([AUD.to_uppercase()])), "audience"),
        one("aud with commas", with("aud", format!("{OTHER_AUD},{AUD}").into()), "audience"),
        one("aud nested", with("aud", json!([[AUD]])), "claims"),
        one("aud a map", with("aud", json!({"0": AUD})), "claims"),
        one("iss of another team", issuer("https://other.cloudflareaccess.com"), "issuer"),
        one("iss with a slash", issuer("https://example.cloudflareaccess.com/"), "issuer"),
        one("iss below another domain", issuer("https://example.cloudflareaccess.com.x"), "issuer"),
        one("iss without TLS", issuer("http://example.cloudflareaccess.com"), "issuer"),
        one("iss a list", with("iss", json!(["https://example.cloudflareaccess.com"])), "claims"),
        one("iss missing", without("iss"), "claims"),
        one("the token of the log-in page", with("type", "org".into()), "type"),
        one("e-mail with a new line", with("email", "a\r\nX-Admin: 1".into()), "claims"),
        one("e-mail a list", with("email", json!(["ann@a.example"])), "claims"),
    ]
}

fn times(team: &Signer, now: u64) -> Vec<Forgery> {
    let with = |changes: &[(&str, Value)]| {
        let mut claims = claims(now);
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        team.token(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims(now);
        claims.as_object_mut().expect("a map").remove(name);
        team.token(&claims)
    };
    vec![
        one("exp past", with(&[("exp", (now - 40).into())]), "expired"),
        one("exp long past", with(&[("exp", (now - 86_400).into())]), "expired"),
        one("exp 0", with(&[("exp", 0.into())]), "expired"),
        one("exp negative", with(&[("exp", json!(-1))]), "claims"),
        one("exp a text", with(&[("exp", (now + 60).to_string().into())]), "claims"),
        one("exp a fraction", with(&[("exp", json!(1e300))]), "claims"),
        one("exp missing", without("exp"), "claims"),
        one("exp in milliseconds", with(&[("exp", (now * 1000).into())]), "life"),
        one("exp as far as can be", with(&[("exp", u64::MAX.into())]), "life"),
        one("nbf future", with(&[("nbf", (now + 90).into())]), "not_yet"),
        one("nbf a text", with(&[("nbf", "soon".into())]), "claims"),
        one("iat future", with(&[("iat", (now + 90).into())]), "not_yet"),
        one("iat 0", with(&[("iat", 0.into())]), "life"),
        one("iat missing", without("iat"), "claims"),
        one(
            "iat behind exp",
            with(&[("iat", (now + 20).into()), ("exp", (now + 10).into())]),
            "life",
        ),
    ]
}

fn shapes(team: &Signer, now: u64) -> Vec<Forgery> {
    let good = team.token(&claims(now));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signed] = parts[..] else { panic!("three parts") };
    let claims = claims(now).to_string();
    let raw = |header: &str| team.sign(header, &claims);
    let kid = &team.kid;
    let padded = URL_SAFE.encode(URL_SAFE_NO_PAD.decode(header).expect("base64"));
    let twice = format!(r#"{{"alg":"RS256","kid":"{kid}","alg":"none"}}"#);
    let crit = format!(r#"{{"alg":"RS256","kid":"{kid}","crit":["exp"]}}"#);
    let b64 = format!(r#"{{"alg":"RS256","kid":"{kid}","b64":false,"crit":["b64"]}}"#);
    let jwe = format!(r#"{{"alg":"RS256","kid":"{kid}","typ":"JWE"}}"#);
    let list = format!(r#"["RS256","{kid}"]"#);
    vec![
        one("empty", "", "malformed"),
        one("a word", "null", "malformed"),
        one("two dots missing", header, "malformed"),
        one("one dot missing", format!("{header}.{body}"), "malformed"),
        one("dots alone", "..", "malformed"),
        one("four parts", format!("{good}.{signed}"), "malformed"),
        one("five parts, as a JWE has", format!("{header}.x.{body}.{signed}.x"), "malformed"),
        one("a dot behind it", format!("{good}."), "malformed"),
        one("Bearer before it", format!("Bearer {good}"), "malformed"),
        one("quotation marks", format!("\"{good}\""), "malformed"),
        one("two with a comma", format!("{good}, {good}"), "malformed"),
        one("padding", format!("{padded}==.{body}.{signed}"), "malformed"),
        one(
            "base64 of another alphabet",
            format!("{header}.{body}.+/{}", &signed[2..]),
            "malformed",
        ),
        one("a percent sign", format!("{header}.{body}.%2e{signed}"), "malformed"),
        one("a header that is no JSON", format!("eA.{body}.{signed}"), "malformed"),
        one("a header that is a list", raw(&list), "malformed"),
        one("alg twice", raw(&twice), "malformed"),
        one("crit", raw(&crit), "malformed"),
        one("a payload that is not encoded", raw(&b64), "malformed"),
        one("typ of an encrypted token", raw(&jwe), "malformed"),
        one("claims that are no JSON", team.sign(&team.header().to_string(), "x"), "claims"),
        one("claims that are a list", team.sign(&team.header().to_string(), "[]"), "claims"),
        one("too long", format!("{header}.{}.{signed}", "A".repeat(16 * 1024)), "too_long"),
        Forgery { what: "the field twice", tokens: vec![good.clone(), good], cause: "repeated" },
    ]
}

fn signatures(team: &Signer, other: &Signer, now: u64) -> Vec<Forgery> {
    let good = team.token(&claims(now));
    let (message, signed) = good.rsplit_once('.').expect("three parts");
    let mut more = claims(now);
    more["email"] = "root@a.example".into();
    let changed = team.token(&more);
    let (changed, _) = changed.rsplit_once('.').expect("three parts");
    let theirs = other.sign(&team.header().to_string(), &claims(now).to_string());
    let zeros = URL_SAFE_NO_PAD.encode([0; 256]);
    let mut bits = URL_SAFE_NO_PAD.decode(signed).expect("base64");
    bits[255] ^= 1;
    let flipped = URL_SAFE_NO_PAD.encode(bits);
    vec![
        one("a signature of another key", theirs, "signature"),
        one("no signature", format!("{message}."), "malformed"),
        one("a signature of zeros", format!("{message}.{zeros}"), "signature"),
        one("a signature with one other bit", format!("{message}.{flipped}"), "signature"),
        one(
            "a signature cut short",
            format!("{message}.{}", &signed[..signed.len() - 2]),
            "signature",
        ),
        one("a token cut short", good[..good.len() - 98].to_owned(), "signature"),
        one("claims changed after signing", format!("{changed}.{signed}"), "signature"),
    ]
}
