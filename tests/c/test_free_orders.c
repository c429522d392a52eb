/* The end of handles: in every order, inside callbacks, with operations under way; nothing leaks, nothing runs twice. */
#include "ends.h"

#include <malloc.h>

/* --- destroy: exactly once -------------------------------------------------------------------------------- */

enum { ENGINE, CLIENT, SERVER, NEAR_END, FAR_END, CALLBACKS, CHECKS, OTHER, KINDS };
static int destroyed[KINDS];

static void destroy(void *userdata)
{
    __atomic_add_fetch((int *)userdata, 1, __ATOMIC_ACQ_REL);
}
static int count_of(int kind)
{
    return __atomic_load_n(&destroyed[kind], __ATOMIC_ACQUIRE);
}
static void expect_destroyed(int kind, int times)
{
    int64_t until = now_ms() + SOON;
    /* Without threads nobody could do it later. */
    while (with_threads && count_of(kind) < times && now_ms() < until) pause_ms(1);
    EQUAL(count_of(kind), times);
}

/* --- one of everything ------------------------------------------------------------------------------------ */

typedef struct everything {
    nacre_engine *engine;
    nacre_transport *client, *server;
    nacre_channel *near_end, *far_end;
    nacre_ticket *ticket;
    uint64_t op;
} everything;

static nacre_ticket *deferred;

static nacre_decision defer_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                    const nacre_request *request, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel;
    if (request->kind != NACRE_REQUEST_EXEC) return NACRE_ACCEPT;
    __atomic_store_n(&deferred, ticket, __ATOMIC_RELEASE);
    return NACRE_DEFER;
}

