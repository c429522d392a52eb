/*
 * The right call at the wrong time or with the wrong value: too early, too late, after close, twice; unknown values, missing
 * results, timeouts below -1, structs of other sizes, small buffers. (test_misuse.c has the NULL handles.)
 */
#include "ends.h"

static nacre_engine *engine;

/* --- too early --------------------------------------------------------------------------------------------------- */

static void before_the_start(void)
{
    pair both = new_pair(engine, engine);
    nacre_transport *client = both.client;
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    nacre_channel *channel = (nacre_channel *)&engine;
    nacre_message *message = (nacre_message *)&engine;
    nacre_key *key = (nacre_key *)&engine;
    nacre_error *err = (nacre_error *)&engine;
    nacre_event event = NACRE_INIT(nacre_event);
    char buf[256];
    size_t n = 0;
    uint64_t op = 77;
    EXPECT(nacre_transport_negotiated(client, &info), NACRE_ERR_STATE);
    EXPECT(nacre_transport_remote_host_key(client, &key), NACRE_ERR_NOT_FOUND);
    CHECK(key == NULL);
    EXPECT(nacre_transport_host_key(both.server, &key), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_username(client, buf, sizeof buf, &n), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_banner(client, buf, sizeof buf, &n), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_remote_version(client, buf, sizeof buf, &n), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_auth_methods(client, buf, sizeof buf, &n), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_take_error(client, 12345, &err), NACRE_ERR_NOT_FOUND);
    CHECK(err == NULL);
    EXPECT(nacre_transport_wait(client, 12345, SOON, &event), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_cancel(client, 12345), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_next_event(client, &event), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_auth_none(client, "u", SOON, &op), NACRE_ERR_STATE);
    EQUAL(op, 0);
    EXPECT(nacre_transport_auth_password(client, "u", "p", 0, SOON, &op), NACRE_ERR_STATE);
    EXPECT(nacre_transport_auth_publickey(client, "u", host_key(), SOON, &op), NACRE_ERR_STATE);
    EXPECT(nacre_transport_open_session(client, SOON, &channel, &op), NACRE_ERR_STATE);
    CHECK(channel == NULL && op == 0);
    EXPECT(nacre_transport_accept(client, 0, &channel), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_rekey(client, SOON, &op), NACRE_ERR_STATE);
    EXPECT(nacre_transport_global_request(client, "x", NULL, 0, 1, SOON, &message, &op), NACRE_ERR_STATE);
    CHECK(message == NULL);
    EXPECT(nacre_transport_trust_host_key(client), NACRE_ERR_STATE);
    EQUAL(nacre_transport_is_active(client), 0);
    EQUAL(nacre_transport_is_authenticated(client), 0);
    OK(nacre_transport_flush(client, 0));
    /* Nothing to check the host key with: before a byte is sent. */
    options.user = "tester";
    options.password = "secret";
    EXPECT(nacre_transport_connect(client, &options, SOON, &op), NACRE_ERR_ARGUMENT);
    EQUAL(op, 0);
    /* A server needs a host key, a private one. */
    nacre_transport_free(both.server);
    int fds[2];
    socket_pair(fds);
    OK(nacre_transport_from_fd(engine, fds[0], &both.server, NULL));
    EXPECT(nacre_transport_start_server(both.server, NULL, SOON, &op), NACRE_ERR_STATE);
    EQUAL(op, 0);
    unsigned char blob[256];
    OK(nacre_key_public_blob(host_key(), blob, sizeof blob, &n));
    OK(nacre_key_from_blob(blob, n, &key, NULL));
    EXPECT(nacre_transport_add_host_key(both.server, key), NACRE_ERR_ARGUMENT);
    nacre_key_free(key);
    struct pollfd silent = {fds[1], POLLIN, 0};
    EQUAL(poll(&silent, 1, 0), 0);
    close(fds[1]);
    free_pair(both);
}

