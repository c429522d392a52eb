/* Keys that the application signs for: user keys, host keys, and without a connection; now, later, wrongly, never. */
#include "common.h"

/* --- a token -------------------------------------------------------------------------------------------- */

typedef enum manner { AT_ONCE, LATER, NEVER, REFUSE, SAY_YES, OTHER_KEY, TOO_SHORT, TOO_LONG, NOTHING, TWICE } manner;

typedef struct token {
    nacre_key *inside;
    manner how;
    int asked, destroyed;
    nacre_ticket *kept;
    pthread_t thread;
} token;

static nacre_key *stranger(void)
{
    static nacre_key *key;
    if (key == NULL) key = new_key(NACRE_KEY_ED25519, 0);
    return key;
}
/* What a token gives: the signature without the name before it. */
static size_t bare_signature(const nacre_key *key, const char *algorithm, const void *data, size_t len, uint8_t *out)
{
    uint8_t blob[4096];
    size_t needed = 0;
    OK(nacre_key_sign(key, algorithm, data, len, blob, sizeof blob, &needed));
    size_t name = ((size_t)blob[2] << 8) + blob[3];
    size_t start = 4 + name + 4;
    CHECK(start < needed);
    memcpy(out, blob + start, needed - start);
    return needed - start;
}
/* Everything that it needs is in the ticket. */
static void *sign_by_ticket(void *argument)
{
    token *all = argument;
    nacre_question kind = 0;
    char algorithm[64] = "";
    uint8_t data[2048], signature[4096];
    size_t len = 0;
    int32_t equal = 0;
    nacre_key *key = NULL;
    pause_ms(20);
    OK(nacre_ticket_kind(all->kept, &kind));
    EQUAL(kind, NACRE_QUESTION_SIGN);
    TEXT_OF(algorithm, nacre_ticket_name, all->kept);
    OK(nacre_ticket_data(all->kept, data, sizeof data, &len));
    OK(nacre_ticket_key(all->kept, &key));
    OK(nacre_key_equal(key, all->inside, &equal));
    EQUAL(equal, 1);
    EQUAL(nacre_key_is_private(key), 1);
    nacre_key_free(key);
    EXPECT(nacre_ticket_answer(all->kept, NACRE_ACCEPT), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_ticket_answer_port(all->kept, 22), NACRE_ERR_ARGUMENT);
    OK(nacre_ticket_answer_bytes(all->kept, signature, bare_signature(all->inside, algorithm, data, len, signature)));
    EXPECT(nacre_ticket_answer_bytes(all->kept, signature, 64), NACRE_ERR_STATE);
    nacre_ticket_free(all->kept);
    return NULL;
}
static nacre_decision sign_in(void *userdata, const nacre_key *key, const char *algorithm, const void *data, size_t len,
                              nacre_ticket *ticket)
{
    token *all = userdata;
    uint8_t signature[8192] = {0};
    size_t size = 0;
    int32_t equal = 0;
    ADD(all->asked, 1);
    OK(nacre_key_equal(key, all->inside, &equal));
    EQUAL(equal, 1);
    switch (all->how) {
    case AT_ONCE:
    case TWICE:
        size = bare_signature(all->inside, algorithm, data, len, signature);
        break;
    case OTHER_KEY:
        size = bare_signature(stranger(), NULL, data, len, signature);
        break;
    case TOO_SHORT:
        size = 63;
        break;
    case TOO_LONG:
        size = sizeof signature;
        break;
    case NOTHING:
        OK(nacre_ticket_answer_bytes(ticket, NULL, 0));
        return NACRE_REJECT;
    case REFUSE:
        return NACRE_REJECT;
    case SAY_YES:
        return NACRE_ACCEPT;
    case NEVER:
        all->kept = ticket;
        return NACRE_DEFER;
    case LATER:
        all->kept = ticket;
        CHECK(pthread_create(&all->thread, NULL, sign_by_ticket, all) == 0);
        return NACRE_DEFER;
    }
    OK(nacre_ticket_answer_bytes(ticket, signature, size));
    if (all->how == TWICE) EXPECT(nacre_ticket_answer_bytes(ticket, signature, size), NACRE_ERR_STATE);
    return NACRE_REJECT;
}
static void count(void *userdata)
{
    ADD(((token *)userdata)->destroyed, 1);
}
/* The key of a token that holds `inside`, which stays the caller's. */
static nacre_key *key_of(token *all, nacre_key *inside, manner how)
{
    nacre_signer signer = NACRE_INIT(nacre_signer);
    uint8_t blob[4096];
    size_t len = 0;
    nacre_key *key = NULL;
    memset(all, 0, sizeof *all);
    all->inside = inside, all->how = how;
    signer.userdata = all, signer.destroy = count, signer.sign = sign_in;
    OK(nacre_key_public_blob(inside, blob, sizeof blob, &len));
    OK(nacre_key_from_signer(blob, len, &signer, &key, NULL));
    CHECK(key != NULL);
    return key;
}
static void end_token(token *all, int asked)
{
    if (all->how == LATER && asked > 0) CHECK(pthread_join(all->thread, NULL) == 0);
    EVENTUALLY(COUNT(all->destroyed) > 0);
    EQUAL(COUNT(all->destroyed), 1);
    EQUAL(COUNT(all->asked), asked);
}