/* Lets what is under way go on until the condition holds. */
#define DRIVE(engine, condition)                                                                                       \
    do {                                                                                                               \
        int64_t until_ = now_ms() + SOON;                                                                              \
        while (!(condition)) {                                                                                         \
            if (now_ms() > until_) FAIL("never so: %s", #condition);                                                   \
            if (with_threads) pause_ms(1);                                                                             \
            else nacre_engine_dispatch(engine, 10);                                                                    \
        }                                                                                                              \
    } while (0)

static everything make_everything(void)
{
    everything made;
    nacre_server_callbacks callbacks = plain_server();
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    memset(&made, 0, sizeof made);
    memset(destroyed, 0, sizeof destroyed);
    deferred = NULL;
    made.engine = new_engine();
    callbacks.channel_request = defer_request;
    callbacks.userdata = &destroyed[CALLBACKS];
    callbacks.destroy = destroy;
    pair both = new_pair(made.engine, made.engine);
    made.client = both.client;
    made.server = both.server;
    start_server(made.server, &callbacks);
    check.flags = NACRE_HOST_KEY_ANY;
    check.userdata = &destroyed[CHECKS];
    check.destroy = destroy;
    OK(nacre_transport_set_host_key_check(made.client, &check));
    OK(nacre_transport_start_client(made.client, SOON, NULL));
    OK(nacre_transport_auth_password(made.client, "tester", "secret", 0, SOON, NULL));
    open_both(both, &made.near_end, &made.far_end);
    OK(nacre_engine_set_userdata(made.engine, &destroyed[ENGINE], destroy));
    OK(nacre_transport_set_userdata(made.client, &destroyed[CLIENT], destroy));
    OK(nacre_transport_set_userdata(made.server, &destroyed[SERVER], destroy));
    OK(nacre_channel_set_userdata(made.near_end, &destroyed[NEAR_END], destroy));
    OK(nacre_channel_set_userdata(made.far_end, &destroyed[FAR_END], destroy));
    EXPECT(nacre_channel_exec(made.near_end, "never answered", 0, &made.op), NACRE_ERR_AGAIN);
    DRIVE(made.engine, __atomic_load_n(&deferred, __ATOMIC_ACQUIRE) != NULL);
    made.ticket = deferred;
    for (int kind = 0; kind < KINDS; kind++) CHECK(kind == CHECKS || count_of(kind) == 0);
    return made;
}

static void free_one(everything *all, int which)
{
    switch (which) {
    case 0: nacre_engine_free(all->engine); break;
    case 1: nacre_transport_free(all->client); break;
    case 2: nacre_transport_free(all->server); break;
    case 3: nacre_channel_free(all->near_end); break;
    case 4: nacre_channel_free(all->far_end); break;
    default: nacre_ticket_free(all->ticket); break;
    }
}

static void expect_all_destroyed(void)
{
    for (int kind = ENGINE; kind <= CHECKS; kind++) expect_destroyed(kind, 1);
}

/* The n-th order of `count` things. */
static void nth_order(int n, int count, int order[])
{
    int left[8];
    for (int i = 0; i < count; i++) left[i] = i;
    for (int i = 0; i < count; i++) {
        int choices = count - i, chosen = n % choices;
        n /= choices;
        order[i] = left[chosen];
        for (int k = chosen; k < choices - 1; k++) left[k] = left[k + 1];
    }
}

static void every_order(void)
{
    static char step[64];
    int each = is_short_run() ? 41 : 1;
    for (int n = 0; n < 720; n += each) {
        int order[6];
        everything all = make_everything();
        nth_order(n, 6, order);
        snprintf(step, sizeof step, "every_order %d%d%d%d%d%d", order[0], order[1], order[2], order[3], order[4],
                 order[5]);
        test_step = step;
        for (int i = 0; i < 6; i++) free_one(&all, order[i]);
        expect_all_destroyed();
    }
}

/* What is still held after the rest is gone says so, and its free is all that is left to do. */
static void what_is_left_says_closed(void)
{
    everything all = make_everything();
    char buf[8];
    size_t n = 0;
    nacre_transport *transport = NULL;
    nacre_channel *channel = NULL;
    nacre_transport_free(all.client);
    EXPECT(nacre_channel_read(all.near_end, buf, sizeof buf, SOON, &n), NACRE_ERR_CLOSED);
    EXPECT(nacre_channel_write(all.near_end, "x", 1, SOON, &n), NACRE_ERR_CLOSED);
    nacre_channel_free(all.near_end);
    nacre_channel_free(all.far_end);
    nacre_transport_free(all.server);
    nacre_engine_free(all.engine);
    EXPECT(nacre_ticket_answer(all.ticket, NACRE_ACCEPT), NACRE_ERR_CLOSED);
    EXPECT(nacre_ticket_answer(all.ticket, NACRE_ACCEPT), NACRE_ERR_STATE);
    nacre_question kind = 0;
    OK(nacre_ticket_kind(all.ticket, &kind));
    EQUAL(kind, NACRE_QUESTION_CHANNEL_REQUEST);
    char text[32];
    OK(nacre_ticket_text(all.ticket, 0, text, sizeof text, NULL));
    CHECK(strcmp(text, "never answered") == 0);
    OK(nacre_ticket_channel(all.ticket, &channel));
    CHECK(channel != NULL);
    nacre_status status = nacre_ticket_transport(all.ticket, &transport);
    CHECK(status == NACRE_ERR_CLOSED || (status == NACRE_OK && transport != NULL));
    nacre_ticket_free(all.ticket);
    expect_all_destroyed();
}

/* Freed unanswered a ticket rejects. */
static void a_freed_ticket_rejects(void)
{
    everything all = make_everything();
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_ticket_free(all.ticket);
    OK(nacre_transport_wait(all.client, all.op, SOON, &event));
    EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);
    CHECK(event.transport == all.client && event.channel == all.near_end);
    CHECK(event.transport_userdata == &destroyed[CLIENT] && event.channel_userdata == &destroyed[NEAR_END]);
    talk(all.near_end, all.far_end);
    for (int i = 0; i < 5; i++) free_one(&all, i);
    expect_all_destroyed();
}

/* --- owners ------------------------------------------------------------------------------------------------- */

static void *free_transport(void *argument)
{
    nacre_transport_free(argument);
    return NULL;
}

