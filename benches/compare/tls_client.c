/*
 * The TLS client of the comparison: full handshakes and nothing else, or connections that stay open.
 *
 * A connection is TCP, a full TLS 1.3 handshake (tls13.h), the request, the whole answer.
 *
 * usage: tls_client full ADDRESS PORT NAME REQUEST BODY CONNECTIONS SECONDS
 *        tls_client idle ADDRESS PORT NAME REQUEST BODY CONNECTIONS
 * NAME is the server name, REQUEST a file, BODY the length of the answer's body. `full` keeps
 * CONNECTIONS under way, closes each after its answer, and prints its totals. `idle` opens
 * CONNECTIONS, prints its totals, holds them until standard input ends, and prints how many are
 * still open. The first error ends it with exit code 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tls13.h"

enum {
    MAX_REQUEST_BYTES = 4 * 1024,
    MAX_ANSWER_BYTES = 4 * 1024,
    /* Of what is received and not a whole record yet. */
    MAX_INPUT_BYTES = 8 * 1024,
    MAX_EVENTS = 64,
    /* Few at a time, so that the proxy opens few connections to its backend while they are opened. */
    OPENING_AT_A_TIME = 8,
    /* Nothing happens for so long: the proxy is stuck. */
    SILENCE_MS = 10 * 1000,
};

enum stage { CONNECTING, SHAKING, ASKED, DONE };

struct connection {
    int fd;
    enum stage stage;
    long began_us;
    size_t have, answer_have;
    unsigned char input[MAX_INPUT_BYTES];
    char answer[MAX_ANSWER_BYTES + 1];
    struct tls tls;
};

static struct sockaddr_in server;
static const char *server_name;
static char request[MAX_REQUEST_BYTES];
static size_t request_length, body_length;
static int poller;
static int *latencies_us;
static long completed, latency_room;

static void fail(const char *what) {
    fprintf(stderr, "tls_client, after %ld connections: %s: %s\n", completed, what,
            errno ? strerror(errno) : "unexpected");
    exit(1);
}

static long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static void open_connection(struct connection *connection) {
    int on = 1;
    connection->began_us = now_us();
    connection->stage = CONNECTING;
    connection->have = connection->answer_have = 0;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) fail("socket");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(connection->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) {
        fail("connect");
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event) < 0) fail("epoll_ctl");
}

/* What is sent here always fits into the socket's buffer. */
static void send_all(struct connection *connection, const unsigned char *bytes, size_t length) {
    if (send(connection->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) fail("send");
}

static void close_connection(struct connection *connection) {
    unsigned char close_notify[2] = {1, 0}, record[64];
    send_all(connection, record, tls_seal(&connection->tls, ALERT, close_notify, sizeof close_notify, record));
    close(connection->fd);
}

static void note_latency(long us) {
    if (completed == latency_room) {
        latency_room = latency_room ? 2 * latency_room : 4096;
        latencies_us = realloc(latencies_us, (size_t)latency_room * sizeof *latencies_us);
        if (!latencies_us) fail("realloc");
    }
    latencies_us[completed++] = (int)us;
}

/* Whether the whole answer is there. A wrong one ends the program. */
static int answered(struct connection *connection) {
    connection->answer[connection->answer_have] = 0;
    char *end = strstr(connection->answer, "\r\n\r\n");
    if (!end) return 0;
    if (strncmp(connection->answer, "HTTP/1.1 200", 12) != 0) fail(strtok(connection->answer, "\r\n"));
    size_t body = connection->answer_have - (size_t)(end + 4 - connection->answer);
    if (body > body_length) fail("the answer is too long");
    return body == body_length;
}

/* Our Finished, and then the request, as a client sends them that waits for the handshake. */
static void ask(struct connection *connection) {
    unsigned char record[MAX_REQUEST_BYTES + 64];
    send_all(connection, record, tls_finish(&connection->tls, record));
    send_all(connection, record, tls_seal(&connection->tls, APPLICATION, request, request_length, record));
    connection->stage = ASKED;
}

/* Takes every whole record that was received. */
static void take_records(struct connection *connection) {
    size_t at = 0, taken, length;
    unsigned char *text;
    while ((taken = tls_take(&connection->tls, connection->input + at, connection->have - at, &text, &length)) > 0) {
        at += taken;
        if (connection->stage == SHAKING && connection->tls.finished) ask(connection);
        if (connection->answer_have + length > MAX_ANSWER_BYTES) fail("the answer is too long");
        memcpy(connection->answer + connection->answer_have, text, length);
        connection->answer_have += length;
    }
    connection->have -= at;
    memmove(connection->input, connection->input + at, connection->have);
    if (connection->stage == ASKED && answered(connection)) connection->stage = DONE;
}

/* Goes as far as the socket allows. Returns 1 when the answer is complete. */
static int drive(struct connection *connection, uint32_t events) {
    if (connection->stage == CONNECTING && events & EPOLLOUT) {
        unsigned char hello[MAX_HELLO];
        errno = 0;
        send_all(connection, hello, tls_hello(&connection->tls, server_name, hello));
        connection->stage = SHAKING;
    }
    while (connection->stage != CONNECTING && connection->stage != DONE) {
        size_t room = MAX_INPUT_BYTES - connection->have;
        if (room == 0) fail("a record is too long");
        errno = 0;
        ssize_t got = recv(connection->fd, connection->input + connection->have, room, 0);
        if (got < 0 && errno == EAGAIN) return 0;
        if (got <= 0) fail("closed before the answer");
        connection->have += (size_t)got;
        take_records(connection);
        /* Less than there was room for: the next one is announced by an event. */
        if ((size_t)got < room && connection->stage != DONE) return 0;
    }
    if (connection->stage != DONE) return 0;
    note_latency(now_us() - connection->began_us);
    return 1;
}

/* Serves what is ready; calls `finished` for each connection whose answer is complete. */
static void turn(void (*finished)(struct connection *)) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(poller, events, MAX_EVENTS, SILENCE_MS);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    errno = 0;
    if (count == 0) fail("nothing has happened for 10 s");
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (connection->stage != DONE && drive(connection, events[i].events)) finished(connection);
    }
}

