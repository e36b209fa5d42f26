use super::*;
use proptest::prelude::*;

fn network(lengths: &[i128], links: &[(u32, u32)]) -> Network {
    let link = |&(from, to): &(u32, u32)| NetworkLink { from: StepId(from), to: StepId(to), lag: 0, rest: 0, ahead: 0 };
    let starts = Indexed::filled(0, lengths.len());
    Network { lengths: lengths.to_vec().into(), starts, tail: 0, last: None, links: links.iter().map(link).collect() }
}

#[test]
fn drag_and_slack_of_a_diamond() {
    // a(2) -> b(5) -> d(1), a -> c(3) -> d: 8 long; without b, a-c-d is 6 long.
    let analysis = network(&[2, 5, 3, 1], &[(0, 1), (0, 2), (1, 3), (2, 3)]).analyse();
    assert_eq!((analysis.length, analysis.path), (8, [0, 1, 3].map(StepId).to_vec()));
    assert_eq!(analysis.drag, vec![2, 2, 0, 1].into());
    assert_eq!(analysis.slack, vec![0, 0, 2, 0].into());
}

#[test]
fn parallel_equals_have_no_drag() {
    let analysis = network(&[4, 4], &[]).analyse();
    assert_eq!((analysis.length, analysis.drag, analysis.slack), (4, vec![0, 0].into(), vec![0, 0].into()));
}

prop_compose! {
    fn networks()(count in 1usize..8)(
        lengths in prop::collection::vec(0i128..20, count),
        starts in prop::collection::vec(0i128..5, count),
        tail in 0i128..5,
        last in prop::option::of(0..count),
        edges in prop::collection::vec((0..count, 0..count, 0i128..3, 0i128..100, 0i128..100), 0..16),
    ) -> Network {
        let links = edges.into_iter().filter(|(a, b, ..)| a != b).map(|(a, b, lag, rest, ahead)| {
            let (from, to) = (a.min(b), a.max(b));
            // Some links start or end in the middle of their activities, like those of locks.
            let part = |of: i128, share: i128| if share < 50 { 0 } else { of * (share - 50) / 50 };
            let (rest, ahead) = (part(lengths[from], rest), part(lengths[to], ahead));
            NetworkLink { from: StepId::from_index(from), to: StepId::from_index(to), lag, rest, ahead }
        }).collect();
        Network { lengths: lengths.into(), starts: starts.into(), tail, last: last.map(StepId::from_index), links }
    }
}

/// The longest path by walking all of them, with the activities on it.
fn longest_by_enumeration(network: &Network) -> (i128, Vec<Vec<StepId>>) {
    fn walk(network: &Network, path: &mut Vec<StepId>, end: i128, found: &mut Vec<(i128, Vec<StepId>)>) {
        let at = path[path.len() - 1];
        if network.last.is_none_or(|last| last == at) {
            found.push((end + network.tail, path.clone()));
        }
        for link in network.links.iter().filter(|link| link.from == at) {
            path.push(link.to);
            let end = end - link.rest + link.lag + network.lengths[link.to] - link.ahead;
            walk(network, path, end, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    for at in network.lengths.indices() {
        walk(network, &mut vec![at], network.starts[at] + network.lengths[at], &mut found);
    }
    let longest = found.iter().map(|(length, _)| *length).max().unwrap_or(network.tail);
    (longest, found.into_iter().filter(|(length, _)| *length == longest).map(|(_, path)| path).collect())
}

proptest! {
    #[test]
    fn the_longest_path_is_that_of_all_paths(network in networks()) {
        let analysis = network.analyse();
        let (length, paths) = longest_by_enumeration(&network);
        prop_assert_eq!(analysis.length, length);
        prop_assert!(paths.contains(&analysis.path), "{:?} is not among {:?}", analysis.path, paths);
    }

    #[test]
    fn drag_equals_the_gain_of_removing_the_step(network in networks()) {
        let analysis = network.analyse();
        for at in network.lengths.indices() {
            let mut without = network.clone();
            without.lengths[at] = 0;
            for link in &mut without.links {
                link.rest = if link.from == at { 0 } else { link.rest };
                link.ahead = if link.to == at { 0 } else { link.ahead };
            }
            let gain = analysis.length - without.analyse().length;
            // Without the step, a path may become longer: a link may leave from its middle before another enters. Drag is then zero.
            prop_assert_eq!(analysis.drag[at], gain.max(0), "{}", at);
        }
    }

    #[test]
    fn slack_is_how_much_longer_it_may_take(network in networks(), more in 1i128..4) {
        let analysis = network.analyse();
        for at in network.lengths.indices() {
            let longer = |by| {
                let mut network = network.clone();
                network.lengths[at] += by;
                network.analyse().length
            };
            // A step that does not lead to the end has no largest delay.
            if network.links.iter().all(|link| link.rest == 0) && network.last.is_none() {
                prop_assert_eq!(longer(analysis.slack[at]), analysis.length);
                prop_assert_eq!(longer(analysis.slack[at] + more), analysis.length + more);
            }
        }
    }
}
