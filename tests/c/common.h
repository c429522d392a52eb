/* What the C tests share: checks, engines of both modes, a server that lets "tester" in and runs commands of its own. */
#ifndef NACRE_TESTS_COMMON_H
#define NACRE_TESTS_COMMON_H

#include "check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nacre.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAME(text, expected)                                                                                           \
    do {                                                                                                               \
        const char *text_ = (text), *wanted_ = (expected);                                                             \
        if (strcmp(text_, wanted_) != 0) FAIL("%s is \"%s\", not \"%s\"", #text, text_, wanted_);                      \
    } while (0)
/* A getter whose last parameters are (buf, cap, needed). The buffer holds what it gives. */
#define TEXT_OF(buffer, getter, ...)                                                                                   \
    do {                                                                                                               \
        size_t needed_ = 0;                                                                                            \
        OK(getter(__VA_ARGS__, (buffer), sizeof(buffer), &needed_));                                                   \
        EQUAL(needed_, strlen(buffer) + 1);                                                                            \
    } while (0)
/* Such a getter gives this text. */
#define EXPECT_TEXT(expected, getter, ...)                                                                             \
    do {                                                                                                               \
        char got_text_[1024] = "";                                                                                     \
        TEXT_OF(got_text_, getter, __VA_ARGS__);                                                                       \
        SAME(got_text_, expected);                                                                                     \
    } while (0)
/* A number that another thread or a callback changes. */
#define COUNT(number) __atomic_load_n(&(number), __ATOMIC_ACQUIRE)
#define ADD(number, more) __atomic_add_fetch(&(number), (more), __ATOMIC_ACQ_REL)

/* --- the program ------------------------------------------------------------------------------------ */

/* Runs a step: afterwards there are as many descriptors and threads as before. */
#define RUN(step)                                                                                                      \
    do {                                                                                                               \
        int64_t begun_ = now_ms();                                                                                     \
        int descriptors_ = descriptors(), threads_ = threads();                                                        \
        test_step = #step;                                                                                             \
        step();                                                                                                        \
        EVENTUALLY(threads() <= threads_);                                                                             \
        EQUAL(descriptors(), descriptors_);                                                                            \
        if (getenv("NACRE_TEST_VERBOSE")) fprintf(stderr, "%-40s %6lld ms\n", #step, (long long)(now_ms() - begun_));  \
    } while (0)

/* --- engines and keys --------------------------------------------------------------------------------- */

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
    return new_engine_with(with_threads ? 1 : 0);
}
/* The engine ends with its threads. */
UNUSED static void end_engine(nacre_engine *engine)
{
    OK(nacre_engine_close(engine, SOON));
    nacre_engine_free(engine);
}

UNUSED static nacre_key *new_key(nacre_key_kind kind, uint32_t bits)
{
    nacre_key *key = NULL;
    OK(nacre_key_generate(kind, bits, "test", &key, NULL));
    CHECK(key != NULL);
    return key;
}
/* Kept until the end of the program. */
UNUSED static nacre_key *host_key(void)
{
    static nacre_key *key;
    if (key == NULL) key = new_key(NACRE_KEY_ED25519, 0);
    return key;
}
UNUSED static nacre_key *user_key(void)
{
    static nacre_key *key;
    if (key == NULL) key = new_key(NACRE_KEY_ED25519, 0);
    return key;
}

/* --- data --------------------------------------------------------------------------------------------- */

/* Bytes that tell where in the stream they belong. */
UNUSED static void pattern(unsigned char *buf, size_t len, uint64_t offset, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t at = offset + i;
        buf[i] = (unsigned char)((at * 31 + (at >> 8) * 7 + (at >> 16) * 13 + seed * 101) & 0xff);
    }
}
UNUSED static void check_pattern(const unsigned char *buf, size_t len, uint64_t offset, uint32_t seed)
{
    unsigned char expected[4096];
    while (len > 0) {
        size_t part = len < sizeof expected ? len : sizeof expected;
        pattern(expected, part, offset, seed);
        if (memcmp(buf, expected, part) != 0) FAIL("other bytes than were sent, after %llu", (unsigned long long)offset);
        buf += part, offset += part, len -= part;
    }
}

