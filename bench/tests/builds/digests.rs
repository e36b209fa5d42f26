//! The same input gives the same digest, whatever the policy, the driver, the number of slots and the observation.

use crate::world::World;
use buildscope_workloads::Corpus;
use std::path::Path;

/// Builds `world` in many ways, each on a store of its own, and expects one digest.
fn one_digest(name: &str, world: &World, ways: &[&[&str]]) {
    let digests: Vec<_> = ways
        .iter()
        .map(|way| {
            world.forget();
            world.digest(way)
        })
        .collect();
    for (digest, way) in digests.iter().zip(ways) {
        assert_eq!(digest, &digests[0], "{name}: {way:?} against {:?}", ways[0]);
    }
}

#[test]
fn one_digest_for_the_whole_corpus() {
    let corpus = Corpus::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../workloads/corpus")).unwrap();
    for workload in corpus.all().unwrap() {
        if !workload.manifest.quick {
            continue;
        }
        let world = World::empty();
        workload.materialise(&world.context()).unwrap();
        let trace = world.path("trace.json");
        one_digest(
            &workload.name,
            &world,
            &[
                &["--policy", "serial"],
                &["--policy", "stages", "--jobs", "3"],
                &["--policy", "instructions", "--driver", "overlay"],
                &["--policy", "instructions", "--driver", "copy", "--jobs", "2"],
                &["--policy", "instructions", "--trace", trace.to_str().unwrap()],
            ],
        );
    }
}

#[test]
fn one_digest_for_what_a_step_can_do_to_files() {
    let world = World::new(
        "FROM busybox AS base\n\
         RUN mkdir -p /d/sub && echo a > /d/a && ln /d/a /d/b && ln -s a /d/c && echo x > /d/sub/x && mkfifo /d/fifo\n\
         FROM base AS changes\n\
         RUN rm /d/b && mv /d/sub /d/moved && echo b >> /d/a && chmod 4755 /d/a\n\
         RUN rm -r /d/moved && mkdir /d/moved && touch /d/moved/new\n\
         RUN touch -d @1400000000 /d/a && chown -R 1000:1000 /d\n\
         COPY --from=base /d /copied\n\
         RUN :\n",
    );
    one_digest(
        "files",
        &world,
        &[&["--policy", "serial"], &["--policy", "instructions"], &["--driver", "overlay"], &["--driver", "copy"]],
    );
}

#[test]
fn a_cached_build_has_the_digest_of_the_first() {
    let world = World::new("FROM busybox\nRUN echo 1 > /one\nCOPY f /f\nLABEL a=b\n");
    world.write("f", "text");
    let first = world.digest(&[]);
    assert_eq!(first, world.digest(&[]));
    assert_eq!(first, world.digest(&["--no-cache"]));
}
