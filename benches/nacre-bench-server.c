/*
 * The yardstick of servers: serves the commands of the jobs itself, for one key, and prints what it has cost on SIGTERM.
 *
 *     nacre-bench-server --port P --hostkey FILE --authorized-key FILE [--engine threads|caller]
 *
 * Commands: "head -c N /dev/zero", "cat", "cat > /dev/null", "true". With `threads` each command that moves data has a
 * thread that waits in reads and writes; with `caller` one thread turns the engine and moves data as events say.
 */
#include "common.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

typedef enum { HEAD, CAT, CAT_TO_NULL, NOTHING, UNKNOWN } command_kind;

/* A channel and its command. */
typedef struct {
    nacre_channel *channel;
    command_kind kind;
    unsigned long long left; /* HEAD: bytes still to send */
    size_t from, to;         /* CAT: what of `data` is still to be sent back */
    char *data;
} job;

static nacre_engine *engine;
static nacre_key *host_key, *authorized;
static int threaded;
static char zeros[CHUNK];

static command_kind parse(const char *command, unsigned long long *bytes) {
    if (sscanf(command, "head -c %llu /dev/zero", bytes) == 1) return HEAD;
    if (strcmp(command, "cat") == 0) return CAT;
    if (strcmp(command, "cat > /dev/null") == 0) return CAT_TO_NULL;
    if (strcmp(command, "true") == 0) return NOTHING;
    return UNKNOWN;
}

static void end_job(job *job, uint32_t status) {
    nacre_channel_finish(job->channel, status);
    nacre_channel_free(job->channel);
    free(job->data);
    free(job);
}

/* --- threads: waiting reads and writes ---------------------------------------------------------------------------- */

static void *run(void *argument) {
    job *job = argument;
    size_t n, written;
    for (; job->kind == HEAD && job->left > 0; job->left -= n) {
        if (nacre_channel_write_all(job->channel, zeros, job->left < CHUNK ? (size_t)job->left : CHUNK, -1, &n)) break;
    }
    while (job->kind != HEAD && nacre_channel_read(job->channel, job->data, CHUNK, -1, &n) == NACRE_OK) {
        if (job->kind == CAT && nacre_channel_write_all(job->channel, job->data, n, -1, &written)) break;
    }
    end_job(job, 0);
    return NULL;
}

/* --- caller: as far as it goes, and again when an event says so --------------------------------------------------- */

static nacre_status advance_head(job *job) {
    nacre_status status = NACRE_OK;
    while (job->left > 0 && status == NACRE_OK) {
        size_t n;
        status = nacre_channel_write(job->channel, zeros, job->left < CHUNK ? (size_t)job->left : CHUNK, 0, &n);
        job->left -= n;
    }
    return status == NACRE_OK ? NACRE_ERR_EOF : status;
}

static nacre_status advance_cat(job *job) {
    nacre_status status = NACRE_OK;
    while (status == NACRE_OK) {
        size_t n;
        if (job->from == job->to) {
            job->from = 0;
            status = nacre_channel_read(job->channel, job->data, CHUNK, 0, &job->to);
            if (job->kind == CAT_TO_NULL) job->from = job->to;
        } else {
            status = nacre_channel_write(job->channel, job->data + job->from, job->to - job->from, 0, &n);
            job->from += n;
        }
    }
    return status;
}

static void advance(job *job) {
    nacre_status status = job->kind == HEAD ? advance_head(job) : advance_cat(job);
    if (status == NACRE_ERR_AGAIN) return;
    nacre_channel_set_userdata(job->channel, NULL, NULL);
    end_job(job, 0);
}

static void *turn_the_engine(void *unused) {
    nacre_event event = NACRE_INIT(nacre_event);
    (void)unused;
    for (;;) {
        nacre_engine_dispatch(engine, -1);
        while (nacre_engine_next_event(engine, &event) == NACRE_OK) {
            if (event.channel_userdata != NULL) advance(event.channel_userdata);
            nacre_message_free(event.message);
        }
    }
    return NULL;
}

