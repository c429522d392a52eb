/* The lists of algorithms: set, edited, read, refused; policies; what two sides make of them, and what they say when
 * they have nothing in common. */
#include "ends.h"

static const nacre_algorithm_kind kinds[] = {NACRE_ALG_KEX, NACRE_ALG_HOST_KEY,    NACRE_ALG_CIPHER,
                                             NACRE_ALG_MAC, NACRE_ALG_COMPRESSION, NACRE_ALG_PUBKEY_SIGNATURE};
#define KINDS (sizeof kinds / sizeof *kinds)
typedef char list[2048];

static nacre_engine *engine;

static void get(nacre_transport *transport, nacre_algorithm_kind kind, list out)
{
    size_t needed = 0;
    EXPECT(nacre_transport_get_algorithms(transport, kind, NULL, 0, &needed), NACRE_ERR_BUFFER);
    OK(nacre_transport_get_algorithms(transport, kind, out, sizeof(list), &needed));
    EQUAL(strlen(out) + 1, needed);
}

static void expect_list(nacre_transport *transport, nacre_algorithm_kind kind, const char *expected)
{
    list now;
    get(transport, kind, now);
    if (strcmp(now, expected) != 0) FAIL("the list of kind %d is %s, not %s", (int)kind, now, expected);
}

static void set(nacre_transport *transport, nacre_algorithm_kind kind, const char *edit)
{
    nacre_status status = nacre_transport_set_algorithms(transport, kind, edit);
    if (status != NACRE_OK) FAIL("%s of kind %d: %s", edit, (int)kind, nacre_status_name(status));
}

static int holds(const char *all, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = all; (at = strstr(at, name)) != NULL; at += len) {
        if ((at == all || at[-1] == ',') && (at[len] == ',' || at[len] == '\0')) return 1;
    }
    return 0;
}

/* The error says the name, and the list is as before. */
static void refuse(nacre_transport *transport, nacre_algorithm_kind kind, const char *edit, const char *said)
{
    nacre_error *err = NULL;
    list before;
    char text[512] = "";
    get(transport, kind, before);
    EXPECT(nacre_transport_set_algorithms(transport, kind, edit), NACRE_ERR_ALGORITHM);
    OK(nacre_transport_take_error(transport, 0, &err));
    OK(nacre_error_text(err, text, sizeof text, NULL));
    nacre_error_free(err);
    if (strstr(text, said) == NULL) FAIL("%s: \"%s\" does not say %s", edit, text, said);
    expect_list(transport, kind, before);
}

static void lists(void)
{
    pair both = new_pair(engine, engine);
    list all, before, edit, expected;
    for (size_t i = 0; i < KINDS; i++) {
        get(both.client, kinds[i], before);
        OK(nacre_algorithms_available(kinds[i], all, sizeof all, NULL));
        CHECK(strlen(all) >= strlen(before));
        for (char *rest = before, *name; (name = strtok_r(rest, ",", &rest)) != NULL;) CHECK(holds(all, name));
        get(both.client, kinds[i], before);
        /* Whatever there is can be asked for alone, and put before or behind what there was. */
        for (char *rest = all, *name; (name = strtok_r(rest, ",", &rest)) != NULL;) {
            set(both.client, kinds[i], name);
            expect_list(both.client, kinds[i], name);
            set(both.client, kinds[i], before);
            expect_list(both.client, kinds[i], before);
            snprintf(edit, sizeof edit, "+%s", name);
            set(both.client, kinds[i], edit);
            snprintf(expected, sizeof expected, "%s,%s", before, name);
            expect_list(both.client, kinds[i], holds(before, name) ? before : expected);
            snprintf(edit, sizeof edit, "^%s", name);
            set(both.client, kinds[i], edit);
            get(both.client, kinds[i], expected);
            CHECK(strncmp(expected, name, strlen(name)) == 0 && holds(expected, name));
            set(both.client, kinds[i], before);
        }
        refuse(both.client, kinds[i], "rot13", "'rot13'");
        refuse(both.client, kinds[i], "+rot13", "'rot13'");
        snprintf(edit, sizeof edit, "^%s,rot13", before);
        refuse(both.client, kinds[i], edit, "'rot13'");
        refuse(both.client, kinds[i], "-no such", "'no such'");
        if (kinds[i] != NACRE_ALG_MAC) {
            refuse(both.client, kinds[i], "", "no ");
            snprintf(edit, sizeof edit, "-%s", before);
            refuse(both.client, kinds[i], edit, "no ");
        }
        /* Lists are of one transport. */
        expect_list(both.server, kinds[i], before);
    }
    /* AEAD ciphers do without a MAC. */
    set(both.client, NACRE_ALG_MAC, "");
    expect_list(both.client, NACRE_ALG_MAC, "");
    set(both.client, NACRE_ALG_CIPHER, "aes128-ctr,aes256-ctr,aes128-ctr");
    expect_list(both.client, NACRE_ALG_CIPHER, "aes128-ctr,aes256-ctr");
    set(both.client, NACRE_ALG_CIPHER, "+aes192-ctr,aes128-ctr");
    expect_list(both.client, NACRE_ALG_CIPHER, "aes128-ctr,aes256-ctr,aes192-ctr");
    set(both.client, NACRE_ALG_CIPHER, "^aes192-ctr,aes256-ctr");
    expect_list(both.client, NACRE_ALG_CIPHER, "aes192-ctr,aes256-ctr,aes128-ctr");
    set(both.client, NACRE_ALG_CIPHER, "-aes256-ctr,aes192-ctr,aes128-gcm@openssh.com");
    expect_list(both.client, NACRE_ALG_CIPHER, "aes128-ctr");
    free_pair(both);
}

