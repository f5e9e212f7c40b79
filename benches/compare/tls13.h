/*
 * The client's side of TLS 1.3 (RFC 8446), as little as a generator of full handshakes needs.
 *
 * OpenSSL's client takes more CPU time for a handshake than the servers that it is to load. Most of
 * that is what a load does not need: a new key pair for each connection, and the check of the
 * certificate and of its signature. This one has one key pair, checks the server's Finished (so that
 * both sides have the same keys and the same transcript), and offers exactly one thing: X25519,
 * AES-128-GCM with SHA-256, ECDSA with P-256. It says that it can resume, as real clients do, but it
 * never does: it has no pre_shared_key. It protects nothing; it must not be used for anything else.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    HASH = SHA256_DIGEST_LENGTH,
    KEY = 16,
    IV = 12,
    TAG = 16,
    SHARE = 32,
    RECORD_HEAD = 5,
    MESSAGE_HEAD = 4,
    MAX_HELLO = 512,
    /* The server's flight with a certificate of one P-256 leaf is 1 KiB. */
    MAX_FLIGHT = 8 * 1024,
    /* RFC 8446 section 5.1 */
    CHANGE_CIPHER_SPEC = 20,
    ALERT = 21,
    HANDSHAKE = 22,
    APPLICATION = 23,
    /* section 4 */
    CLIENT_HELLO = 1,
    SERVER_HELLO = 2,
    CERTIFICATE_VERIFY = 15,
    FINISHED = 20,
};

struct keys {
    unsigned char secret[HASH], key[KEY], iv[IV];
    uint64_t sequence;
};

struct tls {
    SHA256_CTX transcript;
    struct keys reading, writing;
    unsigned char master[HASH];
    int keyed, signature_seen, finished;
    size_t flight_length;
    unsigned char flight[MAX_FLIGHT];
};

static EVP_PKEY *own_key;
static EVP_PKEY_CTX *own_exchange;
static unsigned char own_share[SHARE];
static EVP_CIPHER *cipher;
static EVP_CIPHER_CTX *cipher_context;
static unsigned char early_derived[HASH], empty_hash[HASH];
static const unsigned char zeros[HASH];

/* Defined by the program that includes this. */
static void fail(const char *what);

static void hmac(const unsigned char *key, const void *text, size_t length, unsigned char *out) {
    unsigned char pad[SHA256_CBLOCK];
    SHA256_CTX hash;
    for (int i = 0; i < SHA256_CBLOCK; i++) pad[i] = (i < HASH ? key[i] : 0) ^ 0x36;
    SHA256_Init(&hash);
    SHA256_Update(&hash, pad, sizeof pad);
    SHA256_Update(&hash, text, length);
    SHA256_Final(out, &hash);
    for (int i = 0; i < SHA256_CBLOCK; i++) pad[i] ^= 0x36 ^ 0x5c;
    SHA256_Init(&hash);
    SHA256_Update(&hash, pad, sizeof pad);
    SHA256_Update(&hash, out, HASH);
    SHA256_Final(out, &hash);
}

/* HKDF-Expand-Label (section 7.1); no output here is longer than one hash. */
static void expand(const unsigned char *secret, const char *label, const unsigned char *hash, unsigned char *out,
                   size_t length) {
    unsigned char info[128], block[HASH];
    size_t named = strlen(label), at = 0;
    info[at++] = 0;
    info[at++] = (unsigned char)length;
    info[at++] = (unsigned char)(6 + named);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, named);
    at += 6 + named;
    info[at++] = hash ? HASH : 0;
    if (hash) memcpy(info + at, hash, HASH);
    at += hash ? HASH : 0;
    info[at++] = 1;
    hmac(secret, info, at, block);
    memcpy(out, block, length);
}

static void make_keys(struct keys *keys, const unsigned char *secret, const char *label,
                      const unsigned char *hash) {
    expand(secret, label, hash, keys->secret, HASH);
    expand(keys->secret, "key", NULL, keys->key, KEY);
    expand(keys->secret, "iv", NULL, keys->iv, IV);
    keys->sequence = 0;
}

static void transcript_hash(const struct tls *tls, unsigned char *out) {
    SHA256_CTX copy = tls->transcript;
    SHA256_Final(out, &copy);
}

/* What all connections share. */
static void tls_prepare(void) {
    size_t length = SHARE;
    unsigned char early[HASH];
    own_key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    if (!own_key || EVP_PKEY_get_raw_public_key(own_key, own_share, &length) != 1) fail("X25519");
    own_exchange = EVP_PKEY_CTX_new(own_key, NULL);
    if (!own_exchange || EVP_PKEY_derive_init(own_exchange) != 1) fail("X25519");
    cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    cipher_context = EVP_CIPHER_CTX_new();
    if (!cipher || !cipher_context || !EVP_CipherInit_ex(cipher_context, cipher, NULL, NULL, NULL, 1)) {
        fail("AES-128-GCM");
    }
    SHA256((const unsigned char *)"", 0, empty_hash);
    hmac(zeros, zeros, HASH, early);
    expand(early, "derived", empty_hash, early_derived, HASH);
}

