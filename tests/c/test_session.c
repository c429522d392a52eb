/*
 * Client and server in one process over a socket pair: logins by every method, decisions taken at once, deferred and as
 * events, every request of a session, both streams, and every way in which a channel ends.
 */
#include <nacre.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                                                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)
#define IS(status, call)                                                                                               \
    do {                                                                                                               \
        nacre_status got_ = (call);                                                                                    \
        if (got_ != (status)) {                                                                                        \
            printf("%s:%d: %s: %s instead of %s\n", __FILE__, __LINE__, #call, nacre_status_name(got_),                \
                   nacre_status_name(status));                                                                         \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)
#define OK(call) IS(NACRE_OK, call)

static nacre_engine *engine;
static nacre_key *host_key, *user_key, *other_key;
static int threaded;

/* --- the server's side ------------------------------------------------------------------------------------------- */

static nacre_ticket *deferred;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int destroyed, connected, gone, probes, signatures;
static char last_user[64], log_text[2048];
static nacre_channel *kept;

static void note(const char *text) {
    pthread_mutex_lock(&lock);
    strncat(log_text, text, sizeof log_text - strlen(log_text) - 2);
    strcat(log_text, ";");
    pthread_mutex_unlock(&lock);
}

static int noted(const char *text) {
    pthread_mutex_lock(&lock);
    int there = strstr(log_text, text) != NULL;
    pthread_mutex_unlock(&lock);
    return there;
}

static void on_destroy(void *userdata) { (void)userdata, __atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST); }
static void on_connected(void *u, nacre_transport *t) { (void)u, (void)t, connected++; }
static const char *on_banner(void *u, nacre_transport *t) {
    (void)u, (void)t;
    return "welcome\r\n";
}
static void on_authenticated(void *u, nacre_transport *t, const char *user) {
    (void)u, (void)t;
    snprintf(last_user, sizeof last_user, "%s", user);
}
static void on_disconnected(void *u, nacre_transport *t, nacre_status status, const nacre_error *err) {
    (void)u, (void)t;
    CHECK(status == nacre_error_status(err) && status != NACRE_OK);
    __atomic_add_fetch(&gone, 1, __ATOMIC_SEQ_CST);
}

static nacre_decision on_allowed(void *u, nacre_transport *t, const char *user, nacre_ticket *ticket) {
    (void)u, (void)t;
    const char *methods[] = {"password", "keyboard-interactive"};
    if (strcmp(user, "limited") == 0) OK(nacre_ticket_answer_texts(ticket, methods, 2));
    return NACRE_ACCEPT;
}

static nacre_decision on_none(void *u, nacre_transport *t, const char *user, nacre_ticket *ticket) {
    (void)u, (void)t, (void)ticket;
    return strcmp(user, "guest") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}

static nacre_decision on_password(void *u, nacre_transport *t, const char *user, const char *password,
                                  nacre_ticket *ticket) {
    (void)u, (void)t;
    char text[64], name[64];
    OK(nacre_ticket_text(ticket, 0, text, sizeof text, NULL));
    OK(nacre_ticket_user(ticket, name, sizeof name, NULL));
    CHECK(strcmp(text, password) == 0 && strcmp(name, user) == 0);
    if (strcmp(user, "slow") == 0) {
        pthread_mutex_lock(&lock);
        __atomic_store_n(&deferred, ticket, __ATOMIC_SEQ_CST);
        pthread_mutex_unlock(&lock);
        return NACRE_DEFER;
    }
    if (strcmp(password, "old") == 0) {
        OK(nacre_ticket_answer_password_change(ticket, "a new one, please"));
        IS(NACRE_ERR_STATE, nacre_ticket_answer(ticket, NACRE_ACCEPT));
        return NACRE_ACCEPT;
    }
    if (strcmp(password, "half") == 0) return NACRE_PARTIAL;
    return strcmp(password, "secret") == 0 ? NACRE_ACCEPT : 77;
}

static nacre_decision on_change(void *u, nacre_transport *t, const char *user, const char *old, const char *new_one,
                                nacre_ticket *ticket) {
    (void)u, (void)t, (void)user, (void)ticket;
    return strcmp(old, "old") == 0 && strcmp(new_one, "fresh") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}