static void before_the_login(void)
{
    pair both = new_pair(engine, engine);
    nacre_server_callbacks plain = plain_server();
    nacre_channel *channel = NULL;
    nacre_host_key_check any = NACRE_INIT(nacre_host_key_check);
    uint64_t op = 0;
    start_server(both.server, &plain);
    OK(nacre_transport_start_client(both.client, SOON, NULL));
    EQUAL(nacre_transport_is_active(both.client), 1);
    EQUAL(nacre_transport_is_authenticated(both.client), 0);
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, &op), NACRE_ERR_STATE);
    EXPECT(nacre_transport_global_request(both.client, "x", NULL, 0, 1, SOON, NULL, &op), NACRE_ERR_STATE);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, &op), NACRE_ERR_HOST_KEY);
    EXPECT(nacre_transport_start_client(both.client, SOON, &op), NACRE_ERR_STATE);
    EXPECT(nacre_transport_start_server(both.client, &plain, SOON, &op), NACRE_ERR_STATE);
    EXPECT(log_in(both.client, SOON, &op), NACRE_ERR_STATE);
    EXPECT(nacre_transport_add_host_key(both.server, host_key()), NACRE_ERR_STATE);
    EXPECT(nacre_transport_set_algorithms(both.client, NACRE_ALG_KEX, "curve25519-sha256"), NACRE_ERR_STATE);
    EXPECT(nacre_transport_auth_none(both.server, "u", SOON, &op), NACRE_ERR_STATE);
    any.flags = NACRE_HOST_KEY_ANY;
    OK(nacre_transport_set_host_key_check(both.client, &any));
    /* A second one at the same time. */
    EXPECT(nacre_transport_auth_password(both.client, "tester", "wrong", 0, 0, &op), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL), NACRE_ERR_STATE);
    EXPECT(nacre_transport_cancel(both.client, op), NACRE_ERR_STATE);
    nacre_event event = NACRE_INIT(nacre_event);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EXPECT(event.status, NACRE_ERR_AUTH_FAILED);
    EQUAL(event.kind, NACRE_EVENT_AUTH_RESULT);
    OK(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL));
    /* And then once more. */
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL), NACRE_ERR_STATE);
    EXPECT(nacre_transport_send_banner(both.server, "too late"), NACRE_ERR_STATE);
    EXPECT(nacre_transport_rekey(both.client, 0, &op), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_rekey(both.client, SOON, NULL), NACRE_ERR_STATE);
    EXPECT(nacre_transport_cancel(both.client, op), NACRE_ERR_STATE);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    OK(event.status);
    free_pair(both);
}

/* --- too late ------------------------------------------------------------------------------------------------------ */

static void expect_closed_channel(nacre_channel *channel)
{
    char buf[64];
    size_t n = 77;
    nacre_exit result = NACRE_INIT(nacre_exit);
    nacre_transport *transport = NULL;
    uint32_t id = 0;
    uint64_t op = 77;
    for (int round = 0; round < 2; round++) {
        int32_t timeout = round ? SOON : 0;
        n = 77;
        EXPECT(nacre_channel_read(channel, buf, sizeof buf, timeout, &n), NACRE_ERR_CLOSED);
        EQUAL(n, 0);
        EXPECT(nacre_channel_read_stderr(channel, buf, sizeof buf, timeout, &n), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_peek(channel, buf, sizeof buf, timeout, &n), NACRE_ERR_CLOSED);
        n = 77;
        EXPECT(nacre_channel_write(channel, "x", 1, timeout, &n), NACRE_ERR_CLOSED);
        EQUAL(n, 0);
        EXPECT(nacre_channel_write_stderr(channel, "x", 1, timeout, &n), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_write_all(channel, "x", 1, timeout, &n), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_write_all_stderr(channel, "x", 1, timeout, &n), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_wait_exit(channel, timeout, &result), NACRE_ERR_CLOSED);
        op = 77;
        EXPECT(nacre_channel_exec(channel, "x", timeout, &op), NACRE_ERR_CLOSED);
        EQUAL(op, 0);
        EXPECT(nacre_channel_shell(channel, timeout, &op), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_subsystem(channel, "x", timeout, &op), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_pty(channel, "x", 1, 1, 0, 0, NULL, 0, timeout, &op), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_env(channel, "x", "y", timeout, &op), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_send_break(channel, 1, timeout, &op), NACRE_ERR_CLOSED);
        EXPECT(nacre_channel_request(channel, "x", NULL, 0, 1, timeout, &op), NACRE_ERR_CLOSED);
    }
    EXPECT(nacre_channel_request(channel, "x", NULL, 0, 0, 0, NULL), NACRE_ERR_CLOSED);
    EXPECT(nacre_channel_resize(channel, 1, 1, 0, 0), NACRE_ERR_CLOSED);
    EXPECT(nacre_channel_send_signal(channel, "TERM"), NACRE_ERR_CLOSED);
    EXPECT(nacre_channel_send_exit_status(channel, 1), NACRE_ERR_CLOSED);
    EXPECT(nacre_channel_send_exit_signal(channel, "TERM", 0, NULL), NACRE_ERR_CLOSED);
    EXPECT(nacre_channel_finish(channel, 1), NACRE_ERR_CLOSED);
    EXPECT(nacre_channel_send_eof(channel), NACRE_ERR_CLOSED);
    /* What tells of it still does, and closing twice is no mistake. */
    OK(nacre_channel_close(channel));
    OK(nacre_channel_id(channel, &id));
    OK(nacre_channel_describe(channel, buf, sizeof buf, &n) == NACRE_ERR_BUFFER ? NACRE_OK : NACRE_OK);
    OK(nacre_channel_transport(channel, &transport));
    CHECK(transport != NULL);
    nacre_transport_free(transport);
    OK(nacre_channel_writable(channel, &n));
    EQUAL(n, 0);
    OK(nacre_channel_readable(channel, &n));
    EQUAL(n, 0);
}