static void several_owners(void)
{
    everything all = make_everything();
    nacre_transport *again = NULL;
    pthread_t ids[8];
    nacre_ticket_free(all.ticket);
    OK(nacre_engine_ref(all.engine));
    OK(nacre_transport_ref(all.client));
    OK(nacre_channel_ref(all.near_end));
    OK(nacre_channel_transport(all.far_end, &again));
    CHECK(again == all.server);
    nacre_engine_free(all.engine);
    nacre_transport_free(all.client);
    nacre_channel_free(all.near_end);
    nacre_transport_free(again);
    /* All of them have an owner left. */
    talk(all.near_end, all.far_end);
    for (int kind = ENGINE; kind <= CALLBACKS; kind++) CHECK(count_of(kind) == 0);
    /* Owners on many threads; the last one out closes. */
    for (int i = 0; i < 8; i++) {
        OK(nacre_transport_ref(all.client));
        CHECK(pthread_create(&ids[i], NULL, free_transport, all.client) == 0);
    }
    for (int i = 0; i < 8; i++) pthread_join(ids[i], NULL);
    talk(all.near_end, all.far_end);
    for (int i = 0; i < 5; i++) free_one(&all, i);
    expect_all_destroyed();
}

/* The same key in many places, and gone for its first owner. */
static void a_shared_key(void)
{
    nacre_key *key = NULL, *shown = NULL;
    int32_t equal = 0;
    nacre_engine *engine = new_engine();
    nacre_server_callbacks plain = plain_server();
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &key, NULL));
    pair one = new_pair(engine, engine), two = new_pair(engine, engine);
    OK(nacre_transport_add_host_key(one.server, key));
    OK(nacre_transport_add_host_key(two.server, key));
    OK(nacre_key_ref(key));
    nacre_key_free(key);
    start_server(one.server, &plain);
    start_server(two.server, &plain);
    OK(nacre_transport_start_client(one.client, SOON, NULL));
    OK(nacre_transport_remote_host_key(one.client, &shown));
    OK(nacre_key_equal(key, shown, &equal));
    EQUAL(equal, 1);
    nacre_key_free(key);
    free_pair(one);
    OK(nacre_transport_start_client(two.client, SOON, NULL));
    free_pair(two);
    end_engine(engine);
    EQUAL(nacre_key_is_private(shown), 0);
    nacre_key_free(shown);
}

/* Another pointer in its place: the first one's destroy runs; and also when the call fails. */
static void userdata_is_replaced(void)
{
    everything all = make_everything();
    OK(nacre_transport_set_userdata(all.client, &destroyed[OTHER], destroy));
    expect_destroyed(CLIENT, 1);
    CHECK(nacre_transport_userdata(all.client) == &destroyed[OTHER]);
    OK(nacre_transport_set_userdata(all.client, NULL, NULL));
    expect_destroyed(OTHER, 1);
    CHECK(nacre_transport_userdata(all.client) == NULL);
    EXPECT(nacre_transport_set_userdata(NULL, &destroyed[OTHER], destroy), NACRE_ERR_ARGUMENT);
    expect_destroyed(OTHER, 2);
    EXPECT(nacre_channel_set_userdata(NULL, &destroyed[OTHER], destroy), NACRE_ERR_ARGUMENT);
    expect_destroyed(OTHER, 3);
    nacre_server_callbacks callbacks = plain_server();
    callbacks.userdata = &destroyed[OTHER];
    callbacks.destroy = destroy;
    EXPECT(nacre_transport_start_server(all.server, &callbacks, 0, NULL), NACRE_ERR_STATE);
    expect_destroyed(OTHER, 4);
    EXPECT(nacre_transport_start_server(NULL, &callbacks, 0, NULL), NACRE_ERR_ARGUMENT);
    expect_destroyed(OTHER, 5);
    EXPECT(nacre_transport_auth_interactive(all.client, "u", NULL, NULL, &destroyed[OTHER], destroy, 0, NULL),
           NACRE_ERR_STATE);
    expect_destroyed(OTHER, 6);
    for (int i = 0; i < 6; i++) free_one(&all, i);
    expect_all_destroyed();
    EQUAL(count_of(CLIENT), 1);
}