static void policies(void)
{
    static const nacre_policy unknown[] = {-1, 2, INT32_MIN, INT32_MAX};
    static const char *const outside[] = {
        "curve25519-sha256", "ecdsa-sha2-nistp256", "", "hmac-sha2-256", "", "ecdsa-sha2-nistp521"};
    pair both = new_pair(engine, engine);
    nacre_server_callbacks plain = plain_server();
    nacre_policy policy = 77;
    list before[KINDS], now, edit;
    OK(nacre_transport_policy(both.client, &policy));
    EQUAL(policy, NACRE_POLICY_DEFAULT);
    for (size_t i = 0; i < KINDS; i++) get(both.client, kinds[i], before[i]);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        EXPECT(nacre_transport_set_policy(both.client, unknown[i]), NACRE_ERR_ARGUMENT);
    }
    OK(nacre_transport_policy(both.client, &policy));
    EQUAL(policy, NACRE_POLICY_DEFAULT);
    OK(nacre_transport_set_policy(both.client, NACRE_POLICY_STRICT));
    OK(nacre_transport_policy(both.client, &policy));
    EQUAL(policy, NACRE_POLICY_STRICT);
    for (size_t i = 0; i < KINDS; i++) {
        get(both.client, kinds[i], now);
        for (char *rest = now, *name; (name = strtok_r(rest, ",", &rest)) != NULL;) CHECK(holds(before[i], name));
        get(both.client, kinds[i], now);
        if (*outside[i] == '\0') continue;
        CHECK(holds(before[i], outside[i]) && !holds(now, outside[i]));
        refuse(both.client, kinds[i], outside[i], outside[i]);
        snprintf(edit, sizeof edit, "+%s", outside[i]);
        refuse(both.client, kinds[i], edit, "strict policy");
        set(both.client, kinds[i], now);
    }
    EXPECT(nacre_transport_policy(both.client, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_policy(NULL, &policy), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_set_policy(NULL, NACRE_POLICY_STRICT), NACRE_ERR_ARGUMENT);
    /* And back: nothing of it is left. */
    OK(nacre_transport_set_policy(both.client, NACRE_POLICY_DEFAULT));
    for (size_t i = 0; i < KINDS; i++) expect_list(both.client, kinds[i], before[i]);

    OK(nacre_transport_set_policy(both.client, NACRE_POLICY_STRICT));
    OK(nacre_transport_set_policy(both.server, NACRE_POLICY_STRICT));
    start_server(both.server, &plain);
    EXPECT(nacre_transport_set_policy(both.server, NACRE_POLICY_DEFAULT), NACRE_ERR_STATE);
    OK(log_in(both.client, SOON, NULL));
    EXPECT(nacre_transport_set_policy(both.client, NACRE_POLICY_DEFAULT), NACRE_ERR_STATE);
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    OK(nacre_transport_negotiated(both.client, &info));
    CHECK(strcmp(info.kex, "mlkem768x25519-sha256") == 0 && info.strict_kex == 1);
    CHECK(strcmp(info.host_key, "ssh-ed25519") == 0);
    free_pair(both);
}

static nacre_error *error_of(nacre_transport *transport)
{
    nacre_error *err = NULL;
    int64_t until = now_ms() + SOON;
    while (nacre_transport_take_error(transport, 0, &err) != NACRE_OK) {
        if (now_ms() > until) FAIL("no error came");
        if (!with_threads) (void)nacre_engine_dispatch(engine, 10);
        pause_ms(1);
    }
    return err;
}

