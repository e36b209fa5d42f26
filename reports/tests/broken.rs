//! Logs that were damaged: cut anywhere, with bytes that changed, lines that are lost, doubled or swapped.

use buildscope_reports::explain;
use buildscope_reports::import::{builds, import};
use proptest::prelude::*;

/// A builder's log of a build that succeeded.
struct Log {
    text: &'static str,
    /// The part that ends with the build.
    ends: &'static str,
}

const LOGS: [Log; 7] = [
    Log {
        text: "#0 building with \"ci\" instance using docker driver\n\n#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\n\n\
               #2 [a 1/2] FROM docker.io/library/alpine:3\n#2 DONE 1.5s\n\n#3 [a 2/2] RUN make\n#3 2.500 cc a.c\n#3 DONE 4.0s\n\n\
               #4 [b 1/1] COPY --from=a /x /x\n#4 DONE 0.2s\n\n#5 exporting to image\n#5 exporting layers 0.5s done\n#5 DONE 0.6s\n",
        ends: "#5 DONE 0.6s",
    },
    Log {
        text: "2026-03-01T10:00:00Z #1 [internal] load build definition from Dockerfile\n2026-03-01T10:00:01Z #1 DONE 1.0s\n\
               2026-03-01T10:00:01Z #2 [1/2] FROM docker.io/library/alpine:3\n2026-03-01T10:00:03Z #2 DONE 2.0s\n\
               2026-03-01T10:00:03Z #3 [2/2] RUN make\n2026-03-01T10:00:05Z #3 2.0 cc a.c\n2026-03-01T10:00:09Z #3 DONE 6.0s\n\
               2026-03-01T10:00:09Z #4 exporting to image\n2026-03-01T10:00:10Z #4 DONE 1.0s\n",
        ends: "2026-03-01T10:00:10Z #4 DONE 1.0s",
    },
    Log {
        text: "{\"vertexes\":[{\"digest\":\"sha256:a\",\"name\":\"[1/2] FROM x\",\"started\":\"2026-03-01T10:00:00Z\",\"completed\":\"2026-03-01T10:00:01Z\"},{\"digest\":\"sha256:b\",\"inputs\":[\"sha256:a\"],\"name\":\"[2/2] RUN make\"}]}\n\
               {\"vertexes\":[{\"digest\":\"sha256:b\",\"inputs\":[\"sha256:a\"],\"name\":\"[2/2] RUN make\",\"started\":\"2026-03-01T10:00:01Z\"}]}\n\
               {\"logs\":[{\"vertex\":\"sha256:b\",\"stream\":1,\"data\":\"Y2MK\",\"timestamp\":\"2026-03-01T10:00:03Z\"}]}\n\
               {\"vertexes\":[{\"digest\":\"sha256:b\",\"inputs\":[\"sha256:a\"],\"name\":\"[2/2] RUN make\",\"started\":\"2026-03-01T10:00:01Z\",\"completed\":\"2026-03-01T10:00:06Z\"}]}\n",
        ends: "{\"vertexes\":[{\"digest\":\"sha256:b\",\"inputs\":[\"sha256:a\"],\"name\":\"[2/2] RUN make\",\"started\":\"2026-03-01T10:00:01Z\",\"completed\":\"2026-03-01T10:00:06Z\"}]}",
    },
    Log {
        text: "Sending build context to Docker daemon  3.07kB\nStep 1/3 : FROM busybox\n ---> 0123456789ab\nStep 2/3 : RUN make\n ---> Running in 1123456789ab\n\
               cc a.c\nRemoving intermediate container 1123456789ab\n ---> 2123456789ab\nStep 3/3 : COPY a b\n ---> 3123456789ab\n\
               Successfully built 3123456789ab\nSuccessfully tagged x:latest\n",
        ends: "Successfully built",
    },
    Log {
        text: "[1/2] STEP 1/2: FROM busybox AS a\n[1/2] STEP 2/2: RUN make\ncc a.c\n--> 0123456789a\n[2/2] STEP 1/2: FROM scratch\n\
               [2/2] STEP 2/2: COPY --from=a /x /x\n--> 1123456789a\n[2/2] COMMIT x\n--> 2123456789a\nSuccessfully tagged localhost/x:latest\n\
               2123456789ab2123456789ab2123456789ab2123456789ab2123456789ab2123\n",
        ends: "[2/2] COMMIT x\n--> 2",
    },
    Log {
        text: "INFO[0000] Retrieving image manifest busybox\nINFO[0001] Building stage 'busybox' [idx: '0', base-idx: '-1']\n\
               INFO[0001] Unpacking rootfs as cmd RUN make requires it.\nINFO[0003] RUN make\nINFO[0003] Running: [/bin/sh -c make]\ncc a.c\n\
               INFO[0009] Taking snapshot of full filesystem...\nINFO[0010] COPY a b\nINFO[0010] Taking snapshot of files...\n\
               INFO[0011] Pushing image to registry.example/x\nINFO[0012] Pushed image to 1 destinations\n",
        ends: "INFO[0011] Pushing imag",
    },
    Log {
        text: "[+] Building 6.2s (5/5) FINISHED\n => [internal] load build definition from Dockerfile   0.1s\n => [1/2] FROM docker.io/library/alpine:3    1.5s\n\
                => [2/2] RUN make      4.0s\n => exporting to image     0.6s\n => => exporting layers    0.5s\n",
        ends: "[+] Building 6.2s (5/5) FINISHED",
    },
];

