//! What Ingresses and Services say of how long, and how much at once.

mod queue;
mod timeouts;