static nacre_decision on_key(void *u, nacre_transport *t, const char *user, const nacre_key *key, int32_t verified,
                             nacre_ticket *ticket) {
    (void)u, (void)t, (void)user;
    int32_t same = 0, told = -1;
    char algorithm[64];
    OK(nacre_key_equal(key, user_key, &same));
    OK(nacre_ticket_verified(ticket, &told));
    OK(nacre_ticket_name(ticket, algorithm, sizeof algorithm, NULL));
    CHECK(told == verified && strcmp(algorithm, "ssh-ed25519") == 0);
    __atomic_add_fetch(verified ? &signatures : &probes, 1, __ATOMIC_SEQ_CST);
    return same ? NACRE_ACCEPT : NACRE_REJECT;
}

static nacre_decision on_interactive(void *u, nacre_transport *t, const char *user, const char *submethods,
                                     nacre_ticket *ticket) {
    (void)u, (void)t, (void)user, (void)submethods;
    const char *prompts[] = {"Name: ", "Code: "};
    const int32_t echo[] = {1, 0};
    OK(nacre_ticket_answer_prompts(ticket, "Login", "Answer both", prompts, echo, 2));
    return NACRE_ACCEPT;
}

static nacre_decision on_answers(void *u, nacre_transport *t, const char *user, nacre_ticket *ticket) {
    (void)u, (void)t, (void)user;
    char text[64];
    size_t count = 0;
    const char *again[] = {"Once more: "};
    const int32_t echo[] = {0};
    OK(nacre_ticket_text_count(ticket, &count));
    if (count == 2) {
        OK(nacre_ticket_answer_prompts(ticket, NULL, NULL, again, echo, 1));
        return NACRE_REJECT; /* answered already: does not count */
    }
    OK(nacre_ticket_text(ticket, 0, text, sizeof text, NULL));
    return count == 1 && strcmp(text, "third") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}

static nacre_decision on_open(void *u, nacre_transport *t, nacre_channel *channel, const char *kind, const void *data,
                              size_t len, nacre_ticket *ticket) {
    (void)u, (void)data;
    nacre_transport *asking;
    nacre_channel *asked;
    OK(nacre_ticket_transport(ticket, &asking));
    OK(nacre_ticket_channel(ticket, &asked));
    CHECK(asking == t && asked == channel && len == 0);
    if (strcmp(kind, "session") != 0) return NACRE_REJECT;
    if (strcmp(last_user, "keeper") == 0) {
        kept = channel;
        return NACRE_KEEP;
    }
    if (strcmp(last_user, "nochannels") == 0) OK(nacre_ticket_answer_refuse(ticket, 4, "full"));
    return NACRE_ACCEPT;
}

static nacre_decision on_request(void *u, nacre_transport *t, nacre_channel *channel, const nacre_request *request,
                                 nacre_ticket *ticket) {
    (void)u, (void)t;
    char text[128];
    size_t n;
    nacre_request_kind kind;
    int32_t want_reply;
    OK(nacre_ticket_request(ticket, &kind, &want_reply));
    CHECK(kind == request->kind && want_reply == request->want_reply && request->size == sizeof *request);
    switch (request->kind) {
    case NACRE_REQUEST_PTY:
        snprintf(text, sizeof text, "pty %s %u %u %zu", request->text, request->columns, request->rows,
                 request->data_len);
        break;
    case NACRE_REQUEST_SHELL: snprintf(text, sizeof text, "shell"); break;
    case NACRE_REQUEST_EXEC:
        snprintf(text, sizeof text, "exec %s", request->text);
        /* Goes out after the reply. */
        OK(nacre_channel_write_all(channel, "early", 5, 0, &n));
        break;
    case NACRE_REQUEST_SUBSYSTEM: snprintf(text, sizeof text, "subsystem %s", request->text); break;
    case NACRE_REQUEST_ENV:
        snprintf(text, sizeof text, "env %s=%s", request->text, request->value);
        note(text);
        return strcmp(request->text, "BAD") == 0 ? NACRE_REJECT : NACRE_ACCEPT;
    case NACRE_REQUEST_WINDOW_CHANGE: snprintf(text, sizeof text, "resize %u", request->columns); break;
    case NACRE_REQUEST_SIGNAL: snprintf(text, sizeof text, "signal %s", request->text); break;
    case NACRE_REQUEST_BREAK: snprintf(text, sizeof text, "break %u", (unsigned)request->break_ms); break;
    default: snprintf(text, sizeof text, "other %s %zu", request->name, request->data_len); break;
    }
    note(text);
    return NACRE_ACCEPT;
}

