/* Statuses and errors: names, texts, and everything that is known of a failure, by field. */
#include "ends.h"

static const struct {
    nacre_status status;
    const char *name;
} statuses[] = {
    {0, "OK"},
    {-1, "ERR_AGAIN"},
    {-2, "ERR_TIMEOUT"},
    {-3, "ERR_EOF"},
    {-4, "ERR_CLOSED"},
    {-5, "ERR_CANCELLED"},
    {-6, "ERR_INTERRUPTED"},
    {-7, "ERR_FORKED"},
    {-8, "ERR_ARGUMENT"},
    {-9, "ERR_BUFFER"},
    {-10, "ERR_STATE"},
    {-11, "ERR_RESOLVE"},
    {-12, "ERR_CONNECT"},
    {-13, "ERR_IO"},
    {-14, "ERR_CALLBACK"},
    {-15, "ERR_PROTOCOL"},
    {-16, "ERR_NEGOTIATION"},
    {-17, "ERR_HOST_KEY"},
    {-18, "ERR_AUTH_FAILED"},
    {-19, "ERR_AUTH_METHOD"},
    {-20, "ERR_AUTH_PARTIAL"},
    {-21, "ERR_CHANNEL_REFUSED"},
    {-22, "ERR_REQUEST_DENIED"},
    {-23, "ERR_ALGORITHM"},
    {-24, "ERR_KEY_FORMAT"},
    {-25, "ERR_PASSPHRASE"},
    {-26, "ERR_NOT_FOUND"},
    {-27, "ERR_PERMISSION"},
    {-28, "ERR_SFTP"},
    {-29, "ERR_UNSUPPORTED"},
    {-30, "ERR_DISCONNECTED"},
    {-31, "ERR_LIMIT"},
    {-32, "ERR_GSSAPI"},
    {-33, "ERR_NO_MEMORY"},
    {-34, "ERR_INTERNAL"},
};
#define COUNT (sizeof statuses / sizeof *statuses)

/* Numbers never change: they are written out here. */
static void names_and_texts(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        const char *name = nacre_status_name(statuses[i].status), *text = nacre_status_text(statuses[i].status);
        if (strcmp(name, statuses[i].name) != 0) FAIL("%d is %s, not %s", statuses[i].status, name, statuses[i].name);
        CHECK(text != NULL && strlen(text) > 1 && strcmp(text, name) != 0);
        for (size_t other = 0; other < i; other++) CHECK(strcmp(text, nacre_status_text(statuses[other].status)) != 0);
        CHECK(nacre_status_name(statuses[i].status) == name);
    }
    static const nacre_status unknown[] = {1, -35, 100, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK(strlen(nacre_status_name(unknown[i])) > 0 && strncmp(nacre_status_name(unknown[i]), "ERR_", 4) != 0);
        CHECK(strlen(nacre_status_text(unknown[i])) > 0);
    }
}

/* --- what each failure knows ----------------------------------------------------------------------------- */

#define HAS_CATEGORY 1
#define HAS_METHODS 2
#define HAS_OPEN 4
#define HAS_DISCONNECT 8
#define HAS_VERDICT 16
#define HAS_ADDRESS 32
#define HAS_LINE 64
#define HAS_ERRNO 128

typedef nacre_status (*text_getter)(const nacre_error *, char *, size_t, size_t *);

static char texts[8][1024];

static void expect_field(nacre_error *err, text_getter get, int there, char *out)
{
    char buf[1024];
    size_t needed = 77;
    memset(buf, 'x', sizeof buf);
    if (!there) {
        EXPECT(get(err, buf, sizeof buf, &needed), NACRE_ERR_NOT_FOUND);
        CHECK(buf[0] == 'x');
        return;
    }
    EXPECT(get(err, NULL, 0, &needed), NACRE_ERR_BUFFER);
    CHECK(needed >= 1 && needed <= sizeof buf);
    EXPECT(get(err, buf, needed - 1, NULL), NACRE_ERR_BUFFER);
    CHECK(buf[0] == 'x');
    OK(get(err, buf, needed, &needed));
    EQUAL(strlen(buf) + 1, needed);
    if (out != NULL) strcpy(out, buf);
}