/* --- inside callbacks ----------------------------------------------------------------------------------------- */

typedef struct freeing {
    everything all;
    int what;
    int calls;
    int destroyed;
} freeing;

static void note_destroyed(void *userdata)
{
    freeing *self = userdata;
    __atomic_add_fetch(&self->destroyed, 1, __ATOMIC_ACQ_REL);
}

static nacre_decision free_in_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                      const nacre_request *request, nacre_ticket *ticket)
{
    freeing *self = userdata;
    (void)request, (void)ticket;
    CHECK(transport == self->all.server && channel == self->all.far_end);
    CHECK(self->destroyed == 0);
    if (self->what & 1) nacre_channel_free(self->all.far_end);
    if (self->what & 2) nacre_transport_free(self->all.server);
    if (self->what & 4) nacre_engine_free(self->all.engine);
    /* Not while it runs. */
    CHECK(__atomic_load_n(&self->destroyed, __ATOMIC_ACQUIRE) == 0);
    __atomic_add_fetch(&self->calls, 1, __ATOMIC_ACQ_REL);
    return self->what & 8 ? NACRE_REJECT : NACRE_ACCEPT;
}

static void free_in_callbacks(void)
{
    for (int what = 1; what < 16; what++) {
        static char step[64];
        static freeing self;
        nacre_status status;
        snprintf(step, sizeof step, "free_in_callbacks %d", what);
        test_step = step;
        memset(&self, 0, sizeof self);
        self.what = what;
        self.all.engine = new_engine();
        nacre_server_callbacks callbacks = plain_server();
        callbacks.channel_request = free_in_request;
        callbacks.userdata = &self;
        callbacks.destroy = note_destroyed;
        pair both = connected_pair_of(self.all.engine, self.all.engine, &callbacks);
        self.all.client = both.client;
        self.all.server = both.server;
        open_both(both, &self.all.near_end, &self.all.far_end);
        status = nacre_channel_exec(self.all.near_end, "x", SOON, NULL);
        if (what & 3) CHECK(status == NACRE_OK || status == NACRE_ERR_REQUEST_DENIED || status == NACRE_ERR_CLOSED ||
                            status == NACRE_ERR_DISCONNECTED);
        else EXPECT(status, what & 8 ? NACRE_ERR_REQUEST_DENIED : NACRE_OK);
        EVENTUALLY(__atomic_load_n(&self.calls, __ATOMIC_ACQUIRE) == 1);
        if (what == 1 || what == 9) {
            /* Only the channel went: the connection lives. */
            nacre_channel *other_near, *other_far;
            open_both(both, &other_near, &other_far);
            talk(other_near, other_far);
            nacre_channel_free(other_near);
            nacre_channel_free(other_far);
        }
        if (!(what & 1)) nacre_channel_free(self.all.far_end);
        if (!(what & 2)) nacre_transport_free(self.all.server);
        nacre_channel_free(self.all.near_end);
        nacre_transport_free(self.all.client);
        if (!(what & 4)) nacre_engine_free(self.all.engine);
        int64_t until = now_ms() + SOON;
        while (with_threads && __atomic_load_n(&self.destroyed, __ATOMIC_ACQUIRE) == 0 && now_ms() < until) pause_ms(1);
        EQUAL(self.destroyed, 1);
    }
}

/* The client's own transport, while connect asks about the host key. */
static nacre_decision free_in_ask(void *userdata, nacre_transport *transport, const nacre_key *key,
                                  nacre_verdict verdict, nacre_ticket *ticket)
{
    freeing *self = userdata;
    (void)key, (void)ticket;
    EQUAL(verdict, NACRE_VERDICT_UNKNOWN);
    CHECK(transport == self->all.client);
    nacre_transport_free(transport);
    __atomic_add_fetch(&self->calls, 1, __ATOMIC_ACQ_REL);
    return NACRE_ACCEPT;
}

