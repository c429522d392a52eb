/* Limits: what they allow, what the next one gets, and that things go on afterwards. */
#include "common.h"

static uint64_t limit_of(nacre_transport *transport, nacre_limit which)
{
    uint64_t value = 77;
    OK(nacre_transport_limit(transport, which, &value));
    return value;
}
static void defaults(void)
{
    static const struct {
        nacre_limit which;
        uint64_t value;
    } known[] = {
        {NACRE_LIMIT_HANDSHAKE, 30000},
        {NACRE_LIMIT_LOGIN, 120000},
        {NACRE_LIMIT_DECISION, 60000},
        {NACRE_LIMIT_OPEN, 60000},
        {NACRE_LIMIT_CLOSE, 10000},
        {NACRE_LIMIT_REKEY, 60000},
        {NACRE_LIMIT_MAX_PACKET, 262144},
        {NACRE_LIMIT_MAX_WINDOW, 8 << 20},
        {NACRE_LIMIT_CHANNELS, 1024},
        {NACRE_LIMIT_ACCEPT_QUEUE, 128},
        {NACRE_LIMIT_CHANNEL_QUEUE, 16 << 20},
        {NACRE_LIMIT_TRANSPORT_QUEUE, 64 << 20},
        {NACRE_LIMIT_AUTH_ATTEMPTS, 6},
        {NACRE_LIMIT_AUTH_REQUESTS, 1024},
        {NACRE_LIMIT_REQUESTS, 1024},
    };
    int fds[2];
    uint64_t value = 0;
    socket_pair(fds);
    nacre_engine *engine = new_engine();
    nacre_transport *first = transport_over(engine, fds[0]);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        EQUAL(limit_of(first, known[i].which), known[i].value);
        OK(nacre_engine_limit(engine, known[i].which, &value));
        EQUAL(value, known[i].value);
    }
    OK(nacre_transport_set_limit(first, NACRE_LIMIT_LOGIN, 5));
    EQUAL(limit_of(first, NACRE_LIMIT_LOGIN), 5);
    OK(nacre_engine_limit(engine, NACRE_LIMIT_LOGIN, &value));
    EQUAL(value, 120000);
    /* The engine's are those of transports that are made later. */
    OK(nacre_engine_set_limit(engine, NACRE_LIMIT_LOGIN, 99));
    OK(nacre_engine_set_limit(engine, NACRE_LIMIT_CHANNELS, 7));
    EQUAL(limit_of(first, NACRE_LIMIT_LOGIN), 5);
    nacre_transport *second = transport_over(engine, fds[1]);
    EQUAL(limit_of(second, NACRE_LIMIT_LOGIN), 99);
    EQUAL(limit_of(second, NACRE_LIMIT_CHANNELS), 7);
    EXPECT(nacre_transport_set_limit(first, 0, 1), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_set_limit(first, 999, 1), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_limit(first, -1, &value), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_engine_set_limit(engine, 999, 1), NACRE_ERR_ARGUMENT);
    nacre_transport_free(first);
    nacre_transport_free(second);
    end_engine(engine);
}

