/* What the tests of threads, ends, forks, interruptions and misuse share. */
#ifndef NACRE_TESTS_ENDS_H
#define NACRE_TESTS_ENDS_H

#include "check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nacre.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUN(step)                                                                                                      \
    do {                                                                                                               \
        test_step = #step;                                                                                             \
        int64_t begun_ = now_ms();                                                                                     \
        step();                                                                                                        \
        if (getenv("NACRE_TEST_VERBOSE"))                                                                              \
            fprintf(stderr, "%-36s %6lld ms, %d descriptors\n", #step, (long long)(now_ms() - begun_), descriptors());  \
    } while (0)

UNUSED static int current_thread(void)
{
    return (int)syscall(SYS_gettid);
}
/* Waits until that thread sleeps in a system call. */
UNUSED static void until_asleep(const int *id)
{
    int64_t until = now_ms() + SOON;
    for (;;) {
        char path[64], line[512] = "";
        int thread = __atomic_load_n(id, __ATOMIC_ACQUIRE);
        if (thread != 0) {
            snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
            FILE *file = fopen(path, "r");
            if (file != NULL) {
                char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
                fclose(file);
                if (end != NULL && end[1] == ' ' && end[2] == 'S') return;
            } else {
                return;
            }
        }
        if (now_ms() > until) FAIL("the thread never slept");
        pause_ms(1);
    }
}

/* --- engines and connections ------------------------------------------------------------------------ */

UNUSED static nacre_engine *new_engine_with(uint32_t io_threads)
{
    nacre_engine_options options = NACRE_INIT(nacre_engine_options);
    nacre_engine *engine = NULL;
    options.threads = io_threads;
    OK(nacre_engine_new(&options, &engine));
    CHECK(engine != NULL);
    return engine;
}
UNUSED static nacre_engine *new_engine(void)
{
    return new_engine_with(with_threads ? 2 : 0);
}

UNUSED static nacre_key *host_key(void)
{
    static nacre_key *key;
    if (key == NULL) OK(nacre_key_generate(NACRE_KEY_ED25519, 0, "host", &key, NULL));
    return key;
}

UNUSED static nacre_decision take_password(void *userdata, nacre_transport *transport, const char *user,
                                           const char *password, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)ticket;
    return strcmp(user, "tester") == 0 && strcmp(password, "secret") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
UNUSED static nacre_decision take_channel(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                          const char *kind, const void *data, size_t len, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)data, (void)len, (void)ticket;
    return strcmp(kind, "session") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
UNUSED static nacre_decision take_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                          const nacre_request *request, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)ticket;
    return request->kind == NACRE_REQUEST_OTHER ? NACRE_REJECT : NACRE_ACCEPT;
}

/* A server that lets "tester" in with "secret" and accepts session channels and what is asked on them. */
UNUSED static nacre_server_callbacks plain_server(void)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    callbacks.auth_password = take_password;
    callbacks.channel_open = take_channel;
    callbacks.channel_request = take_request;
    return callbacks;
}

/* Channels take little before their reader reads. */
static int small_windows;

typedef struct pair {
    nacre_transport *client;
    nacre_transport *server;
} pair;

UNUSED static void socket_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) FAIL("socketpair: %s", strerror(errno));
}

/* Two transports over a socket pair; nothing is sent yet. */
UNUSED static pair new_pair(nacre_engine *client_engine, nacre_engine *server_engine)
{
    pair made = {NULL, NULL};
    int fds[2];
    socket_pair(fds);
    OK(nacre_transport_from_fd(client_engine, fds[0], &made.client, NULL));
    OK(nacre_transport_from_fd(server_engine, fds[1], &made.server, NULL));
    OK(nacre_transport_add_host_key(made.server, host_key()));
    return made;
}

