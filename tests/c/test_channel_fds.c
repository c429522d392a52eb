/* Descriptors of channels: readable exactly while what they tell is so; and nacre_poll over several things. */
#include "common.h"

typedef struct ends {
    pair both;
    nacre_channel *channel, *far_end;
} ends;

static ends new_ends(void)
{
    nacre_server_callbacks callbacks = accepting();
    ends made;
    made.both = connected_pair(&callbacks);
    open_both(&made.both, &made.channel, &made.far_end);
    return made;
}
static void free_ends(ends *made)
{
    nacre_channel_free(made->channel);
    nacre_channel_free(made->far_end);
    end_pair(&made->both);
}
static int32_t fd_of(nacre_channel *channel, nacre_channel_what what)
{
    int32_t fd = -1, again = -1;
    OK(nacre_channel_event_fd(channel, what, &fd));
    OK(nacre_channel_event_fd(channel, what, &again));
    EQUAL(fd, again);
    CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    return fd;
}
/* Becomes readable; an engine without threads is driven meanwhile. */
static void until_readable(ends *made, int32_t fd)
{
    int64_t until = now_ms() + SOON;
    if (with_threads) {
        CHECK(is_readable_within(fd, SOON));
        return;
    }
    while (!is_readable(fd)) {
        nacre_status status = nacre_engine_dispatch(made->both.engine, 1000);
        CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
        CHECK(now_ms() < until);
    }
}
/* Stays silent for a moment. */
static void stays_silent(ends *made, int32_t fd)
{
    for (int i = 0; i < 10; i++) {
        if (!with_threads) (void)nacre_engine_dispatch(made->both.engine, 0);
        CHECK(!is_readable_within(fd, 2));
    }
}