static void free_while_asked(void)
{
    static freeing self;
    nacre_server_callbacks plain = plain_server();
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    memset(&self, 0, sizeof self);
    self.all.engine = new_engine();
    pair both = new_pair(self.all.engine, self.all.engine);
    self.all.client = both.client;
    start_server(both.server, &plain);
    check.ask = free_in_ask;
    check.userdata = &self;
    check.destroy = note_destroyed;
    options.host_key_check = &check;
    options.user = "tester";
    options.password = "secret";
    EXPECT(nacre_transport_connect(both.client, &options, SOON, NULL), NACRE_ERR_CLOSED);
    nacre_transport_free(both.server);
    end_engine(self.all.engine);
    EVENTUALLY(__atomic_load_n(&self.calls, __ATOMIC_ACQUIRE) == 1);
    EVENTUALLY(__atomic_load_n(&self.destroyed, __ATOMIC_ACQUIRE) == 1);
}

/* Its own handle, in the last callback of all. */
static void free_in_disconnected(void *userdata, nacre_transport *transport, nacre_status status,
                                 const nacre_error *error)
{
    freeing *self = userdata;
    char text[256];
    EXPECT(status, NACRE_ERR_DISCONNECTED);
    EXPECT(nacre_error_status(error), NACRE_ERR_DISCONNECTED);
    nacre_transport_free(transport);
    OK(nacre_error_text(error, text, sizeof text, NULL));
    __atomic_add_fetch(&self->calls, 1, __ATOMIC_ACQ_REL);
}

static void free_when_disconnected(void)
{
    static freeing self;
    nacre_server_callbacks callbacks = plain_server();
    memset(&self, 0, sizeof self);
    self.all.engine = new_engine();
    callbacks.disconnected = free_in_disconnected;
    callbacks.userdata = &self;
    callbacks.destroy = note_destroyed;
    pair both = connected_pair_of(self.all.engine, self.all.engine, &callbacks);
    OK(nacre_transport_disconnect(both.client, 11, "bye"));
    DRIVE(self.all.engine, __atomic_load_n(&self.calls, __ATOMIC_ACQUIRE) == 1);
    nacre_transport_free(both.client);
    end_engine(self.all.engine);
    EVENTUALLY(__atomic_load_n(&self.destroyed, __ATOMIC_ACQUIRE) == 1);
    EQUAL(self.calls, 1);
}

/* destroy may call too: it frees the other end. */
static nacre_transport *freed_by_destroy;
static void destroy_frees(void *userdata)
{
    nacre_transport_free(freed_by_destroy);
    (*(int *)userdata)++;
}
static void free_in_destroy(void)
{
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    int count = 0;
    freed_by_destroy = both.client;
    OK(nacre_transport_set_userdata(both.server, &count, destroy_frees));
    nacre_transport_free(both.server);
    end_engine(engine);
    EQUAL(count, 1);
}

/* --- with operations under way ---------------------------------------------------------------------------------- */

static nacre_decision defer_channel(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                    const char *kind, const void *data, size_t len, nacre_ticket *ticket)
{
    (void)transport, (void)channel, (void)kind, (void)data, (void)len;
    __atomic_store_n((nacre_ticket **)userdata, ticket, __ATOMIC_RELEASE);
    return NACRE_DEFER;
}

