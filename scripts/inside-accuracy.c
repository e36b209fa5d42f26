// Programs with known behaviour, for scripts/inside-accuracy. The last line of output of each reports what it did:
// its mode, its wall time and its processor time in nanoseconds.
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long clock_of(clockid_t id) {
  struct timespec time;
  clock_gettime(id, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void pause_for(double seconds) {
  struct timespec time = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
  nanosleep(&time, NULL);
}

static struct sockaddr_in place(void) {
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(4711)};
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return place;
}

int main(int count, char **arguments) {
  // What the process used before it executed this program is not this program's.
  long long begun = clock_of(CLOCK_MONOTONIC), before = clock_of(CLOCK_PROCESS_CPUTIME_ID);
  const char *mode = count > 1 ? arguments[1] : "";
  double seconds = count > 2 ? atof(arguments[2]) : 0;
  long long nanos = (long long)(seconds * 1e9);
  if (!strcmp(mode, "busy")) {
    while (clock_of(CLOCK_PROCESS_CPUTIME_ID) - before < nanos) {
    }
  } else if (!strcmp(mode, "sleep")) {
    pause_for(seconds);
  } else if (!strcmp(mode, "naps")) {
    while (clock_of(CLOCK_MONOTONIC) - begun < nanos) pause_for(0.01);
  } else if (!strcmp(mode, "parent")) {
    // A child that it does not wait for lives as long as it naps.
    if (!fork()) {
      pause_for(2 * seconds);
      _exit(0);
    }
    while (clock_of(CLOCK_MONOTONIC) - begun < nanos) pause_for(0.002);
  } else if (!strcmp(mode, "drip")) {
    // A writer whose reader waits often and briefly.
    while (clock_of(CLOCK_MONOTONIC) - begun < nanos) {
      pause_for(0.0005);
      if (write(1, "x", 1) < 0) return 1;
    }
    return 0;
  } else if (!strcmp(mode, "fsync")) {
    int file = open(arguments[3], O_CREAT | O_WRONLY | O_TRUNC, 0644);
    char block[4096] = {1};
    while (clock_of(CLOCK_MONOTONIC) - begun < nanos) {
      if (write(file, block, sizeof block) < 0 || fsync(file) < 0) return 1;
    }
  } else if (!strcmp(mode, "hold") || !strcmp(mode, "take")) {
    int file = open(arguments[3], O_CREAT | O_WRONLY, 0644);
    if (flock(file, LOCK_EX) < 0) return 1;
    pause_for(seconds);
  } else if (!strcmp(mode, "serve")) {
    int listening = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in here = place();
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listening, (struct sockaddr *)&here, sizeof here) < 0 || listen(listening, 1) < 0) return 1;
    int peer = accept(listening, NULL, NULL);
    pause_for(seconds);
    if (write(peer, "!", 1) < 0) return 1;
  } else if (!strcmp(mode, "ask")) {
    struct sockaddr_in there = place();
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    char answer;
    if (connect(peer, (struct sockaddr *)&there, sizeof there) < 0 || read(peer, &answer, 1) < 0) return 1;
  } else if (!strcmp(mode, "read")) {
    char text[64];
    while (read(0, text, sizeof text) > 0) {
    }
  } else {
    return 2;
  }
  printf("known %s %lld %lld\n", mode, clock_of(CLOCK_MONOTONIC) - begun, clock_of(CLOCK_PROCESS_CPUTIME_ID) - before);
  return 0;
}
