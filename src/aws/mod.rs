//! AWS vocabulary: IDs, regions, generated host names, and tables of facts.
//!
//! No other module contains AWS domain suffixes. The facts are in `data/*.tsv`, each with its source and
//! date; `tools/aws_facts.py` generates these files from the source documents, except prices and bundles,
//! which are maintained by hand.

pub mod bundles;
pub mod endpoint_names;
pub mod facts;
pub mod geography;
pub mod hostname;
mod id;
pub mod prefix_list;
pub mod prices;
pub mod public_names;
pub mod ranges;
pub mod region;
mod route_target;
pub mod service;
pub mod service_names;
pub mod template;
pub mod zones;

pub use facts::Facts;
pub use geography::Coordinates;
pub use id::*;
pub use public_names::{EndpointSupport, PublicHost};
pub use region::Region;
pub use route_target::{RouteTarget, RouteTargetError, RouteTargetKind};
pub use service::{PrivateNames, Service};
