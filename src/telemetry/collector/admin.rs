//! Connections to the admin port and its socket.

use super::Telemetry;
use super::families::Families;
use crate::telemetry::AdminDoor;
use std::fmt;

impl Telemetry {
    pub(super) fn encode_admin(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.gauge(
            "ravelin_admin_connections_open",
            "Connections to the admin port and to its socket; 64 and 16 at most",
            |family| {
                for door in AdminDoor::ALL {
                    family.gauge(&[("on", door.label())], self.admin.door(door).open())?;
                }
                Ok(())
            },
        )?;
        encoder.counter(
            "ravelin_admin_connections_ended",
            "Connections to the admin port and its socket that were ended: crowded, to make room for \
             another one; slow, for asking or reading too slowly",
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
            "Scrapes answered 503 because four others had not read their page yet",
            |family| family.count::<0>(&[], self.admin.pages_refused()),
        )
    }
}
