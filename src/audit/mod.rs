//! Audits: every name from every location, with egress paths and charges, and comparison of two
//! configurations.
//!
//! ```text
//!  names.rs ─────┐
//!                ├─► Survey (survey.rs): one row per location and question, equal locations grouped ─► table · json · csv
//!  locations.rs ─┘        │ row.rs  verdict, paths, suggestions          cost.rs  charges on a path
//!                         ├─► bundle.rs   names that are needed together
//!                         ├─► keyword.rs  keywords that select rows
//!                         └─► diff.rs     two worlds, and the causes of their differences
//! ```
//!
//! The decisions are those of the query path, made without sending anything: the sealed internet is used
//! instead of servers that would be queried.

pub(crate) mod bundle;
pub(crate) mod cost;
pub(crate) mod csv;
pub(crate) mod diff;
pub(crate) mod diff_report;
pub(crate) mod json;
pub(crate) mod keyword;
pub(crate) mod locations;
pub(crate) mod names;
pub(crate) mod row;
pub(crate) mod survey;
pub(crate) mod table;

pub use bundle::BundleVerdict;
pub use keyword::Keyword;
pub use locations::{AuditLocation, LocationGroup};
pub use row::{PathCell, Row, Verdict};
pub use survey::Survey;