static int ascending(const void *left, const void *right) {
    return *(const int *)left - *(const int *)right;
}

static void print_totals(long began_us) {
    long took_us = now_us() - began_us;
    qsort(latencies_us, (size_t)completed, sizeof *latencies_us, ascending);
    printf("SUMMARY {\"requests\":%ld,\"duration_us\":%ld,\"p50_us\":%d,\"p99_us\":%d}\n", completed, took_us,
           latencies_us[completed / 2], latencies_us[completed * 99 / 100]);
    fflush(stdout);
}

static int open_count;
static long deadline_us;

static void again(struct connection *connection) {
    close_connection(connection);
    if (now_us() < deadline_us) {
        open_connection(connection);
    } else {
        open_count--;
    }
}

static void run_full(struct connection *connections, int count, int seconds) {
    long began_us = now_us();
    deadline_us = began_us + seconds * 1000000L;
    for (int i = 0; i < count; i++) open_connection(&connections[i]);
    open_count = count;
    while (open_count > 0) turn(again);
    print_totals(began_us);
}

static struct connection *next, *end;

static void open_next(struct connection *connection) {
    (void)connection;
    if (next < end) open_connection(next++);
}

static void run_idle(struct connection *connections, int count) {
    long began_us = now_us();
    next = connections;
    end = connections + count;
    for (int i = 0; i < OPENING_AT_A_TIME; i++) open_next(NULL);
    while (completed < count) turn(open_next);
    print_totals(began_us);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    int still_open = 0;
    for (int i = 0; i < count; i++) {
        ssize_t got = recv(connections[i].fd, &byte, 1, MSG_PEEK);
        still_open += got > 0 || (got < 0 && errno == EAGAIN);
    }
    printf("OPEN %d\n", still_open);
}

static void read_request(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    request_length = fread(request, 1, sizeof request, file);
    fclose(file);
}

int main(int argc, char **argv) {
    int full = argc == 9 && strcmp(argv[1], "full") == 0;
    int idle = argc == 8 && strcmp(argv[1], "idle") == 0;
    if (!full && !idle) {
        return fprintf(stderr, "usage: tls_client full|idle ADDRESS PORT NAME REQUEST BODY CONNECTIONS [SECONDS]\n"), 2;
    }
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    if (inet_pton(AF_INET, argv[2], &server.sin_addr) != 1) fail("the address");
    server_name = argv[4];
    if (strlen(server_name) > MAX_HELLO / 2) fail("the server name");
    read_request(argv[5]);
    body_length = (size_t)atoi(argv[6]);
    int count = atoi(argv[7]);
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || poller < 0) fail("start");
    tls_prepare();
    if (full) {
        run_full(connections, count, atoi(argv[8]));
    } else {
        run_idle(connections, count);
    }
    return 0;
}
