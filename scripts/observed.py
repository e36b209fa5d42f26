"""The ways in which processes inside steps are observed, for the scripts that measure how right the account is."""
import ctypes, errno, json, os, pwd, shutil, struct, subprocess, sys
from samples import BINARY, explained

# What a mode adds to the build. An ordinary user and a build without perf events need root to be set up.
MODES = {
    "root": [], "crun": ["--executor", "crun"], "runc": ["--executor", "runc"], "sampled": [], "user": [], "user sampled": [],
}
USER = "buildscope-inside"
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}


def wanted(names):
    """The modes of these names; without names all that this user and this machine can run."""
    usable = [mode for mode in MODES if mode not in ("crun", "runc") or shutil.which(mode)]
    unknown = set(names) - set(MODES)
    if unknown:
        sys.exit(f"unknown modes: {', '.join(sorted(unknown))}; known: {', '.join(MODES)}")
    return list(names) or (usable if os.getuid() == 0 else ["user"])


def without_perf_events():
    """Lets perf_event_open(2) fail with EACCES from now on, as `perf_event_paranoid` 3 does (seccomp(2), a filter of classic BPF)."""
    load, equal, end = 0x20, 0x15, 0x06
    number, refuse, allow = PERF_EVENT_OPEN[os.uname().machine], 0x00050000 | errno.EACCES, 0x7fff0000
    lines = [(load, 0, 0, 0), (equal, 0, 1, number), (end, 0, 0, refuse), (end, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


class World:
    """A context, and what each mode builds it with. Everything is below `place`, which it makes readable for an ordinary user."""

    def __init__(self, place, modes):
        self.place, self.user = place, None
        place.chmod(0o755)
        self.binary = place / "buildscope"
        shutil.copy(BINARY, self.binary)
        self.binary.chmod(0o755)
        if os.getuid() == 0 and any("user" in mode for mode in modes):
            subprocess.run(["useradd", "--create-home", USER], check=True)
            self.user = pwd.getpwnam(USER)

    def build(self, mode, arguments=()):
        """Builds the context. Returns the record and the explanation."""
        home = self.place / mode.replace(" ", "-")
        home.mkdir()
        record = home / "record.json"
        command = [self.binary, "build", "--quiet", "--no-cache", "--network", "none", "--root", home / "store", "--record", record]
        command += [*MODES[mode], *arguments, self.place / "context"]
        if self.user and "user" in mode:
            os.chown(home, self.user.pw_uid, self.user.pw_gid)
            as_user = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "env", f"HOME={home}", f"TMPDIR={home}"]
            command = [*as_user, *command]
        before = without_perf_events if "sampled" in mode else None
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, preexec_fn=before, cwd="/")
        found = json.loads(record.read_text()), explained(record)
        shutil.rmtree(home)
        return found

    def close(self):
        if self.user:
            subprocess.run(["userdel", "--remove", USER], stderr=subprocess.DEVNULL)
