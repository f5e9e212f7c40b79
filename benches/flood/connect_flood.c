/*
 * Begins TCP connections at a fixed rate, for a fixed time, and drops each after a while.
 *
 * usage: connect_flood DESTINATION PORT CONNECTIONS_PER_SECOND SECONDS
 *
 * A connection is given up when its place in the ring is needed again, whatever has become of it.
 * Whoever answers has to do all that a connection takes; whoever is silent costs a SYN. Prints how
 * many were begun, and how many of them had an answer by then.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pace.h"

enum {
    RING = 2048,
    /* Connections between two looks at the clock. */
    BATCH = 8,
};

/* Whether the other side has said anything: a connection, or RST. A handshake that is still to be
 * answered says ENOTCONN or EAGAIN, by the moment. */
static int was_answered(int fd) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int error = 0;
    socklen_t error_length = sizeof error;
    if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0) return 1;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_length) == 0 &&
           (error == ECONNRESET || error == ECONNREFUSED);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: connect_flood DESTINATION PORT CONNECTIONS_PER_SECOND SECONDS\n");
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    double rate = atof(argv[3]), seconds = atof(argv[4]);
    if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1 || rate < 1) {
        fprintf(stderr, "connect_flood: an argument is not what it should be\n");
        return 2;
    }
    struct rlimit files = {.rlim_cur = RING + 64, .rlim_max = RING + 64};
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < files.rlim_cur) {
        files.rlim_max = now.rlim_max > files.rlim_max ? now.rlim_max : files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) < 0) fail("setrlimit");
    }
    int ring[RING];
    for (int i = 0; i < RING; i++) ring[i] = -1;
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), begun = 0, answered = 0;
    /* Closing sends RST and leaves nothing behind. */
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    while (now_ns() < end) {
        wait_until(begin + (uint64_t)((double)begun * 1e9 / rate));
        for (int i = 0; i < BATCH; i++, begun++) {
            int *place = &ring[begun % RING];
            if (*place >= 0) {
                answered += (uint64_t)was_answered(*place);
                close(*place);
            }
            *place = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            if (*place < 0) fail("socket");
            setsockopt(*place, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            if (connect(*place, (struct sockaddr *)&address, sizeof address) < 0 &&
                errno != EINPROGRESS && errno != EADDRNOTAVAIL) fail("connect");
        }
    }
    double took = (double)(now_ns() - begin) / 1e9;
    for (int i = 0; i < RING; i++) {
        if (ring[i] >= 0) answered += (uint64_t)was_answered(ring[i]);
    }
    printf("{\"sent\": %llu, \"seconds\": %.3f, \"answered\": %llu}\n", (unsigned long long)begun, took,
           (unsigned long long)answered);
    return 0;
}
