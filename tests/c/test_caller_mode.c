/*
 * An engine without threads does nothing but inside dispatch and calls that wait; its descriptor says when it has to be
 * dispatched. With threads the same program needs none of this, and dispatch says so.
 */
#include "ends.h"

static nacre_engine *engine;
static int32_t engine_fd = -1;

static int is_ready(int timeout_ms)
{
    struct pollfd polled = {engine_fd, POLLIN, 0};
    int count = poll(&polled, 1, timeout_ms);
    CHECK(count >= 0 && (polled.revents & ~POLLIN) == 0);
    return count;
}
static nacre_status dispatch(int32_t timeout_ms)
{
    nacre_status status = nacre_engine_dispatch(engine, timeout_ms);
    if (status != NACRE_OK && status != NACRE_ERR_AGAIN) FAIL("dispatch: %s", nacre_status_name(status));
    return status;
}
static void take_events(void)
{
    nacre_event event = NACRE_INIT(nacre_event);
    while (nacre_engine_next_event(engine, &event) == NACRE_OK) {
        nacre_message_free(event.message);
        nacre_ticket_free(event.ticket);
    }
}
/* Until there is nothing to do and no event; the descriptor agrees before each round. How many rounds there were. */
static int dispatch_all(void)
{
    int rounds = 0;
    while (is_ready(0)) {
        dispatch(0);
        take_events();
        CHECK(++rounds < 100000);
    }
    EXPECT(nacre_engine_dispatch(engine, 0), NACRE_ERR_AGAIN);
    EQUAL(is_ready(0), 0);
    return rounds;
}

/* --- what is of no use with threads ------------------------------------------------------------------------------- */

static void with_threads_it_runs_by_itself(void)
{
    nacre_engine *own = new_engine_with(1);
    int32_t fd = 77;
    EXPECT(nacre_engine_dispatch(own, 0), NACRE_ERR_STATE);
    EXPECT(nacre_engine_dispatch(own, -1), NACRE_ERR_STATE);
    EXPECT(nacre_engine_fd(own, &fd), NACRE_ERR_STATE);
    EQUAL(fd, 77);
    EXPECT(nacre_engine_dispatch(NULL, 0), NACRE_ERR_STATE);
    /* The server answers although nobody calls anything. */
    pair both = new_pair(own, own);
    nacre_server_callbacks plain = plain_server();
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    start_server(both.server, &plain);
    EXPECT(log_in(both.client, 0, &op), NACRE_ERR_AGAIN);
    EVENTUALLY(nacre_transport_is_authenticated(both.server) == 1);
    EVENTUALLY(nacre_transport_next_event(both.client, &event) == NACRE_OK);
    CHECK(event.op == op);
    OK(event.status);
    free_pair(both);
    end_engine(own);
    OK(nacre_engine_close(NULL, SOON));
}

/* --- nothing happens otherwise -------------------------------------------------------------------------------------- */

static int asked;
static nacre_decision count_password(void *userdata, nacre_transport *transport, const char *user, const char *password,
                                     nacre_ticket *ticket)
{
    asked++;
    return take_password(userdata, transport, user, password, ticket);
}

static void begin_engine(void)
{
    engine = new_engine_with(0);
    OK(nacre_engine_fd(engine, &engine_fd));
    CHECK(fcntl(engine_fd, F_GETFD) & FD_CLOEXEC);
    EQUAL(is_ready(0), 0);
    EXPECT(nacre_engine_dispatch(engine, 0), NACRE_ERR_AGAIN);
}

