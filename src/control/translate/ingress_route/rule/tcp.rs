//! The matchers of IngressRouteTCPs (`pkg/muxer/tcp/matcher.go`, `matcher_v2.go`).

use super::matcher::{pattern, read_name, read_network};
use super::v2::expression;
use super::{RuleError, Syntax, known, single};
use crate::control::suggest::nearest;
use crate::model::middleware::Pattern;
use crate::model::{Condition, HostPattern};

const NAMES: [&str; 4] = ["HostSNI", "HostSNIRegexp", "ClientIP", "ALPN"];

/// The protocol of ACME's challenges by TLS (RFC 8737), which Traefik keeps for itself.
const ACME: &str = "acme-tls/1";

/// Reads a matcher with its arguments: one in version 3, of several in version 2 one has to match.
pub(super) fn read(
    name: &str,
    arguments: &[String],
    syntax: Syntax,
) -> Result<Condition, RuleError> {
    let is_v2 = syntax == Syntax::TcpV2;
    let Some(known) = known(name, &NAMES) else {
        return Err(unknown(name));
    };
    if !is_v2 && arguments.len() != 1 {
        let reason = format!("has {name} with {} arguments", arguments.len());
        let fix =
            "Traefik 3 takes one value in each matcher; join several by `||`, or set syntax: v2";
        return Err(RuleError::new(reason, fix));
    }
    let read = |text: &String| match known {
        "HostSNI" => read_host(name, text, is_v2),
        "HostSNIRegexp" if is_v2 => {
            let text = format!("(?i){}", expression(name, text, "[^.]+", true)?);
            pattern(name, &text).map(Condition::HostRegexp)
        }
        "HostSNIRegexp" => read_pattern(name, text).map(Condition::HostRegexp),
        "ClientIP" => read_network(name, text),
        _ => read_protocol(name, text),
    };
    let all = arguments.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(single(all, Condition::Any))
}

fn read_host(name: &str, host: &str, is_v2: bool) -> Result<Condition, RuleError> {
    match host {
        "*" => Ok(Condition::Host(HostPattern::Any)),
        _ if is_v2 && host.contains('*') => {
            let reason = format!("has {name} with {host:?}, and version 2 knows no wildcards");
            Err(RuleError::new(reason, "write HostSNIRegexp, or remove syntax: v2"))
        }
        host => read_name(name, host),
    }
}

fn read_pattern(name: &str, text: &str) -> Result<Pattern, RuleError> {
    if text.is_ascii() {
        return pattern(name, text);
    }
    let reason = format!("has {name} with {text:?}, which is not ASCII alone");
    Err(RuleError::new(reason, "write names as in certificates: xn--..."))
}

fn read_protocol(name: &str, protocol: &str) -> Result<Condition, RuleError> {
    if protocol == ACME {
        let reason = format!("has {name} with {protocol:?}, which Traefik keeps for itself");
        return Err(RuleError::new(reason, "name another protocol"));
    }
    Ok(Condition::Alpn(protocol.into()))
}

fn unknown(name: &str) -> RuleError {
    let reason = format!("has {name}, which is no matcher of IngressRouteTCPs");
    let of_http = name.eq_ignore_ascii_case("Host") || name.eq_ignore_ascii_case("HostRegexp");
    let near = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)).copied();
    let fix = match near.or_else(|| nearest(name, NAMES)) {
        _ if of_http => {
            "write HostSNI or HostSNIRegexp: what is known is the ClientHello".to_owned()
        }
        Some(near) => format!("did you mean {near}?"),
        None => format!("matchers are {}", NAMES.join(", ")),
    };
    RuleError::new(reason, fix)
}
