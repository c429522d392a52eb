/* What a login proved: by which method, whether anything was shown at all, and a key that is asked about first. */
#include "common.h"

typedef struct lax_server {
    nacre_key *key;
    int key_asked, key_signed, authenticated;
} lax_server;

/* "open" gets in with nothing. */
static nacre_decision on_none(void *userdata, nacre_transport *transport, const char *user, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)ticket;
    return strcmp(user, "open") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
static nacre_decision on_password(void *userdata, nacre_transport *transport, const char *user, const char *password,
                                  nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)user, (void)ticket;
    return strcmp(password, "secret") == 0 ? NACRE_ACCEPT : NACRE_REJECT;
}
static nacre_decision on_key(void *userdata, nacre_transport *transport, const char *user, const nacre_key *key,
                             int32_t verified, nacre_ticket *ticket)
{
    lax_server *server = userdata;
    int32_t equal = 0;
    (void)transport, (void)ticket;
    ADD(*(verified ? &server->key_signed : &server->key_asked), 1);
    OK(nacre_key_equal(key, server->key, &equal));
    if (!equal) return NACRE_REJECT;
    return verified && strcmp(user, "steps") == 0 ? NACRE_PARTIAL : NACRE_ACCEPT;
}
static nacre_decision on_interactive(void *userdata, nacre_transport *transport, const char *user,
                                     const char *submethods, nacre_ticket *ticket)
{
    static const char *const prompts[] = {"Secret: "};
    static const int32_t echo[] = {0};
    (void)userdata, (void)transport, (void)submethods;
    OK(nacre_ticket_answer_prompts(ticket, "", "", prompts, echo, strcmp(user, "asked") == 0));
    return NACRE_REJECT; /* does not count any more */
}
static nacre_decision on_answers(void *userdata, nacre_transport *transport, const char *user, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)user, (void)ticket;
    return NACRE_ACCEPT;
}
static void on_authenticated(void *userdata, nacre_transport *transport, const char *user)
{
    (void)transport, (void)user;
    ADD(((lax_server *)userdata)->authenticated, 1);
}

static pair lax_pair(lax_server *server)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    memset(server, 0, sizeof *server);
    server->key = user_key();
    callbacks.userdata = server;
    callbacks.auth_none = on_none;
    callbacks.auth_password = on_password;
    callbacks.auth_publickey = on_key;
    callbacks.auth_interactive = on_interactive;
    callbacks.auth_interactive_answers = on_answers;
    callbacks.authenticated = on_authenticated;
    pair both = served_pair(&callbacks);
    start_client(both.client);
    return both;
}
static nacre_decision answer_prompts(void *userdata, nacre_transport *transport, nacre_ticket *ticket)
{
    static const char *const answers[] = {"whatever"};
    size_t count = 0;
    (void)userdata, (void)transport;
    OK(nacre_ticket_text_count(ticket, &count));
    OK(nacre_ticket_answer_texts(ticket, answers, count));
    return NACRE_ACCEPT;
}
static nacre_status interactive(nacre_transport *client, const char *user)
{
    return nacre_transport_auth_interactive(client, user, NULL, answer_prompts, NULL, NULL, SOON, NULL);
}

/* Each way in, and what it says of itself on both sides. */
static void what_was_proved(void)
{
    for (int way = 0; way < 6; way++) {
        lax_server server;
        pair both = lax_pair(&server);
        char text[64] = "";
        const char *method = "";
        int trivial = 0;
        EXPECT(nacre_transport_auth_method(both.client, text, sizeof text, NULL), NACRE_ERR_NOT_FOUND);
        EQUAL(nacre_transport_auth_was_trivial(both.client), 0);
        switch (way) {
        case 0:
            OK(nacre_transport_auth_none(both.client, "open", SOON, NULL));
            method = "none", trivial = 1;
            break;
        case 1:
            OK(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL));
            method = "password";
            break;
        case 2:
            OK(nacre_transport_auth_publickey(both.client, "tester", user_key(), SOON, NULL));
            method = "publickey";
            break;
        case 3:
            OK(interactive(both.client, "asked"));
            method = "keyboard-interactive";
            break;
        case 4: /* nothing is asked */
            OK(interactive(both.client, "empty"));
            method = "keyboard-interactive", trivial = 1;
            break;
        default: /* nothing is asked after a key has signed */
            EXPECT(nacre_transport_auth_publickey(both.client, "steps", user_key(), SOON, NULL), NACRE_ERR_AUTH_PARTIAL);
            OK(interactive(both.client, "steps"));
            method = "keyboard-interactive";
        }
        EXPECT_TEXT(method, nacre_transport_auth_method, both.client);
        EVENTUALLY(COUNT(server.authenticated) == 1);
        EXPECT_TEXT(method, nacre_transport_auth_method, both.server);
        EQUAL(nacre_transport_auth_was_trivial(both.client), trivial);
        EQUAL(nacre_transport_auth_was_trivial(both.server), 0);
        end_pair(&both);
    }
}