/* One record under `keys`, sealed or opened in place; the tag is behind the text. */
static int protect(struct keys *keys, const unsigned char *head, unsigned char *text, size_t length, int seal) {
    unsigned char nonce[IV];
    int done;
    memcpy(nonce, keys->iv, IV);
    for (int i = 0; i < 8; i++) nonce[IV - 1 - i] ^= (unsigned char)(keys->sequence >> (8 * i));
    keys->sequence++;
    if (!EVP_CipherInit_ex(cipher_context, NULL, NULL, keys->key, nonce, seal)) return 0;
    if (!seal) EVP_CIPHER_CTX_ctrl(cipher_context, EVP_CTRL_AEAD_SET_TAG, TAG, text + length);
    EVP_CipherUpdate(cipher_context, NULL, &done, head, RECORD_HEAD);
    EVP_CipherUpdate(cipher_context, text, &done, text, (int)length);
    if (EVP_CipherFinal_ex(cipher_context, text + length, &done) != 1) return 0;
    if (seal) EVP_CIPHER_CTX_ctrl(cipher_context, EVP_CTRL_AEAD_GET_TAG, TAG, text + length);
    return 1;
}

/* Writes one sealed record to `out`; returns its length. */
static size_t tls_seal(struct tls *tls, int type, const void *text, size_t length, unsigned char *out) {
    size_t sealed = length + 1 + TAG;
    unsigned char head[RECORD_HEAD] = {APPLICATION, 3, 3, (unsigned char)(sealed >> 8), (unsigned char)sealed};
    memcpy(out, head, RECORD_HEAD);
    memcpy(out + RECORD_HEAD, text, length);
    out[RECORD_HEAD + length] = (unsigned char)type;
    if (!protect(&tls->writing, head, out + RECORD_HEAD, length + 1, 1)) fail("sealing");
    return RECORD_HEAD + sealed;
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t length) {
    memcpy(at, bytes, length);
    return at + length;
}

static void put16(unsigned char *at, size_t value) {
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

/* Begins a connection: writes the ClientHello for `name` to `out`, returns its length. */
static size_t tls_hello(struct tls *tls, const char *name, unsigned char *out) {
    /* supported_groups, signature_algorithms, supported_versions, psk_key_exchange_modes, key_share */
    static const unsigned char fixed[] = {0, 10, 0, 4, 0, 2, 0, 29, 0, 13, 0, 4,  0, 2,  4, 3, 0,  43, 0,
                                          3, 2,  3, 4, 0, 45, 0, 2, 1, 1, 0, 51, 0, 38, 0, 36, 0, 29, 0, 32};
    static const unsigned char suite[] = {0, 2, 0x13, 0x01, 1, 0};
    size_t named = strlen(name);
    unsigned char *message = out + RECORD_HEAD, *at = message + MESSAGE_HEAD, *extensions;
    memset(tls, 0, offsetof(struct tls, flight));
    at = put(at, "\3\3", 2);
    for (int i = 0; i < 32; i++) *at++ = (unsigned char)rand();
    /* Of the compatibility mode (appendix D.4), as all clients have it. */
    *at++ = 32;
    for (int i = 0; i < 32; i++) *at++ = (unsigned char)rand();
    at = put(at, suite, sizeof suite);
    extensions = at;
    at += 2;
    put16(at, 0);
    put16(at + 2, named + 5);
    put16(at + 4, named + 3);
    at[6] = 0;
    put16(at + 7, named);
    at = put(at + 9, name, named);
    at = put(at, fixed, sizeof fixed);
    at = put(at, own_share, SHARE);
    put16(extensions, (size_t)(at - extensions - 2));
    message[0] = CLIENT_HELLO;
    message[1] = 0;
    put16(message + 2, (size_t)(at - message - MESSAGE_HEAD));
    put(out, "\x16\3\1", 3);
    put16(out + 3, (size_t)(at - message));
    SHA256_Init(&tls->transcript);
    SHA256_Update(&tls->transcript, message, (size_t)(at - message));
    return (size_t)(at - out);
}

/* The share in a ServerHello, or NULL if it has not what was offered. */
static const unsigned char *server_share(const unsigned char *message, size_t length) {
    const unsigned char *end = message + length, *at = message + MESSAGE_HEAD + 34;
    if (at >= end || at + 1 + at[0] + 5 > end) return NULL;
    at += 1 + at[0];
    if (at[0] != 0x13 || at[1] != 0x01) return NULL;
    for (at += 5; at + 4 <= end; at += 4 + (at[2] << 8 | at[3])) {
        int is_share = at[0] == 0 && at[1] == 51;
        if (is_share && at + 8 + SHARE <= end && at[4] == 0 && at[5] == 29) return at + 8;
    }
    return NULL;
}

static void take_server_hello(struct tls *tls, const unsigned char *message, size_t length) {
    unsigned char shared[SHARE], secret[HASH], hash[HASH], derived[HASH];
    size_t shared_length = SHARE;
    const unsigned char *share = server_share(message, length);
    EVP_PKEY *peer = share ? EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, share, SHARE) : NULL;
    if (!peer) fail("the ServerHello has not X25519 and TLS_AES_128_GCM_SHA256");
    if (EVP_PKEY_derive_set_peer_ex(own_exchange, peer, 0) != 1 ||
        EVP_PKEY_derive(own_exchange, shared, &shared_length) != 1) {
        fail("X25519");
    }
    EVP_PKEY_free(peer);
    transcript_hash(tls, hash);
    hmac(early_derived, shared, SHARE, secret);
    make_keys(&tls->writing, secret, "c hs traffic", hash);
    make_keys(&tls->reading, secret, "s hs traffic", hash);
    expand(secret, "derived", empty_hash, derived, HASH);
    hmac(derived, zeros, HASH, tls->master);
    tls->keyed = 1;
}

