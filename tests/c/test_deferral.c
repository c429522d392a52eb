/* Questions that are answered later, from another thread, before the callback returned, twice, never, or too late. */
#include "common.h"

/* --- tickets on their way to the thread that answers ---------------------------------------------------- */

#define MOST_TICKETS 64
typedef struct desk {
    pthread_mutex_t lock;
    pthread_cond_t more;
    nacre_ticket *tickets[MOST_TICKETS];
    int count, taken;
    int destroyed;
    /* What a request callback does with its channel before it defers. */
    const char *writes;
    nacre_decision decision;
} desk;

static void new_desk(desk *made)
{
    memset(made, 0, sizeof *made);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->more, NULL);
}
static nacre_decision put_off(desk *all, nacre_ticket *ticket)
{
    CHECK(ticket != NULL);
    pthread_mutex_lock(&all->lock);
    CHECK(all->count < MOST_TICKETS);
    all->tickets[all->count++] = ticket;
    pthread_cond_broadcast(&all->more);
    pthread_mutex_unlock(&all->lock);
    return NACRE_DEFER;
}
static int waiting(desk *all)
{
    pthread_mutex_lock(&all->lock);
    int count = all->count - all->taken;
    pthread_mutex_unlock(&all->lock);
    return count;
}
/* The next ticket; waits for it without driving anything. */
static nacre_ticket *next_ticket(desk *all)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SOON / 1000;
    pthread_mutex_lock(&all->lock);
    while (all->taken == all->count)
        if (pthread_cond_timedwait(&all->more, &all->lock, &until) != 0) FAIL("nothing was asked");
    nacre_ticket *ticket = all->tickets[all->taken++];
    pthread_mutex_unlock(&all->lock);
    return ticket;
}
/* The next ticket; drives an engine without threads until it comes. */
static nacre_ticket *drive_to_ticket(pair *both, desk *all)
{
    int64_t until = now_ms() + SOON;
    while (!with_threads && waiting(all) == 0) {
        nacre_status status = nacre_engine_dispatch(both->engine, 1000);
        CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
        if (now_ms() > until) FAIL("nothing was asked");
    }
    return next_ticket(all);
}
static nacre_question kind_of(nacre_ticket *ticket)
{
    nacre_question kind = 0;
    OK(nacre_ticket_kind(ticket, &kind));
    return kind;
}

static nacre_decision later_text(void *userdata, nacre_transport *transport, const char *user, nacre_ticket *ticket)
{
    (void)transport, (void)user;
    return put_off(userdata, ticket);
}
static nacre_decision later_texts(void *userdata, nacre_transport *transport, const char *user, const char *text,
                                  nacre_ticket *ticket)
{
    (void)transport, (void)user, (void)text;
    return put_off(userdata, ticket);
}
static nacre_decision later_change(void *userdata, nacre_transport *transport, const char *user, const char *one,
                                   const char *two, nacre_ticket *ticket)
{
    (void)transport, (void)user, (void)one, (void)two;
    return put_off(userdata, ticket);
}
static nacre_decision later_key(void *userdata, nacre_transport *transport, const char *user, const nacre_key *key,
                                int32_t verified, nacre_ticket *ticket)
{
    (void)transport, (void)user, (void)key, (void)verified;
    return put_off(userdata, ticket);
}
static nacre_decision later_open(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                                 const void *data, size_t len, nacre_ticket *ticket)
{
    (void)transport, (void)channel, (void)kind, (void)data, (void)len;
    return put_off(userdata, ticket);
}
static nacre_decision later_request(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                    const nacre_request *request, nacre_ticket *ticket)
{
    desk *all = userdata;
    size_t n = 0;
    (void)transport, (void)request;
    if (all->writes != NULL) {
        OK(nacre_channel_write(channel, all->writes, strlen(all->writes), SOON, &n));
        EQUAL(n, strlen(all->writes));
    }
    return put_off(all, ticket);
}
static nacre_decision later_global(void *userdata, nacre_transport *transport, const char *name, const void *data,
                                   size_t len, nacre_ticket *ticket)
{
    (void)transport, (void)name, (void)data, (void)len;
    return put_off(userdata, ticket);
}
static void desk_destroy(void *userdata)
{
    ADD(((desk *)userdata)->destroyed, 1);
}
static nacre_server_callbacks deferring(desk *all)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    new_desk(all);
    callbacks.userdata = all;
    callbacks.destroy = desk_destroy;
    callbacks.allowed_auths = later_text;
    callbacks.auth_none = later_text;
    callbacks.auth_password = later_texts;
    callbacks.auth_password_change = later_change;
    callbacks.auth_publickey = later_key;
    callbacks.auth_interactive = later_texts;
    callbacks.auth_interactive_answers = later_text;
    callbacks.channel_open = later_open;
    callbacks.channel_request = later_request;
    callbacks.global_request = later_global;
    return callbacks;
}
/* Logs in at once; what comes after the login is deferred. */
static nacre_server_callbacks deferring_later(desk *all)
{
    nacre_server_callbacks callbacks = deferring(all);
    callbacks.allowed_auths = NULL;
    callbacks.auth_none = NULL;
    callbacks.auth_password = take_password;
    callbacks.auth_publickey = take_key;
    return callbacks;
}
static void end_desk(pair *both, desk *all)
{
    EQUAL(waiting(all), 0);
    end_pair(both);
    EVENTUALLY(COUNT(all->destroyed) > 0);
    EQUAL(COUNT(all->destroyed), 1);
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->more);
}

