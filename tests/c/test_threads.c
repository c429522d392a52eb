/* Any thread, any handle: many threads on one transport, on one channel, and waits that others end. */
#include "ends.h"

#define WORKERS 8

/* --- many threads on one transport ------------------------------------------------------------------ */

typedef struct worker {
    nacre_transport *transport;
    uint32_t number;
    size_t bytes;
} worker;

typedef struct feeder {
    nacre_channel *channel;
    uint32_t seed;
    size_t bytes;
} feeder;

static void *feed(void *argument)
{
    feeder *self = argument;
    unsigned char buf[8192];
    for (size_t done = 0; done < self->bytes;) {
        size_t n = 0, want = self->bytes - done < sizeof buf ? self->bytes - done : sizeof buf;
        pattern(buf, want, done, self->seed);
        OK(nacre_channel_write(self->channel, buf, want, SOON, &n));
        CHECK(n > 0 && n <= want);
        done += n;
    }
    OK(nacre_channel_send_eof(self->channel));
    return NULL;
}

/* One channel: what goes out comes back in order, then EOF and the exit status. */
static void echo_once(nacre_transport *transport, uint32_t seed, size_t bytes)
{
    nacre_channel *channel = NULL;
    nacre_exit result = NACRE_INIT(nacre_exit);
    unsigned char got[8192], expected[8192];
    size_t done = 0, n = 0;
    nacre_status status;
    pthread_t thread;
    OK(nacre_transport_open_session(transport, SOON, &channel, NULL));
    OK(nacre_channel_exec(channel, "cat", SOON, NULL));
    feeder feeding = {channel, seed, bytes};
    CHECK(pthread_create(&thread, NULL, feed, &feeding) == 0);
    while ((status = nacre_channel_read(channel, got, sizeof got, SOON, &n)) == NACRE_OK) {
        pattern(expected, n, done, seed);
        CHECK(memcmp(got, expected, n) == 0);
        done += n;
    }
    EXPECT(status, NACRE_ERR_EOF);
    EQUAL(done, bytes);
    pthread_join(thread, NULL);
    OK(nacre_channel_wait_exit(channel, SOON, &result));
    EQUAL(result.kind, NACRE_EXIT_STATUS);
    EQUAL(result.status, bytes & 0xff);
    nacre_channel_free(channel);
}

static void *work(void *argument)
{
    worker *self = argument;
    int rounds = is_short_run() ? 1 : 4;
    for (int round = 0; round < rounds; round++)
        echo_once(self->transport, self->number * 16 + (uint32_t)round, self->bytes + (size_t)round * 977);
    return NULL;
}

