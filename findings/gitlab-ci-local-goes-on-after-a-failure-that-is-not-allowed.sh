#!/usr/bin/env bash
# Tool: gitlab-ci-local 4.75.1 (npm, 2026), with Node.js 24.21.0 (npm package node) and rsync 3.5.0 (Debian 12).
# Expected: as in GitLab, `allow_failure: exit_codes: [4]` allows the exit code 4. A job that ends with 3 fails, no job of a
#   later stage runs, and the exit status is 1.
# Seen: the summary shows the job as failed, as it does without allow_failure, and 4 as a warning. But the exit status is 0,
#   and the jobs of the later stages run. Output, the summary, the exit status and whether the later stage ran:
#     exit 3, no allow_failure: FAIL, exit status 1, later stage no
#     exit 3, exit_codes: [4]: FAIL, exit status 0, later stage yes
#     exit 4, exit_codes: [4]: WARN, exit status 0, later stage yes
# Matters: a linter may end with 4 for warnings. When it ends with 3 because it could not read a file, the local pipeline
#   deploys, and a hook that looks at the exit status lets the push through, which then fails in GitLab.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download rsync=3.5.0+ds1-0+deb12u1 libpopt0=1.19+dfsg-1 >apt.log 2>&1
for package in *.deb; do dpkg --extract "$package" root; done
export PATH=$dir/root/usr/bin:$PATH LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu HOME=$dir
npm init -y >/dev/null
npm install --silent --no-audit --no-fund gitlab-ci-local@4.75.1 node@24.21.0 >npm.log
mkdir project
cd project
git init --quiet
git config user.email user@example.com
git config user.name user
git remote add origin git@gitlab.example.com:team/app.git
git commit --quiet --allow-empty --message start
try() {
  printf '%s\n' 'lint:' "  script: [exit $2]" ${3:+"  allow_failure: {$3}"} \
    'release:' '  stage: deploy' '  script: [echo released]' >.gitlab-ci.yml
  status=0
  ../node_modules/.bin/node ../node_modules/.bin/gitlab-ci-local --force-shell-executor >log 2>&1 || status=$?
  summary=$(sed 's/\x1b\[[0-9;]*m//g' log | sed -n 's/^ *\(FAIL\|WARN\|PASS\) *lint.*/\1/p')
  if grep --quiet '> *released' <(sed 's/\x1b\[[0-9;]*m//g' log); then later=yes; else later=no; fi
  echo "exit $2, $1: $summary, exit status $status, later stage $later"
}
got=$(try 'no allow_failure' 3 ''; try 'exit_codes: [4]' 3 'exit_codes: [4]'; try 'exit_codes: [4]' 4 'exit_codes: [4]')
want='exit 3, no allow_failure: FAIL, exit status 1, later stage no
exit 3, exit_codes: [4]: FAIL, exit status 0, later stage yes
exit 4, exit_codes: [4]: WARN, exit status 0, later stage yes'
echo "$got"; [ "$got" = "$want" ]
