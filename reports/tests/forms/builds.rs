//! One build as each builder's log shows it. Its timing is known by construction.

/// A line of a log, and when it was written, in milliseconds since the start.
pub(crate) type Line = (u64, String);

/// A log with what must be read from it.
pub(crate) struct Case {
    pub(crate) builder: &'static str,
    pub(crate) lines: Vec<Line>,
    /// The wall time in milliseconds.
    pub(crate) wall: u64,
    /// A part of the text of steps, with how long each took in milliseconds.
    pub(crate) steps: &'static [(&'static str, u64)],
    /// Whether the log says something about times without a time before each line.
    pub(crate) own_times: bool,
}

fn lines(text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let (at, text) = line.split_once('|').expect("a time and a text");
        (at.trim().parse().expect("milliseconds"), text.to_owned())
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

/// BuildKit's plain progress: a build of two stages.
pub(crate) fn plain() -> Case {
    let text = "
        0|#0 building with \"default\" instance using docker driver
        0|
        0|#1 [internal] load build definition from Dockerfile
      100|#1 transferring dockerfile: 94B done
      100|#1 DONE 0.1s
      100|
      100|#2 [internal] load metadata for docker.io/library/golang:1
      500|#2 DONE 0.4s
      500|
      500|#3 [build 1/3] FROM docker.io/library/golang:1@sha256:5ba1be3d8c2a6b9a3aca1c5b6b9a3aca1c5b6b9a3aca1c5b6b9a3aca1c5b6b9a
      500|#3 CACHED
      500|
      500|#4 [build 2/3] RUN apt-get install -y git
     1500|#4 1.000 Reading package lists...
     4500|#4 DONE 4.0s
     4500|
     4500|#5 [build 3/3] RUN go build -o /out
     7500|#5 3.000 Step 1/2 : FROM a line of output that looks like another builder's
    10500|#5 DONE 6.0s
    10500|
    10500|#6 [stage-1 1/1] COPY --from=build /out /out
    10800|#6 DONE 0.3s
    10800|
    10800|#7 exporting to image
    12000|#7 exporting layers 1.2s done
    12000|#7 DONE 1.2s";
    let steps = &[("apt-get", 4000), ("go build", 6000), ("COPY --from", 300), ("exporting to image", 1200)];
    Case { builder: "buildkit", lines: lines(text), wall: 12_000, steps, own_times: true }
}

/// The classic builder.
pub(crate) fn classic() -> Case {
    let text = "
        0|Sending build context to Docker daemon  4.096kB
      500|Step 1/5 : FROM golang:1 AS build
      500| ---> 0123456789ab
      500|Step 2/5 : RUN apt-get install -y git
      500| ---> Running in 1123456789ab
     1500|Reading package lists...
     4300|Removing intermediate container 1123456789ab
     4500| ---> 2123456789ab
     4500|Step 3/5 : RUN go build -o /out
     4500| ---> Running in 3123456789ab
    10400|Removing intermediate container 3123456789ab
    10500| ---> 4123456789ab
    10500|Step 4/5 : FROM scratch
    10500| --->
    10500|Step 5/5 : COPY --from=build /out /out
    11500| ---> 5123456789ab
    11500|Successfully built 5123456789ab
    12000|Successfully tagged p:latest";
    let steps = &[("apt-get", 4000), ("go build", 6000), ("COPY --from", 1000)];
    Case { builder: "classic", lines: lines(text), wall: 12_000, steps, own_times: false }
}

/// buildah with `--layers`.
pub(crate) fn buildah() -> Case {
    let text = "
        0|[1/2] STEP 1/3: FROM golang:1 AS build
      500|[1/2] STEP 2/3: RUN apt-get install -y git
     1500|Reading package lists...
     4500|--> 0123456789a
     4500|[1/2] STEP 3/3: RUN go build -o /out
    10500|--> 1123456789a
    10500|[2/2] STEP 1/2: FROM scratch
    10500|[2/2] STEP 2/2: COPY --from=build /out /out
    11500|--> 2123456789a
    11500|[2/2] COMMIT p
    12000|--> 3123456789a
    12000|Successfully tagged localhost/p:latest
    12000|3123456789ab3123456789ab3123456789ab3123456789ab3123456789ab3123";
    let steps = &[("apt-get", 4000), ("go build", 6000), ("COPY --from", 1000), ("COMMIT", 500)];
    Case { builder: "buildah", lines: lines(text), wall: 12_000, steps, own_times: false }
}

/// kaniko, whose messages have whole seconds.
pub(crate) fn kaniko() -> Case {
    let text = "
        0|INFO[0000] Retrieving image manifest golang:1
        0|INFO[0000] Retrieving image golang:1 from registry index.docker.io
     1000|INFO[0001] Built cross stage deps: map[0:[/out]]
     1000|INFO[0001] Executing 0 build triggers
     1000|INFO[0001] Building stage 'golang:1' [idx: '0', base-idx: '-1']
     1000|INFO[0001] Unpacking rootfs as cmd RUN apt-get install -y git requires it.
     2000|INFO[0002] RUN apt-get install -y git
     2000|INFO[0002] Cmd: /bin/sh
     2000|INFO[0002] Args: [-c apt-get install -y git]
     2000|INFO[0002] Running: [/bin/sh -c apt-get install -y git]
     3000|Reading package lists...
     5000|INFO[0005] Taking snapshot of full filesystem...
     6000|INFO[0006] RUN go build -o /out
     6000|INFO[0006] Running: [/bin/sh -c go build -o /out]
    11000|INFO[0011] Taking snapshot of full filesystem...
    12000|INFO[0012] Pushing image to registry.example/p
    14000|INFO[0014] Pushed image to 1 destinations";
    let steps = &[("apt-get", 4000), ("go build", 6000)];
    Case { builder: "kaniko", lines: lines(text), wall: 14_000, steps, own_times: true }
}

/// BuildKit's JSON progress.
pub(crate) fn rawjson() -> Case {
    let vertex = |digest: u32, name: &str, inputs: &[u32], start: u64, end: u64| {
        let time = |at: u64| format!("2026-03-01T10:00:{:02}.{:03}Z", at / 1000, at % 1000);
        let inputs: Vec<String> = inputs.iter().map(|input| format!("\"sha256:{input}\"")).collect();
        let line = format!(
            "{{\"vertexes\":[{{\"digest\":\"sha256:{digest}\",\"inputs\":[{}],\"name\":\"{name}\",\"started\":\"{}\",\"completed\":\"{}\"}}]}}",
            inputs.join(","),
            time(start),
            time(end)
        );
        (end, line)
    };
    let lines = vec![
        vertex(1, "[internal] load build definition from Dockerfile", &[], 0, 500),
        vertex(2, "[build 1/2] RUN apt-get install -y git", &[], 500, 4500),
        (4500, "{\"statuses\":null,\"logs\":[{\"vertex\":\"sha256:2\",\"stream\":1,\"data\":\"ZG9uZQo=\",\"timestamp\":\"2026-03-01T10:00:04Z\"}]}".to_owned()),
        vertex(3, "[build 2/2] RUN go build -o /out", &[2], 4500, 10_500),
        vertex(4, "[stage-1 1/1] COPY --from=build /out /out", &[3], 10_500, 10_800),
        vertex(5, "exporting to image", &[], 10_800, 12_000),
    ];
    let steps = &[("apt-get", 4000), ("go build", 6000), ("COPY --from", 300), ("exporting to image", 1200)];
    Case { builder: "rawjson", lines, wall: 12_000, steps, own_times: true }
}
