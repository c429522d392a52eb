/* Keys: made, read, written, compared, signing and checking. */
#include "ends.h"

/* Written by ssh-keygen. */
static const char plain_file[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACDh1MUESyCE+7bImR4cwRJvC3OexqQ+AxAv16S5K12TcAAAAJB5yq+Oecqv\n"
    "jgAAAAtzc2gtZWQyNTUxOQAAACDh1MUESyCE+7bImR4cwRJvC3OexqQ+AxAv16S5K12TcA\n"
    "AAAECnptrlhx+83cuDKQkaYEJZlVOUMjMPa1ajJsKgfZESxOHUxQRLIIT7tsiZHhzBEm8L\n"
    "c57GpD4DEC/XpLkrXZNwAAAADHZlY3RvckBuYWNyZQE=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char plain_line[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOHUxQRLIIT7tsiZHhzBEm8Lc57GpD4DEC/XpLkrXZNw vector@nacre";
static const char plain_sha256[] = "SHA256:E4buBWhqdI43teiV4tOzamTAgT8SvSuqp6Irn2z20sU";
static const char plain_md5[] = "MD5:a6:27:07:6a:93:70:da:01:89:a5:e0:1c:69:67:bb:38";
/* "correct horse" */
static const char locked_file[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABD07CmpNi\n"
    "Av5rQ7zRdBotu1AAAABAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAILIwEA+MD8ujWs8v\n"
    "0uakayiSaFZP+neYNbNSAv+rAEM0AAAAkKDnHgycKtevObeeDaBUMddXj9fRwTS3g6L9bK\n"
    "aULRbeca6Q0xKwxqMf4mGs4Zx3gVYkX51MF0aAVn1c29mRppKUzRfv97sC1GZMnRxcQsPd\n"
    "WpK+YZALmgocZte9QYZUSWAg0am3bY3DeotC/leZaWTkal3jqjAEjDXajJpxDNyC4B/pAM\n"
    "I8Ko2q1tpE8HclCg==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char locked_line[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIwEA+MD8ujWs8v0uakayiSaFZP+neYNbNSAv+rAEM0 locked@nacre";

static char folder[] = "/tmp/nacre-keys-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(data, 1, len, file) == len);
    CHECK(fclose(file) == 0);
}

static nacre_key *from_memory(const char *text, const char *passphrase)
{
    nacre_key *key = NULL;
    OK(nacre_key_load_memory(text, strlen(text), passphrase, &key, NULL));
    CHECK(key != NULL);
    return key;
}

static void expect_text(nacre_status (*get)(const nacre_key *, char *, size_t, size_t *), const nacre_key *key,
                        const char *expected)
{
    char buf[1024];
    size_t needed = 0, len = strlen(expected) + 1;
    EXPECT(get(key, NULL, 0, &needed), NACRE_ERR_BUFFER);
    EQUAL(needed, len);
    memset(buf, 'x', sizeof buf);
    EXPECT(get(key, buf, len - 1, NULL), NACRE_ERR_BUFFER);
    CHECK(buf[0] == 'x');
    OK(get(key, buf, len, &needed));
    EQUAL(needed, len);
    if (strcmp(buf, expected) != 0) FAIL("\"%s\", not \"%s\"", buf, expected);
    CHECK(buf[len] == 'x');
}

static void expect_fingerprint(const nacre_key *key, nacre_fingerprint_kind kind, const char *expected)
{
    char buf[128] = "";
    size_t needed = 0;
    EXPECT(nacre_key_fingerprint(key, kind, buf, strlen(expected), &needed), NACRE_ERR_BUFFER);
    EQUAL(needed, strlen(expected) + 1);
    OK(nacre_key_fingerprint(key, kind, buf, sizeof buf, NULL));
    if (strcmp(buf, expected) != 0) FAIL("\"%s\", not \"%s\"", buf, expected);
}

static int same(const nacre_key *one, const nacre_key *other)
{
    int32_t equal = 7;
    OK(nacre_key_equal(one, other, &equal));
    CHECK(equal == 0 || equal == 1);
    return equal;
}

/* Expects a failure with an error that says the same. */
static void expect_refused(const void *data, size_t len, const char *passphrase, nacre_status expected, char *text,
                           size_t cap)
{
    nacre_key *key = (nacre_key *)folder;
    nacre_error *err = NULL;
    char buf[512] = "";
    EXPECT(nacre_key_load_memory(data, len, passphrase, &key, &err), expected);
    CHECK(key == NULL && err != NULL);
    EQUAL(nacre_error_status(err), expected);
    OK(nacre_error_text(err, buf, sizeof buf, NULL));
    CHECK(strlen(buf) > 10);
    if (text != NULL) snprintf(text, cap, "%s", buf);
    nacre_error_free(err);
}

static void known_key(void)
{
    nacre_key *key = from_memory(plain_file, NULL), *line = from_memory(plain_line, NULL), *blob = NULL;
    unsigned char bytes[512];
    size_t needed = 0;
    uint32_t bits = 0;
    expect_text(nacre_key_public_line, key, plain_line);
    expect_text(nacre_key_algorithm, key, "ssh-ed25519");
    expect_text(nacre_key_comment, key, "vector@nacre");
    expect_text(nacre_key_comment, line, "vector@nacre");
    expect_fingerprint(key, NACRE_FINGERPRINT_SHA256, plain_sha256);
    expect_fingerprint(line, NACRE_FINGERPRINT_MD5, plain_md5);
    OK(nacre_key_bits(key, &bits));
    EQUAL(bits, 256);
    EQUAL(nacre_key_is_private(key), 1);
    EQUAL(nacre_key_is_private(line), 0);
    EXPECT(nacre_key_public_blob(key, NULL, 0, &needed), NACRE_ERR_BUFFER);
    EQUAL(needed, 51);
    OK(nacre_key_public_blob(key, bytes, sizeof bytes, &needed));
    EQUAL(needed, 51);
    CHECK(memcmp(bytes, "\0\0\0\x0bssh-ed25519\0\0\0\x20", 19) == 0);
    OK(nacre_key_from_blob(bytes, needed, &blob, NULL));
    CHECK(same(key, blob) && same(blob, line) && same(line, key));
    expect_text(nacre_key_comment, blob, "");
    expect_fingerprint(blob, NACRE_FINGERPRINT_SHA256, plain_sha256);
    nacre_key_free(blob);
    blob = (nacre_key *)folder;
    EXPECT(nacre_key_from_blob(bytes, needed - 1, &blob, NULL), NACRE_ERR_KEY_FORMAT);
    CHECK(blob == NULL);
    nacre_key_free(key);
    nacre_key_free(line);
}

static void passphrases(void)
{
    char missing[512], wrong[512], damaged[sizeof locked_file];
    nacre_key *key = from_memory(locked_file, "correct horse"), *line = from_memory(locked_line, NULL);
    CHECK(same(key, line));
    EQUAL(nacre_key_is_private(key), 1);
    nacre_key_free(key);
    nacre_key_free(line);
    expect_refused(locked_file, strlen(locked_file), NULL, NACRE_ERR_PASSPHRASE, missing, sizeof missing);
    expect_refused(locked_file, strlen(locked_file), "wrong horse", NACRE_ERR_PASSPHRASE, wrong, sizeof wrong);
    CHECK(strcmp(missing, wrong) != 0);
    expect_refused(locked_file, strlen(locked_file), "", NACRE_ERR_PASSPHRASE, NULL, 0);
    /* Not encrypted: a passphrase is not looked at. */
    key = from_memory(plain_file, "whatever");
    nacre_key_free(key);
    /* Cut short, and changed at its beginning: damaged, whatever the passphrase. */
    strcpy(damaged, locked_file);
    strcpy(strstr(damaged, "-----END"), "-----END OPENSSH PRIVATE KEY-----\n");
    memmove(strchr(damaged, '\n') + 1, strchr(damaged, '\n') + 9, strlen(strchr(damaged, '\n') + 9) + 1);
    expect_refused(damaged, strlen(damaged), "correct horse", NACRE_ERR_KEY_FORMAT, NULL, 0);
    expect_refused(locked_file, strlen(locked_file) / 2, "correct horse", NACRE_ERR_KEY_FORMAT, NULL, 0);
}

static void damaged_keys(void)
{
    static const char *const texts[] = {
        "", "\n", "rubbish", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-ed25519 !!!! me",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOHUxQRLIIT7tsiZHhzBEm8Lc57GpD4DEC/XpLkrXZNw type and blob differ",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        static char step[64];
        snprintf(step, sizeof step, "damaged_keys %d", (int)i);
        test_step = step;
        expect_refused(texts[i], strlen(texts[i]), NULL, NACRE_ERR_KEY_FORMAT, NULL, 0);
    }
    test_step = "damaged_keys: byte by byte";
    /* Every byte of the file counts: a change is refused, or changes nothing that anybody could see (base64 padding). */
    char copy[sizeof plain_file];
    nacre_key *original = from_memory(plain_file, NULL);
    int refused = 0;
    for (size_t i = 0; i < sizeof plain_file - 1; i++) {
        nacre_key *key = NULL;
        nacre_error *err = NULL;
        memcpy(copy, plain_file, sizeof copy);
        copy[i] ^= 1;
        nacre_status status = nacre_key_load_memory(copy, strlen(copy), NULL, &key, &err);
        CHECK((status == NACRE_OK) == (key != NULL) && (status == NACRE_OK) == (err == NULL));
        if (status != NACRE_OK) refused++;
        nacre_key_free(key);
        nacre_error_free(err);
    }
    CHECK(refused > (int)sizeof plain_file / 2);
    /* Where it is in the file. */
    nacre_key *key = NULL;
    nacre_error *err = NULL;
    uint32_t line = 0;
    memcpy(copy, plain_file, sizeof copy);
    strchr(strchr(copy, '\n') + 1, '\n')[5] = '!';
    EXPECT(nacre_key_load_memory(copy, strlen(copy), NULL, &key, &err), NACRE_ERR_KEY_FORMAT);
    OK(nacre_error_line(err, &line));
    EQUAL(line, 3);
    nacre_error_free(err);
    nacre_key_free(original);
}

static void files(void)
{
    nacre_key *key = (nacre_key *)folder;
    nacre_error *err = NULL;
    int32_t number = 0;
    EXPECT(nacre_key_load_file(in_folder("missing"), NULL, &key, &err), NACRE_ERR_NOT_FOUND);
    CHECK(key == NULL && err != NULL);
    EQUAL(nacre_error_status(err), NACRE_ERR_NOT_FOUND);
    nacre_error_free(err);
    EXPECT(nacre_key_load_file(folder, NULL, &key, &err), NACRE_ERR_IO);
    OK(nacre_error_errno(err, &number));
    EQUAL(number, EISDIR);
    nacre_error_free(err);
    write_file(in_folder("plain"), plain_file, strlen(plain_file));
    OK(nacre_key_load_file(in_folder("plain"), NULL, &key, &err));
    CHECK(err == NULL);
    expect_fingerprint(key, NACRE_FINGERPRINT_SHA256, plain_sha256);
    nacre_key_free(key);
    if (geteuid() != 0) {
        CHECK(chmod(in_folder("plain"), 0) == 0);
        EXPECT(nacre_key_load_file(in_folder("plain"), NULL, &key, NULL), NACRE_ERR_PERMISSION);
    }
}

static void saved_key(nacre_key_kind kind, uint32_t bits, const char *algorithm, uint32_t expected_bits,
                      const char *passphrase)
{
    nacre_key *key = NULL, *again = NULL;
    struct stat about;
    uint32_t is = 0;
    const char *path = in_folder("saved");
    OK(nacre_key_generate(kind, bits, "someone@somewhere", &key, NULL));
    expect_text(nacre_key_algorithm, key, algorithm);
    expect_text(nacre_key_comment, key, "someone@somewhere");
    OK(nacre_key_bits(key, &is));
    EQUAL(is, expected_bits);
    OK(nacre_key_save(key, path, NACRE_KEY_OPENSSH, passphrase));
    CHECK(stat(path, &about) == 0);
    EQUAL(about.st_mode & 07777, 0600);
    if (passphrase != NULL) EXPECT(nacre_key_load_file(path, NULL, &again, NULL), NACRE_ERR_PASSPHRASE);
    OK(nacre_key_load_file(path, passphrase, &again, NULL));
    CHECK(same(key, again));
    EQUAL(nacre_key_is_private(again), 1);
    expect_text(nacre_key_comment, again, "someone@somewhere");
    nacre_key_free(again);
    nacre_key_free(key);
}

/* ssh-keygen reads what nacre writes. */
static void read_by_ssh_keygen(void)
{
    char command[1024], line[512] = "", ours[512];
    nacre_key *key = NULL;
    for (int locked = 0; locked < 2; locked++) {
        OK(nacre_key_generate(locked ? NACRE_KEY_ECDSA : NACRE_KEY_ED25519, 0, NULL, &key, NULL));
        OK(nacre_key_save(key, in_folder("for-openssh"), NACRE_KEY_OPENSSH, locked ? "a b" : NULL));
        OK(nacre_key_public_line(key, ours, sizeof ours, NULL));
        snprintf(command, sizeof command, "ssh-keygen -y -P '%s' -f %s", locked ? "a b" : "", in_folder("for-openssh"));
        FILE *output = popen(command, "r");
        CHECK(output != NULL && fgets(line, sizeof line, output) != NULL);
        CHECK(pclose(output) == 0);
        line[strcspn(line, "\n")] = 0;
        ours[strcspn(ours, "\n")] = 0;
        CHECK(strncmp(ours, line, strlen(line)) == 0 && strlen(line) > 60);
        nacre_key_free(key);
        key = NULL;
    }
}

static int files_in_folder(void)
{
    return entries(folder);
}

static void saving(void)
{
    nacre_key *one = NULL, *two = NULL, *again = NULL, *line = from_memory(plain_line, NULL);
    struct stat about;
    saved_key(NACRE_KEY_ED25519, 0, "ssh-ed25519", 256, NULL);
    saved_key(NACRE_KEY_ED25519, 0, "ssh-ed25519", 256, "pass phrase");
    saved_key(NACRE_KEY_ECDSA, 0, "ecdsa-sha2-nistp256", 256, NULL);
    saved_key(NACRE_KEY_ECDSA, 384, "ecdsa-sha2-nistp384", 384, "\xff\xfe not UTF-8");
    saved_key(NACRE_KEY_ECDSA, 521, "ecdsa-sha2-nistp521", 521, NULL);
    saved_key(NACRE_KEY_RSA, 2048, "ssh-rsa", 2048, NULL);
    /* What was there is replaced in one step, and only its owner can read what is there now. */
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &one, NULL));
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &two, NULL));
    CHECK(!same(one, two));
    write_file(in_folder("replaced"), "old", 3);
    CHECK(chmod(in_folder("replaced"), 0644) == 0);
    int count = files_in_folder();
    OK(nacre_key_save(one, in_folder("replaced"), NACRE_KEY_OPENSSH, NULL));
    OK(nacre_key_save(two, in_folder("replaced"), NACRE_KEY_OPENSSH, NULL));
    CHECK(stat(in_folder("replaced"), &about) == 0);
    EQUAL(about.st_mode & 07777, 0600);
    OK(nacre_key_load_file(in_folder("replaced"), NULL, &again, NULL));
    CHECK(same(two, again));
    EQUAL(files_in_folder(), count);
    /* What fails leaves nothing behind. */
    EXPECT(nacre_key_save(one, in_folder("no/such/folder"), NACRE_KEY_OPENSSH, NULL), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_key_save(one, folder, NACRE_KEY_OPENSSH, NULL), NACRE_ERR_IO);
    EXPECT(nacre_key_save(one, in_folder("x"), 77, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_key_save(line, in_folder("x"), NACRE_KEY_OPENSSH, NULL), NACRE_ERR_ARGUMENT);
    EQUAL(files_in_folder(), count);
    char beside[300];
    snprintf(beside, sizeof beside, "%s.%d.new", folder, (int)getpid());
    CHECK(access(beside, F_OK) != 0);
    nacre_key_free(one);
    nacre_key_free(two);
    nacre_key_free(again);
    nacre_key_free(line);
}

