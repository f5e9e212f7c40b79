//! Connections to the admin port and its socket.

use super::Telemetry;
use super::families::Families;
use crate::telemetry::AdminDoor;
use std::fmt;

impl Telemetry {
    pub(super) fn encode_admin(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.gauge(
            "ravelin_admin_connections_open",
            "Open connections to the admin port (at most 64) and to the admin socket (at most 16)",
            |family| {
                for door in AdminDoor::ALL {
                    family.gauge(&[("on", door.label())], self.admin.door(door).open())?;
                }
                Ok(())
            },
        )?;
        encoder.counter(
            "ravelin_admin_connections_ended",
            "Connections closed on the admin port and socket: crowded to make room for another, \
                slow for sending or reading too slowly",
            |family| {
                for door in AdminDoor::ALL {
                    for (cause, count) in self.admin.door(door).ended() {
                        family.count(&[("on", door.label()), ("cause", cause)], count)?;
                    }
                }
                Ok(())
            },
        )?;
        encoder.counter(
            "ravelin_admin_pages_refused",
            "Scrapes answered 503 because four others were in progress",
            |family| family.count::<0>(&[], self.admin.pages_refused()),
        )
    }
}
