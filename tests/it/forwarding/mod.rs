//! A request and its answer pass whole: methods, statuses, framings, connections, fields, limits.

mod bodies;
mod connections;
mod fields;
mod interim;
mod limits;
mod nginx;
mod raw_path;
mod raw_requests;
mod readers;
