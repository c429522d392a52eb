/*
 * fork() with a connection open: the child's handles say so and can be freed, the parent's connection goes on; an engine
 * without threads can go on in the child. And waits that are interrupted, from a signal handler too.
 */
#include <nacre.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define IS(status, call)                                                                                               \
    do {                                                                                                               \
        nacre_status got_ = (call);                                                                                    \
        if (got_ != (status)) {                                                                                        \
            printf("%s:%d: %s: %s instead of %s\n", __FILE__, __LINE__, #call, nacre_status_name(got_),                \
                   nacre_status_name(status));                                                                         \
            fflush(stdout);                                                                                            \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)
#define OK(call) IS(NACRE_OK, call)

static nacre_engine *engine;
static nacre_key *host_key;
static int threaded;

static nacre_decision yes(void *u, nacre_transport *t, const char *user, nacre_ticket *ticket) {
    (void)u, (void)t, (void)user, (void)ticket;
    return NACRE_ACCEPT;
}

static nacre_decision open_it(void *u, nacre_transport *t, nacre_channel *channel, const char *kind, const void *data,
                              size_t len, nacre_ticket *ticket) {
    (void)u, (void)t, (void)channel, (void)kind, (void)data, (void)len, (void)ticket;
    return NACRE_ACCEPT;
}

typedef struct {
    nacre_transport *client, *server;
    nacre_channel *near, *far;
} line;

static line connected(void) {
    line line;
    int fds[2];
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    check.flags = NACRE_HOST_KEY_ANY;
    callbacks.auth_none = yes;
    callbacks.channel_open = open_it;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) abort();
    OK(nacre_transport_from_fd(engine, fds[0], &line.client, NULL));
    OK(nacre_transport_from_fd(engine, fds[1], &line.server, NULL));
    OK(nacre_transport_add_host_key(line.server, host_key));
    IS(NACRE_ERR_AGAIN, nacre_transport_start_server(line.server, &callbacks, 0, NULL));
    OK(nacre_transport_set_host_key_check(line.client, &check));
    OK(nacre_transport_start_client(line.client, 10000, NULL));
    OK(nacre_transport_auth_none(line.client, "u", 10000, NULL));
    OK(nacre_transport_open_session(line.client, 10000, &line.near, NULL));
    OK(nacre_transport_accept(line.server, 10000, &line.far));
    return line;
}

static void pass_word(line line) {
    char buf[16];
    size_t n;
    OK(nacre_channel_write_all(line.near, "word", 4, 10000, &n));
    OK(nacre_channel_read(line.far, buf, sizeof buf, 10000, &n));
}

static void release(line line) {
    nacre_channel_free(line.near);
    nacre_channel_free(line.far);
    nacre_transport_free(line.client);
    nacre_transport_free(line.server);
}

static void wait_for(pid_t child) {
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) {
        printf("the child failed: %d\n", status);
        exit(1);
    }
}

static void in_child(line line) {
    char buf[16];
    size_t n;
    nacre_transport *transport;
    nacre_event event = NACRE_INIT(nacre_event);
    alarm(20);
    IS(NACRE_ERR_FORKED, nacre_channel_read(line.near, buf, sizeof buf, -1, &n));
    IS(NACRE_ERR_FORKED, nacre_channel_write(line.near, "x", 1, -1, &n));
    IS(NACRE_ERR_FORKED, nacre_transport_next_event(line.client, &event));
    IS(NACRE_ERR_FORKED, nacre_transport_open_session(line.client, -1, &line.near, NULL));
    IS(NACRE_ERR_FORKED, nacre_transport_close(line.client));
    IS(NACRE_ERR_FORKED, nacre_engine_close(engine, -1));
    IS(NACRE_ERR_FORKED, nacre_engine_wake(engine));
    IS(NACRE_ERR_FORKED, nacre_engine_ref(engine));
    IS(NACRE_ERR_FORKED, nacre_transport_ref(line.client));
    IS(NACRE_ERR_FORKED, nacre_transport_describe(line.client, buf, sizeof buf, NULL));
    IS(NACRE_ERR_FORKED, nacre_transport_set_limit(line.client, -1, 1));
    IS(NACRE_ERR_FORKED, nacre_channel_describe(line.near, buf, sizeof buf, NULL));
    IS(NACRE_ERR_FORKED, nacre_channel_transport(line.near, &transport));
    if (nacre_transport_is_active(line.client) != 0) _exit(2);
}