static void read_levels(void)
{
    ends made = new_ends();
    int32_t out = fd_of(made.channel, NACRE_CHANNEL_READ), err = fd_of(made.channel, NACRE_CHANNEL_READ_STDERR);
    char text[16];
    size_t n = 0;
    CHECK(out != err);
    stays_silent(&made, out);
    stays_silent(&made, err);

    write_text(made.far_end, "abcdef");
    until_readable(&made, out);
    /* Polling takes nothing; reading a part leaves the rest. */
    CHECK(is_readable(out) && is_readable(out));
    CHECK(!is_readable(err));
    OK(nacre_channel_peek(made.channel, text, sizeof text, 0, &n));
    EQUAL(n, 6);
    CHECK(is_readable(out));
    OK(nacre_channel_read(made.channel, text, 2, 0, &n));
    EQUAL(n, 2);
    CHECK(is_readable(out));
    OK(nacre_channel_read(made.channel, text, sizeof text, 0, &n));
    EQUAL(n, 4);
    CHECK(!is_readable(out));
    stays_silent(&made, out);

    OK(nacre_channel_write_stderr(made.far_end, "err", 3, 0, &n));
    until_readable(&made, err);
    CHECK(!is_readable(out));
    OK(nacre_channel_read_stderr(made.channel, text, sizeof text, 0, &n));
    EQUAL(n, 3);
    CHECK(!is_readable(err) && !is_readable(out));

    /* The end counts until a read of that stream has told it. */
    OK(nacre_channel_send_eof(made.far_end));
    until_readable(&made, out);
    until_readable(&made, err);
    EXPECT(nacre_channel_read(made.channel, text, sizeof text, 0, &n), NACRE_ERR_EOF);
    CHECK(!is_readable(out) && is_readable(err));
    EXPECT(nacre_channel_read_stderr(made.channel, text, sizeof text, 0, &n), NACRE_ERR_EOF);
    CHECK(!is_readable(out) && !is_readable(err));
    stays_silent(&made, out);
    stays_silent(&made, err);

    EXPECT(nacre_channel_event_fd(made.channel, 0, &out), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_channel_event_fd(made.channel, 5, &out), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_channel_event_fd(made.channel, NACRE_CHANNEL_READ, NULL), NACRE_ERR_ARGUMENT);
    free_ends(&made);
}
/* A descriptor that is asked for when there is something already is readable at once. */
static void asked_for_late(void)
{
    ends made = new_ends();
    char text[16];
    size_t n = 0;
    write_text(made.far_end, "text");
    OK(nacre_channel_peek(made.channel, text, sizeof text, SOON, &n));
    int32_t out = fd_of(made.channel, NACRE_CHANNEL_READ);
    CHECK(is_readable(out));
    OK(nacre_channel_finish(made.far_end, 1));
    expect_exit_status(made.channel, 1);
    CHECK(is_readable(fd_of(made.channel, NACRE_CHANNEL_STATE)));
    read_text(made.channel, "text");
    CHECK(is_readable(out));
    expect_eof(made.channel);
    CHECK(!is_readable(out));
    CHECK(!is_readable(fd_of(made.channel, NACRE_CHANNEL_READ_STDERR)));
    free_ends(&made);
}
static void write_levels(void)
{
    nacre_server_callbacks callbacks = accepting();
    static unsigned char buf[65536];
    ends made;
    nacre_status status;
    size_t n = 0, written = 0, read = 0;
    made.both = connected_pair(&callbacks);
    OK(nacre_transport_open_session_with(made.both.client, 65536, 16384, SOON, &made.channel, NULL));
    OK(nacre_transport_accept(made.both.server, SOON, &made.far_end));
    int32_t room = fd_of(made.far_end, NACRE_CHANNEL_WRITE);
    /* Not while no write fell short. */
    stays_silent(&made, room);
    OK(nacre_channel_write(made.far_end, buf, 10, 0, &n));
    written += n;
    stays_silent(&made, room);
    do {
        status = nacre_channel_write(made.far_end, buf, sizeof buf, 0, &n);
        written += n;
    } while (status == NACRE_OK);
    EXPECT(status, NACRE_ERR_AGAIN);
    CHECK(!is_readable(room));
    stays_silent(&made, room);
    /* Room again once enough was read; and until the next write. */
    while (!is_readable(room)) {
        OK(nacre_channel_read(made.channel, buf, sizeof buf, SOON, &n));
        read += n;
        CHECK(read <= written);
        if (read == written) until_readable(&made, room);
        if (!with_threads) (void)nacre_engine_dispatch(made.both.engine, 0);
    }
    CHECK(is_readable(room) && is_readable(room));
    OK(nacre_channel_write(made.far_end, "x", 1, 0, &n));
    EQUAL(n, 1);
    CHECK(!is_readable(room));
    free_ends(&made);
}
static void state_levels(void)
{
    ends made = new_ends();
    int32_t state = fd_of(made.channel, NACRE_CHANNEL_STATE);
    stays_silent(&made, state);
    write_text(made.far_end, "data is no news");
    stays_silent(&made, state);
    OK(nacre_channel_send_exit_status(made.far_end, 3));
    until_readable(&made, state);
    expect_exit_status(made.channel, 3);
    free_ends(&made);

    made = new_ends();
    state = fd_of(made.channel, NACRE_CHANNEL_STATE);
    OK(nacre_channel_close(made.far_end));
    until_readable(&made, state);
    free_ends(&made);

    /* A lost connection is an end of everything. */
    made = new_ends();
    state = fd_of(made.channel, NACRE_CHANNEL_STATE);
    int32_t out = fd_of(made.channel, NACRE_CHANNEL_READ);
    OK(nacre_transport_disconnect(made.both.server, 11, NULL));
    until_readable(&made, state);
    until_readable(&made, out);
    size_t n = 0;
    char byte;
    EXPECT(nacre_channel_read(made.channel, &byte, 1, 0, &n), NACRE_ERR_DISCONNECTED);
    CHECK(!is_readable(out));
    free_ends(&made);
}
static nacre_decision refuse(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                             const void *data, size_t len, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)kind, (void)data, (void)len, (void)ticket;
    return NACRE_REJECT;
}
/* An opening that is refused is news too, and the end of both streams. */
static void refused_opening(void)
{
    nacre_server_callbacks callbacks = accepting();
    ends made;
    uint64_t op = 0;
    size_t n = 0;
    char byte;
    made.far_end = NULL;
    callbacks.channel_open = refuse;
    made.both = connected_pair(&callbacks);
    EXPECT(nacre_transport_open_session(made.both.client, 0, &made.channel, &op), NACRE_ERR_AGAIN);
    int32_t state = fd_of(made.channel, NACRE_CHANNEL_STATE), out = fd_of(made.channel, NACRE_CHANNEL_READ);
    until_readable(&made, state);
    until_readable(&made, out);
    EXPECT(nacre_channel_read(made.channel, &byte, 1, 0, &n), NACRE_ERR_CHANNEL_REFUSED);
    free_ends(&made);
}
/* The descriptors are gone with the channel. */
static void descriptors_end(void)
{
    ends made = new_ends();
    int before = descriptors();
    (void)fd_of(made.channel, NACRE_CHANNEL_READ);
    (void)fd_of(made.channel, NACRE_CHANNEL_READ_STDERR);
    (void)fd_of(made.channel, NACRE_CHANNEL_WRITE);
    (void)fd_of(made.channel, NACRE_CHANNEL_STATE);
    EQUAL(descriptors(), before + 4);
    nacre_channel_free(made.channel);
    made.channel = NULL;
    EQUAL(descriptors(), before);
    free_ends(&made);
}

/* --- nacre_poll ------------------------------------------------------------------------------------------- */