/// No panic, and what is said of the record adds up.
fn read(bytes: &[u8]) {
    let Ok(builds) = builds(bytes) else { return };
    for record in builds.into_records() {
        assert!(record.validate().is_ok());
        let explanation = explain(&record);
        assert!(explanation.bounds.least <= record.wall, "{:?} of {:?}", explanation.bounds.least, record.wall);
    }
}

#[test]
fn a_log_that_is_cut_anywhere_has_not_succeeded() {
    for Log { text, ends } in LOGS {
        let whole = import(text.as_bytes()).unwrap();
        assert!(whole.succeeded, "{text}");
        let end = text.find(ends).unwrap() + ends.len();
        for cut in 0..end {
            if let Ok(record) = import(&text.as_bytes()[..cut]) {
                assert!(!record.succeeded, "{}", &text[..cut]);
            }
        }
    }
}

/// A damage of a log.
#[derive(Clone, Debug)]
enum Damage {
    Bit(usize, u8),
    Lose(usize),
    Double(usize),
    Swap(usize, usize),
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Damage::Bit(at, bit)),
        any::<usize>().prop_map(Damage::Lose),
        any::<usize>().prop_map(Damage::Double),
        (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Damage::Swap(one, other)),
        any::<usize>().prop_map(Damage::Cut),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text.split_inclusive('\n').map(|line| line.as_bytes().to_vec()).collect();
    for damage in damages {
        let count = lines.len().max(1);
        match *damage {
            Damage::Bit(at, bit) => {
                let length = lines.iter().map(Vec::len).sum::<usize>().max(1);
                if let Some(byte) = lines.iter_mut().flatten().nth(at % length) {
                    *byte ^= 1 << bit;
                }
            }
            Damage::Lose(at) if lines.len() > 1 => {
                lines.remove(at % count);
            }
            Damage::Double(at) if !lines.is_empty() => lines.insert(at % count, lines[at % count].clone()),
            Damage::Swap(one, other) if !lines.is_empty() => lines.swap(one % count, other % count),
            Damage::Cut(at) => {
                let text = lines.concat();
                let kept = &text[..at % (text.len() + 1)];
                lines = kept.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            }
            Damage::Lose(_) | Damage::Double(_) | Damage::Swap(..) => {}
        }
    }
    lines.concat()
}

proptest! {
    #[test]
    fn a_damaged_log_is_read_or_refused(log in 0..LOGS.len(), damages in prop::collection::vec(damage(), 1..12)) {
        read(&damaged(LOGS[log].text, &damages));
    }

    #[test]
    fn two_damaged_logs_after_each_other_are_read_or_refused(
        one in 0..LOGS.len(),
        other in 0..LOGS.len(),
        damages in prop::collection::vec(damage(), 0..8),
    ) {
        read(&damaged(&(LOGS[one].text.to_owned() + LOGS[other].text), &damages));
    }
}