/* Has just these fields. */
static void expect_fields(nacre_error *err, nacre_status status, int fields)
{
    uint32_t number = 0;
    int32_t value = 0;
    CHECK(err != NULL);
    EXPECT(nacre_error_status(err), status);
    expect_field(err, nacre_error_text, 1, texts[0]);
    /* A sentence. */
    CHECK(strlen(texts[0]) > 10 && strchr(texts[0], ' ') != NULL);
    expect_field(err, nacre_error_category, fields & HAS_CATEGORY, texts[1]);
    expect_field(err, nacre_error_local_list, fields & HAS_CATEGORY, texts[2]);
    expect_field(err, nacre_error_remote_list, fields & HAS_CATEGORY, texts[3]);
    expect_field(err, nacre_error_auth_methods, fields & HAS_METHODS, texts[4]);
    expect_field(err, nacre_error_open_text, fields & HAS_OPEN, texts[5]);
    expect_field(err, nacre_error_disconnect_text, fields & HAS_DISCONNECT, texts[6]);
    expect_field(err, nacre_error_address, fields & HAS_ADDRESS, texts[7]);
    EXPECT(nacre_error_open_code(err, &number), fields & HAS_OPEN ? NACRE_OK : NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_error_disconnect_code(err, &number), fields & HAS_DISCONNECT ? NACRE_OK : NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_error_disconnect_by_peer(err, &value), fields & HAS_DISCONNECT ? NACRE_OK : NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_error_verdict(err, &value), fields & HAS_VERDICT ? NACRE_OK : NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_error_line(err, &number), fields & HAS_LINE ? NACRE_OK : NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_error_errno(err, &value), fields & HAS_ERRNO ? NACRE_OK : NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_error_sftp_code(err, &number), NACRE_ERR_NOT_FOUND);
}

static nacre_error *last_error(nacre_transport *transport)
{
    nacre_error *err = NULL, *none = (nacre_error *)texts;
    OK(nacre_transport_take_error(transport, 0, &err));
    CHECK(err != NULL);
    /* Taken is taken. */
    EXPECT(nacre_transport_take_error(transport, 0, &none), NACRE_ERR_NOT_FOUND);
    CHECK(none == NULL);
    return err;
}

static void nothing_in_common(void)
{
    nacre_engine *engine = new_engine();
    pair both = new_pair(engine, engine);
    nacre_server_callbacks plain = plain_server();
    OK(nacre_transport_set_algorithms(both.client, NACRE_ALG_CIPHER, "aes128-ctr,aes256-ctr"));
    OK(nacre_transport_set_algorithms(both.server, NACRE_ALG_CIPHER, "aes128-gcm@openssh.com"));
    start_server(both.server, &plain);
    EXPECT(log_in(both.client, SOON, NULL), NACRE_ERR_NEGOTIATION);
    nacre_error *err = last_error(both.client);
    expect_fields(err, NACRE_ERR_NEGOTIATION, HAS_CATEGORY);
    CHECK(strstr(texts[1], "cipher") != NULL);
    CHECK(strcmp(texts[2], "aes128-ctr,aes256-ctr") == 0);
    CHECK(strcmp(texts[3], "aes128-gcm@openssh.com") == 0);
    free_pair(both);
    end_engine(engine);
    /* It depends on no other handle. */
    expect_fields(err, NACRE_ERR_NEGOTIATION, HAS_CATEGORY);
    nacre_error_free(err);
}

