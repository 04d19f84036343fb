//! The dispatcher by behaviour, against a clock that only moves when told to.

mod api;
mod choice;
mod hostile;
mod jobs;
mod loss;
mod rooms;
mod stats;
mod world;