static void generating(void)
{
    nacre_key *key = (nacre_key *)folder;
    nacre_error *err = NULL;
    static const struct {
        nacre_key_kind kind;
        uint32_t bits;
    } wrong[] = {{0, 0},   {4, 0},   {-1, 0},   {NACRE_KEY_ED25519, 255}, {NACRE_KEY_ECDSA, 255}, {NACRE_KEY_ECDSA, 512},
                 {NACRE_KEY_RSA, 1024}, {NACRE_KEY_RSA, 1u << 20}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        nacre_status status = nacre_key_generate(wrong[i].kind, wrong[i].bits, NULL, &key, &err);
        if (status != NACRE_ERR_ARGUMENT && status != NACRE_ERR_UNSUPPORTED)
            FAIL("kind %d with %u bits: %s", (int)wrong[i].kind, wrong[i].bits, nacre_status_name(status));
        if (wrong[i].kind < 1 || wrong[i].kind > 3) EXPECT(status, NACRE_ERR_ARGUMENT);
        CHECK(key == NULL && err != NULL);
        EQUAL(nacre_error_status(err), status);
        nacre_error_free(err);
        key = (nacre_key *)folder;
    }
    OK(nacre_key_generate(NACRE_KEY_ED25519, 256, NULL, &key, &err));
    CHECK(err == NULL);
    expect_text(nacre_key_comment, key, "");
    nacre_key_free(key);
}

