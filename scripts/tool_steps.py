"""Steps of real tools, and what each tool says itself of what it did: its own log with times, or what it made."""
import json, re
from datetime import datetime


def seconds(text):
    return datetime.fromisoformat(text.replace(",", ".")).timestamp()


def union(spans):
    """How long at least one of these intervals lasts."""
    total, until = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


# What a tool says: by activity, seconds in which something did it, and how many processes did.

def dpkg(at):
    """`dpkg.log` says when archives begin to be unpacked and packages to be configured, in whole seconds."""
    kinds, found, begun = {"archives": "unpack", "packages": "package scripts"}, {}, None
    lines = [line.split() for line in (at / "dpkg.log").read_text().splitlines()]
    for day, time, what, *words in lines:
        now = seconds(f"{day} {time}")
        if what == "startup":
            if begun:
                found[begun[0]] = found.get(begun[0], 0) + now - begun[1]
            begun = (kinds[words[0]], now)
    found[begun[0]] = found.get(begun[0], 0) + now - begun[1]
    return {kind: (length, None) for kind, length in found.items()}


def pip(at):
    """`pip install --log`: each line has its time. What is compiled is a line of gcc."""
    lines = [(seconds(line[:23]), line[23:]) for line in (at / "pip.log").read_text().splitlines() if re.match(r"\d{4}-\d\d-\d\dT", line)]
    first = lambda text, after=0: next((time for time, line in lines if text in line and time >= after), None)
    begin, installing, done = first("Collecting "), first("Installing collected packages"), first("Successfully installed")
    found = {"unpack": (done - installing, None)}
    units = sum(" -c " in line and "gcc" in line.split(" -c ")[0] for _, line in lines)
    if units:
        found["compile"] = (None, units)
    else:
        found["download"] = (installing - begin, None)
    return found


def ninja(at):
    """`.ninja_log`: start and end of each edge in milliseconds."""
    edges = [line.split("\t") for line in (at / "ninja_log").read_text().splitlines()[1:]]
    times = lambda objects: [(int(start) / 1e3, int(end) / 1e3) for start, end, _, output, _ in edges if output.endswith(".o") == objects]
    return {"compile": (union(times(True)), len(times(True))), "link": (union(times(False)), None)}


def cargo(at):
    """`cargo build --timings`: start and length of each unit."""
    units = json.loads(re.search(r"UNIT_DATA = (\[.*?\]);\n", (at / "timings.html").read_text(), re.S)[1])
    runs = [unit for unit in units if "run" in unit["mode"] or "(run)" in unit.get("target", "")]
    rest = [unit for unit in units if unit not in runs]
    span = lambda unit: (unit["start"], unit["start"] + unit["duration"])
    return {"compile": (union(map(span, rest)), len(rest)), "configure": (None, len(runs))}


def go(at):
    """`-debug-actiongraph` of `go build` and `go test`: start and end of each action."""
    actions = [one for name in ("build", "test") for one in json.loads((at / f"{name}.json").read_text()) if one.get("Cmd")]
    moment = lambda text: datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00")).timestamp()
    span = lambda one: (moment(one["TimeStart"]), moment(one["TimeDone"]))
    of = lambda mode: [one for one in actions if one["Mode"] == mode]
    return {"compile": (union(map(span, of("build"))), None), "link": (union(map(span, of("link"))), len(of("link")))}


def stamped(marks, interrupted=None):
    """Lines with the time before them: what is between one of these patterns and the next is of its kind. `interrupted` has a kind, and the
    patterns of its first and last line: it interrupts another kind, which continues after it."""
    def read(at):
        found, begun, inside = {}, None, None
        add = lambda kind, length: found.update({kind: found.get(kind, 0) + length})
        for line in (at / "stamped").read_text().splitlines():
            time, _, text = line.partition(" ")
            time = float(time)
            kind = next((kind for pattern, kind in marks if re.search(pattern, text)), None)
            if interrupted and begun and re.search(interrupted[1], text) and inside is None:
                add(begun[0], time - begun[1])
                inside = time
            elif inside is not None and re.search(interrupted[2], text):
                add(interrupted[0], time - inside)
                begun, inside = (begun[0], time), None
            elif kind is not None:
                if begun and inside is None:
                    add(begun[0], time - begun[1])
                begun, inside = (kind, time), None
        return {kind: (length, None) for kind, length in found.items() if kind != "-"}
    return read


