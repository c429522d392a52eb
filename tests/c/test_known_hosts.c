/* Known hosts: what is known of a key, lines added, removed, hashed and written; and the check of a server's key with them,
 * asked by callbacks and by events. */
#include "ends.h"

#include <limits.h>

static nacre_engine *engine;
static char folder[] = "/tmp/nacre-hosts-XXXXXX";

/* Until the next call. */
static const char *path_of(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const char *mode, const char *content)
{
    FILE *file = fopen(path, mode);
    if (file == NULL || fputs(content, file) == EOF || fclose(file) != 0) FAIL("%s: %s", path, strerror(errno));
}

static const char *file_content(const char *path)
{
    static char content[32768];
    FILE *file = fopen(path, "r");
    if (file == NULL) FAIL("%s: %s", path, strerror(errno));
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    return content;
}

static void expect_file(const char *path, const char *expected)
{
    const char *content = file_content(path);
    if (strcmp(content, expected) != 0) FAIL("%s holds \"%s\", not \"%s\"", path, content, expected);
}

static nacre_key *new_key(nacre_key_kind kind)
{
    nacre_key *key = NULL;
    OK(nacre_key_generate(kind, 0, NULL, &key, NULL));
    return key;
}

/* "names type base64\n" */
static const char *line_of(const char *before, const nacre_key *key)
{
    static char lines[8][2048];
    static int turn;
    char shown[1536] = "";
    nacre_key *bare = NULL;
    unsigned char blob[1024];
    size_t len = 0;
    turn = (turn + 1) % 8;
    /* Without the comment. */
    OK(nacre_key_public_blob(key, blob, sizeof blob, &len));
    OK(nacre_key_from_blob(blob, len, &bare, NULL));
    OK(nacre_key_public_line(bare, shown, sizeof shown, NULL));
    nacre_key_free(bare);
    snprintf(lines[turn], sizeof lines[turn], "%s %s\n", before, shown);
    return lines[turn];
}

static nacre_known_hosts *load(const char *text)
{
    nacre_known_hosts *hosts = NULL;
    OK(nacre_known_hosts_load_memory(text, strlen(text), &hosts, NULL));
    CHECK(hosts != NULL);
    return hosts;
}

static void expect_text(const nacre_known_hosts *hosts, const char *expected)
{
    char text[32768];
    size_t needed = 0;
    OK(nacre_known_hosts_text(hosts, text, sizeof text - 1, &needed));
    text[needed] = '\0';
    if (strcmp(text, expected) != 0) FAIL("the list is \"%s\", not \"%s\"", text, expected);
    if (needed > 0) EXPECT(nacre_known_hosts_text(hosts, text, needed - 1, NULL), NACRE_ERR_BUFFER);
}

static void expect_known(const nacre_known_hosts *hosts, const char *host, uint32_t port, const nacre_key *key,
                         nacre_known_host expected, size_t expected_line)
{
    nacre_known_host result = 0;
    size_t line = 77;
    OK(nacre_known_hosts_check(hosts, host, port, key, &result, &line));
    if (result != expected || line != expected_line)
        FAIL("%s port %u: %d of line %zu, not %d of line %zu", host, port, result, line, expected, expected_line);
}

/* --- the list ----------------------------------------------------------------------------------------------------------- */