static void expect_failure(nacre_transport *transport, const char *category, const char *local, const char *remote)
{
    nacre_error *err = error_of(transport);
    list text, own, theirs;
    char what[128];
    EXPECT(nacre_error_status(err), NACRE_ERR_NEGOTIATION);
    OK(nacre_error_category(err, what, sizeof what, NULL));
    OK(nacre_error_local_list(err, own, sizeof own, NULL));
    OK(nacre_error_remote_list(err, theirs, sizeof theirs, NULL));
    OK(nacre_error_text(err, text, sizeof text, NULL));
    if (strcmp(what, category) != 0) FAIL("it failed for %s, not for %s", what, category);
    /* Exchanges come with the markers of the peer behind them. */
    if (strcmp(own, local) != 0) FAIL("%s: this side offers %s, not %s", category, own, local);
    if (strncmp(theirs, remote, strlen(remote)) != 0) FAIL("%s: the peer offers %s, not %s", category, theirs, remote);
    CHECK(strstr(text, category) && strstr(text, local) && strstr(text, remote));
    nacre_error_free(err);
}

/* One side has this, the other that. */
static void differ(nacre_algorithm_kind kind, const char *client, const char *server, const char *category)
{
    nacre_server_callbacks plain = plain_server();
    pair both = new_pair(engine, engine);
    if (kind == NACRE_ALG_MAC) {
        set(both.client, NACRE_ALG_CIPHER, "aes128-ctr");
        set(both.server, NACRE_ALG_CIPHER, "aes128-ctr");
    }
    set(both.client, kind, client);
    set(both.server, kind, server);
    start_server(both.server, &plain);
    EXPECT(log_in(both.client, SOON, NULL), NACRE_ERR_NEGOTIATION);
    expect_failure(both.client, category, client, server);
    expect_failure(both.server, category, server, client);
    free_pair(both);
}

static void failures(void)
{
    list all;
    differ(NACRE_ALG_KEX, "ecdh-sha2-nistp256,ecdh-sha2-nistp384", "mlkem768x25519-sha256", "key exchange method");
    differ(NACRE_ALG_HOST_KEY, "rsa-sha2-512,rsa-sha2-256", "ssh-ed25519", "host key algorithm");
    differ(NACRE_ALG_CIPHER, "aes128-ctr", "aes256-ctr,aes192-ctr", "cipher from client to server");
    differ(NACRE_ALG_MAC, "hmac-sha2-256", "hmac-sha2-512", "MAC from client to server");
    OK(nacre_algorithms_available(NACRE_ALG_COMPRESSION, all, sizeof all, NULL));
    if (holds(all, "zlib@openssh.com")) {
        differ(NACRE_ALG_COMPRESSION, "zlib@openssh.com", "none", "compression from client to server");
    }
}

/* A client of the strict policy and a server that has none of its exchanges. */
static void strict_meets_old(void)
{
    nacre_server_callbacks plain = plain_server();
    pair both = new_pair(engine, engine);
    list offered;
    OK(nacre_transport_set_policy(both.client, NACRE_POLICY_STRICT));
    get(both.client, NACRE_ALG_KEX, offered);
    set(both.server, NACRE_ALG_KEX, "curve25519-sha256,ecdh-sha2-nistp256");
    start_server(both.server, &plain);
    EXPECT(log_in(both.client, SOON, NULL), NACRE_ERR_NEGOTIATION);
    expect_failure(both.client, "key exchange method", offered, "curve25519-sha256,ecdh-sha2-nistp256");
    free_pair(both);
}

/* What a server offers of keys shows what a client asks for first. */
static void host_key_order(void)
{
    static nacre_key *rsa, *ecdsa;
    OK(nacre_key_generate(NACRE_KEY_RSA, 2048, NULL, &rsa, NULL));
    OK(nacre_key_generate(NACRE_KEY_ECDSA, 256, NULL, &ecdsa, NULL));
    for (int way = 0; way < 3; way++) {
        nacre_server_callbacks plain = plain_server();
        const nacre_key *known[] = {rsa};
        nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
        nacre_error *err = NULL;
        nacre_verdict verdict = 0;
        pair both = new_pair(engine, engine);
        OK(nacre_transport_add_host_key(both.server, ecdsa));
        OK(nacre_transport_add_host_key(both.server, rsa));
        set(both.server, NACRE_ALG_HOST_KEY, "-ssh-ed25519");
        start_server(both.server, &plain);
        check.keys = known;
        check.key_count = 1;
        if (way == 1) check.flags = NACRE_HOST_KEY_FIXED_ORDER;
        if (way == 2) set(both.client, NACRE_ALG_HOST_KEY, "ecdsa-sha2-nistp256,rsa-sha2-512");
        OK(nacre_transport_set_host_key_check(both.client, &check));
        if (way == 0) {
            nacre_negotiated info = NACRE_INIT(nacre_negotiated);
            OK(nacre_transport_start_client(both.client, SOON, NULL));
            OK(nacre_transport_negotiated(both.client, &info));
            CHECK(strcmp(info.host_key, "rsa-sha2-512") == 0);
        } else {
            EXPECT(nacre_transport_start_client(both.client, SOON, NULL), NACRE_ERR_HOST_KEY);
            OK(nacre_transport_take_error(both.client, 0, &err));
            OK(nacre_error_verdict(err, &verdict));
            EQUAL(verdict, NACRE_VERDICT_CHANGED);
            nacre_error_free(err);
        }
        free_pair(both);
    }
    nacre_key_free(rsa);
    nacre_key_free(ecdsa);
}

