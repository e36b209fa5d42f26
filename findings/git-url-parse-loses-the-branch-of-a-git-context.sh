#!/usr/bin/env bash
# Tool: git-url-parse 16.1.0 (npm).
# Expected: the Git addresses that Docker takes as a build context, with
#   #ref:folder at the end, are read in each form and print as they were.
# Seen: the short form with a fragment, git@host:owner/name.git#main, is "URL
#   parsing failed"; without it, or as ssh://, the address is read. toString()
#   drops the fragment of https:// and ssh:// addresses and keeps it for git://.
#   An SSH address of Azure loses its organization: v3/org/project/repo prints as
#   project/repo.
# Matters: a tool that normalizes addresses builds the default branch, and the
#   printed Azure address does not exist.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts git-url-parse@16.1.0
cat >a.mjs <<'JS'
import parse from 'git-url-parse';
for (const text of [
  'git@git.example.com:team/app.git',
  'git@git.example.com:team/app.git#main',
  'ssh://git@git.example.com/team/app.git#main:web',
  'https://git.example.com/team/app.git#main:web',
  'git://git.example.com/team/app.git#main:web',
  'git@ssh.dev.azure.com:v3/org/project/repo',
]) {
  try {
    const address = parse(text);
    console.log(text, address.hash || '-', address.toString());
  } catch (error) {
    console.log(text, error.message);
  }
}
JS
got=$(node a.mjs)
want='git@git.example.com:team/app.git - git@git.example.com:team/app.git
git@git.example.com:team/app.git#main URL parsing failed.
ssh://git@git.example.com/team/app.git#main:web main:web git@git.example.com:team/app.git
https://git.example.com/team/app.git#main:web main:web https://git.example.com/team/app.git
git://git.example.com/team/app.git#main:web main:web git://git.example.com/team/app.git#main:web
git@ssh.dev.azure.com:v3/org/project/repo - git@ssh.dev.azure.com:project/repo'
echo "$got"; [ "$got" = "$want" ]