static void after_close(void)
{
    for (int by = 0; by < 2; by++) {
        pair both = connected_pair(engine);
        nacre_channel *near_end, *far_end, *channel = NULL;
        nacre_event event = NACRE_INIT(nacre_event);
        uint64_t op = 0;
        open_both(both, &near_end, &far_end);
        if (by == 0) {
            OK(nacre_channel_close(near_end));
            expect_closed_channel(near_end);
            /* Once the peer's CLOSE came it is no other. */
            size_t n = 0;
            char byte;
            nacre_status status = nacre_channel_read(far_end, &byte, 1, SOON, &n);
            EXPECT(status, NACRE_ERR_EOF);
            int64_t until = now_ms() + SOON;
            nacre_channel_state state = NACRE_INIT(nacre_channel_state);
            do {
                CHECK(now_ms() < until);
                EXPECT(nacre_transport_accept(both.client, 1, &channel), NACRE_ERR_AGAIN);
                status = nacre_channel_info(near_end, &state);
            } while (status == NACRE_OK && !state.closed);
            expect_closed_channel(near_end);
            /* The connection lives. */
            nacre_channel *other_near, *other_far;
            open_both(both, &other_near, &other_far);
            talk(other_near, other_far);
            nacre_channel_free(other_near);
            nacre_channel_free(other_far);
        } else {
            OK(nacre_transport_close(both.client));
            expect_closed_channel(near_end);
            EXPECT(nacre_transport_open_session(both.client, SOON, &channel, &op), NACRE_ERR_CLOSED);
            CHECK(channel == NULL);
            EXPECT(nacre_transport_accept(both.client, SOON, &channel), NACRE_ERR_CLOSED);
            EXPECT(nacre_transport_rekey(both.client, SOON, &op), NACRE_ERR_CLOSED);
            EXPECT(nacre_transport_global_request(both.client, "x", NULL, 0, 1, SOON, NULL, &op), NACRE_ERR_CLOSED);
            EXPECT(nacre_transport_auth_none(both.client, "u", SOON, &op), NACRE_ERR_CLOSED);
            EXPECT(nacre_transport_start_client(both.client, SOON, &op), NACRE_ERR_CLOSED);
            EQUAL(nacre_transport_is_active(both.client), 0);
            EQUAL(nacre_transport_is_authenticated(both.client), 0);
            OK(nacre_transport_close(both.client));
            OK(nacre_transport_flush(both.client, SOON));
            EXPECT(nacre_transport_wait(both.client, 12345, SOON, &event), NACRE_ERR_NOT_FOUND);
        }
        nacre_channel_free(near_end);
        nacre_channel_free(far_end);
        free_pair(both);
    }
}

