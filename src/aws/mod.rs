//! AWS vocabulary: ids, regions, the host names AWS generates, and facts of AWS as tables.
//!
//! No other module spells an AWS suffix. Facts stand in `data/*.tsv` with their source and date beside
//! them; `tools/aws_facts.py` makes those files from the source documents, but for prices and bundles, which are put
//! together by hand.

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