UNUSED static void start_server(nacre_transport *server, const nacre_server_callbacks *callbacks)
{
    nacre_status status = nacre_transport_start_server(server, callbacks, 0, NULL);
    if (status != NACRE_OK && status != NACRE_ERR_AGAIN) FAIL("start_server: %s", nacre_status_name(status));
}

UNUSED static nacre_status log_in(nacre_transport *client, int32_t timeout_ms, uint64_t *op)
{
    const nacre_key *keys[1] = {host_key()};
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    check.keys = keys;
    check.key_count = 1;
    options.host_key_check = &check;
    options.user = "tester";
    options.password = "secret";
    return nacre_transport_connect(client, &options, timeout_ms, op);
}

/* --- ports of this machine --------------------------------------------------------------------------- */

typedef struct listening {
    int fd;
    uint16_t port;
    int fillers[8];
} listening;

UNUSED static listening listen_on(int family, int backlog)
{
    listening made;
    struct sockaddr_storage address;
    socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    memset(&made, 0, sizeof made);
    memset(&address, 0, sizeof address);
    for (int i = 0; i < 8; i++) made.fillers[i] = -1;
    address.ss_family = (sa_family_t)family;
    if (family == AF_INET) ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
    made.fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made.fd >= 0 && bind(made.fd, (struct sockaddr *)&address, len) == 0 && listen(made.fd, backlog) == 0 &&
        getsockname(made.fd, (struct sockaddr *)&address, &len) == 0) {
        made.port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                            : ((struct sockaddr_in6 *)&address)->sin6_port);
    } else {
        if (made.fd >= 0) close(made.fd);
        made.fd = -1;
    }
    return made;
}

