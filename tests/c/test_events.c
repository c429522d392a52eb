/* Everything without waiting and without a callback: numbers of operations, events, descriptors that tell of them. */
#include "common.h"

/* --- one loop over both ends ------------------------------------------------------------------------------- */

/* Waits until something happened: in the engine, or on its threads. */
static void turn(nacre_engine *engine, int32_t fd)
{
    if (with_threads) {
        CHECK(is_readable_within(fd, SOON));
    } else {
        int32_t engine_fd = -1;
        OK(nacre_engine_fd(engine, &engine_fd));
        CHECK(is_readable_within(engine_fd, SOON));
        nacre_status status = nacre_engine_dispatch(engine, 0);
        CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
    }
}
/* The next event of either end. */
static nacre_event any_event(nacre_engine *engine)
{
    nacre_event event = NACRE_INIT(nacre_event);
    int64_t until = now_ms() + SOON;
    int32_t fd = -1;
    nacre_status status;
    OK(nacre_engine_event_fd(engine, &fd));
    while ((status = nacre_engine_next_event(engine, &event)) == NACRE_ERR_AGAIN) {
        if (now_ms() > until) FAIL("no event came");
        turn(engine, fd);
    }
    OK(status);
    CHECK(event.transport != NULL);
    return event;
}
/* The event that ends this operation; nothing else comes. */
static nacre_event end_of(pair *both, uint64_t op, nacre_event_kind kind)
{
    nacre_event event = next_event(both->engine, both->client);
    if (event.kind != kind || event.op != op)
        FAIL("an event of kind %d, operation %llu", (int)event.kind, (unsigned long long)event.op);
    /* Nothing comes with it that would have to be freed. */
    CHECK(event.message == NULL && event.ticket == NULL);
    return event;
}
/* Drives for a moment an engine that has no threads. */
static void settle(nacre_engine *engine)
{
    for (int i = 0; i < 20 && !with_threads; i++) {
        nacre_status status = nacre_engine_dispatch(engine, 0);
        CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
        pause_ms(1);
    }
}
static void expect_no_event(pair *both, nacre_transport *transport)
{
    nacre_event event = NACRE_INIT(nacre_event);
    int32_t fd = -1;
    settle(both->engine);
    OK(nacre_transport_event_fd(transport, &fd));
    CHECK(!is_readable_within(fd, with_threads ? 20 : 0));
    event.op = 12345;
    EXPECT(nacre_transport_next_event(transport, &event), NACRE_ERR_AGAIN);
}

/* --- a whole session with timeout 0 ------------------------------------------------------------------------- */

