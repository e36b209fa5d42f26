//! Ways to keep a log: what CI services and programs that run other programs write.

use super::{At, Times, Way, each, text, ways};
use std::fmt::Write;

/// Characters that TeamCity's service messages escape.
fn teamcity(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '|' | '\'' | '[' | ']') {
            out.push('|');
        }
        out.push(c);
    }
    out
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#039;")
}

/// Each line as a function writes it.
fn written(lines: &[(u64, String)], line: impl Fn(usize, &At, &str) -> String) -> Vec<u8> {
    let mut out = String::new();
    for (number, (at, text)) in lines.iter().enumerate() {
        writeln!(out, "{}", line(number, &At(*at), text)).unwrap();
    }
    out.into_bytes()
}

pub(super) const WAYS: &[Way] = ways! {
    "GitHub's raw log" Fine |lines| {
        let mut out = String::from("\u{feff}2026-03-01T09:59:59.0000000Z ##[group]Run docker build .\n2026-03-01T09:59:59.1000000Z HEAD is now at 1a2b3c4 #1234 fix the login page\n2026-03-01T09:59:59.1000000Z #1235 another line of the history\n");
        out += &text(each(lines, |_, at| format!("2026-03-01T{}.{:03}1234Z ", at.clock(), at.millis())));
        (out + "2026-03-01T10:09:00.0000000Z ##[group]Post Run\n").into_bytes()
    };
    "gh run view --log" Fine |lines| {
        let mut out = String::from("build\tSet up job\t2026-03-01T09:59:01.0000000Z Current runner version: '2.311.0'\nbuild\tSet up job\t2026-03-01T09:59:02.0000000Z #9 is not a vertex\n");
        out += &text(each(lines, |_, at| format!("build\tBuild and push\t2026-03-01T{}.{:03}1234Z ", at.clock(), at.millis())));
        (out + "build\tPost\t2026-03-01T10:09:00.0000000Z done\n").into_bytes()
    };
    "GitLab with time stamps" Fine |lines| {
        let mut out = String::from("2026-03-01T09:59:00.000000Z 00O Running with gitlab-runner 16.9.1\n2026-03-01T09:59:00.100000Z 00O section_start:1772359140:step_script\r\u{1b}[0K\u{1b}[0K\u{1b}[36;1mExecuting\u{1b}[0;m\n");
        out += &text(each(lines, |_, at| format!("2026-03-01T{}.{:03}000Z 01E ", at.clock(), at.millis())));
        (out + "2026-03-01T10:00:30.000000Z 00O section_end:1772359230:step_script\r\u{1b}[0K\n").into_bytes()
    };
    "GitLab with time stamps and parts of lines" Fine |lines| {
        let part = |at: &At, text: &str| {
            let before = format!("2026-03-01T{}.{:03}000Z 01E", at.clock(), at.millis());
            let middle = text.char_indices().nth(30).map_or(text.len(), |(middle, _)| middle);
            let (first, rest) = text.split_at(middle);
            let more = if rest.is_empty() { String::new() } else { format!("\n{before}+{rest}") };
            format!("{before} {first}{more}")
        };
        written(lines, |_, at, text| part(at, text))
    };
    "GitHub's groups" Fine |lines| written(lines, |number, at, text| {
        format!("{} {}{text}", at.rfc3339(), if number % 6 == 3 { "##[group]" } else { "" })
    });
    "arrows" Lost |lines| each(lines, |_, _| "==> ".to_owned());
    "colours of 256 and of 24 bits" Lost |lines| written(lines, |number, _, text| {
        format!("\u{1b}[38;5;8mweb |\u{1b}[39m \u{1b}[38;2;{number};8;9m{text}\u{1b}[0m")
    });
    "GitLab" Lost |lines| {
        let out = "\u{1b}[0KRunning with gitlab-runner 16.9.1\u{1b}[0;m\nsection_start:1772359140:step_script\r\u{1b}[0K\u{1b}[36;1mExecuting\u{1b}[0;m\n".to_owned();
        (out + &text(each(lines, |_, _| String::new())) + "section_end:1772359230:step_script\r\u{1b}[0K\n\u{1b}[32;1mJob succeeded\u{1b}[0;m\n").into_bytes()
    };
    "Jenkins with its Timestamper" Fine |lines| each(lines, |_, at| format!("[2026-03-01T{}.{:03}Z] ", at.clock(), at.millis()));
    "Azure Pipelines" Fine |lines| {
        let out = "2026-03-01T09:59:59.0000000Z ##[section]Starting: Docker\n".to_owned();
        (out + &text(each(lines, |_, at| format!("2026-03-01T{}.{:03}1234Z ", at.clock(), at.millis())))).into_bytes()
    };
    "TeamCity" Seconds |lines| each(lines, |_, at| format!("[{}] :\t [Step 1/2] ", at.clock()));
    "Bamboo" Seconds |lines| each(lines, |_, at| format!("build\t01-Mar-2026 {}\t", at.clock()));
    "Buildkite" Fine |lines| each(lines, |_, at| format!("\u{1b}_bk;t={}{:03}\u{7}", at.epoch(), at.millis()));
    "Buildkite without escapes" Fine |lines| each(lines, |_, at| format!("_bk;t={}{:03}\u{7}", at.epoch(), at.millis()));
    "Cloud Build" Lost |lines| each(lines, |_, _| "Step #0 - \"build\": ".to_owned());
    "Drone's command" Lost |lines| each(lines, |number, _| format!("[build:{number}] "));
    "kubectl logs --timestamps --prefix" Fine |lines| each(lines, |_, at| format!("[pod/build-7f9c4/kaniko] 2026-03-01T{}.{:03}000000Z ", at.clock(), at.millis()));
    "Kubernetes (CRI)" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}000000Z stderr F ", at.clock(), at.millis()));
    "docker compose" Lost |lines| each(lines, |_, _| "web-1  | ".to_owned());
    "GitHub's log with groups" Fine |lines| {
        let mut out = String::new();
        for (second, line) in ["##[group]Booting builder", "/usr/bin/docker buildx inspect --bootstrap --builder builder-7", "#1 [internal] booting buildkit", "#1 pulling image moby/buildkit:buildx-stable-1", "#1 pulling image moby/buildkit:buildx-stable-1 2.0s done", "#1 creating container buildx_buildkit_builder-7", "#1 creating container buildx_buildkit_builder-7 1.0s done", "#1 DONE 3.0s", "##[endgroup]", "##[group]Run docker buildx build .", "\u{1b}[36;1mdocker buildx build .\u{1b}[0m", "shell: /usr/bin/bash -e {0}", "##[endgroup]"].iter().enumerate() {
            writeln!(out, "2026-03-01T09:59:{:02}.0001234Z {line}", 40 + second).unwrap();
        }
        (out + &text(each(lines, |_, at| format!("2026-03-01T{}.{:03}1234Z ", at.clock(), at.millis())))).into_bytes()
    };
    "Jenkins' page with its Timestamper" Seconds |lines| {
        let mut out = String::from("<!DOCTYPE html><html><body><pre class=\"console-output\">Started by user <a href='/user/a' class='model-link'>a</a>\n<span class=\"timestamp\"><b>09:59:59</b> </span>Running on <a href='/computer/(built-in)/'>Jenkins</a> in /var/lib/jenkins\n");
        out += &text(written(lines, |_, at, text| format!("<span class=\"timestamp\"><b>{}</b> </span>{}", at.clock(), html(text))));
        (out + "</pre></body></html>\n").into_bytes()
    };
    "Jenkins' page with a hidden time" Fine |lines| written(lines, |number, at, text| format!(
        "<span class=\"pipeline-node-{}\"><span class=\"timestamp\"><span style=\"display:none\">[{}]</span> <b>{}</b> </span>{}</span>", 12 + number % 2, at.rfc3339(), at.clock(), html(text)));
    "Jenkins' page" Lost |lines| written(lines, |_, _, text| html(text));
    "Jenkins' file with its notes" Lost |lines| written(lines, |number, _, text| {
        let note = "\u{1b}[8mha:////4NgrMdLLZVh0KSmQz1n9KFYcLSAyJgbWVx3GQd3GFuEAAAAmh+LCAAAAAAAAP9b85aBtbiIQTGjNKU4P08vOT+vOD8nVc83PyU1x6OyILUoJzMv2y+/JJUBAhiZGBgqihhk0NSjKDWzXb3RdlLBUSYGJk8GtpzUvPSSDB8G5tKinBIGIZ+sxLJE/ZzEvHT94JKizLx0a6BxUmjGOUNodHsLgAyWEgZu/dLi1CL9xJTczDwAj6GcLcAAAAA=\u{1b}[0m";
        format!("{}{text}", if number % 4 == 0 { note } else { "" })
    });
    "Jenkins' stages at once" Fine |lines| each(lines, |_, at| format!("[{}] [images] ", at.rfc3339()));
    "Jenkins' elapsed time" Fine |lines| each(lines, |_, at| format!("00:00:{:02}.{:03}  ", at.0 / 1000, at.millis()));
    "TeamCity with levels" Seconds |lines| each(lines, |number, at| format!("[{}]{}:\t [Step 1/2] ", at.clock(), if number % 3 == 0 { 'W' } else { ' ' }));
    "TeamCity's file" Seconds |lines| each(lines, |_, at| format!("[{}]i: [Docker build] ", at.clock()));
    "TeamCity's service messages" Fine |lines| written(lines, |_, at, text| format!(
        "##teamcity[message text='{}' status='NORMAL' timestamp='2026-03-01T{}.{:03}+0000']", teamcity(text), at.clock(), at.millis()));
    "Travis" Lost |lines| {
        let out = "travis_fold:start:docker.1\r\u{1b}[0Ktravis_time:start:0e1f2a3b\r\u{1b}[0K$ docker build .\n".to_owned();
        (out + &text(each(lines, |_, _| String::new())) + "travis_time:end:0e1f2a3b:start=1772359200000000000,finish=1772359230000000000,duration=30000000000,event=script\r\u{1b}[0Ktravis_fold:end:docker.1\r\u{1b}[0K\n").into_bytes()
    };
    "Travis, folds around each step" Lost |lines| written(lines, |number, _, text| if number % 6 == 0 {
        format!("travis_fold:start:s{number}\r\u{1b}[0K\u{1b}[33;1m{text}\u{1b}[0m")
    } else if number % 6 == 5 {
        format!("{text}\ntravis_fold:end:s{}\r\u{1b}[0K", number - 5)
    } else {
        text.to_owned()
    });
    "AppVeyor" Seconds |lines| each(lines, |_, at| format!("[00:00:{:02}] ", at.0 / 1000));
    "Taskcluster" Fine |lines| {
        let out = "[taskcluster 2026-03-01 09:59:59.000Z] Task ID: fN1SbArXTPSVFNUvaOlinQ\n".to_owned();
        (out + &text(each(lines, |_, at| format!("[task {}] ", at.rfc3339()))) + "[taskcluster 2026-03-01 10:00:30.000Z] === Task Finished ===\n").into_bytes()
    };
    "Zuul" Fine |lines| each(lines, |_, at| format!("2026-03-01 {}.{:03}456 | node-1 | ", at.clock(), at.millis()));
    "act" Lost |lines| each(lines, |_, _| "[CI/build]   | ".to_owned());
    "Tekton" Lost |lines| each(lines, |_, _| "[build-and-push : build] ".to_owned());
    "stern" Lost |lines| each(lines, |_, _| "\u{1b}[38;5;46mci-7f9c4\u{1b}[0m \u{1b}[38;5;46mkaniko\u{1b}[0m ".to_owned());
    "Heroku" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}456+00:00 app[build.1]: ", at.clock(), at.millis()));
    "git push" Lost |lines| written(lines, |_, _, text| format!("remote: {text}        "));
    "turbo" Lost |lines| each(lines, |_, _| "web:build: ".to_owned());
    "lerna" Lost |lines| each(lines, |_, _| "@acme/web: ".to_owned());
    "foreman" Seconds |lines| each(lines, |_, at| format!("{} web.1  | ", at.clock()));
    "pm2" Lost |lines| each(lines, |_, _| "0|web  | ".to_owned());
    "parallel --tag" Lost |lines| each(lines, |_, _| "services/web\t".to_owned());
    "make --output-sync" Lost |lines| {
        let out = "make[1]: Entering directory '/src/web'\ndocker build -t web .\n".to_owned();
        (out + &text(each(lines, |_, _| String::new())) + "make[1]: Leaving directory '/src/web'\n").into_bytes()
    };
    "GoCD" Fine |lines| each(lines, |number, at| format!("{}|{}.{:03} ", if number % 4 == 0 { "&1" } else { "pr" }, at.clock(), at.millis()));
    "Buildbot" Lost |lines| each(lines, |number, _| if number % 3 == 0 { "e".to_owned() } else { "o".to_owned() });
    "Maven" Lost |lines| each(lines, |_, _| "[INFO] ".to_owned());
    "docker-maven-plugin" Lost |lines| each(lines, |_, _| "[INFO] DOCKER> ".to_owned());
    "terraform" Lost |lines| {
        let mut out = String::from("null_resource.image: Creating...\nnull_resource.image: Provisioning with 'local-exec'...\n");
        for (number, (_, text)) in lines.iter().enumerate() {
            writeln!(out, "null_resource.image (local-exec): {text}").unwrap();
            if number % 7 == 6 {
                writeln!(out, "null_resource.image: Still creating... [{}0s elapsed]", number / 7 + 1).unwrap();
            }
        }
        out.into_bytes()
    };
    "packer" Lost |lines| each(lines, |_, _| "\u{1b}[0;32m    shell-local.image: ".to_owned());
    "pdsh" Lost |lines| each(lines, |_, _| "node-17: ".to_owned());
    "Bitbucket" Lost |lines| {
        let out = "+ umask 000\n\n+ docker build -t web .\n".to_owned();
        (out + &text(each(lines, |_, _| String::new())) + "\nBuild teardown started.\n").into_bytes()
    };
    "CodeBuild" Lost |lines| {
        let out = "[Container] 2026/03/01 09:59:59.512 Running command docker build .\n".to_owned();
        (out + &text(each(lines, |_, _| String::new())) + "\n[Container] 2026/03/01 10:00:31.003 Phase complete: BUILD State: SUCCEEDED\n").into_bytes()
    };
};
