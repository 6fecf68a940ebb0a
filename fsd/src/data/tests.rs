mod failures;
mod model;
mod pair;
mod races;
mod rewrites;
mod scenarios;
mod world;