/* --- without a connection ------------------------------------------------------------------------------- */

static void data_is_signed(void)
{
    static const struct {
        nacre_key_kind kind;
        uint32_t bits;
    } kinds[] = {{NACRE_KEY_ED25519, 0}, {NACRE_KEY_ECDSA, 256}, {NACRE_KEY_ECDSA, 521}, {NACRE_KEY_RSA, 2048}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        nacre_key *inside = new_key(kinds[i].kind, kinds[i].bits);
        for (manner how = AT_ONCE; how <= LATER; how++) {
            token all;
            nacre_key *key = key_of(&all, inside, how);
            uint8_t signature[4096];
            size_t len = 0;
            int32_t equal = 0;
            OK(nacre_key_equal(key, inside, &equal));
            EQUAL(equal, 1);
            EQUAL(nacre_key_is_private(key), 1);
            OK(nacre_key_sign(key, NULL, "some data", 9, signature, sizeof signature, &len));
            OK(nacre_key_verify(inside, NULL, "some data", 9, signature, len));
            EXPECT(nacre_key_sign(key, "ssh-dss", "some data", 9, signature, sizeof signature, &len),
                   NACRE_ERR_ALGORITHM);
            EXPECT(nacre_key_save(key, "/nonexistent/key", NACRE_KEY_OPENSSH, NULL), NACRE_ERR_UNSUPPORTED);
            nacre_key_free(key);
            end_token(&all, 1);
        }
        nacre_key_free(inside);
    }
}
static void lies_are_told(void)
{
    for (manner how = REFUSE; how <= NOTHING; how++) {
        token all;
        nacre_key *key = key_of(&all, user_key(), how);
        uint8_t signature[4096];
        size_t len = 99;
        EXPECT(nacre_key_sign(key, NULL, "some data", 9, signature, sizeof signature, &len), NACRE_ERR_CALLBACK);
        EQUAL(len, 99);
        nacre_key_free(key);
        end_token(&all, 1);
    }
    token all;
    nacre_key *key = key_of(&all, user_key(), TWICE);
    uint8_t signature[4096];
    size_t len = 0;
    OK(nacre_key_sign(key, NULL, "some data", 9, signature, sizeof signature, &len));
    nacre_key_free(key);
    end_token(&all, 1);
}
static void bad_arguments(void)
{
    nacre_signer signer = NACRE_INIT(nacre_signer);
    token all = {0};
    uint8_t blob[4096];
    size_t len = 0;
    nacre_key *key = (nacre_key *)&all;
    nacre_error *error = NULL;
    signer.userdata = &all, signer.destroy = count;
    OK(nacre_key_public_blob(user_key(), blob, sizeof blob, &len));
    EXPECT(nacre_key_from_signer(blob, len - 1, &signer, &key, &error), NACRE_ERR_KEY_FORMAT);
    CHECK(key == NULL && error != NULL);
    nacre_error_free(error);
    EQUAL(all.destroyed, 1);
    EXPECT(nacre_key_from_signer(NULL, 0, &signer, &key, NULL), NACRE_ERR_KEY_FORMAT);
    EXPECT(nacre_key_from_signer("\0\0\0\7ssh-dss", 11, &signer, &key, NULL), NACRE_ERR_UNSUPPORTED);
    EXPECT(nacre_key_from_signer(blob, len, &signer, NULL, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_key_from_signer(blob, len, NULL, &key, NULL), NACRE_ERR_ARGUMENT);
    EQUAL(all.destroyed, 4);
    signer.size = 0;
    EXPECT(nacre_key_from_signer(blob, len, &signer, &key, NULL), NACRE_ERR_ARGUMENT);
    EQUAL(all.destroyed, 4);
    /* Without a callback it refuses. */
    signer.size = sizeof signer;
    OK(nacre_key_from_signer(blob, len, &signer, &key, NULL));
    EXPECT(nacre_key_sign(key, NULL, "x", 1, blob, sizeof blob, &len), NACRE_ERR_CALLBACK);
    nacre_key_free(key);
    EQUAL(all.destroyed, 5);
}

/* --- user keys ------------------------------------------------------------------------------------------ */

static void users_log_in(void)
{
    for (manner how = AT_ONCE; how <= LATER; how++) {
        for (uint32_t flags = 0; flags <= NACRE_AUTH_PROBE; flags++) {
            nacre_server_callbacks callbacks = accepting();
            pair both = served_pair(&callbacks);
            token all;
            nacre_key *key = key_of(&all, user_key(), how);
            start_client(both.client);
            OK(nacre_transport_auth_publickey_with(both.client, "tester", key, flags, SOON, NULL));
            EQUAL(nacre_transport_is_authenticated(both.client), 1);
            nacre_key_free(key);
            end_token(&all, 1);
            end_pair(&both);
        }
    }
}
static void users_with_a_lying_token_do_not(void)
{
    nacre_server_callbacks callbacks = accepting();
    pair both = served_pair(&callbacks);
    start_client(both.client);
    for (manner how = REFUSE; how <= NOTHING; how++) {
        token all;
        nacre_key *key = key_of(&all, user_key(), how);
        nacre_error *error = NULL;
        EXPECT(nacre_transport_auth_publickey(both.client, "tester", key, SOON, NULL), NACRE_ERR_CALLBACK);
        OK(nacre_transport_take_error(both.client, 0, &error));
        EQUAL(nacre_error_status(error), NACRE_ERR_CALLBACK);
        char text[256] = "";
        TEXT_OF(text, nacre_error_text, error);
        CHECK(strstr(text, "sign") != NULL);
        nacre_error_free(error);
        nacre_key_free(key);
        end_token(&all, 1);
    }
    /* The connection is none the worse. */
    OK(nacre_transport_auth_publickey(both.client, "tester", user_key(), SOON, NULL));
    end_pair(&both);
}
static void a_token_that_never_answers(void)
{
    nacre_server_callbacks callbacks = accepting();
    pair both = served_pair(&callbacks);
    token all;
    nacre_key *key = key_of(&all, user_key(), NEVER);
    uint8_t signature[64] = {0};
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_DECISION, 200));
    start_client(both.client);
    int64_t begun = now_ms();
    EXPECT(nacre_transport_auth_publickey(both.client, "tester", key, SOON, NULL), NACRE_ERR_TIMEOUT);
    CHECK(now_ms() - begun >= 200);
    EXPECT(nacre_ticket_answer_bytes(all.kept, signature, sizeof signature), NACRE_ERR_CLOSED);
    nacre_ticket_free(all.kept);
    /* A ticket that is given up refuses. */
    OK(nacre_transport_set_limit(both.client, NACRE_LIMIT_DECISION, 0));
    uint64_t op = 0;
    EXPECT(nacre_transport_auth_publickey(both.client, "tester", key, 0, &op), NACRE_ERR_AGAIN);
    int64_t until = now_ms() + SOON;
    while (COUNT(all.asked) < 2) {
        if (with_threads) pause_ms(1);
        else (void)nacre_engine_dispatch(both.engine, 100);
        CHECK(now_ms() < until);
    }
    pause_ms(10);
    nacre_ticket_free(all.kept);
    nacre_event event = NACRE_INIT(nacre_event);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EQUAL(event.kind, NACRE_EVENT_AUTH_RESULT);
    EQUAL(event.status, NACRE_ERR_CALLBACK);
    nacre_key_free(key);
    end_pair(&both);
    end_token(&all, 2);
}
static void questions_as_events(void)
{
    nacre_server_callbacks callbacks = accepting();
    pair both = served_pair(&callbacks);
    token all;
    nacre_key *key = key_of(&all, user_key(), AT_ONCE);
    uint64_t op = 0;
    OK(nacre_transport_set_questions(both.client, NACRE_AS_EVENTS));
    start_client(both.client);
    EXPECT(nacre_transport_auth_publickey(both.client, "tester", key, 0, &op), NACRE_ERR_AGAIN);
    nacre_event event = event_of(both.engine, both.client, NACRE_EVENT_QUESTION);
    all.kept = event.ticket;
    sign_by_ticket(&all);
    nacre_event done = NACRE_INIT(nacre_event);
    OK(nacre_transport_wait(both.client, op, SOON, &done));
    EQUAL(done.status, NACRE_OK);
    nacre_key_free(key);
    end_pair(&both);
    end_token(&all, 0);
}