static void nothing_happens_otherwise(void)
{
    int tasks = threads();
    nacre_engine *client_engine = new_engine_with(1);
    nacre_server_callbacks callbacks = plain_server();
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    begin_engine();
    EQUAL(threads(), tasks + 1);
    callbacks.auth_password = count_password;
    pair both = new_pair(client_engine, engine);
    start_server(both.server, &callbacks);
    /* Its identification went out with the call that began; then the client's KEXINIT waits here. */
    EXPECT(log_in(both.client, 0, &op), NACRE_ERR_AGAIN);
    EQUAL(is_ready(SOON), 1);
    EXPECT(nacre_transport_wait(both.client, op, 200, &event), NACRE_ERR_AGAIN);
    EQUAL(nacre_transport_is_active(both.server), 0);
    EQUAL(asked, 0);
    /* Still ready: nobody has read it. */
    EQUAL(is_ready(0), 1);
    /* Round by round. */
    int64_t until = now_ms() + SOON;
    nacre_status status;
    while ((status = nacre_transport_wait(both.client, op, 0, &event)) == NACRE_ERR_AGAIN) {
        CHECK(now_ms() < until);
        if (is_ready(10)) dispatch(0);
    }
    OK(status);
    OK(event.status);
    EQUAL(asked, 1);
    EQUAL(nacre_transport_is_authenticated(both.server), 1);
    dispatch_all();
    /* The one of the client's engine, and none of this. */
    EQUAL(threads(), tasks + 1);
    free_pair(both);
    end_engine(engine);
    end_engine(client_engine);
}

/* --- the descriptor --------------------------------------------------------------------------------------------------- */

static nacre_decision note_thread(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                  const nacre_request *request, nacre_ticket *ticket)
{
    (void)transport, (void)channel, (void)request, (void)ticket;
    (*(int *)userdata)++;
    CHECK(current_thread() == (int)getpid());
    return NACRE_ACCEPT;
}

static void descriptor_levels(void)
{
    nacre_channel *near_end, *far_end;
    nacre_server_callbacks callbacks = plain_server();
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_engine *client_engine = new_engine_with(0);
    char text[16];
    size_t n = 0;
    int requests = 0;
    uint64_t op = 0;
    callbacks.channel_request = note_thread;
    callbacks.userdata = &requests;
    begin_engine();
    pair both = connected_pair_of(engine, engine, &callbacks);
    dispatch_all();
    open_both(both, &near_end, &far_end);
    dispatch_all();
    /* Something to read: ready until it was dispatched; then the channel has it. */
    OK(nacre_channel_write(near_end, "hello", 5, 0, &n));
    OK(nacre_channel_readable(far_end, &n));
    EQUAL(n, 0);
    EQUAL(is_ready(SOON), 1);
    EQUAL(is_ready(0), 1);
    OK(dispatch(0));
    dispatch_all();
    OK(nacre_channel_readable(far_end, &n));
    EQUAL(n, 5);
    EXPECT(nacre_channel_read(far_end, text, sizeof text, 0, &n), NACRE_OK);
    EQUAL(n, 5);
    dispatch_all();
    /* A callback: only inside dispatch, on the thread that calls it. */
    EXPECT(nacre_channel_exec(near_end, "x", 0, &op), NACRE_ERR_AGAIN);
    EQUAL(requests, 0);
    EQUAL(is_ready(SOON), 1);
    EQUAL(requests, 0);
    int64_t until = now_ms() + SOON;
    while (requests == 0) {
        CHECK(now_ms() < until && is_ready(SOON) == 1);
        dispatch(0);
    }
    /* The reply is on its way. */
    while (nacre_transport_wait(both.client, op, 0, &event) == NACRE_ERR_AGAIN) {
        CHECK(now_ms() < until && is_ready(SOON) == 1);
        dispatch(0);
    }
    OK(event.status);
    EQUAL(requests, 1);
    dispatch_all();
    /* An event that waits makes it ready until somebody takes it. */
    OK(nacre_channel_write(near_end, "again", 5, 0, &n));
    while (dispatch(0) == NACRE_OK && nacre_channel_readable(far_end, &n) == NACRE_OK && n == 0) {
    }
    EQUAL(is_ready(0), 1);
    EQUAL(is_ready(0), 1);
    /* dispatch does not wait while an event waits. */
    until = now_ms();
    OK(nacre_engine_dispatch(engine, SOON));
    CHECK(now_ms() - until < SOON / 2);
    OK(nacre_engine_next_event(engine, &event));
    EQUAL(event.kind, NACRE_EVENT_CHANNEL_READABLE);
    CHECK(event.channel == far_end && event.transport == both.server);
    EXPECT(nacre_engine_next_event(engine, &event), NACRE_ERR_AGAIN);
    dispatch_all();
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(client_engine);
    end_engine(engine);
}

