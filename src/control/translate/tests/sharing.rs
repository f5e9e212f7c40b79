//! What a change of one object costs, in a cluster of many: it looks at nothing of the others, and the next model shares
//! with the one before what they have in it.

use super::{BASE, mk_named, objects, options};
use crate::control::objects::{Change, Objects};
use crate::control::source::Changes;
use crate::control::translate::Translator;
use crate::model::Model;
use crate::net::passes;
use crate::routing::{Publisher, Table, recompile};
use std::sync::Arc;

/// An Ingress with a Service of its own, which has this port.
fn mk_shop(number: usize, port: u16) -> String {
    let backend = format!("{{service: {{name: s{number}, port: {{number: 80}}}}}}");
    let path = format!("{{pathType: Prefix, path: /, backend: {backend}}}");
    let rules = format!("rules: [{{host: h{number}.example, http: {{paths: [{path}]}}}}]");
    let ingress = mk_named(&format!("i{number}"), &rules);
    format!(
        "{ingress}
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{ports: [{{port: {port}}}]}}
---"
    )
}

/// What is in force, as the reconciler has it.
struct InForce {
    translator: Translator,
    publisher: Publisher,
    objects: Objects,
}

impl InForce {
    fn of(count: usize) -> Self {
        let shops: String = (0..count).map(|number| mk_shop(number, 80)).collect();
        let mut this = Self {
            translator: Translator::new(options()),
            publisher: Publisher::new(Table::empty()),
            objects: Objects::default(),
        };
        let all = objects(&format!("{BASE}{shops}"));
        this.apply(all.changes_from(&this.objects));
        this.objects = all;
        assert_eq!(this.publisher.current().route_count(), count);
        this
    }

    fn apply(&mut self, changes: Vec<Change>) {
        let effect = self.translator.apply(Changes { objects: changes, findings: None });
        let model = effect.model.expect("another one");
        let table = recompile(&model, &effect.delta, &self.publisher.current());
        self.publisher.publish(table);
    }

    /// Puts shops in the place of others, the first of which is left out. Returns how many values were looked at one
    /// after the other, and the models before and after.
    fn change(&mut self, yaml: &str, gone: Option<usize>) -> (usize, [Arc<Model>; 2]) {
        let mut all = self.objects.clone();
        let parsed = objects(yaml);
        for change in parsed.changes_from(&Objects::default()) {
            all.insert(change.object.expect("nothing has gone"));
        }
        if let Some(number) = gone {
            let is_it = |change: &Change| *change.identity.name == *format!("i{number}");
            let all_of_them = all.changes_from(&Objects::default());
            all.remove(&all_of_them.iter().find(|change| is_it(change)).expect("one").identity);
        }
        let changes = all.changes_from(&self.objects);
        assert!(!changes.is_empty());
        self.objects = all;
        let before = self.translator.model();
        let seen = passes::seen();
        self.apply(changes);
        (passes::seen() - seen, [before, self.translator.model()])
    }
}

#[test]
fn a_change_of_one_object_looks_at_no_other_and_copies_none() {
    for count in [300, 1_500] {
        let mut in_force = InForce::of(count);
        for (yaml, gone) in [
            (String::new(), Some(7)),
            (mk_shop(count + 1, 80), None),
            // The backend breaks, and so its host gets another one.
            (mk_shop(100, 81), None),
            (mk_shop(100, 80), None),
        ] {
            let (seen, [before, after]) = in_force.change(&yaml, gone);
            assert_eq!(seen, 0, "{count}: {yaml}");
            for (chunks, shared) in [
                after.ingresses.sharing(&before.ingresses),
                after.rules.sharing(&before.rules),
                after.backends.sharing(&before.backends),
            ] {
                assert!(
                    chunks > 4 && shared + 2 >= chunks,
                    "{count}: {shared} of {chunks}: {yaml}"
                );
            }
        }
        let table = in_force.publisher.current();
        assert_eq!((table.route_count(), table.backends().count()), (count, count));
        assert!(table.lookup("h7.example", "/").is_none());
        let broken = |host| table.backend(table.lookup(host, "/").expect("a route")).broken;
        assert_eq!(broken("h100.example"), None);
    }
}