static nacre_decision on_global(void *u, nacre_transport *t, const char *name, const void *data, size_t len,
                                nacre_ticket *ticket) {
    (void)u, (void)t;
    if (strcmp(name, "echo@example.com") == 0) OK(nacre_ticket_answer_bytes(ticket, data, len));
    if (strcmp(name, "port@example.com") == 0) OK(nacre_ticket_answer_port(ticket, 4022));
    return NACRE_REJECT;
}

static nacre_server_callbacks all_callbacks(void) {
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    callbacks.destroy = on_destroy;
    callbacks.connected = on_connected;
    callbacks.banner = on_banner;
    callbacks.allowed_auths = on_allowed;
    callbacks.auth_none = on_none;
    callbacks.auth_password = on_password;
    callbacks.auth_password_change = on_change;
    callbacks.auth_publickey = on_key;
    callbacks.auth_interactive = on_interactive;
    callbacks.auth_interactive_answers = on_answers;
    callbacks.authenticated = on_authenticated;
    callbacks.channel_open = on_open;
    callbacks.channel_request = on_request;
    callbacks.global_request = on_global;
    callbacks.disconnected = on_disconnected;
    return callbacks;
}

/* --- both ends --------------------------------------------------------------------------------------------------- */

typedef struct {
    nacre_transport *client, *server;
} pair;

static pair connect_pair(int as_events) {
    pair pair;
    int fds[2];
    nacre_server_callbacks callbacks = all_callbacks();
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    const nacre_key *keys[] = {other_key, host_key};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    OK(nacre_transport_from_fd(engine, fds[0], &pair.client, NULL));
    OK(nacre_transport_from_fd(engine, fds[1], &pair.server, NULL));
    OK(nacre_transport_add_host_key(pair.server, host_key));
    if (as_events) OK(nacre_transport_set_questions(pair.server, NACRE_AS_EVENTS));
    IS(NACRE_ERR_AGAIN, nacre_transport_start_server(pair.server, as_events ? NULL : &callbacks, 0, NULL));
    check.keys = keys;
    check.key_count = 2;
    OK(nacre_transport_set_host_key_check(pair.client, &check));
    OK(nacre_transport_start_client(pair.client, 10000, NULL));
    return pair;
}

/* Lets an engine without threads do what is due. */
static void settle(void) {
    if (threaded) {
        usleep(20000);
    } else {
        for (int i = 0; i < 100 && nacre_engine_dispatch(engine, 0) == NACRE_OK; i++) continue;
    }
}

static void free_pair(pair pair) {
    nacre_transport_close(pair.client);
    nacre_transport_flush(pair.client, 1000);
    nacre_transport_free(pair.client);
    settle();
    nacre_transport_free(pair.server);
}

static nacre_decision answer_prompts(void *u, nacre_transport *t, nacre_ticket *ticket) {
    (void)t;
    char prompt[64];
    const char *two[] = {"first", "second"}, *one[] = {"third"};
    int32_t echo = -1;
    size_t count = 0;
    *(int *)u += 1;
    OK(nacre_ticket_text_count(ticket, &count));
    OK(nacre_ticket_text(ticket, 0, prompt, sizeof prompt, NULL));
    OK(nacre_ticket_echo(ticket, 0, &echo));
    if (count == 1) {
        CHECK(strcmp(prompt, "Once more: ") == 0 && echo == 0);
        OK(nacre_ticket_answer_texts(ticket, one, 1));
        return NACRE_ACCEPT;
    }
    CHECK(count == 2 && strcmp(prompt, "Name: ") == 0 && echo == 1);
    IS(NACRE_ERR_ARGUMENT, nacre_ticket_answer_texts(ticket, two, 1));
    OK(nacre_ticket_answer_texts(ticket, two, 2));
    return NACRE_ACCEPT;
}

