//! Looks for the result of a step on servers other than the one that the step goes to. Each server of a build may have an action cache of
//! its own, and an earlier build may have placed the step differently.

use super::machine::Machine;
use buildscope_remote::{Blob, Finished};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The time that the other servers have for their answer. The server that the step goes to answers meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// The first result of an action that one of the servers has, with the index of the server. A server that fails, or does not answer in
/// time, has none: the step does not need it.
pub(super) async fn cached_elsewhere(
    machines: &[Arc<Machine>],
    own: &Arc<Machine>,
    action: Blob,
    inline: &[String],
) -> Option<(usize, Finished)> {
    let mut asked = JoinSet::new();
    let others = machines.iter().enumerate().filter(|(_, machine)| !machine.has_failed() && !Arc::ptr_eq(machine, own));
    for (index, machine) in others {
        let (client, inline) = (machine.client.clone(), inline.to_vec());
        asked.spawn(async move { (index, client.cached(action, &inline).await) });
    }
    let first = async {
        while let Some(answer) = asked.join_next().await {
            if let Ok((index, Ok(Some(found)))) = answer
                && found.exit_code == 0
            {
                return Some((index, found));
            }
        }
        None
    };
    tokio::time::timeout(PATIENCE, first).await.ok().flatten()
}