static void logins(void)
{
    nacre_engine *engine = new_engine();
    nacre_server_callbacks plain = plain_server();
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    pair both = new_pair(engine, engine);
    nacre_error *err = NULL;
    nacre_key *key = NULL;
    uint64_t op = 0;
    check.flags = NACRE_HOST_KEY_ANY;
    start_server(both.server, &plain);
    OK(nacre_transport_set_host_key_check(both.client, &check));
    OK(nacre_transport_start_client(both.client, SOON, NULL));
    EXPECT(nacre_transport_auth_password(both.client, "tester", "wrong", 0, SOON, &op), NACRE_ERR_AUTH_FAILED);
    CHECK(op != 0);
    /* By its number, and as the last one of the transport. */
    OK(nacre_transport_take_error(both.client, op, &err));
    expect_fields(err, NACRE_ERR_AUTH_FAILED, HAS_METHODS);
    CHECK(strcmp(texts[4], "password") == 0);
    nacre_error_free(err);
    EXPECT(nacre_transport_take_error(both.client, op, &err), NACRE_ERR_NOT_FOUND);
    err = last_error(both.client);
    expect_fields(err, NACRE_ERR_AUTH_FAILED, HAS_METHODS);
    nacre_error_free(err);
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &key, NULL));
    EXPECT(nacre_transport_auth_publickey(both.client, "tester", key, SOON, NULL), NACRE_ERR_AUTH_METHOD);
    err = last_error(both.client);
    expect_fields(err, NACRE_ERR_AUTH_METHOD, HAS_METHODS);
    nacre_error_free(err);
    nacre_key_free(key);
    OK(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL));
    EXPECT(nacre_transport_take_error(both.client, 0, &err), NACRE_ERR_NOT_FOUND);
    free_pair(both);
    end_engine(engine);
}

static nacre_decision refuse_channel(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                     const char *kind, const void *data, size_t len, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)kind, (void)data, (void)len;
    OK(nacre_ticket_answer_refuse(ticket, 4, "no room\x1b[31m today\n"));
    return NACRE_REJECT;
}

static void channels(void)
{
    nacre_engine *engine = new_engine();
    nacre_server_callbacks callbacks = plain_server();
    nacre_channel *channel = (nacre_channel *)texts;
    nacre_error *err = NULL;
    uint32_t code = 0;
    uint64_t op = 0, other = 0;
    callbacks.channel_open = refuse_channel;
    pair both = connected_pair_of(engine, engine, &callbacks);
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, &op), NACRE_ERR_CHANNEL_REFUSED);
    CHECK(channel == NULL && op != 0);
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, &other), NACRE_ERR_CHANNEL_REFUSED);
    CHECK(other != 0 && other != op);
    OK(nacre_transport_take_error(both.client, op, &err));
    expect_fields(err, NACRE_ERR_CHANNEL_REFUSED, HAS_OPEN);
    OK(nacre_error_open_code(err, &code));
    EQUAL(code, 4);
    CHECK(strncmp(texts[5], "no room", 7) == 0);
    /* A peer's text is cleaned before anybody sees it. */
    CHECK(strchr(texts[5], '\x1b') == NULL && strchr(texts[0], '\x1b') == NULL && strchr(texts[0], '\n') == NULL);
    nacre_error_free(err);
    OK(nacre_transport_take_error(both.client, other, &err));
    nacre_error_free(err);
    free_pair(both);
    end_engine(engine);
}

static void requests(void)
{
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    nacre_error *err = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    open_both(both, &near_end, &far_end);
    EXPECT(nacre_channel_request(near_end, "odd@nacre", NULL, 0, 1, 0, &op), NACRE_ERR_AGAIN);
    CHECK(op != 0);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);
    CHECK(event.channel == near_end && event.message == NULL);
    OK(nacre_channel_take_error(near_end, op, &err));
    expect_fields(err, NACRE_ERR_REQUEST_DENIED, 0);
    nacre_error_free(err);
    EXPECT(nacre_channel_take_error(near_end, op, &err), NACRE_ERR_NOT_FOUND);
    /* Errors that the call itself found are kept too. */
    EXPECT(nacre_channel_write(near_end, NULL, 5, 0, NULL), NACRE_ERR_ARGUMENT);
    OK(nacre_channel_take_error(near_end, 0, &err));
    expect_fields(err, NACRE_ERR_ARGUMENT, 0);
    nacre_error_free(err);
    OK(nacre_channel_send_eof(near_end));
    EXPECT(nacre_channel_write(near_end, "x", 1, SOON, NULL), NACRE_ERR_STATE);
    OK(nacre_channel_take_error(near_end, 0, &err));
    expect_fields(err, NACRE_ERR_STATE, 0);
    nacre_error_free(err);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

