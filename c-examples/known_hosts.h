/*
 * What the client programs share to know servers again: a known_hosts file, and the question whether a new host is the right
 * one, as ssh asks it.
 */
#ifndef KNOWN_HOSTS_H
#define KNOWN_HOSTS_H

#include <nacre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    nacre_known_hosts *list;
    const char *path;
    char host[256];
    uint32_t port;
} known_host;

/* "host", "host:port", "[address]:port" or an IPv6 address, as nacre_transport_dial takes them; 0: too long. */
static inline int known_host_split(const char *address, known_host *to) {
    const char *begin = address, *end = address + strlen(address), *colon = strrchr(address, ':');
    to->port = 22;
    if (*address == '[' && strchr(address, ']') != NULL) {
        begin++;
        end = strchr(address, ']');
        if (end[1] == ':') to->port = (uint32_t)strtoul(end + 2, NULL, 10);
    } else if (colon != NULL && strchr(address, ':') == colon) {
        end = colon;
        to->port = (uint32_t)strtoul(colon + 1, NULL, 10);
    }
    if ((size_t)(end - begin) >= sizeof to->host) return 0;
    memcpy(to->host, begin, (size_t)(end - begin));
    to->host[end - begin] = '\0';
    return 1;
}

static inline void known_host_show(const known_host *known, const nacre_key *key, char *name, size_t size, char *kind) {
    snprintf(name, size, known->port == 22 ? "%s" : "[%s]:%u", known->host, known->port);
    nacre_key_algorithm(key, kind, 80, NULL);
}

/* "yes" or the fingerprint is a yes; without a terminal nobody can say so. */
static inline int known_host_confirmed(const char *fingerprint) {
    char line[256];
    FILE *in = fopen("/dev/tty", "re"), *out = fopen("/dev/tty", "we");
    int confirmed = -1;
    if (in != NULL && out != NULL) {
        fprintf(out, "Are you sure you want to continue connecting (yes/no/[fingerprint])? ");
        while (confirmed < 0 && fflush(out) == 0 && fgets(line, sizeof line, in) != NULL) {
            line[strcspn(line, "\r\n")] = '\0';
            if (strcmp(line, "yes") == 0 || strcmp(line, fingerprint) == 0) confirmed = 1;
            else if (strcmp(line, "no") == 0) confirmed = 0;
            else fprintf(out, "Please type 'yes', 'no' or the fingerprint: ");
        }
    }
    if (in != NULL) fclose(in);
    if (out != NULL) fclose(out);
    return confirmed == 1;
}

static inline nacre_decision known_host_ask(void *userdata, nacre_transport *transport, const nacre_key *key,
                                            nacre_verdict verdict, nacre_ticket *ticket) {
    known_host *known = userdata;
    nacre_known_host state = NACRE_KNOWN_HOST_UNKNOWN;
    size_t line = 0;
    char name[300], kind[80] = "", fingerprint[80] = "";
    (void)transport, (void)verdict, (void)ticket;
    known_host_show(known, key, name, sizeof name, kind);
    nacre_key_fingerprint(key, NACRE_FINGERPRINT_SHA256, fingerprint, sizeof fingerprint, NULL);
    if (nacre_known_hosts_check(known->list, known->host, known->port, key, &state, &line) != NACRE_OK) return NACRE_REJECT;
    if (state == NACRE_KNOWN_HOST_CHANGED) {
        fprintf(stderr,
                "WARNING: THE HOST KEY OF %s HAS CHANGED! Somebody may be in between, or the host has a new key.\n"
                "The server showed the %s key %s.\nAnother one is in %s:%zu.\n",
                name, kind, fingerprint, known->path, line);
        return NACRE_REJECT;
    }
    fprintf(stderr, "The authenticity of host '%s' can't be established.\n%s key fingerprint is %s.\n", name, kind, fingerprint);
    if (state == NACRE_KNOWN_HOST_OTHER_TYPE) {
        fprintf(stderr, "A key of another type is known for this host: %s:%zu.\n", known->path, line);
    }
    if (!known_host_confirmed(fingerprint)) return NACRE_REJECT;
    fprintf(stderr, "Warning: Permanently added '%s' (%s) to the list of known hosts.\n", name, kind);
    return NACRE_ACCEPT;
}

static inline void known_host_destroy(void *userdata) {
    known_host *known = userdata;
    nacre_known_hosts_free(known->list);
    free(known);
}

/* Has the check look into the list, ask about new hosts, and add them. 0: the address is none. */
static inline int known_host_check(nacre_known_hosts *list, const char *path, const char *address,
                                   nacre_host_key_check *check) {
    known_host *known = malloc(sizeof *known);
    if (known == NULL || !known_host_split(address, known)) return free(known), 0;
    known->list = list;
    known->path = path;
    nacre_known_hosts_ref(list);
    check->known_hosts = list;
    check->host = known->host;
    check->port = known->port;
    check->flags |= NACRE_HOST_KEY_ADD;
    check->ask = known_host_ask;
    check->userdata = known;
    check->destroy = known_host_destroy;
    return 1;
}

#endif