static void sign_and_verify(nacre_key *key, const char *algorithm, const char *name)
{
    static const char data[] = "what is signed", other[] = "what is signeD";
    unsigned char signature[4096], changed[4096];
    size_t needed = 0, more = 0;
    nacre_key *public_half = NULL;
    unsigned char blob[2048];
    size_t blob_len = 0;
    OK(nacre_key_public_blob(key, blob, sizeof blob, &blob_len));
    OK(nacre_key_from_blob(blob, blob_len, &public_half, NULL));
    EXPECT(nacre_key_sign(key, algorithm, data, sizeof data, NULL, 0, &more), NACRE_ERR_BUFFER);
    CHECK(more > 60);
    OK(nacre_key_sign(key, algorithm, data, sizeof data, signature, sizeof signature, &needed));
    CHECK(needed > strlen(name) + 8);
    /* string algorithm, string signature */
    EQUAL(signature[3], strlen(name));
    CHECK(memcmp(signature + 4, name, strlen(name)) == 0);
    OK(nacre_key_verify(public_half, algorithm, data, sizeof data, signature, needed));
    OK(nacre_key_verify(public_half, NULL, data, sizeof data, signature, needed));
    OK(nacre_key_verify(key, name, data, sizeof data, signature, needed));
    CHECK(nacre_key_verify(key, algorithm, other, sizeof other, signature, needed) != NACRE_OK);
    CHECK(nacre_key_verify(key, algorithm, data, sizeof data - 1, signature, needed) != NACRE_OK);
    CHECK(nacre_key_verify(key, algorithm, data, sizeof data, signature, needed - 1) != NACRE_OK);
    CHECK(nacre_key_verify(key, algorithm, data, sizeof data, NULL, 0) != NACRE_OK);
    CHECK(nacre_key_verify(key, "ssh-dss", data, sizeof data, signature, needed) != NACRE_OK);
    for (size_t i = 0; i < needed; i += needed > 100 ? 7 : 1) {
        memcpy(changed, signature, needed);
        changed[i] ^= 0x40;
        CHECK(nacre_key_verify(key, algorithm, data, sizeof data, changed, needed) != NACRE_OK);
    }
    EXPECT(nacre_key_sign(public_half, algorithm, data, sizeof data, signature, sizeof signature, &needed),
           NACRE_ERR_ARGUMENT);
    EXPECT(nacre_key_sign(key, "ssh-rsa-sha0", data, sizeof data, signature, sizeof signature, &needed),
           NACRE_ERR_ALGORITHM);
    nacre_key_free(public_half);
}