UNUSED static void write_bytes(nacre_channel *channel, const void *data, size_t len)
{
    size_t n = 0;
    OK(nacre_channel_write_all(channel, data, len, SOON, &n));
    EQUAL(n, len);
}
UNUSED static void write_text(nacre_channel *channel, const char *text)
{
    write_bytes(channel, text, strlen(text));
}
/* Reads just so many bytes. */
UNUSED static void read_exactly(nacre_channel *channel, void *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t n = 0;
        OK(nacre_channel_read(channel, (char *)buf + done, len - done, SOON, &n));
        CHECK(n > 0 && n <= len - done);
        done += n;
    }
}
UNUSED static void read_text(nacre_channel *channel, const char *expected)
{
    char text[1024] = "";
    CHECK(strlen(expected) < sizeof text);
    read_exactly(channel, text, strlen(expected));
    SAME(text, expected);
}
UNUSED static void read_stderr_text(nacre_channel *channel, const char *expected)
{
    char text[1024] = "";
    size_t done = 0, len = strlen(expected);
    CHECK(len < sizeof text);
    while (done < len) {
        size_t n = 0;
        OK(nacre_channel_read_stderr(channel, text + done, len - done, SOON, &n));
        CHECK(n > 0 && n <= len - done);
        done += n;
    }
    SAME(text, expected);
}
/* Nothing comes any more, because the peer said so. */
UNUSED static void expect_eof(nacre_channel *channel)
{
    char byte = 0;
    size_t n = 99;
    EXPECT(nacre_channel_read(channel, &byte, 1, SOON, &n), NACRE_ERR_EOF);
    EQUAL(n, 0);
    n = 99;
    EXPECT(nacre_channel_read_stderr(channel, &byte, 1, SOON, &n), NACRE_ERR_EOF);
    EQUAL(n, 0);
}
UNUSED static void expect_exit_status(nacre_channel *channel, uint32_t status)
{
    nacre_exit exit = NACRE_INIT(nacre_exit);
    exit.kind = 77, exit.status = 0xdeadbeef;
    OK(nacre_channel_wait_exit(channel, SOON, &exit));
    EQUAL(exit.kind, NACRE_EXIT_STATUS);
    EQUAL(exit.status, status);
}

UNUSED static int is_readable_within(int fd, int timeout_ms)
{
    struct pollfd item = {fd, POLLIN, 0};
    int ready = poll(&item, 1, timeout_ms);
    CHECK(ready >= 0);
    return ready == 1 && (item.revents & POLLIN) != 0;
}
UNUSED static int is_readable(int fd)
{
    return is_readable_within(fd, 0);
}

/* --- a server of commands ----------------------------------------------------------------------------- */

/*
 * "echo TEXT": the text. "exit N": that status. "stderr TEXT": the text as error output. "kill NAME": ends by a signal.
 * "cat": what comes in, until EOF. "big N": so many bytes of the pattern with seed 1. "sink": reads until EOF, checks for
 * the pattern with seed 2, and says how many bytes there were. "both": output and error output, in turns.
 */
typedef struct command_server {
    /* Threads of commands that have not ended. */
    int running;
    int destroyed;
} command_server;

typedef struct command {
    command_server *server;
    nacre_channel *channel;
    char line[256];
} command;

UNUSED static void run_cat(nacre_channel *channel)
{
    static __thread unsigned char buf[65536];
    nacre_status status;
    size_t n = 0, written = 0;
    while ((status = nacre_channel_read(channel, buf, sizeof buf, -1, &n)) == NACRE_OK) {
        status = nacre_channel_write_all(channel, buf, n, -1, &written);
        if (status != NACRE_OK) return;
        EQUAL(written, n);
    }
    if (status == NACRE_ERR_EOF) (void)nacre_channel_finish(channel, 0);
}
UNUSED static void run_big(nacre_channel *channel, uint64_t len)
{
    static __thread unsigned char buf[65536];
    size_t written = 0;
    for (uint64_t done = 0; done < len; done += written) {
        size_t part = len - done < sizeof buf ? (size_t)(len - done) : sizeof buf;
        pattern(buf, part, done, 1);
        if (nacre_channel_write_all(channel, buf, part, -1, &written) != NACRE_OK) return;
        EQUAL(written, part);
    }
    (void)nacre_channel_finish(channel, 0);
}
UNUSED static void run_sink(nacre_channel *channel)
{
    static __thread unsigned char buf[65536];
    nacre_status status;
    uint64_t total = 0;
    size_t n = 0, written = 0;
    char text[64];
    while ((status = nacre_channel_read(channel, buf, sizeof buf, -1, &n)) == NACRE_OK) {
        check_pattern(buf, n, total, 2);
        total += n;
    }
    if (status != NACRE_ERR_EOF) return;
    snprintf(text, sizeof text, "%llu bytes", (unsigned long long)total);
    (void)nacre_channel_write_all(channel, text, strlen(text), -1, &written);
    (void)nacre_channel_finish(channel, 0);
}

