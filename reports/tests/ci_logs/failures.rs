//! What a log says of a failed build.

use crate::read;

#[test]
fn a_failed_log_without_times_says_what_failed() {
    let (_, explanation) = read(
        "Step 1/2 : FROM busybox\n ---> aaaaaaaaaaaa\nStep 2/2 : RUN sleep 2\n ---> Running in bbbbbbbbbbbb\nThe command '/bin/sh -c sleep 2' returned a non-zero code: 1\n",
    );
    assert_eq!(
        explanation.answer,
        "The build failed with exit code 1 in `RUN sleep 2` (stage 0); the record has no times: it says what ran, not how long it took."
    );
    assert!(explanation.notes.iter().any(|note| note.contains("| ts")), "{:?}", explanation.notes);
    let (_, explanation) = read(
        "STEP 1/2: FROM busybox\nSTEP 2/2: RUN false\nError: building at STEP \"RUN false\": while running runtime: exit status 1\n",
    );
    assert!(
        explanation.answer.starts_with("The build failed with exit code 1 in `RUN false` (stage 0)"),
        "{}",
        explanation.answer
    );
    let (_, explanation) = read(
        "#1 [1/1] RUN false\n#1 ERROR: process \"/bin/sh -c false\" did not complete successfully: exit code: 1\n",
    );
    assert!(
        explanation.answer.starts_with("The build failed with exit code 1 in `RUN false`"),
        "{}",
        explanation.answer
    );
}

#[test]
fn the_words_of_a_failure_are_in_every_form_of_log() {
    let buildah = "STEP 1/2: FROM busybox\nSTEP 2/2: RUN make\ncc a.c\nmake: no rule for b\n\
                   Error: building at STEP \"RUN make\": while running runtime: exit status 2\n";
    let display = "[+] Building 9.9s (3/4)\n => [internal] load build definition from Dockerfile  0.0s\n => CACHED [1/2] FROM a  0.0s\n \
                   => ERROR [2/2] RUN make   9.9s\n------\n > [2/2] RUN make:\n9.812 make: no rule for b\n------\n\
                   ERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2\n";
    for log in [buildah, display] {
        let (_, explanation) = read(log);
        let answer = &explanation.answer;
        assert!(
            answer.starts_with("The build failed with exit code 2") && answer.contains("make: no rule for b"),
            "{answer}"
        );
    }
}

#[test]
fn a_build_that_fails_outside_of_its_steps_says_so_in_the_builder_s_words() {
    let step = "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\n#2 [1/1] RUN make\n#2 1.001 cc\n";
    let kaniko = "INFO[0000] Retrieving image manifest a\nINFO[0001] Building stage 'a' [idx: '0', base-idx: '-1']\nINFO[0001] RUN make\n\
                  INFO[0009] Taking snapshot of full filesystem...\nINFO[0010] Pushing image to r.example/a:1\n";
    for (log, words) in [
        (format!("{step}ERROR: failed to receive status: rpc error: code = Unavailable desc = EOF\n"), "desc = EOF"),
        (
            "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\nERROR: failed to build: failed to solve: \
             dockerfile parse error on line 3: unknown instruction: RUNN\n"
                .to_owned(),
            "unknown instruction: RUNN",
        ),
        (format!("{kaniko}error pushing image: failed to push to destination r.example/a:1: 401\n"), "401"),
        (format!("{kaniko}error checking push permissions -- make sure you entered the correct tag name\n"), "tag name"),
    ] {
        let (record, _) = read(&log);
        assert!(!record.succeeded && !record.unfinished, "{log}");
        assert!(record.notes.iter().any(|note| note.contains(words)), "{log}: {:?}", record.notes);
    }
    let (record, _) = read(&format!("{step}#2 ERROR: exit code: 1\nERROR: failed to solve: exit code: 1\n"));
    assert!(record.notes.iter().all(|note| !note.contains("outside")), "{:?}", record.notes);
}
