mod failures;
mod model;
mod scenarios;
mod world;