UNUSED static void *run_command(void *argument)
{
    command *run = argument;
    if (strcmp(run->line, "cat") == 0) run_cat(run->channel);
    else if (strncmp(run->line, "big ", 4) == 0) run_big(run->channel, strtoull(run->line + 4, NULL, 10));
    else if (strcmp(run->line, "sink") == 0) run_sink(run->channel);
    nacre_channel_free(run->channel);
    ADD(run->server->running, -1);
    free(run);
    return NULL;
}

/* Runs what is short inside the callback, the rest on a thread of its own. The channel is the command's. */
UNUSED static nacre_decision start_command(command_server *server, nacre_channel *channel, const char *line)
{
    size_t n = 0;
    if (strncmp(line, "echo ", 5) == 0) {
        OK(nacre_channel_write(channel, line + 5, strlen(line + 5), 0, &n));
        OK(nacre_channel_finish(channel, 0));
    } else if (strncmp(line, "exit ", 5) == 0) {
        OK(nacre_channel_finish(channel, (uint32_t)strtoul(line + 5, NULL, 10)));
    } else if (strncmp(line, "stderr ", 7) == 0) {
        OK(nacre_channel_write_stderr(channel, line + 7, strlen(line + 7), 0, &n));
        OK(nacre_channel_finish(channel, 2));
    } else if (strcmp(line, "both") == 0) {
        OK(nacre_channel_write(channel, "one,", 4, 0, &n));
        OK(nacre_channel_write_stderr(channel, "two,", 4, 0, &n));
        OK(nacre_channel_write(channel, "three,", 6, 0, &n));
        OK(nacre_channel_write_stderr(channel, "four.", 5, 0, &n));
        OK(nacre_channel_finish(channel, 3));
    } else if (strncmp(line, "kill ", 5) == 0) {
        OK(nacre_channel_send_exit_signal(channel, line + 5, 1, "killed by the test"));
        OK(nacre_channel_close(channel));
    } else if (strcmp(line, "cat") == 0 || strncmp(line, "big ", 4) == 0 || strcmp(line, "sink") == 0) {
        command *run = calloc(1, sizeof *run);
        pthread_t thread;
        run->server = server;
        run->channel = channel;
        snprintf(run->line, sizeof run->line, "%s", line);
        ADD(server->running, 1);
        CHECK(pthread_create(&thread, NULL, run_command, run) == 0);
        CHECK(pthread_detach(thread) == 0);
        return NACRE_ACCEPT;
    } else {
        nacre_channel_free(channel);
        return NACRE_REJECT;
    }
    nacre_channel_free(channel);
    return NACRE_ACCEPT;
}

UNUSED static nacre_decision take_password(void *userdata, nacre_transport *transport, const char *user,
                                           const char *password, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)ticket;
    return strcmp(user, "tester") == 0 && strcmp(password, "secret") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
UNUSED static nacre_decision take_key(void *userdata, nacre_transport *transport, const char *user,
                                      const nacre_key *key, int32_t verified, nacre_ticket *ticket)
{
    int32_t equal = 0;
    (void)userdata, (void)transport, (void)verified, (void)ticket;
    OK(nacre_key_equal(key, user_key(), &equal));
    return strcmp(user, "tester") == 0 && equal ? NACRE_ACCEPT : NACRE_REJECT;
}
UNUSED static nacre_decision keep_session(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                          const char *kind, const void *data, size_t len, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)data, (void)len, (void)ticket;
    return strcmp(kind, "session") == 0 ? NACRE_KEEP : NACRE_REJECT;
}
UNUSED static nacre_decision take_session(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                          const char *kind, const void *data, size_t len, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)data, (void)len, (void)ticket;
    return strcmp(kind, "session") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