static void *write_elsewhere(void *argument)
{
    size_t n = 0;
    OK(nacre_channel_write(argument, "from a thread", 13, 0, &n));
    return NULL;
}
static nacre_ticket *kept;
static nacre_decision keep(void *userdata, nacre_transport *transport, nacre_channel *channel,
                           const nacre_request *request, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)request;
    kept = ticket;
    return NACRE_DEFER;
}
static void *answer_elsewhere(void *argument)
{
    OK(nacre_ticket_answer(argument, NACRE_ACCEPT));
    return NULL;
}

/* What another thread queues or answers wakes a loop that polls the descriptor, or waits in dispatch. */
static void other_threads_are_noticed(void)
{
    nacre_channel *near_end, *far_end;
    nacre_server_callbacks callbacks = plain_server();
    nacre_event event = NACRE_INIT(nacre_event);
    pthread_t thread;
    uint64_t op = 0;
    size_t n = 0;
    callbacks.channel_request = keep;
    begin_engine();
    pair both = connected_pair_of(engine, engine, &callbacks);
    open_both(both, &near_end, &far_end);
    dispatch_all();
    CHECK(pthread_create(&thread, NULL, write_elsewhere, near_end) == 0);
    EQUAL(is_ready(SOON), 1);
    pthread_join(thread, NULL);
    while (nacre_channel_readable(far_end, &n) == NACRE_OK && n == 0) OK(nacre_engine_dispatch(engine, SOON));
    read_text(far_end, "from a thread");
    EXPECT(nacre_channel_exec(near_end, "x", 0, &op), NACRE_ERR_AGAIN);
    int64_t until = now_ms() + SOON;
    while (kept == NULL) {
        CHECK(now_ms() < until);
        dispatch(100);
    }
    dispatch_all();
    CHECK(pthread_create(&thread, NULL, answer_elsewhere, kept) == 0);
    while (nacre_transport_wait(both.client, op, 0, &event) == NACRE_ERR_AGAIN) {
        CHECK(now_ms() < until);
        dispatch(SOON);
    }
    OK(event.status);
    pthread_join(thread, NULL);
    nacre_ticket_free(kept);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

/* A timer that is due makes it ready: here a deadline of the handshake, and a keepalive. */
static void timers_are_noticed(void)
{
    nacre_transport *silent = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    int fds[2];
    int64_t begun;
    begin_engine();
    socket_pair(fds);
    OK(nacre_transport_from_fd(engine, fds[0], &silent, NULL));
    OK(nacre_transport_set_limit(silent, NACRE_LIMIT_HANDSHAKE, 150));
    begun = now_ms();
    EXPECT(nacre_transport_start_client(silent, 0, &op), NACRE_ERR_AGAIN);
    dispatch_all();
    EQUAL(is_ready(50), 0);
    EQUAL(is_ready(SOON), 1);
    CHECK(now_ms() - begun >= 140);
    /* Nobody did anything yet. */
    EXPECT(nacre_transport_wait(silent, op, 0, &event), NACRE_ERR_AGAIN);
    OK(dispatch(0));
    OK(nacre_transport_wait(silent, op, 0, &event));
    EXPECT(event.status, NACRE_ERR_TIMEOUT);
    nacre_transport_free(silent);
    close(fds[1]);
    end_engine(engine);
}

/* Waiting with a timeout: so long, and no longer. */
static void dispatch_waits(void)
{
    begin_engine();
    int64_t begun = now_ms();
    EXPECT(nacre_engine_dispatch(engine, 120), NACRE_ERR_AGAIN);
    CHECK(now_ms() - begun >= 120 && now_ms() - begun < SOON / 2);
    EXPECT(nacre_engine_dispatch(engine, -2), NACRE_ERR_ARGUMENT);
    end_engine(engine);
}

/* One round is bounded: a flood on one connection does not keep it for ever, nor others out. */
static void *flood(void *argument)
{
    static char big[32768];
    size_t n = 0;
    nacre_status status;
    while ((status = nacre_channel_write_all(argument, big, sizeof big, -1, &n)) == NACRE_OK) {
    }
    EXPECT(status, NACRE_ERR_CLOSED);
    return NULL;
}

static void rounds_are_bounded(void)
{
    nacre_engine *client_engine = new_engine_with(1);
    nacre_channel *near_end, *far_end, *other_near, *other_far;
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_server_callbacks plain = plain_server();
    pthread_t thread;
    static char buf[65536];
    size_t n = 0, total = 0;
    begin_engine();
    pair both[2];
    for (int i = 0; i < 2; i++) {
        uint64_t op = 0;
        both[i] = new_pair(client_engine, engine);
        start_server(both[i].server, &plain);
        EXPECT(log_in(both[i].client, 0, &op), NACRE_ERR_AGAIN);
        while (nacre_transport_wait(both[i].client, op, 0, &event) == NACRE_ERR_AGAIN) dispatch(5);
        OK(event.status);
    }
    nacre_channel **ends[2][2] = {{&near_end, &far_end}, {&other_near, &other_far}};
    for (int i = 0; i < 2; i++) {
        EXPECT(nacre_transport_open_session(both[i].client, 0, ends[i][0], NULL), NACRE_ERR_AGAIN);
        OK(nacre_transport_accept(both[i].server, SOON, ends[i][1]));
    }
    CHECK(pthread_create(&thread, NULL, flood, near_end) == 0);
    int64_t until = now_ms() + SOON;
    int rounds = 0;
    OK(nacre_channel_write(other_near, "in between", 10, SOON, &n));
    size_t others = 0;
    /* The flood goes on all the time, and each call comes back. */
    while (total < (is_short_run() ? 1u : 32u) << 20 || others < 10) {
        int64_t begun = now_ms();
        CHECK(begun < until);
        dispatch(10);
        rounds++;
        while (nacre_channel_read(far_end, buf, sizeof buf, 0, &n) == NACRE_OK) {
            total += n;
            if (total % 7 == 0) break;
        }
        if (nacre_channel_read(other_far, buf, sizeof buf, 0, &n) == NACRE_OK) others += n;
    }
    CHECK(rounds >= 2);
    OK(nacre_channel_close(near_end));
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) {
        nacre_channel_free(*ends[i][0]);
        nacre_channel_free(*ends[i][1]);
        free_pair(both[i]);
    }
    end_engine(engine);
    end_engine(client_engine);
}

