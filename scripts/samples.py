"""What the studies share: the binaries, the seed, times, intervals over samples, tables in Markdown, explanations, a registry."""
import json, os, random, shutil, socket, statistics, subprocess, sys, time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
TARGET = HERE / os.environ.get("CARGO_TARGET_DIR", "target")
BINARY = os.environ.get("BUILDSCOPE", str(TARGET / "release/buildscope"))
SEED = 20261125
DRAWS = 2000


def before_and_after(place, before):
    """Copies of the binary to compare with and of ours, so that a build of either does not change what is measured."""
    binaries = {"before": place / "before", "after": place / "after"}
    for label, source in [("before", before), ("after", BINARY)]:
        shutil.copy(source, binaries[label])
    return binaries


def milliseconds(*command):
    """The wall time of a command in milliseconds, from the start of its process to its end."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - started)


def explained(record, binary=BINARY):
    """The explanation of a record."""
    said = subprocess.run([binary, "explain", "--format", "json", record], check=True, capture_output=True, text=True)
    return json.loads(said.stdout)


def machine():
    """The processors and the load of this machine, for the line below a table."""
    return f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}"


def interval(values, of=statistics.median):
    """`of` the values, and its 95 % interval by the percentile bootstrap. The seed is fixed."""
    dice = random.Random(1)
    drawn = sorted(of([values[dice.randrange(len(values))] for _ in values]) for _ in range(DRAWS))
    return of(values), drawn[DRAWS // 40], drawn[DRAWS - DRAWS // 40 - 1]


def table(head, lines):
    """Prints a Markdown table, or nothing if there are no lines."""
    if not lines:
        return
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def registry(place):
    """Starts a registry. Returns its process and port."""
    port, config = free_port(), place / "registry.yml"
    config.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {place}/registry}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\nlog: {{level: error}}\n")
    process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, port
        except OSError:
            time.sleep(0.05)
    sys.exit("the registry does not start")


def ahead():
    """Puts this session before all other work of the machine, if it may (sched(7), "The autogroup feature"): other programs get the
    processors only where ours leave them idle."""
    try:
        Path("/proc/self/autogroup").write_text("-19")
    except OSError:
        pass
