//! What `explain` is asked, and of whom: manifests, a cluster, or a running process.

use super::origin::Origin;
use super::{offline, running};
use crate::cli::admin::AdminArgs;
use crate::cli::{Failure, What};
use clap::Args;
use std::path::PathBuf;

/// What is asked, and of whom.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    admin: AdminArgs,
    /// A Ray ID (CF-Ray): tells what became of a request that failed. Needs --admin.
    #[arg(long, value_name = "RAY", requires = "admin", conflicts_with = "url")]
    ray: Option<String>,
    /// Manifests: a file or directory; may be given several times.
    #[arg(long = "manifests", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Request method.
    #[arg(long, default_value = "GET")]
    method: String,
    #[command(flatten)]
    origin: Origin,
    /// The URL as a client would write it.
    #[arg(required_unless_present = "ray")]
    url: Option<String>,
}

/// Prints where the URL goes, or what became of the request with a Ray ID.
pub(in crate::cli) fn explain(args: ExplainArgs) -> Result<u8, Failure> {
    let ExplainArgs { what, admin, ray, paths, method, origin, url } = args;
    if admin.admin.is_some() && (what.kubeconfig.is_some() || !paths.is_empty()) {
        return Err(Failure::usage(
            "ask a process (--admin), or read manifests or a cluster, not both",
        ));
    }
    match (admin.admin, ray, url) {
        (Some(place), Some(ray), _) => running::ray(&place, &ray, what.output),
        (Some(place), None, Some(url)) => running::url(&place, &method, &url, &origin, what.output),
        (None, _, Some(url)) => offline(&what, paths, &method, &url, &origin),
        (_, _, None) => {
            Err(Failure::usage("no URL; write one as a client would: http://host/path"))
        }
    }
}
