//! What `check` and `explain` say of a directory.

use crate::Outcome;
use crate::backends::Backends;
use crate::request::Request;
use ravelin::control::files::Directory;
use ravelin::control::reconcile::build;
use ravelin::control::translate::Options;
use ravelin::error::Reason;
use ravelin::http::Target;
use ravelin::net::message::RequestParts;
use ravelin::proxy::request::{self, Seen};
use ravelin::routing::{RouteId, Table};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The verbs, asked about one directory.
pub(crate) struct Verbs {
    directory: PathBuf,
    table: Table,
    /// `routes` of `check`.
    rows: Vec<Value>,
}

/// What `explain` says of a request.
pub(crate) struct Explained {
    pub(crate) outcome: Outcome,
    /// Ingress and field of the rule, where one was found.
    rule: Option<(String, String)>,
}

impl Verbs {
    pub(crate) fn of(path: &Path) -> Self {
        let mut directory = Directory::new([path.to_owned()]);
        directory.scan();
        let options = Options {
            ingress_class: "ravelin".to_owned(),
            without_class: false,
            strict_class: false,
            loopback_endpoints: true,
            ..Options::default()
        };
        let table = build(&directory.objects(), directory.findings(), &options).table;
        let output = ravelin(&["check", "--output", "json"], path.as_os_str().as_ref());
        let report: Value = serde_json::from_slice(&output.stdout).expect("check prints JSON");
        let rows = report["routes"].as_array().expect("a list of routes").clone();
        assert_eq!(rows.len(), table.route_count());
        let errors = report["errors"].as_u64().expect("a number of errors");
        assert_eq!(output.status.code(), Some(i32::from(errors > 0)));
        Self { directory: path.to_owned(), table, rows }
    }

    /// The steps of `explain`, which are functions of the request path.
    pub(crate) fn explain(&self, request: &Request) -> Explained {
        let head = http::Request::builder().uri(&request.target).header("host", &request.host);
        let (head, ()) = head.body(()).expect("the generated requests are HTTP").into_parts();
        let mut head = RequestParts::from(head);
        let mut rule = None;
        let outcome =
            self.decide(&mut head, &mut rule).unwrap_or_else(|reason| Outcome::Answered {
                status: reason.status().as_u16(),
                reason: reason.label().to_owned(),
            });
        let rule = rule.map(|id| {
            let route = self.table.route(id);
            (format!("{}/{}", route.namespace, route.ingress), route.field())
        });
        Explained { outcome, rule }
    }

    fn decide(
        &self,
        head: &mut RequestParts,
        rule: &mut Option<RouteId>,
    ) -> Result<Outcome, Reason> {
        let target = Target::read(head, usize::MAX)?;
        let seen = Seen::anywhere(&head.method, &head.headers);
        let id = request::find(&self.table, &target, &seen)?;
        *rule = Some(id);
        let backend = self.table.backend(id);
        request::usable(backend)?;
        let service = format!("{}/{}", backend.key.namespace, backend.key.service);
        Ok(Outcome::Forwarded { service, target: target.uri.to_string() })
    }

    /// The row of the rule says where its requests go, or what they are answered.
    pub(crate) fn compare_with_check(
        &self,
        explained: &Explained,
        real: &Outcome,
        backends: &Backends,
    ) -> Result<(), String> {
        let Some((ingress, field)) = &explained.rule else {
            return Ok(());
        };
        let mut rows = self.rows.iter();
        let row = rows.find(|row| row["ingress"] == **ingress && row["field"] == **field);
        let row = row.ok_or_else(|| format!("check has no row for {ingress} {field}"))?;
        let expected = match real {
            Outcome::Forwarded { service, .. } => {
                serde_json::json!([backends.address(service).to_string()])
            }
            Outcome::Answered { .. } => serde_json::json!([]),
        };
        if row["endpoints"] != expected {
            return Err(format!("{real:?} is not what check has: {row}"));
        }
        let answer = row.get("answer").and_then(Value::as_str);
        let expected = matches!(real, Outcome::Answered { .. }).then(|| real.word());
        if answer != expected.as_deref() {
            return Err(format!("{real:?} is not what check has: {row}"));
        }
        Ok(())
    }

    /// The program, for the same request, and its exit code.
    pub(crate) fn compare_with_program(
        &self,
        request: &Request,
        real: &Outcome,
    ) -> Result<(), String> {
        let line = ["explain", "--output", "json", &request.url(), "--manifests"];
        let output = ravelin(&line, self.directory.as_os_str().as_ref());
        let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
            format!(
                "explain {}: {error}: {}",
                request.url(),
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        let is_forwarded = matches!(real, Outcome::Forwarded { .. });
        let code = output.status.code();
        if said["answer"] != real.word() || code != Some(i32::from(!is_forwarded)) {
            return Err(format!("{real:?}, but explain ({code:?}) says {said:#}"));
        }
        if let Outcome::Forwarded { service, target } = real {
            let path = target.split('?').next().unwrap_or_default();
            let row = &said["route"];
            let names = row["service"].as_str().and_then(|service| service.split_once(':'));
            if names.is_none_or(|(name, _)| name != service) || said["path"] != path {
                return Err(format!("{real:?}, but explain says {said:#}"));
            }
            if !self.rows.contains(row) {
                return Err(format!("check has not this row of explain: {row}"));
            }
        }
        Ok(())
    }
}

fn ravelin(line: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.args(line).arg(directory).output().expect("the program runs")
}