static void many_threads_on(nacre_engine *client_engine, nacre_engine *server_engine)
{
    nacre_server_callbacks plain = plain_server();
    pair both = new_pair(client_engine, server_engine);
    echo_server server;
    worker workers[WORKERS];
    pthread_t ids[WORKERS];
    start_server(both.server, &plain);
    /* The thread that accepts drives the server's engine where that has no threads. */
    begin_echo(&server, both.server);
    OK(log_in(both.client, SOON, NULL));
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (worker){both.client, i, is_short_run() ? 5000 : 100000 + i * 3333};
        CHECK(pthread_create(&ids[i], NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < WORKERS; i++) pthread_join(ids[i], NULL);
    end_echo(&server);
    EQUAL(server.channels, WORKERS * (is_short_run() ? 1 : 4));
    free_pair(both);
}

static void many_threads_one_engine(void)
{
    nacre_engine *engine = new_engine();
    many_threads_on(engine, engine);
    end_engine(engine);
}

static void many_threads_two_engines(void)
{
    nacre_engine *near_engine = new_engine(), *far_engine = new_engine();
    many_threads_on(near_engine, far_engine);
    end_engine(near_engine);
    end_engine(far_engine);
}

/* A client with an engine of one kind and a server with one of the other. */
static void many_threads_mixed_engines(void)
{
    nacre_engine *near_engine = new_engine(), *far_engine = new_engine_with(with_threads ? 0 : 2);
    many_threads_on(near_engine, far_engine);
    end_engine(near_engine);
    end_engine(far_engine);
}

/* --- many threads on one channel -------------------------------------------------------------------- */

#define SHARERS 4
#define RECORD 5000
#define RECORDS 100

typedef struct sharer {
    nacre_channel *channel;
    unsigned char number;
    uint64_t bytes;
    uint64_t sum;
} sharer;

static void *write_records(void *argument)
{
    sharer *self = argument;
    unsigned char record[RECORD];
    for (int i = 0; i < RECORDS; i++) {
        size_t n = 0;
        memset(record, self->number, sizeof record);
        record[1] = (unsigned char)i;
        OK(nacre_channel_write_all(self->channel, record, sizeof record, SOON, &n));
        EQUAL(n, sizeof record);
    }
    return NULL;
}

static void *read_share(void *argument)
{
    sharer *self = argument;
    unsigned char buf[3000];
    size_t n = 0;
    nacre_status status;
    while ((status = nacre_channel_read(self->channel, buf, sizeof buf, SOON, &n)) == NACRE_OK) {
        self->bytes += n;
        for (size_t i = 0; i < n; i++) self->sum += buf[i];
    }
    EXPECT(status, NACRE_ERR_EOF);
    return NULL;
}

static void start_writers(nacre_channel *channel, sharer sharers[SHARERS], pthread_t ids[SHARERS])
{
    for (unsigned char i = 0; i < SHARERS; i++) {
        sharers[i] = (sharer){channel, (unsigned char)(i + 1), 0, 0};
        CHECK(pthread_create(&ids[i], NULL, write_records, &sharers[i]) == 0);
    }
}

/* write_all: a record of one thread is never mixed with that of another, and each thread's stay in order. */
static void writers_are_not_mixed(void)
{
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    sharer sharers[SHARERS];
    pthread_t ids[SHARERS];
    unsigned char record[RECORD];
    int next[SHARERS] = {0};
    open_both(both, &near_end, &far_end);
    start_writers(near_end, sharers, ids);
    for (int i = 0; i < SHARERS * RECORDS; i++) {
        read_exactly(far_end, record, sizeof record);
        unsigned char writer = record[0];
        CHECK(writer >= 1 && writer <= SHARERS);
        EQUAL(record[1], next[writer - 1]);
        next[writer - 1]++;
        for (size_t at = 2; at < sizeof record; at++) CHECK(record[at] == writer);
    }
    for (int i = 0; i < SHARERS; i++) pthread_join(ids[i], NULL);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

/* Readers share one stream: every byte goes to just one of them. */
static void readers_share(void)
{
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    sharer writers[SHARERS], readers[SHARERS];
    pthread_t writer_ids[SHARERS], reader_ids[SHARERS];
    uint64_t bytes = 0, sum = 0, expected = 0;
    open_both(both, &near_end, &far_end);
    for (unsigned char i = 0; i < SHARERS; i++) {
        readers[i] = (sharer){far_end, i, 0, 0};
        CHECK(pthread_create(&reader_ids[i], NULL, read_share, &readers[i]) == 0);
    }
    start_writers(near_end, writers, writer_ids);
    for (int i = 0; i < SHARERS; i++) pthread_join(writer_ids[i], NULL);
    OK(nacre_channel_send_eof(near_end));
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(reader_ids[i], NULL);
        bytes += readers[i].bytes;
        sum += readers[i].sum;
        for (uint64_t record = 0; record < RECORDS; record++) expected += (uint64_t)(i + 1) * (RECORD - 1) + record;
    }
    EQUAL(bytes, SHARERS * RECORDS * RECORD);
    EQUAL(sum, expected);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

/* --- a wait that another thread ends ---------------------------------------------------------------- */

typedef enum what { READ, READ_STDERR, PEEK, WRITE, WRITE_ALL, WAIT_EXIT, EXEC, ACCEPT, FLUSH, WAIT, OPEN } what;

typedef struct blocked {
    what call;
    pair both;
    nacre_channel *channel;
    int thread;
    uint64_t op;
    nacre_status status;
    nacre_status outcome;
} blocked;

static void *block(void *argument)
{
    blocked *self = argument;
    static char big[8192];
    char buf[64];
    size_t n = 0;
    nacre_exit result = NACRE_INIT(nacre_exit);
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_channel *channel = NULL;
    __atomic_store_n(&self->thread, current_thread(), __ATOMIC_RELEASE);
    switch (self->call) {
    case READ: self->status = nacre_channel_read(self->channel, buf, sizeof buf, -1, &n); break;
    case READ_STDERR: self->status = nacre_channel_read_stderr(self->channel, buf, sizeof buf, -1, &n); break;
    case PEEK: self->status = nacre_channel_peek(self->channel, buf, sizeof buf, -1, &n); break;
    case WRITE:
        while ((self->status = nacre_channel_write(self->channel, big, sizeof big, -1, &n)) == NACRE_OK) CHECK(n > 0);
        break;
    case WRITE_ALL:
        while ((self->status = nacre_channel_write_all(self->channel, big, sizeof big, -1, &n)) == NACRE_OK)
            CHECK(n == sizeof big);
        break;
    case WAIT_EXIT: self->status = nacre_channel_wait_exit(self->channel, -1, &result); break;
    case EXEC: self->status = nacre_channel_exec(self->channel, "x", -1, NULL); break;
    case ACCEPT: self->status = nacre_transport_accept(self->both.client, -1, &channel); break;
    case FLUSH: self->status = nacre_channel_flush(self->channel, -1); break;
    case WAIT:
        self->status = nacre_transport_wait(self->both.client, self->op, -1, &event);
        self->outcome = event.status;
        break;
    case OPEN: self->status = nacre_transport_open_session(self->both.client, -1, &channel, NULL); break;
    }
    EQUAL(n < sizeof big, 1);
    CHECK(channel == NULL);
    return NULL;
}

static nacre_decision never(void *userdata, nacre_transport *transport, nacre_channel *channel,
                            const nacre_request *request, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)request;
    nacre_ticket **kept = userdata;
    *kept = ticket;
    return NACRE_DEFER;
}
static nacre_decision never_open(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                                 const void *data, size_t len, nacre_ticket *ticket)
{
    (void)transport, (void)channel, (void)kind, (void)data, (void)len;
    nacre_ticket **kept = userdata;
    *kept = ticket;
    return NACRE_DEFER;
}

/* `by`: 0 the channel's close, 1 the transport's. */
static void closed_under(what call, int by)
{
    static char step[64];
    nacre_engine *engine = new_engine();
    nacre_server_callbacks callbacks = plain_server();
    nacre_ticket *kept = NULL;
    pthread_t thread;
    blocked waiting;
    nacre_channel *far_end = NULL, *extra = NULL;
    size_t n = 0;
    snprintf(step, sizeof step, "closed_under(%d, %d)", (int)call, by);
    test_step = step;
    memset(&waiting, 0, sizeof waiting);
    callbacks.userdata = &kept;
    if (call == EXEC || call == WAIT) callbacks.channel_request = never;
    waiting.both = connected_pair_of(engine, engine, &callbacks);
    waiting.call = call;
    OK(nacre_transport_open_session(waiting.both.client, SOON, &waiting.channel, NULL));
    OK(nacre_transport_accept(waiting.both.server, SOON, &far_end));
    if (call == WAIT) EXPECT(nacre_channel_exec(waiting.channel, "x", 0, &waiting.op), NACRE_ERR_AGAIN);
    if (call == FLUSH) {
        static char big[65536];
        while (nacre_channel_write(waiting.channel, big, sizeof big, 0, &n) == NACRE_OK) CHECK(n > 0);
    }
    CHECK(pthread_create(&thread, NULL, block, &waiting) == 0);
    until_asleep(&waiting.thread);
    if (by == 0) OK(nacre_channel_close(waiting.channel));
    else OK(nacre_transport_close(waiting.both.client));
    pthread_join(thread, NULL);
    if (call == WAIT && waiting.status == NACRE_OK) waiting.status = waiting.outcome;
    EXPECT(waiting.status, NACRE_ERR_CLOSED);
    nacre_channel_free(waiting.channel);
    nacre_channel_free(far_end);
    nacre_channel_free(extra);
    free_pair(waiting.both);
    nacre_ticket_free(kept);
    end_engine(engine);
}

static void close_ends_waits(void)
{
    static const what of_channel[] = {READ, READ_STDERR, PEEK, WRITE, WRITE_ALL, WAIT_EXIT, EXEC, WAIT};
    static const what of_transport[] = {READ, READ_STDERR, PEEK, WRITE, WRITE_ALL, WAIT_EXIT, EXEC, WAIT, ACCEPT};
    for (size_t i = 0; i < sizeof of_channel / sizeof *of_channel; i++) closed_under(of_channel[i], 0);
    for (size_t i = 0; i < sizeof of_transport / sizeof *of_transport; i++) closed_under(of_transport[i], 1);
}

static void close_ends_an_open(void)
{
    nacre_engine *engine = new_engine();
    nacre_server_callbacks callbacks = plain_server();
    nacre_ticket *kept = NULL;
    pthread_t thread;
    blocked waiting;
    memset(&waiting, 0, sizeof waiting);
    callbacks.userdata = &kept;
    callbacks.channel_open = never_open;
    waiting.both = connected_pair_of(engine, engine, &callbacks);
    waiting.call = OPEN;
    CHECK(pthread_create(&thread, NULL, block, &waiting) == 0);
    until_asleep(&waiting.thread);
    OK(nacre_transport_close(waiting.both.client));
    pthread_join(thread, NULL);
    EXPECT(waiting.status, NACRE_ERR_CLOSED);
    free_pair(waiting.both);
    nacre_ticket_free(kept);
    end_engine(engine);
}

/* --- the lead changes hands -------------------------------------------------------------------------- */

typedef struct impatient {
    nacre_channel *channel;
    int stop;
    int rounds;
} impatient;

/* Waits again and again, each time for a moment. */
static void *wait_shortly(void *argument)
{
    impatient *self = argument;
    char byte;
    size_t n = 0;
    while (!__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE)) {
        EXPECT(nacre_channel_read(self->channel, &byte, 1, 1, &n), NACRE_ERR_AGAIN);
        EQUAL(n, 0);
        self->rounds++;
    }
    return NULL;
}