typedef struct writer {
    nacre_channel *channel;
    const char *text;
    long after_ms;
} writer;
static void *write_later(void *argument)
{
    writer *job = argument;
    pause_ms(job->after_ms);
    write_text(job->channel, job->text);
    return NULL;
}
static void poll_several(void)
{
    ends made = new_ends();
    nacre_channel *second, *second_far_end;
    nacre_event event = NACRE_INIT(nacre_event);
    pthread_t thread;
    int32_t ready[5] = {7, 7, 7, 7, 7};
    size_t n = 0;
    char byte;
    open_both(&made.both, &second, &second_far_end);
    while (nacre_engine_next_event(made.both.engine, &event) == NACRE_OK) free_event(&event);
    nacre_poll_item items[5] = {NACRE_INIT(nacre_poll_item), NACRE_INIT(nacre_poll_item), NACRE_INIT(nacre_poll_item),
                                NACRE_INIT(nacre_poll_item), NACRE_INIT(nacre_poll_item)};
    const nacre_poll_item *all[5] = {&items[0], &items[1], &items[2], &items[3], &items[4]};
    items[0].channel = made.channel, items[0].what = NACRE_CHANNEL_READ;
    items[1].channel = second, items[1].what = NACRE_CHANNEL_READ;
    items[2].channel = second, items[2].what = NACRE_CHANNEL_STATE;
    items[3].transport = made.both.client;
    items[4].engine = made.both.engine;

    EXPECT(nacre_poll(all, 3, 0, ready), NACRE_ERR_AGAIN);
    EXPECT(nacre_poll(all, 5, 30, ready), NACRE_ERR_AGAIN);
    for (int i = 0; i < 5; i++) EQUAL(ready[i], 0);
    /* Another thread writes: the wait sees it and says which. */
    writer job = {second_far_end, "x", 20};
    CHECK(pthread_create(&thread, NULL, write_later, &job) == 0);
    OK(nacre_poll(all, 3, SOON, ready));
    EQUAL(ready[0], 0);
    EQUAL(ready[1], 1);
    EQUAL(ready[2], 0);
    CHECK(pthread_join(thread, NULL) == 0);
    /* READABLE waits as an event of the transport and of the engine. */
    OK(nacre_poll(all, 5, SOON, ready));
    EQUAL(ready[0], 0);
    EQUAL(ready[1], 1);
    EQUAL(ready[3], 1);
    EQUAL(ready[4], 1);
    OK(nacre_channel_read(second, &byte, 1, 0, &n));
    EXPECT(nacre_poll(all, 3, 0, ready), NACRE_ERR_AGAIN);
    OK(nacre_transport_next_event(made.both.client, &event));
    EQUAL(event.kind, NACRE_EVENT_CHANNEL_READABLE);
    EXPECT(nacre_poll(all, 5, 0, ready), NACRE_ERR_AGAIN);
    /* More than one at once. */
    write_text(made.far_end, "y");
    OK(nacre_channel_finish(second_far_end, 0));
    int64_t until = now_ms() + SOON;
    do {
        OK(nacre_poll(all, 3, SOON, ready));
        CHECK(now_ms() < until);
    } while (!(ready[0] && ready[1] && ready[2]));
    /* One item alone, and arguments that make no sense. */
    const nacre_poll_item *one = &items[0];
    int32_t alone = 7;
    OK(nacre_poll(&one, 1, SOON, &alone));
    EQUAL(alone, 1);
    nacre_poll_item none = NACRE_INIT(nacre_poll_item), both = NACRE_INIT(nacre_poll_item);
    one = &none;
    EXPECT(nacre_poll(&one, 1, 0, &alone), NACRE_ERR_ARGUMENT);
    both.channel = second, both.what = NACRE_CHANNEL_READ, both.transport = made.both.client;
    one = &both;
    EXPECT(nacre_poll(&one, 1, 0, &alone), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_poll(all, 5, -2, ready), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_poll(NULL, 5, 0, ready), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_poll(all, 5, 0, NULL), NACRE_ERR_ARGUMENT);
    nacre_channel_free(second);
    nacre_channel_free(second_far_end);
    free_ends(&made);
}
static void *wake_later(void *argument)
{
    pause_ms(20);
    OK(nacre_engine_wake(argument));
    return NULL;
}
static void poll_interrupted(void)
{
    ends made = new_ends();
    pthread_t thread;
    int32_t ready = 7;
    nacre_poll_item item = NACRE_INIT(nacre_poll_item);
    const nacre_poll_item *one = &item;
    item.channel = made.channel, item.what = NACRE_CHANNEL_READ;
    CHECK(pthread_create(&thread, NULL, wake_later, made.both.engine) == 0);
    EXPECT(nacre_poll(&one, 1, SOON, &ready), NACRE_ERR_INTERRUPTED);
    CHECK(pthread_join(thread, NULL) == 0);
    write_text(made.far_end, "z");
    OK(nacre_poll(&one, 1, SOON, &ready));
    EQUAL(ready, 1);
    free_ends(&made);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(read_levels);
    RUN(asked_for_late);
    RUN(write_levels);
    RUN(state_levels);
    RUN(refused_opening);
    RUN(descriptors_end);
    RUN(poll_several);
    RUN(poll_interrupted);
    return 0;
}