static nacre_decision new_password(void *u, nacre_transport *t, const char *prompt, nacre_ticket *ticket) {
    (void)u, (void)t;
    const char *fresh[] = {"fresh"};
    CHECK(strcmp(prompt, "a new one, please") == 0);
    OK(nacre_ticket_answer_texts(ticket, fresh, 1));
    return NACRE_ACCEPT;
}

/* --- the tests --------------------------------------------------------------------------------------------------- */

static void logins(void) {
    char text[256];
    pair pair = connect_pair(0);
    nacre_error *err = NULL;
    IS(NACRE_ERR_AUTH_METHOD, nacre_transport_auth_none(pair.client, "x", 10000, NULL));
    OK(nacre_transport_take_error(pair.client, 0, &err));
    OK(nacre_error_auth_methods(err, text, sizeof text, NULL));
    CHECK(strcmp(text, "publickey,password,keyboard-interactive") == 0);
    nacre_error_free(err);
    OK(nacre_transport_banner(pair.client, text, sizeof text, NULL));
    CHECK(strcmp(text, "welcome\r\n") == 0);
    IS(NACRE_ERR_AUTH_FAILED, nacre_transport_auth_password(pair.client, "u", "wrong", 0, 10000, NULL));
    IS(NACRE_ERR_AUTH_FAILED, nacre_transport_auth_publickey(pair.client, "u", other_key, 10000, NULL));
    IS(NACRE_ERR_AUTH_PARTIAL, nacre_transport_auth_password(pair.client, "u", "half", 0, 10000, NULL));
    nacre_channel *early = NULL;
    IS(NACRE_ERR_STATE, nacre_transport_open_session(pair.client, 0, &early, NULL));
    CHECK(early == NULL);
    OK(nacre_transport_auth_publickey(pair.client, "u", user_key, 10000, NULL));
    CHECK(__atomic_load_n(&signatures, __ATOMIC_SEQ_CST) >= 1 && nacre_transport_is_authenticated(pair.client) == 1);
    OK(nacre_transport_username(pair.client, text, sizeof text, NULL));
    CHECK(strcmp(text, "u") == 0);
    free_pair(pair);

    int rounds = 0, before = destroyed;
    pair = connect_pair(0);
    OK(nacre_transport_auth_interactive(pair.client, "u", NULL, answer_prompts, &rounds, on_destroy, 10000, NULL));
    CHECK(rounds == 2);
    settle();
    for (int i = 0; i < 1000 && __atomic_load_n(&destroyed, __ATOMIC_SEQ_CST) == before; i++) settle();
    CHECK(__atomic_load_n(&destroyed, __ATOMIC_SEQ_CST) > before);
    free_pair(pair);

    nacre_client_callbacks client = NACRE_INIT(nacre_client_callbacks);
    client.new_password = new_password;
    pair = connect_pair(0);
    OK(nacre_transport_set_client_callbacks(pair.client, &client));
    OK(nacre_transport_auth_password(pair.client, "u", "old", NACRE_AUTH_NO_FALLBACK, 10000, NULL));
    free_pair(pair);

    pair = connect_pair(0);
    IS(NACRE_ERR_AUTH_METHOD, nacre_transport_auth_none(pair.client, "limited", 10000, NULL));
    OK(nacre_transport_auth_methods(pair.client, text, sizeof text, NULL));
    CHECK(strcmp(text, "password,keyboard-interactive") == 0);
    OK(nacre_transport_auth_none(pair.client, "guest", 10000, NULL));
    free_pair(pair);
}