static void after_eof(void)
{
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    char byte;
    size_t n = 77;
    open_both(both, &near_end, &far_end);
    write_text(near_end, "last");
    OK(nacre_channel_send_eof(near_end));
    EXPECT(nacre_channel_write(near_end, "x", 1, SOON, &n), NACRE_ERR_STATE);
    EQUAL(n, 0);
    EXPECT(nacre_channel_write_all(near_end, "x", 1, SOON, &n), NACRE_ERR_STATE);
    read_text(far_end, "last");
    for (int i = 0; i < 3; i++) {
        n = 77;
        EXPECT(nacre_channel_read(far_end, &byte, 1, SOON, &n), NACRE_ERR_EOF);
        EQUAL(n, 0);
        EXPECT(nacre_channel_peek(far_end, &byte, 1, 0, &n), NACRE_ERR_EOF);
        EXPECT(nacre_channel_read_stderr(far_end, &byte, 1, SOON, &n), NACRE_ERR_EOF);
    }
    /* The other direction goes on. */
    write_text(far_end, "back");
    read_text(near_end, "back");
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

/* --- values --------------------------------------------------------------------------------------------------------- */

#define REFUSED(call) EXPECT(call, NACRE_ERR_ARGUMENT)

static void wrong_values(void)
{
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    char buf[64];
    size_t n = 0;
    int32_t fd = 77;
    uint64_t op = 77, value = 0;
    static const int32_t unknown[] = {INT32_MIN, -1, 0, 5, 99, INT32_MAX};
    open_both(both, &near_end, &far_end);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        int32_t wrong = unknown[i];
        REFUSED(nacre_channel_event_fd(near_end, wrong, &fd));
        EQUAL(fd, 77);
        if (wrong != 5) REFUSED(nacre_transport_get_algorithms(both.client, wrong, buf, sizeof buf, &n));
        if (wrong != 5) REFUSED(nacre_algorithms_available(wrong, buf, sizeof buf, &n));
        if (wrong != 5) REFUSED(nacre_transport_limit(both.client, wrong, &value));
        if (wrong != 5) REFUSED(nacre_transport_set_limit(both.client, wrong, 1));
        if (wrong != 5) REFUSED(nacre_engine_limit(engine, wrong, &value));
        if (wrong != 0) REFUSED(nacre_channel_set_stderr(near_end, wrong));
        if (wrong != 0) REFUSED(nacre_transport_set_questions(both.client, wrong));
        if (wrong != 0) REFUSED(nacre_channel_request(near_end, "x", NULL, 0, wrong, 0, NULL));
        if (wrong != 0) REFUSED(nacre_transport_global_request(both.client, "x", NULL, 0, wrong, 0, NULL, NULL));
        if (wrong != 0) REFUSED(nacre_channel_send_exit_signal(far_end, "TERM", wrong, NULL));
        if (wrong != 0) REFUSED(nacre_key_fingerprint(host_key(), wrong > 4 ? wrong : wrong - 7 * (wrong == -1), buf,
                                                      sizeof buf, &n));
    }
    REFUSED(nacre_transport_auth_password(both.client, "u", "p", 2, 0, NULL));
    REFUSED(nacre_transport_auth_password(both.client, NULL, "p", 0, 0, NULL));
    REFUSED(nacre_transport_auth_password(both.client, "u", NULL, 0, 0, NULL));
    REFUSED(nacre_transport_auth_publickey(both.client, "u", NULL, 0, NULL));
    REFUSED(nacre_channel_exec(near_end, NULL, 0, &op));
    EQUAL(op, 0);
    REFUSED(nacre_channel_env(near_end, NULL, "x", 0, NULL));
    REFUSED(nacre_channel_env(near_end, "x", NULL, 0, NULL));
    REFUSED(nacre_channel_subsystem(near_end, NULL, 0, NULL));
    REFUSED(nacre_channel_pty(near_end, NULL, 1, 1, 0, 0, NULL, 0, 0, NULL));
    REFUSED(nacre_channel_pty(near_end, "x", 1, 1, 0, 0, NULL, 5, 0, NULL));
    REFUSED(nacre_channel_send_signal(near_end, NULL));
    REFUSED(nacre_channel_request(near_end, NULL, NULL, 0, 0, 0, NULL));
    REFUSED(nacre_channel_request(near_end, "x", NULL, 3, 0, 0, NULL));
    REFUSED(nacre_transport_global_request(both.client, NULL, NULL, 0, 0, 0, NULL, NULL));
    REFUSED(nacre_channel_read(near_end, NULL, 10, 0, &n));
    REFUSED(nacre_channel_write(near_end, NULL, 10, 0, &n));
    REFUSED(nacre_transport_set_algorithms(both.client, NACRE_ALG_KEX, NULL));
    /* Missing results. */
    REFUSED(nacre_channel_id(near_end, NULL));
    REFUSED(nacre_channel_info(near_end, NULL));
    REFUSED(nacre_channel_transport(near_end, NULL));
    REFUSED(nacre_channel_event_fd(near_end, NACRE_CHANNEL_READ, NULL));
    REFUSED(nacre_channel_take_error(near_end, 0, NULL));
    REFUSED(nacre_channel_wait_exit(near_end, 0, NULL));
    REFUSED(nacre_channel_readable(near_end, NULL));
    REFUSED(nacre_channel_readable_stderr(near_end, NULL));
    REFUSED(nacre_channel_writable(near_end, NULL));
    REFUSED(nacre_transport_open_session(both.client, 0, NULL, NULL));
    REFUSED(nacre_transport_accept(both.client, 0, NULL));
    REFUSED(nacre_transport_next_event(both.client, NULL));
    REFUSED(nacre_transport_event_fd(both.client, NULL));
    REFUSED(nacre_transport_fd(both.client, NULL));
    REFUSED(nacre_transport_take_error(both.client, 0, NULL));
    REFUSED(nacre_transport_negotiated(both.client, NULL));
    REFUSED(nacre_transport_remote_host_key(both.client, NULL));
    REFUSED(nacre_transport_host_key(both.server, NULL));
    REFUSED(nacre_transport_limit(both.client, NACRE_LIMIT_LOGIN, NULL));
    REFUSED(nacre_engine_event_fd(engine, NULL));
    REFUSED(nacre_engine_next_event(engine, NULL));
    REFUSED(nacre_key_bits(host_key(), NULL));
    REFUSED(nacre_key_equal(host_key(), host_key(), NULL));
    REFUSED(nacre_key_equal(host_key(), NULL, &fd));
    /* None of this has hurt it, and n may be missing. */
    OK(nacre_channel_write_all(near_end, "fine", 4, SOON, NULL));
    read_text(far_end, "fine");
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

/* Every function with a timeout, on a handle that would have something to do. */
static void timeouts_below_minus_one(void)
{
    static const int32_t wrong[] = {-2, -1000, INT32_MIN};
    pair both = connected_pair(engine), fresh = new_pair(engine, engine);
    nacre_channel *near_end, *far_end, *channel = NULL;
    nacre_exit result = NACRE_INIT(nacre_exit);
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_server_callbacks plain = plain_server();
    nacre_poll_item item = NACRE_INIT(nacre_poll_item);
    const nacre_poll_item *items[1] = {&item};
    nacre_transport *transport = NULL;
    char buf[8];
    size_t n = 0;
    int32_t ready = 0;
    open_both(both, &near_end, &far_end);
    write_text(far_end, "xx");
    item.engine = engine;
    for (size_t i = 0; i < 3; i++) {
        int32_t ms = wrong[i];
        REFUSED(nacre_channel_read(near_end, buf, sizeof buf, ms, &n));
        REFUSED(nacre_channel_read_stderr(near_end, buf, sizeof buf, ms, &n));
        REFUSED(nacre_channel_peek(near_end, buf, sizeof buf, ms, &n));
        REFUSED(nacre_channel_write(near_end, "x", 1, ms, &n));
        REFUSED(nacre_channel_write_stderr(near_end, "x", 1, ms, &n));
        REFUSED(nacre_channel_write_all(near_end, "x", 1, ms, &n));
        REFUSED(nacre_channel_write_all_stderr(near_end, "x", 1, ms, &n));
        REFUSED(nacre_channel_flush(near_end, ms));
        REFUSED(nacre_channel_wait_exit(near_end, ms, &result));
        REFUSED(nacre_channel_exec(near_end, "x", ms, NULL));
        REFUSED(nacre_channel_shell(near_end, ms, NULL));
        REFUSED(nacre_channel_subsystem(near_end, "x", ms, NULL));
        REFUSED(nacre_channel_pty(near_end, "x", 1, 1, 0, 0, NULL, 0, ms, NULL));
        REFUSED(nacre_channel_env(near_end, "x", "y", ms, NULL));
        REFUSED(nacre_channel_send_break(near_end, 1, ms, NULL));
        REFUSED(nacre_channel_request(near_end, "x", NULL, 0, 1, ms, NULL));
        REFUSED(nacre_transport_open_session(both.client, ms, &channel, NULL));
        REFUSED(nacre_transport_open_session_with(both.client, 0, 0, ms, &channel, NULL));
        REFUSED(nacre_transport_accept(both.client, ms, &channel));
        REFUSED(nacre_transport_rekey(both.client, ms, NULL));
        REFUSED(nacre_transport_global_request(both.client, "x", NULL, 0, 1, ms, NULL, NULL));
        REFUSED(nacre_transport_wait(both.client, 1, ms, &event));
        REFUSED(nacre_transport_flush(both.client, ms));
        REFUSED(nacre_transport_start_client(fresh.client, ms, NULL));
        REFUSED(nacre_transport_start_server(fresh.server, &plain, ms, NULL));
        REFUSED(log_in(fresh.client, ms, NULL));
        REFUSED(nacre_transport_auth_none(fresh.client, "u", ms, NULL));
        REFUSED(nacre_transport_auth_password(fresh.client, "u", "p", 0, ms, NULL));
        REFUSED(nacre_transport_auth_publickey(fresh.client, "u", host_key(), ms, NULL));
        REFUSED(nacre_transport_auth_interactive(fresh.client, "u", NULL, NULL, NULL, NULL, ms, NULL));
        REFUSED(nacre_transport_dial(engine, "127.0.0.1:1", ms, &transport, NULL, NULL));
        REFUSED(nacre_engine_close(engine, ms));
        REFUSED(nacre_poll(items, 1, ms, &ready));
        if (!with_threads) REFUSED(nacre_engine_dispatch(engine, ms));
    }
    read_text(near_end, "xx");
    /* Nothing was begun. */
    start_server(fresh.server, &plain);
    OK(log_in(fresh.client, SOON, NULL));
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    free_pair(fresh);
}

/* --- structs ------------------------------------------------------------------------------------------------------------- */

#define LARGER(type)                                                                                                        \
    struct {                                                                                                                \
        type known;                                                                                                         \
        unsigned char more[24];                                                                                             \
    }

static void sizes_in(void)
{
    LARGER(nacre_engine_options) options;
    LARGER(nacre_server_callbacks) server;
    LARGER(nacre_client_callbacks) client;
    LARGER(nacre_host_key_check) check;
    LARGER(nacre_connect_options) login;
    nacre_engine *made = NULL;
    pair both = new_pair(engine, engine);
    memset(&options, 0, sizeof options);
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    memset(&check, 0, sizeof check);
    memset(&login, 0, sizeof login);
    /* Not set at all. */
    REFUSED(nacre_engine_new(&options.known, &made));
    CHECK(made == NULL);
    REFUSED(nacre_transport_start_server(both.server, &server.known, 0, NULL));
    REFUSED(nacre_transport_set_client_callbacks(both.client, &client.known));
    REFUSED(nacre_transport_set_host_key_check(both.client, &check.known));
    REFUSED(nacre_transport_connect(both.client, &login.known, 0, NULL));
    /* Larger, with something that this version cannot know. */
    options.known.size = sizeof options;
    server.known.size = sizeof server;
    client.known.size = sizeof client;
    check.known.size = sizeof check;
    login.known.size = sizeof login;
    options.more[23] = server.more[0] = client.more[7] = check.more[23] = login.more[1] = 1;
    check.known.flags = NACRE_HOST_KEY_ANY;
    EXPECT(nacre_engine_new(&options.known, &made), NACRE_ERR_UNSUPPORTED);
    EXPECT(nacre_transport_start_server(both.server, &server.known, 0, NULL), NACRE_ERR_UNSUPPORTED);
    EXPECT(nacre_transport_set_client_callbacks(both.client, &client.known), NACRE_ERR_UNSUPPORTED);
    EXPECT(nacre_transport_set_host_key_check(both.client, &check.known), NACRE_ERR_UNSUPPORTED);
    login.known.host_key_check = &check.known;
    EXPECT(nacre_transport_connect(both.client, &login.known, 0, NULL), NACRE_ERR_UNSUPPORTED);
    /* Larger, with zeros: the defaults of what is to come. */
    options.more[23] = server.more[0] = client.more[7] = check.more[23] = login.more[1] = 0;
    OK(nacre_engine_new(&options.known, &made));
    nacre_engine_free(made);
    OK(nacre_transport_set_client_callbacks(both.client, &client.known));
    server.known.auth_password = take_password;
    server.known.channel_open = take_channel;
    start_server(both.server, &server.known);
    login.known.user = "tester";
    login.known.password = "secret";
    OK(nacre_transport_connect(both.client, &login.known, SOON, NULL));
    free_pair(both);
    /* Smaller: what is missing has its default. */
    both = new_pair(engine, engine);
    server.known.size = offsetof(nacre_server_callbacks, channel_open);
    start_server(both.server, &server.known);
    check.known.size = offsetof(nacre_host_key_check, keys);
    login.known.size = offsetof(nacre_connect_options, callbacks);
    OK(nacre_transport_connect(both.client, &login.known, SOON, NULL));
    nacre_channel *channel = NULL;
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, NULL), NACRE_ERR_CHANNEL_REFUSED);
    free_pair(both);
}