def made(**kinds):
    """The number of files of a kind that are left: of objects, how many units were compiled."""
    def read(at):
        files = (at / "files").read_text().split()
        return {kind.replace("_", " "): (None, sum(bool(re.search(pattern, file)) for file in files)) for kind, pattern in kinds.items()}
    return read


def has(*kinds):
    """The tool says nothing of its times: these phases have to be there."""
    return lambda at: {kind: (None, None) for kind in kinds}


MAVEN = stamped([(r"Scanning for", "-"), (r"--- .*resources", "-"), (r"--- .*compiler.*[cC]ompile", "compile"), (r"--- .*surefire", "test"), (r"--- .*jar", "pack"), (r"BUILD|Total time", "-")],
                interrupted=("download", "Downloading from", "Downloaded from"))
STAMP = r"""#!/bin/bash
# Passes lines on, and writes them with their times.
while IFS= read -r line; do echo "$EPOCHREALTIME $line" >> /truth/stamped; echo "$line"; done
"""


def units(count, functions):
    """C sources that take a compiler about a second each."""
    text = lambda number: "".join(f"int f{number}_{k}(int x) {{ return x * {k} + f{number}_{k - 1}(x ^ {k}); }}\n" if k else f"int f{number}_0(int x) {{ return x; }}\n"
                                  for k in range(functions))
    return {f"part{number}.c": text(number) for number in range(count)}


SOURCES = units(20, 300)
MAIN = {"main.c": "int main(void) { return 0; }\n"}
CMAKE = {"CMakeLists.txt": "cmake_minimum_required(VERSION 3.20)\nproject(app C)\nset(CMAKE_C_FLAGS -O2)\nfile(GLOB parts part*.c)\nadd_library(parts STATIC ${parts})\nadd_executable(app main.c)\ntarget_link_libraries(app parts)\n"
                           "enable_testing()\nadd_test(NAME runs COMMAND sleep 1)\n"}
MAKE = {"Makefile": "all: app\napp: main.o sub/lib.a\n\tgcc -o app main.o sub/lib.a\nmain.o: main.c\n\tgcc -c main.c\nsub/lib.a:\n\t$(MAKE) -C sub\ntest: all\n\t./app\n",
        "sub/Makefile": "lib.a: $(patsubst %.c,%.o,$(wildcard *.c))\n\tar rc $@ $^\n%.o: %.c\n\tgcc -O2 -c -o $@ $<\n"}
PACKAGE = {
    "package.json": json.dumps({"name": "app", "version": "1.0.0", "license": "MIT", "private": True, "scripts": {"build": "tsc -p .", "test": "mocha test.js"},
                                "dependencies": {"lodash": "4.17.21", "esbuild": "0.21.5", "express": "4.19.2"}, "devDependencies": {"typescript": "5.4.5", "mocha": "10.4.0"}}, indent=2) + "\n",
    "tsconfig.json": '{"compilerOptions": {"outDir": "out", "strict": true, "skipLibCheck": true, "types": []}, "files": ["src.ts"]}\n',
    "src.ts": "export const words = (text: string): string[] => text.split(' ')\n",
    "test.js": "it('waits', done => { setTimeout(done, 1200) })\n",
}
PYTHON = {"requirements.txt": "flask==3.0.3\nrequests==2.32.3\nnumpy==1.26.4\npandas==2.2.2\n",
          "pyproject.toml": '[project]\nname = "app"\nversion = "1"\ndescription = ""\nauthors = [{name = "a"}]\nrequires-python = ">=3.11,<4"\ndependencies = ["flask==3.0.3", "numpy==1.26.4", "pandas==2.2.2"]\n\n[tool.poetry]\npackage-mode = false\n'}