/* Nobody reads them: the last 64 are kept, and nothing grows. */
static void kept_for_the_last(void)
{
    enum { MANY = 100, KEPT = 64 };
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    nacre_error *err = NULL;
    uint64_t ops[MANY];
    open_both(both, &near_end, &far_end);
    for (int i = 0; i < MANY; i++) {
        EXPECT(nacre_channel_request(near_end, "odd@nacre", NULL, 0, 1, SOON, &ops[i]), NACRE_ERR_REQUEST_DENIED);
        CHECK(ops[i] != 0);
        for (int other = 0; other < i; other++) CHECK(ops[other] != ops[i]);
    }
    for (int i = 0; i < MANY; i++) {
        EXPECT(nacre_transport_take_error(both.client, ops[i], &err),
               i < MANY - KEPT ? NACRE_ERR_NOT_FOUND : NACRE_OK);
        CHECK((err != NULL) == (i >= MANY - KEPT));
        nacre_error_free(err);
    }
    /* An operation that nobody wanted leaves nothing. */
    EXPECT(nacre_channel_request(near_end, "odd@nacre", NULL, 0, 1, 0, NULL), NACRE_ERR_AGAIN);
    EXPECT(nacre_channel_request(near_end, "odd@nacre", NULL, 0, 1, SOON, &ops[0]), NACRE_ERR_REQUEST_DENIED);
    nacre_event event = NACRE_INIT(nacre_event);
    EXPECT(nacre_transport_next_event(both.client, &event), NACRE_ERR_AGAIN);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

static void disconnects(void)
{
    nacre_engine *engine = new_engine();
    pair both = connected_pair(engine);
    nacre_channel *near_end, *far_end;
    nacre_error *err = NULL;
    uint32_t code = 0;
    int32_t by_peer = 7;
    char buf[16];
    size_t n = 0;
    open_both(both, &near_end, &far_end);
    OK(nacre_transport_disconnect(both.server, 14, "too many\a bells"));
    EXPECT(nacre_channel_read(near_end, buf, sizeof buf, SOON, &n), NACRE_ERR_DISCONNECTED);
    EXPECT(nacre_channel_write(near_end, "x", 1, SOON, &n), NACRE_ERR_DISCONNECTED);
    EQUAL(n, 0);
    OK(nacre_channel_take_error(near_end, 0, &err));
    expect_fields(err, NACRE_ERR_DISCONNECTED, HAS_DISCONNECT);
    OK(nacre_error_disconnect_code(err, &code));
    OK(nacre_error_disconnect_by_peer(err, &by_peer));
    EQUAL(code, 14);
    EQUAL(by_peer, 1);
    CHECK(strncmp(texts[6], "too many", 8) == 0 && strchr(texts[6], '\a') == NULL);
    nacre_error_free(err);
    err = last_error(both.client);
    expect_fields(err, NACRE_ERR_DISCONNECTED, HAS_DISCONNECT);
    nacre_error_free(err);
    err = last_error(both.server);
    expect_fields(err, NACRE_ERR_DISCONNECTED, HAS_DISCONNECT);
    OK(nacre_error_disconnect_code(err, &code));
    OK(nacre_error_disconnect_by_peer(err, &by_peer));
    EQUAL(code, 14);
    EQUAL(by_peer, 0);
    nacre_error_free(err);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
}

static void host_keys(void)
{
    nacre_engine *engine = new_engine();
    nacre_server_callbacks plain = plain_server();
    nacre_error *err = NULL;
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    const char *fingerprints[1] = {"SHA256:E4buBWhqdI43teiV4tOzamTAgT8SvSuqp6Irn2z20sU"};
    int32_t verdict = 0;
    uint64_t op = 0;
    pair both = new_pair(engine, engine);
    start_server(both.server, &plain);
    check.fingerprints = fingerprints;
    check.fingerprint_count = 1;
    options.host_key_check = &check;
    options.user = "tester";
    options.password = "secret";
    EXPECT(nacre_transport_connect(both.client, &options, SOON, &op), NACRE_ERR_HOST_KEY);
    OK(nacre_transport_take_error(both.client, op, &err));
    expect_fields(err, NACRE_ERR_HOST_KEY, HAS_VERDICT);
    OK(nacre_error_verdict(err, &verdict));
    EQUAL(verdict, NACRE_VERDICT_CHANGED);
    nacre_error_free(err);
    free_pair(both);
    /* Nobody has said that it is trusted. */
    both = new_pair(engine, engine);
    start_server(both.server, &plain);
    OK(nacre_transport_start_client(both.client, SOON, NULL));
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL), NACRE_ERR_HOST_KEY);
    err = last_error(both.client);
    expect_fields(err, NACRE_ERR_HOST_KEY, HAS_VERDICT);
    OK(nacre_error_verdict(err, &verdict));
    EQUAL(verdict, NACRE_VERDICT_UNCHECKED);
    nacre_error_free(err);
    OK(nacre_transport_trust_host_key(both.client));
    OK(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL));
    free_pair(both);
    end_engine(engine);
}