static void each_state(void)
{
    nacre_key *right = new_key(NACRE_KEY_ED25519), *other = new_key(NACRE_KEY_ED25519),
              *stolen = new_key(NACRE_KEY_ED25519), *ecdsa = new_key(NACRE_KEY_ECDSA);
    char text[8192];
    snprintf(text, sizeof text, "# ours\n\n%s%s%s%sa line of the future\n", line_of("a.example,!x.b.example,*.b.example", right),
             line_of("@revoked *", stolen), line_of("[a.example]:2222", ecdsa), line_of("@cert-authority *.example", other));
    nacre_known_hosts *hosts = load(text);
    expect_known(hosts, "a.example", 22, right, NACRE_KNOWN_HOST_MATCH, 3);
    expect_known(hosts, "A.EXAMPLE", 0, right, NACRE_KNOWN_HOST_MATCH, 3);
    expect_known(hosts, "y.b.example", 22, right, NACRE_KNOWN_HOST_MATCH, 3);
    expect_known(hosts, "x.b.example", 22, right, NACRE_KNOWN_HOST_UNKNOWN, 0);
    expect_known(hosts, "a.example", 22, other, NACRE_KNOWN_HOST_CHANGED, 3);
    expect_known(hosts, "a.example", 22, ecdsa, NACRE_KNOWN_HOST_OTHER_TYPE, 3);
    expect_known(hosts, "a.example", 2222, ecdsa, NACRE_KNOWN_HOST_MATCH, 5);
    expect_known(hosts, "a.example", 2222, right, NACRE_KNOWN_HOST_OTHER_TYPE, 5);
    expect_known(hosts, "a.example", 2223, right, NACRE_KNOWN_HOST_MATCH, 3);
    expect_known(hosts, "a.example", 2223, other, NACRE_KNOWN_HOST_UNKNOWN, 0);
    expect_known(hosts, "c.example", 22, other, NACRE_KNOWN_HOST_UNKNOWN, 0);
    expect_known(hosts, "a.example", 22, stolen, NACRE_KNOWN_HOST_REVOKED, 4);
    expect_known(hosts, "nowhere", 4444, stolen, NACRE_KNOWN_HOST_REVOKED, 4);
    expect_text(hosts, text);

    struct {
        nacre_known_hosts_marker marker;
        const nacre_key *key;
        size_t line;
    } listed[] = {{NACRE_KNOWN_HOSTS_KEY, right, 3}, {NACRE_KNOWN_HOSTS_CERT_AUTHORITY, other, 6}, {NACRE_KNOWN_HOSTS_REVOKED, stolen, 4}};
    for (int i = 0; i < 3; i++) {
        nacre_key *key = NULL;
        int32_t equal = 0;
        size_t line = 0;
        OK(nacre_known_hosts_key(hosts, "a.example", 22, listed[i].marker, 0, &key, &line));
        OK(nacre_key_equal(key, listed[i].key, &equal));
        EQUAL(equal, 1);
        EQUAL(line, listed[i].line);
        nacre_key_free(key);
        EXPECT(nacre_known_hosts_key(hosts, "a.example", 22, listed[i].marker, 1, &key, &line), NACRE_ERR_NOT_FOUND);
        CHECK(key == NULL && line == 0);
    }
    nacre_error *err = NULL;
    uint32_t line = 0;
    OK(nacre_known_hosts_problem(hosts, 0, &err));
    EXPECT(nacre_error_status(err), NACRE_ERR_KEY_FORMAT);
    OK(nacre_error_line(err, &line));
    EQUAL(line, 7);
    nacre_error_free(err);
    EXPECT(nacre_known_hosts_problem(hosts, 1, &err), NACRE_ERR_NOT_FOUND);
    CHECK(err == NULL);

    nacre_known_host result = 0;
    EXPECT(nacre_known_hosts_check(hosts, "a", 65536, right, &result, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_known_hosts_check(hosts, NULL, 22, right, &result, NULL), NACRE_ERR_ARGUMENT);
    OK(nacre_known_hosts_ref(hosts));
    nacre_known_hosts_free(hosts);
    expect_text(hosts, text);
    nacre_known_hosts_free(hosts);
    nacre_key_free(right), nacre_key_free(other), nacre_key_free(stolen), nacre_key_free(ecdsa);
}

static void added_removed_hashed(void)
{
    nacre_key *one = new_key(NACRE_KEY_ED25519), *two = new_key(NACRE_KEY_ED25519);
    nacre_known_hosts *hosts = NULL;
    char expected[8192];
    size_t count = 77;
    OK(nacre_known_hosts_new(&hosts, NULL));
    expect_text(hosts, "");
    OK(nacre_known_hosts_add(hosts, "A.example", 22, one, NACRE_KNOWN_HOSTS_KEY, 0, NULL));
    OK(nacre_known_hosts_add(hosts, "a.example", 22, one, NACRE_KNOWN_HOSTS_KEY, 0, "said already"));
    OK(nacre_known_hosts_add(hosts, "a.example", 2222, two, NACRE_KNOWN_HOSTS_KEY, 0, NULL));
    OK(nacre_known_hosts_add(hosts, "*.example,!b.example", 22, two, NACRE_KNOWN_HOSTS_CERT_AUTHORITY, 0, NULL));
    OK(nacre_known_hosts_add(hosts, "*", 22, two, NACRE_KNOWN_HOSTS_REVOKED, 0, NULL));
    snprintf(expected, sizeof expected, "%s%s%s%s", line_of("a.example", one), line_of("[a.example]:2222", two),
             line_of("@cert-authority *.example,!b.example", two), line_of("@revoked *", two));
    expect_text(hosts, expected);
    expect_known(hosts, "a.example", 2222, two, NACRE_KNOWN_HOST_REVOKED, 4);
    EXPECT(nacre_known_hosts_add(hosts, "a b", 22, one, NACRE_KNOWN_HOSTS_KEY, 0, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_known_hosts_add(hosts, "*", 22, one, NACRE_KNOWN_HOSTS_KEY, 0, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_known_hosts_add(hosts, "a\nb", 22, one, NACRE_KNOWN_HOSTS_KEY, 0, NULL), NACRE_ERR_ARGUMENT);

    OK(nacre_known_hosts_remove(hosts, "a.example", 22, two, &count));
    EQUAL(count, 0);
    OK(nacre_known_hosts_remove(hosts, "a.example", 2222, NULL, &count));
    EQUAL(count, 1);
    OK(nacre_known_hosts_remove(hosts, "nowhere", 22, NULL, NULL));
    OK(nacre_known_hosts_hash(hosts, &count));
    EQUAL(count, 1);
    char text[8192];
    size_t len = 0;
    OK(nacre_known_hosts_text(hosts, text, sizeof text - 1, &len));
    text[len] = '\0';
    CHECK(strncmp(text, "|1|", 3) == 0 && strstr(text, "a.example ") == NULL);
    expect_known(hosts, "a.example", 22, one, NACRE_KNOWN_HOST_MATCH, 1);
    OK(nacre_known_hosts_add(hosts, "hidden", 22, one, NACRE_KNOWN_HOSTS_KEY, NACRE_KNOWN_HOSTS_HASHED, "a comment"));
    expect_known(hosts, "hidden", 22, one, NACRE_KNOWN_HOST_MATCH, 4);
    OK(nacre_known_hosts_text(hosts, text, sizeof text - 1, &len));
    text[len] = '\0';
    CHECK(strstr(text, "hidden") == NULL && strstr(text, " a comment\n") != NULL);
    nacre_known_hosts_free(hosts);
    nacre_key_free(one), nacre_key_free(two);
}

static void files(void)
{
    nacre_key *one = new_key(NACRE_KEY_ED25519), *two = new_key(NACRE_KEY_ED25519);
    nacre_known_hosts *hosts = NULL, *missing = NULL;
    nacre_error *err = NULL;
    struct stat about;
    char expected[8192], path[PATH_MAX], link[PATH_MAX];
    snprintf(path, sizeof path, "%s", path_of("known_hosts"));
    EXPECT(nacre_known_hosts_load_file(path, 0, &missing, &err), NACRE_ERR_NOT_FOUND);
    CHECK(missing == NULL && err != NULL);
    nacre_error_free(err);
    OK(nacre_known_hosts_load_file(path, NACRE_KNOWN_HOSTS_MAY_BE_MISSING, &hosts, NULL));
    OK(nacre_known_hosts_add(hosts, "a", 22, one, NACRE_KNOWN_HOSTS_KEY, 0, NULL));
    CHECK(stat(path, &about) != 0);
    umask(0);
    OK(nacre_known_hosts_save(hosts, NULL));
    OK(stat(path, &about) == 0 ? NACRE_OK : NACRE_ERR_IO);
    EQUAL(about.st_mode & 0777, 0600);
    expect_file(path, line_of("a", one));

    /* What ssh adds meanwhile is kept and known. */
    write_file(path, "a", line_of("b", two));
    expect_known(hosts, "b", 22, two, NACRE_KNOWN_HOST_UNKNOWN, 0);
    OK(nacre_known_hosts_remove(hosts, "a", 22, NULL, NULL));
    OK(nacre_known_hosts_save(hosts, NULL));
    expect_file(path, line_of("b", two));
    expect_known(hosts, "b", 22, two, NACRE_KNOWN_HOST_MATCH, 1);

    /* What was changed in another way is not written over, but can be written elsewhere. */
    write_file(path, "w", "# emptied\n");
    EXPECT(nacre_known_hosts_save(hosts, NULL), NACRE_ERR_STATE);
    expect_file(path, "# emptied\n");
    OK(nacre_known_hosts_save(hosts, path_of("elsewhere")));
    expect_file(path_of("elsewhere"), line_of("b", two));
    nacre_known_hosts_free(hosts);

    /* Every byte stays: comments, blank lines, an end without an end of line. */
    snprintf(expected, sizeof expected, "\t# first\r\n\nno line of known hosts\n%s \t \n@future x y z", line_of("  a", one));
    write_file(path, "w", expected);
    chmod(path, 0644);
    snprintf(link, sizeof link, "%s", path_of("link"));
    if (symlink("known_hosts", link) != 0) FAIL("symlink: %s", strerror(errno));
    OK(nacre_known_hosts_load_file(link, 0, &hosts, NULL));
    OK(nacre_known_hosts_save(hosts, NULL));
    expect_file(path, expected);
    CHECK(lstat(link, &about) == 0 && S_ISLNK(about.st_mode));
    CHECK(stat(path, &about) == 0);
    EQUAL(about.st_mode & 0777, 0600);
    OK(nacre_known_hosts_add(hosts, "z", 22, two, NACRE_KNOWN_HOSTS_KEY, 0, NULL));
    OK(nacre_known_hosts_save(hosts, NULL));
    strcat(expected, "\n");
    strcat(expected, line_of("z", two));
    expect_file(path, expected);
    EQUAL(entries(folder), 3);
    EXPECT(nacre_known_hosts_save(hosts, path_of("no such folder/file")), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_known_hosts_save(hosts, folder), NACRE_ERR_IO);
    EQUAL(entries(folder), 3);
    nacre_known_hosts_free(hosts);

    hosts = load("");
    EXPECT(nacre_known_hosts_save(hosts, NULL), NACRE_ERR_ARGUMENT);
    nacre_known_hosts_free(hosts);
    nacre_key_free(one), nacre_key_free(two);
    unlink(path), unlink(link), unlink(path_of("elsewhere"));
}

static void order_of_algorithms(void)
{
    char usual[2048] = "", order[2048] = "";
    nacre_key *ecdsa = new_key(NACRE_KEY_ECDSA), *ed25519 = new_key(NACRE_KEY_ED25519);
    nacre_known_hosts *hosts = load("");
    OK(nacre_known_hosts_algorithms(hosts, "a", 22, NULL, usual, sizeof usual, NULL));
    CHECK(strncmp(usual, "ecdsa", 5) != 0);
    OK(nacre_known_hosts_add(hosts, "a", 22, ecdsa, NACRE_KNOWN_HOSTS_KEY, 0, NULL));
    OK(nacre_known_hosts_algorithms(hosts, "a", 22, NULL, order, sizeof order, NULL));
    EQUAL(strlen(order), strlen(usual));
    CHECK(strncmp(order, "ecdsa-sha2-nistp256,", 20) == 0);
    OK(nacre_known_hosts_algorithms(hosts, "a", 2222, NULL, order, sizeof order, NULL));
    CHECK(strncmp(order, "ecdsa-sha2-nistp256,", 20) == 0);
    OK(nacre_known_hosts_algorithms(hosts, "b", 22, NULL, order, sizeof order, NULL));
    CHECK(strcmp(order, usual) == 0);
    OK(nacre_known_hosts_algorithms(hosts, "a", 22, "rsa-sha2-512,ecdsa-sha2-nistp256", order, sizeof order, NULL));
    CHECK(strcmp(order, "ecdsa-sha2-nistp256,rsa-sha2-512") == 0);
    EXPECT(nacre_known_hosts_algorithms(hosts, "a", 22, "rot13", order, sizeof order, NULL), NACRE_ERR_ALGORITHM);
    /* The first of all fits: nothing is given away. */
    OK(nacre_known_hosts_add(hosts, "a", 22, ed25519, NACRE_KNOWN_HOSTS_KEY, 0, NULL));
    OK(nacre_known_hosts_algorithms(hosts, "a", 22, NULL, order, sizeof order, NULL));
    CHECK(strcmp(order, usual) == 0);
    nacre_known_hosts_free(hosts);
    nacre_key_free(ecdsa), nacre_key_free(ed25519);
}

/* CVE-2026-0967: 256 bytes of pattern against 10 KiB of name. */
static void no_pattern_takes_long(void)
{
    enum { NAME = 10 * 1024, PATTERN = 256 };
    static char name[NAME + 1], names[PATTERN + 1];
    nacre_key *key = new_key(NACRE_KEY_ED25519);
    memset(name, 'a', NAME);
    for (int shape = 0; shape < 3; shape++) {
        for (int i = 0; i < PATTERN; i++) names[i] = shape == 0 ? "*a"[i % 2] : shape == 1 ? "*a?"[i % 3] : i ? 'a' : '*';
        names[PATTERN - 1] = 'b';
        nacre_known_hosts *hosts = load(line_of(names, key));
        struct timespec from, to;
        long long quickest = LLONG_MAX;
        for (int i = 0; i < 20; i++) {
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
            expect_known(hosts, name, 22, key, NACRE_KNOWN_HOST_UNKNOWN, 0);
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
            long long took = (to.tv_sec - from.tv_sec) * 1000000000ll + (to.tv_nsec - from.tv_nsec);
            if (took < quickest) quickest = took;
        }
        if (!is_short_run() && quickest > 1000000) FAIL("%s took %lld ns", names, quickest);
        nacre_known_hosts_free(hosts);
    }
    nacre_key_free(key);
}

/* --- the check of a server's key ----------------------------------------------------------------------------------------- */

static int asked, destroyed;
static nacre_verdict verdict_asked;
static nacre_decision answer;
static nacre_ticket *kept;

static nacre_decision ask(void *userdata, nacre_transport *transport, const nacre_key *key, nacre_verdict verdict,
                          nacre_ticket *ticket)
{
    int32_t equal = 0;
    (void)userdata, (void)transport;
    OK(nacre_key_equal(key, host_key(), &equal));
    EQUAL(equal, 1);
    verdict_asked = verdict;
    if (answer == NACRE_DEFER) __atomic_store_n(&kept, ticket, __ATOMIC_RELEASE);
    __atomic_add_fetch(&asked, 1, __ATOMIC_ACQ_REL);
    return answer;
}
static void destroy(void *userdata)
{
    (void)userdata;
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_ACQ_REL);
}

typedef enum { BY_CALLBACK, LATER, BY_EVENT, WITHOUT_ASKING } manner;

static nacre_status connect_with(nacre_known_hosts *hosts, uint32_t flags, manner how, nacre_decision decision,
                                 nacre_verdict *verdict)
{
    nacre_server_callbacks callbacks = plain_server();
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    pair both = new_pair(engine, engine);
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    start_server(both.server, &callbacks);
    asked = destroyed = 0, verdict_asked = 0, kept = NULL;
    answer = how == LATER ? NACRE_DEFER : decision;
    check.destroy = destroy;
    check.known_hosts = hosts;
    check.host = "Server.example";
    check.port = 2200;
    check.flags = flags | (how == BY_EVENT ? NACRE_HOST_KEY_ASK : 0);
    check.ask = how == BY_CALLBACK || how == LATER ? ask : NULL;
    options.host_key_check = &check;
    options.user = "tester";
    options.password = "secret";
    if (how == BY_EVENT) OK(nacre_transport_set_questions(both.client, NACRE_AS_EVENTS));
    nacre_status status = nacre_transport_connect(both.client, &options, how == LATER || how == BY_EVENT ? 0 : SOON, &op);
    if (how == LATER || how == BY_EVENT) {
        EXPECT(status, NACRE_ERR_AGAIN);
        int64_t until = now_ms() + SOON;
        for (;;) {
            status = nacre_transport_next_event(both.client, &event);
            if (status == NACRE_OK && event.kind == NACRE_EVENT_QUESTION) {
                nacre_question question = 0;
                OK(nacre_ticket_kind(event.ticket, &question));
                EQUAL(question, NACRE_QUESTION_HOST_KEY);
                OK(nacre_ticket_verdict(event.ticket, &verdict_asked));
                asked++;
                OK(nacre_ticket_answer(event.ticket, decision));
                EXPECT(nacre_ticket_answer(event.ticket, decision), NACRE_ERR_STATE);
                nacre_ticket_free(event.ticket);
            }
            nacre_ticket *ticket = __atomic_exchange_n(&kept, NULL, __ATOMIC_ACQ_REL);
            if (ticket != NULL) {
                OK(nacre_ticket_answer(ticket, decision));
                nacre_ticket_free(ticket);
            }
            if (status == NACRE_OK && event.op == op && event.kind == NACRE_EVENT_AUTH_RESULT) break;
            if (now_ms() > until) FAIL("the connection never came to an end");
            if (status == NACRE_ERR_AGAIN && !with_threads) nacre_engine_dispatch(engine, 1);
            if (status == NACRE_ERR_AGAIN && with_threads) pause_ms(1);
        }
        status = event.status;
    }
    *verdict = 0;
    if (status == NACRE_ERR_HOST_KEY) {
        nacre_error *err = NULL;
        OK(nacre_transport_take_error(both.client, 0, &err));
        OK(nacre_error_verdict(err, verdict));
        nacre_error_free(err);
    } else {
        EQUAL(nacre_transport_is_authenticated(both.client), status == NACRE_OK);
    }
    free_pair(both);
    if (!with_threads) EVENTUALLY((nacre_engine_dispatch(engine, 0), destroyed == 1));
    EVENTUALLY(__atomic_load_n(&destroyed, __ATOMIC_ACQUIRE) == 1);
    return status;
}

static void unknown_hosts(void)
{
    nacre_verdict verdict = 0;
    nacre_error *err = NULL;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", path_of("hosts"));
    for (manner how = BY_CALLBACK; how <= BY_EVENT; how++) {
        nacre_known_hosts *hosts = NULL;
        write_file(path, "w", "# no end of line");
        OK(nacre_known_hosts_load_file(path, 0, &hosts, NULL));
        EXPECT(connect_with(hosts, NACRE_HOST_KEY_ADD, how, NACRE_REJECT, &verdict), NACRE_ERR_HOST_KEY);
        EQUAL(verdict, NACRE_VERDICT_REFUSED);
        EQUAL(verdict_asked, NACRE_VERDICT_UNKNOWN);
        expect_file(path, "# no end of line");
        /* Accepted for once. */
        OK(connect_with(hosts, 0, how, NACRE_ACCEPT, &verdict));
        EQUAL(asked, 1);
        expect_file(path, "# no end of line");
        /* Accepted for ever. */
        OK(connect_with(hosts, NACRE_HOST_KEY_ADD, how, NACRE_ACCEPT, &verdict));
        EQUAL(asked, 1);
        char expected[4096];
        snprintf(expected, sizeof expected, "# no end of line\n%s", line_of("[server.example]:2200", host_key()));
        expect_file(path, expected);
        OK(connect_with(hosts, NACRE_HOST_KEY_ADD, how, NACRE_REJECT, &verdict));
        EQUAL(asked, 0);
        OK(connect_with(hosts, 0, WITHOUT_ASKING, NACRE_REJECT, &verdict));
        expect_file(path, expected);
        /* What was added counts as written here. */
        OK(nacre_known_hosts_remove(hosts, "server.example", 2200, NULL, NULL));
        OK(nacre_known_hosts_save(hosts, NULL));
        expect_file(path, "# no end of line\n");
        OK(connect_with(hosts, NACRE_HOST_KEY_ADD_HASHED, how, NACRE_ACCEPT, &verdict));
        CHECK(strstr(file_content(path), "server.example") == NULL && strstr(file_content(path), "\n|1|") != NULL);
        OK(connect_with(hosts, 0, WITHOUT_ASKING, NACRE_REJECT, &verdict));
        EXPECT(nacre_known_hosts_take_error(hosts, &err), NACRE_ERR_NOT_FOUND);
        nacre_known_hosts_free(hosts);
    }
    /* Nobody to ask. */
    nacre_known_hosts *hosts = load("");
    EXPECT(connect_with(hosts, NACRE_HOST_KEY_ADD, WITHOUT_ASKING, NACRE_ACCEPT, &verdict), NACRE_ERR_HOST_KEY);
    EQUAL(verdict, NACRE_VERDICT_UNKNOWN);
    expect_text(hosts, "");
    OK(connect_with(hosts, NACRE_HOST_KEY_ADD, BY_CALLBACK, NACRE_ACCEPT, &verdict));
    expect_text(hosts, line_of("[server.example]:2200", host_key()));
    nacre_known_hosts_free(hosts);
    unlink(path);

    /* A file that cannot be written: the connection goes on, and the list says why. */
    OK(nacre_known_hosts_load_file(path_of("no folder/hosts"), NACRE_KNOWN_HOSTS_MAY_BE_MISSING, &hosts, NULL));
    OK(connect_with(hosts, NACRE_HOST_KEY_ADD, BY_CALLBACK, NACRE_ACCEPT, &verdict));
    OK(nacre_known_hosts_take_error(hosts, &err));
    EXPECT(nacre_error_status(err), NACRE_ERR_NOT_FOUND);
    nacre_error_free(err);
    EXPECT(nacre_known_hosts_take_error(hosts, &err), NACRE_ERR_NOT_FOUND);
    OK(connect_with(hosts, 0, WITHOUT_ASKING, NACRE_REJECT, &verdict));
    nacre_known_hosts_free(hosts);
}

static void changed_and_revoked_hosts(void)
{
    nacre_verdict verdict = 0;
    nacre_key *other = new_key(NACRE_KEY_ED25519), *ecdsa = new_key(NACRE_KEY_ECDSA);
    for (manner how = BY_CALLBACK; how <= BY_EVENT; how++) {
        nacre_known_hosts *hosts = load(line_of("[server.example]:2200", other));
        EXPECT(connect_with(hosts, NACRE_HOST_KEY_ADD, how, NACRE_REJECT, &verdict), NACRE_ERR_HOST_KEY);
        EQUAL(verdict_asked, NACRE_VERDICT_CHANGED);
        EQUAL(verdict, NACRE_VERDICT_REFUSED);
        /* Even if it is accepted once, a changed key is nothing to add. */
        OK(connect_with(hosts, NACRE_HOST_KEY_ADD, how, NACRE_ACCEPT, &verdict));
        EQUAL(asked, 1);
        expect_text(hosts, line_of("[server.example]:2200", other));
        EXPECT(connect_with(hosts, 0, WITHOUT_ASKING, NACRE_ACCEPT, &verdict), NACRE_ERR_HOST_KEY);
        EQUAL(verdict, NACRE_VERDICT_CHANGED);
        nacre_known_hosts_free(hosts);

        /* A host that is known by another type of key is no new host (CVE-2026-9547). */
        hosts = load(line_of("[server.example]:2200", ecdsa));
        EXPECT(connect_with(hosts, 0, how, NACRE_REJECT, &verdict), NACRE_ERR_HOST_KEY);
        EQUAL(verdict_asked, NACRE_VERDICT_CHANGED);
        OK(connect_with(hosts, NACRE_HOST_KEY_ADD, how, NACRE_ACCEPT, &verdict));
        expect_known(hosts, "server.example", 2200, host_key(), NACRE_KNOWN_HOST_MATCH, 2);
        nacre_known_hosts_free(hosts);

        /* Nobody is asked about a revoked key, whatever else is known. */
        char text[4096];
        snprintf(text, sizeof text, "%s%s", line_of("[server.example]:2200", host_key()), line_of("@revoked *", host_key()));
        hosts = load(text);
        EXPECT(connect_with(hosts, NACRE_HOST_KEY_ADD, how, NACRE_ACCEPT, &verdict), NACRE_ERR_HOST_KEY);
        EQUAL(verdict, NACRE_VERDICT_REVOKED);
        EQUAL(asked, 0);
        expect_text(hosts, text);
        nacre_known_hosts_free(hosts);
    }
    nacre_key_free(other), nacre_key_free(ecdsa);
}

/* The server has keys of two types: it shows the one that is known. */
static void the_known_type_is_negotiated(void)
{
    static const struct {
        nacre_key_kind kind;
        const char *name;
    } types[] = {{NACRE_KEY_ED25519, "ssh-ed25519"}, {NACRE_KEY_ECDSA, "ecdsa-sha2-nistp256"}};
    nacre_server_callbacks callbacks = plain_server();
    for (int i = 0; i < 2; i++) {
        nacre_key *keys[2] = {host_key(), new_key(NACRE_KEY_ECDSA)};
        nacre_known_hosts *hosts = load(line_of("server.example", keys[i]));
        nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
        nacre_negotiated info = NACRE_INIT(nacre_negotiated);
        pair both = new_pair(engine, engine);
        OK(nacre_transport_add_host_key(both.server, keys[1]));
        start_server(both.server, &callbacks);
        check.known_hosts = hosts;
        check.host = "server.example";
        OK(nacre_transport_set_host_key_check(both.client, &check));
        OK(nacre_transport_start_client(both.client, SOON, NULL));
        OK(nacre_transport_negotiated(both.client, &info));
        if (strcmp(info.host_key, types[i].name) != 0) FAIL("%s, not %s", info.host_key, types[i].name);
        OK(nacre_transport_auth_password(both.client, "tester", "secret", 0, SOON, NULL));
        free_pair(both);
        nacre_known_hosts_free(hosts);
        nacre_key_free(keys[1]);
    }
}

static void what_is_no_check(void)
{
    pair both = new_pair(engine, engine);
    nacre_known_hosts *hosts = load("");
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    check.known_hosts = hosts;
    EXPECT(nacre_transport_set_host_key_check(both.client, &check), NACRE_ERR_ARGUMENT);
    check.host = "a";
    check.port = 65536;
    EXPECT(nacre_transport_set_host_key_check(both.client, &check), NACRE_ERR_ARGUMENT);
    check.port = 0;
    check.reserved2 = 1;
    EXPECT(nacre_transport_set_host_key_check(both.client, &check), NACRE_ERR_ARGUMENT);
    check.reserved2 = 0;
    OK(nacre_transport_set_host_key_check(both.client, &check));
    check.known_hosts = NULL;
    EXPECT(nacre_transport_set_host_key_check(both.client, &check), NACRE_ERR_ARGUMENT);
    check.ask = ask;
    check.flags = NACRE_HOST_KEY_ADD;
    EXPECT(nacre_transport_set_host_key_check(both.client, &check), NACRE_ERR_ARGUMENT);
    free_pair(both);
    nacre_known_hosts_free(hosts);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    if (mkdtemp(folder) == NULL) FAIL("mkdtemp: %s", strerror(errno));
    engine = new_engine();
    RUN(each_state);
    RUN(added_removed_hashed);
    RUN(files);
    RUN(order_of_algorithms);
    RUN(no_pattern_takes_long);
    RUN(unknown_hosts);
    RUN(changed_and_revoked_hosts);
    RUN(the_known_type_is_negotiated);
    RUN(what_is_no_check);
    end_engine(engine);
    EQUAL(entries(folder), 0);
    rmdir(folder);
    return 0;
}