static void without_waiting(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_host_key_check check = right_host_key();
    nacre_channel *channel = NULL, *far_end = NULL;
    uint64_t ops[8] = {0};
    int user = 0, channel_user = 0;
    size_t n = 0;
    char text[64] = "";
    pair both = new_pair();
    OK(nacre_transport_set_userdata(both.client, &user, NULL));
    CHECK(nacre_transport_userdata(both.client) == &user);

    EXPECT(nacre_transport_start_server(both.server, &callbacks, 0, &ops[0]), NACRE_ERR_AGAIN);
    CHECK(ops[0] != 0);
    OK(nacre_transport_set_host_key_check(both.client, &check));
    EXPECT(nacre_transport_start_client(both.client, 0, &ops[1]), NACRE_ERR_AGAIN);
    CHECK(ops[1] != 0);
    /* Not two at a time. */
    uint64_t second = 77;
    EXPECT(nacre_transport_start_client(both.client, 0, &second), NACRE_ERR_STATE);
    EQUAL(second, 0);
    nacre_event event = end_of(&both, ops[1], NACRE_EVENT_NEGOTIATED);
    OK(event.status);
    CHECK(event.transport_userdata == &user && event.channel == NULL && event.channel_userdata == NULL);
    CHECK(event.message == NULL && event.ticket == NULL);
    event = next_event(both.engine, both.server);
    EQUAL(event.kind, NACRE_EVENT_NEGOTIATED);
    EQUAL(event.op, ops[0]);
    OK(event.status);
    CHECK(event.transport_userdata == NULL);

    EXPECT(nacre_transport_auth_password(both.client, "tester", "guess", 0, 0, &ops[2]), NACRE_ERR_AGAIN);
    CHECK(ops[2] > ops[1]);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, 0, &second), NACRE_ERR_STATE);
    event = end_of(&both, ops[2], NACRE_EVENT_AUTH_RESULT);
    EXPECT(event.status, NACRE_ERR_AUTH_FAILED);
    nacre_error *error = NULL;
    OK(nacre_transport_take_error(both.client, ops[2], &error));
    EXPECT(nacre_error_status(error), NACRE_ERR_AUTH_FAILED);
    EXPECT_TEXT("publickey,password", nacre_error_auth_methods, error);
    nacre_error_free(error);
    error = NULL;
    EXPECT(nacre_transport_take_error(both.client, ops[2], &error), NACRE_ERR_NOT_FOUND);
    CHECK(error == NULL);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, 0, &ops[3]), NACRE_ERR_AGAIN);
    CHECK(ops[3] > ops[2]);
    event = end_of(&both, ops[3], NACRE_EVENT_AUTH_RESULT);
    OK(event.status);
    event = next_event(both.engine, both.server);
    EQUAL(event.kind, NACRE_EVENT_AUTHENTICATED);
    EQUAL(event.op, 0);
    EXPECT_TEXT("tester", nacre_transport_username, both.server);

    EXPECT(nacre_transport_accept(both.server, 0, &far_end), NACRE_ERR_AGAIN);
    CHECK(far_end == NULL);
    EXPECT(nacre_transport_open_session(both.client, 0, &channel, &ops[4]), NACRE_ERR_AGAIN);
    CHECK(channel != NULL);
    OK(nacre_channel_set_userdata(channel, &channel_user, NULL));
    /* Calls on a channel that is opening wait their turn. */
    EXPECT(nacre_channel_exec(channel, "x", 0, &ops[5]), NACRE_ERR_AGAIN);
    CHECK(ops[5] > ops[4]);
    EXPECT(nacre_channel_read(channel, text, sizeof text, 0, &n), NACRE_ERR_AGAIN);
    event = end_of(&both, ops[4], NACRE_EVENT_OPERATION_DONE);
    OK(event.status);
    CHECK(event.channel == channel && event.channel_userdata == &channel_user);
    event = end_of(&both, ops[5], NACRE_EVENT_OPERATION_DONE);
    OK(event.status);
    CHECK(event.channel == channel);
    event = next_event(both.engine, both.server);
    EQUAL(event.kind, NACRE_EVENT_CHANNEL_INCOMING);
    CHECK(event.channel != NULL);
    OK(nacre_transport_accept(both.server, 0, &far_end));
    CHECK(far_end == event.channel);

    OK(nacre_channel_write(far_end, "hello", 5, 0, &n));
    EQUAL(n, 5);
    event = next_event(both.engine, both.client);
    EQUAL(event.kind, NACRE_EVENT_CHANNEL_READABLE);
    CHECK(event.channel == channel && event.channel_userdata == &channel_user);
    OK(nacre_channel_read(channel, text, sizeof text, 0, &n));
    EQUAL(n, 5);
    CHECK(memcmp(text, "hello", 5) == 0);
    EXPECT(nacre_channel_read(channel, text, sizeof text, 0, &n), NACRE_ERR_AGAIN);

    /* The end of the command: EOF, exit status and CLOSE, an event each. */
    OK(nacre_channel_finish(far_end, 33));
    int readable = 0, exited = 0, closed = 0;
    while (!closed) {
        event = next_event(both.engine, both.client);
        CHECK(event.channel == channel);
        readable += event.kind == NACRE_EVENT_CHANNEL_READABLE;
        if (event.kind == NACRE_EVENT_CHANNEL_EXIT) {
            exited++;
            EQUAL(event.value, 33);
            OK(nacre_channel_close(channel));
        }
        closed += event.kind == NACRE_EVENT_CHANNEL_CLOSED;
    }
    EQUAL(exited, 1);
    CHECK(readable >= 1 && readable <= 3);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);

    EXPECT(nacre_transport_rekey(both.client, 0, &ops[6]), NACRE_ERR_AGAIN);
    event = end_of(&both, ops[6], NACRE_EVENT_OPERATION_DONE);
    OK(event.status);
    nacre_message *reply = (nacre_message *)&callbacks;
    EXPECT(nacre_transport_global_request(both.client, "unknown@test", NULL, 0, 1, 0, &reply, &ops[7]),
           NACRE_ERR_AGAIN);
    CHECK(reply == NULL);
    event = end_of(&both, ops[7], NACRE_EVENT_OPERATION_DONE);
    EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);

    /* The last event says that it is over, and nothing follows. */
    OK(nacre_transport_disconnect(both.server, 11, "enough"));
    event = next_event(both.engine, both.client);
    EQUAL(event.kind, NACRE_EVENT_DISCONNECTED);
    EXPECT(event.status, NACRE_ERR_DISCONNECTED);
    expect_no_event(&both, both.client);
    end_pair(&both);
}

