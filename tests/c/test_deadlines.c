/* Time that passes: peers that say nothing, answer nothing or read nothing, and how long they may. */
#include "common.h"

/* --- a wire between two ends that can be cut in one direction or both --------------------------------------- */

typedef struct relay {
    int ends[2];
    /* Bytes from end 0 to end 1, from end 1 to end 0: they are left in the socket while this is set. */
    int held[2];
    int wake[2];
    pthread_t thread;
    int stop;
} relay;

static void *carry(void *argument)
{
    relay *wire = argument;
    static __thread unsigned char buf[65536];
    while (!COUNT(wire->stop)) {
        struct pollfd items[3] = {{wire->wake[0], POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
        for (int i = 0; i < 2; i++)
            if (!COUNT(wire->held[i])) items[i + 1].fd = wire->ends[i];
        CHECK(poll(items, 3, -1) > 0);
        if (items[0].revents) {
            char byte;
            CHECK(read(wire->wake[0], &byte, 1) == 1);
        }
        for (int i = 0; i < 2; i++) {
            if (!items[i + 1].revents || COUNT(wire->held[i])) continue;
            ssize_t count = read(wire->ends[i], buf, sizeof buf);
            if (count <= 0) {
                /* An end is an end on the other side too. */
                shutdown(wire->ends[!i], SHUT_WR);
                ADD(wire->held[i], 1);
                continue;
            }
            for (ssize_t done = 0; done < count;) {
                ssize_t sent = send(wire->ends[!i], buf + done, (size_t)(count - done), MSG_NOSIGNAL);
                if (sent <= 0) break;
                done += sent;
            }
        }
    }
    return NULL;
}
static void hold(relay *wire, int direction, int on)
{
    __atomic_store_n(&wire->held[direction], on, __ATOMIC_RELEASE);
    CHECK(write(wire->wake[1], "", 1) == 1);
}
/* A pair with the wire between; nothing is sent yet. */
static pair new_wired_pair(relay *wire)
{
    pair made = {NULL, NULL, NULL, NULL};
    int near_fds[2], far_fds[2];
    memset(wire, 0, sizeof *wire);
    socket_pair(near_fds);
    socket_pair(far_fds);
    CHECK(pipe2(wire->wake, O_CLOEXEC) == 0);
    wire->ends[0] = near_fds[1];
    wire->ends[1] = far_fds[1];
    made.engine = made.server_engine = new_engine();
    made.client = transport_over(made.engine, near_fds[0]);
    made.server = transport_over(made.engine, far_fds[0]);
    OK(nacre_transport_add_host_key(made.server, host_key()));
    CHECK(pthread_create(&wire->thread, NULL, carry, wire) == 0);
    return made;
}
static void end_wire(relay *wire)
{
    ADD(wire->stop, 1);
    CHECK(write(wire->wake[1], "", 1) == 1);
    CHECK(pthread_join(wire->thread, NULL) == 0);
    close(wire->ends[0]);
    close(wire->ends[1]);
    close(wire->wake[0]);
    close(wire->wake[1]);
}
static nacre_status ended_with(pair *both, nacre_transport *transport)
{
    for (;;) {
        nacre_event event = next_event(both->engine, transport);
        if (event.kind == NACRE_EVENT_DISCONNECTED) return event.status;
        free_event(&event);
    }
}
#define EXPECT_TOOK(begun, least, most)                                                                                \
    do {                                                                                                               \
        int64_t took_ = now_ms() - (begun);                                                                            \
        if (took_ < (least) || took_ > (most)) FAIL("it took %lld ms", (long long)took_);                              \
    } while (0)

/* --- before the login ------------------------------------------------------------------------------------------ */

/* Nobody speaks at the other end. */
static void silent_server(void)
{
    int fds[2];
    uint64_t op = 0;
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_engine *engine = new_engine();
    socket_pair(fds);
    nacre_transport *client = transport_over(engine, fds[0]);
    nacre_host_key_check check = right_host_key();
    OK(nacre_transport_set_host_key_check(client, &check));
    OK(nacre_transport_set_limit(client, NACRE_LIMIT_HANDSHAKE, 900));
    int64_t begun = now_ms();
    /* A wait that is shorter than the deadline is not the end. */
    EXPECT(nacre_transport_start_client(client, 30, &op), NACRE_ERR_AGAIN);
    EXPECT_TOOK(begun, 25, 890);
    CHECK(op != 0);
    EXPECT(nacre_transport_wait(client, op, 30, &event), NACRE_ERR_AGAIN);
    OK(nacre_transport_wait(client, op, SOON, &event));
    EXPECT(event.status, NACRE_ERR_TIMEOUT);
    EQUAL(event.kind, NACRE_EVENT_NEGOTIATED);
    EXPECT_TOOK(begun, 890, 10000);
    event = next_event(engine, client);
    EQUAL(event.kind, NACRE_EVENT_DISCONNECTED);
    EXPECT(event.status, NACRE_ERR_TIMEOUT);
    EQUAL(nacre_transport_is_active(client), 0);
    nacre_transport_free(client);
    end_engine(engine);
    close(fds[1]);
}
static void silent_client(void)
{
    int fds[2];
    nacre_server_callbacks callbacks = accepting();
    nacre_engine *engine = new_engine();
    socket_pair(fds);
    nacre_transport *server = transport_over(engine, fds[0]);
    OK(nacre_transport_add_host_key(server, host_key()));
    OK(nacre_transport_set_limit(server, NACRE_LIMIT_HANDSHAKE, 100));
    int64_t begun = now_ms();
    EXPECT(nacre_transport_start_server(server, &callbacks, SOON, NULL), NACRE_ERR_TIMEOUT);
    EXPECT_TOOK(begun, 90, 10000);
    nacre_transport_free(server);
    end_engine(engine);
    close(fds[1]);
}
/* Negotiated, and then no login. */
static void no_login(void)
{
    nacre_server_callbacks callbacks = accepting();
    pair both = new_pair();
    /* Where everything is slow the handshake has to fit in. */
    int32_t limit = is_short_run() ? 5000 : 400;
    OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_LOGIN, (uint64_t)limit / 2));
    start_server(both.server, &callbacks);
    int64_t begun = now_ms();
    start_client(both.client);
    EXPECT(ended_with(&both, both.server), NACRE_ERR_TIMEOUT);
    EXPECT_TOOK(begun, 150, 10000);
    EXPECT(ended_with(&both, both.client), NACRE_ERR_DISCONNECTED);
    end_pair(&both);
    /* A login in time takes the deadline away. */
    both = new_pair();
    OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_LOGIN, (uint64_t)limit));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    begun = now_ms();
    nacre_channel *channel, *far_end;
    open_both(&both, &channel, &far_end);
    char byte;
    size_t n = 0;
    EXPECT(nacre_channel_read(channel, &byte, 1, limit + 200, &n), NACRE_ERR_AGAIN);
    write_text(far_end, "x");
    read_text(channel, "x");
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* The client's deadline for each method, when the server does not answer. */
static void no_answer_to_a_login(void)
{
    relay wire;
    nacre_server_callbacks callbacks = accepting();
    pair both = new_wired_pair(&wire);
    start_server(both.server, &callbacks);
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_LOGIN, 150));
    start_client(both.client);
    hold(&wire, 1, 1);
    int64_t begun = now_ms();
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL), NACRE_ERR_TIMEOUT);
    EXPECT_TOOK(begun, 140, 10000);
    end_pair(&both);
    end_wire(&wire);
}

