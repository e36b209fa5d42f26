//! The base images of the cases, as OCI layouts. They are written with the `tar` crate, so that an error of the
//! builder's own writer does not affect the expected trees.

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use tar::EntryType;

const MTIME: u64 = 1_500_000_000;
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nwheel:x:10:root\nmail:x:8:\n\
                     www-data:x:33:\noperator:x:37:\nusers:x:100:\nnogroup:x:65534:\n";

/// Writes the layout of a base image.
pub(crate) fn write(name: &str, layout: &Path) {
    let busybox = Layer { bytes: busybox(), gzip: true };
    let (layers, config) = match name {
        "busybox" => (vec![busybox], json!({ "Env": [PATH], "Cmd": ["sh"] })),
        "parent" => {
            let [first, second] = parent();
            let config = json!({
                "Env": [PATH, "PARENT=yes", "CHAIN=a"], "Cmd": ["parent-cmd"], "Entrypoint": ["/bin/echo", "parent"],
                "WorkingDir": "/opt", "User": "bin:mail", "ExposedPorts": {"8080/tcp": {}}, "Volumes": {"/data": {}},
                "Labels": {"kit.parent": "yes", "kit.over": "parent"}, "StopSignal": "SIGUSR1", "Shell": ["/bin/sh", "-ec"],
                "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000_u64, "Retries": 4},
            });
            (vec![busybox, Layer { bytes: first, gzip: true }, Layer { bytes: second, gzip: false }], config)
        }
        "onbuild" => {
            let triggers = json!([
                "ENV FROM_ONBUILD=1",
                "RUN mkdir /opt && echo triggered > /opt/triggered && touch -d @1500000001 /opt/triggered",
                "COPY fr* /opt/",
            ]);
            (vec![busybox], json!({ "Env": [PATH], "Cmd": ["sh"], "OnBuild": triggers }))
        }
        other => panic!("unknown base {other}"),
    };
    write_layout(layout, &layers, &config);
}

struct Layer {
    bytes: Vec<u8>,
    gzip: bool,
}

/// A busybox with every applet as a hard link, and the files of a small distribution.
fn busybox() -> Vec<u8> {
    let program = buildscope_testing::program("busybox").unwrap();
    let list = Command::new(&program).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let mut applets: Vec<&str> = list.lines().filter(|applet| !applet.contains('/')).chain(["busybox"]).collect();
    applets.sort_unstable();
    applets.dedup();
    let mut tar = Tar::new();
    tar.directory("bin", 0o755);
    tar.file(&format!("bin/{}", applets[0]), 0o755, &fs::read(program).unwrap());
    for applet in &applets[1..] {
        tar.hard_link(&format!("bin/{applet}"), 0o755, &format!("bin/{}", applets[0]));
    }
    for name in ["dev", "etc"] {
        tar.directory(name, 0o755);
    }
    tar.file("etc/group", 0o644, GROUP.as_bytes());
    tar.file("etc/nsswitch.conf", 0o644, b"passwd: files\ngroup: files\nhosts: files dns\n");
    tar.file("etc/os-release", 0o644, b"NAME=\"Kit\"\nID=kit-busybox\nVERSION_ID=1\n");
    tar.file("etc/passwd", 0o644, PASSWD.as_bytes());
    for (name, mode) in [
        ("home", 0o755),
        ("proc", 0o755),
        ("root", 0o700),
        ("sys", 0o755),
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("usr/bin", 0o755),
        ("usr/sbin", 0o755),
        ("usr/local", 0o755),
        ("usr/local/bin", 0o755),
        ("var", 0o755),
        ("var/spool", 0o755),
        ("var/spool/mail", 0o755),
        ("var/tmp", 0o1777),
    ] {
        tar.directory(name, mode);
    }
    tar.finish()
}

/// Two layers over a busybox: files, and then whiteouts and an opaque directory.
fn parent() -> [Vec<u8>; 2] {
    let mut first = Tar::new();
    first.directory("opt", 0o755);
    first.directory("opt/gone", 0o755);
    first.file("opt/gone/file", 0o644, b"gone\n");
    first.directory("opt/opaque", 0o750);
    first.file("opt/opaque/old", 0o644, b"old\n");
    first.file("opt/keep", 0o644, b"keep\n");
    first.hard_link("opt/keep-link", 0o644, "opt/keep");
    first.file("opt/victim", 0o644, b"victim\n");
    let mut suid = Tar::header(EntryType::Regular, 0o4755);
    suid.set_uid(1);
    suid.set_gid(2);
    first.add("opt/suid", suid, b"suid\n");
    let mut second = Tar::new();
    second.directory("opt", 0o755);
    second.file("opt/.wh.gone", 0, b"");
    second.file("opt/.wh.victim", 0, b"");
    second.directory("opt/opaque", 0o755);
    second.file("opt/opaque/.wh..wh..opq", 0, b"");
    second.file("opt/opaque/new", 0o644, b"new\n");
    [first.finish(), second.finish()]
}

struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn header(kind: EntryType, mode: u32) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MTIME);
        header
    }

    fn add(&mut self, name: &str, mut header: tar::Header, content: &[u8]) {
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, name, content).unwrap();
    }

    fn directory(&mut self, name: &str, mode: u32) {
        self.add(&format!("{name}/"), Self::header(EntryType::Directory, mode), &[]);
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.add(name, Self::header(EntryType::Regular, mode), content);
    }

    fn hard_link(&mut self, name: &str, mode: u32, to: &str) {
        let mut header = Self::header(EntryType::Link, mode);
        header.set_link_name(to).unwrap();
        self.add(name, header, &[]);
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn write_layout(layout: &Path, layers: &[Layer], config: &Value) {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |kind: &str, bytes: &[u8]| {
        let digest = buildscope_record::Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    };
    let described = layers.iter().map(|layer| {
        if !layer.gzip {
            return blob("layer.v1.tar", &layer.bytes);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&layer.bytes).unwrap();
        blob("layer.v1.tar+gzip", &encoder.finish().unwrap())
    });
    let described: Vec<Value> = described.collect();
    let ids = layers.iter().map(|layer| buildscope_record::Digest::of(&layer.bytes).to_string());
    let history = json!({ "created": "2017-07-14T02:40:00Z", "created_by": "base" });
    let config = json!({
        "created": "2017-07-14T02:40:00Z", "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": { "type": "layers", "diff_ids": ids.collect::<Vec<_>>() }, "history": vec![history; layers.len()],
    });
    let config = blob("config.v1+json", config.to_string().as_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": described });
    let mut descriptor = blob("manifest.v1+json", manifest.to_string().as_bytes());
    descriptor["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [descriptor],
    });
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
}
