//! What the servers of a build have from earlier builds: results of steps, and layers. Each server may have an action cache of its own, and
//! an earlier build may have placed a step differently.

use super::machine::Machine;
use buildscope_remote::{Blob, Finished};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The time that the other servers have for their answer. The server that the step goes to answers meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// Finds which of these blobs each server has, and passes the index of the server with each. A server that fails, or does not answer in
/// time, is treated as one without these blobs.
pub(super) async fn ask_all(machines: &[Arc<Machine>], wanted: &[Blob], mut has: impl FnMut(usize, &Blob)) {
    let mut asked = JoinSet::new();
    for (index, machine) in machines.iter().enumerate().filter(|(_, machine)| !machine.has_failed()) {
        let (client, wanted) = (machine.client.clone(), wanted.to_vec());
        asked.spawn(async move { (index, client.missing(&wanted).await) });
    }
    let answers = async {
        while let Some(answer) = asked.join_next().await {
            if let Ok((index, Ok(missing))) = answer {
                wanted.iter().filter(|blob| !missing.contains(blob)).for_each(|blob| has(index, blob));
            }
        }
    };
    // What has come by then counts.
    let _ = tokio::time::timeout(PATIENCE, answers).await;
}

/// The first result of an action that one of the servers has, with the index of the server. A server that fails, or does not answer in
/// time, is ignored: the step does not need it.
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