/* --- all kinds ------------------------------------------------------------------------------------------ */

/* What the thread that answers does, in order. */
typedef struct clerk {
    desk *all;
    const nacre_question *kinds;
    int count;
    pthread_t thread;
} clerk;

static void answer_one(nacre_ticket *ticket)
{
    static const char *const methods[] = {"publickey", "password", "keyboard-interactive"};
    static const char *const prompts[] = {"Word: "};
    static const int32_t echo[] = {1};
    char text[64] = "";
    int32_t verified = 9;
    nacre_key *key = NULL;
    switch (kind_of(ticket)) {
    case NACRE_QUESTION_ALLOWED_AUTHS:
        OK(nacre_ticket_answer_texts(ticket, methods, 3));
        return;
    case NACRE_QUESTION_AUTH_NONE:
        EXPECT_TEXT("tester", nacre_ticket_user, ticket);
        OK(nacre_ticket_answer(ticket, NACRE_REJECT));
        return;
    case NACRE_QUESTION_AUTH_PASSWORD:
        EXPECT_TEXT("tester", nacre_ticket_user, ticket);
        TEXT_OF(text, nacre_ticket_text, ticket, 0);
        /* What does not fit leaves the question open. */
        EXPECT(nacre_ticket_answer_prompts(ticket, "", "", prompts, echo, 1), NACRE_ERR_ARGUMENT);
        EXPECT(nacre_ticket_answer_port(ticket, 7), NACRE_ERR_ARGUMENT);
        if (strcmp(text, "old") == 0) OK(nacre_ticket_answer_password_change(ticket, "Another: "));
        else OK(nacre_ticket_answer(ticket, NACRE_REJECT));
        return;
    case NACRE_QUESTION_AUTH_PASSWORD_CHANGE:
        EXPECT_TEXT("old", nacre_ticket_text, ticket, 0);
        EXPECT_TEXT("new", nacre_ticket_text, ticket, 1);
        OK(nacre_ticket_answer(ticket, NACRE_PARTIAL));
        return;
    case NACRE_QUESTION_AUTH_PUBLICKEY:
        OK(nacre_ticket_verified(ticket, &verified));
        CHECK(verified == 0 || verified == 1);
        OK(nacre_ticket_key(ticket, &key));
        EQUAL(nacre_key_is_private(key), 0);
        nacre_key_free(key);
        OK(nacre_ticket_answer(ticket, verified ? NACRE_PARTIAL : NACRE_ACCEPT));
        return;
    case NACRE_QUESTION_AUTH_INTERACTIVE:
        OK(nacre_ticket_answer_prompts(ticket, NULL, NULL, prompts, echo, 1));
        return;
    case NACRE_QUESTION_AUTH_INTERACTIVE_ANSWERS:
        TEXT_OF(text, nacre_ticket_text, ticket, 0);
        OK(nacre_ticket_answer(ticket, strcmp(text, "sesame") == 0 ? NACRE_ACCEPT : NACRE_REJECT));
        return;
    case NACRE_QUESTION_CHANNEL_OPEN:
        EXPECT_TEXT("session", nacre_ticket_name, ticket);
        OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
        return;
    case NACRE_QUESTION_CHANNEL_REQUEST:
        OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
        return;
    case NACRE_QUESTION_GLOBAL_REQUEST:
        EXPECT_TEXT("tcpip-forward", nacre_ticket_name, ticket);
        OK(nacre_ticket_answer_port(ticket, 2222));
        return;
    default:
        FAIL("a question of kind %d", (int)kind_of(ticket));
    }
}
static void *work_through(void *argument)
{
    clerk *work = argument;
    for (int i = 0; i < work->count; i++) {
        nacre_ticket *ticket = next_ticket(work->all);
        if (kind_of(ticket) != work->kinds[i]) FAIL("question %d is of kind %d", i, (int)kind_of(ticket));
        pause_ms(2);
        answer_one(ticket);
        EXPECT(nacre_ticket_answer(ticket, NACRE_ACCEPT), NACRE_ERR_STATE);
        nacre_ticket_free(ticket);
    }
    return NULL;
}
static void hire(clerk *work, desk *all, const nacre_question *kinds, int count)
{
    work->all = all;
    work->kinds = kinds;
    work->count = count;
    CHECK(pthread_create(&work->thread, NULL, work_through, work) == 0);
}