static void operations_under_way(void)
{
    for (int variant = 0; variant < 6; variant++) {
        static char step[64];
        nacre_engine *engine = new_engine();
        nacre_server_callbacks callbacks = plain_server();
        /* The callback may still run when the transport is freed, until the engine has ended. */
        static nacre_ticket *ticket;
        nacre_channel *channel = NULL;
        nacre_transport *dialing = NULL;
        nacre_event event = NACRE_INIT(nacre_event);
        uint64_t op = 0, rekey = 0;
        ticket = NULL;
        snprintf(step, sizeof step, "operations_under_way %d", variant);
        test_step = step;
        callbacks.channel_open = defer_channel;
        callbacks.userdata = &ticket;
        if (variant < 4) {
            pair both = connected_pair_of(engine, engine, &callbacks);
            EXPECT(nacre_transport_open_session(both.client, 0, &channel, &op), NACRE_ERR_AGAIN);
            CHECK(channel != NULL && op != 0);
            EXPECT(nacre_transport_rekey(both.client, 0, &rekey), NACRE_ERR_AGAIN);
            if (variant & 1) DRIVE(engine, __atomic_load_n(&ticket, __ATOMIC_ACQUIRE) != NULL);
            if (variant & 2) {
                /* Freeing the channel cancels: nothing is heard of it any more, whatever the peer says. */
                nacre_channel_free(channel);
                EXPECT(nacre_transport_wait(both.client, op, 0, &event), NACRE_ERR_NOT_FOUND);
                OK(nacre_transport_wait(both.client, rekey, SOON, &event));
                OK(event.status);
                nacre_ticket *asked = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);
                if (asked != NULL) {
                    nacre_status status = nacre_ticket_answer(asked, NACRE_ACCEPT);
                    CHECK(status == NACRE_OK || status == NACRE_ERR_CLOSED);
                }
                OK(nacre_transport_rekey(both.client, SOON, NULL));
                EXPECT(nacre_transport_next_event(both.client, &event), NACRE_ERR_AGAIN);
                nacre_transport_free(both.client);
            } else {
                nacre_transport_free(both.client);
                nacre_channel_free(channel);
            }
            nacre_transport_free(both.server);
        } else if (variant == 4) {
            /* A login that nobody answers. */
            int fds[2];
            socket_pair(fds);
            OK(nacre_transport_from_fd(engine, fds[0], &dialing, NULL));
            EXPECT(log_in(dialing, 0, &op), NACRE_ERR_AGAIN);
            nacre_transport_free(dialing);
            if (!with_threads) nacre_engine_dispatch(engine, 0);
            /* The other side sees the end. */
            char buf[4096];
            ssize_t got;
            while ((got = read(fds[1], buf, sizeof buf)) > 0) {
            }
            EQUAL(got, 0);
            close(fds[1]);
        } else {
            nacre_status status = nacre_transport_dial(engine, "localhost:1", 0, &dialing, &op, NULL);
            CHECK(status == NACRE_ERR_AGAIN || status == NACRE_ERR_CONNECT);
            nacre_transport_free(dialing);
        }
        end_engine(engine);
        nacre_ticket_free(__atomic_load_n(&ticket, __ATOMIC_ACQUIRE));
    }
}

/* --- close, flush ------------------------------------------------------------------------------------------------ */

static size_t fill(nacre_channel *channel)
{
    unsigned char buf[5000];
    size_t total = 0, n = 0;
    for (;;) {
        pattern(buf, sizeof buf, total, 3);
        nacre_status status = nacre_channel_write(channel, buf, sizeof buf, 0, &n);
        total += n;
        if (status == NACRE_ERR_AGAIN) return total;
        OK(status);
        CHECK(total < 100000000);
    }
}
static size_t drain(nacre_channel *channel, nacre_status *end)
{
    unsigned char buf[7000], expected[7000];
    size_t total = 0, n = 0;
    while ((*end = nacre_channel_read(channel, buf, sizeof buf, SOON, &n)) == NACRE_OK) {
        pattern(expected, n, total, 3);
        CHECK(memcmp(buf, expected, n) == 0);
        total += n;
    }
    EQUAL(n, 0);
    return total;
}