/* connect is one operation with one event. */
static void connect_is_one_operation(void)
{
    nacre_server_callbacks callbacks = accepting();
    uint64_t op = 0;
    pair both = served_pair(&callbacks);
    EXPECT(log_in(both.client, 0, &op), NACRE_ERR_AGAIN);
    CHECK(op != 0);
    nacre_event event = end_of(&both, op, NACRE_EVENT_AUTH_RESULT);
    OK(event.status);
    EQUAL(nacre_transport_is_authenticated(both.client), 1);
    expect_no_event(&both, both.client);
    end_pair(&both);
}
/* An operation whose number nobody wanted leaves neither event nor error. */
static void unwanted(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = NULL, *far_end = NULL;
    pair both = connected_pair(&callbacks);
    EXPECT(nacre_transport_open_session(both.client, 0, &channel, NULL), NACRE_ERR_AGAIN);
    EXPECT(nacre_channel_exec(channel, "x", 0, NULL), NACRE_ERR_AGAIN);
    EXPECT(nacre_channel_request(channel, "refused@test", NULL, 0, 1, 0, NULL), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, 0, NULL, NULL), NACRE_ERR_AGAIN);
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    /* All of it is over when this reply is here. */
    EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, SOON, NULL, NULL),
           NACRE_ERR_REQUEST_DENIED);
    EXPECT(nacre_channel_request(channel, "last@test", NULL, 0, 1, SOON, NULL), NACRE_ERR_REQUEST_DENIED);
    expect_no_event(&both, both.client);
    /* It did take place. */
    write_text(far_end, "open");
    read_text(channel, "open");
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* A call that waited and got its result leaves no event, and its number names its error. */
static void waited_for(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = NULL, *far_end = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    nacre_error *error = NULL;
    pair both = connected_pair(&callbacks);
    OK(nacre_transport_open_session(both.client, SOON, &channel, &op));
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    EXPECT(nacre_channel_request(channel, "refused@test", NULL, 0, 1, SOON, &op), NACRE_ERR_REQUEST_DENIED);
    CHECK(op != 0);
    OK(nacre_channel_take_error(channel, op, &error));
    EXPECT(nacre_error_status(error), NACRE_ERR_REQUEST_DENIED);
    nacre_error_free(error);
    EXPECT(nacre_transport_wait(both.client, op, 0, &event), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_wait(both.client, 999999, 0, &event), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_cancel(both.client, 999999), NACRE_ERR_NOT_FOUND);
    expect_no_event(&both, both.client);

    /* nacre_transport_wait: out of order, with and without time. */
    uint64_t ops[4];
    for (int i = 0; i < 4; i++)
        EXPECT(nacre_channel_request(channel, "refused@test", NULL, 0, 1, 0, &ops[i]), NACRE_ERR_AGAIN);
    for (int i = 3; i >= 0; i--) {
        OK(nacre_transport_wait(both.client, ops[i], SOON, &event));
        EQUAL(event.op, ops[i]);
        EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
        EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);
        CHECK(event.channel == channel);
    }
    expect_no_event(&both, both.client);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}

/* --- cancelling --------------------------------------------------------------------------------------------- */

static nacre_ticket *held;
static nacre_decision hold_open(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                                const void *data, size_t len, nacre_ticket *ticket)
{
    (void)transport, (void)channel, (void)kind, (void)data, (void)len;
    __atomic_store_n(&held, ticket, __ATOMIC_RELEASE);
    ADD(*(int *)userdata, 1);
    return NACRE_DEFER;
}
static nacre_decision hold_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                   const nacre_request *request, nacre_ticket *ticket)
{
    (void)transport, (void)channel, (void)request;
    __atomic_store_n(&held, ticket, __ATOMIC_RELEASE);
    ADD(*(int *)userdata, 1);
    return NACRE_DEFER;
}
static void until_held(pair *both, int *asked, int count)
{
    int64_t until = now_ms() + SOON;
    while (COUNT(*asked) < count) {
        CHECK(now_ms() < until);
        if (with_threads) pause_ms(1);
        else (void)nacre_engine_dispatch(both->engine, 1000);
    }
}
static void cancel(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = NULL, *far_end = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    int asked = 0;
    callbacks.userdata = &asked;
    callbacks.channel_open = hold_open;
    callbacks.channel_request = hold_request;
    pair both = served_pair(&callbacks);
    EXPECT(log_in(both.client, 0, &op), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_cancel(both.client, op), NACRE_ERR_STATE);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    OK(event.status);
    EXPECT(nacre_transport_rekey(both.client, 0, &op), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_cancel(both.client, op), NACRE_ERR_STATE);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    OK(event.status);

    /* An opening that is granted late is undone. */
    EXPECT(nacre_transport_open_session(both.client, 0, &channel, &op), NACRE_ERR_AGAIN);
    until_held(&both, &asked, 1);
    OK(nacre_transport_cancel(both.client, op));
    EXPECT(nacre_transport_cancel(both.client, op), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_wait(both.client, op, 0, &event), NACRE_ERR_NOT_FOUND);
    OK(nacre_ticket_answer(held, NACRE_ACCEPT));
    nacre_ticket_free(held);
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    expect_eof(far_end);
    expect_no_event(&both, both.client);
    nacre_status status = nacre_channel_exec(channel, "x", SOON, NULL);
    CHECK(status == NACRE_ERR_CANCELLED || status == NACRE_ERR_CLOSED);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);

    /* Freeing the handle cancels too. */
    EXPECT(nacre_transport_open_session(both.client, 0, &channel, &op), NACRE_ERR_AGAIN);
    until_held(&both, &asked, 2);
    nacre_channel_free(channel);
    EXPECT(nacre_transport_wait(both.client, op, 0, &event), NACRE_ERR_NOT_FOUND);
    OK(nacre_ticket_answer(held, NACRE_ACCEPT));
    nacre_ticket_free(held);
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    expect_eof(far_end);
    nacre_channel_free(far_end);

    /* A request: its reply comes to nothing, and later ones keep their order. */
    EXPECT(nacre_transport_open_session(both.client, 0, &channel, &op), NACRE_ERR_AGAIN);
    until_held(&both, &asked, 3);
    OK(nacre_ticket_answer(held, NACRE_ACCEPT));
    nacre_ticket_free(held);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    OK(event.status);
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    EXPECT(nacre_channel_exec(channel, "one", 0, &op), NACRE_ERR_AGAIN);
    until_held(&both, &asked, 4);
    nacre_ticket *first = held;
    OK(nacre_transport_cancel(both.client, op));
    EXPECT(nacre_channel_exec(channel, "two", 0, &op), NACRE_ERR_AGAIN);
    until_held(&both, &asked, 5);
    OK(nacre_ticket_answer(held, NACRE_REJECT));
    nacre_ticket_free(held);
    OK(nacre_ticket_answer(first, NACRE_ACCEPT));
    nacre_ticket_free(first);
    event = end_of(&both, op, NACRE_EVENT_OPERATION_DONE);
    EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);
    expect_no_event(&both, both.client);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}

