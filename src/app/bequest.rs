//! What a cluster is told before it is followed: what findings about whole kinds are about, and where their objects are
//! if the definitions are gone.

use crate::config::Config;
use crate::control::last_good::Inherited;
use crate::control::watch::Cluster;

/// Tells it.
pub(super) fn bequeath(cluster: &Cluster, config: &Config) {
    cluster.speak_of(&config.source.ingress_class);
    if let Some(kept) = &config.last_good {
        let inherited = Inherited::new(kept.directory.clone());
        cluster.inherit(move |scope| inherited.take(scope));
    }
}
