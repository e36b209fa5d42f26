//! Steps on other machines, through servers of the Remote Execution API.
//!
//! *Takes* a RUN, or a COPY from a stage, with the layers that it needs. *Gives* its layer, which stays on the server until something needs
//! it, and the account of the machine that ran it. The same module is the other side: [`Worker`] runs described steps. *Must never know*
//! the schedule, or the protocol of a server ([`buildscope_remote`]).

mod account;
mod copy;
mod description;
mod elsewhere;
mod layers;
mod link_rates;
mod local_slots;
mod locality;
mod machine;
mod machines;
mod program;
mod request;
mod starts;
mod worker;

pub use account::{Account, Failure, FailureKind, PrintedLine};
pub use buildscope_record::SMALL_LAYER;
pub(crate) use copy::DescribedCopy;
pub use copy::Selected;
pub use description::Description;
pub(crate) use description::{DescribedRun, DescribedWork, MountDescription, Settings};
pub(crate) use layers::LayerFiles;
pub(crate) use local_slots::{LocalSlot, Placement};
pub(crate) use locality::why_here;
pub(crate) use machines::{Away, Machines};
pub use request::{CacheMounts, Fallback, RemoteRequest};
pub use worker::{LayerOrigin, Worker};

/// The path of the description in an action's input root.
pub const DESCRIPTION: &str = "step.json";
/// The directory of an action's layers, each named by the digits of its diff id.
pub(crate) const LAYERS: &str = "layers";
/// The path of this program in an action's input root.
pub const PROGRAM: &str = "buildscope";
/// The output with the step's layer.
pub const LAYER: &str = "layer";
/// The output with the account.
pub const ACCOUNT: &str = "account.json";
