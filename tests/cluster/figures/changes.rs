//! A thousand changes of a thousand Ingresses, one after the other: from the API server's
//! acknowledgement to the first request that is answered by the change.

use crate::edge::{Backend, Edge, Setup, Site, account, class};
use crate::figures::{load, report, summary, time_until};
use crate::plane::{Connection, Plane};
use std::time::Instant;

const INGRESSES: usize = 1000;
const CHANGES: usize = 1000;

fn site<'s>(name: &'s str, host: &'s str) -> Site<'s> {
    Site { namespace: "changes", name, class: "changes", host }
}

#[test]
#[ignore = "prints figures and takes a minute"]
fn a_thousand_changes_of_a_thousand_ingresses() {
    let Some(plane) = Plane::start() else { return };
    let kubeconfig = account(&plane, "changes");
    class(&plane, "changes");
    let backend = Backend::start("changes");
    let shop = site("shop", "shop.example");
    shop.create(&plane, &backend);
    let ingress = |number: usize, host: &str| {
        let name = format!("site-{number}");
        (format!("{}/{name}", shop.ingresses()), site(&name, host).ingress_to("shop"))
    };
    load(&plane, INGRESSES, |number| {
        (shop.ingresses(), ingress(number, &format!("site-{number}.example")).1)
    });
    let began = Instant::now();
    let edge = Edge::ready(&plane, &Setup { kubeconfig: &kubeconfig, class: "changes", keys: "" });
    report("1 000 Ingresses: start to ready", &format!("{:.2} s", began.elapsed().as_secs_f64()));
    let mut visitor = Connection::open(edge.addr(), None).expect("it listens");
    let mut requests = Vec::with_capacity(CHANGES);
    let mut served = Vec::with_capacity(CHANGES);
    for change in 0..CHANGES {
        let host = format!("change-{change}.example");
        let (path, object) = ingress(change % INGRESSES, &host);
        let asked = Instant::now();
        plane.put(&path, &object);
        requests.push(asked.elapsed());
        served.push(time_until(&mut visitor, &host, |answer| answer.status == 200));
    }
    report("PUT of an Ingress", &summary(&mut requests));
    report("acknowledged to served", &summary(&mut served));
}
