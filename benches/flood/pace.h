/* What both floods keep their rate by, and how they give up. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void wait_until(uint64_t at_ns) {
    uint64_t now = now_ns();
    if (now >= at_ns) return;
    struct timespec rest = {.tv_sec = (time_t)((at_ns - now) / 1000000000u),
                            .tv_nsec = (long)((at_ns - now) % 1000000000u)};
    nanosleep(&rest, NULL);
}