/* Whoever leads the waiting goes away all the time; those that wait for ever get what is theirs all the same. */
static void lead_is_handed_over(void)
{
    enum { PATIENT = 3 };
    int rounds = is_short_run() ? 20 : 300;
    nacre_engine *near_engine = new_engine(), *far_engine = new_engine_with(1);
    pair both = connected_pair_of(near_engine, far_engine, NULL);
    nacre_channel *far_end[PATIENT], *near_end[PATIENT], *idle_near, *idle_far;
    pthread_t patient[PATIENT], restless;
    open_both(both, &idle_near, &idle_far);
    for (int i = 0; i < PATIENT; i++) open_both(both, &near_end[i], &far_end[i]);
    for (int i = 0; i < PATIENT; i++) CHECK(pthread_create(&patient[i], NULL, echo_channel, near_end[i]) == 0);
    impatient waiting = {idle_near, 0, 0};
    CHECK(pthread_create(&restless, NULL, wait_shortly, &waiting) == 0);
    for (int round = 0; round < rounds; round++) {
        nacre_channel *channel = far_end[round % PATIENT];
        char sent = (char)('a' + round % 26), got = 0;
        size_t n = 0;
        OK(nacre_channel_write(channel, &sent, 1, SOON, &n));
        EQUAL(n, 1);
        read_exactly(channel, &got, 1);
        EQUAL(got, sent);
        if (round == rounds / 2) {
            /* From now on only those that wait for ever are there. */
            __atomic_store_n(&waiting.stop, 1, __ATOMIC_RELEASE);
            pthread_join(restless, NULL);
            CHECK(waiting.rounds > 0);
        }
    }
    for (int i = 0; i < PATIENT; i++) {
        char more;
        size_t n = 0;
        OK(nacre_channel_send_eof(far_end[i]));
        EXPECT(nacre_channel_read(far_end[i], &more, 1, SOON, &n), NACRE_ERR_EOF);
        pthread_join(patient[i], NULL);
        nacre_channel_free(far_end[i]);
    }
    nacre_channel_free(idle_near);
    nacre_channel_free(idle_far);
    free_pair(both);
    end_engine(near_engine);
    end_engine(far_engine);
}

