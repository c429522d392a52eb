/* What the peers written in C share: the options of README.md. */
#ifndef PEER_H
#define PEER_H

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *host, *hostkey, *user, *password, *authorized_key, *auth, *key, *known_host_key;
    const char *kex, *host_key_algorithms, *ciphers, *macs, *compression, *command;
    unsigned port, channels;
    uint64_t rekey_bytes;
} peer_options;

/* 255 is ssh's status for failures of its own. */
static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(255);
}

static inline peer_options read_options(int argc, char **argv) {
    static const struct option names[] = {
        {"host", 1, NULL, 'h'},           {"port", 1, NULL, 'p'},
        {"hostkey", 1, NULL, 'H'},        {"user", 1, NULL, 'u'},
        {"password", 1, NULL, 'w'},       {"authorized-key", 1, NULL, 'A'},
        {"auth", 1, NULL, 'a'},           {"key", 1, NULL, 'k'},
        {"known-host-key", 1, NULL, 'K'}, {"kex", 1, NULL, 'x'},
        {"host-key-algorithms", 1, NULL, 'g'}, {"ciphers", 1, NULL, 'c'},
        {"macs", 1, NULL, 'm'},           {"compression", 1, NULL, 'z'},
        {"rekey-bytes", 1, NULL, 'r'},    {"channels", 1, NULL, 'n'},
        {NULL, 0, NULL, 0}};
    peer_options options = {.host = "127.0.0.1", .user = "", .password = "", .auth = "", .channels = 1};
    int name;
    while ((name = getopt_long(argc, argv, "+", names, NULL)) != -1) {
        switch (name) {
        case 'h': options.host = optarg; break;
        case 'p': options.port = (unsigned)atoi(optarg); break;
        case 'H': options.hostkey = optarg; break;
        case 'u': options.user = optarg; break;
        case 'w': options.password = optarg; break;
        case 'A': options.authorized_key = optarg; break;
        case 'a': options.auth = optarg; break;
        case 'k': options.key = optarg; break;
        case 'K': options.known_host_key = optarg; break;
        case 'x': options.kex = optarg; break;
        case 'g': options.host_key_algorithms = optarg; break;
        case 'c': options.ciphers = optarg; break;
        case 'm': options.macs = optarg; break;
        case 'z': options.compression = optarg; break;
        case 'r': options.rekey_bytes = strtoull(optarg, NULL, 10); break;
        case 'n': options.channels = (unsigned)atoi(optarg); break;
        default: exit(2);
        }
    }
    options.command = argv[optind];
    return options;
}

static inline void write_fully(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) die("cannot write: %s", strerror(errno));
        data += written;
        len -= (size_t)written;
    }
}

/* What a channel said, kept until it is its turn to be printed. */
typedef struct {
    char *data;
    size_t len, room;
} kept;

/* The output of a lone channel goes out at once, that of several is kept. */
static inline void pass(kept *keep, int alone, int fd, const char *data, size_t len) {
    if (alone) {
        write_fully(fd, data, len);
        return;
    }
    if (keep->len + len > keep->room) {
        keep->room = (keep->len + len) * 2;
        keep->data = realloc(keep->data, keep->room);
        if (keep->data == NULL) die("no memory");
    }
    memcpy(keep->data + keep->len, data, len);
    keep->len += len;
}

/* Our own input on its way to the command. */
typedef struct {
    char data[32768];
    size_t from, to;
    int ended;
} input;

static inline void fill(input *input) {
    if (input->ended || input->from < input->to) return;
    ssize_t got = read(STDIN_FILENO, input->data, sizeof input->data);
    if (got < 0 && errno == EINTR) return;
    input->from = 0;
    input->to = got > 0 ? (size_t)got : 0;
    input->ended = got <= 0;
}

#endif
