//! Who is on a list connects, and nobody else hears anything, on every kind of address.

use crate::edge::{Edge, listener, served};
use crate::lab::{NODE_V4, NODE_V6, at, on_either_kernel};
use crate::orders::{Met, Told};

const CLOUDFLARE: &str = "admit = [\"cloudflare\"]";

#[test]
fn cloudflare_is_served_and_a_stranger_meets_silence() {
    on_either_kernel(|lab| {
        let listeners = [
            listener("both", "[::]:80", CLOUDFLARE),
            listener("v4", "0.0.0.0:8080", CLOUDFLARE),
            listener("v6", &format!("[{NODE_V6}]:8081"), CLOUDFLARE),
        ];
        let edge = Edge::start(lab, &listeners.concat());
        let ports = [
            ("both", at(NODE_V4, 80)),
            ("both", at(NODE_V6, 80)),
            ("v4", at(NODE_V4, 8080)),
            ("v6", at(NODE_V6, 8081)),
        ];
        let addresses = ports.map(|(_, address)| address);
        for (name, address) in ports {
            served(&lab.listed, address);
            assert_eq!(edge.mode(name), lab.kernel.mode());
        }
        let names = ["both", "v4", "v6"];
        assert_eq!(
            names.map(|name| edge.dropped(name)),
            [0; 3],
            "nothing of a listed peer is dropped"
        );
        assert_eq!(lab.stranger.connect_all(&addresses), [const { Met::Silence }; 4]);
        // A SYN that is repeated counts again: once in the time that silence is listened to.
        let dropped = names.map(|name| edge.dropped(name));
        assert!(dropped.iter().zip([2, 1, 1]).all(|(&is, least)| is >= least), "{dropped:?}");
        for name in names {
            assert_eq!(edge.refused(name, "not_admitted"), 0, "nobody reached user space");
        }
        // What the other address is closed for is refused, as the kernel does by itself.
        assert_eq!(lab.stranger.meet(at(NODE_V4, 8081)), Met::Refused);
    });
}

#[test]
fn a_set_of_ones_own_is_admitted_beside_the_list() {
    on_either_kernel(|lab| {
        let config = listener("web", "[::]:80", "admit = [\"cloudflare\", \"office\"]")
            + "[admit]\noffice = [\"203.0.113.0/28\"]\n";
        let _edge = Edge::start(lab, &config);
        served(&lab.listed, at(NODE_V4, 80));
        served(&lab.stranger, at(NODE_V4, 80));
        // Only its IPv4 network is in the set.
        assert_eq!(lab.stranger.meet(at(NODE_V6, 80)), Met::Silence);
        assert_eq!(lab.balancer.meet(at(NODE_V4, 80)), Met::Silence);
    });
}

#[test]
fn the_admin_port_is_silent_for_cloudflare_even_if_it_admits_any() {
    on_either_kernel(|lab| {
        let config = listener("web", "[::]:80", CLOUDFLARE)
            + "[admin]\naddress = \"[::]:9180\"\nadmit = [\"any\"]\n";
        let edge = Edge::start(lab, &config);
        let ports = [at(NODE_V4, 9180), at(NODE_V6, 9180)];
        for port in ports {
            let told = lab.stranger.get(lab.stranger.connect(port), "/livez");
            assert_eq!(told, Told::Response(200, "ok\n".to_owned()), "{port}");
        }
        assert_eq!(edge.dropped("admin"), 0);
        assert_eq!(lab.listed.connect_all(&ports), [const { Met::Silence }; 2]);
        assert!(edge.dropped("admin") >= 2);
        assert_eq!(edge.mode("admin"), lab.kernel.mode());
    });
}