/* Two threads dispatch one engine. */
static int stop;
static void *dispatch_often(void *argument)
{
    (void)argument;
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        nacre_status status = nacre_engine_dispatch(engine, 5);
        CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
    }
    return NULL;
}
static void several_dispatch(void)
{
    pthread_t ids[3];
    nacre_channel *near_end, *far_end;
    begin_engine();
    pair both = connected_pair(engine);
    open_both(both, &near_end, &far_end);
    stop = 0;
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&ids[i], NULL, dispatch_often, NULL) == 0);
    for (int i = 0; i < (is_short_run() ? 10 : 300); i++) talk(near_end, far_end);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++) pthread_join(ids[i], NULL);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

/* Inside a callback nothing is driven. */
static nacre_status inside_status;
static nacre_decision dispatch_inside(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                      const nacre_request *request, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)request, (void)ticket;
    inside_status = nacre_engine_dispatch(engine, -1);
    return NACRE_ACCEPT;
}
static void no_dispatch_inside_callbacks(void)
{
    nacre_channel *near_end, *far_end;
    nacre_server_callbacks callbacks = plain_server();
    callbacks.channel_request = dispatch_inside;
    begin_engine();
    pair both = connected_pair_of(engine, engine, &callbacks);
    open_both(both, &near_end, &far_end);
    inside_status = NACRE_OK;
    OK(nacre_channel_exec(near_end, "x", SOON, NULL));
    EXPECT(inside_status, NACRE_ERR_AGAIN);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    host_key();
    if (with_threads) {
        RUN(with_threads_it_runs_by_itself);
        return 0;
    }
    int fds = descriptors(), tasks = threads();
    RUN(nothing_happens_otherwise);
    RUN(descriptor_levels);
    RUN(other_threads_are_noticed);
    RUN(timers_are_noticed);
    RUN(dispatch_waits);
    RUN(rounds_are_bounded);
    RUN(several_dispatch);
    RUN(no_dispatch_inside_callbacks);
    EVENTUALLY(threads() == tasks);
    EVENTUALLY(descriptors() == fds);
    return 0;
}