static nacre_decision later_prompts(void *userdata, nacre_transport *transport, nacre_ticket *ticket)
{
    (void)transport;
    return put_off(userdata, ticket);
}
static nacre_decision later_password(void *userdata, nacre_transport *transport, const char *prompt,
                                     nacre_ticket *ticket)
{
    (void)transport;
    SAME(prompt, "Another: ");
    return put_off(userdata, ticket);
}
/* The client's user answers in a thread too. */
static void *answer_texts(void *argument)
{
    desk *all = argument;
    for (int i = 0; i < 2; i++) {
        nacre_ticket *ticket = next_ticket(all);
        const char *text = kind_of(ticket) == NACRE_QUESTION_PROMPTS ? "sesame" : "new";
        char prompt[64] = "";
        TEXT_OF(prompt, nacre_ticket_text, ticket, 0);
        SAME(prompt, kind_of(ticket) == NACRE_QUESTION_PROMPTS ? "Word: " : "Another: ");
        pause_ms(2);
        EXPECT(nacre_ticket_answer_texts(ticket, NULL, 0), NACRE_ERR_ARGUMENT);
        OK(nacre_ticket_answer_texts(ticket, &text, 1));
        EXPECT(nacre_ticket_answer_texts(ticket, &text, 1), NACRE_ERR_STATE);
        nacre_ticket_free(ticket);
    }
    return NULL;
}