/* A port that answers nothing: its queue is full, so the kernel drops what else would connect. */
UNUSED static listening black_hole(void)
{
    listening made = listen_on(AF_INET, 0);
    struct sockaddr_in address;
    CHECK(made.fd >= 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(made.port);
    for (int i = 0; i < 8; i++) {
        made.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(made.fillers[i] >= 0);
        connect(made.fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    pause_ms(20);
    return made;
}
UNUSED static void stop_listening(listening *port)
{
    if (port->fd >= 0) close(port->fd);
    for (int i = 0; i < 8; i++)
        if (port->fillers[i] >= 0) close(port->fillers[i]);
}
/* A port where nobody listens. */
UNUSED static uint16_t closed_port(void)
{
    listening port = listen_on(AF_INET, 1);
    CHECK(port.fd >= 0);
    stop_listening(&port);
    return port.port;
}
UNUSED static const char *address_of(const char *host, uint16_t port)
{
    static char text[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(text[turn], sizeof text[turn], "%s:%u", host, (unsigned)port);
    return text[turn];
}

/* Both ends in one engine, or else the server's end has to be driven by others. */
UNUSED static pair connected_pair_of(nacre_engine *client_engine, nacre_engine *server_engine,
                                     const nacre_server_callbacks *callbacks)
{
    nacre_server_callbacks plain = plain_server();
    pair made = new_pair(client_engine, server_engine);
    if (small_windows) {
        OK(nacre_transport_set_default_window(made.client, 20000, 16384));
        OK(nacre_transport_set_default_window(made.server, 20000, 16384));
    }
    start_server(made.server, callbacks ? callbacks : &plain);
    OK(log_in(made.client, SOON, NULL));
    CHECK(nacre_transport_is_authenticated(made.client) == 1);
    return made;
}
UNUSED static pair connected_pair(nacre_engine *engine)
{
    return connected_pair_of(engine, engine, NULL);
}

/* A session channel, both ends of it. */
UNUSED static void open_both(pair both, nacre_channel **near_end, nacre_channel **far_end)
{
    OK(nacre_transport_open_session(both.client, SOON, near_end, NULL));
    OK(nacre_transport_accept(both.server, SOON, far_end));
    CHECK(*near_end != NULL && *far_end != NULL);
}

UNUSED static void free_pair(pair both)
{
    nacre_transport_free(both.client);
    nacre_transport_free(both.server);
}

/* The engine ends with its threads. */
UNUSED static void end_engine(nacre_engine *engine)
{
    OK(nacre_engine_close(engine, SOON));
    nacre_engine_free(engine);
}

UNUSED static void write_text(nacre_channel *channel, const char *text)
{
    size_t n = 0;
    OK(nacre_channel_write_all(channel, text, strlen(text), SOON, &n));
    EQUAL(n, strlen(text));
}
/* Reads just so many bytes. */
UNUSED static void read_exactly(nacre_channel *channel, void *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t n = 0;
        OK(nacre_channel_read(channel, (char *)buf + done, len - done, SOON, &n));
        CHECK(n > 0);
        done += n;
    }
}
UNUSED static void read_text(nacre_channel *channel, const char *expected)
{
    char text[256] = "";
    CHECK(strlen(expected) < sizeof text);
    read_exactly(channel, text, strlen(expected));
    if (memcmp(text, expected, strlen(expected)) != 0) FAIL("read \"%s\", not \"%s\"", text, expected);
}
/* Bytes go from each end to the other. */
UNUSED static void talk(nacre_channel *near_end, nacre_channel *far_end)
{
    write_text(near_end, "to the server");
    read_text(far_end, "to the server");
    write_text(far_end, "to the client");
    read_text(near_end, "to the client");
}

/* Bytes that tell where in the stream they belong. */
UNUSED static void pattern(unsigned char *buf, size_t len, uint64_t offset, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t at = offset + i;
        uint64_t mixed = ((at >> 3) + 1 + ((uint64_t)seed << 40)) * 0x9e3779b97f4a7c15u;
        mixed = (mixed ^ (mixed >> 29)) * 0xbf58476d1ce4e5b9u;
        buf[i] = (unsigned char)(mixed >> (8 * (at & 7)));
    }
}

/* --- a server that echoes ---------------------------------------------------------------------------- */

/* Echoes a channel until EOF, then says how many bytes there were (modulo 256) as exit status. */
UNUSED static void *echo_channel(void *argument)
{
    nacre_channel *channel = argument;
    char buf[16384];
    size_t n = 0, total = 0;
    nacre_status status;
    while ((status = nacre_channel_read(channel, buf, sizeof buf, -1, &n)) == NACRE_OK) {
        size_t written = 0;
        total += n;
        status = nacre_channel_write_all(channel, buf, n, -1, &written);
        if (status != NACRE_OK) break;
        CHECK(written == n);
    }
    if (status == NACRE_ERR_EOF) {
        /* Meanwhile the peer may have closed it. */
        status = nacre_channel_finish(channel, (uint32_t)(total & 0xff));
        if (status != NACRE_ERR_CLOSED && status != NACRE_ERR_DISCONNECTED) OK(status);
    }
    nacre_channel_free(channel);
    return NULL;
}

typedef struct echo_server {
    nacre_transport *transport;
    pthread_t thread;
    int channels;
} echo_server;

UNUSED static void *accept_and_echo(void *argument)
{
    echo_server *server = argument;
    pthread_t workers[256];
    nacre_channel *channel = NULL;
    while (nacre_transport_accept(server->transport, -1, &channel) == NACRE_OK) {
        CHECK(server->channels < 256);
        CHECK(pthread_create(&workers[server->channels++], NULL, echo_channel, channel) == 0);
    }
    for (int i = 0; i < server->channels; i++) pthread_join(workers[i], NULL);
    return NULL;
}
/* Until the transport is closed. */
UNUSED static void begin_echo(echo_server *server, nacre_transport *transport)
{
    server->transport = transport;
    server->channels = 0;
    CHECK(pthread_create(&server->thread, NULL, accept_and_echo, server) == 0);
}
UNUSED static void end_echo(echo_server *server)
{
    OK(nacre_transport_close(server->transport));
    pthread_join(server->thread, NULL);
}

#endif
