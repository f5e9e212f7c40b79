/*
 * The backend of the comparison: one thread, one epoll loop, three fixed answers.
 *
 * Every request without a body costs the same: one epoll event, one recv, one send. A body is as long as its
 * Content-Length says; it is read and thrown away before the answer. Requests that arrive together are answered
 * one after the other, so pipelining is safe. A path that begins with /64k gets 64 KiB, one that begins with /1m
 * 1 MiB, every other path 128 bytes.
 *
 * usage: backend PORT      (listens on 127.0.0.1)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SMALL_BODY_BYTES = 128,
    LARGE_BODY_BYTES = 64 * 1024,
    HUGE_BODY_BYTES = 1024 * 1024,
    /* A request head is about 600 B after a proxy has added its fields; longer ones are refused. The room is for
     * pieces of bodies. */
    MAX_HEAD_BYTES = 64 * 1024,
    MAX_EVENTS = 256,
    BACKLOG = 1024,
};

struct answer {
    char *bytes;
    size_t length;
};

struct connection {
    int fd;
    int waits_for_room; /* EPOLLOUT is armed, because a send was cut short */
    const char *unsent;
    size_t unsent_length;
    size_t have;
    size_t body_left; /* of the body that is read, before `next` is sent */
    const struct answer *next;
    char head[MAX_HEAD_BYTES];
};

static struct answer small_answer, large_answer, huge_answer;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct answer make_answer(size_t body_bytes) {
    char head[512];
    int head_length = snprintf(head, sizeof head,
                               "HTTP/1.1 200 OK\r\n"
                               "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\n"
                               "Content-Length: %zu\r\n"
                               "Cache-Control: no-store\r\n"
                               "\r\n",
                               body_bytes);
    struct answer answer = {malloc((size_t)head_length + body_bytes), (size_t)head_length + body_bytes};
    if (!answer.bytes) fail("malloc");
    memcpy(answer.bytes, head, (size_t)head_length);
    memset(answer.bytes + head_length, 'r', body_bytes);
    return answer;
}

static void watch(int epoll, int operation, struct connection *connection, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll, operation, connection->fd, &event) < 0) fail("epoll_ctl");
}

/* Sends what is left of the current answer. Returns 0 if the connection is broken. */
static int flush(int epoll, struct connection *connection) {
    while (connection->unsent_length > 0) {
        ssize_t sent = send(connection->fd, connection->unsent, connection->unsent_length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return 0;
            if (!connection->waits_for_room) watch(epoll, EPOLL_CTL_MOD, connection, EPOLLOUT);
            connection->waits_for_room = 1;
            return 1;
        }
        connection->unsent += sent;
        connection->unsent_length -= (size_t)sent;
    }
    if (connection->waits_for_room) watch(epoll, EPOLL_CTL_MOD, connection, EPOLLIN);
    connection->waits_for_room = 0;
    return 1;
}

/* What the head says of its body; 0 without Content-Length. */
static size_t content_length(const char *head, const char *end) {
    static const char name[] = "\r\ncontent-length:";
    for (const char *at = head; at + sizeof name < end; at++) {
        if (*at == '\r' && strncasecmp(at, name, sizeof name - 1) == 0) {
            return (size_t)strtoul(at + sizeof name - 1, NULL, 10);
        }
    }
    return 0;
}

/* Throws away what is here of a body. Returns whether that was the rest. */
static int skip_body(struct connection *connection) {
    size_t now = connection->have < connection->body_left ? connection->have : connection->body_left;
    connection->body_left -= now;
    connection->have -= now;
    if (now > 0) memmove(connection->head, connection->head + now, connection->have);
    return connection->body_left == 0;
}

/* Answers every complete request in the buffer, in order. Returns 0 if the connection is broken. */
static int answer_complete_requests(int epoll, struct connection *connection) {
    while (connection->unsent_length == 0) {
        if (!skip_body(connection)) return 1;
        if (connection->next) {
            connection->unsent = connection->next->bytes;
            connection->unsent_length = connection->next->length;
            connection->next = NULL;
            if (!flush(epoll, connection)) return 0;
            continue;
        }
        char *end = memmem(connection->head, connection->have, "\r\n\r\n", 4);
        if (!end) return connection->have < MAX_HEAD_BYTES;
        int large = connection->have > 8 && memcmp(connection->head, "GET /64k", 8) == 0;
        int huge = connection->have > 8 && memcmp(connection->head, "GET /1m", 7) == 0;
        const struct answer *answer = large ? &large_answer : huge ? &huge_answer : &small_answer;
        int may_have_body = memcmp(connection->head, "GET ", 4) != 0;
        connection->body_left = may_have_body ? content_length(connection->head, end + 2) : 0;
        connection->next = answer;
        size_t used = (size_t)(end + 4 - connection->head);
        connection->have -= used;
        memmove(connection->head, connection->head + used, connection->have);
    }
    return 1;
}

/* Serves one event. Returns 0 if the connection has to be closed. */
static int serve(int epoll, struct connection *connection) {
    if (connection->waits_for_room) {
        return flush(epoll, connection) && answer_complete_requests(epoll, connection);
    }
    ssize_t received =
        recv(connection->fd, connection->head + connection->have, MAX_HEAD_BYTES - connection->have, 0);
    if (received == 0) return 0;
    if (received < 0) return errno == EAGAIN || errno == EINTR;
    connection->have += (size_t)received;
    return answer_complete_requests(epoll, connection);
}

static void accept_one(int epoll, int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *connection = malloc(sizeof *connection);
    if (!connection) fail("malloc");
    connection->fd = fd;
    connection->waits_for_room = 0;
    connection->unsent_length = 0;
    connection->have = 0;
    connection->body_left = 0;
    connection->next = NULL;
    watch(epoll, EPOLL_CTL_ADD, connection, EPOLLIN);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(fd, BACKLOG) < 0) fail("listen");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: backend PORT\n"), 2;
    small_answer = make_answer(SMALL_BODY_BYTES);
    large_answer = make_answer(LARGE_BODY_BYTES);
    huge_answer = make_answer(HUGE_BODY_BYTES);
    int listener = listen_on(atoi(argv[1]));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) fail("epoll_ctl");
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int count = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) {
                accept_one(epoll, listener);
            } else if (!serve(epoll, connection)) {
                close(connection->fd);
                free(connection);
            }
        }
    }
}
