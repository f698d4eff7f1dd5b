//! What every name comes to from every place: ways out in bulk, what they cost, and what a change would alter.
//!
//! ```text
//!  names.rs ─┐
//!            ├─► Survey (survey.rs): one row for each place and question, equal places together ─► table · json · csv
//!  places.rs ┘        │ row.rs  verdict, ways, what is missed       cost.rs  what is paid on the way
//!                     ├─► bundle.rs  names that are needed together
//!                     ├─► word.rs    words that a row is looked for by
//!                     └─► diff.rs    two worlds, and what in them made the difference
//! ```
//!
//! The decisions are those of the query path, made without sending anything: the sealed internet stands in for
//! servers that would be asked.

pub(crate) mod bundle;
pub(crate) mod cost;
pub(crate) mod csv;
pub(crate) mod diff;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod locations;
pub(crate) mod row;
pub(crate) mod diff_report;
pub(crate) mod survey;
pub(crate) mod table;
pub(crate) mod keyword;

pub use bundle::BundleVerdict;
pub use locations::{AuditLocation, LocationGroup};
pub use row::{Row, Verdict, PathCell};
pub use survey::Survey;
pub use keyword::Keyword;
