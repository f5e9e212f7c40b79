//! What Ingresses and Services say of how long, and how much at once.

mod body_size;
mod queue;
mod timeouts;
