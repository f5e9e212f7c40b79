//! `config/README.md` held against the code: every key, annotation, reason, finding and metric has a row,
//! and what a row says of it is so. Part of the test program `config_files`.
//!
//! `RAVELIN_WRITE_REFERENCE=1 cargo test --test config_files` writes what the code knows into the page:
//! missing rows come with `TODO` in the cells that only a person can fill, and rows of what is gone are
//! removed.

mod annotations;
mod keys;
mod links;
mod metrics;
mod page;
mod reasons;
mod toolchain;
