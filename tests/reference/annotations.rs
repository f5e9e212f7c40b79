//! Annotations: those of our own with their objects, those of others that are obeyed, and how each of the
//! others that are known is treated.

use super::page::{Row, hold};
use ravelin::control::translate::{ForeignAnnotation, foreign_annotations, own_annotations};
use std::collections::BTreeMap;

const OWN: [&str; 5] = ["annotation", "on", "value", "default", "what it does"];
const OBEYED: [&str; 2] = ["annotation of another controller", "what it does"];
const CLASSED: [&str; 2] = ["treatment", "keys"];

#[test]
fn every_annotation_of_our_own_is_described() {
    let rows: Vec<Row> = own_annotations()
        .into_iter()
        .map(|(name, objects)| {
            let on = match (objects.ingress, objects.service) {
                (true, true) => "Ingress, Service",
                (true, false) => "Ingress",
                _ => "Service",
            };
            Row { key: name.to_owned(), cells: vec![Some(on.to_owned()), None, None, None] }
        })
        .collect();
    assert!(rows.len() > 20, "only {} annotations", rows.len());
    hold(&OWN, &rows);
}

#[test]
fn every_annotation_of_another_controller_that_is_obeyed_is_described() {
    let of_all_prefixes = |annotation: ForeignAnnotation| {
        annotation.prefixes.iter().map(move |prefix| format!("{prefix}{}", annotation.key))
    };
    let obeyed = foreign_annotations().into_iter().filter(|one| one.treatment == "obeyed");
    let rows: Vec<Row> =
        obeyed.flat_map(of_all_prefixes).map(|key| Row { key, cells: vec![None] }).collect();
    assert!(rows.len() > 10, "only {} annotations", rows.len());
    hold(&OBEYED, &rows);
}

#[test]
fn every_annotation_that_is_known_is_classed() {
    let mut classes = BTreeMap::<String, Vec<&str>>::new();
    for annotation in foreign_annotations() {
        let ForeignAnnotation { controller, key, treatment, .. } = annotation;
        classes.entry(format!("{controller}: {treatment}")).or_default().push(key);
    }
    let rows = classes.into_iter().filter(|(class, _)| !class.ends_with(": obeyed"));
    let rows: Vec<Row> = rows
        .map(|(key, mut keys)| {
            keys.sort_unstable();
            let keys: Vec<String> = keys.into_iter().map(|key| format!("`{key}`")).collect();
            Row { key, cells: vec![Some(keys.join(", "))] }
        })
        .collect();
    hold(&CLASSED, &rows);
}