/* The server has heard of it. Without threads somebody has to turn the engine. */
static int is_left(pair *both)
{
    if (!with_threads) {
        nacre_status done = nacre_engine_dispatch(both->engine, 10);
        CHECK(done == NACRE_OK || done == NACRE_ERR_AGAIN);
    }
    return nacre_transport_is_active(both->server) == 0;
}

/* A server that asks for nothing is left when that is wanted, and no other. */
static void trivial_is_refused(void)
{
    for (int way = 0; way < 4; way++) {
        lax_server server;
        nacre_status status = NACRE_OK;
        nacre_error *error = NULL;
        char text[256] = "";
        int32_t on = 9;
        pair both = lax_pair(&server);
        OK(nacre_transport_refuse_trivial_auth(both.client, &on));
        EQUAL(on, 0);
        OK(nacre_transport_set_refuse_trivial_auth(both.client, 1));
        OK(nacre_transport_refuse_trivial_auth(both.client, &on));
        EQUAL(on, 1);
        EXPECT(nacre_transport_set_refuse_trivial_auth(both.client, 2), NACRE_ERR_ARGUMENT);
        EXPECT(nacre_transport_set_refuse_trivial_auth(both.client, -1), NACRE_ERR_ARGUMENT);
        switch (way) {
        case 0: status = nacre_transport_auth_none(both.client, "open", SOON, NULL); break;
        case 1: status = interactive(both.client, "empty"); break;
        case 2: status = interactive(both.client, "asked"); break;
        default:
            EXPECT(nacre_transport_auth_publickey(both.client, "steps", user_key(), SOON, NULL), NACRE_ERR_AUTH_PARTIAL);
            status = interactive(both.client, "steps");
        }
        if (way >= 2) {
            OK(status);
            EQUAL(nacre_transport_is_authenticated(both.client), 1);
        } else {
            EXPECT(status, NACRE_ERR_AUTH_FAILED);
            OK(nacre_transport_take_error(both.client, 0, &error));
            EXPECT(nacre_error_status(error), NACRE_ERR_AUTH_FAILED);
            TEXT_OF(text, nacre_error_text, error);
            CHECK(strstr(text, "without") != NULL);
            nacre_error_free(error);
            EQUAL(nacre_transport_is_authenticated(both.client), 0);
            EQUAL(nacre_transport_is_active(both.client), 0);
            EQUAL(nacre_transport_auth_was_trivial(both.client), 0);
            EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
            EVENTUALLY(is_left(&both));
        }
        end_pair(&both);
    }
}

/* With the flag a key is asked about first, and signs only where it is wanted. */
static void probe_first(void)
{
    lax_server server;
    pair both = lax_pair(&server);
    nacre_key *wrong = new_key(NACRE_KEY_ED25519, 0);
    EXPECT(nacre_transport_auth_publickey_with(both.client, "tester", wrong, NACRE_AUTH_PROBE, SOON, NULL),
           NACRE_ERR_AUTH_FAILED);
    EQUAL(COUNT(server.key_asked), 1);
    EQUAL(COUNT(server.key_signed), 0);
    EXPECT(nacre_transport_auth_publickey_with(both.client, "tester", wrong, 0, SOON, NULL), NACRE_ERR_AUTH_FAILED);
    EQUAL(COUNT(server.key_signed), 1);
    EXPECT(nacre_transport_auth_publickey_with(both.client, "tester", user_key(), 2, SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_auth_publickey_with(both.client, "tester", NULL, 0, SOON, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_auth_publickey_with(both.client, NULL, user_key(), 0, SOON, NULL), NACRE_ERR_ARGUMENT);
    OK(nacre_transport_auth_publickey_with(both.client, "tester", user_key(), NACRE_AUTH_PROBE, SOON, NULL));
    EXPECT_TEXT("publickey", nacre_transport_auth_method, both.client);
    EQUAL(nacre_transport_auth_was_trivial(both.client), 0);
    end_pair(&both);
    nacre_key_free(wrong);
}

static void null_handles(void)
{
    char text[64] = "";
    int32_t on = 0;
    EXPECT(nacre_transport_auth_method(NULL, text, sizeof text, NULL), NACRE_ERR_ARGUMENT);
    EQUAL(nacre_transport_auth_was_trivial(NULL), 0);
    EXPECT(nacre_transport_set_refuse_trivial_auth(NULL, 1), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_refuse_trivial_auth(NULL, &on), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_auth_publickey_with(NULL, "tester", user_key(), 0, SOON, NULL), NACRE_ERR_ARGUMENT);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(what_was_proved);
    RUN(trivial_is_refused);
    RUN(probe_first);
    RUN(null_handles);
    return 0;
}
