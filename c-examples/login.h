/*
 * What the client programs share: the options of a login, and what went wrong in words.
 * Each program defines `program`, its name, before it includes this.
 */
#ifndef LOGIN_H
#define LOGIN_H

#include "algorithms.h"
#include "known_hosts.h"

#include <getopt.h>
#include <nacre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    algorithms algorithms;
    uint64_t rekey_bytes;
    const char *user;
    nacre_key *key;
    char password[1024];
    int has_password;
    const char *fingerprint;
    nacre_key *host_key;
    nacre_known_hosts *known_hosts;
    const char *known_hosts_path;
    int insecure;
    int verbose;
} login;

#define LOGIN_OPTIONS                                                                                                  \
    {"user", required_argument, NULL, 'u'}, {"key", required_argument, NULL, 'k'},                                     \
        {"password-file", required_argument, NULL, 'p'}, {"fingerprint", required_argument, NULL, 'f'},                \
        {"hostkey", required_argument, NULL, 'H'}, {"known-hosts", required_argument, NULL, 'K'},                      \
        {"insecure", no_argument, NULL, 'i'},                                                                          \
        ALGORITHM_LISTS, {"rekey-bytes", required_argument, NULL, 'r'},                                                \
        {"verbose", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}

/* The options in words; those of algorithms.h come behind. */
static const char login_usage[] =
    "  --user U            log in as U (else: as $USER)\n"
    "  --key FILE          with this private key (passphrase: $NACRE_PASSPHRASE)\n"
    "  --password-file F   with the password that is the first line of F, also after the key\n"
    "  --fingerprint FP    the server's host key has to have this fingerprint (SHA256:...)\n"
    "  --hostkey FILE      the server's host key has to be the public key in FILE\n"
    "  --known-hosts FILE  the server has to be known there; else ask on the terminal, as ssh does, and add it\n"
    "  --insecure          take any host key: anyone on the way can read and change everything\n"
    "  --rekey-bytes N     new keys after so many bytes (1 GiB)\n"
    "  --verbose           say what was negotiated\n"
    "  --help              say this\n";

/* Says what failed; the error is freed. 255 is the exit status for failures of our own. */
static inline int failed(const char *what, nacre_status status, nacre_error *err) {
    char text[2048];
    if (err == NULL || nacre_error_text(err, text, sizeof text, NULL) != NACRE_OK) {
        snprintf(text, sizeof text, "%s", nacre_status_text(status));
    }
    fprintf(stderr, "%s: %s: %s\n", program, what, text);
    nacre_error_free(err);
    return 255;
}

/* The same with the last error of the transport. */
static inline int transport_failed(const char *what, nacre_status status, nacre_transport *transport) {
    nacre_error *err = NULL;
    nacre_transport_take_error(transport, 0, &err);
    return failed(what, status, err);
}

static inline void login_load_key(const char *path, nacre_key **key) {
    nacre_error *err = NULL;
    nacre_status status = nacre_key_load_file(path, getenv("NACRE_PASSPHRASE"), key, &err);
    if (status != NACRE_OK) exit(failed(path, status, err));
}

static inline void login_load_known_hosts(login *login, const char *path) {
    nacre_error *err = NULL;
    nacre_status status =
        nacre_known_hosts_load_file(path, NACRE_KNOWN_HOSTS_MAY_BE_MISSING, &login->known_hosts, &err);
    if (status != NACRE_OK) exit(failed(path, status, err));
    login->known_hosts_path = path;
}

/* Takes one option; 0: it is none of these. */
static inline int login_option(login *login, int option, const char *value) {
    if (algorithms_option(&login->algorithms, option, value)) return 1;
    switch (option) {
    case 'u': login->user = value; return 1;
    case 'k': login_load_key(value, &login->key); return 1;
    case 'f': login->fingerprint = value; return 1;
    case 'H': login_load_key(value, &login->host_key); return 1;
    case 'K': login_load_known_hosts(login, value); return 1;
    case 'i': login->insecure = 1; return 1;
    case 'v': login->verbose = 1; return 1;
    case 'r': login->rekey_bytes = strtoull(value, NULL, 10); return 1;
    case 'p': {
        FILE *file = fopen(value, "re");
        if (file == NULL || fgets(login->password, sizeof login->password, file) == NULL) {
            fprintf(stderr, "%s: %s: there is no password to read\n", program, value);
            exit(255);
        }
        fclose(file);
        login->password[strcspn(login->password, "\r\n")] = '\0';
        login->has_password = 1;
        return 1;
    }
    default: return 0;
    }
}