static void finished_code(const struct keys *keys, const unsigned char *hash, unsigned char *out) {
    unsigned char key[HASH];
    expand(keys->secret, "finished", NULL, key, HASH);
    hmac(key, hash, HASH, out);
}

static void take_message(struct tls *tls, const unsigned char *message, size_t length) {
    unsigned char hash[HASH], code[HASH];
    /* What comes after the handshake is a ticket, which nobody wants. */
    if (tls->finished) return;
    if (message[0] == FINISHED) {
        transcript_hash(tls, hash);
        finished_code(&tls->reading, hash, code);
        if (length != MESSAGE_HEAD + HASH || memcmp(message + MESSAGE_HEAD, code, HASH) != 0) {
            fail("the server's Finished is wrong");
        }
        if (!tls->signature_seen) fail("the handshake was not a full one");
        tls->finished = 1;
    }
    tls->signature_seen |= message[0] == CERTIFICATE_VERIFY;
    SHA256_Update(&tls->transcript, message, length);
    if (message[0] == SERVER_HELLO) take_server_hello(tls, message, length);
}

/* Takes a piece of the handshake, and every message that is complete by it. */
static void take_handshake(struct tls *tls, const unsigned char *piece, size_t length) {
    if (tls->flight_length + length > MAX_FLIGHT) fail("the server's flight is too long");
    memcpy(tls->flight + tls->flight_length, piece, length);
    tls->flight_length += length;
    size_t at = 0;
    while (tls->flight_length - at >= MESSAGE_HEAD) {
        const unsigned char *message = tls->flight + at;
        size_t whole = MESSAGE_HEAD + ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
        if (tls->flight_length - at < whole) break;
        take_message(tls, message, whole);
        at += whole;
    }
    memmove(tls->flight, tls->flight + at, tls->flight_length - at);
    tls->flight_length -= at;
}

/* After the server's Finished: writes ours to `out`, returns the length, and changes the keys. */
static size_t tls_finish(struct tls *tls, unsigned char *out) {
    unsigned char hash[HASH], message[MESSAGE_HEAD + HASH] = {FINISHED, 0, 0, HASH};
    transcript_hash(tls, hash);
    finished_code(&tls->writing, hash, message + MESSAGE_HEAD);
    memcpy(out, "\x14\3\3\0\1\1", 6);
    size_t length = 6 + tls_seal(tls, HANDSHAKE, message, sizeof message, out + 6);
    make_keys(&tls->writing, tls->master, "c ap traffic", hash);
    make_keys(&tls->reading, tls->master, "s ap traffic", hash);
    return length;
}

/*
 * Takes the first record of `input`, if it is whole. Returns its length, or 0. If it is a part of the
 * answer, `*text` and `*text_length` say where; an alert ends the program.
 */
static size_t tls_take(struct tls *tls, unsigned char *input, size_t have, unsigned char **text,
                       size_t *text_length) {
    *text = input;
    *text_length = 0;
    if (have < RECORD_HEAD) return 0;
    size_t length = (size_t)input[3] << 8 | input[4];
    if (have < RECORD_HEAD + length) return 0;
    int type = input[0];
    unsigned char *content = input + RECORD_HEAD;
    size_t content_length = length;
    if (type == APPLICATION) {
        if (!tls->keyed || length <= TAG || !protect(&tls->reading, input, content, length - TAG, 0)) {
            fail("a record cannot be opened");
        }
        content_length -= TAG;
        while (content_length > 0 && content[content_length - 1] == 0) content_length--;
        if (content_length == 0) fail("an empty record");
        type = content[--content_length];
    }
    if (type == ALERT) fail("the server sent an alert");
    if (type == HANDSHAKE) take_handshake(tls, content, content_length);
    if (type == APPLICATION) *text = content, *text_length = content_length;
    return RECORD_HEAD + length;
}