/* The server's answer comes later, from this thread. */
static void deferral(void) {
    uint64_t op = 0;
    nacre_event event = NACRE_INIT(nacre_event);
    pair pair = connect_pair(0);
    deferred = NULL;
    IS(NACRE_ERR_AGAIN, nacre_transport_auth_password(pair.client, "slow", "x", 0, 0, &op));
    CHECK(op != 0);
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&lock);
        nacre_ticket *there = deferred;
        pthread_mutex_unlock(&lock);
        if (there != NULL) break;
        settle();
    }
    CHECK(deferred != NULL);
    IS(NACRE_ERR_AGAIN, nacre_transport_wait(pair.client, op, 20, &event));
    IS(NACRE_ERR_STATE, nacre_transport_auth_none(pair.client, "u", 0, NULL));
    IS(NACRE_ERR_STATE, nacre_transport_cancel(pair.client, op));
    IS(NACRE_ERR_ARGUMENT, nacre_ticket_answer(deferred, NACRE_DEFER));
    OK(nacre_ticket_answer(deferred, NACRE_ACCEPT));
    IS(NACRE_ERR_STATE, nacre_ticket_answer(deferred, NACRE_ACCEPT));
    OK(nacre_transport_wait(pair.client, op, 10000, &event));
    CHECK(event.status == NACRE_OK && event.op == op && event.kind == NACRE_EVENT_AUTH_RESULT);
    CHECK(event.transport == pair.client);
    nacre_ticket_free(deferred);
    free_pair(pair);

    /* The transport goes first. */
    pair = connect_pair(0);
    deferred = NULL;
    IS(NACRE_ERR_AGAIN, nacre_transport_auth_password(pair.client, "slow", "x", 0, 0, NULL));
    for (int i = 0; i < 1000 && __atomic_load_n(&deferred, __ATOMIC_SEQ_CST) == NULL; i++) settle();
    free_pair(pair);
    settle();
    IS(NACRE_ERR_CLOSED, nacre_ticket_answer(deferred, NACRE_ACCEPT));
    char user[16];
    OK(nacre_ticket_user(deferred, user, sizeof user, NULL));
    CHECK(strcmp(user, "slow") == 0);
    nacre_ticket_free(deferred);
}

/* Takes the next event of a kind, passing over others. */
static nacre_event next(nacre_transport *transport, nacre_event_kind kind) {
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_poll_item item = NACRE_INIT(nacre_poll_item);
    const nacre_poll_item *items[] = {&item};
    int32_t ready;
    item.transport = transport;
    for (;;) {
        nacre_status status = nacre_transport_next_event(transport, &event);
        if (status == NACRE_ERR_AGAIN) {
            OK(nacre_poll(items, 1, 10000, &ready));
            CHECK(ready == 1);
            continue;
        }
        OK(status);
        if (event.kind == kind) return event;
        CHECK(event.ticket == NULL);
        nacre_message_free(event.message);
    }
}

/* Takes the next question, which has to be of this kind. */
static nacre_event asked(nacre_transport *transport, nacre_question wanted) {
    nacre_question kind;
    nacre_event event = next(transport, NACRE_EVENT_QUESTION);
    OK(nacre_ticket_kind(event.ticket, &kind));
    CHECK(kind == wanted);
    return event;
}

static void as_events(void) {
    uint64_t op, opening;
    char text[64];
    const char *methods[] = {"password"};
    nacre_channel *client_channel, *server_channel;
    pair pair = connect_pair(1);
    IS(NACRE_ERR_AGAIN, nacre_transport_auth_password(pair.client, "u", "pw", 0, 0, &op));
    nacre_event event = asked(pair.server, NACRE_QUESTION_ALLOWED_AUTHS);
    OK(nacre_ticket_answer_texts(event.ticket, methods, 1));
    nacre_ticket_free(event.ticket);
    event = asked(pair.server, NACRE_QUESTION_AUTH_PASSWORD);
    OK(nacre_ticket_text(event.ticket, 0, text, sizeof text, NULL));
    CHECK(strcmp(text, "pw") == 0);
    OK(nacre_ticket_answer(event.ticket, NACRE_ACCEPT));
    nacre_ticket_free(event.ticket);
    OK(nacre_transport_wait(pair.client, op, 10000, &event));
    OK(event.status);
    IS(NACRE_ERR_AGAIN, nacre_transport_open_session(pair.client, 0, &client_channel, &opening));
    event = asked(pair.server, NACRE_QUESTION_CHANNEL_OPEN);
    OK(nacre_ticket_answer(event.ticket, NACRE_KEEP));
    OK(nacre_ticket_channel(event.ticket, &server_channel));
    nacre_ticket_free(event.ticket);
    OK(nacre_transport_wait(pair.client, opening, 10000, &event));
    OK(event.status);
    IS(NACRE_ERR_AGAIN, nacre_channel_exec(client_channel, "ls", 0, &op));
    event = asked(pair.server, NACRE_QUESTION_CHANNEL_REQUEST);
    CHECK(event.channel == server_channel);
    OK(nacre_ticket_text(event.ticket, 0, text, sizeof text, NULL));
    CHECK(strcmp(text, "ls") == 0);
    nacre_ticket_free(event.ticket); /* unanswered: refused */
    OK(nacre_transport_wait(pair.client, op, 10000, &event));
    IS(NACRE_ERR_REQUEST_DENIED, event.status);
    nacre_channel_free(client_channel);
    event = next(pair.server, NACRE_EVENT_CHANNEL_CLOSED);
    CHECK(event.channel == server_channel);
    nacre_channel_free(server_channel);
    free_pair(pair);
}