static void expect_refused(nacre_transport *client, uint32_t code)
{
    nacre_channel *channel = NULL;
    nacre_error *error = NULL;
    uint32_t told = 0;
    EXPECT(nacre_transport_open_session(client, SOON, &channel, NULL), NACRE_ERR_CHANNEL_REFUSED);
    CHECK(channel == NULL);
    OK(nacre_transport_take_error(client, 0, &error));
    OK(nacre_error_open_code(error, &told));
    EQUAL(told, code);
    nacre_error_free(error);
}
/* The third that nobody takes is refused with RESOURCE_SHORTAGE, and there is room again after accept. */
static void accept_queue(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channels[4], *taken[3], *none = NULL;
    pair both = connected_pair(&callbacks);
    OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_ACCEPT_QUEUE, 2));
    channels[0] = open_session(both.client);
    channels[1] = open_session(both.client);
    expect_refused(both.client, 4);
    OK(nacre_transport_accept(both.server, 0, &taken[0]));
    channels[2] = open_session(both.client);
    expect_refused(both.client, 4);
    OK(nacre_transport_accept(both.server, 0, &taken[1]));
    OK(nacre_transport_accept(both.server, 0, &taken[2]));
    EXPECT(nacre_transport_accept(both.server, 0, &none), NACRE_ERR_AGAIN);
    CHECK(none == NULL);
    /* In the order in which they were opened. */
    for (int i = 0; i < 3; i++) {
        char text[2] = {(char)('a' + i), 0};
        write_text(channels[i], text);
        read_text(taken[i], text);
    }
    for (int i = 0; i < 3; i++) {
        nacre_channel_free(channels[i]);
        nacre_channel_free(taken[i]);
    }
    /* One that the peer closes while it waits can still be taken, with what it brought. */
    channels[0] = open_session(both.client);
    write_text(channels[0], "short visit");
    nacre_channel_free(channels[0]);
    OK(nacre_transport_accept(both.server, SOON, &taken[0]));
    read_text(taken[0], "short visit");
    expect_eof(taken[0]);
    nacre_channel_free(taken[0]);
    end_pair(&both);
}
/* What waits for accept when the connection ends, or when the transport is freed, leaves nothing behind. */
static void accept_queue_at_the_end(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel, *none = NULL;
    pair both = connected_pair(&callbacks);
    channel = open_session(both.client);
    nacre_channel_free(channel);
    channel = open_session(both.client);
    OK(nacre_transport_disconnect(both.client, 11, NULL));
    nacre_channel_free(channel);
    nacre_event event = event_of(both.engine, both.server, NACRE_EVENT_DISCONNECTED);
    EXPECT(event.status, NACRE_ERR_DISCONNECTED);
    nacre_status status;
    while ((status = nacre_transport_accept(both.server, 0, &none)) == NACRE_OK) nacre_channel_free(none);
    EXPECT(status, NACRE_ERR_DISCONNECTED);
    end_pair(&both);
    both = connected_pair(&callbacks);
    channel = open_session(both.client);
    nacre_channel_free(channel);
    end_pair(&both);
}
static void channels(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *opened[3], *taken[3], *none = (nacre_channel *)&callbacks;
    pair both = new_pair();
    OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_CHANNELS, 2));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    for (int i = 0; i < 2; i++) open_both(&both, &opened[i], &taken[i]);
    expect_refused(both.client, 4);
    /* The ones that are there go on, and one that ends makes room. */
    write_text(opened[0], "still here");
    read_text(taken[0], "still here");
    nacre_channel_free(opened[0]);
    expect_eof(taken[0]);
    nacre_channel_free(taken[0]);
    open_both(&both, &opened[0], &taken[0]);
    for (int i = 0; i < 2; i++) {
        nacre_channel_free(opened[i]);
        nacre_channel_free(taken[i]);
    }
    end_pair(&both);

    /* The client's own limit. */
    both = new_pair();
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_CHANNELS, 2));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    for (int i = 0; i < 2; i++) open_both(&both, &opened[i], &taken[i]);
    EXPECT(nacre_transport_open_session(both.client, SOON, &none, NULL), NACRE_ERR_LIMIT);
    CHECK(none == NULL);
    nacre_channel_free(opened[1]);
    expect_eof(taken[1]);
    nacre_channel_free(taken[1]);
    nacre_status status;
    int64_t until = now_ms() + SOON;
    while ((status = nacre_transport_open_session(both.client, SOON, &opened[1], NULL)) == NACRE_ERR_LIMIT) {
        CHECK(now_ms() < until);
        if (with_threads) pause_ms(1);
        else (void)nacre_engine_dispatch(both.engine, 10);
    }
    OK(status);
    OK(nacre_transport_accept(both.server, SOON, &taken[1]));
    for (int i = 0; i < 2; i++) {
        nacre_channel_free(opened[i]);
        nacre_channel_free(taken[i]);
    }
    end_pair(&both);
}
/* 1,024 operations under way or unread, and one more when one was taken. */
static void operations(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t first = 0, op = 0, last = 0;
    int64_t until = now_ms() + SOON;
    int ended = 0;
    nacre_status status;
    pair both = connected_pair(&callbacks);
    for (int i = 0; i < 1024; i++) {
        EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, 0, NULL, &op), NACRE_ERR_AGAIN);
        if (i == 0) first = op;
        CHECK(op == first + (uint64_t)i);
    }
    last = op;
    op = 77;
    EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, 0, NULL, &op), NACRE_ERR_LIMIT);
    EQUAL(op, 0);
    /* All are answered; unread they still count. */
    OK(nacre_transport_wait(both.client, last, SOON, &event));
    EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);
    EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, 0, NULL, &op), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, 0, NULL, &last), NACRE_ERR_LIMIT);
    while (ended < 1024) {
        CHECK(now_ms() < until);
        status = nacre_transport_next_event(both.client, &event);
        if (status == NACRE_ERR_AGAIN) {
            if (with_threads) pause_ms(1);
            else (void)nacre_engine_dispatch(both.engine, 100);
            continue;
        }
        OK(status);
        EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);
        EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
        ended++;
    }
    /* Errors that nobody took are kept for the last 64. */
    nacre_error *error = NULL;
    int kept = 0;
    for (uint64_t number = first; number <= op; number++) {
        if (nacre_transport_take_error(both.client, number, &error) != NACRE_OK) continue;
        EXPECT(nacre_error_status(error), NACRE_ERR_REQUEST_DENIED);
        nacre_error_free(error);
        kept++;
    }
    EQUAL(kept, 64);
    EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, SOON, NULL, NULL),
           NACRE_ERR_REQUEST_DENIED);
    end_pair(&both);
}
static void auth_attempts(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_error *error = NULL;
    uint32_t code = 0;
    pair both = new_pair();
    OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_AUTH_ATTEMPTS, 3));
    start_server(both.server, &callbacks);
    start_client(both.client);
    /* Asking what may continue is no attempt. */
    EXPECT(nacre_transport_auth_none(both.client, "tester", SOON, NULL), NACRE_ERR_AUTH_METHOD);
    for (int i = 0; i < 2; i++)
        EXPECT(nacre_transport_auth_password(both.client, "tester", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "guess", 0, SOON, NULL), NACRE_ERR_DISCONNECTED);
    OK(nacre_transport_take_error(both.client, 0, &error));
    OK(nacre_error_disconnect_code(error, &code));
    CHECK(code == 14 || code == 2);
    nacre_error_free(error);
    EQUAL(nacre_transport_is_active(both.client), 0);
    nacre_event event = event_of(both.engine, both.server, NACRE_EVENT_DISCONNECTED);
    CHECK(event.status != NACRE_OK);
    end_pair(&both);
    /* The right one in time is right. */
    both = new_pair();
    OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_AUTH_ATTEMPTS, 3));
    start_server(both.server, &callbacks);
    start_client(both.client);
    for (int i = 0; i < 2; i++)
        EXPECT(nacre_transport_auth_password(both.client, "tester", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    OK(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL));
    end_pair(&both);
}
/* A channel takes only so much that it cannot send. */
static void channel_queue(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end = NULL, *far_end = NULL;
    static unsigned char buf[200000];
    size_t n = 0, written = 0, room = 0;
    nacre_status status;
    pair both = new_pair();
    OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_CHANNEL_QUEUE, 20000));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    OK(nacre_transport_open_session_with(both.client, 30000, 10000, SOON, &near_end, NULL));
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    pattern(buf, sizeof buf, 0, 5);
    do {
        status = nacre_channel_write(far_end, buf + written, sizeof buf - written, 0, &n);
        written += n;
    } while (status == NACRE_OK);
    EXPECT(status, NACRE_ERR_AGAIN);
    /* The window and the queue. */
    CHECK(written >= 45000 && written <= 50000);
    OK(nacre_channel_writable(far_end, &room));
    EQUAL(room, 0);
    /* write_all says how far it came. */
    EXPECT(nacre_channel_write_all(far_end, buf, 10, 0, &n), NACRE_ERR_AGAIN);
    EQUAL(n, 0);
    unsigned char *in = malloc(sizeof buf);
    read_exactly(near_end, in, written);
    check_pattern(in, written, 0, 5);
    size_t done = 0;
    status = nacre_channel_write_all(far_end, buf + written, sizeof buf - written, 50, &done);
    EXPECT(status, NACRE_ERR_AGAIN);
    CHECK(done > 0 && done < sizeof buf - written);
    read_exactly(near_end, in, done);
    check_pattern(in, done, written, 5);
    free(in);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* Much error output that nobody reads, then output. */
