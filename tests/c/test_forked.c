/*
 * Every function in a forked child, while the parent's threads hold locks; what the child closes, what the parent keeps,
 * and the child that goes on. (test_fork.c is the short form of it.)
 */
#include "ends.h"

static const char *program;
static nacre_engine *engine;
static pair both;
static nacre_channel *near_end, *far_end;
/* The one with the request: what its server writes waits for the answer. */
static nacre_channel *asking, *asked;
static nacre_ticket *ticket;
static uint64_t under_way;
static nacre_host_key_check any_key = NACRE_INIT(nacre_host_key_check);

static nacre_decision defer_env(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                const nacre_request *request, nacre_ticket *asked)
{
    (void)userdata, (void)transport, (void)channel;
    if (request->kind != NACRE_REQUEST_ENV) return NACRE_ACCEPT;
    __atomic_store_n(&ticket, asked, __ATOMIC_RELEASE);
    return NACRE_DEFER;
}

/* A connection with a channel, and a request whose answer is deferred. */
static void set_up(void)
{
    nacre_server_callbacks callbacks = plain_server();
    nacre_event event = NACRE_INIT(nacre_event);
    callbacks.channel_request = defer_env;
    any_key.flags = NACRE_HOST_KEY_ANY;
    ticket = NULL;
    both = connected_pair_of(engine, engine, &callbacks);
    open_both(both, &near_end, &far_end);
    open_both(both, &asking, &asked);
    EXPECT(nacre_channel_env(asking, "a", "b", 0, &under_way), NACRE_ERR_AGAIN);
    while (__atomic_load_n(&ticket, __ATOMIC_ACQUIRE) == NULL)
        EXPECT(nacre_transport_wait(both.client, under_way, 5, &event), NACRE_ERR_AGAIN);
}
static void tear_down(void)
{
    nacre_event event = NACRE_INIT(nacre_event);
    /* What was under way before the fork ends as ever. */
    OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
    OK(nacre_transport_wait(both.client, under_way, SOON, &event));
    OK(event.status);
    talk(near_end, far_end);
    talk(asking, asked);
    nacre_ticket_free(ticket);
    nacre_channel_free(asking);
    nacre_channel_free(asked);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

static void expect_child(pid_t child)
{
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) FAIL("the child died of signal %d", WTERMSIG(status));
    EQUAL(WEXITSTATUS(status), 0);
}
static pid_t fork_child(void)
{
    fflush(stderr);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) watchdog(is_short_run() ? 120 : 20);
    return child;
}

#define FORKED(call) EXPECT(call, NACRE_ERR_FORKED)

static void engine_is_forked(void)
{
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_transport *transport = NULL;
    int32_t fd = -1;
    uint64_t value = 0;
    int fds[2];
    FORKED(nacre_engine_close(engine, -1));
    FORKED(nacre_engine_dispatch(engine, -1));
    FORKED(nacre_engine_fd(engine, &fd));
    FORKED(nacre_engine_event_fd(engine, &fd));
    FORKED(nacre_engine_next_event(engine, &event));
    FORKED(nacre_engine_wake(engine));
    FORKED(nacre_engine_ref(engine));
    FORKED(nacre_engine_set_limit(engine, NACRE_LIMIT_CHANNELS, 5));
    FORKED(nacre_engine_limit(engine, NACRE_LIMIT_CHANNELS, &value));
    FORKED(nacre_engine_set_userdata(engine, NULL, NULL));
    CHECK(nacre_engine_userdata(engine) == NULL);
    socket_pair(fds);
    FORKED(nacre_transport_from_fd(engine, fds[0], &transport, NULL));
    CHECK(transport == NULL && fcntl(fds[0], F_GETFD) >= 0);
    FORKED(nacre_transport_dial(engine, "127.0.0.1:1", -1, &transport, NULL, NULL));
    CHECK(transport == NULL);
    close(fds[0]);
    close(fds[1]);
}