/* What was written before close comes before the end; then close and free are one after the other, in both orders. */
static void close_sends_what_is_queued(void)
{
    for (int variant = 0; variant < 4; variant++) {
        static char step[64];
        nacre_engine *engine = new_engine();
        nacre_channel *near_end, *far_end;
        nacre_status end;
        char byte;
        size_t n = 0;
        snprintf(step, sizeof step, "close_sends_what_is_queued %d", variant);
        test_step = step;
        small_windows = variant & 1;
        pair both = connected_pair(engine);
        small_windows = 0;
        open_both(both, &near_end, &far_end);
        size_t written = fill(far_end);
        CHECK(written > 200000);
        if (variant & 2) OK(nacre_transport_close(both.server));
        else OK(nacre_channel_close(far_end));
        EXPECT(nacre_channel_write(far_end, "x", 1, SOON, &n), NACRE_ERR_CLOSED);
        /* Closing twice is no mistake. */
        OK(nacre_channel_close(far_end));
        if (variant & 2) OK(nacre_transport_close(both.server));
        EQUAL(drain(near_end, &end), written);
        EXPECT(end, NACRE_ERR_EOF);
        EXPECT(nacre_channel_read(near_end, &byte, 1, SOON, &n), NACRE_ERR_EOF);
        if (variant & 2) {
            nacre_event event = NACRE_INIT(nacre_event);
            nacre_event_kind last = 0;
            DRIVE(engine, nacre_transport_is_active(both.client) == 0);
            /* The last event of a transport. */
            while (nacre_transport_next_event(both.client, &event) == NACRE_OK) last = event.kind;
            EQUAL(last, NACRE_EVENT_DISCONNECTED);
        }
        nacre_channel_free(far_end);
        nacre_transport_free(both.server);
        nacre_channel_free(near_end);
        nacre_transport_free(both.client);
        end_engine(engine);
    }
}

