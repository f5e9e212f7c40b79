//! Reasons, with label, status, whose fault and the sentence of the answer; and the causes of findings.

use super::page::{Row, hold};
use ravelin::error::{Culprit, Reason};
use ravelin::model::Why;

const HEADER: [&str; 5] = ["reason", "status", "caused by", "the answer says", "what to do"];
const FINDINGS: [&str; 2] = ["finding", "what it means"];

#[test]
fn every_reason_is_described() {
    let rows = Reason::ALL.map(|reason| Row {
        key: reason.label().to_owned(),
        cells: vec![
            Some(reason.status().as_u16().to_string()),
            Some(culprit(reason.culprit()).to_owned()),
            Some(reason.text().to_owned()),
            None,
        ],
    });
    hold(&HEADER, &rows);
}

#[test]
fn every_cause_of_a_finding_is_described() {
    let rows = Why::ALL.map(|why| Row { key: why.as_str().to_owned(), cells: vec![None] });
    hold(&FINDINGS, &rows);
}

fn culprit(culprit: Culprit) -> &'static str {
    match culprit {
        Culprit::Client => "client",
        Culprit::Configuration => "manifests",
        Culprit::Upstream => "pod",
        Culprit::Ravelin => "ravelin",
    }
}