static void transport_is_forked(nacre_transport *transport)
{
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    nacre_server_callbacks callbacks = plain_server();
    nacre_client_callbacks client = NACRE_INIT(nacre_client_callbacks);
    nacre_channel *channel = NULL;
    nacre_error *err = NULL;
    nacre_key *key = NULL;
    char buf[512];
    size_t n = 0;
    uint64_t op = 0;
    int32_t fd = -1;
    FORKED(nacre_transport_ref(transport));
    FORKED(nacre_transport_close(transport));
    FORKED(nacre_transport_disconnect(transport, 11, "x"));
    FORKED(nacre_transport_flush(transport, -1));
    FORKED(nacre_transport_fd(transport, &fd));
    FORKED(nacre_transport_take_error(transport, 0, &err));
    FORKED(nacre_transport_set_userdata(transport, NULL, NULL));
    CHECK(nacre_transport_userdata(transport) == NULL);
    FORKED(nacre_transport_describe(transport, buf, sizeof buf, &n));
    FORKED(nacre_transport_negotiated(transport, &info));
    FORKED(nacre_transport_remote_host_key(transport, &key));
    FORKED(nacre_transport_host_key(transport, &key));
    EQUAL(nacre_transport_is_active(transport), 0);
    EQUAL(nacre_transport_is_authenticated(transport), 0);
    FORKED(nacre_transport_username(transport, buf, sizeof buf, &n));
    FORKED(nacre_transport_banner(transport, buf, sizeof buf, &n));
    FORKED(nacre_transport_remote_version(transport, buf, sizeof buf, &n));
    FORKED(nacre_transport_auth_methods(transport, buf, sizeof buf, &n));
    FORKED(nacre_transport_set_host_key_check(transport, &any_key));
    FORKED(nacre_transport_trust_host_key(transport));
    FORKED(nacre_transport_set_client_callbacks(transport, &client));
    FORKED(nacre_transport_start_client(transport, -1, &op));
    FORKED(nacre_transport_start_server(transport, &callbacks, -1, &op));
    FORKED(log_in(transport, -1, &op));
    FORKED(nacre_transport_auth_none(transport, "u", -1, &op));
    FORKED(nacre_transport_auth_password(transport, "u", "p", 0, -1, &op));
    FORKED(nacre_transport_auth_publickey(transport, "u", host_key(), -1, &op));
    FORKED(nacre_transport_auth_interactive(transport, "u", NULL, NULL, NULL, NULL, -1, &op));
    FORKED(nacre_transport_next_event(transport, &event));
    FORKED(nacre_transport_event_fd(transport, &fd));
    FORKED(nacre_transport_wait(transport, under_way, -1, &event));
    FORKED(nacre_transport_cancel(transport, under_way));
    FORKED(nacre_transport_set_questions(transport, NACRE_AS_EVENTS));
    FORKED(nacre_transport_open_session(transport, -1, &channel, &op));
    FORKED(nacre_transport_open_session_with(transport, 0, 0, -1, &channel, &op));
    FORKED(nacre_transport_accept(transport, -1, &channel));
    CHECK(channel == NULL);
    FORKED(nacre_transport_rekey(transport, -1, &op));
    FORKED(nacre_transport_global_request(transport, "x", NULL, 0, 1, -1, NULL, &op));
    FORKED(nacre_transport_add_host_key(transport, host_key()));
    FORKED(nacre_transport_send_banner(transport, "hello"));
    FORKED(nacre_transport_set_algorithms(transport, NACRE_ALG_KEX, "curve25519-sha256"));
    FORKED(nacre_transport_get_algorithms(transport, NACRE_ALG_KEX, buf, sizeof buf, &n));
    FORKED(nacre_transport_set_default_window(transport, 100000, 30000));
    FORKED(nacre_transport_default_window(transport, NULL, NULL));
    FORKED(nacre_transport_set_limit(transport, NACRE_LIMIT_CHANNELS, 3));
    FORKED(nacre_transport_limit(transport, NACRE_LIMIT_CHANNELS, &op));
    FORKED(nacre_transport_set_rekey_limits(transport, 0, 0, 0));
    FORKED(nacre_transport_rekey_limits(transport, NULL, NULL, NULL));
    FORKED(nacre_transport_set_keepalive(transport, 1000, 0));
    FORKED(nacre_transport_keepalive(transport, NULL, NULL));
    EQUAL(op, 0);
}