static void flush_waits_for_the_kernel(void)
{
    nacre_engine *engine = new_engine();
    nacre_channel *near_end, *far_end;
    nacre_status end;
    int64_t begun;
    small_windows = 1;
    pair both = connected_pair(engine);
    small_windows = 0;
    open_both(both, &near_end, &far_end);
    OK(nacre_channel_flush(near_end, SOON));
    OK(nacre_transport_flush(both.client, SOON));
    size_t written = fill(near_end);
    /* The peer reads nothing, and its window is full. */
    begun = now_ms();
    EXPECT(nacre_channel_flush(near_end, 50), NACRE_ERR_AGAIN);
    CHECK(now_ms() - begun >= 50);
    EXPECT(nacre_channel_flush(near_end, 0), NACRE_ERR_AGAIN);
    OK(nacre_channel_send_eof(near_end));
    EQUAL(drain(far_end, &end), written);
    EXPECT(end, NACRE_ERR_EOF);
    OK(nacre_channel_flush(near_end, SOON));
    OK(nacre_transport_flush(both.client, SOON));
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

/* Freed at once: what the kernel takes is sent, an engine thread sends the rest. */
static void free_sends_what_the_kernel_takes(void)
{
    nacre_engine *engine = new_engine(), *far_engine = new_engine_with(1);
    pair both = connected_pair_of(engine, far_engine, NULL);
    nacre_channel *near_end, *far_end;
    char text[16];
    size_t n = 0, got = 0;
    open_both(both, &near_end, &far_end);
    write_text(near_end, "the last words");
    nacre_channel_free(near_end);
    nacre_transport_free(both.client);
    nacre_engine_free(engine);
    while (got < 14) {
        OK(nacre_channel_read(far_end, text + got, sizeof text - got, SOON, &n));
        got += n;
    }
    CHECK(memcmp(text, "the last words", 14) == 0);
    nacre_channel_free(far_end);
    nacre_transport_free(both.server);
    end_engine(far_engine);
}

/* --- nothing stays ------------------------------------------------------------------------------------------------ */

static size_t bytes_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void one_connection(nacre_engine *engine, int variant)
{
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    nacre_error *err = NULL;
    int32_t fd = -1;
    open_both(both, &near_end, &far_end);
    OK(nacre_channel_exec(near_end, "x", SOON, NULL));
    talk(near_end, far_end);
    if (variant % 3 == 0) {
        OK(nacre_transport_event_fd(both.client, &fd));
        OK(nacre_channel_event_fd(near_end, NACRE_CHANNEL_READ, &fd));
        OK(nacre_channel_event_fd(far_end, NACRE_CHANNEL_STATE, &fd));
    }
    if (variant % 4 == 1) {
        OK(nacre_channel_finish(far_end, 0));
        OK(nacre_transport_close(both.client));
    }
    if (variant % 4 == 2) OK(nacre_transport_disconnect(both.server, 11, "x"));
    if (variant % 2) nacre_transport_take_error(both.client, 0, &err);
    nacre_error_free(err);
    if (variant % 5 == 0) free_pair(both);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    if (variant % 5 != 0) free_pair(both);
}

static void settle(nacre_engine *engine, int fds)
{
    int64_t until = now_ms() + SOON;
    while (descriptors() > fds) {
        if (now_ms() > until) FAIL("%d descriptors, not %d", descriptors(), fds);
        if (with_threads) pause_ms(1);
        else nacre_engine_dispatch(engine, 1);
    }
}

static void nothing_stays(void)
{
    int rounds = is_short_run() ? 10 : getenv("ROUNDS") ? atoi(getenv("ROUNDS")) : 200;
    nacre_engine *engine = new_engine();
    for (int i = 0; i < 60; i++) one_connection(engine, i);
    pause_ms(with_threads ? 50 : 0);
    int fds = descriptors(), tasks = threads();
    size_t before = bytes_in_use();
    for (int i = 0; i < rounds; i++) one_connection(engine, i);
    settle(engine, fds);
    pause_ms(with_threads ? 50 : 0);
    size_t after = bytes_in_use();
    CHECK(threads() <= tasks + 8);
    if (getenv("ROUNDS")) fprintf(stderr, "%zu -> %zu\n", before, after);
    if (!is_short_run() && after > before + 200 * 1024)
        FAIL("%zu bytes before %d connections, %zu after", before, rounds, after);
    end_engine(engine);
}

static void engines_come_and_go(void)
{
    int rounds = is_short_run() ? 3 : 60, fds = descriptors(), tasks = threads();
    for (int i = 0; i < rounds; i++) {
        nacre_engine *engine = new_engine();
        one_connection(engine, i);
        if (i % 2) end_engine(engine);
        else nacre_engine_free(engine);
    }
    EVENTUALLY(threads() <= tasks);
    EVENTUALLY(descriptors() <= fds);
}

/* After close nothing is left but the handle. */
static void a_closed_engine(void)
{
    int tasks = threads();
    nacre_engine *engine = new_engine();
    nacre_channel *near_end, *far_end;
    nacre_transport *transport = NULL;
    int fds[2];
    pair both = connected_pair(engine);
    open_both(both, &near_end, &far_end);
    OK(nacre_engine_close(engine, SOON));
    EVENTUALLY(threads() <= tasks);
    EQUAL(nacre_transport_is_active(both.client), 0);
    EXPECT(nacre_channel_write(near_end, "x", 1, 0, NULL), NACRE_ERR_CLOSED);
    socket_pair(fds);
    EXPECT(nacre_transport_from_fd(engine, fds[0], &transport, NULL), NACRE_ERR_CLOSED);
    CHECK(transport == NULL);
    /* It was left as it was. */
    CHECK(fcntl(fds[0], F_GETFD) >= 0);
    close(fds[0]);
    close(fds[1]);
    OK(nacre_engine_close(engine, SOON));
    nacre_engine_free(engine);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    host_key();
    int fds = descriptors(), tasks = threads();
    RUN(every_order);
    RUN(what_is_left_says_closed);
    RUN(a_freed_ticket_rejects);
    RUN(several_owners);
    RUN(a_shared_key);
    RUN(userdata_is_replaced);
    RUN(free_in_callbacks);
    RUN(free_while_asked);
    RUN(free_when_disconnected);
    RUN(free_in_destroy);
    RUN(operations_under_way);
    RUN(close_sends_what_is_queued);
    RUN(flush_waits_for_the_kernel);
    RUN(free_sends_what_the_kernel_takes);
    RUN(a_closed_engine);
    RUN(nothing_stays);
    RUN(engines_come_and_go);
    nacre_engine_free(NULL);
    nacre_transport_free(NULL);
    nacre_channel_free(NULL);
    nacre_ticket_free(NULL);
    nacre_key_free(NULL);
    EVENTUALLY(threads() <= tasks);
    EVENTUALLY(descriptors() == fds);
    return 0;
}