static void systems(void)
{
    nacre_engine *engine = new_engine();
    nacre_transport *transport = (nacre_transport *)texts;
    nacre_error *err = NULL;
    nacre_key *key = NULL;
    int fds[2];
    EXPECT(nacre_transport_from_fd(engine, -1, &transport, &err), NACRE_ERR_ARGUMENT);
    CHECK(transport == NULL);
    expect_fields(err, NACRE_ERR_ARGUMENT, 0);
    nacre_error_free(err);
    EXPECT(nacre_key_load_memory("junk", 4, NULL, &key, &err), NACRE_ERR_KEY_FORMAT);
    CHECK(err != NULL);
    nacre_error_free(err);
    EXPECT(nacre_key_load_file("/", NULL, &key, &err), NACRE_ERR_IO);
    expect_fields(err, NACRE_ERR_IO, HAS_ERRNO);
    nacre_error_free(err);
    /* Nothing but bytes that are not SSH. */
    socket_pair(fds);
    OK(nacre_transport_from_fd(engine, fds[0], &transport, &err));
    CHECK(err == NULL);
    CHECK(write(fds[1], "HTTP/1.1 400 Bad Request\r\nSSH-1.5-old\r\n", 39) == 39);
    close(fds[1]);
    nacre_status status = nacre_transport_start_client(transport, SOON, NULL);
    if (status != NACRE_ERR_PROTOCOL && status != NACRE_ERR_UNSUPPORTED) EXPECT(status, NACRE_ERR_PROTOCOL);
    err = last_error(transport);
    CHECK(nacre_error_status(err) == status);
    nacre_error_free(err);
    nacre_transport_free(transport);
    /* A peer that goes away without a word. */
    socket_pair(fds);
    OK(nacre_transport_from_fd(engine, fds[0], &transport, NULL));
    close(fds[1]);
    status = nacre_transport_start_client(transport, SOON, NULL);
    EXPECT(status, NACRE_ERR_CLOSED);
    err = last_error(transport);
    EXPECT(nacre_error_status(err), NACRE_ERR_CLOSED);
    nacre_error_free(err);
    nacre_transport_free(transport);
    end_engine(engine);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(names_and_texts);
    RUN(nothing_in_common);
    RUN(logins);
    RUN(channels);
    RUN(requests);
    RUN(kept_for_the_last);
    RUN(disconnects);
    RUN(host_keys);
    RUN(systems);
    nacre_error_free(NULL);
    return 0;
}