static void channel_is_forked(nacre_channel *channel)
{
    nacre_channel_state state = NACRE_INIT(nacre_channel_state);
    nacre_exit result = NACRE_INIT(nacre_exit);
    nacre_poll_item item = NACRE_INIT(nacre_poll_item);
    const nacre_poll_item *items[1] = {&item};
    nacre_transport *transport = NULL;
    nacre_error *err = NULL;
    char buf[256];
    size_t n = 77;
    int32_t fd = -1;
    uint32_t id = 0;
    uint64_t op = 0;
    FORKED(nacre_channel_ref(channel));
    FORKED(nacre_channel_close(channel));
    FORKED(nacre_channel_id(channel, &id));
    FORKED(nacre_channel_info(channel, &state));
    FORKED(nacre_channel_kind(channel, buf, sizeof buf, &n));
    FORKED(nacre_channel_transport(channel, &transport));
    FORKED(nacre_channel_event_fd(channel, NACRE_CHANNEL_READ, &fd));
    FORKED(nacre_channel_wake(channel));
    FORKED(nacre_channel_take_error(channel, 0, &err));
    FORKED(nacre_channel_set_userdata(channel, NULL, NULL));
    CHECK(nacre_channel_userdata(channel) == NULL);
    FORKED(nacre_channel_describe(channel, buf, sizeof buf, &n));
    FORKED(nacre_channel_exec(channel, "x", -1, &op));
    FORKED(nacre_channel_shell(channel, -1, &op));
    FORKED(nacre_channel_subsystem(channel, "x", -1, &op));
    FORKED(nacre_channel_pty(channel, "vt100", 80, 24, 0, 0, NULL, 0, -1, &op));
    FORKED(nacre_channel_resize(channel, 80, 24, 0, 0));
    FORKED(nacre_channel_env(channel, "a", "b", -1, &op));
    FORKED(nacre_channel_send_signal(channel, "TERM"));
    FORKED(nacre_channel_send_break(channel, 10, -1, &op));
    FORKED(nacre_channel_send_exit_status(channel, 0));
    FORKED(nacre_channel_send_exit_signal(channel, "TERM", 0, NULL));
    FORKED(nacre_channel_finish(channel, 0));
    FORKED(nacre_channel_request(channel, "x", NULL, 0, 1, -1, &op));
    FORKED(nacre_channel_wait_exit(channel, -1, &result));
    FORKED(nacre_channel_exit_message(channel, buf, sizeof buf, &n));
    n = 77;
    FORKED(nacre_channel_read(channel, buf, sizeof buf, -1, &n));
    EQUAL(n, 0);
    FORKED(nacre_channel_read_stderr(channel, buf, sizeof buf, -1, &n));
    FORKED(nacre_channel_peek(channel, buf, sizeof buf, -1, &n));
    n = 77;
    FORKED(nacre_channel_write(channel, "x", 1, -1, &n));
    EQUAL(n, 0);
    FORKED(nacre_channel_write_stderr(channel, "x", 1, -1, &n));
    FORKED(nacre_channel_write_all(channel, "x", 1, -1, &n));
    FORKED(nacre_channel_write_all_stderr(channel, "x", 1, -1, &n));
    FORKED(nacre_channel_flush(channel, -1));
    FORKED(nacre_channel_readable(channel, &n));
    FORKED(nacre_channel_readable_stderr(channel, &n));
    FORKED(nacre_channel_writable(channel, &n));
    FORKED(nacre_channel_send_eof(channel));
    FORKED(nacre_channel_set_stderr(channel, NACRE_STDERR_DISCARD));
    item.channel = channel;
    item.what = NACRE_CHANNEL_READ;
    FORKED(nacre_poll(items, 1, -1, &fd));
    CHECK(transport == NULL && op == 0);
}

static void ticket_is_forked(void)
{
    const char *texts[1] = {"x"};
    FORKED(nacre_ticket_answer(ticket, NACRE_ACCEPT));
    FORKED(nacre_ticket_answer_texts(ticket, texts, 1));
    FORKED(nacre_ticket_answer_bytes(ticket, "x", 1));
    FORKED(nacre_ticket_answer_port(ticket, 1));
    FORKED(nacre_ticket_answer_prompts(ticket, NULL, NULL, NULL, NULL, 0));
    FORKED(nacre_ticket_answer_password_change(ticket, "x"));
    FORKED(nacre_ticket_answer_refuse(ticket, 1, "x"));
}

static void everything_is_forked(void)
{
    engine_is_forked();
    transport_is_forked(both.client);
    transport_is_forked(both.server);
    channel_is_forked(near_end);
    channel_is_forked(far_end);
    channel_is_forked(asked);
    ticket_is_forked();
}

static void free_everything(int turned)
{
    if (turned) nacre_engine_free(engine), nacre_transport_free(both.server), nacre_transport_free(both.client);
    nacre_ticket_free(ticket);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    nacre_channel_free(asking);
    nacre_channel_free(asked);
    if (!turned) nacre_transport_free(both.client), nacre_transport_free(both.server), nacre_engine_free(engine);
}

/* --- every function ------------------------------------------------------------------------------------------------ */

