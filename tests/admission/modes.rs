//! Where the kernel does not filter: what strangers see then, and what the operator is told.

use crate::edge::{Edge, listener, reset, served};
use crate::lab::{Lab, NODE_V4, NODE_V6, STRANGER_V4, at};
use std::fmt::Write;

#[test]
fn without_the_kernels_filter_a_stranger_is_reset_and_counted() {
    let Some(lab) = Lab::build() else { return };
    let more = "admit = [\"cloudflare\"]\nkernel_filter = false";
    let edge = Edge::start(&lab, &listener("web", "[::]:80", more));
    for address in [NODE_V4, NODE_V6] {
        served(&lab.listed, at(address, 80));
        reset(&lab.stranger, at(address, 80));
    }
    assert_eq!(edge.refused("web", "not_admitted"), 2);
    assert_eq!((edge.dropped("web"), edge.mode("web")), (0, "user_space"));
    assert_eq!(edge.mode("admin"), "kernel", "the switch is the listener's");
    let warnings = edge.warnings("web");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("the port is visible"), "{warnings:?}");
}

#[test]
fn a_listener_that_admits_any_is_off_and_says_so_loudly() {
    let Some(lab) = Lab::build() else { return };
    let edge = Edge::start(&lab, &listener("web", "[::]:80", "admit = [\"any\"]"));
    for address in [NODE_V4, NODE_V6] {
        served(&lab.stranger, at(address, 80));
    }
    assert_eq!((edge.dropped("web"), edge.mode("web")), (0, "off"));
    let warnings = edge.warnings("web");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("admits ANY address"), "{warnings:?}");
}

#[test]
fn a_set_that_the_kernel_cannot_hold_is_enforced_in_user_space() {
    let Some(lab) = Lab::build() else { return };
    let mut networks = format!("{STRANGER_V4:?}");
    // No two of them touch.
    for number in 0..4000u32 {
        write!(networks, ", \"10.{}.{}.1\"", 1 + number / 256, number % 256).expect("a String");
    }
    let config = listener("web", "[::]:80", "admit = [\"many\"]")
        + &format!("[admit]\nmany = [{networks}]\n");
    let edge = Edge::start(&lab, &config);
    assert_eq!(edge.mode("web"), "user_space");
    served(&lab.stranger, at(NODE_V4, 80));
    reset(&lab.stranger, at(NODE_V6, 80));
    reset(&lab.listed, at(NODE_V4, 80));
    assert_eq!(edge.refused("web", "not_admitted"), 2);
    let warnings = edge.warnings("web").concat();
    for part in ["4001 address ranges", "the first", "checked in user space", "is visible"] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    // The number that fits is said, and is none of those that cannot be.
    let (_, fits) = warnings.split_once("the first ").expect("asserted");
    let fits: usize = fits.split(' ').next().expect("a word").parse().expect("a number");
    assert!((1000..4001).contains(&fits), "{fits}");
}