static void signatures(void)
{
    nacre_key *key = NULL, *other = NULL;
    unsigned char signature[4096];
    size_t needed = 0;
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &other, NULL));
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &key, NULL));
    sign_and_verify(key, NULL, "ssh-ed25519");
    EXPECT(nacre_key_sign(key, "rsa-sha2-512", "x", 1, signature, sizeof signature, &needed), NACRE_ERR_ALGORITHM);
    OK(nacre_key_sign(key, NULL, "x", 1, signature, sizeof signature, &needed));
    CHECK(nacre_key_verify(other, NULL, "x", 1, signature, needed) != NACRE_OK);
    nacre_key_free(key);
    OK(nacre_key_generate(NACRE_KEY_ECDSA, 256, NULL, &key, NULL));
    sign_and_verify(key, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256");
    nacre_key_free(key);
    OK(nacre_key_generate(NACRE_KEY_ECDSA, 521, NULL, &key, NULL));
    sign_and_verify(key, NULL, "ecdsa-sha2-nistp521");
    nacre_key_free(key);
    OK(nacre_key_generate(NACRE_KEY_RSA, 2048, NULL, &key, NULL));
    sign_and_verify(key, NULL, "rsa-sha2-512");
    sign_and_verify(key, "rsa-sha2-256", "rsa-sha2-256");
    /* One that fits the key, but is not the one that was asked for. */
    OK(nacre_key_sign(key, "rsa-sha2-256", "x", 1, signature, sizeof signature, &needed));
    CHECK(nacre_key_verify(key, "rsa-sha2-512", "x", 1, signature, needed) != NACRE_OK);
    OK(nacre_key_verify(key, NULL, "x", 1, signature, needed));
    nacre_key_free(key);
    nacre_key_free(other);
}