static void read_exactly(nacre_channel *channel, const char *expected) {
    char buf[256];
    size_t got = 0, n;
    while (got < strlen(expected)) {
        OK(nacre_channel_read(channel, buf + got, sizeof buf - got, 10000, &n));
        got += n;
    }
    CHECK(got == strlen(expected) && memcmp(buf, expected, got) == 0);
}

static void requests(void) {
    nacre_channel *client, *server;
    nacre_message *reply = NULL;
    nacre_exit ended = NACRE_INIT(nacre_exit);
    nacre_channel_state state = NACRE_INIT(nacre_channel_state);
    char buf[64];
    size_t n;
    uint32_t port = 0;
    pair pair = connect_pair(0);
    OK(nacre_transport_auth_none(pair.client, "guest", 10000, NULL));
    OK(nacre_transport_open_session(pair.client, 10000, &client, NULL));
    OK(nacre_transport_accept(pair.server, 10000, &server));
    OK(nacre_channel_pty(client, "vt100", 80, 24, 0, 0, NULL, 0, 10000, NULL));
    CHECK(noted("pty vt100 80 24 1"));
    OK(nacre_channel_env(client, "LANG", "C", 10000, NULL));
    CHECK(noted("env LANG=C"));
    IS(NACRE_ERR_REQUEST_DENIED, nacre_channel_env(client, "BAD", "x", 10000, NULL));
    OK(nacre_channel_resize(client, 132, 50, 0, 0));
    OK(nacre_channel_send_signal(client, "USR1"));
    OK(nacre_channel_send_break(client, 500, 10000, NULL));
    CHECK(noted("resize 132") && noted("signal USR1") && noted("break 500"));
    OK(nacre_channel_subsystem(client, "sftp", 10000, NULL));
    CHECK(noted("subsystem sftp"));
    OK(nacre_channel_request(client, "thing@example.com", "abc", 3, 1, 10000, NULL));
    CHECK(noted("other thing@example.com 3"));
    OK(nacre_channel_exec(client, "run", 10000, NULL));
    CHECK(noted("exec run"));
    read_exactly(client, "early");

    OK(nacre_transport_global_request(pair.client, "echo@example.com", "data", 4, 1, 10000, &reply, NULL));
    OK(nacre_message_get_bytes(reply, buf, 4));
    CHECK(memcmp(buf, "data", 4) == 0);
    nacre_message_free(reply);
    OK(nacre_transport_global_request(pair.client, "port@example.com", NULL, 0, 1, 10000, &reply, NULL));
    OK(nacre_message_get_uint32(reply, &port));
    CHECK(port == 4022);
    nacre_message_free(reply);
    IS(NACRE_ERR_REQUEST_DENIED,
       nacre_transport_global_request(pair.client, "no@example.com", NULL, 0, 1, 10000, &reply, NULL));
    CHECK(reply == NULL);

    OK(nacre_channel_write_all(client, "to the server", 13, 10000, &n));
    CHECK(n == 13);
    read_exactly(server, "to the server");
    OK(nacre_channel_write_all(server, "out", 3, 10000, &n));
    OK(nacre_channel_write_all_stderr(server, "err", 3, 10000, &n));
    OK(nacre_channel_peek(client, buf, sizeof buf, 10000, &n));
    CHECK(n == 3 && memcmp(buf, "out", 3) == 0);
    read_exactly(client, "out");
    OK(nacre_channel_read_stderr(client, buf, sizeof buf, 10000, &n));
    CHECK(n == 3 && memcmp(buf, "err", 3) == 0);
    IS(NACRE_ERR_AGAIN, nacre_channel_read(client, buf, sizeof buf, 0, &n));
    CHECK(n == 0);
    OK(nacre_transport_rekey(pair.client, 10000, NULL));
    OK(nacre_channel_send_eof(client));
    IS(NACRE_ERR_STATE, nacre_channel_write(client, "x", 1, 0, &n));
    IS(NACRE_ERR_EOF, nacre_channel_read(server, buf, sizeof buf, 10000, &n));
    OK(nacre_channel_finish(server, 42));
    OK(nacre_channel_wait_exit(client, 10000, &ended));
    CHECK(ended.kind == NACRE_EXIT_STATUS && ended.status == 42);
    IS(NACRE_ERR_EOF, nacre_channel_read(client, buf, sizeof buf, 10000, &n));
    IS(NACRE_ERR_EOF, nacre_channel_read_stderr(client, buf, sizeof buf, 10000, &n));
    OK(nacre_channel_info(client, &state));
    CHECK(state.peer_eof == 1 && state.opened_by_peer == 0);
    OK(nacre_channel_kind(server, buf, sizeof buf, NULL));
    CHECK(strcmp(buf, "session") == 0);
    nacre_channel_free(client);
    nacre_channel_free(server);

    OK(nacre_transport_open_session(pair.client, 10000, &client, NULL));
    OK(nacre_transport_accept(pair.server, 10000, &server));
    OK(nacre_channel_set_stderr(client, NACRE_STDERR_COMBINE));
    OK(nacre_channel_write_all_stderr(server, "mixed", 5, 10000, &n));
    read_exactly(client, "mixed");
    OK(nacre_channel_send_exit_signal(server, "KILL", 1, "oops"));
    OK(nacre_channel_close(server));
    OK(nacre_channel_wait_exit(client, 10000, &ended));
    CHECK(ended.kind == NACRE_EXIT_SIGNAL && strcmp(ended.signal, "KILL") == 0 && ended.core_dumped == 1);
    OK(nacre_channel_exit_message(client, buf, sizeof buf, NULL));
    CHECK(strcmp(buf, "oops") == 0);
    nacre_channel_free(server);
    nacre_channel_free(client);
    IS(NACRE_ERR_AGAIN, nacre_transport_accept(pair.server, 0, &server));
    CHECK(server == NULL);
    free_pair(pair);
}