# The lock file of poetry is made for all versions of Python that it allows.
POETRY = {"pyproject.toml": PYTHON["pyproject.toml"].replace(">=3.11,<4", ">=3.11,<3.12").replace(', "pandas==2.2.2"', "")}
RUST = {"Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\nserde = { version = "1", features = ["derive"] }\nserde_json = "1"\nregex = "1"\n',
        "src/main.rs": 'fn main() { println!("{}", serde_json::json!({"ok": regex::Regex::new("a").unwrap().is_match("a")})) }\n#[test]\nfn waits() { std::thread::sleep(std::time::Duration::from_millis(1200)) }\n'}
GO = {"go.mod": "module example.com/app\n\ngo 1.19\n\nrequire example.com/hello v1.0.0\n",
      "main.go": 'package main\n\nimport (\n\t"fmt"\n\t"net/http"\n\n\t"example.com/hello"\n)\n\nfunc main() { fmt.Println(hello.Text(), http.StatusOK) }\n',
      "main_test.go": 'package main\n\nimport (\n\t"testing"\n\t"time"\n)\n\nfunc TestWaits(t *testing.T) { time.Sleep(1200 * time.Millisecond) }\n'}
CLASSES = {f"src/main/java/A{number}.java": f"public class A{number} {{" + "".join(f" public int m{k}(int x) {{ return x * {k}; }}" for k in range(400)) + " }\n" for number in range(60)}
TEST_CLASS = {"src/test/java/WaitsTest.java": "public class WaitsTest { @org.junit.Test public void waits() throws Exception { Thread.sleep(1500); } }\n"}
POM = {"pom.xml": """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>app</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target></properties>
<dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version><scope>test</scope></dependency></dependencies></project>
"""}
GRADLE = {"build.gradle": "apply plugin: 'java'\ndependencies { testCompile files('/usr/share/java/junit4.jar', '/usr/share/java/hamcrest-core.jar') }\n"}
STAMPER = {"stamp": STAMP}


class Tool:
    """A step: its base image, how the tool says its version, what is run before, the measured command, what is kept of it, and what that says."""

    def __init__(self, base, version, command, says, files=(), before="true", after="true"):
        self.base, self.version, self.command, self.says = base, version, command, says
        self.files, self.before, self.after = dict(files), before, after

    def dockerfile(self):
        return (f"FROM {self.base}\nWORKDIR /app\nCOPY . .\nRUN mkdir /truth && ({self.version}) > /truth/version\nRUN {self.before}\n"
                f"RUN {self.command}\nRUN {self.after}\nFROM scratch\nCOPY --from=0 /truth /\n")


def find(kind):
    return f"find . /root/.cache -name '{kind}' > /truth/files 2> /dev/null || true"