/* --- after it -------------------------------------------------------------------------------------------------- */

static nacre_ticket *held;
static nacre_decision hold_open(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                                const void *data, size_t len, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)kind, (void)data, (void)len;
    __atomic_store_n(&held, ticket, __ATOMIC_RELEASE);
    return NACRE_DEFER;
}
/* A channel that nobody confirms. */
static void no_answer_to_an_open(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = NULL, *far_end = NULL;
    callbacks.channel_open = hold_open;
    pair both = connected_pair(&callbacks);
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_OPEN, 150));
    int64_t begun = now_ms();
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, NULL), NACRE_ERR_TIMEOUT);
    CHECK(channel == NULL);
    EXPECT_TOOK(begun, 140, 10000);
    /* The connection lives; the channel that is granted too late is closed. */
    EQUAL(nacre_transport_is_active(both.client), 1);
    CHECK(COUNT(held) != NULL);
    OK(nacre_ticket_answer(COUNT(held), NACRE_ACCEPT));
    nacre_ticket_free(COUNT(held));
    held = NULL;
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    expect_eof(far_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}
static void no_answer_to_a_rekey(void)
{
    relay wire;
    nacre_server_callbacks callbacks = accepting();
    pair both = new_wired_pair(&wire);
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_REKEY, 150));
    hold(&wire, 1, 1);
    int64_t begun = now_ms();
    EXPECT(nacre_transport_rekey(both.client, SOON, NULL), NACRE_ERR_TIMEOUT);
    EXPECT_TOOK(begun, 140, 10000);
    EQUAL(nacre_transport_is_active(both.client), 0);
    end_pair(&both);
    end_wire(&wire);
}