/* Every question of a whole session, each answered by a thread later. */
static void every_question(void)
{
    static const nacre_question kinds[] = {
        NACRE_QUESTION_ALLOWED_AUTHS,      NACRE_QUESTION_AUTH_NONE,
        NACRE_QUESTION_AUTH_PASSWORD,      NACRE_QUESTION_AUTH_PASSWORD,
        NACRE_QUESTION_AUTH_PASSWORD_CHANGE, NACRE_QUESTION_ALLOWED_AUTHS,
        NACRE_QUESTION_AUTH_PUBLICKEY,     NACRE_QUESTION_ALLOWED_AUTHS,
        NACRE_QUESTION_AUTH_INTERACTIVE,   NACRE_QUESTION_AUTH_INTERACTIVE_ANSWERS,
        NACRE_QUESTION_CHANNEL_OPEN,       NACRE_QUESTION_CHANNEL_REQUEST,
        NACRE_QUESTION_GLOBAL_REQUEST,
    };
    desk all, users;
    clerk work;
    pthread_t user;
    nacre_server_callbacks callbacks = deferring(&all);
    nacre_client_callbacks asked = NACRE_INIT(nacre_client_callbacks);
    nacre_channel *channel = NULL, *far_end = NULL;
    nacre_message *reply = NULL;
    uint32_t port = 0;
    new_desk(&users);
    pair both = served_pair(&callbacks);
    asked.userdata = &users;
    asked.new_password = later_password;
    OK(nacre_transport_set_client_callbacks(both.client, &asked));
    start_client(both.client);
    hire(&work, &all, kinds, sizeof kinds / sizeof *kinds);
    CHECK(pthread_create(&user, NULL, answer_texts, &users) == 0);

    EXPECT(nacre_transport_auth_none(both.client, "tester", SOON, NULL), NACRE_ERR_AUTH_METHOD);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "old", 0, SOON, NULL), NACRE_ERR_AUTH_PARTIAL);
    EXPECT(nacre_transport_auth_publickey(both.client, "tester", user_key(), SOON, NULL), NACRE_ERR_AUTH_PARTIAL);
    OK(nacre_transport_auth_interactive(both.client, "tester", NULL, later_prompts, &users, NULL, SOON, NULL));
    OK(nacre_transport_open_session(both.client, SOON, &channel, NULL));
    OK(nacre_transport_accept(both.server, SOON, &far_end));
    OK(nacre_channel_exec(channel, "anything", SOON, NULL));
    OK(nacre_transport_global_request(both.client, "tcpip-forward", "\0\0\0\0\0\0\0\0", 8, 1, SOON, &reply, NULL));
    CHECK(reply != NULL);
    OK(nacre_message_get_uint32(reply, &port));
    EQUAL(port, 2222);
    nacre_message_free(reply);

    CHECK(pthread_join(work.thread, NULL) == 0 && pthread_join(user, NULL) == 0);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_desk(&both, &all);
    EQUAL(waiting(&users), 0);
}

/* --- before the callback returned, and never ------------------------------------------------------------- */

static nacre_decision at_once(void *userdata, nacre_transport *transport, const char *user, const char *password,
                              nacre_ticket *ticket)
{
    desk *all = userdata;
    (void)transport, (void)user;
    OK(nacre_ticket_answer(ticket, strcmp(password, "secret") == 0 ? NACRE_ACCEPT : NACRE_REJECT));
    EXPECT(nacre_ticket_answer(ticket, NACRE_ACCEPT), NACRE_ERR_STATE);
    if (all->decision == NACRE_DEFER) return put_off(all, ticket);
    return all->decision;
}
/* What the callback then returns does not count, whichever it is. */
static void answered_before_the_return(void)
{
    static const nacre_decision decisions[] = {NACRE_REJECT, NACRE_ACCEPT, NACRE_PARTIAL, NACRE_DEFER, 77};
    for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++) {
        desk all;
        nacre_server_callbacks callbacks = deferring(&all);
        callbacks.allowed_auths = NULL;
        callbacks.auth_password = at_once;
        pair both = served_pair(&callbacks);
        all.decision = decisions[i];
        start_client(both.client);
        EXPECT(nacre_transport_auth_password(both.client, "tester", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
        OK(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL));
        /* The answer may be there before the callback has returned. */
        if (decisions[i] == NACRE_DEFER) EVENTUALLY(waiting(&all) == 2);
        while (waiting(&all) > 0) {
            /* DEFER kept it all the same. */
            nacre_ticket *ticket = next_ticket(&all);
            EXPECT_TEXT("tester", nacre_ticket_user, ticket);
            EXPECT(nacre_ticket_answer(ticket, NACRE_REJECT), NACRE_ERR_STATE);
            nacre_ticket_free(ticket);
        }
        EQUAL(all.count, decisions[i] == NACRE_DEFER ? 2 : 0);
        end_desk(&both, &all);
    }
}