static void keeping_and_refusing(void) {
    nacre_channel *client;
    nacre_error *err;
    nacre_transport *of;
    uint32_t code = 0;
    char text[64];
    pair pair = connect_pair(0);
    kept = NULL;
    OK(nacre_transport_auth_password(pair.client, "keeper", "secret", 0, 10000, NULL));
    OK(nacre_transport_open_session(pair.client, 10000, &client, NULL));
    CHECK(kept != NULL);
    OK(nacre_channel_transport(kept, &of));
    CHECK(of == pair.server);
    nacre_transport_free(of);
    nacre_channel_free(kept);
    nacre_channel_free(client);
    free_pair(pair);

    pair = connect_pair(0);
    OK(nacre_transport_auth_password(pair.client, "nochannels", "secret", 0, 10000, NULL));
    IS(NACRE_ERR_CHANNEL_REFUSED, nacre_transport_open_session(pair.client, 10000, &client, NULL));
    CHECK(client == NULL);
    OK(nacre_transport_take_error(pair.client, 0, &err));
    OK(nacre_error_open_code(err, &code));
    OK(nacre_error_open_text(err, text, sizeof text, NULL));
    CHECK(code == 4 && strcmp(text, "full") == 0);
    nacre_error_free(err);
    free_pair(pair);
}

static nacre_decision judge(void *u, nacre_transport *t, const nacre_key *key, nacre_verdict verdict,
                            nacre_ticket *ticket) {
    (void)t, (void)ticket;
    int32_t same;
    OK(nacre_key_equal(key, host_key, &same));
    CHECK(same && verdict == NACRE_VERDICT_UNKNOWN);
    return *(nacre_decision *)u;
}

