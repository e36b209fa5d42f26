//! buildscope's reference builder: Dockerfile in, image out, with an account of every second.
//!
//! Data flows in one direction: text → instructions ([`buildscope_dockerfile`]) → graph ([`plan`]) →
//! schedule ([`buildscope_schedule`]) → effects ([`steps`], fed by [`sources`]) → layers ([`buildscope_storage`]) →
//! image ([`images`]). [`engine`] runs one build and calls each in turn.
//!
//! # Start here
//!
//! A program starts the zygote before it has threads, opens a store, and calls [`engine::build`]:
//!
//! ```no_run
//! use buildscope_builder::engine::{Engine, Request, build};
//! use buildscope_record::Probe;
//! use buildscope_sandbox::{Zygote, isolate_process, serve_if_zygote};
//! use buildscope_storage::{Store, StoreOptions};
//! use std::sync::Arc;
//! use tokio_util::sync::CancellationToken;
//!
//! // First in `main`: the zygote is this program executed again.
//! serve_if_zygote();
//! isolate_process()?;
//! let zygote = Arc::new(Zygote::start()?);
//!
//! let store = Store::open("/var/tmp/store".as_ref(), StoreOptions::default())?;
//! let request = Request { context: ".".into(), tags: vec!["app".into()], ..Request::default() };
//! let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! let outcome = runtime.block_on(build(
//!     &Engine { store, zygote },
//!     &request,
//!     &Probe::disabled(),
//!     Arc::new(()), // no progress view
//!     CancellationToken::new(),
//! ));
//! println!("{:?}", outcome.result?.id);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/build.rs` also writes the build record. The design: docs/design/.

#![forbid(unsafe_code)]

mod cgroup;
mod elf;
pub mod engine;
mod error_chain;
#[doc(hidden)]
pub mod fuzzing;
mod http;
pub mod images;
pub mod plan;
pub mod remote;
pub mod sources;
pub mod steps;
