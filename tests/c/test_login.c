/* Logging in: each method, right and wrong, in steps, with a new password, with banners; and whether the host key is right. */
#include "common.h"

typedef struct login_server {
    nacre_key *key;
    const char *banner;
    int steps;
    int rounds;
    /* How often each was asked. */
    int connected, allowed, none, password, change, key_asked, key_signed, interactive, answers, authenticated, destroyed;
    char user[64], submethods[64], old_password[64], new_password[64];
} login_server;

static void on_connected(void *userdata, nacre_transport *transport)
{
    login_server *server = userdata;
    /* It may be over again by now: a client that refuses the host key is quick. */
    (void)transport;
    ADD(server->connected, 1);
}
static const char *on_banner(void *userdata, nacre_transport *transport)
{
    (void)transport;
    return ((login_server *)userdata)->banner;
}
/* "steps" needs a key and then a password, "keyless" may only try passwords. */
static nacre_decision on_allowed(void *userdata, nacre_transport *transport, const char *user, nacre_ticket *ticket)
{
    static const char *const key[] = {"publickey"}, *const password[] = {"password"},
                             *const interactive[] = {"keyboard-interactive"}, *const both[] = {"publickey", "password"};
    login_server *server = userdata;
    (void)transport;
    ADD(server->allowed, 1);
    EXPECT_TEXT(user, nacre_ticket_user, ticket);
    if (strcmp(user, "steps") == 0)
        OK(nacre_ticket_answer_texts(ticket, COUNT(server->steps) == 0 ? key : password, 1));
    else if (strcmp(user, "keyless") == 0)
        OK(nacre_ticket_answer_texts(ticket, password, 1));
    else if (strcmp(user, "prompted") == 0)
        OK(nacre_ticket_answer_texts(ticket, interactive, 1));
    else if (strcmp(user, "both") == 0)
        OK(nacre_ticket_answer_texts(ticket, both, 2));
    return NACRE_ACCEPT;
}
static nacre_decision on_none(void *userdata, nacre_transport *transport, const char *user, nacre_ticket *ticket)
{
    nacre_question kind = 0;
    (void)transport;
    OK(nacre_ticket_kind(ticket, &kind));
    EQUAL(kind, NACRE_QUESTION_AUTH_NONE);
    ADD(((login_server *)userdata)->none, 1);
    return strcmp(user, "open") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
static nacre_decision on_password(void *userdata, nacre_transport *transport, const char *user, const char *password,
                                  nacre_ticket *ticket)
{
    login_server *server = userdata;
    size_t count = 0;
    (void)transport;
    OK(nacre_ticket_text_count(ticket, &count));
    EQUAL(count, 1);
    EXPECT_TEXT(password, nacre_ticket_text, ticket, 0);
    ADD(server->password, 1);
    if (strcmp(user, "expired") == 0 && strcmp(password, "secret") == 0)
        OK(nacre_ticket_answer_password_change(ticket, "Choose another: "));
    return strcmp(password, "secret") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
static nacre_decision on_change(void *userdata, nacre_transport *transport, const char *user, const char *old_password,
                                const char *new_password, nacre_ticket *ticket)
{
    login_server *server = userdata;
    (void)transport;
    SAME(user, "expired");
    ADD(server->change, 1);
    snprintf(server->old_password, sizeof server->old_password, "%s", old_password);
    snprintf(server->new_password, sizeof server->new_password, "%s", new_password);
    if (strcmp(new_password, "short") == 0) OK(nacre_ticket_answer_password_change(ticket, "A longer one: "));
    return strcmp(new_password, "wrong") == 0 ? NACRE_REJECT : NACRE_ACCEPT;
}
static nacre_decision on_key(void *userdata, nacre_transport *transport, const char *user, const nacre_key *key,
                             int32_t verified, nacre_ticket *ticket)
{
    login_server *server = userdata;
    int32_t equal = 0, told = 9;
    (void)transport;
    OK(nacre_ticket_verified(ticket, &told));
    EQUAL(told, verified);
    EQUAL(nacre_key_is_private(key), 0);
    ADD(*(verified ? &server->key_signed : &server->key_asked), 1);
    OK(nacre_key_equal(key, server->key, &equal));
    if (!equal) return NACRE_REJECT;
    if (strcmp(user, "steps") != 0) return NACRE_ACCEPT;
    if (verified) ADD(server->steps, 1);
    return verified ? NACRE_PARTIAL : NACRE_ACCEPT;
}
static nacre_decision on_interactive(void *userdata, nacre_transport *transport, const char *user,
                                     const char *submethods, nacre_ticket *ticket)
{
    static const char *const prompts[] = {"Name: ", "Secret: "};
    static const int32_t echo[] = {1, 0};
    login_server *server = userdata;
    (void)transport, (void)user;
    ADD(server->interactive, 1);
    snprintf(server->submethods, sizeof server->submethods, "%s", submethods);
    OK(nacre_ticket_answer_prompts(ticket, "Heading", "Say who you are", prompts, echo, 2));
    return NACRE_REJECT; /* does not count any more */
}
/* A second round without any prompt, then a third with one. */
static nacre_decision on_answers(void *userdata, nacre_transport *transport, const char *user, nacre_ticket *ticket)
{
    static const char *const third[] = {"Once more: "};
    static const int32_t hidden[] = {0};
    login_server *server = userdata;
    size_t count = 99;
    char text[64] = "";
    (void)transport, (void)user;
    OK(nacre_ticket_text_count(ticket, &count));
    switch (ADD(server->answers, 1)) {
    case 1:
        EQUAL(count, 2);
        EXPECT_TEXT("alice", nacre_ticket_text, ticket, 0);
        TEXT_OF(text, nacre_ticket_text, ticket, 1);
        if (strcmp(text, "secret") != 0 || server->rounds == 1)
            return strcmp(text, "secret") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
        OK(nacre_ticket_answer_prompts(ticket, NULL, "Nothing to say", NULL, NULL, 0));
        return NACRE_REJECT;
    case 2:
        EQUAL(count, 0);
        OK(nacre_ticket_answer_prompts(ticket, "", "", third, hidden, 1));
        return NACRE_REJECT;
    default:
        EQUAL(count, 1);
        TEXT_OF(text, nacre_ticket_text, ticket, 0);
        return strcmp(text, "again") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
    }
}
static void on_authenticated(void *userdata, nacre_transport *transport, const char *user)
{
    login_server *server = userdata;
    EXPECT_TEXT(user, nacre_transport_username, transport);
    snprintf(server->user, sizeof server->user, "%s", user);
    ADD(server->authenticated, 1);
}
static void on_destroy(void *userdata)
{
    ADD(((login_server *)userdata)->destroyed, 1);
}

static nacre_server_callbacks login_callbacks(login_server *server)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    memset(server, 0, sizeof *server);
    server->key = user_key();
    server->rounds = 1;
    callbacks.userdata = server;
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
    return callbacks;
}
/* Negotiated, and nobody logged in yet. */
static pair login_pair(login_server *server)
{
    nacre_server_callbacks callbacks = login_callbacks(server);
    pair both = served_pair(&callbacks);
    start_client(both.client);
    return both;
}
/* The login is done, both ends know the user, and nothing is asked any more after the end. */
static void end_login(pair *both, login_server *server, const char *user)
{
    EQUAL(nacre_transport_is_authenticated(both->client), 1);
    EXPECT_TEXT(user, nacre_transport_username, both->client);
    if (!with_threads) {
        while (COUNT(server->authenticated) == 0) {
            nacre_status status = nacre_engine_dispatch(both->engine, 1000);
            CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
        }
    }
    EVENTUALLY(COUNT(server->authenticated) == 1);
    SAME(server->user, user);
    EQUAL(nacre_transport_is_authenticated(both->server), 1);
    EQUAL(COUNT(server->connected), 1);
    end_pair(both);
    EVENTUALLY(COUNT(server->destroyed) > 0);
    EQUAL(COUNT(server->destroyed), 1);
}
static void end_without_login(pair *both, login_server *server)
{
    EQUAL(nacre_transport_is_authenticated(both->client), 0);
    EQUAL(nacre_transport_is_authenticated(both->server), 0);
    EQUAL(COUNT(server->authenticated), 0);
    end_pair(both);
    EVENTUALLY(COUNT(server->destroyed) == 1);
}
/* The last error of the transport. */
static void expect_error_methods(nacre_transport *client, nacre_status status, const char *methods)
{
    nacre_error *error = NULL;
    char text[256] = "";
    OK(nacre_transport_take_error(client, 0, &error));
    EXPECT(nacre_error_status(error), status);
    EXPECT_TEXT(methods, nacre_error_auth_methods, error);
    TEXT_OF(text, nacre_error_text, error);
    CHECK(strlen(text) > 10);
    nacre_error_free(error);
    EXPECT_TEXT(methods, nacre_transport_auth_methods, client);
}

static void none(void)
{
    login_server server;
    pair both = login_pair(&server);
    char text[64] = "";
    EXPECT(nacre_transport_auth_methods(both.client, text, sizeof text, NULL), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_username(both.client, text, sizeof text, NULL), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_auth_none(both.client, "both", SOON, NULL), NACRE_ERR_AUTH_METHOD);
    expect_error_methods(both.client, NACRE_ERR_AUTH_METHOD, "publickey,password");
    /* The user changes: begins anew, with the methods that have a function. */
    EXPECT(nacre_transport_auth_none(both.client, "tester", SOON, NULL), NACRE_ERR_AUTH_METHOD);
    expect_error_methods(both.client, NACRE_ERR_AUTH_METHOD, "publickey,password,keyboard-interactive");
    EQUAL(nacre_transport_is_authenticated(both.client), 0);
    OK(nacre_transport_auth_none(both.client, "open", SOON, NULL));
    EQUAL(COUNT(server.none), 3);
    EXPECT(nacre_transport_auth_none(both.client, "open", SOON, NULL), NACRE_ERR_STATE);
    end_login(&both, &server, "open");
}

static void password(void)
{
    login_server server;
    pair both = login_pair(&server);
    EXPECT(nacre_transport_auth_password(both.client, "keyless", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    expect_error_methods(both.client, NACRE_ERR_AUTH_FAILED, "password");
    EXPECT(nacre_transport_auth_password(both.client, "keyless", "secret", 99, SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_auth_password(both.client, "keyless", NULL, 0, SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_auth_password(both.client, NULL, "secret", 0, SOON, NULL), NACRE_ERR_ARGUMENT);
    EQUAL(COUNT(server.password), 1);
    OK(nacre_transport_auth_password(both.client, "keyless", "secret", 0, SOON, NULL));
    EQUAL(COUNT(server.password), 2);
    end_login(&both, &server, "keyless");
}
/* Names and passwords are bytes: nothing is refused for not being UTF-8. */
static nacre_decision take_bytes(void *userdata, nacre_transport *transport, const char *user, const char *password,
                                 nacre_ticket *ticket)
{
    (void)transport, (void)ticket;
    ADD(*(int *)userdata, 1);
    return strcmp(user, "m\xfcller") == 0 && strcmp(password, "\xff\xfe\x80") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
static void bytes(void)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    int asked = 0;
    callbacks.userdata = &asked;
    callbacks.auth_password = take_bytes;
    pair both = served_pair(&callbacks);
    start_client(both.client);
    EXPECT(nacre_transport_auth_password(both.client, "m\xfcller", "\xff\xfe", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    OK(nacre_transport_auth_password(both.client, "m\xfcller", "\xff\xfe\x80", 0, SOON, NULL));
    EXPECT_TEXT("m\xfcller", nacre_transport_username, both.client);
    EXPECT_TEXT("m\xfcller", nacre_transport_username, both.server);
    EQUAL(COUNT(asked), 2);
    end_pair(&both);
}

static void publickey_of(nacre_key_kind kind, uint32_t bits, const char *algorithm)
{
    login_server server;
    pair both = login_pair(&server);
    nacre_key *right = new_key(kind, bits), *wrong = new_key(NACRE_KEY_ED25519, 0), *public = NULL;
    char line[2048];
    server.key = right;
    EXPECT_TEXT(algorithm, nacre_key_algorithm, right);
    EXPECT(nacre_transport_auth_publickey(both.client, "both", wrong, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    expect_error_methods(both.client, NACRE_ERR_AUTH_FAILED, "publickey,password");
    CHECK(COUNT(server.key_asked) + COUNT(server.key_signed) >= 1);
    server.key_asked = server.key_signed = 0;
    TEXT_OF(line, nacre_key_public_line, right);
    OK(nacre_key_load_memory(line, strlen(line), NULL, &public, NULL));
    EXPECT(nacre_transport_auth_publickey(both.client, "both", public, SOON, NULL), NACRE_ERR_ARGUMENT);
    OK(nacre_transport_auth_publickey(both.client, "both", right, SOON, NULL));
    /* In when it has signed, not before; whether it asks first is the client's choice. */
    EQUAL(COUNT(server.key_signed), 1);
    CHECK(COUNT(server.key_asked) <= 1);
    end_login(&both, &server, "both");
    nacre_key_free(right);
    nacre_key_free(wrong);
    nacre_key_free(public);
}
static void publickey(void)
{
    publickey_of(NACRE_KEY_ED25519, 0, "ssh-ed25519");
    publickey_of(NACRE_KEY_ECDSA, 256, "ecdsa-sha2-nistp256");
    publickey_of(NACRE_KEY_ECDSA, 384, "ecdsa-sha2-nistp384");
    publickey_of(NACRE_KEY_ECDSA, 521, "ecdsa-sha2-nistp521");
    if (!is_short_run()) publickey_of(NACRE_KEY_RSA, 2048, "ssh-rsa");
}

/* What a client answers to prompts. */
typedef struct prompted {
    const char *secret;
    int rounds, destroyed, gives_up;
} prompted;

static nacre_decision on_prompts(void *userdata, nacre_transport *transport, nacre_ticket *ticket)
{
    prompted *client = userdata;
    size_t count = 99;
    int32_t echo = 9;
    char text[64] = "";
    nacre_question kind = 0;
    const char *answers[2] = {"alice", client->secret};
    (void)transport;
    OK(nacre_ticket_kind(ticket, &kind));
    EQUAL(kind, NACRE_QUESTION_PROMPTS);
    OK(nacre_ticket_text_count(ticket, &count));
    switch (ADD(client->rounds, 1)) {
    case 1: {
        size_t needed = 0;
        EQUAL(count, 2);
        EXPECT_TEXT("Heading", nacre_ticket_name, ticket);
        OK(nacre_ticket_data(ticket, text, sizeof text, &needed));
        EQUAL(needed, strlen("Say who you are"));
        CHECK(memcmp(text, "Say who you are", needed) == 0);
        EXPECT_TEXT("Name: ", nacre_ticket_text, ticket, 0);
        EXPECT_TEXT("Secret: ", nacre_ticket_text, ticket, 1);
        OK(nacre_ticket_echo(ticket, 0, &echo));
        EQUAL(echo, 1);
        OK(nacre_ticket_echo(ticket, 1, &echo));
        EQUAL(echo, 0);
        if (client->gives_up) return NACRE_REJECT;
        /* One text a prompt, and no other number. */
        EXPECT(nacre_ticket_answer_texts(ticket, answers, 1), NACRE_ERR_ARGUMENT);
        OK(nacre_ticket_answer_texts(ticket, answers, 2));
        return NACRE_ACCEPT;
    }
    case 2:
        EQUAL(count, 0);
        OK(nacre_ticket_answer_texts(ticket, NULL, 0));
        return NACRE_ACCEPT;
    default:
        EQUAL(count, 1);
        EXPECT_TEXT("Once more: ", nacre_ticket_text, ticket, 0);
        answers[0] = "again";
        OK(nacre_ticket_answer_texts(ticket, answers, 1));
        return NACRE_ACCEPT;
    }
}
static void on_prompts_destroy(void *userdata)
{
    ADD(((prompted *)userdata)->destroyed, 1);
}

static void interactive(void)
{
    login_server server;
    pair both = login_pair(&server);
    prompted wrong = {"guess", 0, 0, 0}, right = {"secret", 0, 0, 0}, quitter = {"secret", 0, 0, 1};
    EXPECT(nacre_transport_auth_interactive(both.client, "prompted", "first,second", on_prompts, &wrong,
                                            on_prompts_destroy, SOON, NULL),
           NACRE_ERR_AUTH_FAILED);
    expect_error_methods(both.client, NACRE_ERR_AUTH_FAILED, "keyboard-interactive");
    SAME(server.submethods, "first,second");
    EQUAL(wrong.rounds, 1);
    EQUAL(COUNT(server.answers), 1);
    EVENTUALLY(COUNT(wrong.destroyed) == 1);
    /* The user gives up: that is the end of the method, not of the connection. */
    EXPECT(nacre_transport_auth_interactive(both.client, "prompted", NULL, on_prompts, &quitter, on_prompts_destroy,
                                            SOON, NULL),
           NACRE_ERR_CANCELLED);
    EQUAL(quitter.rounds, 1);
    EVENTUALLY(COUNT(quitter.destroyed) == 1);
    EQUAL(nacre_transport_is_active(both.client), 1);
    /* Three rounds, one of them empty. */
    server.answers = 0;
    server.rounds = 3;
    OK(nacre_transport_auth_interactive(both.client, "prompted", NULL, on_prompts, &right, on_prompts_destroy, SOON,
                                        NULL));
    EQUAL(right.rounds, 3);
    EQUAL(COUNT(server.answers), 3);
    EVENTUALLY(COUNT(right.destroyed) == 1);
    end_login(&both, &server, "prompted");
}
/* The call fails, and gives the pointer back all the same. */
static void interactive_too_early(void)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    pair both = served_pair(&callbacks);
    prompted early = {"secret", 0, 0, 0};
    EXPECT(nacre_transport_auth_interactive(both.client, "prompted", NULL, on_prompts, &early, on_prompts_destroy, SOON,
                                            NULL),
           NACRE_ERR_STATE);
    EQUAL(early.rounds, 0);
    EVENTUALLY(COUNT(early.destroyed) == 1);
    EXPECT(nacre_transport_auth_none(both.client, "open", SOON, NULL), NACRE_ERR_STATE);
    end_pair(&both);
}

/* A password where only keyboard-interactive is offered. */
static nacre_decision one_prompt(void *userdata, nacre_transport *transport, const char *user, const char *submethods,
                                 nacre_ticket *ticket)
{
    static const char *const prompts[] = {"Password: "};
    static const int32_t echo[] = {0};
    (void)userdata, (void)transport, (void)user, (void)submethods;
    OK(nacre_ticket_answer_prompts(ticket, "", "", prompts, echo, 1));
    return NACRE_ACCEPT;
}
static nacre_decision one_answer(void *userdata, nacre_transport *transport, const char *user, nacre_ticket *ticket)
{
    char text[64] = "";
    (void)transport, (void)user;
    ADD(*(int *)userdata, 1);
    TEXT_OF(text, nacre_ticket_text, ticket, 0);
    return strcmp(text, "secret") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
static void password_fallback(void)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    int answered = 0;
    callbacks.userdata = &answered;
    callbacks.auth_interactive = one_prompt;
    callbacks.auth_interactive_answers = one_answer;
    pair both = served_pair(&callbacks);
    start_client(both.client);
    EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", NACRE_AUTH_NO_FALLBACK, SOON, NULL),
           NACRE_ERR_AUTH_METHOD);
    expect_error_methods(both.client, NACRE_ERR_AUTH_METHOD, "keyboard-interactive");
    EQUAL(COUNT(answered), 0);
    /* Tried, and wrong: it says what it would have said without the try. */
    EXPECT(nacre_transport_auth_password(both.client, "tester", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_METHOD);
    EQUAL(COUNT(answered), 1);
    OK(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL));
    EQUAL(COUNT(answered), 2);
    EXPECT_TEXT("tester", nacre_transport_username, both.client);
    end_pair(&both);
}

static void two_steps(void)
{
    login_server server;
    pair both = login_pair(&server);
    EXPECT(nacre_transport_auth_password(both.client, "steps", "secret", NACRE_AUTH_NO_FALLBACK, SOON, NULL),
           NACRE_ERR_AUTH_METHOD);
    expect_error_methods(both.client, NACRE_ERR_AUTH_METHOD, "publickey");
    EQUAL(COUNT(server.password), 0);
    EXPECT(nacre_transport_auth_publickey(both.client, "steps", user_key(), SOON, NULL), NACRE_ERR_AUTH_PARTIAL);
    expect_error_methods(both.client, NACRE_ERR_AUTH_PARTIAL, "password");
    EQUAL(nacre_transport_is_authenticated(both.client), 0);
    EQUAL(nacre_transport_is_authenticated(both.server), 0);
    EXPECT(nacre_transport_auth_password(both.client, "steps", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    OK(nacre_transport_auth_password(both.client, "steps", "secret", 0, SOON, NULL));
    end_login(&both, &server, "steps");
}

/* What a client says when it needs a new password. */
typedef struct changer {
    const char *first, *then;
    int asked;
} changer;
static nacre_decision on_new_password(void *userdata, nacre_transport *transport, const char *prompt,
                                      nacre_ticket *ticket)
{
    changer *client = userdata;
    (void)transport;
    EXPECT_TEXT(prompt, nacre_ticket_text, ticket, 0);
    int asked = ADD(client->asked, 1);
    SAME(prompt, asked == 1 ? "Choose another: " : "A longer one: ");
    const char *text = asked == 1 ? client->first : client->then;
    if (text == NULL) return NACRE_REJECT;
    OK(nacre_ticket_answer_texts(ticket, &text, 1));
    return NACRE_ACCEPT;
}
static void password_change(void)
{
    login_server server;
    pair both = login_pair(&server);
    changer none_given = {NULL, NULL, 0}, refused = {"wrong", NULL, 0}, taken = {"short", "longer", 0};
    nacre_client_callbacks callbacks = NACRE_INIT(nacre_client_callbacks);
    /* Nobody to ask. */
    EXPECT(nacre_transport_auth_password(both.client, "expired", "secret", 0, SOON, NULL), NACRE_ERR_CANCELLED);
    EQUAL(COUNT(server.change), 0);
    callbacks.new_password = on_new_password;
    callbacks.userdata = &none_given;
    OK(nacre_transport_set_client_callbacks(both.client, &callbacks));
    EXPECT(nacre_transport_auth_password(both.client, "expired", "secret", 0, SOON, NULL), NACRE_ERR_CANCELLED);
    EQUAL(none_given.asked, 1);
    EQUAL(COUNT(server.change), 0);
    callbacks.userdata = &refused;
    OK(nacre_transport_set_client_callbacks(both.client, &callbacks));
    EXPECT(nacre_transport_auth_password(both.client, "expired", "secret", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    EQUAL(COUNT(server.change), 1);
    SAME(server.old_password, "secret");
    SAME(server.new_password, "wrong");
    /* Another round, then right. */
    callbacks.userdata = &taken;
    OK(nacre_transport_set_client_callbacks(both.client, &callbacks));
    OK(nacre_transport_auth_password(both.client, "expired", "secret", 0, SOON, NULL));
    EQUAL(taken.asked, 2);
    EQUAL(COUNT(server.change), 3);
    SAME(server.new_password, "longer");
    end_login(&both, &server, "expired");
}

static void banner(void)
{
    login_server server;
    char text[64] = "";
    nacre_server_callbacks callbacks = login_callbacks(&server);
    server.banner = "Welcome\nto the t\xe9st\n";
    pair both = served_pair(&callbacks);
    start_client(both.client);
    EXPECT(nacre_transport_banner(both.client, text, sizeof text, NULL), NACRE_ERR_NOT_FOUND);
    OK(nacre_transport_auth_none(both.client, "open", SOON, NULL));
    EXPECT_TEXT("Welcome\nto the t\xe9st\n", nacre_transport_banner, both.client);
    nacre_event event = event_of(both.engine, both.client, NACRE_EVENT_BANNER);
    size_t needed = 0;
    CHECK(event.message != NULL);
    OK(nacre_message_bytes(event.message, text, sizeof text, &needed));
    EQUAL(needed, strlen("Welcome\nto the t\xe9st\n"));
    CHECK(memcmp(text, "Welcome\nto the t\xe9st\n", needed) == 0);
    free_event(&event);
    EXPECT(nacre_transport_send_banner(both.server, "too late"), NACRE_ERR_STATE);
    EXPECT(nacre_transport_send_banner(both.client, "not a server"), NACRE_ERR_STATE);
    end_login(&both, &server, "open");
}
/* The server's application sends it itself. */
static void banner_sent(void)
{
    login_server server;
    pair both = login_pair(&server);
    OK(nacre_transport_send_banner(both.server, "from outside"));
    EXPECT(nacre_transport_auth_password(both.client, "keyless", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    EXPECT_TEXT("from outside", nacre_transport_banner, both.client);
    OK(nacre_transport_send_banner(both.server, "once more"));
    OK(nacre_transport_auth_none(both.client, "open", SOON, NULL));
    EXPECT_TEXT("once more", nacre_transport_banner, both.client);
    end_login(&both, &server, "open");
}

/* --- the host key ------------------------------------------------------------------------------------- */

static void expect_verdict(nacre_transport *client, nacre_verdict expected)
{
    nacre_error *error = NULL;
    nacre_verdict verdict = 0;
    OK(nacre_transport_take_error(client, 0, &error));
    EXPECT(nacre_error_status(error), NACRE_ERR_HOST_KEY);
    OK(nacre_error_verdict(error, &verdict));
    EQUAL(verdict, expected);
    nacre_error_free(error);
}

/* Nobody has said what to check it with: no secret leaves before somebody trusts it. */
static void host_key_unchecked(void)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    pair both = served_pair(&callbacks);
    nacre_key *shown = NULL;
    int32_t equal = 0;
    EXPECT(nacre_transport_remote_host_key(both.client, &shown), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_trust_host_key(both.client), NACRE_ERR_STATE);
    OK(nacre_transport_start_client(both.client, SOON, NULL));
    EXPECT(nacre_transport_auth_none(both.client, "open", SOON, NULL), NACRE_ERR_HOST_KEY);
    expect_verdict(both.client, NACRE_VERDICT_UNCHECKED);
    EXPECT(nacre_transport_auth_password(both.client, "keyless", "secret", 0, SOON, NULL), NACRE_ERR_HOST_KEY);
    EXPECT(nacre_transport_auth_publickey(both.client, "both", user_key(), SOON, NULL), NACRE_ERR_HOST_KEY);
    EQUAL(COUNT(server.none) + COUNT(server.password) + COUNT(server.key_asked), 0);
    OK(nacre_transport_remote_host_key(both.client, &shown));
    OK(nacre_key_equal(shown, host_key(), &equal));
    EQUAL(equal, 1);
    EQUAL(nacre_key_is_private(shown), 0);
    nacre_key_free(shown);
    shown = NULL;
    OK(nacre_transport_host_key(both.server, &shown));
    OK(nacre_key_equal(shown, host_key(), &equal));
    EQUAL(equal, 1);
    nacre_key_free(shown);
    OK(nacre_transport_trust_host_key(both.client));
    OK(nacre_transport_auth_none(both.client, "open", SOON, NULL));
    end_login(&both, &server, "open");
}
/* connect without a check says so before a byte is sent. */
static void host_key_not_given(void)
{
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    nacre_host_key_check empty = NACRE_INIT(nacre_host_key_check);
    nacre_engine *engine = new_engine();
    int fds[2];
    socket_pair(fds);
    nacre_transport *client = transport_over(engine, fds[0]);
    options.user = "tester";
    options.password = "secret";
    EXPECT(nacre_transport_connect(client, &options, SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_set_host_key_check(client, &empty), NACRE_ERR_ARGUMENT);
    options.host_key_check = &empty;
    EXPECT(nacre_transport_connect(client, &options, SOON, NULL), NACRE_ERR_ARGUMENT);
    CHECK(!is_readable_within(fds[1], 50));
    nacre_transport_free(client);
    end_engine(engine);
    close(fds[1]);
}

typedef struct asked_host_key {
    nacre_decision decision;
    nacre_verdict verdict;
    int asked, destroyed, same;
    nacre_ticket *ticket;
} asked_host_key;
static nacre_decision on_host_key(void *userdata, nacre_transport *transport, const nacre_key *key,
                                  nacre_verdict verdict, nacre_ticket *ticket)
{
    asked_host_key *asked = userdata;
    nacre_verdict told = 0;
    int32_t equal = 0;
    (void)transport;
    OK(nacre_ticket_verdict(ticket, &told));
    EQUAL(told, verdict);
    OK(nacre_key_equal(key, host_key(), &equal));
    asked->verdict = verdict;
    asked->same = equal;
    asked->ticket = ticket;
    ADD(asked->asked, 1);
    return asked->decision;
}
static void on_host_key_destroy(void *userdata)
{
    ADD(((asked_host_key *)userdata)->destroyed, 1);
}

/* What start_client says of this check; with success, a login follows. */
static void host_key_case(const nacre_host_key_check *check, nacre_status expected, nacre_verdict verdict)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    pair both = served_pair(&callbacks);
    OK(nacre_transport_set_host_key_check(both.client, check));
    EXPECT(nacre_transport_start_client(both.client, SOON, NULL), expected);
    if (expected == NACRE_OK) {
        OK(nacre_transport_auth_none(both.client, "open", SOON, NULL));
        end_login(&both, &server, "open");
    } else {
        expect_verdict(both.client, verdict);
        EQUAL(nacre_transport_is_active(both.client), 0);
        nacre_status status = nacre_transport_auth_none(both.client, "open", SOON, NULL);
        CHECK(status == NACRE_ERR_HOST_KEY || status == NACRE_ERR_DISCONNECTED || status == NACRE_ERR_CLOSED);
        EQUAL(COUNT(server.none), 0);
        end_without_login(&both, &server);
    }
}
static void host_key_checks(void)
{
    nacre_key *other = new_key(NACRE_KEY_ED25519, 0);
    char right[128] = "", wrong[128] = "";
    TEXT_OF(right, nacre_key_fingerprint, host_key(), NACRE_FINGERPRINT_SHA256);
    TEXT_OF(wrong, nacre_key_fingerprint, other, NACRE_FINGERPRINT_SHA256);
    const nacre_key *keys[2] = {other, host_key()};
    const char *fingerprints[2] = {wrong, right};
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);

    check.keys = keys, check.key_count = 2;
    host_key_case(&check, NACRE_OK, 0);
    check.key_count = 1;
    host_key_case(&check, NACRE_ERR_HOST_KEY, NACRE_VERDICT_CHANGED);
    check.fingerprints = fingerprints, check.fingerprint_count = 1;
    host_key_case(&check, NACRE_ERR_HOST_KEY, NACRE_VERDICT_CHANGED);
    check.fingerprint_count = 2;
    host_key_case(&check, NACRE_OK, 0);
    check.key_count = 0, check.keys = NULL;
    host_key_case(&check, NACRE_OK, 0);
    check.fingerprint_count = 1;
    host_key_case(&check, NACRE_ERR_HOST_KEY, NACRE_VERDICT_CHANGED);

    nacre_host_key_check any = NACRE_INIT(nacre_host_key_check);
    any.flags = NACRE_HOST_KEY_ANY;
    host_key_case(&any, NACRE_OK, 0);

    /* Something that is no fingerprint is no check. */
    const char *nonsense[1] = {"SHA256:short"};
    nacre_host_key_check bad = NACRE_INIT(nacre_host_key_check);
    pair both = new_pair();
    bad.fingerprints = nonsense, bad.fingerprint_count = 1;
    EXPECT(nacre_transport_set_host_key_check(both.client, &bad), NACRE_ERR_ARGUMENT);
    bad.fingerprint_count = 0, bad.flags = 0x80;
    EXPECT(nacre_transport_set_host_key_check(both.client, &bad), NACRE_ERR_ARGUMENT);
    end_pair(&both);
    nacre_key_free(other);
}
static void host_key_callback(void)
{
    asked_host_key yes = {.decision = NACRE_ACCEPT}, no = {.decision = NACRE_REJECT}, never = {.decision = NACRE_REJECT};
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    check.ask = on_host_key;
    check.destroy = on_host_key_destroy;
    check.userdata = &yes;
    host_key_case(&check, NACRE_OK, 0);
    EQUAL(yes.asked, 1);
    EQUAL(yes.verdict, NACRE_VERDICT_UNKNOWN);
    EQUAL(yes.same, 1);
    EVENTUALLY(COUNT(yes.destroyed) == 1);
    check.userdata = &no;
    host_key_case(&check, NACRE_ERR_HOST_KEY, NACRE_VERDICT_REFUSED);
    EQUAL(no.asked, 1);
    EVENTUALLY(COUNT(no.destroyed) == 1);
    /* A key that is right is not asked about. */
    nacre_host_key_check right = right_host_key();
    right.ask = on_host_key;
    right.destroy = on_host_key_destroy;
    right.userdata = &never;
    host_key_case(&right, NACRE_OK, 0);
    EQUAL(never.asked, 0);
    EVENTUALLY(COUNT(never.destroyed) == 1);
    EQUAL(yes.destroyed + no.destroyed + never.destroyed, 3);
}
static void host_key_deferred(void)
{
    asked_host_key later = {.decision = NACRE_DEFER};
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    pair both = served_pair(&callbacks);
    uint64_t op = 0;
    check.ask = on_host_key;
    check.destroy = on_host_key_destroy;
    check.userdata = &later;
    OK(nacre_transport_set_host_key_check(both.client, &check));
    EXPECT(nacre_transport_start_client(both.client, 0, &op), NACRE_ERR_AGAIN);
    CHECK(op != 0);
    while (COUNT(later.asked) == 0) {
        nacre_event event = NACRE_INIT(nacre_event);
        EXPECT(nacre_transport_wait(both.client, op, 20, &event), NACRE_ERR_AGAIN);
    }
    EQUAL(nacre_transport_is_authenticated(both.client), 0);
    OK(nacre_ticket_answer(later.ticket, NACRE_ACCEPT));
    EXPECT(nacre_ticket_answer(later.ticket, NACRE_ACCEPT), NACRE_ERR_STATE);
    nacre_ticket_free(later.ticket);
    nacre_event event = NACRE_INIT(nacre_event);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EQUAL(event.kind, NACRE_EVENT_NEGOTIATED);
    EXPECT(event.status, NACRE_OK);
    EQUAL(event.op, op);
    OK(nacre_transport_auth_none(both.client, "open", SOON, NULL));
    end_login(&both, &server, "open");
    EVENTUALLY(COUNT(later.destroyed) == 1);
}

/* --- all in one call ---------------------------------------------------------------------------------- */

static void connect_at_once(void)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    nacre_host_key_check check = right_host_key();
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    /* A key that is not enough, then the password. */
    nacre_key *other = new_key(NACRE_KEY_ED25519, 0);
    pair both = served_pair(&callbacks);
    options.host_key_check = &check;
    options.user = "both";
    options.key = other;
    options.password = "secret";
    OK(nacre_transport_connect(both.client, &options, SOON, NULL));
    EQUAL(COUNT(server.key_asked) + COUNT(server.key_signed), 1);
    EQUAL(COUNT(server.password), 1);
    end_login(&both, &server, "both");
    nacre_key_free(other);
}
static void connect_in_two_steps(void)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    nacre_host_key_check check = right_host_key();
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    pair both = served_pair(&callbacks);
    options.host_key_check = &check;
    options.user = "steps";
    options.key = user_key();
    options.password = "secret";
    OK(nacre_transport_connect(both.client, &options, SOON, NULL));
    EQUAL(COUNT(server.key_signed), 1);
    EQUAL(COUNT(server.password), 1);
    end_login(&both, &server, "steps");
}
static void connect_wrong(void)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    nacre_host_key_check check = right_host_key();
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    pair both = served_pair(&callbacks);
    options.host_key_check = &check;
    options.user = "keyless";
    options.password = "guess";
    EXPECT(nacre_transport_connect(both.client, &options, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    expect_error_methods(both.client, NACRE_ERR_AUTH_FAILED, "password");
    EXPECT(nacre_transport_connect(both.client, &options, SOON, NULL), NACRE_ERR_STATE);
    /* The connection stands: another try. */
    OK(nacre_transport_auth_password(both.client, "keyless", "secret", 0, SOON, NULL));
    end_login(&both, &server, "keyless");
}
/* Without a user it is the handshake and the check alone. */
static void connect_without_user(void)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    nacre_host_key_check check = right_host_key();
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    pair both = served_pair(&callbacks);
    options.host_key_check = &check;
    OK(nacre_transport_connect(both.client, &options, SOON, NULL));
    EQUAL(nacre_transport_is_active(both.client), 1);
    EQUAL(nacre_transport_is_authenticated(both.client), 0);
    OK(nacre_transport_auth_none(both.client, "open", SOON, NULL));
    end_login(&both, &server, "open");
}
/* The server asks by keyboard-interactive; the callbacks come with the options. */
static void connect_with_callbacks(void)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    nacre_client_callbacks client = NACRE_INIT(nacre_client_callbacks);
    nacre_host_key_check check = right_host_key();
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    changer taken = {"longer", NULL, 0};
    pair both = served_pair(&callbacks);
    client.userdata = &taken;
    client.new_password = on_new_password;
    options.host_key_check = &check;
    options.user = "expired";
    options.password = "secret";
    options.callbacks = &client;
    OK(nacre_transport_connect(both.client, &options, SOON, NULL));
    EQUAL(taken.asked, 1);
    SAME(server.new_password, "longer");
    end_login(&both, &server, "expired");
}
/* A server without callbacks refuses everybody. */
static void refused_by_default(void)
{
    pair both = served_pair(NULL);
    start_client(both.client);
    EXPECT(nacre_transport_auth_none(both.client, "open", SOON, NULL), NACRE_ERR_AUTH_METHOD);
    nacre_status status = nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL);
    CHECK(status == NACRE_ERR_AUTH_FAILED || status == NACRE_ERR_AUTH_METHOD);
    status = nacre_transport_auth_publickey(both.client, "tester", user_key(), SOON, NULL);
    CHECK(status == NACRE_ERR_AUTH_FAILED || status == NACRE_ERR_AUTH_METHOD);
    EQUAL(nacre_transport_is_authenticated(both.client), 0);
    EQUAL(nacre_transport_is_authenticated(both.server), 0);
    end_pair(&both);
}
/* The server is driven by threads of its own, over TCP. */
static void apart(void)
{
    login_server server;
    nacre_server_callbacks callbacks = login_callbacks(&server);
    pair both = new_apart_pair();
    start_server(both.server, &callbacks);
    start_client(both.client);
    EXPECT(nacre_transport_auth_password(both.client, "keyless", "guess", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    OK(nacre_transport_auth_publickey(both.client, "both", user_key(), SOON, NULL));
    EVENTUALLY(COUNT(server.authenticated) == 1);
    end_login(&both, &server, "both");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(none);
    RUN(password);
    RUN(bytes);
    RUN(publickey);
    RUN(interactive);
    RUN(interactive_too_early);
    RUN(password_fallback);
    RUN(two_steps);
    RUN(password_change);
    RUN(banner);
    RUN(banner_sent);
    RUN(host_key_unchecked);
    RUN(host_key_not_given);
    RUN(host_key_checks);
    RUN(host_key_callback);
    RUN(host_key_deferred);
    RUN(connect_at_once);
    RUN(connect_in_two_steps);
    RUN(connect_wrong);
    RUN(connect_without_user);
    RUN(connect_with_callbacks);
    RUN(refused_by_default);
    RUN(apart);
    return 0;
}
