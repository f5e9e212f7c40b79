//! Which requests are logged.

use super::line::Line;
use crate::config::AccessLogFilter;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The statuses that there can be, as bits.
const WORDS: usize = 600_usize.div_ceil(64);

type Names = HashSet<String, foldhash::fast::RandomState>;

/// A choice of requests. What it costs does not depend on the number of routes.
#[derive(Debug)]
pub(super) struct Filter {
    statuses: Option<[u64; WORDS]>,
    min_duration: Option<Duration>,
    retry_attempts: bool,
    hosts: Names,
    paths: Vec<String>,
    routes: Names,
    sample: u64,
    keep_errors: bool,
    /// Requests without a ray that sampling was asked about.
    unnamed: AtomicU64,
}

impl Filter {
    pub(super) fn of(config: &AccessLogFilter) -> Self {
        let AccessLogFilter {
            statuses,
            min_duration,
            retry_attempts,
            skip_hosts,
            skip_paths,
            skip_routes,
            sample,
            keep_errors,
        } = config;
        let mut bits = [0; WORDS];
        for status in statuses.iter().flat_map(Clone::clone) {
            if let Some(word) = bits.get_mut(usize::from(status) / 64) {
                *word |= 1 << (status % 64);
            }
        }
        let trimmed = |path: &String| path.trim_end_matches('/').to_owned();
        Self {
            statuses: (!statuses.is_empty()).then_some(bits),
            min_duration: *min_duration,
            retry_attempts: *retry_attempts,
            hosts: skip_hosts.iter().cloned().collect(),
            paths: skip_paths.iter().map(trimmed).collect(),
            routes: skip_routes.iter().cloned().collect(),
            sample: u64::from(*sample).max(1),
            keep_errors: *keep_errors,
            unnamed: AtomicU64::new(0),
        }
    }

    /// Whether it lets everything pass.
    pub(super) fn keeps_all(&self) -> bool {
        !self.chooses()
            && self.hosts.is_empty()
            && self.paths.is_empty()
            && self.routes.is_empty()
            && self.sample == 1
    }

    fn chooses(&self) -> bool {
        self.statuses.is_some() || self.min_duration.is_some() || self.retry_attempts
    }

    /// Whether a request is logged. `route`: `namespace/name` of its object.
    pub(super) fn keeps(&self, line: &Line<'_>, route: Option<&str>) -> bool {
        if self.keep_errors && is_error(line) {
            return true;
        }
        if self.chooses() && !self.is_chosen(line) {
            return false;
        }
        !self.skips(line, route) && self.is_sampled(line)
    }

    /// As Traefik has it: one of the three is enough.
    fn is_chosen(&self, line: &Line<'_>) -> bool {
        let has = |bits: [u64; WORDS]| {
            let word = bits.get(usize::from(line.status) / 64).copied().unwrap_or_default();
            word & (1 << (line.status % 64)) != 0
        };
        self.statuses.is_some_and(has)
            || self.min_duration.is_some_and(|least| line.duration >= least)
            || (self.retry_attempts && line.retries > 0)
    }

