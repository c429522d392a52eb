/* What the client and the server of the yardsticks share: the command line, the clocks, and how they fail. */
#ifndef BENCHES_COMMON_H
#define BENCHES_COMMON_H

#include <getopt.h>
#include <nacre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024 };

typedef struct {
    const char *job, *host, *user, *key, *cipher, *kex, *path, *host_key, *authorized_key, *engine;
    int port;
    long count;
    unsigned long long bytes;
} settings;

/* What every program that is compared offers, so that the same work is compared. */
static const char usual_kex[] = "curve25519-sha256,curve25519-sha256@libssh.org";
static const char usual_macs[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256";

static inline settings read_settings(int argc, char **argv) {
    static const struct option names[] = {
        {"host", required_argument, NULL, 'h'},    {"port", required_argument, NULL, 'p'},
        {"user", required_argument, NULL, 'u'},    {"key", required_argument, NULL, 'k'},
        {"cipher", required_argument, NULL, 'c'},  {"kex", required_argument, NULL, 'x'},
        {"bytes", required_argument, NULL, 'b'},   {"count", required_argument, NULL, 'n'},
        {"path", required_argument, NULL, 'f'},    {"hostkey", required_argument, NULL, 'H'},
        {"engine", required_argument, NULL, 'e'},  {"authorized-key", required_argument, NULL, 'A'},
        {NULL, 0, NULL, 0}};
    settings given = {.host = "127.0.0.1", .user = getenv("USER"), .kex = usual_kex, .engine = "threads"};
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'h': given.host = optarg; break;
        case 'p': given.port = atoi(optarg); break;
        case 'u': given.user = optarg; break;
        case 'k': given.key = optarg; break;
        case 'c': given.cipher = optarg; break;
        case 'x': given.kex = optarg; break;
        case 'b': given.bytes = strtoull(optarg, NULL, 10); break;
        case 'n': given.count = atol(optarg); break;
        case 'f': given.path = optarg; break;
        case 'H': given.host_key = optarg; break;
        case 'e': given.engine = optarg; break;
        case 'A': given.authorized_key = optarg; break;
        default: exit(2);
        }
    }
    given.job = argv[optind];
    if (strcmp(given.engine, "threads") != 0 && strcmp(given.engine, "caller") != 0) {
        fprintf(stderr, "--engine is threads or caller\n");
        exit(2);
    }
    return given;
}

/* Ends the program with what failed. Takes the error. */
_Noreturn static inline void give_up(const char *what, nacre_status status, nacre_error *err) {
    char text[2048];
    if (err == NULL || nacre_error_text(err, text, sizeof text, NULL) != NACRE_OK) {
        snprintf(text, sizeof text, "%s", nacre_status_text(status));
    }
    fprintf(stderr, "%s: %s\n", what, text);
    exit(1);
}

static inline void check(const char *what, nacre_status status) {
    if (status != NACRE_OK) give_up(what, status, NULL);
}

static inline nacre_engine *make_engine(const settings *given) {
    nacre_engine_options options = NACRE_INIT(nacre_engine_options);
    nacre_engine *engine = NULL;
    options.threads = strcmp(given->engine, "threads") == 0;
    check("engine", nacre_engine_new(&options, &engine));
    return engine;
}

static inline nacre_key *load_key(const char *path) {
    nacre_key *key = NULL;
    nacre_error *err = NULL;
    nacre_status status = nacre_key_load_file(path, NULL, &key, &err);
    if (status != NACRE_OK) give_up(path, status, err);
    return key;
}

/* 0: the library has no such algorithm. */
static inline int set_algorithms(nacre_transport *transport, const settings *given) {
    if (nacre_transport_set_algorithms(transport, NACRE_ALG_KEX, given->kex) != NACRE_OK) return 0;
    if (nacre_transport_set_algorithms(transport, NACRE_ALG_MAC, usual_macs) != NACRE_OK) return 0;
    return given->cipher == NULL ||
           nacre_transport_set_algorithms(transport, NACRE_ALG_CIPHER, given->cipher) == NACRE_OK;
}

static inline double wall_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* A number of /proc/self/status. VmHWM is the peak of this program alone; getrusage's begins with its parent's. */
static inline long own_status(const char *name) {
    char line[256];
    size_t length = strlen(name);
    long value = 0;
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') value = atol(line + length + 1);
    }
    fclose(file);
    return value;
}

#endif