/* --- host keys ------------------------------------------------------------------------------------------ */

static void host_keys_sign_elsewhere(void)
{
    for (manner how = AT_ONCE; how <= LATER; how++) {
        nacre_server_callbacks callbacks = accepting();
        pair both = new_pair();
        token all;
        nacre_key *key = key_of(&all, host_key(), how);
        OK(nacre_transport_add_host_key(both.server, key));
        nacre_key_free(key);
        start_server(both.server, &callbacks);
        expect_logged_in(both.client);
        if (how == LATER) CHECK(pthread_join(all.thread, NULL) == 0);
        OK(nacre_transport_rekey(both.client, SOON, NULL));
        EQUAL(COUNT(all.asked), 2);
        nacre_channel *near_end, *far_end;
        open_both(&both, &near_end, &far_end);
        write_text(near_end, "after the renewal");
        read_text(far_end, "after the renewal");
        nacre_channel_free(near_end);
        nacre_channel_free(far_end);
        end_pair(&both);
        end_token(&all, 2);
    }
}
static void a_host_key_that_is_replaced_is_given_up(void)
{
    pair both = new_pair();
    token all;
    nacre_key *key = key_of(&all, host_key(), AT_ONCE);
    OK(nacre_transport_add_host_key(both.server, key));
    nacre_key_free(key);
    EQUAL(all.destroyed, 0);
    OK(nacre_transport_add_host_key(both.server, host_key()));
    end_token(&all, 0);
    end_pair(&both);
}
static void a_server_whose_token_lies_ends_the_connection(void)
{
    for (manner how = NEVER; how <= NOTHING; how++) {
        nacre_server_callbacks callbacks = accepting();
        pair both = new_pair();
        token all;
        nacre_key *key = key_of(&all, host_key(), how);
        nacre_event event;
        OK(nacre_transport_add_host_key(both.server, key));
        nacre_key_free(key);
        OK(nacre_transport_set_limit(both.server, NACRE_LIMIT_DECISION, how == NEVER ? 200 : 0));
        start_server(both.server, &callbacks);
        EXPECT(log_in(both.client, SOON, NULL), NACRE_ERR_DISCONNECTED);
        event = event_of(both.server_engine, both.server, NACRE_EVENT_DISCONNECTED);
        EQUAL(event.status, how == NEVER ? NACRE_ERR_TIMEOUT : NACRE_ERR_CALLBACK);
        if (how == NEVER) nacre_ticket_free(all.kept);
        end_pair(&both);
        end_token(&all, 1);
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    (void)host_key(), (void)user_key(), (void)stranger();
    RUN(data_is_signed);
    RUN(lies_are_told);
    RUN(bad_arguments);
    RUN(users_log_in);
    RUN(users_with_a_lying_token_do_not);
    RUN(a_token_that_never_answers);
    RUN(questions_as_events);
    RUN(host_keys_sign_elsewhere);
    RUN(a_host_key_that_is_replaced_is_given_up);
    RUN(a_server_whose_token_lies_ends_the_connection);
    return 0;
}