#define MUCH_STDERR (2u << 20)
static void *write_both(void *argument)
{
    nacre_channel *channel = argument;
    static unsigned char buf[65536];
    size_t n = 0;
    for (size_t done = 0; done < MUCH_STDERR; done += n) {
        pattern(buf, sizeof buf, done, 7);
        OK(nacre_channel_write_all_stderr(channel, buf, sizeof buf, SOON, &n));
        EQUAL(n, sizeof buf);
    }
    write_text(channel, "output");
    OK(nacre_channel_finish(channel, 6));
    return NULL;
}
/* A stream that nobody reads never stops the other one: beyond the limit it loses its rest, and says so. */
static void unread_stream(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end = NULL, *far_end = NULL;
    static unsigned char buf[65536];
    pthread_t thread;
    size_t n = 0, total = 0;
    nacre_status status;
    pair both = new_pair();
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_CHANNEL_QUEUE, 300000));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    OK(nacre_transport_open_session_with(both.client, 65536, 32768, SOON, &near_end, NULL));
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    CHECK(pthread_create(&thread, NULL, write_both, far_end) == 0);
    read_text(near_end, "output");
    CHECK(pthread_join(thread, NULL) == 0);
    expect_exit_status(near_end, 6);
    while ((status = nacre_channel_read_stderr(near_end, buf, sizeof buf, SOON, &n)) == NACRE_OK) {
        check_pattern(buf, n, total, 7);
        total += n;
    }
    EXPECT(status, NACRE_ERR_LIMIT);
    EQUAL(n, 0);
    CHECK(total >= 200000 && total <= 300000);
    EXPECT(nacre_channel_read(near_end, buf, sizeof buf, SOON, &n), NACRE_ERR_EOF);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(defaults);
    RUN(accept_queue);
    RUN(accept_queue_at_the_end);
    RUN(channels);
    RUN(operations);
    RUN(auth_attempts);
    RUN(channel_queue);
    RUN(unread_stream);
    return 0;
}
