/*
 * The floor of the comparison: a raw TCP forwarder with the sends and receives of a proxy and no HTTP.
 *
 * One thread, one epoll loop, one upstream connection per client connection. Per event: one recv,
 * one send. No proxy that uses epoll and ordinary sockets can be cheaper per request, unless it
 * puts several messages into one call.
 *
 * usage: floor ADDRESS PORT UPSTREAM_PORT      (the upstream is on 127.0.0.1)
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* As much as one recv takes: a small answer is one call, 64 KiB with its head are two. */
    BUFFER_BYTES = 64 * 1024,
    MAX_EVENTS = 256,
    BACKLOG = 1024,
};

/* One end of a pair: a socket, and the bytes that still have to be sent to it. */
struct end {
    int fd;
    struct end *peer;
    struct pair *pair;
    uint32_t events;
    char *unsent; /* NULL, or the block that a cut-off send left over */
    size_t unsent_offset;
    size_t unsent_length;
};

struct pair {
    struct end client;
    struct end upstream;
    int closed;
    struct pair *next_closed;
};

static char buffer[BUFFER_BYTES];
/* Freed only after a batch of events: a later event of the batch may still name the pair. */
static struct pair *closed_pairs;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void watch(int epoll, int operation, struct end *end, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = end};
    if (operation == EPOLL_CTL_MOD && end->events == events) return;
    end->events = events;
    if (epoll_ctl(epoll, operation, end->fd, &event) < 0) fail("epoll_ctl");
}

static void close_pair(struct pair *pair) {
    if (pair->closed) return;
    pair->closed = 1;
    close(pair->client.fd);
    close(pair->upstream.fd);
    pair->next_closed = closed_pairs;
    closed_pairs = pair;
}

static void free_closed_pairs(void) {
    while (closed_pairs) {
        struct pair *pair = closed_pairs;
        closed_pairs = pair->next_closed;
        free(pair->client.unsent);
        free(pair->upstream.unsent);
        free(pair);
    }
}

/* Stops reading from one end until the other has room again. */
static void hold_back(int epoll, struct end *from, struct end *to) {
    watch(epoll, EPOLL_CTL_MOD, from, from->events & ~(uint32_t)EPOLLIN);
    watch(epoll, EPOLL_CTL_MOD, to, to->events | EPOLLOUT);
}

/* Moves what one recv gives. Returns 0 if the pair has to be closed. */
static int forward(int epoll, struct end *from) {
    struct end *to = from->peer;
    ssize_t received = recv(from->fd, buffer, BUFFER_BYTES, 0);
    if (received == 0) return 0;
    if (received < 0) return errno == EAGAIN || errno == EINTR;
    ssize_t sent = send(to->fd, buffer, (size_t)received, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return 0;
    if (sent < 0) sent = 0;
    if (sent == received) return 1;
    to->unsent_length = (size_t)(received - sent);
    to->unsent_offset = 0;
    to->unsent = malloc(to->unsent_length);
    if (!to->unsent) fail("malloc");
    memcpy(to->unsent, buffer + sent, to->unsent_length);
    hold_back(epoll, from, to);
    return 1;
}

/* Sends what was left over. Returns 0 if the pair has to be closed. */
static int flush(int epoll, struct end *to) {
    ssize_t sent =
        send(to->fd, to->unsent + to->unsent_offset, to->unsent_length - to->unsent_offset, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    to->unsent_offset += (size_t)sent;
    if (to->unsent_offset < to->unsent_length) return 1;
    free(to->unsent);
    to->unsent = NULL;
    watch(epoll, EPOLL_CTL_MOD, to, to->events & ~(uint32_t)EPOLLOUT);
    watch(epoll, EPOLL_CTL_MOD, to->peer, to->peer->events | EPOLLIN);
    return 1;
}

static void serve(int epoll, struct end *end, uint32_t events) {
    int alive = 1;
    if (end->pair->closed) return;
    if ((events & EPOLLOUT) && end->unsent) alive = flush(epoll, end);
    if (alive && (events & EPOLLIN) && !end->peer->unsent) alive = forward(epoll, end);
    if (alive && (events & (EPOLLERR | EPOLLHUP)) && !(events & EPOLLIN)) alive = 0;
    if (!alive) close_pair(end->pair);
}

static void set_up_end(struct end *end, int fd, struct end *peer, struct pair *pair) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    end->fd = fd;
    end->peer = peer;
    end->pair = pair;
}

static void accept_one(int epoll, int listener, int upstream_port) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    struct sockaddr_in address = loopback(upstream_port);
    int upstream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A blocking connect: on loopback it is answered within the call. */
    if (upstream < 0 || connect(upstream, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    struct pair *pair = calloc(1, sizeof *pair);
    if (!pair) fail("calloc");
    set_up_end(&pair->client, client, &pair->upstream, pair);
    set_up_end(&pair->upstream, upstream, &pair->client, pair);
    int on = 1;
    if (ioctl(upstream, FIONBIO, &on) < 0) fail("ioctl");
    watch(epoll, EPOLL_CTL_ADD, &pair->client, EPOLLIN);
    watch(epoll, EPOLL_CTL_ADD, &pair->upstream, EPOLLIN);
}

static int listen_on(const char *ip, int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = loopback(port);
    if (inet_pton(AF_INET, ip, &address.sin_addr) != 1) fail(ip);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(fd, BACKLOG) < 0) fail("listen");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 4) return fprintf(stderr, "usage: floor ADDRESS PORT UPSTREAM_PORT\n"), 2;
    int upstream_port = atoi(argv[3]);
    int listener = listen_on(argv[1], atoi(argv[2]));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) fail("epoll_ctl");
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int count = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) {
                serve(epoll, events[i].data.ptr, events[i].events);
            } else {
                accept_one(epoll, listener, upstream_port);
            }
        }
        free_closed_pairs();
    }
}