/* Begins to negotiate, check the host key and log in; waits for it as long as timeout_ms says. */
static inline nacre_status login_connect(const login *login, nacre_transport *transport, const char *address,
                                         int timeout_ms, uint64_t *op) {
    const char *fingerprints[] = {login->fingerprint};
    const nacre_key *host_keys[] = {login->host_key};
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    check.fingerprints = fingerprints;
    check.fingerprint_count = login->fingerprint != NULL;
    check.keys = host_keys;
    check.key_count = login->host_key != NULL;
    check.flags = login->insecure ? NACRE_HOST_KEY_ANY : 0;
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    options.host_key_check = &check;
    options.user = login->user != NULL ? login->user : getenv("USER");
    options.key = login->key;
    options.password = login->has_password ? login->password : NULL;
    nacre_status status = algorithms_apply(&login->algorithms, transport);
    if (status == NACRE_OK && login->rekey_bytes > 0) {
        status = nacre_transport_set_rekey_limits(transport, login->rekey_bytes, 0, 0);
    }
    if (status != NACRE_OK) return status;
    if (login->known_hosts != NULL && !known_host_check(login->known_hosts, login->known_hosts_path, address, &check)) {
        return NACRE_ERR_ARGUMENT;
    }
    return nacre_transport_connect(transport, &options, timeout_ms, op);
}

/* Refuses to start without anything to check the host key with, or to log in with. */
static inline void login_check(const login *login) {
    if (login->fingerprint == NULL && login->host_key == NULL && login->known_hosts == NULL && !login->insecure) {
        fprintf(stderr,
                "%s: give --known-hosts, --fingerprint, --hostkey or --insecure: host keys are never taken silently\n",
                program);
        exit(255);
    }
    if (login->user == NULL && getenv("USER") == NULL) {
        fprintf(stderr, "%s: give --user: $USER is not set\n", program);
        exit(255);
    }
    if (login->key == NULL && !login->has_password) {
        fprintf(stderr, "%s: give --key or --password-file to log in with\n", program);
        exit(255);
    }
}

/* A new host may be one that could not be written down. */
static inline void login_remembered(const login *login) {
    nacre_error *err = NULL;
    if (login->known_hosts != NULL && nacre_known_hosts_take_error(login->known_hosts, &err) == NACRE_OK) {
        failed("the host could not be added to the known hosts", nacre_error_status(err), err);
    }
}

static inline void login_describe(nacre_transport *transport) {
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    char version[300] = "", line[120] = "";
    nacre_key *key = NULL;
    if (nacre_transport_negotiated(transport, &info) != NACRE_OK) return;
    nacre_transport_remote_version(transport, version, sizeof version, NULL);
    if (nacre_transport_remote_host_key(transport, &key) == NACRE_OK) {
        nacre_key_fingerprint(key, NACRE_FINGERPRINT_SHA256, line, sizeof line, NULL);
        nacre_key_free(key);
    }
    fprintf(stderr, "%s: peer          %s\n", program, version);
    fprintf(stderr, "%s: host key      %s %s\n", program, info.host_key, line);
    fprintf(stderr, "%s: key exchange  %s%s\n", program, info.kex, info.strict_kex ? ", strict" : "");
    fprintf(stderr, "%s: cipher        %s %s\n", program, info.cipher_out, info.mac_out);
    fprintf(stderr, "%s: compression   %s\n", program, info.compression_out);
}

static inline void login_free(login *login) {
    nacre_key_free(login->key);
    nacre_key_free(login->host_key);
    nacre_known_hosts_free(login->known_hosts);
    memset(login->password, 0, sizeof login->password);
}

#endif