static nacre_decision strange(void *userdata, nacre_transport *transport, const char *user, const char *password,
                              nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)user, (void)ticket;
    return (nacre_decision)strtol(password, NULL, 10);
}
/* Anything but the known decisions rejects. */
static void unknown_decisions(void)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    callbacks.auth_password = strange;
    pair both = served_pair(&callbacks);
    start_client(both.client);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "5", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "-1", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "2147483647", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    OK(nacre_transport_auth_password(both.client, "tester", "1", 0, SOON, NULL));
    end_pair(&both);
}

static void freed_unanswered(void)
{
    desk all;
    nacre_server_callbacks callbacks = deferring(&all);
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_channel *channel = NULL, *far_end = NULL;
    uint64_t op = 0;
    callbacks.allowed_auths = NULL;
    pair both = served_pair(&callbacks);
    start_client(both.client);

    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, 0, &op), NACRE_ERR_AGAIN);
    nacre_ticket_free(drive_to_ticket(&both, &all));
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EQUAL(event.kind, NACRE_EVENT_AUTH_RESULT);
    EXPECT(event.status, NACRE_ERR_AUTH_FAILED);

    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, 0, &op), NACRE_ERR_AGAIN);
    nacre_ticket *ticket = drive_to_ticket(&both, &all);
    OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
    nacre_ticket_free(ticket);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    OK(event.status);

    EXPECT(nacre_transport_open_session(both.client, 0, &channel, &op), NACRE_ERR_AGAIN);
    CHECK(channel != NULL);
    nacre_ticket_free(drive_to_ticket(&both, &all));
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EXPECT(event.status, NACRE_ERR_CHANNEL_REFUSED);
    CHECK(event.channel == channel);
    nacre_channel_free(channel);

    EXPECT(nacre_transport_open_session(both.client, 0, &channel, &op), NACRE_ERR_AGAIN);
    ticket = drive_to_ticket(&both, &all);
    OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
    nacre_ticket_free(ticket);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    OK(event.status);
    OK(nacre_transport_accept(both.server, SOON, &far_end));

    EXPECT(nacre_channel_exec(channel, "x", 0, &op), NACRE_ERR_AGAIN);
    nacre_ticket_free(drive_to_ticket(&both, &all));
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);

    nacre_message *reply = NULL;
    EXPECT(nacre_transport_global_request(both.client, "x@test", "y", 1, 1, 0, &reply, &op), NACRE_ERR_AGAIN);
    CHECK(reply == NULL);
    nacre_ticket_free(drive_to_ticket(&both, &all));
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EXPECT(event.status, NACRE_ERR_REQUEST_DENIED);
    CHECK(event.message == NULL);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_desk(&both, &all);
}

/* --- too late -------------------------------------------------------------------------------------------- */