UNUSED static nacre_decision run_exec(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                      const nacre_request *request, nacre_ticket *ticket)
{
    (void)transport, (void)ticket;
    if (request->kind != NACRE_REQUEST_EXEC) return NACRE_REJECT;
    return start_command(userdata, channel, request->text);
}
UNUSED static nacre_decision take_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                          const nacre_request *request, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)ticket;
    return request->kind == NACRE_REQUEST_OTHER ? NACRE_REJECT : NACRE_ACCEPT;
}
UNUSED static void count_destroy(void *userdata)
{
    ADD(((command_server *)userdata)->destroyed, 1);
}

/* A server that runs commands. */
UNUSED static nacre_server_callbacks commands(command_server *server)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    memset(server, 0, sizeof *server);
    callbacks.userdata = server;
    callbacks.destroy = count_destroy;
    callbacks.auth_password = take_password;
    callbacks.auth_publickey = take_key;
    callbacks.channel_open = keep_session;
    callbacks.channel_request = run_exec;
    return callbacks;
}
/* A server whose channels are taken by nacre_transport_accept, and that says yes to what is asked on them. */
UNUSED static nacre_server_callbacks accepting(void)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    callbacks.auth_password = take_password;
    callbacks.auth_publickey = take_key;
    callbacks.channel_open = take_session;
    callbacks.channel_request = take_request;
    return callbacks;
}

/* --- connections -------------------------------------------------------------------------------------- */

typedef struct pair {
    /* The server's is the client's where both are driven together. */
    nacre_engine *engine;
    nacre_engine *server_engine;
    nacre_transport *client;
    nacre_transport *server;
} pair;

UNUSED static void socket_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) FAIL("socketpair: %s", strerror(errno));
}
/* Two ends of a TCP connection over loopback. */
UNUSED static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fds[0], (struct sockaddr *)&address, sizeof address) == 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fds[1] >= 0);
    close(listener);
}

UNUSED static nacre_transport *transport_over(nacre_engine *engine, int fd)
{
    nacre_transport *transport = NULL;
    OK(nacre_transport_from_fd(engine, fd, &transport, NULL));
    CHECK(transport != NULL);
    return transport;
}
UNUSED static void start_server(nacre_transport *server, const nacre_server_callbacks *callbacks)
{
    nacre_status status = nacre_transport_start_server(server, callbacks, 0, NULL);
    if (status != NACRE_OK && status != NACRE_ERR_AGAIN) FAIL("start_server: %s", nacre_status_name(status));
}

/* Two transports in one engine, over a socket pair; nothing is sent yet. */
UNUSED static pair new_pair(void)
{
    pair made = {NULL, NULL, NULL, NULL};
    int fds[2];
    socket_pair(fds);
    made.engine = made.server_engine = new_engine();
    made.client = transport_over(made.engine, fds[0]);
    made.server = transport_over(made.server_engine, fds[1]);
    OK(nacre_transport_add_host_key(made.server, host_key()));
    return made;
}
/* The server has an engine with threads of its own, and it is TCP. */
UNUSED static pair new_apart_pair(void)
{
    pair made = {NULL, NULL, NULL, NULL};
    int fds[2];
    tcp_pair(fds);
    made.engine = new_engine();
    made.server_engine = new_engine_with(1);
    made.client = transport_over(made.engine, fds[0]);
    made.server = transport_over(made.server_engine, fds[1]);
    OK(nacre_transport_add_host_key(made.server, host_key()));
    return made;
}
/* A pair whose server has begun. */
UNUSED static pair served_pair(const nacre_server_callbacks *callbacks)
{
    pair made = new_pair();
    start_server(made.server, callbacks);
    return made;
}