/* --- callbacks ---------------------------------------------------------------------------------------- */

static int inside_now, most_inside, calls;

static nacre_decision alone(void *userdata, nacre_transport *transport, nacre_channel *channel,
                            const nacre_request *request, nacre_ticket *ticket)
{
    char buf[8];
    size_t n = 0;
    (void)userdata, (void)transport, (void)ticket;
    int inside = __atomic_add_fetch(&inside_now, 1, __ATOMIC_ACQ_REL);
    if (inside > most_inside) most_inside = inside;
    calls++;
    /* Timeouts count as 0 in here: this would never end. */
    EXPECT(nacre_channel_read(channel, buf, sizeof buf, -1, &n), NACRE_ERR_AGAIN);
    EQUAL(n, 0);
    pause_ms(1);
    __atomic_sub_fetch(&inside_now, 1, __ATOMIC_ACQ_REL);
    return request->kind == NACRE_REQUEST_ENV && strcmp(request->text, "yes") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}

static void *ask_often(void *argument)
{
    nacre_channel *channel = argument;
    for (int i = 0; i < 10; i++) {
        OK(nacre_channel_env(channel, "yes", "1", SOON, NULL));
        EXPECT(nacre_channel_env(channel, "no", "1", SOON, NULL), NACRE_ERR_REQUEST_DENIED);
    }
    return NULL;
}