    fn skips(&self, line: &Line<'_>, route: Option<&str>) -> bool {
        let is_of_route = || route.is_some_and(|route| self.routes.contains(route));
        let begins = |prefix: &String| {
            let rest = line.path.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        (!self.routes.is_empty() && is_of_route())
            || (!self.hosts.is_empty() && self.skips_host(line.host))
            || self.paths.iter().any(begins)
    }

    fn skips_host(&self, host: &[u8]) -> bool {
        let host = String::from_utf8_lossy(host).to_ascii_lowercase();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => &host,
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let wildcard = || name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.hosts.contains(name) || wildcard().is_some_and(|name| self.hosts.contains(&name))
    }

    /// One in so many: by the ray, so that every node and every format has the same ones; without a ray in turn.
    fn is_sampled(&self, line: &Line<'_>) -> bool {
        if self.sample == 1 {
            return true;
        }
        let number = match line.cf_ray {
            Some(ray) => hash(ray),
            None => self.unnamed.fetch_add(1, Ordering::Relaxed),
        };
        number % self.sample == 0
    }
}

/// A response of the client's or the server's fault, or one that broke off.
fn is_error(line: &Line<'_>) -> bool {
    line.status >= 400 || (line.reason.is_some() && line.status < 300)
}

/// A number for a ray, on all machines and in all versions the same: FNV-1a, and the finalizer of MurmurHash3,
/// without which the last digits decide too much.
fn hash(ray: &[u8]) -> u64 {
    let begin = 0xcbf2_9ce4_8422_2325_u64;
    let all =
        ray.iter().fold(begin, |all, &byte| (all ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let all = (all ^ (all >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    all ^ (all >> 33)
}

#[cfg(test)]
mod tests {
    use super::super::line::ConnectionText;
    use super::*;
    use std::time::Instant;

    fn kept(config: &AccessLogFilter, change: impl Fn(&mut Line<'_>)) -> bool {
        let connection = ConnectionText::default();
        let mut line = Line {
            host: b"Shop.Example:443",
            path: "/healthz/live",
            duration: Duration::from_millis(5),
            ..line(&connection)
        };
        change(&mut line);
        Filter::of(config).keeps(&line, Some("shop/web"))
    }

    fn all() -> AccessLogFilter {
        AccessLogFilter::default()
    }

    #[test]
    fn one_of_status_time_and_retries_is_enough() {
        let statuses = || AccessLogFilter { statuses: vec![300..=399, 204..=204], ..all() };
        assert!(kept(&all(), |_| {}));
        assert!(!kept(&statuses(), |_| {}));
        assert!(kept(&statuses(), |line| line.status = 204));
        assert!(kept(&statuses(), |line| line.status = 399));
        // Errors are kept, unless it is told otherwise.
        assert!(kept(&statuses(), |line| line.status = 404));
        assert!(!kept(&AccessLogFilter { keep_errors: false, ..statuses() }, |l| l.status = 404));
        let slow = AccessLogFilter { min_duration: Some(Duration::from_millis(6)), ..statuses() };
        assert!(!kept(&slow, |_| {}));
        assert!(kept(&slow, |line| line.duration = Duration::from_millis(6)));
        let again = AccessLogFilter { retry_attempts: true, ..all() };
        assert!(!kept(&again, |_| {}));
        assert!(kept(&again, |line| line.retries = 1));
    }

    #[test]
    fn hosts_paths_and_routes_are_left_out_but_for_their_errors() {
        let one = |text: &str| vec![text.to_owned()];
        for (filter, leaves_out) in [
            (AccessLogFilter { skip_hosts: one("shop.example"), ..all() }, true),
            (AccessLogFilter { skip_hosts: one("*.example"), ..all() }, true),
            (AccessLogFilter { skip_hosts: one("example"), ..all() }, false),
            (AccessLogFilter { skip_paths: one("/healthz"), ..all() }, true),
            (AccessLogFilter { skip_paths: one("/healthz/"), ..all() }, true),
            (AccessLogFilter { skip_paths: one("/health"), ..all() }, false),
            (AccessLogFilter { skip_routes: one("shop/web"), ..all() }, true),
            (AccessLogFilter { skip_routes: one("shop/other"), ..all() }, false),
        ] {
            assert_eq!(kept(&filter, |_| {}), !leaves_out, "{filter:?}");
            assert!(kept(&filter, |line| line.status = 503), "{filter:?}");
            assert!(kept(&filter, |line| line.reason = Some("client_gone")));
        }
    }

    #[test]
    fn a_sample_is_the_same_for_a_ray_and_in_turn_without() {
        let filter = Filter::of(&AccessLogFilter { sample: 10, ..all() });
        let again = Filter::of(&AccessLogFilter { sample: 10, ..all() });
        let connection = ConnectionText::default();
        let mut number = 0;
        for ray in 0..10_000_u32 {
            let ray = format!("{ray:016x}-FRA");
            let line = Line { cf_ray: Some(ray.as_bytes()), ..line(&connection) };
            assert_eq!(filter.keeps(&line, None), again.keeps(&line, None));
            number += u32::from(filter.keeps(&line, None));
        }
        assert!((900..1100).contains(&number), "{number}");
        let number = (0..100).filter(|_| filter.keeps(&line(&connection), None)).count();
        assert_eq!(number, 10);
    }

    fn line(connection: &ConnectionText) -> Line<'_> {
        Line {
            time: Instant::now(),
            client: b"192.0.2.9",
            connection,
            route: None,
            endpoint: None,
            cf_ray: None,
            method: "GET",
            host: b"a",
            path: "/",
            protocol: "HTTP/1.1",
            status: 200,
            reason: None,
            duration: Duration::ZERO,
            upstream: None,
            bytes_in: 0,
            bytes_out: 0,
            retries: 0,
            user: None,
            user_agent: None,
            trace: None,
        }
    }
}