/* --- what a connection asks for ----------------------------------------------------------------------------------- */

static nacre_decision auth_publickey(void *userdata, nacre_transport *transport, const char *user, const nacre_key *key,
                                     int32_t verified, nacre_ticket *ticket) {
    int32_t same = 0;
    (void)userdata, (void)transport, (void)user, (void)verified, (void)ticket;
    return nacre_key_equal(key, authorized, &same) == NACRE_OK && same ? NACRE_ACCEPT : NACRE_REJECT;
}

static nacre_decision channel_open(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                                   const void *data, size_t len, nacre_ticket *ticket) {
    (void)userdata, (void)transport, (void)channel, (void)data, (void)len, (void)ticket;
    return strcmp(kind, "session") == 0 ? NACRE_KEEP : NACRE_REJECT;
}

static nacre_decision channel_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                      const nacre_request *request, nacre_ticket *ticket) {
    pthread_t thread;
    (void)userdata, (void)transport;
    if (request->kind != NACRE_REQUEST_EXEC) return NACRE_REJECT;
    job *job = calloc(1, sizeof *job);
    if (job == NULL) return NACRE_REJECT;
    job->channel = channel;
    job->kind = parse(request->text, &job->left);
    if (job->kind == NOTHING || job->kind == UNKNOWN) {
        /* Nobody holds the channel when this function returns: the answer goes first. */
        nacre_ticket_answer(ticket, NACRE_ACCEPT);
        end_job(job, job->kind == NOTHING ? 0 : 127);
        return NACRE_ACCEPT;
    }
    if (job->kind != HEAD) job->data = malloc(CHUNK);
    if (threaded) {
        if (pthread_create(&thread, NULL, run, job) != 0) return NACRE_REJECT;
        pthread_detach(thread);
    } else {
        nacre_channel_set_userdata(channel, job, NULL);
        advance(job);
    }
    return NACRE_ACCEPT;
}

static void disconnected(void *userdata, nacre_transport *transport, nacre_status status, const nacre_error *error) {
    (void)userdata, (void)status, (void)error;
    nacre_transport_free(transport);
}

/* --- listening ---------------------------------------------------------------------------------------------------- */

static void serve(int fd) {
    nacre_transport *transport = NULL;
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    callbacks.auth_publickey = auth_publickey;
    callbacks.channel_open = channel_open;
    callbacks.channel_request = channel_request;
    callbacks.disconnected = disconnected;
    if (nacre_transport_from_fd(engine, fd, &transport, NULL) != NACRE_OK) {
        close(fd);
        return;
    }
    nacre_transport_add_host_key(transport, host_key);
    nacre_status status = nacre_transport_start_server(transport, &callbacks, 0, NULL);
    if (status != NACRE_OK && status != NACRE_ERR_AGAIN) nacre_transport_free(transport);
}

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        perror("listen");
        exit(1);
    }
    return fd;
}

static void *accept_connections(void *argument) {
    int listener = *(int *)argument;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) serve(fd);
    }
    return NULL;
}

int main(int argc, char **argv) {
    settings given = read_settings(argc, argv);
    pthread_t thread;
    sigset_t ending;
    int number;
    if (given.port == 0 || given.host_key == NULL || given.authorized_key == NULL) {
        fprintf(stderr, "usage: nacre-bench-server --port P --hostkey FILE --authorized-key FILE "
                        "[--engine threads|caller]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, NULL); /* in every thread: only sigwait takes it */
    host_key = load_key(given.host_key);
    authorized = load_key(given.authorized_key);
    threaded = strcmp(given.engine, "threads") == 0;
    engine = make_engine(&given);
    int listener = listen_on(given.port);
    pthread_create(&thread, NULL, accept_connections, &listener);
    if (!threaded) pthread_create(&thread, NULL, turn_the_engine, NULL);
    sigwait(&ending, &number);
    printf("{\"cpu_s\": %.6f, \"maxrss_kib\": %ld}\n", cpu_seconds(), own_status("VmHWM"));
    fflush(stdout);
    _exit(0);
}
