/* Session channels: requests arrive with their fields, data goes both ways, and each end is what it says. */
#include "common.h"

/* --- requests ----------------------------------------------------------------------------------------- */

#define MOST_SEEN 24
typedef struct seen {
    nacre_request_kind kind;
    int32_t want_reply;
    char name[64], text[64], value[64];
    size_t text_len, value_len, data_len;
    unsigned char data[64];
    uint32_t columns, rows, width_pixels, height_pixels;
    uint64_t break_ms;
} seen;
typedef struct recorder {
    seen requests[MOST_SEEN];
    int count;
    nacre_channel *channel;
} recorder;

static nacre_decision record(void *userdata, nacre_transport *transport, nacre_channel *channel,
                             const nacre_request *request, nacre_ticket *ticket)
{
    recorder *all = userdata;
    nacre_request_kind kind = 0;
    nacre_channel *asked = NULL;
    nacre_transport *of = NULL;
    int32_t want_reply = 9;
    CHECK(request->size == sizeof *request);
    OK(nacre_ticket_request(ticket, &kind, &want_reply));
    EQUAL(kind, request->kind);
    EQUAL(want_reply, request->want_reply);
    OK(nacre_ticket_channel(ticket, &asked));
    CHECK(asked == channel);
    OK(nacre_ticket_transport(ticket, &of));
    CHECK(of == transport);
    int index = COUNT(all->count);
    CHECK(index < MOST_SEEN);
    seen *one = &all->requests[index];
    one->kind = request->kind;
    one->want_reply = request->want_reply;
    snprintf(one->name, sizeof one->name, "%s", request->name);
    if (request->text != NULL) snprintf(one->text, sizeof one->text, "%s", request->text);
    if (request->value != NULL) snprintf(one->value, sizeof one->value, "%s", request->value);
    one->text_len = request->text_len;
    one->value_len = request->value_len;
    one->data_len = request->data_len;
    if (request->data_len > 0 && request->data_len <= sizeof one->data)
        memcpy(one->data, request->data, request->data_len);
    one->columns = request->columns, one->rows = request->rows;
    one->width_pixels = request->width_pixels, one->height_pixels = request->height_pixels;
    one->break_ms = request->break_ms;
    /* The ticket has copies of the same. */
    if (request->text_len > 0) EXPECT_TEXT(request->text, nacre_ticket_text, ticket, 0);
    if (request->kind == NACRE_REQUEST_ENV) EXPECT_TEXT(request->value, nacre_ticket_text, ticket, 1);
    EXPECT_TEXT(request->name, nacre_ticket_name, ticket);
    if (request->kind == NACRE_REQUEST_PTY || request->kind == NACRE_REQUEST_WINDOW_CHANGE) {
        uint32_t size[4] = {0, 0, 0, 0};
        OK(nacre_ticket_size(ticket, &size[0], &size[1], &size[2], &size[3]));
        EQUAL(size[0], request->columns);
        EQUAL(size[1], request->rows);
        EQUAL(size[2], request->width_pixels);
        EQUAL(size[3], request->height_pixels);
    }
    ADD(all->count, 1);
    return strcmp(one->text, "refused") == 0 || strcmp(one->name, "refused@test") == 0 ? NACRE_REJECT : NACRE_ACCEPT;
}
static void until_seen(pair *both, recorder *all, int count)
{
    int64_t until = now_ms() + SOON;
    while (COUNT(all->count) < count) {
        CHECK(now_ms() < until);
        if (with_threads) {
            pause_ms(1);
        } else {
            nacre_status status = nacre_engine_dispatch(both->engine, 1000);
            CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
        }
    }
    EQUAL(COUNT(all->count), count);
}

