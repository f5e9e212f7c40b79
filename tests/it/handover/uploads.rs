//! An upload that takes longer than an upgrade.

use super::{at, await_steered, loopback};
use crate::support::{Upstream, eventually};

/// Bytes of the upload.
const LENGTH: usize = 1 << 20;

#[test]
fn a_slow_upload_finishes_on_the_old_process() {
    let upstream = Upstream::saying("done");
    let mut old = at(&upstream, loopback()).spawn(1);
    await_steered(&old);
    let mut upload = old.connect();
    let half = vec![b'a'; LENGTH / 2];
    upload.send(format!("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"));
    upload.send(&half);
    let new = at(&upstream, old.addr()).spawn(1);
    await_steered(&new);
    old.signal("TERM");
    old.await_message("shutting down");
    // Everybody else is with the new one meanwhile, and what is idle is closed.
    eventually("the new one serves", || {
        assert_eq!(old.connect().get("a", "/").text(), "done");
        (new.log_lines().len() >= 20).then_some(())
    });
    upload.send(&half);
    let answer = upload.response();
    assert_eq!((answer.text(), answer.field("connection")), ("done", Some("close")));
    upload.closes();
    assert_eq!(old.exit().code(), Some(0));
    let whole = upstream.requests().into_iter().find(|request| request.target() == "/up");
    assert_eq!(whole.expect("it came").body.len(), LENGTH);
    assert_eq!(old.log_lines()[0]["bytes_in"], LENGTH);
}
