//! An explanation as lines for a person.

use super::Explanation;
use super::connection::ConnectionReport;

/// A line for each thing that is known.
pub(super) fn text(explanation: &Explanation) -> String {
    let Explanation { url, listener, origin, certificate, client, host, path, .. } = explanation;
    let Explanation { full_strict, route, timeouts, answer, note, .. } = explanation;
    let mut lines = vec![("url", url.clone())];
    let mut add = |name, value: &Option<String>| {
        lines.extend(value.clone().map(|value| (name, value)));
    };
    add("listener", listener);
    if let Some(origin) = origin {
        lines.extend(origin.lines());
    }
    let mut add = |name, value: &Option<String>| {
        lines.extend(value.clone().map(|value| (name, value)));
    };
    add("certificate", certificate);
    add("cert from", &explanation.certificate_from);
    add("cert why", &explanation.certificate_why);
    add("others", &explanation.certificate_others);
    add("from", &explanation.certificate_others_from);
    add("strict", full_strict);
    add("client", client);
    add("host", host);
    add("path", path);
    lines.extend(explanation.connection.iter().flat_map(ConnectionReport::lines));
    if let Some(route) = route {
        let rule = format!("{} {} {}", route.host, route.kind, route.path);
        lines.push(("rule", rule));
        lines.push(("object", format!("{} {} {}", route.object, route.ingress, route.field)));
        lines.push(("service", route.service.clone()));
        lines.extend(route.protocol.clone().map(|protocol| ("protocol", protocol)));
        lines.extend(route.balance.clone().map(|balance| ("balance", balance)));
        lines.extend(route.prefer.map(|prefer| ("prefer", prefer.to_owned())));
        lines.push((
            "endpoints",
            match route.endpoints.as_slice() {
                [] if explanation.judged_as.is_some() => "not in the input".to_owned(),
                [] => "none".to_owned(),
                some => some.join(" "),
            },
        ));
        lines.extend((!route.near.is_empty()).then(|| ("near", route.near.join(" "))));
    }
    lines.extend(route.iter().filter_map(|route| Some(("check", route.check.clone()?))));
    lines.extend(explanation.raw_path.clone().map(|path| ("raw path", path)));
    lines.extend(timeouts.clone().map(|timeouts| ("timeouts", timeouts)));
    lines.extend(explanation.proofs.iter().map(|proof| ("proof", proof.text.clone())));
    lines.extend(explanation.middlewares.iter().map(|step| {
        ("middleware", format!("{} ({}): {}", step.middleware, step.kind, step.effect))
    }));
    let max_body = explanation.max_body.map(|most| ("max body", format!("{most} bytes")));
    lines.extend(max_body);
    lines.push(("answer", answer.clone()));
    lines.push(("note", note.clone()));
    lines.into_iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
}
