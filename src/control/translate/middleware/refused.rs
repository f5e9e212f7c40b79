//! Kinds that are not run, and what to use instead.

use super::Fields;
use crate::control::quote::quote;
use crate::model::Why;

/// Plugins by a part of their name, and what does the same.
const PLUGINS: [(&str, &str); 16] = [
    ("geoblock", "use a rule of Cloudflare's WAF by country"),
    (
        "geoip",
        "use Cloudflare's IP geolocation, which sends CF-IPCountry, or a WAF rule by country",
    ),
    (
        "crowdsec",
        "set crowdsec.url in ravelin's configuration, and use a forwardAuth for the AppSec component",
    ),
    (
        "bouncer",
        "set crowdsec.url in ravelin's configuration, and use a forwardAuth for the AppSec component",
    ),
    ("fail2ban", "use a rateLimit, or a rate limiting rule of Cloudflare"),
    ("modsecurity", "use Cloudflare's WAF"),
    ("coraza", "use Cloudflare's WAF"),
    ("rewrite-body", "rewrite it in the pod; Cloudflare has Snippets and Workers"),
    ("rewritebody", "rewrite it in the pod; Cloudflare has Snippets and Workers"),
    ("rewrite-headers", "use the kind headers"),
    ("robots", "serve robots.txt from a pod, or let Cloudflare manage it"),
    ("cloudflare", "remove it: the visitor's address is verified here"),
    ("real-ip", "remove it: the visitor's address is verified here"),
    ("realip", "remove it: the visitor's address is verified here"),
    ("oidc", "use a forwardAuth to an OpenID Connect proxy, such as oauth2-proxy"),
    ("jwt", "use a forwardAuth that checks the token, or check it in the pod"),
];

/// Says of `plugin` what to use instead.
pub(super) fn plugin(fields: &mut Fields<'_, '_, '_>) -> Option<crate::model::middleware::Step> {
    let names = fields.keys();
    let name = names.first().copied().unwrap_or_default();
    let lower = name.to_ascii_lowercase().replace('_', "-");
    let known = PLUGINS.into_iter().find(|(part, _)| lower.contains(part));
    let fix =
        known.map_or("do it in the pod, at Cloudflare, or with a forwardAuth", |(_, fix)| fix);
    let reason = format!("names the plugin {}, and plugins are not run", quote(name));
    fields.refuse_for(Why::Unsupported, "", reason, fix);
    None
}

/// Says of `encodedCharacters` that paths are judged anyway.
pub(super) fn encoded_characters(
    fields: &mut Fields<'_, '_, '_>,
) -> Option<crate::model::middleware::Step> {
    let reason = "is not supported: every path is made canonical, and an ambiguous one is refused";
    fields.refuse_for(Why::Unsupported, "", reason, "remove it");
    None
}