/* A server asked for nothing offers no exchange over finite fields; one that is asked does. */
static void costly_exchanges(void)
{
    static const char name[] = "diffie-hellman-group14-sha256";
    nacre_server_callbacks plain = plain_server();
    list offered;
    if (!nacre_has(name)) return;
    for (int named = 0; named < 2; named++) {
        pair both = new_pair(engine, engine);
        if (named) set(both.server, NACRE_ALG_KEX, "+diffie-hellman-group14-sha256");
        start_server(both.server, &plain);
        get(both.server, NACRE_ALG_KEX, offered);
        EQUAL(holds(offered, name), named);
        get(both.client, NACRE_ALG_KEX, offered);
        CHECK(holds(offered, name));
        set(both.client, NACRE_ALG_KEX, name);
        EXPECT(log_in(both.client, SOON, NULL), named ? NACRE_OK : NACRE_ERR_NEGOTIATION);
        free_pair(both);
    }
}

/* What the server was asked about a key: the signature algorithm. */
static nacre_decision take_key(void *userdata, nacre_transport *transport, const char *user, const nacre_key *key,
                               int32_t verified, nacre_ticket *ticket)
{
    (void)transport, (void)user, (void)key;
    EQUAL(verified, 1);
    OK(nacre_ticket_name(ticket, userdata, sizeof(list), NULL));
    return NACRE_ACCEPT;
}

/* A server tells which signatures it takes (RFC 8308), and an RSA key makes the first of the client's that it told. */
static void users_signatures(void)
{
    static const struct {
        const char *client, *server, *used;
    } rows[] = {
        {"rsa-sha2-512,rsa-sha2-256", "ssh-ed25519,rsa-sha2-256,rsa-sha2-512", "rsa-sha2-512"},
        {"rsa-sha2-256,rsa-sha2-512", "rsa-sha2-512,rsa-sha2-256", "rsa-sha2-256"},
        {"rsa-sha2-512,rsa-sha2-256", "rsa-sha2-256", "rsa-sha2-256"},
        {"rsa-sha2-512,rsa-sha2-256", "ssh-ed25519,ecdsa-sha2-nistp256", NULL},
        {"+ssh-rsa", "-rsa-sha2-512,rsa-sha2-256", NULL},
        {"+ssh-rsa", "ssh-ed25519,ssh-rsa", "ssh-rsa"},
    };
    nacre_key *rsa = NULL;
    OK(nacre_key_generate(NACRE_KEY_RSA, 2048, NULL, &rsa, NULL));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nacre_server_callbacks callbacks = plain_server();
        nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
        nacre_error *err = NULL;
        list used = "", ours, theirs, text;
        pair both = new_pair(engine, engine);
        callbacks.auth_publickey = take_key;
        callbacks.userdata = used;
        set(both.client, NACRE_ALG_PUBKEY_SIGNATURE, rows[i].client);
        set(both.server, NACRE_ALG_PUBKEY_SIGNATURE, rows[i].server);
        get(both.client, NACRE_ALG_PUBKEY_SIGNATURE, ours);
        get(both.server, NACRE_ALG_PUBKEY_SIGNATURE, theirs);
        start_server(both.server, &callbacks);
        check.flags = NACRE_HOST_KEY_ANY;
        OK(nacre_transport_set_host_key_check(both.client, &check));
        OK(nacre_transport_start_client(both.client, SOON, NULL));
        nacre_status status = nacre_transport_auth_publickey(both.client, "tester", rsa, SOON, NULL);
        if (rows[i].used != NULL) {
            OK(status);
            if (strcmp(used, rows[i].used) != 0) FAIL("row %zu: %s was used", i, used);
        } else {
            EXPECT(status, NACRE_ERR_AUTH_FAILED);
            OK(nacre_transport_take_error(both.client, 0, &err));
            OK(nacre_error_text(err, text, sizeof text, NULL));
            if (strstr(text, ours) == NULL || strstr(text, theirs) == NULL) FAIL("row %zu: %s", i, text);
            nacre_error_free(err);
            CHECK(*used == '\0');
        }
        free_pair(both);
    }
    nacre_key_free(rsa);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    engine = new_engine();
    RUN(lists);
    RUN(policies);
    RUN(failures);
    RUN(strict_meets_old);
    RUN(host_key_order);
    RUN(costly_exchanges);
    RUN(users_signatures);
    end_engine(engine);
    return 0;
}
