//! plustwo: the resolver at VPC base + 2, which says of every answer which way out it implies.
pub mod aws;
pub mod config;
pub mod dns;
pub mod net;
pub mod resolve;
pub mod world;
