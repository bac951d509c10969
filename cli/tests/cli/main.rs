//! The program from the outside: real files, real processes, real signals. The encoder is a
//! tiny one with random weights, imported by the program itself.

mod bundles;
mod embed;
mod examples;
mod goals;
mod heads;
mod images;
mod inspecting;
mod interrupts;
mod learners;
mod merging;
mod pretraining;
mod quantize;
mod quickstart;
mod serving;
mod signals;
mod support;
mod surroundings;
mod suspects;
mod tuning;
mod zoo;
