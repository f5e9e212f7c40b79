//! The line of a connection that is relayed, of an IngressRouteTCP.

use super::clock::ClockText;
use super::line::{ConnectionText, RouteText, micros, name, number, plain};
use std::time::{Duration, Instant};

/// The log line of one connection.
#[derive(Debug)]
pub struct TcpLine<'a> {
    /// When it ended; written as RFC 3339 in UTC.
    pub time: Instant,
    /// The client's address.
    pub client: &'a str,
    /// Peer and listener, and TLS.
    pub connection: &'a ConnectionText,
    /// The name in a ClientHello that was passed on.
    pub server_name: Option<&'a str>,
    /// IngressRouteTCP and Service, if a rule matched.
    pub route: Option<&'a RouteText>,
    /// The pod.
    pub endpoint: Option<&'a str>,
    /// How it ended.
    pub end: &'static str,
    /// From its acceptance, or its ClientHello, to its end.
    pub duration: Duration,
    /// How long connecting to the pod took.
    pub connect: Option<Duration>,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// Further pods that were tried.
    pub retries: u32,
}

impl TcpLine<'_> {
    /// Appends the line as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>, clock: &mut ClockText) {
        out.extend_from_slice(b"{\"time\":\"");
        clock.write(self.time, out);
        out.extend_from_slice(b"\",");
        name(out, br#""client":""#, self.client);
        out.extend_from_slice(&self.connection.0);
        if let Some(server_name) = self.server_name {
            name(out, br#""sni":""#, server_name);
        }
        if let Some(route) = self.route {
            out.extend_from_slice(&route.0);
        }
        if let Some(endpoint) = self.endpoint {
            name(out, br#""endpoint":""#, endpoint);
        }
        plain(out, br#""protocol":""#, "TCP");
        plain(out, br#""end":""#, self.end);
        number(out, br#""duration_us":"#, micros(self.duration));
        if let Some(connect) = self.connect {
            number(out, br#""connect_us":"#, micros(connect));
        }
        number(out, br#""bytes_in":"#, self.bytes_in);
        number(out, br#""bytes_out":"#, self.bytes_out);
        number(out, br#""retries":"#, u64::from(self.retries));
        // In place of the last comma.
        out.pop();
        out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::addr::PeerAddr;

    #[test]
    fn a_line_is_json_whatever_a_client_sends_for_a_name() {
        let peer = PeerAddr::new("192.0.2.1:5".parse().expect("literal"));
        let connection = ConnectionText::new(peer, None, "db");
        let route = RouteText::new("shop/db", "shop/mysql:3306");
        let line = TcpLine {
            time: Instant::now(),
            client: "192.0.2.1",
            connection: &connection,
            server_name: Some("a\"b.example"),
            route: Some(&route),
            endpoint: Some("10.0.0.1:3306"),
            end: "complete",
            duration: Duration::from_micros(7),
            connect: Some(Duration::from_micros(3)),
            bytes_in: 11,
            bytes_out: 12,
            retries: 0,
        };
        let mut out = Vec::new();
        line.write(&mut out, &mut ClockText::default());
        let read: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        for (field, expected) in [
            ("sni", serde_json::json!("a\"b.example")),
            ("listener", "db".into()),
            ("route", "shop/db".into()),
            ("service", "shop/mysql:3306".into()),
            ("protocol", "TCP".into()),
            ("end", "complete".into()),
            ("connect_us", 3.into()),
            ("bytes_in", 11.into()),
            ("bytes_out", 12.into()),
        ] {
            assert_eq!(read[field], expected, "{field}");
        }
    }
}