static void forking(void) {
    line line = connected();
    pid_t child = fork();
    if (child == 0) {
        nacre_channel *near = line.near;
        in_child(line);
        line.near = near;
        release(line);
        nacre_engine_free(engine);
        _exit(0);
    }
    wait_for(child);
    pass_word(line);
    child = fork();
    if (child == 0) {
        in_child(line);
        nacre_transport_atfork(line.client);
        nacre_engine_atfork(engine);
        nacre_engine_atfork(NULL);
        _exit(0);
    }
    wait_for(child);
    pass_word(line);
    release(line);
}

static void adopting(void) {
    line line = connected();
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        OK(nacre_engine_adopt(engine));
        pass_word(line);
        release(line);
        _exit(0);
    }
    nacre_transport_atfork(line.client);
    nacre_transport_atfork(line.server);
    wait_for(child);
    release(line);
}

static void default_engine(void) {
    nacre_transport *transport;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) abort();
    OK(nacre_transport_from_fd(NULL, fds[0], &transport, NULL));
    pid_t child = fork();
    if (child == 0) {
        int again[2];
        alarm(20);
        IS(NACRE_ERR_FORKED, nacre_transport_start_client(transport, 0, NULL));
        nacre_transport_free(transport);
        nacre_engine_atfork(NULL);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, again) != 0) abort();
        OK(nacre_transport_from_fd(NULL, again[0], &transport, NULL));
        IS(NACRE_ERR_AGAIN, nacre_transport_start_client(transport, 0, NULL));
        nacre_transport_free(transport);
        _exit(0);
    }
    wait_for(child);
    nacre_transport_free(transport);
    close(fds[1]);
}

static void on_alarm(int number) {
    (void)number;
    nacre_engine_wake(engine);
}

static void *wake_channel(void *channel) {
    usleep(50000);
    OK(nacre_channel_wake(channel));
    return NULL;
}

static void interrupting(void) {
    char buf[16];
    size_t n;
    pthread_t thread;
    line line = connected();
    struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction before;
    sigaction(SIGALRM, &action, &before);
    ualarm(50000, 0);
    IS(NACRE_ERR_INTERRUPTED, nacre_channel_read(line.near, buf, sizeof buf, 10000, &n));
    OK(nacre_engine_wake(engine));
    IS(NACRE_ERR_INTERRUPTED, nacre_channel_read(line.near, buf, sizeof buf, 10000, &n));
    IS(NACRE_ERR_AGAIN, nacre_channel_read(line.near, buf, sizeof buf, 20, &n));
    sigaction(SIGALRM, &before, NULL);
    if (pthread_create(&thread, NULL, wake_channel, line.near) != 0) abort();
    IS(NACRE_ERR_INTERRUPTED, nacre_channel_read(line.near, buf, sizeof buf, 10000, &n));
    pthread_join(thread, NULL);
    pass_word(line);
    release(line);
}

int main(int argc, char **argv) {
    nacre_engine_options options = NACRE_INIT(nacre_engine_options);
    threaded = options.threads = argc > 1 && strcmp(argv[1], "caller") == 0 ? 0 : 1;
    OK(nacre_engine_new(&options, &engine));
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &host_key, NULL));
    forking();
    interrupting();
    if (!threaded) adopting();
    default_engine();
    OK(nacre_engine_close(engine, 10000));
    nacre_engine_free(engine);
    nacre_key_free(host_key);
    return 0;
}