static void every_function(void)
{
    engine = new_engine();
    set_up();
    for (int variant = 0; variant < 4; variant++) {
        pid_t child = fork_child();
        if (child == 0) {
            everything_is_forked();
            if (variant & 2) {
                nacre_transport_atfork(both.client);
                nacre_transport_atfork(both.server);
                nacre_engine_atfork(engine);
                everything_is_forked();
            }
            free_everything(variant & 1);
            _exit(0);
        }
        expect_child(child);
        talk(near_end, far_end);
    }
    tear_down();
    end_engine(engine);
}

/* --- while the parent's threads hold locks ----------------------------------------------------------------------------- */

static int over;

static void *keep_busy(void *argument)
{
    long number = (long)argument;
    char buf[4096] = "";
    size_t n;
    nacre_event event = NACRE_INIT(nacre_event);
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        nacre_channel *from = number & 1 ? near_end : far_end;
        nacre_status status;
        switch (number / 2) {
        case 0: status = nacre_channel_write(from, buf, sizeof buf, 1, &n); break;
        case 1: status = nacre_channel_read(from, buf, sizeof buf, 1, &n); break;
        case 2: status = nacre_transport_describe(number & 1 ? both.client : both.server, buf, sizeof buf, &n); break;
        default: status = nacre_engine_next_event(engine, &event); break;
        }
        if (status != NACRE_OK && status != NACRE_ERR_AGAIN) FAIL("%ld: %s", number, nacre_status_name(status));
    }
    return NULL;
}

static void while_locks_are_held(void)
{
    enum { BUSY = 8 };
    pthread_t ids[BUSY];
    int children = is_short_run() ? 3 : 40;
    engine = new_engine();
    set_up();
    over = 0;
    for (long i = 0; i < BUSY; i++) CHECK(pthread_create(&ids[i], NULL, keep_busy, (void *)i) == 0);
    for (int i = 0; i < children; i++) {
        pid_t child = fork_child();
        if (child == 0) {
            everything_is_forked();
            if (i % 3) {
                nacre_engine_atfork(engine);
                nacre_transport_atfork(both.client);
                nacre_transport_atfork(both.server);
            }
            free_everything(i & 1);
            _exit(0);
        }
        expect_child(child);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < BUSY; i++) pthread_join(ids[i], NULL);
    /* What is still on its way. */
    char buf[4096];
    size_t n;
    while (nacre_channel_read(near_end, buf, sizeof buf, 50, &n) == NACRE_OK) {
    }
    while (nacre_channel_read(far_end, buf, sizeof buf, 50, &n) == NACRE_OK) {
    }
    tear_down();
    end_engine(engine);
}

/* --- descriptors -------------------------------------------------------------------------------------------------------- */

static void make_descriptors(void)
{
    int32_t fd = -1;
    OK(nacre_engine_event_fd(engine, &fd));
    if (!with_threads) OK(nacre_engine_fd(engine, &fd));
    OK(nacre_transport_event_fd(both.client, &fd));
    OK(nacre_transport_event_fd(both.server, &fd));
    for (nacre_channel_what what = NACRE_CHANNEL_READ; what <= NACRE_CHANNEL_STATE; what++) {
        OK(nacre_channel_event_fd(near_end, what, &fd));
        OK(nacre_channel_event_fd(far_end, what, &fd));
    }
}

static void descriptors_are_closed(void)
{
    int before = descriptors();
    engine = new_engine();
    set_up();
    make_descriptors();
    CHECK(descriptors() > before + 10);
    /* By free alone, and by atfork before free. */
    for (int variant = 0; variant < 4; variant++) {
        int32_t client_fd = -1, server_fd = -1;
        OK(nacre_transport_fd(both.client, &client_fd));
        OK(nacre_transport_fd(both.server, &server_fd));
        pid_t child = fork_child();
        if (child == 0) {
            if (variant == 0) {
                nacre_transport_atfork(both.client);
                CHECK(fcntl(client_fd, F_GETFD) == -1 && fcntl(server_fd, F_GETFD) >= 0);
                nacre_transport_atfork(both.server);
                CHECK(fcntl(server_fd, F_GETFD) == -1);
                nacre_engine_atfork(engine);
                EQUAL(descriptors(), before);
            }
            if (variant == 1) {
                /* The engine's own first. */
                nacre_engine_atfork(engine);
                CHECK(fcntl(client_fd, F_GETFD) >= 0 && fcntl(server_fd, F_GETFD) >= 0);
                nacre_transport_atfork(both.client);
            }
            free_everything(variant & 1);
            EQUAL(descriptors(), before);
            /* Numbers that others have got meanwhile are left alone. */
            _exit(0);
        }
        expect_child(child);
        OK(nacre_transport_rekey(both.client, SOON, NULL));
        talk(near_end, far_end);
    }
    tear_down();
    end_engine(engine);
    EVENTUALLY(descriptors() == before);
}