/* The client goes while the server thinks. */
static void peer_gone(void)
{
    desk all;
    nacre_server_callbacks callbacks = deferring_later(&all);
    nacre_channel *channel = NULL, *asked = NULL;
    nacre_transport *of = NULL;
    uint64_t op = 0;
    pair both = connected_pair(&callbacks);
    EXPECT(nacre_transport_open_session(both.client, 0, &channel, &op), NACRE_ERR_AGAIN);
    nacre_ticket *ticket = drive_to_ticket(&both, &all);
    OK(nacre_transport_disconnect(both.client, 11, "gone"));
    nacre_event event = event_of(both.engine, both.server, NACRE_EVENT_DISCONNECTED);
    EXPECT(event.status, NACRE_ERR_DISCONNECTED);
    /* It still tells what it was about. */
    EQUAL(kind_of(ticket), NACRE_QUESTION_CHANNEL_OPEN);
    EXPECT_TEXT("session", nacre_ticket_name, ticket);
    OK(nacre_ticket_channel(ticket, &asked));
    CHECK(asked != NULL);
    OK(nacre_ticket_transport(ticket, &of));
    CHECK(of == both.server);
    EXPECT(nacre_ticket_answer(ticket, NACRE_KEEP), NACRE_ERR_CLOSED);
    nacre_ticket_free(ticket);
    nacre_channel_free(channel);
    end_desk(&both, &all);
}
/* The server's transport is freed; the ticket lives on, and past the engine's end. */
static void transport_freed(void)
{
    desk all;
    nacre_server_callbacks callbacks = deferring(&all);
    nacre_transport *of = NULL;
    uint64_t op = 0;
    callbacks.allowed_auths = NULL;
    pair both = served_pair(&callbacks);
    start_client(both.client);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, 0, &op), NACRE_ERR_AGAIN);
    nacre_ticket *ticket = drive_to_ticket(&both, &all);
    nacre_transport_free(both.server);
    EXPECT(nacre_ticket_answer(ticket, NACRE_ACCEPT), NACRE_ERR_CLOSED);
    nacre_transport_free(both.client);
    end_engine(both.engine);
    EXPECT_TEXT("tester", nacre_ticket_user, ticket);
    EXPECT_TEXT("secret", nacre_ticket_text, ticket, 0);
    nacre_status status = nacre_ticket_transport(ticket, &of);
    CHECK(status == NACRE_ERR_CLOSED && of == NULL);
    nacre_ticket_free(ticket);
    EVENTUALLY(COUNT(all.destroyed) == 1);
}
/* The server has only so long after the login; then it is refused, and the answer comes too late. */
static void decision_limit(void)
{
    desk all;
    nacre_server_callbacks callbacks = deferring_later(&all);
    nacre_channel *channel = NULL;
    pair both = new_pair();
    OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_DECISION, 150));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    int64_t begun = now_ms();
    EXPECT(nacre_transport_open_session(both.client, SOON, &channel, NULL), NACRE_ERR_CHANNEL_REFUSED);
    CHECK(now_ms() - begun >= 140 && now_ms() - begun < 10000);
    nacre_ticket *ticket = next_ticket(&all);
    EXPECT(nacre_ticket_answer(ticket, NACRE_ACCEPT), NACRE_ERR_CLOSED);
    nacre_ticket_free(ticket);
    EQUAL(nacre_transport_is_active(both.client), 1);
    end_desk(&both, &all);
}
/* The channel that is asked about is freed by the application: the request is still to be answered. */
static void channel_freed(void)
{
    for (int accept = 0; accept < 2; accept++) {
        desk all;
        nacre_server_callbacks callbacks = deferring_later(&all);
        nacre_event event = NACRE_INIT(nacre_event);
        nacre_channel *channel = NULL, *far_end = NULL;
        uint64_t op = 0;
        size_t n = 0;
        callbacks.channel_open = take_session;
        pair both = connected_pair(&callbacks);
        open_both(&both, &channel, &far_end);
        EXPECT(nacre_channel_exec(channel, "x", 0, &op), NACRE_ERR_AGAIN);
        nacre_ticket *ticket = drive_to_ticket(&both, &all);
        OK(nacre_channel_write(far_end, "written before", 14, 0, &n));
        OK(nacre_channel_finish(far_end, 9));
        nacre_channel_free(far_end);
        EXPECT(nacre_transport_wait(both.client, op, 30, &event), NACRE_ERR_AGAIN);
        OK(nacre_ticket_answer(ticket, accept ? NACRE_ACCEPT : NACRE_REJECT));
        nacre_ticket_free(ticket);
        OK(nacre_transport_wait(both.client, op, SOON, &event));
        EXPECT(event.status, accept ? NACRE_OK : NACRE_ERR_REQUEST_DENIED);
        read_text(channel, "written before");
        expect_eof(channel);
        expect_exit_status(channel, 9);
        nacre_channel_free(channel);
        end_desk(&both, &all);
    }
}

/* --- order ------------------------------------------------------------------------------------------------ */