/* --- signs of life ----------------------------------------------------------------------------------------------- */

static void keepalive_settings(void)
{
    pair both = new_pair();
    int32_t interval = 7;
    uint32_t most = 7;
    OK(nacre_transport_keepalive(both.client, &interval, &most));
    EQUAL(interval, 0);
    EXPECT(nacre_transport_set_keepalive(both.client, -1, 3), NACRE_ERR_ARGUMENT);
    OK(nacre_transport_set_keepalive(both.client, 1234, 5));
    OK(nacre_transport_keepalive(both.client, &interval, &most));
    EQUAL(interval, 1234);
    EQUAL(most, 5);
    end_pair(&both);
}
/* The peer answers: it lives on, and questions were asked. */
static void alive(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel, *far_end;
    char byte;
    size_t n = 0;
    pair both = connected_pair(&callbacks);
    open_both(&both, &channel, &far_end);
    nacre_negotiated before = NACRE_INIT(nacre_negotiated), after = NACRE_INIT(nacre_negotiated);
    OK(nacre_transport_negotiated(both.client, &before));
    OK(nacre_transport_set_keepalive(both.client, 40, 2));
    EXPECT(nacre_channel_read(channel, &byte, 1, 500, &n), NACRE_ERR_AGAIN);
    OK(nacre_transport_negotiated(both.client, &after));
    CHECK(after.packets_out >= before.packets_out + 3 && after.packets_out <= before.packets_out + 13);
    CHECK(after.packets_in >= before.packets_in + 3);
    EQUAL(nacre_transport_is_active(both.client), 1);
    /* 0 switches it off. */
    OK(nacre_transport_set_keepalive(both.client, 0, 0));
    OK(nacre_transport_negotiated(both.client, &before));
    EXPECT(nacre_channel_read(channel, &byte, 1, 150, &n), NACRE_ERR_AGAIN);
    OK(nacre_transport_negotiated(both.client, &after));
    CHECK(after.packets_out <= before.packets_out + 1);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* A dead peer is found, also by who only reads. */
static void dead(int by_reading, int writes_first)
{
    relay wire;
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel, *far_end;
    static unsigned char buf[65536];
    size_t n = 0;
    pair both = new_wired_pair(&wire);
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    open_both(&both, &channel, &far_end);
    /* Nothing is read any more on the way, so that nothing can be sent at last. */
    hold(&wire, 0, 1);
    hold(&wire, 1, 1);
    if (writes_first) {
        nacre_status status;
        do {
            status = nacre_channel_write(channel, buf, sizeof buf, 0, &n);
        } while (status == NACRE_OK);
        EXPECT(status, NACRE_ERR_AGAIN);
    }
    int64_t begun = now_ms();
    OK(nacre_transport_set_keepalive(both.client, 60, 3));
    if (by_reading) {
        EXPECT(nacre_channel_read(channel, buf, 1, SOON, &n), NACRE_ERR_TIMEOUT);
        EQUAL(n, 0);
    } else {
        EXPECT(ended_with(&both, both.client), NACRE_ERR_TIMEOUT);
        EXPECT(nacre_channel_read(channel, buf, 1, SOON, &n), NACRE_ERR_TIMEOUT);
    }
    EXPECT_TOOK(begun, 120, 10000);
    EXPECT(nacre_channel_write(channel, buf, 1, SOON, &n), NACRE_ERR_TIMEOUT);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
    end_wire(&wire);
}
static void dead_peer(void)
{
    dead(1, 0);
    dead(0, 0);
}
static void dead_peer_that_reads_nothing(void)
{
    dead(1, 1);
    dead(0, 1);
}
/* 0 questions: asks, and never gives up. */
static void patient(void)
{
    relay wire;
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel, *far_end;
    char byte;
    size_t n = 0;
    pair both = new_wired_pair(&wire);
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    open_both(&both, &channel, &far_end);
    hold(&wire, 1, 1);
    OK(nacre_transport_set_keepalive(both.client, 20, 0));
    EXPECT(nacre_channel_read(channel, &byte, 1, 300, &n), NACRE_ERR_AGAIN);
    EQUAL(nacre_transport_is_active(both.client), 1);
    hold(&wire, 1, 0);
    write_text(far_end, "back");
    read_text(channel, "back");
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
    end_wire(&wire);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* An orderly end to a peer that reads nothing is over after the close limit. */
static void slow_close(void)
{
    relay wire;
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel, *far_end;
    static unsigned char buf[65536];
    size_t n = 0;
    nacre_status status;
    pair both = new_wired_pair(&wire);
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_CLOSE, 200));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    open_both(&both, &channel, &far_end);
    hold(&wire, 0, 1);
    do {
        status = nacre_channel_write(channel, buf, sizeof buf, 0, &n);
    } while (status == NACRE_OK);
    EXPECT(status, NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_flush(both.client, 30), NACRE_ERR_AGAIN);
    int64_t begun = now_ms();
    OK(nacre_transport_close(both.client));
    EXPECT_TOOK(begun, 0, 150);
    EXPECT(nacre_channel_write(channel, buf, 1, SOON, &n), NACRE_ERR_CLOSED);
    (void)ended_with(&both, both.client);
    EXPECT_TOOK(begun, 150, 10000);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    nacre_transport_free(both.client);
    nacre_transport_free(both.server);
    end_engine(both.engine);
    end_wire(&wire);
}
/* What was written before the close arrives, though the peer reads only later. */
static void close_sends_what_is_queued(void)
{
    relay wire;
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel, *far_end;
    static unsigned char buf[400000];
    size_t n = 0, written = 0, read = 0;
    nacre_status status;
    pair both = new_wired_pair(&wire);
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    open_both(&both, &channel, &far_end);
    hold(&wire, 0, 1);
    pattern(buf, sizeof buf, 0, 4);
    while (written < sizeof buf &&
           (status = nacre_channel_write(channel, buf + written, sizeof buf - written, 0, &n)) == NACRE_OK)
        written += n;
    CHECK(written > 100000);
    OK(nacre_transport_close(both.client));
    hold(&wire, 0, 0);
    while ((status = nacre_channel_read(far_end, buf, sizeof buf, SOON, &n)) == NACRE_OK) {
        check_pattern(buf, n, read, 4);
        read += n;
    }
    EXPECT(status, NACRE_ERR_EOF);
    EQUAL(read, written);
    EXPECT(ended_with(&both, both.server), NACRE_ERR_DISCONNECTED);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
    end_wire(&wire);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(silent_server);
    RUN(silent_client);
    RUN(no_login);
    RUN(no_answer_to_a_login);
    RUN(no_answer_to_an_open);
    RUN(no_answer_to_a_rekey);
    RUN(keepalive_settings);
    RUN(alive);
    RUN(dead_peer);
    RUN(dead_peer_that_reads_nothing);
    RUN(patient);
    RUN(slow_close);
    RUN(close_sends_what_is_queued);
    return 0;
}