/* One at a time for each transport, however many ask. */
static void callbacks_take_turns(void)
{
    nacre_engine *engine = new_engine();
    nacre_server_callbacks callbacks = plain_server();
    callbacks.channel_request = alone;
    pair both = connected_pair_of(engine, engine, &callbacks);
    nacre_channel *near_end[4], *far_end[4];
    pthread_t ids[4];
    for (int i = 0; i < 4; i++) open_both(both, &near_end[i], &far_end[i]);
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&ids[i], NULL, ask_often, near_end[i]) == 0);
    for (int i = 0; i < 4; i++) pthread_join(ids[i], NULL);
    EQUAL(calls, 80);
    EQUAL(most_inside, 1);
    for (int i = 0; i < 4; i++) nacre_channel_free(near_end[i]), nacre_channel_free(far_end[i]);
    free_pair(both);
    end_engine(engine);
}

/* --- ends while everything is in use ------------------------------------------------------------------ */

static void *use_until_closed(void *argument)
{
    pair both = *(pair *)argument;
    for (;;) {
        nacre_channel *channel = NULL;
        char buf[100];
        size_t n = 0;
        nacre_status status = nacre_transport_open_session(both.client, SOON, &channel, NULL);
        if (status == NACRE_OK) {
            status = nacre_channel_write_all(channel, "hello", 5, SOON, &n);
            if (status == NACRE_OK) {
                status = nacre_channel_read(channel, buf, sizeof buf, SOON, &n);
                if (status == NACRE_OK) CHECK(buf[0] == 'h');
            }
        }
        nacre_channel_free(channel);
        if (status == NACRE_ERR_CLOSED) return NULL;
        OK(status);
    }
}

static void close_under_fire(void)
{
    int rounds = is_short_run() ? 2 : 10;
    for (int round = 0; round < rounds; round++) {
        nacre_engine *engine = new_engine();
        pair both = connected_pair(engine);
        pthread_t ids[WORKERS];
        echo_server server;
        begin_echo(&server, both.server);
        for (int i = 0; i < WORKERS; i++) CHECK(pthread_create(&ids[i], NULL, use_until_closed, &both) == 0);
        pause_ms(round * 2);
        OK(nacre_transport_close(both.client));
        for (int i = 0; i < WORKERS; i++) pthread_join(ids[i], NULL);
        end_echo(&server);
        free_pair(both);
        end_engine(engine);
    }
}

/* A closed engine's threads are gone, not going. */
static void close_leaves_no_thread(void)
{
    for (int round = 0; round < 50; round++) {
        int tasks = threads();
        nacre_engine *engine = new_engine_with(with_threads ? 4 : 0);
        free_pair(connected_pair_of(engine, engine, NULL));
        OK(nacre_engine_close(engine, SOON));
        EQUAL(threads(), tasks);
        nacre_engine_free(engine);
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    host_key();
    int fds = descriptors(), tasks = threads();
    RUN(many_threads_one_engine);
    RUN(many_threads_two_engines);
    RUN(many_threads_mixed_engines);
    RUN(writers_are_not_mixed);
    /* So that writers have to wait. */
    small_windows = 1;
    RUN(writers_are_not_mixed);
    RUN(readers_share);
    RUN(close_ends_waits);
    small_windows = 0;
    RUN(readers_share);
    RUN(close_ends_an_open);
    RUN(lead_is_handed_over);
    RUN(callbacks_take_turns);
    RUN(close_under_fire);
    RUN(close_leaves_no_thread);
    EVENTUALLY(threads() == tasks);
    EQUAL(descriptors(), fds);
    return 0;
}