/* Answered in the other order, the replies still go to their requests. */
static void answered_backwards(void)
{
    desk all;
    nacre_server_callbacks callbacks = deferring_later(&all);
    nacre_channel *channel = NULL, *far_end = NULL;
    nacre_ticket *tickets[6];
    uint64_t ops[6];
    callbacks.channel_open = take_session;
    pair both = connected_pair(&callbacks);
    open_both(&both, &channel, &far_end);
    for (int i = 0; i < 6; i++) {
        char value[2] = {(char)('0' + i), 0};
        EXPECT(nacre_channel_env(channel, "N", value, 0, &ops[i]), NACRE_ERR_AGAIN);
    }
    for (int i = 0; i < 6; i++) {
        char value[2] = {(char)('0' + i), 0};
        tickets[i] = drive_to_ticket(&both, &all);
        EXPECT_TEXT(value, nacre_ticket_text, tickets[i], 1);
    }
    for (int i = 5; i >= 0; i--) {
        OK(nacre_ticket_answer(tickets[i], i % 2 ? NACRE_ACCEPT : NACRE_REJECT));
        nacre_ticket_free(tickets[i]);
    }
    for (int i = 0; i < 6; i++) {
        nacre_event event = NACRE_INIT(nacre_event);
        OK(nacre_transport_wait(both.client, ops[i], SOON, &event));
        EXPECT(event.status, i % 2 ? NACRE_OK : NACRE_ERR_REQUEST_DENIED);
    }
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_desk(&both, &all);
}
/* What a request callback writes goes out after the reply, whenever that is; other channels go on meanwhile. */
static void writes_after_the_reply(void)
{
    desk all;
    nacre_server_callbacks callbacks = deferring_later(&all);
    nacre_channel *channel = NULL, *far_end = NULL, *other = NULL, *other_far_end = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    size_t n = 9;
    callbacks.channel_open = take_session;
    pair both = connected_pair(&callbacks);
    open_both(&both, &channel, &far_end);
    open_both(&both, &other, &other_far_end);
    all.writes = "early words";
    EXPECT(nacre_channel_exec(channel, "x", 0, &op), NACRE_ERR_AGAIN);
    nacre_ticket *ticket = drive_to_ticket(&both, &all);
    /* Bytes of another channel overtake what was written in the callback. */
    write_text(other_far_end, "overtaking");
    read_text(other, "overtaking");
    OK(nacre_channel_readable(channel, &n));
    EQUAL(n, 0);
    while (nacre_transport_next_event(both.client, &event) == NACRE_OK) free_event(&event);
    OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
    nacre_ticket_free(ticket);
    event = next_event(both.engine, both.client);
    EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
    EQUAL(event.op, op);
    OK(event.status);
    event = next_event(both.engine, both.client);
    EQUAL(event.kind, NACRE_EVENT_CHANNEL_READABLE);
    CHECK(event.channel == channel);
    read_text(channel, "early words");
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    nacre_channel_free(other);
    nacre_channel_free(other_far_end);
    end_desk(&both, &all);
}
static nacre_decision write_and_accept(void *userdata, nacre_transport *transport, nacre_channel *channel,
                                       const nacre_request *request, nacre_ticket *ticket)
{
    size_t n = 0;
    (void)userdata, (void)transport, (void)request, (void)ticket;
    OK(nacre_channel_write_all(channel, "early words", 11, SOON, &n));
    EQUAL(n, 11);
    OK(nacre_channel_send_eof(channel));
    return NACRE_ACCEPT;
}
static void writes_after_an_answer_at_once(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *channel = NULL, *far_end = NULL;
    uint64_t op = 0;
    callbacks.channel_request = write_and_accept;
    pair both = connected_pair(&callbacks);
    open_both(&both, &channel, &far_end);
    EXPECT(nacre_channel_exec(channel, "x", 0, &op), NACRE_ERR_AGAIN);
    nacre_event event = next_event(both.engine, both.client);
    EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
    EQUAL(event.op, op);
    OK(event.status);
    event = next_event(both.engine, both.client);
    EQUAL(event.kind, NACRE_EVENT_CHANNEL_READABLE);
    read_text(channel, "early words");
    expect_eof(channel);
    nacre_channel_free(channel);
    nacre_channel_free(far_end);
    end_pair(&both);
}

/* --- the client's questions ------------------------------------------------------------------------------- */