static nacre_status check_host_key(nacre_host_key_check *check, int32_t *verdict) {
    int fds[2];
    nacre_error *err = NULL;
    nacre_transport *client, *server;
    nacre_server_callbacks callbacks = all_callbacks();
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    OK(nacre_transport_from_fd(engine, fds[0], &client, NULL));
    OK(nacre_transport_from_fd(engine, fds[1], &server, NULL));
    OK(nacre_transport_add_host_key(server, host_key));
    IS(NACRE_ERR_AGAIN, nacre_transport_start_server(server, &callbacks, 0, NULL));
    options.host_key_check = check;
    options.user = "u";
    options.key = user_key;
    nacre_status status = nacre_transport_connect(client, &options, 10000, NULL);
    *verdict = 0;
    if (status != NACRE_OK && nacre_transport_take_error(client, 0, &err) == NACRE_OK) {
        nacre_error_verdict(err, verdict);
        nacre_error_free(err);
    }
    nacre_transport_free(client);
    nacre_transport_free(server);
    return status;
}

static void host_keys(void) {
    char fingerprint[128], wrong[128];
    const char *fingerprints[] = {wrong, fingerprint}, *nonsense[] = {"SHA256:nothing"};
    int32_t verdict;
    nacre_decision decision = NACRE_ACCEPT;
    OK(nacre_key_fingerprint(host_key, NACRE_FINGERPRINT_SHA256, fingerprint, sizeof fingerprint, NULL));
    OK(nacre_key_fingerprint(other_key, NACRE_FINGERPRINT_SHA256, wrong, sizeof wrong, NULL));
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    check.fingerprints = fingerprints;
    check.fingerprint_count = 2;
    OK(check_host_key(&check, &verdict));
    check.fingerprint_count = 1;
    IS(NACRE_ERR_HOST_KEY, check_host_key(&check, &verdict));
    CHECK(verdict == NACRE_VERDICT_CHANGED);
    check.fingerprints = nonsense;
    IS(NACRE_ERR_ARGUMENT, check_host_key(&check, &verdict));
    check = (nacre_host_key_check)NACRE_INIT(nacre_host_key_check);
    check.ask = judge;
    check.userdata = &decision;
    OK(check_host_key(&check, &verdict));
    decision = NACRE_REJECT;
    IS(NACRE_ERR_HOST_KEY, check_host_key(&check, &verdict));
    CHECK(verdict == NACRE_VERDICT_REFUSED);
    check = (nacre_host_key_check)NACRE_INIT(nacre_host_key_check);
    check.flags = NACRE_HOST_KEY_ANY;
    OK(check_host_key(&check, &verdict));
}

static void trust_afterwards(void) {
    int fds[2];
    int32_t same;
    nacre_key *key;
    nacre_transport *client, *server;
    nacre_server_callbacks callbacks = all_callbacks();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    OK(nacre_transport_from_fd(engine, fds[0], &client, NULL));
    OK(nacre_transport_from_fd(engine, fds[1], &server, NULL));
    OK(nacre_transport_add_host_key(server, host_key));
    IS(NACRE_ERR_AGAIN, nacre_transport_start_server(server, &callbacks, 0, NULL));
    OK(nacre_transport_start_client(client, 10000, NULL));
    IS(NACRE_ERR_HOST_KEY, nacre_transport_auth_none(client, "guest", 10000, NULL));
    OK(nacre_transport_remote_host_key(client, &key));
    OK(nacre_key_equal(key, host_key, &same));
    CHECK(same);
    nacre_key_free(key);
    OK(nacre_transport_trust_host_key(client));
    OK(nacre_transport_auth_none(client, "guest", 10000, NULL));
    nacre_transport_free(client);
    nacre_transport_free(server);
}

int main(int argc, char **argv) {
    nacre_engine_options options = NACRE_INIT(nacre_engine_options);
    threaded = options.threads = argc > 1 && strcmp(argv[1], "caller") == 0 ? 0 : 2;
    OK(nacre_engine_new(&options, &engine));
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &host_key, NULL));
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &user_key, NULL));
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &other_key, NULL));
    logins();
    deferral();
    as_events();
    requests();
    keeping_and_refusing();
    host_keys();
    trust_afterwards();
    CHECK(connected > 5);
    OK(nacre_engine_close(engine, 10000));
    nacre_engine_free(engine);
    CHECK(gone > 0);
    nacre_key_free(host_key);
    nacre_key_free(user_key);
    nacre_key_free(other_key);
    return 0;
}
