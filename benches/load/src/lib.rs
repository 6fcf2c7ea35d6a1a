//! Closed and open loops of load, their latencies, and what the processes behind them used.
//!
//! Nothing here knows what is measured: a [`Workload`] says how to connect and how to do operation number n,
//! a [`Plan`] how many connections do how many of them at which pace, and [`run`] answers with an
//! [`Outcome`]. A [`Meter`] reads what processes used from `/proc`, a [`Watch`] what the machine's host took
//! away meanwhile. A [`Report`] puts them beside each other, for people or for machines.
//!
//! ```
//! use std::sync::Arc;
//! use selvedge_load::{Extent, Failure, Pace, Plan, Workload, run};
//!
//! struct Nothing;
//!
//! impl Workload for Nothing {
//!     type Connection = ();
//!
//!     async fn connect(&self, _: usize) -> Result<(), Failure> {
//!         Ok(())
//!     }
//!
//!     async fn operate(&self, (): &mut (), _: u64) -> Result<(), Failure> {
//!         Ok(())
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let plan = Plan { connections: 2, pace: Pace::Closed, extent: Extent::Operations(100), first: 0 };
//! let outcome = run(Arc::new(Nothing), &plan).await.unwrap();
//! assert_eq!(outcome.latencies.count(), 100);
//! # });
//! ```
#![forbid(unsafe_code)]

mod plan;
mod workload;

mod latencies;
mod run;

mod client;
mod host;
mod meter;

mod report;
mod table;

pub use client::{Answer, ClientError, Connection, Protocol, Target};
pub use host::{STEAL_MAX, Watch, file_system};
pub use latencies::Latencies;
pub use meter::{Meter, Usage};
pub use plan::{Extent, Pace, Plan, Stop};
pub use report::{Conditions, Figure, Measurement, Report, Unit};
pub use run::{LoadError, Outcome, run};
pub use workload::{Failure, Workload};