/* --- descriptors ---------------------------------------------------------------------------------------------- */

static void event_descriptors(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel, *far_end;
    nacre_event event = NACRE_INIT(nacre_event);
    int32_t client_fd = -1, again_fd = -1, server_fd = -1, engine_fd = -1;
    uint64_t op = 0;
    size_t n = 0;
    char text[64];
    pair both = connected_pair(&callbacks);
    open_both(&both, &channel, &far_end);
    OK(nacre_transport_event_fd(both.client, &client_fd));
    OK(nacre_transport_event_fd(both.client, &again_fd));
    EQUAL(client_fd, again_fd);
    OK(nacre_transport_event_fd(both.server, &server_fd));
    OK(nacre_engine_event_fd(both.engine, &engine_fd));
    CHECK(client_fd >= 0 && server_fd >= 0 && engine_fd >= 0);
    CHECK((fcntl(client_fd, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(engine_fd, F_GETFD) & FD_CLOEXEC) != 0);
    /* What the server has heard so far is taken: its login and its channel. */
    while (nacre_transport_next_event(both.server, &event) == NACRE_OK) free_event(&event);
    CHECK(!is_readable(server_fd) && !is_readable(client_fd) && !is_readable(engine_fd));

    /* One event: readable while it waits, again and again, and not after it was taken. */
    EXPECT(nacre_channel_exec(channel, "x", 0, &op), NACRE_ERR_AGAIN);
    if (with_threads) {
        CHECK(is_readable_within(client_fd, SOON));
    } else {
        while (!is_readable(client_fd)) OK(nacre_engine_dispatch(both.engine, SOON));
    }
    EVENTUALLY(is_readable(engine_fd));
    CHECK(is_readable(client_fd) && is_readable(client_fd) && is_readable(engine_fd));
    CHECK(!is_readable(server_fd));
    OK(nacre_engine_next_event(both.engine, &event));
    EQUAL(event.op, op);
    CHECK(event.transport == both.client);
    CHECK(!is_readable(client_fd) && !is_readable(engine_fd));

    /* nacre_transport_wait takes it too. */
    EXPECT(nacre_channel_exec(channel, "x", 0, &op), NACRE_ERR_AGAIN);
    if (with_threads) {
        CHECK(is_readable_within(client_fd, SOON));
    } else {
        while (!is_readable(client_fd)) OK(nacre_engine_dispatch(both.engine, SOON));
    }
    OK(nacre_transport_wait(both.client, op, 0, &event));
    CHECK(!is_readable(client_fd) && !is_readable(engine_fd));

    /* And cancelling, and freeing what they are of. */
    EXPECT(nacre_channel_exec(channel, "x", 0, &op), NACRE_ERR_AGAIN);
    if (with_threads) {
        CHECK(is_readable_within(client_fd, SOON));
    } else {
        while (!is_readable(client_fd)) OK(nacre_engine_dispatch(both.engine, SOON));
    }
    nacre_status status = nacre_transport_cancel(both.client, op);
    CHECK(status == NACRE_OK || status == NACRE_ERR_NOT_FOUND);
    if (status == NACRE_ERR_NOT_FOUND) OK(nacre_transport_next_event(both.client, &event));
    CHECK(!is_readable(client_fd) && !is_readable(engine_fd));
    write_text(far_end, "data");
    OK(nacre_channel_peek(channel, text, sizeof text, SOON, &n));
    CHECK(is_readable(client_fd) && is_readable(engine_fd));
    /* At most one of a kind waits for a channel. */
    write_text(far_end, "more");
    while (n < 8) {
        if (!with_threads) (void)nacre_engine_dispatch(both.engine, 10);
        OK(nacre_channel_readable(channel, &n));
    }
    OK(nacre_transport_next_event(both.client, &event));
    EQUAL(event.kind, NACRE_EVENT_CHANNEL_READABLE);
    CHECK(!is_readable(client_fd));
    write_text(far_end, "!");
    while (n < 9) {
        if (!with_threads) (void)nacre_engine_dispatch(both.engine, 10);
        OK(nacre_channel_readable(channel, &n));
    }
    CHECK(is_readable(client_fd));
    nacre_channel_free(channel);
    CHECK(!is_readable(client_fd));
    nacre_channel_free(far_end);
    nacre_transport_free(both.client);
    nacre_transport_free(both.server);
    end_engine(both.engine);
}
/* After a few timers nothing is left to do, and the descriptor says so. */
static void until_quiet(nacre_engine *engine, int32_t fd)
{
    int rounds = 0;
    while (is_readable_within(fd, 150)) {
        OK(nacre_engine_dispatch(engine, 0));
        CHECK(rounds++ < 20);
    }
    EXPECT(nacre_engine_dispatch(engine, 0), NACRE_ERR_AGAIN);
    EXPECT(nacre_engine_dispatch(engine, 20), NACRE_ERR_AGAIN);
}
/* The descriptor of an engine without threads: readable when dispatch has something to do, silent when not. */
static void engine_descriptor(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel, *far_end;
    int32_t fd = -1;
    int rounds = 0;
    size_t n = 0;
    char text[64];
    pair both = new_pair();
    if (with_threads) {
        EXPECT(nacre_engine_fd(both.engine, &fd), NACRE_ERR_STATE);
        EXPECT(nacre_engine_dispatch(both.engine, 0), NACRE_ERR_STATE);
        end_pair(&both);
        return;
    }
    OK(nacre_engine_fd(both.engine, &fd));
    EXPECT(nacre_engine_dispatch(both.engine, 0), NACRE_ERR_AGAIN);
    CHECK(!is_readable(fd));
    start_server(both.server, &callbacks);
    nacre_status status = log_in(both.client, 0, NULL);
    EXPECT(status, NACRE_ERR_AGAIN);
    while (!nacre_transport_is_authenticated(both.client)) {
        CHECK(is_readable_within(fd, SOON));
        status = nacre_engine_dispatch(both.engine, 0);
        CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
        CHECK(rounds++ < 10000);
    }
    open_both(&both, &channel, &far_end);
    nacre_event event = NACRE_INIT(nacre_event);
    settle(both.engine);
    while (nacre_engine_next_event(both.engine, &event) == NACRE_OK) free_event(&event);
    until_quiet(both.engine, fd);
    OK(nacre_channel_write(far_end, "text", 4, 0, &n));
    CHECK(is_readable_within(fd, SOON));
    OK(nacre_engine_dispatch(both.engine, 0));
    OK(nacre_channel_read(channel, text, sizeof text, 0, &n));
    EQUAL(n, 4);
    /* An event that waits counts too. */
    settle(both.engine);
    CHECK(is_readable(fd));
    while (nacre_engine_next_event(both.engine, &event) == NACRE_OK) free_event(&event);
    until_quiet(both.engine, fd);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* Writable: one event after a write took less than asked. */
static void writable_event(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = NULL, *far_end = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    static unsigned char buf[1 << 20];
    uint64_t written = 0, read = 0;
    size_t n = 0;
    nacre_status status;
    pair both = connected_pair(&callbacks);
    OK(nacre_transport_open_session_with(both.client, 65536, 16384, SOON, &channel, NULL));
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    while (nacre_transport_next_event(both.server, &event) == NACRE_OK) free_event(&event);
    pattern(buf, sizeof buf, 0, 8);
    do {
        status = nacre_channel_write(far_end, buf + written, sizeof buf - written, 0, &n);
        written += n;
        CHECK(written < sizeof buf);
    } while (status == NACRE_OK);
    EXPECT(status, NACRE_ERR_AGAIN);
    EQUAL(n, 0);
    CHECK(written >= 65536);
    expect_no_event(&both, both.server);
    int events = 0;
    static unsigned char in[1 << 20];
    while (read < sizeof buf) {
        status = nacre_channel_read(channel, in + read, sizeof in - read, with_threads ? 20 : 0, &n);
        CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
        read += n;
        if (!with_threads) (void)nacre_engine_dispatch(both.engine, 0);
        while (nacre_transport_next_event(both.server, &event) == NACRE_OK) {
            EQUAL(event.kind, NACRE_EVENT_CHANNEL_WRITABLE);
            CHECK(event.channel == far_end);
            events++;
            while (written < sizeof buf &&
                   nacre_channel_write(far_end, buf + written, sizeof buf - written, 0, &n) == NACRE_OK)
                written += n;
        }
    }
    CHECK(events >= 1);
    EQUAL(written, sizeof buf);
    CHECK(memcmp(in, buf, sizeof buf) == 0);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* Transports in turn: one that has much to tell does not silence the other. */
static void in_turn(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    int fds[2], of_first = 0, of_second = 0;
    pair both = connected_pair(&callbacks);
    socket_pair(fds);
    nacre_transport *second = transport_over(both.engine, fds[0]), *second_server = transport_over(both.engine, fds[1]);
    OK(nacre_transport_add_host_key(second_server, host_key()));
    start_server(second_server, &callbacks);
    OK(log_in(second, SOON, NULL));
    for (int i = 0; i < 20; i++) {
        EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, 0, NULL, &op), NACRE_ERR_AGAIN);
        EXPECT(nacre_transport_global_request(second, "x@test", NULL, 0, 1, 0, NULL, &op), NACRE_ERR_AGAIN);
    }
    EXPECT(nacre_transport_global_request(both.client, "x@test", NULL, 0, 1, SOON, NULL, NULL),
           NACRE_ERR_REQUEST_DENIED);
    EXPECT(nacre_transport_global_request(second, "x@test", NULL, 0, 1, SOON, NULL, NULL), NACRE_ERR_REQUEST_DENIED);
    for (int i = 0; i < 40; i++) {
        do {
            OK(nacre_engine_next_event(both.engine, &event));
            free_event(&event);
        } while (event.kind != NACRE_EVENT_OPERATION_DONE);
        CHECK(event.transport == both.client || event.transport == second);
        of_first += event.transport == both.client;
        of_second += event.transport == second;
        CHECK(of_first - of_second <= 2 && of_second - of_first <= 2);
    }
    EQUAL(of_first, 20);
    EQUAL(of_second, 20);
    nacre_transport_free(second);
    nacre_transport_free(second_server);
    end_pair(&both);
}
/* What was under way ends with the connection: an event each, then DISCONNECTED. */
static void ends_with_the_connection(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = NULL, *far_end = NULL;
    uint64_t ops[3];
    int asked = 0, ended = 0, readable = 0;
    callbacks.userdata = &asked;
    callbacks.channel_request = hold_request;
    pair both = connected_pair(&callbacks);
    open_both(&both, &channel, &far_end);
    EXPECT(nacre_channel_exec(channel, "a", 0, &ops[0]), NACRE_ERR_AGAIN);
    until_held(&both, &asked, 1);
    nacre_ticket *first = held;
    EXPECT(nacre_channel_exec(channel, "b", 0, &ops[1]), NACRE_ERR_AGAIN);
    until_held(&both, &asked, 2);
    OK(nacre_transport_disconnect(both.server, 11, "enough"));
    EXPECT(nacre_ticket_answer(held, NACRE_ACCEPT), NACRE_ERR_CLOSED);
    nacre_ticket_free(first);
    nacre_ticket_free(held);
    for (;;) {
        nacre_event event = next_event(both.engine, both.client);
        if (event.kind == NACRE_EVENT_DISCONNECTED) {
            EXPECT(event.status, NACRE_ERR_DISCONNECTED);
            break;
        }
        if (event.kind == NACRE_EVENT_OPERATION_DONE) {
            EQUAL(event.op, ops[ended]);
            EXPECT(event.status, NACRE_ERR_DISCONNECTED);
            ended++;
        } else {
            CHECK(event.kind == NACRE_EVENT_CHANNEL_READABLE || event.kind == NACRE_EVENT_CHANNEL_CLOSED);
            CHECK(event.channel == channel);
            readable += event.kind == NACRE_EVENT_CHANNEL_READABLE;
        }
    }
    EQUAL(ended, 2);
    EQUAL(readable, 1);
    expect_no_event(&both, both.client);
    EXPECT(nacre_channel_exec(channel, "c", 0, &ops[2]), NACRE_ERR_DISCONNECTED);
    expect_no_event(&both, both.client);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* close: the operations end with CLOSED, the last event is there. */
static void ends_with_close(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = NULL, *far_end = NULL;
    int asked = 0, ended = 0;
    uint64_t op = 0;
    callbacks.userdata = &asked;
    callbacks.channel_request = hold_request;
    pair both = connected_pair(&callbacks);
    open_both(&both, &channel, &far_end);
    EXPECT(nacre_channel_exec(channel, "a", 0, &op), NACRE_ERR_AGAIN);
    until_held(&both, &asked, 1);
    OK(nacre_transport_close(both.client));
    OK(nacre_transport_close(both.client));
    for (;;) {
        nacre_event event = next_event(both.engine, both.client);
        if (event.kind == NACRE_EVENT_DISCONNECTED) break;
        if (event.kind == NACRE_EVENT_OPERATION_DONE) {
            EQUAL(event.op, op);
            CHECK(event.status == NACRE_ERR_CLOSED);
            ended++;
        }
    }
    EQUAL(ended, 1);
    expect_no_event(&both, both.client);
    nacre_event event = event_of(both.engine, both.server, NACRE_EVENT_DISCONNECTED);
    EXPECT(event.status, NACRE_ERR_DISCONNECTED);
    nacre_ticket_free(held);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}

/* --- questions as events ---------------------------------------------------------------------------------------- */

/* What one loop knows of a session that has no function pointer. */
typedef struct loop {
    pair both;
    nacre_channel *channel, *far_end;
    uint64_t negotiate, login, open, exec;
    int stage, questions[16], exited, closed, banner;
    char output[64];
    size_t output_len;
} loop;

static void ask_server(loop *all, nacre_ticket *ticket, nacre_question kind)
{
    static const char *const prompts[] = {"Word: ", "Number: "};
    static const int32_t echo[] = {1, 0};
    static const char *const methods[] = {"keyboard-interactive"};
    nacre_request_kind request = 0;
    nacre_channel *channel = NULL;
    int32_t want_reply = 0;
    size_t n = 0;
    switch (kind) {
    case NACRE_QUESTION_ALLOWED_AUTHS:
        EXPECT_TEXT("tester", nacre_ticket_user, ticket);
        OK(nacre_transport_send_banner(all->both.server, "Hello"));
        OK(nacre_ticket_answer_texts(ticket, methods, 1));
        return;
    case NACRE_QUESTION_AUTH_INTERACTIVE:
        OK(nacre_ticket_answer_prompts(ticket, "name", "instruction", prompts, echo, 2));
        return;
    case NACRE_QUESTION_AUTH_INTERACTIVE_ANSWERS:
        EXPECT_TEXT("sesame", nacre_ticket_text, ticket, 0);
        EXPECT_TEXT("42", nacre_ticket_text, ticket, 1);
        OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
        return;
    case NACRE_QUESTION_CHANNEL_OPEN:
        EXPECT_TEXT("session", nacre_ticket_name, ticket);
        OK(nacre_ticket_channel(ticket, &all->far_end));
        OK(nacre_ticket_answer(ticket, NACRE_KEEP));
        return;
    case NACRE_QUESTION_CHANNEL_REQUEST:
        OK(nacre_ticket_request(ticket, &request, &want_reply));
        EQUAL(request, NACRE_REQUEST_EXEC);
        EQUAL(want_reply, 1);
        EXPECT_TEXT("who am i", nacre_ticket_text, ticket, 0);
        OK(nacre_ticket_channel(ticket, &channel));
        CHECK(channel == all->far_end);
        OK(nacre_channel_write(channel, "tester", 6, 0, &n));
        OK(nacre_channel_finish(channel, 4));
        OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
        return;
    default:
        FAIL("the server is asked a question of kind %d", (int)kind);
    }
}
static void ask_client(nacre_ticket *ticket, nacre_question kind)
{
    static const char *const answers[] = {"sesame", "42"};
    nacre_key *key = NULL;
    int32_t equal = 0, echo = 9;
    switch (kind) {
    case NACRE_QUESTION_HOST_KEY:
        OK(nacre_ticket_key(ticket, &key));
        OK(nacre_key_equal(key, host_key(), &equal));
        EQUAL(equal, 1);
        nacre_key_free(key);
        OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
        return;
    case NACRE_QUESTION_PROMPTS:
        EXPECT_TEXT("name", nacre_ticket_name, ticket);
        EXPECT_TEXT("Number: ", nacre_ticket_text, ticket, 1);
        OK(nacre_ticket_echo(ticket, 1, &echo));
        EQUAL(echo, 0);
        OK(nacre_ticket_answer_texts(ticket, answers, 2));
        return;
    default:
        FAIL("the client is asked a question of kind %d", (int)kind);
    }
}
/* Begins what comes next on the client. */
static void go_on(loop *all)
{
    switch (all->stage++) {
    case 0:
        EXPECT(nacre_transport_auth_interactive(all->both.client, "tester", NULL, NULL, NULL, NULL, 0, &all->login),
               NACRE_ERR_AGAIN);
        return;
    case 1:
        EXPECT(nacre_transport_open_session(all->both.client, 0, &all->channel, &all->open), NACRE_ERR_AGAIN);
        EXPECT(nacre_channel_exec(all->channel, "who am i", 0, &all->exec), NACRE_ERR_AGAIN);
        return;
    default:
        return;
    }
}
static void client_event(loop *all, nacre_event *event)
{
    size_t n = 0;
    switch (event->kind) {
    case NACRE_EVENT_NEGOTIATED:
        EQUAL(event->op, all->negotiate);
        OK(event->status);
        go_on(all);
        return;
    case NACRE_EVENT_BANNER:
        all->banner++;
        return;
    case NACRE_EVENT_AUTH_RESULT:
        EQUAL(event->op, all->login);
        OK(event->status);
        go_on(all);
        return;
    case NACRE_EVENT_OPERATION_DONE:
        CHECK(event->op == all->open || event->op == all->exec);
        OK(event->status);
        return;
    case NACRE_EVENT_CHANNEL_READABLE:
        while (nacre_channel_read(all->channel, all->output + all->output_len, sizeof all->output - all->output_len, 0,
                                  &n) == NACRE_OK)
            all->output_len += n;
        return;
    case NACRE_EVENT_CHANNEL_EXIT:
        EQUAL(event->value, 4);
        all->exited++;
        return;
    case NACRE_EVENT_CHANNEL_CLOSED:
        all->closed++;
        return;
    default:
        FAIL("the client gets an event of kind %d", (int)event->kind);
    }
}
/* A login and a command, both ends, without one function pointer. */
static void questions_as_events(void)
{
    loop all;
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    uint64_t op = 0;
    int authenticated = 0;
    memset(&all, 0, sizeof all);
    all.both = new_pair();
    check.flags = NACRE_HOST_KEY_ASK;
    OK(nacre_transport_set_questions(all.both.client, NACRE_AS_EVENTS));
    OK(nacre_transport_set_questions(all.both.server, NACRE_AS_EVENTS));
    EXPECT(nacre_transport_set_questions(all.both.server, 2), NACRE_ERR_ARGUMENT);
    OK(nacre_transport_set_host_key_check(all.both.client, &check));
    EXPECT(nacre_transport_start_server(all.both.server, NULL, 0, &op), NACRE_ERR_AGAIN);
    EXPECT(nacre_transport_start_client(all.both.client, 0, &all.negotiate), NACRE_ERR_AGAIN);
    while (!all.closed) {
        nacre_event event = any_event(all.both.engine);
        if (event.kind == NACRE_EVENT_QUESTION) {
            nacre_question kind = 0;
            CHECK(event.ticket != NULL);
            OK(nacre_ticket_kind(event.ticket, &kind));
            all.questions[kind]++;
            if (event.transport == all.both.server) ask_server(&all, event.ticket, kind);
            else ask_client(event.ticket, kind);
        } else {
            CHECK(event.ticket == NULL);
            if (event.transport == all.both.client) client_event(&all, &event);
            else authenticated += event.kind == NACRE_EVENT_AUTHENTICATED;
        }
        free_event(&event);
    }
    SAME(all.output, "tester");
    EQUAL(all.exited, 1);
    EQUAL(all.banner, 1);
    EQUAL(authenticated, 1);
    static const nacre_question asked[] = {
        NACRE_QUESTION_HOST_KEY,     NACRE_QUESTION_PROMPTS,      NACRE_QUESTION_ALLOWED_AUTHS,
        NACRE_QUESTION_AUTH_INTERACTIVE, NACRE_QUESTION_AUTH_INTERACTIVE_ANSWERS,
        NACRE_QUESTION_CHANNEL_OPEN, NACRE_QUESTION_CHANNEL_REQUEST};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) EQUAL(all.questions[asked[i]], 1);
    nacre_channel_free(all.channel);
    nacre_channel_free(all.far_end);
    end_pair(&all.both);
}
/* A QUESTION event whose ticket is freed refuses; one that nobody takes is refused with the connection. */
static void question_refused(void)
{
    pair both = new_pair();
    uint64_t op = 0;
    nacre_event event;
    OK(nacre_transport_set_questions(both.server, NACRE_AS_EVENTS));
    start_server(both.server, NULL);
    start_client(both.client);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, 0, &op), NACRE_ERR_AGAIN);
    event = event_of(both.engine, both.server, NACRE_EVENT_QUESTION);
    nacre_question kind = 0;
    OK(nacre_ticket_kind(event.ticket, &kind));
    EQUAL(kind, NACRE_QUESTION_ALLOWED_AUTHS);
    OK(nacre_ticket_answer(event.ticket, NACRE_ACCEPT));
    free_event(&event);
    event = event_of(both.engine, both.server, NACRE_EVENT_QUESTION);
    OK(nacre_ticket_kind(event.ticket, &kind));
    EQUAL(kind, NACRE_QUESTION_AUTH_PASSWORD);
    free_event(&event);
    event = end_of(&both, op, NACRE_EVENT_AUTH_RESULT);
    EXPECT(event.status, NACRE_ERR_AUTH_FAILED);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, 0, &op), NACRE_ERR_AGAIN);
    int32_t fd = -1;
    OK(nacre_transport_event_fd(both.server, &fd));
    if (with_threads) CHECK(is_readable_within(fd, SOON));
    else while (!is_readable(fd)) OK(nacre_engine_dispatch(both.engine, SOON));
    OK(nacre_transport_disconnect(both.client, 11, NULL));
    while (nacre_transport_is_active(both.server)) {
        if (with_threads) pause_ms(1);
        else (void)nacre_engine_dispatch(both.engine, SOON);
    }
    /* The question that nobody took is gone with the connection. */
    event = next_event(both.engine, both.server);
    EQUAL(event.kind, NACRE_EVENT_DISCONNECTED);
    end_pair(&both);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(without_waiting);
    RUN(connect_is_one_operation);
    RUN(unwanted);
    RUN(waited_for);
    RUN(cancel);
    RUN(event_descriptors);
    RUN(engine_descriptor);
    RUN(writable_event);
    RUN(in_turn);
    RUN(ends_with_the_connection);
    RUN(ends_with_close);
    RUN(questions_as_events);
    RUN(question_refused);
    return 0;
}