APT = "apt-get update && apt-get install -y --no-install-recommends"
TOOLS = {
    "apt-get": Tool("debian", "apt-get --version", f"{APT} gcc make libc6-dev", dpkg, before=": > /var/log/dpkg.log", after="cp /var/log/dpkg.log /truth"),
    "pip, wheels": Tool("python-c", "pip --version", "pip install --no-cache-dir --log /truth/pip.log -r requirements.txt", pip, PYTHON),
    "pip, C modules": Tool("python-c", "pip --version", "pip install --no-cache-dir --no-binary :all: --no-build-isolation --no-deps --log /truth/pip.log markupsafe==2.1.5 ujson==5.9.0 regex==2024.5.15", pip, PYTHON,
                           before="pip install setuptools-scm"),
    "uv": Tool("python-c", "uv --version", "uv venv && uv pip install --no-cache -r requirements.txt", has("download", "unpack", "configure"), PYTHON),
    "poetry": Tool("python-c", "poetry --version", "poetry install --no-root --no-interaction", has("network", "unpack"), POETRY, before="poetry lock"),
    "npm": Tool("javascript", "npm --version", "npm ci && npm run build && npm test", has("network", "unpack", "package scripts", "compile", "test"), PACKAGE,
                before="npm install --package-lock-only && rm -rf /root/.npm"),
    "yarn classic": Tool("javascript", "yarn --version", "yarn install && yarn build && yarn test", has("download", "unpack", "package scripts", "compile", "test"), PACKAGE),
    "yarn berry": Tool("javascript", "node /berry/node_modules/.bin/yarn --version", "node /berry/node_modules/.bin/yarn install && node /berry/node_modules/.bin/yarn build",
                       has("download", "unpack", "compile"), PACKAGE | {".yarnrc.yml": "nodeLinker: node-modules\nenableImmutableInstalls: false\nhttpsCaFilePath: /etc/ssl/certs/ca-certificates.crt\n"}),
    "pnpm": Tool("javascript", "pnpm --version", "pnpm install && pnpm run build && pnpm test", has("download", "unpack", "package scripts", "compile", "test"), PACKAGE),
    "bun": Tool("javascript", "bun --version", "bun install && bun run build", has("network", "unpack", "compile"), PACKAGE),
    "cargo": Tool("rust", "cargo --version", "cargo build --timings", cargo, RUST, after="cp target/cargo-timings/cargo-timing.html /truth/timings.html"),
    "go": Tool("go", "go version", "go build -debug-actiongraph=/truth/build.json -o app . && CGO_ENABLED=0 go test -debug-actiongraph=/truth/test.json", go, GO, before="go mod tidy"),
    "maven": Tool("jvm", "mvn --version", "mvn -B package | ./stamp", MAVEN, CLASSES | TEST_CLASS | POM | STAMPER, before="chmod +x stamp"),
    "gradle": Tool("jvm", "gradle --version", "gradle --offline --no-daemon build | ./stamp", has("compile", "test", "pack"), CLASSES | TEST_CLASS | GRADLE | STAMPER, before="chmod +x stamp"),
    "cmake, ninja, ctest": Tool("native", "cmake --version && ninja --version", "cmake -G Ninja -B out && cmake --build out && ctest --test-dir out", ninja, SOURCES | MAIN | CMAKE, after="cp out/.ninja_log /truth/ninja_log"),
    "make with recursion": Tool("native", "make --version", "make -j2 all && make test", made(compile=r"\.o$"), {f"sub/{name}": text for name, text in SOURCES.items()} | MAIN | MAKE, after=find("*.o")),
    "dpkg-buildpackage": Tool("native", "dpkg-buildpackage --version", "cd hello-* && DEB_BUILD_OPTIONS=parallel=2 dpkg-buildpackage -b -us -uc", made(compile=r"\.o$"),
                              before="sed 's/^deb /deb-src /; s/^Types: deb/Types: deb-src/' /etc/apt/sources.list > /etc/apt/sources.list.d/src.list; apt-get update && apt-get build-dep -y hello && apt-get source hello", after=find("*.o")),
    "git": Tool("native", "git --version", "git clone file:///repository clone", has("unpack"),
                before="git init -q /repository && cd /repository && for i in $(seq 3000); do seq $i $((i+400)) > f$i; done && git add . && git -c user.name=a -c user.email=a@example.com commit -qm files"),
    "tar, xz, unzip": Tool("native", "tar --version && xz --version && unzip -v", "tar xf a.tar.xz -C / && unzip -q -o a.zip -d / && tar xzf a.tgz -C /", has("unpack"),
                           before="tar cJf a.tar.xz /usr/lib/gcc /usr/lib/git-core && tar czf a.tgz /usr/lib/gcc && zip -qr a.zip /usr/share"),
}