static nacre_decision later_host_key(void *userdata, nacre_transport *transport, const nacre_key *key,
                                     nacre_verdict verdict, nacre_ticket *ticket)
{
    (void)transport, (void)key;
    EQUAL(verdict, NACRE_VERDICT_UNKNOWN);
    return put_off(userdata, ticket);
}
typedef struct host_key_clerk {
    desk *all;
    int accept;
} host_key_clerk;
static void *answer_host_key(void *argument)
{
    host_key_clerk *work = argument;
    nacre_ticket *ticket = next_ticket(work->all);
    nacre_key *key = NULL;
    int32_t equal = 0;
    EQUAL(kind_of(ticket), NACRE_QUESTION_HOST_KEY);
    OK(nacre_ticket_key(ticket, &key));
    OK(nacre_key_equal(key, host_key(), &equal));
    EQUAL(equal, 1);
    nacre_key_free(key);
    pause_ms(5);
    if (work->accept == 1) OK(nacre_ticket_answer(ticket, NACRE_ACCEPT));
    if (work->accept == 0) OK(nacre_ticket_answer(ticket, NACRE_REJECT));
    nacre_ticket_free(ticket); /* unanswered it rejects */
    return NULL;
}
static void host_key_later(void)
{
    for (int accept = 0; accept < 3; accept++) {
        desk all;
        nacre_server_callbacks callbacks = accepting();
        nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
        nacre_connect_options options = NACRE_INIT(nacre_connect_options);
        pthread_t thread;
        new_desk(&all);
        host_key_clerk work = {&all, accept};
        pair both = served_pair(&callbacks);
        check.userdata = &all;
        check.destroy = desk_destroy;
        check.ask = later_host_key;
        options.host_key_check = &check;
        options.user = "tester";
        options.password = "secret";
        CHECK(pthread_create(&thread, NULL, answer_host_key, &work) == 0);
        EXPECT(nacre_transport_connect(both.client, &options, SOON, NULL), accept == 1 ? NACRE_OK : NACRE_ERR_HOST_KEY);
        EQUAL(nacre_transport_is_authenticated(both.client), accept == 1);
        CHECK(pthread_join(thread, NULL) == 0);
        end_desk(&both, &all);
    }
}
/* Time that the user takes does not count against the client's login deadline. */
static nacre_decision one_prompt(void *userdata, nacre_transport *transport, const char *user, const char *submethods,
                                 nacre_ticket *ticket)
{
    static const char *const prompts[] = {"Word: "};
    static const int32_t echo[] = {1};
    (void)userdata, (void)transport, (void)user, (void)submethods;
    OK(nacre_ticket_answer_prompts(ticket, NULL, NULL, prompts, echo, 1));
    return NACRE_ACCEPT;
}
static nacre_decision check_word(void *userdata, nacre_transport *transport, const char *user, nacre_ticket *ticket)
{
    char text[64] = "";
    (void)userdata, (void)transport, (void)user;
    TEXT_OF(text, nacre_ticket_text, ticket, 0);
    return strcmp(text, "sesame") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
static void user_takes_time(void)
{
    desk users;
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    nacre_event event = NACRE_INIT(nacre_event);
    const char *word = "sesame";
    uint64_t op = 0;
    callbacks.auth_interactive = one_prompt;
    callbacks.auth_interactive_answers = check_word;
    new_desk(&users);
    pair both = served_pair(&callbacks);
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_LOGIN, 200));
    start_client(both.client);
    EXPECT(nacre_transport_auth_interactive(both.client, "tester", NULL, later_prompts, &users, desk_destroy, 0, &op),
           NACRE_ERR_AGAIN);
    nacre_ticket *ticket = drive_to_ticket(&both, &users);
    EXPECT(nacre_transport_wait(both.client, op, 400, &event), NACRE_ERR_AGAIN);
    OK(nacre_ticket_answer_texts(ticket, &word, 1));
    nacre_ticket_free(ticket);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    OK(event.status);
    EQUAL(nacre_transport_is_authenticated(both.client), 1);
    end_desk(&both, &users);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(every_question);
    RUN(answered_before_the_return);
    RUN(unknown_decisions);
    RUN(freed_unanswered);
    RUN(peer_gone);
    RUN(transport_freed);
    RUN(decision_limit);
    RUN(channel_freed);
    RUN(answered_backwards);
    RUN(writes_after_the_reply);
    RUN(writes_after_an_answer_at_once);
    RUN(host_key_later);
    RUN(user_takes_time);
    return 0;
}
