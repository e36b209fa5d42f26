#!/usr/bin/env bash
# Tool: yamlfix 1.19.1 (PyPI), a formatter that keeps comments; PyYAML 6.0.3 (PyPI), which reads the files.
# Expected: a formatter changes how a file looks. The file means the same before and after.
# Seen: a block of text is formatted like the YAML around it: "#define" becomes "# define", the blanks before
#   a # inside a line become two, and empty lines are removed. A block at the end of the file loses its last
#   newline. "22:22" loses its quotes, so that readers of YAML 1.1 see a number of base 60; "5432:5432" is safe
#   without them, and "yes" keeps them. Output:
#     before: ['22:22', '5432:5432'] 'cat >a.h <<END\n#define A 1\n\nint a;   #x\nEND\n'
#     after: [1342, '5432:5432'] 'cat >a.h <<END\n# define A 1\nint a;  # x\nEND\n'
# Matters: the scripts of a CI configuration and the files inside them change in a commit that formats. "#!" is
#   spared, "#SBATCH" and "#cloud-config" are not; an empty line ends the header of a message.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check yamlfix==1.19.1 pyyaml==6.0.3
cat >ci.yaml <<'YAML'
ports: ["22:22", "5432:5432"]
script: |
  cat >a.h <<END
  #define A 1

  int a;   #x
  END
image: debian
YAML
show() { env/bin/python -c 'import yaml; ci = yaml.safe_load(open("ci.yaml")); print(ci["ports"], repr(ci["script"]))'; }
got=$(echo "before: $(show)"; env/bin/yamlfix ci.yaml 2>yamlfix.log; echo "after: $(show)")
want='before: ['"'22:22', '5432:5432'] 'cat >a.h <<END\n#define A 1\n\nint a;   #x\nEND\n'"'
after: [1342, '"'5432:5432'] 'cat >a.h <<END\n# define A 1\nint a;  # x\nEND\n'"
echo "$got"; [ "$got" = "$want" ]
