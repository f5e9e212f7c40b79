//! What to do about each reason: the words of `config/README.md`.

use crate::error::Reason;

/// What to do about a reason. A reason that is not in the list (a test sees to it that there is none) has none.
pub(super) fn fix(reason: Reason) -> &'static str {
    FIXES.iter().find(|(of, _)| *of == reason).map_or("", |(_, fix)| fix)
}

#[rustfmt::skip]
const FIXES: [(Reason, &str); Reason::ALL.len()] = [
    (Reason::MalformedRequest, "Look for the peer in the access log: only a client that speaks to the listener directly sends this."),
    (Reason::HeadersTooLarge, "Make the header smaller (cookies, usually), or raise `limits.header_block`. More than 100 fields are never accepted."),
    (Reason::TargetTooLong, "Shorten the URL, or raise `limits.request_target`. Cloudflare forwards up to 16 KB."),
    (Reason::BadTarget, "Send a path that can be read in one way only; for pods that need raw bytes set `ravelin.dev/raw-path`."),
    (Reason::BadHost, "Send exactly one valid `Host`."),
    (Reason::ConnectRefused, "Do not use ravelin as a forward proxy."),
    (Reason::NotImplemented, "Use another method or only the transfer coding `chunked`."),
    (Reason::MaxForwards, "Nothing: this is the response that `Max-Forwards: 0` asks for."),
    (Reason::MisdirectedRequest, "Nothing, if it is rare: clients repeat the request on another connection. Otherwise see troubleshooting (deploy/troubleshoot.md#421-misdirected-request)."),
    (Reason::ClientCertificateRequired, "Use TLS: Full (strict) with Authenticated Origin Pulls at Cloudflare, or set the policy to `request`."),
    (Reason::WorkerRefused, "Add the zone to `ravelin.dev/worker-zones`, `zone.worker_zones` or `cloudflare.worker_zones`, if the Worker is yours."),
    (Reason::SecretMissing, "Check the Transform Rule of the zone against the Secret of `ravelin.dev/secret-header-secret`, `zone.secret_file` or `cloudflare.secret_file`; `explain` names what asks for it."),
    (Reason::CdnLoopRefused, "Nothing, if it is meant; otherwise raise `ravelin.dev/max-cdn-passes` or `zone.max_cdn_passes`: a Worker or a record of yours that leads to another of your hosts is a pass more."),
    (Reason::ClientDenied, "Look for the address in `cscli decisions list`; a deleted decision counts within `crowdsec.interval`."),
    (Reason::RequestTimeout, "Look at the client's network; raise `timeouts.request_head` or `body_progress` if uploads are slow on purpose."),
    (Reason::BodyTooLarge, "Send less, or raise `ravelin.dev/max-body-size`."),
    (Reason::MalformedBody, "Look at the client: the body ended early or broke its framing."),
    (Reason::ClientGone, "Nothing. The visitor left; the status is for the log alone."),
    (Reason::ClientStalled, "Nothing, if it is rare; raise `timeouts.body_progress` for clients that pause on purpose."),
    (Reason::NoRoute, "Run `ravelin explain` with the URL. Add a rule, or correct host, path or class of the Ingress."),
    (Reason::ServiceMissing, "Create the Service, or correct its name in the rule."),
    (Reason::PortMissing, "Correct the port in the rule, or add it to the Service."),
    (Reason::BackendUnsupported, "Use a Service as the backend; for ExternalName set `dns.external_names`."),
    (Reason::ProtocolUnusable, "Run `ravelin check`: it names the annotation or the missing Secret."),
    (Reason::RestrictionUnsupported, "Protect the route in another way, then remove the annotation or name it in `ravelin.dev/ignore-annotations`."),
    (Reason::AnnotationUnsupported, "Write the route without the annotation, then remove it or name it in `ravelin.dev/ignore-annotations`."),
    (Reason::NoEndpoint, "Look at the pods: `kubectl get endpointslices`. None is ready, or the selector matches none."),
    (Reason::QueueFull, "Add pods, or raise `ravelin.dev/max-connections` or `ravelin.dev/queue`."),
    (Reason::QueueTimeout, "Add pods, or raise `ravelin.dev/max-connections` or `ravelin.dev/queue-timeout`."),
    (Reason::MemoryExhausted, "Look at `ravelin_memory_held_bytes`; raise `limits.memory` with the container's limit."),
    (Reason::MemoryReclaimed, "Look for stalled clients or pods; raise `limits.memory` if they are legitimate."),
    (Reason::ConnectFailed, "Look at the pods: nothing listens on the port, or a NetworkPolicy rejects."),
    (Reason::ConnectTimeout, "Look at the network between node and pod (CNI, NetworkPolicy), or at an overloaded pod."),
    (Reason::UpstreamTlsFailed, "Check whether the pod speaks TLS on this port, and `ravelin.dev/upstream-protocol`."),
    (Reason::UpstreamUntrusted, "Set `ravelin.dev/upstream-ca` and `ravelin.dev/upstream-server-name` for the pod's certificate."),
    (Reason::UpstreamClosed, "Look at the pod's log: it closed the connection without a response."),
    (Reason::UpstreamInDoubt, "Look at the pod's log, and check whether the request was carried out before you repeat it."),
    (Reason::UpstreamMalformed, "Look at the pod: its response is not valid HTTP, or it speaks another protocol."),
    (Reason::UpstreamUpgraded, "Look at the pod: it answered 101 to a request that asked for no upgrade."),
    (Reason::UpstreamTimeout, "Make the pod faster, or raise `ravelin.dev/response-head-timeout` (Cloudflare gives up after 100 s to 125 s)."),
    (Reason::RequestDeadline, "Raise `ravelin.dev/request-timeout`, or make the pod faster."),
    (Reason::UpstreamTruncated, "Look at the pod's log: it broke off its response."),
    (Reason::TunnelIdle, "Have client or server send pings, or raise `ravelin.dev/tunnel-idle-timeout`."),
    (Reason::UpstreamStalled, "Look at the pod: it stopped sending in the middle of a response."),
    (Reason::CutByDrain, "Raise `timeouts.drain` and `terminationGracePeriodSeconds`, if requests take longer."),
    (Reason::HttpsRedirect, "Nothing: the Ingress asks for it."),
    (Reason::MiddlewareUnusable, "`ravelin check` and the Events of the Ingress name the Middleware and what is wrong with it."),
    (Reason::Redirected, "Nothing, if it is meant: `redirectScheme` or `redirectRegex` answered."),
    (Reason::Noop, "Nothing, if it is meant; otherwise name a Service in the rule."),
    (Reason::SourceDenied, "Nothing, if it is meant; otherwise add the network to `sourceRange` of `ipAllowList`. Without `ipStrategy` the verified visitor counts."),
    (Reason::HostNotAllowed, "Add the host to `allowedHosts` of the Middleware."),
    (Reason::CorsPreflight, "Nothing: `headers` with `accessControlAllow*` answered."),
    (Reason::RewriteRefused, "Mend the pattern or the replacement: what it makes of this path has `..`, an encoded slash or the like."),
    (Reason::Unauthorized, "Send a name and a password that the Secret of the Middleware has."),
    (Reason::AccessTokenMissing, "Put the host behind an Access application: Access has let the request pass without a log-in, or it has not come through Cloudflare."),
    (Reason::AccessTokenRefused, "`ravelin_access_refused_tokens_total` says why by `cause`: `audience` and `issuer` are a wrong AUD tag or team in `ravelin.dev/access`; `expired` and `not_yet` may be a clock."),
    (Reason::AccessGroupDenied, "Nothing, if it is meant; or have the identity provider send the claim `groups`, and Access pass it on."),
    (Reason::AccessKeysMissing, "Look for `the keys of Cloudflare Access could not be fetched` in the log: the team is misspelt, or the node may not connect to `TEAM.cloudflareaccess.com`."),
    (Reason::AuthThrottled, "Wait a minute; ten failures within one stop a visitor."),
    (Reason::AuthDenied, "Nothing, if it is meant: the authentication server decided so."),
    (Reason::AuthUnavailable, "Look after the authentication server; its Service has to have ready endpoints and to answer within 30 s."),
    (Reason::RateLimited, "Wait for as long as `Retry-After` says; or raise `average` or `burst` of the `rateLimit`."),
    (Reason::BreakGlassLimited, "Break-glass is on, and a visitor whom nothing else admits asks more often than `break_glass.requests`. Raise it, if many share the address."),
    (Reason::InFlightLimited, "Send fewer requests at once; or raise `amount` of the `inFlightReq`."),
    (Reason::CircuitOpen, "Look at the pods: too many responses were failures or slow. It closes again by itself."),
    (Reason::ErrorPageUnavailable, "Look at the Service that the `errors` Middleware names: it did not answer within 5 s, or with more than 1 MiB. The response has the pod's status."),
    (Reason::Internal, "Report it, with the lines of the process log around it."),
];

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = include_str!("../../../config/README.md");

    /// The text of a cell, as a terminal shows it: `[words](../file)` is `words (file)`.
    fn plain(cell: &str) -> String {
        let mut text = String::new();
        let mut rest = cell;
        while let Some((before, after)) = rest.split_once('[') {
            let (words, after) = after.split_once("](").expect("a link");
            let (file, after) = after.split_once(')').expect("a link");
            text += before;
            text += &format!("{words} ({})", file.trim_start_matches("../"));
            rest = after;
        }
        text + rest
    }

    #[test]
    fn every_reason_has_the_fix_of_the_reference() {
        for reason in Reason::ALL {
            let start = format!("| `{}` | {} |", reason.label(), reason.status().as_u16());
            let row = REFERENCE.lines().find(|line| line.starts_with(&start)).expect("a row");
            let cell = row.trim_end_matches(" |").rsplit(" | ").next().expect("a cell");
            assert_eq!(fix(reason), plain(cell), "{}", reason.label());
        }
    }
}