static void sizes_out(void)
{
    LARGER(nacre_negotiated) info;
    LARGER(nacre_channel_state) state;
    LARGER(nacre_event) event;
    LARGER(nacre_exit) result;
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    open_both(both, &near_end, &far_end);
    memset(&info, 0, sizeof info);
    memset(&state, 0, sizeof state);
    memset(&event, 0, sizeof event);
    memset(&result, 0, sizeof result);
    REFUSED(nacre_transport_negotiated(both.client, &info.known));
    REFUSED(nacre_channel_info(near_end, &state.known));
    REFUSED(nacre_channel_wait_exit(near_end, 0, &result.known));
    REFUSED(nacre_transport_next_event(both.client, &event.known));
    REFUSED(nacre_transport_wait(both.client, 1, 0, &event.known));
    REFUSED(nacre_engine_next_event(engine, &event.known));
    info.known.size = sizeof info;
    state.known.size = sizeof state;
    info.more[3] = state.more[3] = 9;
    EXPECT(nacre_transport_negotiated(both.client, &info.known), NACRE_ERR_UNSUPPORTED);
    EXPECT(nacre_channel_info(near_end, &state.known), NACRE_ERR_UNSUPPORTED);
    CHECK(info.known.kex[0] == 0 && state.known.open == 0);
    info.more[3] = state.more[3] = 0;
    OK(nacre_transport_negotiated(both.client, &info.known));
    EQUAL(info.known.size, sizeof info);
    CHECK(strlen(info.known.kex) > 5 && strlen(info.known.cipher_in) > 5 && info.known.session_id_len >= 32);
    CHECK(strcmp(info.known.host_key, "ssh-ed25519") == 0 && info.known.strict_kex == 1 && info.known.rekeys == 0);
    OK(nacre_channel_info(near_end, &state.known));
    CHECK(state.known.open == 1 && state.known.opened_by_peer == 0 && state.known.closed == 0);
    CHECK(state.known.local_window > 0 && state.known.remote_max_packet > 0);
    /* Smaller: nothing is written behind what the caller knows of. */
    memset(&state, 0x55, sizeof state);
    state.known.size = offsetof(nacre_channel_state, open);
    OK(nacre_channel_info(near_end, &state.known));
    EQUAL(state.known.opened_by_peer, 0);
    EQUAL(state.known.open, 0x55555555);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

/* --- buffers --------------------------------------------------------------------------------------------------------------- */

typedef nacre_status (*transport_text)(const nacre_transport *, char *, size_t, size_t *);
typedef nacre_status (*channel_text)(const nacre_channel *, char *, size_t, size_t *);

static nacre_status text_of(int which, pair both, nacre_channel *channel, char *buf, size_t cap, size_t *needed)
{
    static const transport_text of_client[] = {nacre_transport_describe, nacre_transport_remote_version,
                                               nacre_transport_username};
    switch (which) {
    case 0:
    case 1:
    case 2: return of_client[which](both.client, buf, cap, needed);
    case 3: return nacre_transport_username(both.server, buf, cap, needed);
    case 4: return nacre_channel_kind(channel, buf, cap, needed);
    case 5: return nacre_channel_describe(channel, buf, cap, needed);
    case 6: return nacre_transport_get_algorithms(both.client, NACRE_ALG_KEX, buf, cap, needed);
    case 7: return nacre_algorithms_available(NACRE_ALG_CIPHER, buf, cap, needed);
    case 8: return nacre_key_public_line(host_key(), buf, cap, needed);
    default: return nacre_key_fingerprint(host_key(), NACRE_FINGERPRINT_SHA256, buf, cap, needed);
    }
}

static void buffers(void)
{
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    static char buf[4096];
    open_both(both, &near_end, &far_end);
    for (int which = 0; which < 10; which++) {
        static char step[32];
        size_t needed = 0, again = 0;
        snprintf(step, sizeof step, "buffers %d", which);
        test_step = step;
        EXPECT(text_of(which, both, near_end, NULL, 0, &needed), NACRE_ERR_BUFFER);
        CHECK(needed > 1 && needed < sizeof buf);
        memset(buf, 'x', sizeof buf);
        EXPECT(text_of(which, both, near_end, buf, needed - 1, &again), NACRE_ERR_BUFFER);
        EQUAL(again, needed);
        for (size_t i = 0; i < needed + 10; i++) CHECK(buf[i] == 'x');
        REFUSED(text_of(which, both, near_end, NULL, sizeof buf, &again));
        OK(text_of(which, both, near_end, buf, needed, &again));
        EQUAL(again, needed);
        EQUAL(strlen(buf) + 1, needed);
        EQUAL(buf[needed], 'x');
        OK(text_of(which, both, near_end, buf, sizeof buf, NULL));
    }
    OK(nacre_transport_username(both.server, buf, sizeof buf, NULL));
    CHECK(strcmp(buf, "tester") == 0);
    OK(nacre_channel_kind(far_end, buf, sizeof buf, NULL));
    CHECK(strcmp(buf, "session") == 0);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

/* A descriptor that is refused is left as it was. */
static void descriptors_are_left(void)
{
    nacre_transport *transport = NULL;
    nacre_error *err = NULL;
    int file = open("/dev/null", O_RDWR), closed;
    CHECK(file >= 0);
    closed = dup(file);
    close(closed);
    EXPECT(nacre_transport_from_fd(engine, closed, &transport, &err), NACRE_ERR_ARGUMENT);
    CHECK(err != NULL && transport == NULL);
    nacre_error_free(err);
    REFUSED(nacre_transport_from_fd(engine, INT32_MIN, &transport, NULL));
    int fds[2];
    socket_pair(fds);
    int flags = fcntl(fds[0], F_GETFL);
    REFUSED(nacre_transport_from_fd(engine, fds[0], NULL, NULL));
    EQUAL(fcntl(fds[0], F_GETFL), flags);
    CHECK(fcntl(fds[0], F_GETFD) >= 0);
    close(fds[0]);
    close(fds[1]);
    close(file);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    host_key();
    int fds = descriptors(), tasks = threads();
    engine = new_engine();
    RUN(before_the_start);
    RUN(before_the_login);
    RUN(after_close);
    RUN(after_eof);
    RUN(wrong_values);
    RUN(timeouts_below_minus_one);
    RUN(sizes_in);
    RUN(sizes_out);
    RUN(buffers);
    RUN(descriptors_are_left);
    end_engine(engine);
    EVENTUALLY(threads() == tasks);
    EVENTUALLY(descriptors() == fds);
    return 0;
}