static void *sign_often(void *argument)
{
    unsigned char signature[512];
    size_t needed = 0;
    for (int i = 0; i < 50; i++) {
        OK(nacre_key_sign(argument, NULL, "data", 4, signature, sizeof signature, &needed));
        OK(nacre_key_verify(argument, NULL, "data", 4, signature, needed));
    }
    nacre_key_free(argument);
    return NULL;
}

/* One key, many owners on many threads. */
static void owners(void)
{
    nacre_key *key = NULL;
    pthread_t ids[4];
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, "shared", &key, NULL));
    for (int i = 0; i < 4; i++) {
        OK(nacre_key_ref(key));
        CHECK(pthread_create(&ids[i], NULL, sign_often, key) == 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(ids[i], NULL);
    expect_text(nacre_key_comment, key, "shared");
    nacre_key_free(key);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    CHECK(mkdtemp(folder) != NULL);
    int fds = descriptors();
    RUN(known_key);
    RUN(passphrases);
    RUN(damaged_keys);
    RUN(files);
    RUN(saving);
    RUN(read_by_ssh_keygen);
    RUN(generating);
    RUN(signatures);
    RUN(owners);
    EQUAL(descriptors(), fds);
    unlink(in_folder("plain"));
    unlink(in_folder("saved"));
    unlink(in_folder("replaced"));
    unlink(in_folder("for-openssh"));
    CHECK(rmdir(folder) == 0);
    return 0;
}