/* A number that was closed once and belongs to somebody else now is not closed again. */
static void numbers_are_not_closed_twice(void)
{
    engine = new_engine();
    set_up();
    make_descriptors();
    pid_t child = fork_child();
    if (child == 0) {
        int others[64], count = 0;
        nacre_engine_atfork(engine);
        nacre_transport_atfork(both.client);
        for (; count < 64; count++) CHECK((others[count] = dup(2)) >= 0);
        nacre_engine_atfork(engine);
        nacre_transport_atfork(both.server);
        free_everything(0);
        for (int i = 0; i < count; i++) CHECK(fcntl(others[i], F_GETFD) >= 0);
        _exit(0);
    }
    expect_child(child);
    talk(near_end, far_end);
    tear_down();
    end_engine(engine);
}

static void exec_inherits_nothing(void)
{
    int before = descriptors();
    engine = new_engine();
    set_up();
    make_descriptors();
    pid_t child = fork_child();
    if (child == 0) {
        char expected[16];
        snprintf(expected, sizeof expected, "%d", before);
        execl(program, program, "descriptors", expected, (char *)NULL);
        _exit(9);
    }
    expect_child(child);
    tear_down();
    end_engine(engine);
}

/* --- who goes on ------------------------------------------------------------------------------------------------------------ */

static void the_default_engine_anew(void)
{
    nacre_channel *near_here, *far_here;
    int tasks = threads();
    pair here = connected_pair_of(NULL, NULL, NULL);
    open_both(here, &near_here, &far_here);
    talk(near_here, far_here);
    for (int variant = 0; variant < 2; variant++) {
        pid_t child = fork_child();
        if (child == 0) {
            nacre_channel *near_there, *far_there;
            if (variant == 0) nacre_transport_free(here.client), nacre_channel_free(near_here);
            nacre_engine_atfork(NULL);
            EQUAL(threads(), 1);
            pair there = connected_pair_of(NULL, NULL, NULL);
            open_both(there, &near_there, &far_there);
            talk(near_there, far_there);
            FORKED(nacre_channel_write(far_here, "x", 1, -1, NULL));
            nacre_channel_free(near_there);
            nacre_channel_free(far_there);
            free_pair(there);
            OK(nacre_engine_close(NULL, SOON));
            EVENTUALLY(threads() == 1);
            _exit(0);
        }
        expect_child(child);
        OK(nacre_transport_rekey(here.client, SOON, NULL));
        talk(near_here, far_here);
    }
    nacre_channel_free(near_here);
    nacre_channel_free(far_here);
    free_pair(here);
    OK(nacre_engine_close(NULL, SOON));
    EVENTUALLY(threads() == tasks);
}