static void requests(void)
{
    static const unsigned char modes[] = {53, 0, 0, 0, 1, 128, 0, 0, 0x96, 0, 0};
    recorder all;
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    memset(&all, 0, sizeof all);
    callbacks.userdata = &all;
    callbacks.channel_request = record;
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);

    OK(nacre_channel_pty(near_end, "vt100", 80, 24, 640, 480, modes, sizeof modes, SOON, NULL));
    EQUAL(COUNT(all.count), 1);
    EQUAL(all.requests[0].kind, NACRE_REQUEST_PTY);
    EQUAL(all.requests[0].want_reply, 1);
    SAME(all.requests[0].name, "pty-req");
    SAME(all.requests[0].text, "vt100");
    EQUAL(all.requests[0].columns, 80);
    EQUAL(all.requests[0].rows, 24);
    EQUAL(all.requests[0].width_pixels, 640);
    EQUAL(all.requests[0].height_pixels, 480);
    EQUAL(all.requests[0].data_len, sizeof modes);
    CHECK(memcmp(all.requests[0].data, modes, sizeof modes) == 0);

    OK(nacre_channel_env(near_end, "LANG", "de_DE.UTF-8", SOON, NULL));
    EQUAL(all.requests[1].kind, NACRE_REQUEST_ENV);
    SAME(all.requests[1].name, "env");
    SAME(all.requests[1].text, "LANG");
    SAME(all.requests[1].value, "de_DE.UTF-8");
    EQUAL(all.requests[1].value_len, 11);

    EXPECT(nacre_channel_exec(near_end, "refused", SOON, NULL), NACRE_ERR_REQUEST_DENIED);
    EQUAL(all.requests[2].kind, NACRE_REQUEST_EXEC);
    OK(nacre_channel_exec(near_end, "ls -l \xe9", SOON, NULL));
    SAME(all.requests[3].text, "ls -l \xe9");
    EQUAL(all.requests[3].text_len, 7);
    SAME(all.requests[3].name, "exec");

    OK(nacre_channel_shell(near_end, SOON, NULL));
    EQUAL(all.requests[4].kind, NACRE_REQUEST_SHELL);
    OK(nacre_channel_subsystem(near_end, "sftp", SOON, NULL));
    EQUAL(all.requests[5].kind, NACRE_REQUEST_SUBSYSTEM);
    SAME(all.requests[5].text, "sftp");

    OK(nacre_channel_resize(near_end, 132, 50, 0, 7));
    OK(nacre_channel_send_signal(near_end, "USR1"));
    until_seen(&both, &all, 8);
    EQUAL(all.requests[6].kind, NACRE_REQUEST_WINDOW_CHANGE);
    EQUAL(all.requests[6].want_reply, 0);
    EQUAL(all.requests[6].columns, 132);
    EQUAL(all.requests[6].rows, 50);
    EQUAL(all.requests[6].width_pixels, 0);
    EQUAL(all.requests[6].height_pixels, 7);
    EQUAL(all.requests[7].kind, NACRE_REQUEST_SIGNAL);
    EQUAL(all.requests[7].want_reply, 0);
    SAME(all.requests[7].text, "USR1");

    OK(nacre_channel_send_break(near_end, 750, SOON, NULL));
    EQUAL(all.requests[8].kind, NACRE_REQUEST_BREAK);
    EQUAL(all.requests[8].break_ms, 750);

    OK(nacre_channel_request(near_end, "own@test", "a\0b", 3, 1, SOON, NULL));
    EQUAL(all.requests[9].kind, NACRE_REQUEST_OTHER);
    EQUAL(all.requests[9].want_reply, 1);
    SAME(all.requests[9].name, "own@test");
    EQUAL(all.requests[9].data_len, 3);
    CHECK(memcmp(all.requests[9].data, "a\0b", 3) == 0);
    EXPECT(nacre_channel_request(near_end, "refused@test", NULL, 0, 1, SOON, NULL), NACRE_ERR_REQUEST_DENIED);
    OK(nacre_channel_request(near_end, "silent@test", "x", 1, 0, SOON, NULL));
    until_seen(&both, &all, 12);
    EQUAL(all.requests[11].want_reply, 0);

    EXPECT(nacre_channel_exec(near_end, NULL, SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_channel_request(near_end, "", NULL, 0, 1, SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_channel_request(near_end, "own@test", NULL, 0, 2, SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_channel_exec(NULL, "x", SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_channel_exec(near_end, "x", -2, NULL), NACRE_ERR_ARGUMENT);
    EQUAL(COUNT(all.count), 12);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* Many replies at once come in the order of the requests, each to its own operation. */
static void requests_in_a_row(void)
{
    recorder all;
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    uint64_t ops[12];
    memset(&all, 0, sizeof all);
    callbacks.userdata = &all;
    callbacks.channel_request = record;
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    for (int i = 0; i < 12; i++) {
        EXPECT(nacre_channel_request(near_end, i % 3 == 1 ? "refused@test" : "own@test", NULL, 0, 1, 0, &ops[i]),
               NACRE_ERR_AGAIN);
        for (int before = 0; before < i; before++) CHECK(ops[before] != ops[i]);
        CHECK(ops[i] != 0);
    }
    for (int i = 11; i >= 0; i--) {
        nacre_event event = NACRE_INIT(nacre_event);
        OK(nacre_transport_wait(both.client, ops[i], SOON, &event));
        EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
        EQUAL(event.op, ops[i]);
        EXPECT(event.status, i % 3 == 1 ? NACRE_ERR_REQUEST_DENIED : NACRE_OK);
        EXPECT(nacre_transport_wait(both.client, ops[i], 0, &event), NACRE_ERR_NOT_FOUND);
    }
    EQUAL(COUNT(all.count), 12);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}

/* --- output, error output, ends ------------------------------------------------------------------------- */

static void output(void)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pair both = connected_pair(&callbacks);
    nacre_channel *channel = exec(both.client, "echo hello \xff");
    read_text(channel, "hello \xff");
    expect_eof(channel);
    expect_exit_status(channel, 0);
    nacre_channel_free(channel);

    channel = exec(both.client, "stderr oh no");
    read_stderr_text(channel, "oh no");
    expect_eof(channel);
    expect_exit_status(channel, 2);
    nacre_channel_free(channel);

    static const uint32_t statuses[] = {0, 1, 127, 255, 256, 0xffffffff};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        char line[32];
        snprintf(line, sizeof line, "exit %u", statuses[i]);
        channel = exec(both.client, line);
        expect_exit_status(channel, statuses[i]);
        expect_eof(channel);
        expect_exit_status(channel, statuses[i]);
        nacre_channel_free(channel);
    }
    channel = open_session(both.client);
    EXPECT(nacre_channel_exec(channel, "unheard of", SOON, NULL), NACRE_ERR_REQUEST_DENIED);
    nacre_channel_free(channel);
    end_commands(&both, &server);
}
static void exit_signal(void)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pair both = connected_pair(&callbacks);
    nacre_channel *channel = exec(both.client, "kill TERM");
    nacre_exit exit = NACRE_INIT(nacre_exit);
    char text[64] = "";
    OK(nacre_channel_wait_exit(channel, SOON, &exit));
    EQUAL(exit.kind, NACRE_EXIT_SIGNAL);
    SAME(exit.signal, "TERM");
    EQUAL(exit.core_dumped, 1);
    EXPECT_TEXT("killed by the test", nacre_channel_exit_message, channel);
    expect_eof(channel);
    nacre_channel_free(channel);

    /* A channel that ends without saying how. */
    channel = exec(both.client, "exit 7");
    EXPECT(nacre_channel_exit_message(channel, text, sizeof text, NULL), NACRE_ERR_NOT_FOUND);
    expect_exit_status(channel, 7);
    EXPECT(nacre_channel_exit_message(channel, text, sizeof text, NULL), NACRE_ERR_NOT_FOUND);
    nacre_channel_free(channel);
    end_commands(&both, &server);
}
static void no_exit(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    nacre_exit exit = NACRE_INIT(nacre_exit);
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    EXPECT(nacre_channel_wait_exit(near_end, 0, &exit), NACRE_ERR_AGAIN);
    EXPECT(nacre_channel_wait_exit(near_end, 10, &exit), NACRE_ERR_AGAIN);
    OK(nacre_channel_close(far_end));
    EXPECT(nacre_channel_wait_exit(near_end, SOON, &exit), NACRE_ERR_CLOSED);
    expect_eof(near_end);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}

static void stderr_modes(void)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pair both = connected_pair(&callbacks);
    nacre_channel *channel = exec(both.client, "both");
    read_text(channel, "one,three,");
    read_stderr_text(channel, "two,four.");
    expect_eof(channel);
    expect_exit_status(channel, 3);
    nacre_channel_free(channel);

    channel = open_session(both.client);
    OK(nacre_channel_set_stderr(channel, NACRE_STDERR_COMBINE));
    OK(nacre_channel_exec(channel, "both", SOON, NULL));
    read_text(channel, "one,two,three,four.");
    expect_eof(channel);
    nacre_channel_free(channel);

    channel = open_session(both.client);
    nacre_stderr_mode mode = -1;
    OK(nacre_channel_stderr(channel, &mode));
    CHECK(mode == NACRE_STDERR_SEPARATE);
    OK(nacre_channel_set_stderr(channel, NACRE_STDERR_DISCARD));
    OK(nacre_channel_stderr(channel, &mode));
    CHECK(mode == NACRE_STDERR_DISCARD);
    OK(nacre_channel_exec(channel, "both", SOON, NULL));
    read_text(channel, "one,three,");
    expect_eof(channel);
    nacre_channel_free(channel);

    channel = exec(both.client, "exit 0");
    EXPECT(nacre_channel_set_stderr(channel, 3), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_channel_stderr(channel, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_channel_set_stderr(channel, -1), NACRE_ERR_ARGUMENT);
    nacre_channel_free(channel);
    end_commands(&both, &server);
}
/* Error output that nobody reads does not stall the output, up to the limit. */
static void unread_stderr(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    size_t part = 262144, count = is_short_run() ? 12 : 32, n = 0;
    unsigned char *buf = malloc(part);
    pair both = connected_apart_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    for (size_t i = 0; i < count; i++) {
        pattern(buf, part, i * part, 9);
        size_t done = 0;
        /* The window of the client widens as this end fills it; the client has to run for that. */
        while (done < part) {
            nacre_status status = nacre_channel_write_stderr(far_end, buf + done, part - done, 20, &n);
            done += n;
            if (status == NACRE_ERR_AGAIN && !with_threads) (void)nacre_engine_dispatch(both.engine, 0);
            else if (status != NACRE_ERR_AGAIN) OK(status);
        }
        write_bytes(far_end, "tick", 4);
        read_text(near_end, "tick");
    }
    for (size_t total = 0; total < count * part; total += n) {
        OK(nacre_channel_read_stderr(near_end, buf, part, SOON, &n));
        check_pattern(buf, n, total, 9);
    }
    free(buf);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}

static void counts(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    char text[64] = "";
    size_t n = 99;
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    OK(nacre_channel_readable(near_end, &n));
    EQUAL(n, 0);
    n = 99;
    EXPECT(nacre_channel_peek(near_end, text, sizeof text, 0, &n), NACRE_ERR_AGAIN);
    EQUAL(n, 0);
    n = 99;
    EXPECT(nacre_channel_read(near_end, text, sizeof text, 10, &n), NACRE_ERR_AGAIN);
    EQUAL(n, 0);
    OK(nacre_channel_writable(far_end, &n));
    CHECK(n >= 32768);
    write_text(far_end, "some bytes");
    OK(nacre_channel_write_stderr(far_end, "err", 3, SOON, &n));
    EQUAL(n, 3);
    n = 0;
    OK(nacre_channel_peek(near_end, text, 4, SOON, &n));
    EQUAL(n, 4);
    CHECK(memcmp(text, "some", 4) == 0);
    n = 0;
    OK(nacre_channel_peek(near_end, text, sizeof text, SOON, &n));
    EQUAL(n, 10);
    CHECK(memcmp(text, "some bytes", 10) == 0);
    OK(nacre_channel_readable(near_end, &n));
    EQUAL(n, 10);
    read_text(near_end, "some ");
    OK(nacre_channel_readable(near_end, &n));
    EQUAL(n, 5);
    read_stderr_text(near_end, "e");
    OK(nacre_channel_readable_stderr(near_end, &n));
    EQUAL(n, 2);
    read_text(near_end, "bytes");
    read_stderr_text(near_end, "rr");
    OK(nacre_channel_readable(near_end, &n));
    EQUAL(n, 0);
    /* Nothing to write is written. */
    n = 99;
    OK(nacre_channel_write(near_end, "", 0, SOON, &n));
    EQUAL(n, 0);
    /* What writable says can be written at once. */
    size_t room = 0;
    OK(nacre_channel_writable(near_end, &room));
    CHECK(room >= 32768);
    unsigned char *buf = calloc(1, room);
    OK(nacre_channel_write(near_end, buf, room, 0, &n));
    EQUAL(n, room);
    nacre_channel_state info = NACRE_INIT(nacre_channel_state), far_info = NACRE_INIT(nacre_channel_state);
    OK(nacre_channel_info(near_end, &info));
    OK(nacre_channel_info(far_end, &far_info));
    EQUAL(info.open, 1);
    EQUAL(info.closed, 0);
    EQUAL(info.peer_eof, 0);
    EQUAL(info.opened_by_peer, 0);
    EQUAL(far_info.opened_by_peer, 1);
    EQUAL(info.remote_max_packet, far_info.local_max_packet);
    EXPECT_TEXT("session", nacre_channel_kind, near_end);
    EXPECT_TEXT("session", nacre_channel_kind, far_end);
    nacre_transport *transport = NULL;
    OK(nacre_channel_transport(near_end, &transport));
    CHECK(transport == both.client);
    nacre_transport_free(transport);
    free(buf);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}

/* --- much data ------------------------------------------------------------------------------------------ */

static size_t much(void)
{
    return is_short_run() ? 1 << 18 : 8 << 20;
}
static void down(nacre_transport *client)
{
    static unsigned char buf[100000];
    char line[32];
    uint64_t total = 0;
    size_t n = 0;
    nacre_status status;
    snprintf(line, sizeof line, "big %zu", much());
    nacre_channel *channel = exec(client, line);
    while ((status = nacre_channel_read(channel, buf, sizeof buf, SOON, &n)) == NACRE_OK) {
        CHECK(n > 0);
        check_pattern(buf, n, total, 1);
        total += n;
    }
    EXPECT(status, NACRE_ERR_EOF);
    EQUAL(total, much());
    expect_exit_status(channel, 0);
    nacre_channel_free(channel);
}
static void up(nacre_transport *client)
{
    static unsigned char buf[100000];
    char text[64];
    nacre_channel *channel = exec(client, "sink");
    for (size_t done = 0; done < much();) {
        size_t part = much() - done < sizeof buf ? much() - done : sizeof buf;
        pattern(buf, part, done, 2);
        write_bytes(channel, buf, part);
        done += part;
    }
    OK(nacre_channel_send_eof(channel));
    snprintf(text, sizeof text, "%zu bytes", much());
    read_text(channel, text);
    expect_eof(channel);
    expect_exit_status(channel, 0);
    nacre_channel_free(channel);
}
static void *write_much(void *argument)
{
    unsigned char buf[50000];
    nacre_channel *channel = argument;
    for (size_t done = 0; done < much();) {
        size_t part = much() - done < sizeof buf ? much() - done : sizeof buf;
        pattern(buf, part, done, 3);
        write_bytes(channel, buf, part);
        done += part;
    }
    OK(nacre_channel_send_eof(channel));
    return NULL;
}
/* Both ways at once, through "cat". */
static void there_and_back(nacre_transport *client)
{
    static unsigned char buf[100000];
    uint64_t total = 0;
    size_t n = 0;
    pthread_t writer;
    nacre_status status;
    nacre_channel *channel = exec(client, "cat");
    CHECK(pthread_create(&writer, NULL, write_much, channel) == 0);
    while ((status = nacre_channel_read(channel, buf, sizeof buf, SOON, &n)) == NACRE_OK) {
        check_pattern(buf, n, total, 3);
        total += n;
    }
    EXPECT(status, NACRE_ERR_EOF);
    EQUAL(total, much());
    CHECK(pthread_join(writer, NULL) == 0);
    expect_exit_status(channel, 0);
    nacre_channel_free(channel);
}
static void large_data(void)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pair both = connected_pair(&callbacks);
    down(both.client);
    up(both.client);
    there_and_back(both.client);
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    OK(nacre_transport_negotiated(both.client, &info));
    CHECK(info.bytes_in > 2 * much() && info.bytes_out > 2 * much());
    CHECK(info.packets_in > 10 && info.packets_out > 10);
    end_commands(&both, &server);
}
static void large_data_apart(void)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pair both = connected_apart_pair(&callbacks);
    down(both.client);
    up(both.client);
    there_and_back(both.client);
    end_commands(&both, &server);
}