UNUSED static nacre_host_key_check right_host_key(void)
{
    static const nacre_key *keys[1];
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    keys[0] = host_key();
    check.keys = keys;
    check.key_count = 1;
    return check;
}
/* Negotiates, with the right host key. */
UNUSED static void start_client(nacre_transport *client)
{
    nacre_host_key_check check = right_host_key();
    OK(nacre_transport_set_host_key_check(client, &check));
    OK(nacre_transport_start_client(client, SOON, NULL));
    EQUAL(nacre_transport_is_active(client), 1);
    EQUAL(nacre_transport_is_authenticated(client), 0);
}
UNUSED static nacre_status log_in(nacre_transport *client, int32_t timeout_ms, uint64_t *op)
{
    nacre_host_key_check check = right_host_key();
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    options.host_key_check = &check;
    options.user = "tester";
    options.password = "secret";
    return nacre_transport_connect(client, &options, timeout_ms, op);
}
UNUSED static void expect_logged_in(nacre_transport *client)
{
    OK(log_in(client, SOON, NULL));
    EQUAL(nacre_transport_is_authenticated(client), 1);
}
UNUSED static pair connected_pair(const nacre_server_callbacks *callbacks)
{
    pair made = served_pair(callbacks);
    expect_logged_in(made.client);
    return made;
}
UNUSED static pair connected_apart_pair(const nacre_server_callbacks *callbacks)
{
    pair made = new_apart_pair();
    start_server(made.server, callbacks);
    expect_logged_in(made.client);
    return made;
}
UNUSED static nacre_channel *open_session(nacre_transport *client)
{
    nacre_channel *channel = NULL;
    OK(nacre_transport_open_session(client, SOON, &channel, NULL));
    CHECK(channel != NULL);
    return channel;
}
/* A channel with a command on it. */
UNUSED static nacre_channel *exec(nacre_transport *client, const char *line)
{
    nacre_channel *channel = open_session(client);
    OK(nacre_channel_exec(channel, line, SOON, NULL));
    return channel;
}
/* A session channel, both ends of it; the server has to accept. */
UNUSED static void open_both(pair *both, nacre_channel **near_end, nacre_channel **far_end)
{
    *near_end = open_session(both->client);
    *far_end = NULL;
    OK(nacre_transport_accept(both->server, SOON, far_end));
    CHECK(*far_end != NULL);
}

UNUSED static void end_pair(pair *both)
{
    nacre_transport_free(both->client);
    nacre_transport_free(both->server);
    end_engine(both->engine);
    if (both->server_engine != both->engine) end_engine(both->server_engine);
}
/* All threads of commands, and the callbacks, are gone. */
UNUSED static void end_commands(pair *both, command_server *server)
{
    OK(nacre_transport_close(both->client));
    OK(nacre_transport_close(both->server));
    EVENTUALLY(COUNT(server->running) == 0);
    end_pair(both);
    EVENTUALLY(COUNT(server->destroyed) > 0);
    EQUAL(COUNT(server->destroyed), 1);
}

/* --- events ------------------------------------------------------------------------------------------- */

UNUSED static void free_event(nacre_event *event)
{
    nacre_message_free(event->message);
    nacre_ticket_free(event->ticket);
    event->message = NULL;
    event->ticket = NULL;
}
/* Waits for the next event of the transport; the engine's threads, or this call, bring it. */
UNUSED static nacre_event next_event(nacre_engine *engine, nacre_transport *transport)
{
    nacre_event event = NACRE_INIT(nacre_event);
    int64_t until = now_ms() + SOON;
    int32_t fd = -1;
    nacre_status status;
    OK(nacre_transport_event_fd(transport, &fd));
    while ((status = nacre_transport_next_event(transport, &event)) == NACRE_ERR_AGAIN) {
        if (now_ms() > until) FAIL("no event came");
        if (with_threads) {
            (void)is_readable_within(fd, 1000);
        } else {
            /* Returns at once while an event of another transport waits. */
            nacre_status done = nacre_engine_dispatch(engine, 1000);
            if (done != NACRE_OK && done != NACRE_ERR_AGAIN) FAIL("dispatch: %s", nacre_status_name(done));
        }
    }
    OK(status);
    CHECK(event.transport == transport);
    return event;
}
/* Events come until one of this kind; the others are dropped. */
UNUSED static nacre_event event_of(nacre_engine *engine, nacre_transport *transport, nacre_event_kind kind)
{
    for (;;) {
        nacre_event event = next_event(engine, transport);
        if (event.kind == kind) return event;
        if (event.kind == NACRE_EVENT_DISCONNECTED) FAIL("disconnected before an event of kind %d came", (int)kind);
        free_event(&event);
    }
}

#endif