/* The client's end goes on in the child; the server's is served by the parent. */
static void adopted(void)
{
    engine = new_engine();
    nacre_engine *server_engine = new_engine_with(1);
    EXPECT(nacre_engine_adopt(engine), NACRE_ERR_STATE);
    if (with_threads) {
        set_up();
        pid_t child = fork_child();
        if (child == 0) {
            EXPECT(nacre_engine_adopt(engine), NACRE_ERR_STATE);
            FORKED(nacre_channel_write(near_end, "x", 1, -1, NULL));
            _exit(0);
        }
        expect_child(child);
        tear_down();
    } else {
        nacre_channel *channel = NULL;
        int32_t fd = -1, engine_fd = -1;
        char text[32];
        pair apart = connected_pair_of(engine, server_engine, NULL);
        OK(nacre_transport_open_session(apart.client, SOON, &channel, NULL));
        nacre_channel *server_end = NULL;
        OK(nacre_transport_accept(apart.server, SOON, &server_end));
        OK(nacre_channel_event_fd(channel, NACRE_CHANNEL_READ, &fd));
        OK(nacre_engine_fd(engine, &engine_fd));
        pid_t child = fork_child();
        if (child == 0) {
            OK(nacre_engine_adopt(engine));
            EXPECT(nacre_engine_adopt(engine), NACRE_ERR_STATE);
            FORKED(nacre_channel_write(server_end, "x", 1, -1, NULL));
            write_text(channel, "from the child");
            read_text(channel, "from the parent");
            OK(nacre_transport_rekey(apart.client, SOON, NULL));
            /* Descriptors have their numbers and tell again. */
            int32_t again = -1;
            OK(nacre_channel_event_fd(channel, NACRE_CHANNEL_READ, &again));
            EQUAL(again, fd);
            OK(nacre_engine_fd(engine, &again));
            EQUAL(again, engine_fd);
            struct pollfd polled[2] = {{fd, POLLIN, 0}, {engine_fd, POLLIN, 0}};
            EQUAL(poll(polled, 1, 0), 0);
            write_text(channel, "ready");
            EQUAL(poll(polled + 1, 1, SOON), 1);
            while (poll(polled, 1, 0) == 0) {
                nacre_status status = nacre_engine_dispatch(engine, SOON);
                if (status != NACRE_ERR_AGAIN) OK(status);
            }
            read_text(channel, "more");
            EQUAL(poll(polled, 1, 0), 0);
            nacre_channel_free(channel);
            OK(nacre_transport_close(apart.client));
            OK(nacre_engine_close(engine, SOON));
            _exit(0);
        }
        /* The parent gives its copy up: the connection is not its any more. */
        nacre_transport_atfork(apart.client);
        size_t n = 0;
        EXPECT(nacre_channel_write(channel, "x", 1, 0, &n), NACRE_ERR_CLOSED);
        read_exactly(server_end, text, strlen("from the child"));
        CHECK(memcmp(text, "from the child", strlen("from the child")) == 0);
        write_text(server_end, "from the parent");
        read_text(server_end, "ready");
        write_text(server_end, "more");
        EXPECT(nacre_channel_read(server_end, text, 1, SOON, &n), NACRE_ERR_EOF);
        expect_child(child);
        nacre_channel_free(channel);
        nacre_channel_free(server_end);
        free_pair(apart);
    }
    end_engine(engine);
    end_engine(server_engine);
}

/* --- a server with a process for each connection -------------------------------------------------------------------------- */

static void a_process_for_each(void)
{
    engine = new_engine();
    for (int i = 0; i < 3; i++) {
        nacre_transport *client = NULL;
        nacre_channel *channel = NULL;
        int fds[2];
        nacre_key *key = host_key();
        socket_pair(fds);
        pid_t child = fork_child();
        if (child == 0) {
            /* Keys are no handles of a connection: what was loaded before is of use here. */
            nacre_server_callbacks plain = plain_server();
            nacre_transport *server = NULL;
            nacre_channel *served = NULL;
            nacre_engine_atfork(engine);
            nacre_engine_free(engine);
            close(fds[0]);
            nacre_engine *own = new_engine();
            OK(nacre_transport_from_fd(own, fds[1], &server, NULL));
            OK(nacre_transport_add_host_key(server, key));
            OK(nacre_transport_start_server(server, &plain, SOON, NULL));
            OK(nacre_transport_accept(server, SOON, &served));
            echo_channel(served);
            OK(nacre_transport_flush(server, SOON));
            nacre_transport_free(server);
            end_engine(own);
            _exit(0);
        }
        close(fds[1]);
        OK(nacre_transport_from_fd(engine, fds[0], &client, NULL));
        OK(log_in(client, SOON, NULL));
        OK(nacre_transport_open_session(client, SOON, &channel, NULL));
        write_text(channel, "through a child");
        read_text(channel, "through a child");
        OK(nacre_channel_send_eof(channel));
        expect_child(child);
        nacre_channel_free(channel);
        nacre_transport_free(client);
    }
    end_engine(engine);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 3 && strcmp(argv[1], "descriptors") == 0) {
        /* What exec left open. */
        int expected = atoi(argv[2]), are = descriptors();
        if (are != expected) fprintf(stderr, "%d descriptors after exec, not %d\n", are, expected);
        return are != expected;
    }
    begin(argc, argv);
    host_key();
    int fds = descriptors(), tasks = threads();
    RUN(every_function);
    RUN(while_locks_are_held);
    RUN(descriptors_are_closed);
    RUN(numbers_are_not_closed_twice);
    RUN(exec_inherits_nothing);
    RUN(the_default_engine_anew);
    RUN(adopted);
    RUN(a_process_for_each);
    EVENTUALLY(threads() == tasks);
    EVENTUALLY(descriptors() == fds);
    return 0;
}
