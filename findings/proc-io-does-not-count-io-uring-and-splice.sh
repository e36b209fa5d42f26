#!/usr/bin/env bash
# Tool: Linux 6.18, rchar and wchar of /proc/PID/io (needs gcc and io_uring).
# Expected: the characters that a process reads and writes "with read(2), write(2) and
#   similar system calls", as the manual page says, whichever call moves them.
# Seen: sendfile and copy_file_range are counted on both sides; splice and io_uring on
#   none. Only write_bytes, the bytes for a disk, has what they wrote. Output, in MiB, of
#   copies of 8 MiB:
#     read and write: rchar 8 wchar 8
#     copy_file_range: rchar 8 wchar 8
#     sendfile: rchar 8 wchar 8
#     splice: rchar 0 wchar 0
#     io_uring: rchar 0 wchar 0
# Matters: a step whose tools copy with splice or io_uring seems to read and write
#   nothing, and an update of a runtime that starts to use them changes the numbers of a
#   build that does the same work.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cat >a.c <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE (8L << 20)

static int in, out;
static char *data;

static void counts(long *values) {
    char line[100];
    FILE *file = fopen("/proc/self/io", "r");
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "rchar: %ld", &values[0]);
        sscanf(line, "wchar: %ld", &values[1]);
    }
    fclose(file);
}

static void check(long done, const char *what) {
    if (done <= 0) { perror(what); exit(2); }
}

static void plain(void) {
    check(pread(in, data, SIZE, 0) == SIZE, "read");
    check(pwrite(out, data, SIZE, 0) == SIZE, "write");
}

static void copy_range(void) {
    loff_t from = 0, to = 0;
    while (to < SIZE) check(copy_file_range(in, &from, out, &to, SIZE - to, 0), "copy_file_range");
}

static void send_file(void) {
    off_t from = 0;
    while (from < SIZE) check(sendfile(out, in, &from, SIZE - from), "sendfile");
}

static void splice_pipe(void) {
    int pipes[2];
    loff_t from = 0, to = 0;
    check(pipe(pipes) == 0, "pipe");
    while (to < SIZE) {
        check(splice(in, &from, pipes[1], NULL, 65536, 0), "splice");
        while (to < from) check(splice(pipes[0], NULL, out, &to, from - to, 0), "splice");
    }
}

static void ring(void) {
    struct io_uring_params params = {0};
    int fd = syscall(SYS_io_uring_setup, 2, &params);
    check(fd + 1, "io_uring_setup");
    int access = PROT_READ | PROT_WRITE;
    char *sq = mmap(0, params.sq_off.array + params.sq_entries * 4, access, MAP_SHARED, fd, IORING_OFF_SQ_RING);
    char *cq = mmap(0, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), access, MAP_SHARED, fd, IORING_OFF_CQ_RING);
    struct io_uring_sqe *entries = mmap(0, params.sq_entries * sizeof *entries, access, MAP_SHARED, fd, IORING_OFF_SQES);
    struct io_uring_cqe *results = (void *)(cq + params.cq_off.cqes);
    for (unsigned i = 0; i < 2; i++) {
        memset(&entries[i], 0, sizeof *entries);
        entries[i].opcode = i ? IORING_OP_WRITE : IORING_OP_READ;
        entries[i].fd = i ? out : in;
        entries[i].addr = (unsigned long)data;
        entries[i].len = SIZE;
        ((unsigned *)(sq + params.sq_off.array))[i] = i;
        __atomic_store_n((unsigned *)(sq + params.sq_off.tail), i + 1, __ATOMIC_RELEASE);
        check(syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), "io_uring_enter");
        check(results[i].res == SIZE, "io_uring");
        __atomic_store_n((unsigned *)(cq + params.cq_off.head), i + 1, __ATOMIC_RELEASE);
    }
}

static void measure(const char *name, void (*copy)(void)) {
    long before[2], after[2];
    out = open("out", O_CREAT | O_TRUNC | O_RDWR, 0600);
    counts(before); copy(); counts(after);
    printf("%s: rchar %ld wchar %ld\n", name, (after[0] - before[0]) >> 20, (after[1] - before[1]) >> 20);
    close(out);
}

int main(void) {
    data = malloc(SIZE); memset(data, 1, SIZE);
    in = open("in", O_CREAT | O_RDWR, 0600);
    check(pwrite(in, data, SIZE, 0) == SIZE, "write");
    measure("read and write", plain);
    measure("copy_file_range", copy_range);
    measure("sendfile", send_file);
    measure("splice", splice_pipe);
    measure("io_uring", ring);
}
C
gcc -O1 -o a a.c
got=$(./a)
want='read and write: rchar 8 wchar 8
copy_file_range: rchar 8 wchar 8
sendfile: rchar 8 wchar 8
splice: rchar 0 wchar 0
io_uring: rchar 0 wchar 0'
echo "$got"; [ "$got" = "$want" ]