/* --- ends ----------------------------------------------------------------------------------------------- */

static void eof(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    size_t n = 99;
    char text[16];
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    write_text(near_end, "last words");
    OK(nacre_channel_send_eof(near_end));
    EXPECT(nacre_channel_write(near_end, "x", 1, SOON, &n), NACRE_ERR_STATE);
    EQUAL(n, 0);
    n = 99;
    EXPECT(nacre_channel_write_all(near_end, "x", 1, SOON, &n), NACRE_ERR_STATE);
    EQUAL(n, 0);
    read_text(far_end, "last words");
    expect_eof(far_end);
    /* Again and again. */
    expect_eof(far_end);
    EXPECT(nacre_channel_peek(far_end, text, sizeof text, SOON, &n), NACRE_ERR_EOF);
    nacre_channel_state info = NACRE_INIT(nacre_channel_state);
    OK(nacre_channel_info(far_end, &info));
    EQUAL(info.peer_eof, 1);
    EQUAL(info.closed, 0);
    /* The other direction is open still. */
    write_text(far_end, "an answer");
    read_text(near_end, "an answer");
    OK(nacre_channel_finish(far_end, 5));
    expect_eof(near_end);
    expect_exit_status(near_end, 5);
    EXPECT(nacre_channel_write(far_end, "x", 1, SOON, &n), NACRE_ERR_CLOSED);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* finish: EOF and status come after everything that was queued. */
static void finish_order(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    size_t total = 0, n = 0, len = 200000;
    unsigned char *buf = malloc(len), part[1000];
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    pattern(buf, len, 0, 4);
    write_bytes(far_end, buf, len);
    OK(nacre_channel_finish(far_end, 42));
    nacre_channel_free(far_end);
    expect_exit_status(near_end, 42);
    nacre_status status;
    while ((status = nacre_channel_read(near_end, part, sizeof part, SOON, &n)) == NACRE_OK) {
        check_pattern(part, n, total, 4);
        total += n;
    }
    EXPECT(status, NACRE_ERR_EOF);
    EQUAL(total, len);
    n = 9;
    status = nacre_channel_write(near_end, "x", 1, SOON, &n);
    CHECK(status == NACRE_ERR_CLOSED || status == NACRE_ERR_EOF);
    EQUAL(n, 0);
    nacre_channel_free(near_end);
    free(buf);
    end_pair(&both);
}
/* Closing: what was written before still arrives, nothing can be written any more. */
static void closing(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    nacre_channel_state info = NACRE_INIT(nacre_channel_state);
    size_t n = 9;
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    write_text(near_end, "before");
    OK(nacre_channel_close(near_end));
    OK(nacre_channel_close(near_end));
    EXPECT(nacre_channel_write(near_end, "x", 1, SOON, &n), NACRE_ERR_CLOSED);
    EQUAL(n, 0);
    EXPECT(nacre_channel_exec(near_end, "x", SOON, NULL), NACRE_ERR_CLOSED);
    read_text(far_end, "before");
    expect_eof(far_end);
    OK(nacre_channel_close(far_end));
    nacre_event event = event_of(both.engine, both.client, NACRE_EVENT_CHANNEL_CLOSED);
    CHECK(event.channel == near_end);
    OK(nacre_channel_info(near_end, &info));
    EQUAL(info.closed, 1);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    /* Another can be opened. */
    open_both(&both, &near_end, &far_end);
    write_text(near_end, "again");
    read_text(far_end, "again");
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* A connection that is cut is never an orderly end. */
static void lost(int with_data, int by_disconnect)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    size_t n = 9;
    char text[16];
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    if (with_data) {
        write_text(far_end, "cut");
        OK(nacre_channel_peek(near_end, text, sizeof text, SOON, &n));
        EQUAL(n, 3);
    }
    if (by_disconnect) {
        OK(nacre_transport_disconnect(both.server, 11, "going down"));
    } else {
        int32_t fd = -1;
        OK(nacre_transport_fd(both.server, &fd));
        CHECK(shutdown(fd, SHUT_RDWR) == 0);
    }
    if (with_data) read_text(near_end, "cut");
    n = 9;
    nacre_status status = nacre_channel_read(near_end, text, sizeof text, SOON, &n);
    EXPECT(status, by_disconnect ? NACRE_ERR_DISCONNECTED : NACRE_ERR_CLOSED);
    EQUAL(n, 0);
    EXPECT(nacre_channel_read(near_end, text, sizeof text, SOON, &n), status);
    EXPECT(nacre_channel_read_stderr(near_end, text, sizeof text, SOON, &n), status);
    EXPECT(nacre_channel_peek(near_end, text, sizeof text, SOON, &n), status);
    EXPECT(nacre_channel_write(near_end, "x", 1, SOON, &n), status);
    EQUAL(n, 0);
    nacre_exit exit = NACRE_INIT(nacre_exit);
    EXPECT(nacre_channel_wait_exit(near_end, SOON, &exit), status);
    EXPECT(nacre_channel_exec(near_end, "x", SOON, NULL), status);
    EQUAL(nacre_transport_is_active(both.client), 0);
    EQUAL(nacre_transport_is_authenticated(both.client), 0);
    nacre_channel *other = NULL;
    EXPECT(nacre_transport_open_session(both.client, SOON, &other, NULL), status);
    CHECK(other == NULL);
    if (by_disconnect) {
        nacre_error *error = NULL;
        uint32_t code = 0;
        int32_t by_peer = 0;
        OK(nacre_transport_take_error(both.client, 0, &error));
        OK(nacre_error_disconnect_code(error, &code));
        EQUAL(code, 11);
        EXPECT_TEXT("going down", nacre_error_disconnect_text, error);
        OK(nacre_error_disconnect_by_peer(error, &by_peer));
        EQUAL(by_peer, 1);
        nacre_error_free(error);
    }
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}
static void lost_connection(void)
{
    lost(0, 0);
    lost(1, 0);
    lost(0, 1);
    lost(1, 1);
}
/* An EOF that came before the connection was lost stays one. */
static void lost_after_eof(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    write_text(far_end, "all of it");
    OK(nacre_channel_send_eof(far_end));
    read_text(near_end, "all of it");
    expect_eof(near_end);
    OK(nacre_transport_disconnect(both.server, 11, NULL));
    nacre_event event = event_of(both.engine, both.client, NACRE_EVENT_DISCONNECTED);
    EXPECT(event.status, NACRE_ERR_DISCONNECTED);
    expect_eof(near_end);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}

/* --- opening -------------------------------------------------------------------------------------------- */

static nacre_decision refuse_open(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                                  const void *data, size_t len, nacre_ticket *ticket)
{
    (void)transport, (void)channel, (void)data;
    EQUAL(len, 0);
    SAME(kind, "session");
    if (ADD(*(int *)userdata, 1) > 1) return NACRE_REJECT;
    OK(nacre_ticket_answer_refuse(ticket, 4, "no room \x1b[31m left"));
    return NACRE_ACCEPT;
}
static void refused(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = (nacre_channel *)&callbacks;
    nacre_error *error = NULL;
    int asked = 0;
    uint32_t code = 0;
    char text[128] = "";
    callbacks.userdata = &asked;
    callbacks.channel_open = refuse_open;
    pair both = served_pair(&callbacks);
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, NULL), NACRE_ERR_STATE);
    CHECK(channel == NULL);
    expect_logged_in(both.client);
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, NULL), NACRE_ERR_CHANNEL_REFUSED);
    CHECK(channel == NULL);
    OK(nacre_transport_take_error(both.client, 0, &error));
    EXPECT(nacre_error_status(error), NACRE_ERR_CHANNEL_REFUSED);
    OK(nacre_error_open_code(error, &code));
    EQUAL(code, 4);
    TEXT_OF(text, nacre_error_open_text, error);
    CHECK(strstr(text, "no room") != NULL && strchr(text, '\x1b') == NULL);
    nacre_error_free(error);
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, NULL), NACRE_ERR_CHANNEL_REFUSED);
    OK(nacre_transport_take_error(both.client, 0, &error));
    OK(nacre_error_open_code(error, &code));
    EQUAL(code, 1);
    nacre_error_free(error);
    EQUAL(COUNT(asked), 2);
    EQUAL(nacre_transport_is_active(both.client), 1);
    end_pair(&both);
}
/* Windows and packets of one channel are what was asked for. */
static void own_window(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end = NULL, *far_end = NULL;
    nacre_channel_state info = NACRE_INIT(nacre_channel_state);
    unsigned char buf[20000];
    size_t n = 0, total = 0;
    pair both = connected_pair(&callbacks);
    OK(nacre_transport_open_session_with(both.client, 10000, 1000, SOON, &near_end, NULL));
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    OK(nacre_channel_info(near_end, &info));
    EQUAL(info.local_window, 10000);
    EQUAL(info.local_max_packet, 1000);
    OK(nacre_channel_info(far_end, &info));
    EQUAL(info.remote_window, 10000);
    EQUAL(info.remote_max_packet, 1000);
    pattern(buf, sizeof buf, 0, 6);
    write_bytes(far_end, buf, sizeof buf);
    /* Nothing was read: no more than the window comes. */
    OK(nacre_channel_peek(near_end, buf, sizeof buf, SOON, &n));
    while (total < 20000) {
        OK(nacre_channel_readable(near_end, &n));
        CHECK(n <= 10000);
        OK(nacre_channel_read(near_end, buf, 3000, SOON, &n));
        check_pattern(buf, n, total, 6);
        total += n;
    }
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(requests);
    RUN(requests_in_a_row);
    RUN(output);
    RUN(exit_signal);
    RUN(no_exit);
    RUN(stderr_modes);
    RUN(unread_stderr);
    RUN(counts);
    RUN(large_data);
    RUN(large_data_apart);
    RUN(eof);
    RUN(finish_order);
    RUN(closing);
    RUN(lost_connection);
    RUN(lost_after_eof);
    RUN(refused);
    RUN(own_window);
    return 0;
}
