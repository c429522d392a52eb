/* Which signatures count: small RSA keys, SHA-1, and keys in security keys. The last are software behind an agent of this
 * test, with which OpenSSH's ssh logs in. */
#include "common.h"

#include <sys/un.h>
#include <sys/wait.h>

/* 1,024 bits; of no use to anybody. */
static const char small_key_text[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAlwAAAAdzc2gtcn\n"
    "NhAAAAAwEAAQAAAIEAn2JBgdsJ9FYDLGbjP4Am57+i9/hKdA8zGcSBJG9DuLsCOvceZvf/\n"
    "yoPKRNft7TOIRT4CG27ylGFQXB2cnZ9mZmIM28zhx8j4mfY8ZIKzJHqOvUuaU8dK+07mRH\n"
    "h6e8sIbLzZgOHGHkDJjw95haChkPGxOhalRN36Wg5zFzssy5EAAAIAZGy5D2RsuQ8AAAAH\n"
    "c3NoLXJzYQAAAIEAn2JBgdsJ9FYDLGbjP4Am57+i9/hKdA8zGcSBJG9DuLsCOvceZvf/yo\n"
    "PKRNft7TOIRT4CG27ylGFQXB2cnZ9mZmIM28zhx8j4mfY8ZIKzJHqOvUuaU8dK+07mRHh6\n"
    "e8sIbLzZgOHGHkDJjw95haChkPGxOhalRN36Wg5zFzssy5EAAAADAQABAAAAgCkXyy3wzH\n"
    "s7pevPxy17HAzKQvlOAdw0gwdUu7sqGLrLNIMBbcw8iq2rFv5y8bwjejHoD+EE1PRetrpZ\n"
    "RCT7kQnSZcjVwuHuiB1sk4r1mkXSLRAF2M+Zs1iEIznJw9Y50Vl7XhdbePmQlzdm9hP4/w\n"
    "Kb8GhjwSORa84NsrQr1fjxAAAAQQCMziKzxUsfal9UWTmZZJ5VPck72ZQUgowqRRCOPLad\n"
    "BPGjwbcoAMg69YztPPG4ZyGoYuv6bEl+5Qc6cWYNn42HAAAAQQDSMIp/4afPTktcfFmyN9\n"
    "r3FXrlukR4gA+URqD1LiENonwkGjydLd/QJLLs6CcAxslKomW5O2wU6U5KrtqfT81VAAAA\n"
    "QQDCHwWw4K1HX0Bk3B+Va8Q6DjecsVQZV5NsgssGnUYnxvHX4t/yeStfOV3KlLgK0XfexD\n"
    "kRj7vPF0QC5yFvg+VNAAAABXNtYWxsAQIDBAU=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

static nacre_key *key_of(const char *text)
{
    nacre_key *key = NULL;
    OK(nacre_key_load_memory(text, strlen(text), NULL, &key, NULL));
    CHECK(key != NULL);
    return key;
}

/* --- the rules ---------------------------------------------------------------------------------------- */

static void expect_rules(nacre_transport *transport, uint32_t bits, int32_t presence, int32_t verification)
{
    uint32_t told_bits = 9;
    int32_t told_presence = 9, told_verification = 9;
    OK(nacre_transport_signature_rules(transport, &told_bits, &told_presence, &told_verification));
    EQUAL(told_bits, bits);
    EQUAL(told_presence, presence);
    EQUAL(told_verification, verification);
}
static void rules(void)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pair both = new_pair();
    uint32_t bits = 0;
    expect_rules(both.server, 2048, 1, 0);
    expect_rules(both.client, 2048, 1, 0);
    OK(nacre_transport_set_signature_rules(both.server, 1024, 0, 1));
    expect_rules(both.server, 1024, 0, 1);
    OK(nacre_transport_set_signature_rules(both.server, 16384, 1, 1));
    expect_rules(both.server, 16384, 1, 1);
    /* What is out of range changes nothing. */
    EXPECT(nacre_transport_set_signature_rules(both.server, 1023, 0, 0), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_set_signature_rules(both.server, 16385, 0, 0), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_set_signature_rules(both.server, UINT32_MAX, 0, 0), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_set_signature_rules(both.server, 2048, 2, 0), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_set_signature_rules(both.server, 2048, 0, -1), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_set_signature_rules(NULL, 2048, 0, 0), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_signature_rules(NULL, &bits, NULL, NULL), NACRE_ERR_ARGUMENT);
    expect_rules(both.server, 16384, 1, 1);
    OK(nacre_transport_signature_rules(both.server, NULL, NULL, NULL));
    OK(nacre_transport_set_signature_rules(both.server, 0, 1, 0));
    expect_rules(both.server, 2048, 1, 0);
    /* On a connection too. */
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    OK(nacre_transport_set_signature_rules(both.client, 3072, 0, 0));
    expect_rules(both.client, 3072, 0, 0);
    end_commands(&both, &server);
}

/* --- RSA ---------------------------------------------------------------------------------------------- */

static nacre_key *small_key;

static void small_keys_alone(void)
{
    unsigned char signature[1024];
    size_t needed = 0;
    uint32_t bits = 0;
    OK(nacre_key_bits(small_key, &bits));
    EQUAL(bits, 1024);
    EXPECT(nacre_key_sign(small_key, NULL, "data", 4, signature, sizeof signature, &needed), NACRE_ERR_ALGORITHM);
    EXPECT(nacre_key_verify(small_key, NULL, "data", 4, signature, 64), NACRE_ERR_ALGORITHM);
}
/* SHA-1 only by its name. */
static void sha1_by_name(void)
{
    nacre_key *key = new_key(NACRE_KEY_RSA, 2048);
    unsigned char signature[1024], other[1024];
    size_t needed = 0, other_needed = 0;
    OK(nacre_key_sign(key, "ssh-rsa", "data", 4, signature, sizeof signature, &needed));
    EQUAL(needed, 4 + 7 + 4 + 256);
    CHECK(memcmp(signature + 4, "ssh-rsa", 7) == 0);
    OK(nacre_key_verify(key, "ssh-rsa", "data", 4, signature, needed));
    CHECK(nacre_key_verify(key, "ssh-rsa", "Data", 4, signature, needed) != NACRE_OK);
    CHECK(nacre_key_verify(key, NULL, "data", 4, signature, needed) != NACRE_OK);
    CHECK(nacre_key_verify(key, "rsa-sha2-256", "data", 4, signature, needed) != NACRE_OK);
    OK(nacre_key_sign(key, NULL, "data", 4, other, sizeof other, &other_needed));
    CHECK(memcmp(other + 4, "rsa-sha2-512", 12) == 0);
    nacre_key_free(key);
}

typedef struct key_server {
    command_server commands;
    nacre_key *key;
    int asked, signed_, wrong_questions;
    uint32_t flags, counter;
    nacre_status told;
} key_server;

static nacre_decision on_key(void *userdata, nacre_transport *transport, const char *user, const nacre_key *key,
                             int32_t verified, nacre_ticket *ticket)
{
    key_server *server = userdata;
    int32_t equal = 0;
    uint32_t flags = 77, counter = 77;
    (void)transport, (void)user;
    OK(nacre_key_equal(key, server->key, &equal));
    if (!equal) return NACRE_REJECT;
    server->told = nacre_ticket_security_key(ticket, &flags, &counter);
    EQUAL(nacre_ticket_security_key(ticket, NULL, NULL), server->told);
    if (server->told == NACRE_OK) {
        CHECK(verified);
        server->flags = flags, server->counter = counter;
    } else {
        EQUAL(server->told, NACRE_ERR_NOT_FOUND);
        EQUAL(flags, 77);
        EQUAL(counter, 77);
    }
    /* Last: who sees the number sees what was told. */
    ADD(*(verified ? &server->signed_ : &server->asked), 1);
    return NACRE_ACCEPT;
}
/* A question about something else. */
static nacre_decision on_password(void *userdata, nacre_transport *transport, const char *user, const char *password,
                                  nacre_ticket *ticket)
{
    key_server *server = userdata;
    uint32_t flags = 77, counter = 77;
    (void)transport, (void)user, (void)password;
    EXPECT(nacre_ticket_security_key(ticket, &flags, &counter), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_ticket_security_key(NULL, &flags, &counter), NACRE_ERR_ARGUMENT);
    EQUAL(flags, 77);
    ADD(server->wrong_questions, 1);
    return NACRE_REJECT;
}
static nacre_decision on_exec(void *userdata, nacre_transport *transport, nacre_channel *channel,
                              const nacre_request *request, nacre_ticket *ticket)
{
    return run_exec(&((key_server *)userdata)->commands, transport, channel, request, ticket);
}
static void on_destroy(void *userdata)
{
    count_destroy(&((key_server *)userdata)->commands);
}
static nacre_server_callbacks callbacks_of(key_server *server, nacre_key *key)
{
    nacre_server_callbacks callbacks = NACRE_INIT(nacre_server_callbacks);
    memset(server, 0, sizeof *server);
    server->key = key;
    callbacks.userdata = server;
    callbacks.destroy = on_destroy;
    callbacks.auth_password = on_password;
    callbacks.auth_publickey = on_key;
    callbacks.channel_open = keep_session;
    callbacks.channel_request = on_exec;
    return callbacks;
}

/* A server whose host key is small; a client that takes it from so many bits on. */
static nacre_status with_small_host(uint32_t server_bits, uint32_t client_bits, nacre_negotiated *info)
{
    nacre_engine *engine = new_engine();
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    key_server server;
    nacre_server_callbacks callbacks = callbacks_of(&server, user_key());
    nacre_transport *client, *far_end;
    nacre_status status;
    int fds[2];
    socket_pair(fds);
    client = transport_over(engine, fds[0]);
    far_end = transport_over(engine, fds[1]);
    check.flags = NACRE_HOST_KEY_ANY;
    OK(nacre_transport_add_host_key(far_end, small_key));
    OK(nacre_transport_set_signature_rules(far_end, server_bits, 1, 0));
    OK(nacre_transport_set_signature_rules(client, client_bits, 1, 0));
    OK(nacre_transport_set_host_key_check(client, &check));
    OK(nacre_transport_set_algorithms(client, NACRE_ALG_HOST_KEY, "^ssh-rsa"));
    OK(nacre_transport_set_algorithms(far_end, NACRE_ALG_HOST_KEY, "+ssh-rsa"));
    status = nacre_transport_start_server(far_end, &callbacks, 0, NULL);
    if (status == NACRE_OK || status == NACRE_ERR_AGAIN) {
        status = nacre_transport_start_client(client, SOON, NULL);
        if (status == NACRE_OK) OK(nacre_transport_negotiated(client, info));
    } else {
        EQUAL(status, NACRE_ERR_ARGUMENT);
    }
    nacre_transport_free(client);
    nacre_transport_free(far_end);
    end_engine(engine);
    EVENTUALLY(COUNT(server.commands.destroyed) == 1);
    return status;
}
static void small_host_keys(void)
{
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    EXPECT(with_small_host(0, 1024, &info), NACRE_ERR_ARGUMENT);
    EXPECT(with_small_host(1024, 0, &info), NACRE_ERR_HOST_KEY);
    EXPECT(with_small_host(1024, 1025, &info), NACRE_ERR_HOST_KEY);
    OK(with_small_host(1024, 1024, &info));
    SAME(info.host_key, "ssh-rsa");
}

static void small_user_keys(void)
{
    for (int round = 0; round < 4; round++) {
        int server_takes = round & 1, client_signs = round & 2;
        key_server server;
        nacre_server_callbacks callbacks = callbacks_of(&server, small_key);
        pair both = served_pair(&callbacks);
        nacre_status status;
        OK(nacre_transport_set_signature_rules(both.server, server_takes ? 1024 : 0, 1, 0));
        OK(nacre_transport_set_signature_rules(both.client, client_signs ? 1024 : 0, 1, 0));
        start_client(both.client);
        EXPECT(nacre_transport_auth_password(both.client, "tester", "secret", NACRE_AUTH_NO_FALLBACK, SOON, NULL),
               NACRE_ERR_AUTH_FAILED);
        EQUAL(COUNT(server.wrong_questions), 1);
        status = nacre_transport_auth_publickey(both.client, "tester", small_key, SOON, NULL);
        if (!client_signs) EXPECT(status, NACRE_ERR_ALGORITHM);
        else EXPECT(status, server_takes ? NACRE_OK : NACRE_ERR_AUTH_FAILED);
        EQUAL(COUNT(server.signed_), client_signs && server_takes);
        /* The application never heard of a key that is too small. */
        if (!server_takes) EQUAL(COUNT(server.asked), 0);
        EQUAL(server.counter, 0);
        end_pair(&both);
        EVENTUALLY(COUNT(server.commands.destroyed) == 1);
    }
}

/* --- a security key in software ----------------------------------------------------------------------- */

static uint32_t rotate(uint32_t value, int by)
{
    return value >> by | value << (32 - by);
}
/* FIPS 180-4. `len` below 8 KiB. */
static void sha256(const void *data, size_t len, unsigned char out[32])
{
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    unsigned char padded[8192 + 128] = {0};
    size_t blocks = (len + 8) / 64 + 1;
    CHECK(len <= 8192);
    memcpy(padded, data, len);
    padded[len] = 0x80;
    for (int i = 0; i < 8; i++) padded[blocks * 64 - 1 - (size_t)i] = (unsigned char)((uint64_t)len * 8 >> (8 * i));
    for (size_t block = 0; block < blocks; block++) {
        uint32_t w[64], v[8];
        for (int i = 0; i < 16; i++) {
            const unsigned char *at = padded + block * 64 + i * 4;
            w[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        }
        for (int i = 16; i < 64; i++) {
            uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        memcpy(v, h, sizeof v);
        for (int i = 0; i < 64; i++) {
            uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
            uint32_t one = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
            uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
            uint32_t two = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            memmove(v + 1, v, 7 * sizeof *v);
            v[4] += one;
            v[0] = one + two;
        }
        for (int i = 0; i < 8; i++) h[i] += v[i];
    }
    for (int i = 0; i < 32; i++) out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* Bytes being written. */
typedef struct bytes {
    unsigned char data[4096];
    size_t len;
} bytes;
static void put(bytes *to, const void *data, size_t len)
{
    CHECK(to->len + len <= sizeof to->data);
    memcpy(to->data + to->len, data, len);
    to->len += len;
}
static void put_u32(bytes *to, uint32_t value)
{
    unsigned char four[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16), (unsigned char)(value >> 8),
                             (unsigned char)value};
    put(to, four, 4);
}
static void put_string(bytes *to, const void *data, size_t len)
{
    put_u32(to, (uint32_t)len);
    put(to, data, len);
}
static uint32_t u32_at(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static const char sk_name[] = "sk-ssh-ed25519@openssh.com";

typedef struct security_key {
    nacre_key *inner, *public;
    bytes blob;
    unsigned char flags;
    uint32_t counter;
    /* Its agent. */
    int listener;
    char folder[64], socket[96];
    pthread_t thread;
} security_key;

static void sign(security_key *key, const unsigned char *data, size_t len, bytes *out)
{
    bytes message = {{0}, 0}, said = {{0}, 0};
    unsigned char hash[32], signature[256];
    size_t needed = 0;
    put(&said, &key->flags, 1);
    put_u32(&said, ++key->counter);
    sha256("ssh:", 4, hash);
    put(&message, hash, sizeof hash);
    put(&message, said.data, said.len);
    sha256(data, len, hash);
    put(&message, hash, sizeof hash);
    OK(nacre_key_sign(key->inner, NULL, message.data, message.len, signature, sizeof signature, &needed));
    EQUAL(needed, 4 + 11 + 4 + 64);
    put_string(out, sk_name, strlen(sk_name));
    put_string(out, signature + 19, 64);
    put(out, said.data, said.len);
}

/* Of the agent protocol: the keys, a signature, and a no to everything else. */
static void answer(security_key *key, const unsigned char *request, size_t len, bytes *out)
{
    bytes signature = {{0}, 0};
    const unsigned char *data;
    if (request[0] == 11) {
        put(out, "\x0c", 1);
        put_u32(out, 1);
        put_string(out, key->blob.data, key->blob.len);
        put_string(out, "soft", 4);
        return;
    }
    if (request[0] != 13 || len < 9 + key->blob.len) {
        put(out, "\x05", 1);
        return;
    }
    EQUAL(u32_at(request + 1), key->blob.len);
    data = request + 5 + key->blob.len;
    sign(key, data + 4, u32_at(data), &signature);
    put(out, "\x0e", 1);
    put_string(out, signature.data, signature.len);
}
static int take_all(int fd, unsigned char *to, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, to, len);
        if (n <= 0) return 0;
        to += n, len -= (size_t)n;
    }
    return 1;
}
static void *serve_agent(void *argument)
{
    security_key *key = argument;
    int fd;
    while ((fd = accept4(key->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        unsigned char length[4], request[4096];
        while (take_all(fd, length, 4) && u32_at(length) > 0 && u32_at(length) <= sizeof request &&
               take_all(fd, request, u32_at(length))) {
            bytes told = {{0}, 0}, framed = {{0}, 0};
            answer(key, request, u32_at(length), &told);
            put_string(&framed, told.data, told.len);
            if (write(fd, framed.data, framed.len) != (ssize_t)framed.len) break;
        }
        close(fd);
    }
    return NULL;
}
static void start_agent(security_key *key)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned char plain[256];
    size_t needed = 0;
    memset(key, 0, sizeof *key);
    key->inner = new_key(NACRE_KEY_ED25519, 0);
    OK(nacre_key_public_blob(key->inner, plain, sizeof plain, &needed));
    EQUAL(needed, 4 + 11 + 4 + 32);
    put_string(&key->blob, sk_name, strlen(sk_name));
    put_string(&key->blob, plain + 19, 32);
    put_string(&key->blob, "ssh:", 4);
    OK(nacre_key_from_blob(key->blob.data, key->blob.len, &key->public, NULL));
    EXPECT_TEXT(sk_name, nacre_key_algorithm, key->public);
    snprintf(key->folder, sizeof key->folder, "/tmp/nacre-agent-XXXXXX");
    CHECK(mkdtemp(key->folder) != NULL);
    snprintf(key->socket, sizeof key->socket, "%s/agent", key->folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", key->socket);
    key->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(key->listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(key->listener, 8) == 0);
    CHECK(pthread_create(&key->thread, NULL, serve_agent, key) == 0);
}
static void end_agent(security_key *key)
{
    CHECK(shutdown(key->listener, SHUT_RDWR) == 0);
    CHECK(pthread_join(key->thread, NULL) == 0);
    close(key->listener);
    unlink(key->socket);
    rmdir(key->folder);
    nacre_key_free(key->inner);
    nacre_key_free(key->public);
}

/* What it signs is a signature, for nacre_key_verify too: when it was touched. */
static void security_keys_alone(void)
{
    security_key key;
    bytes signature = {{0}, 0};
    start_agent(&key);
    for (unsigned flags = 0; flags < 8; flags++) {
        signature.len = 0;
        key.flags = (unsigned char)flags;
        sign(&key, (const unsigned char *)"data", 4, &signature);
        for (int named = 0; named < 2; named++) {
            nacre_status status =
                nacre_key_verify(key.public, named ? sk_name : NULL, "data", 4, signature.data, signature.len);
            if (flags & NACRE_SECURITY_KEY_PRESENT) OK(status);
            else CHECK(status != NACRE_OK);
        }
        CHECK(nacre_key_verify(key.public, NULL, "Data", 4, signature.data, signature.len) != NACRE_OK);
        signature.data[signature.len - 5] ^= 2;
        CHECK(nacre_key_verify(key.public, NULL, "data", 4, signature.data, signature.len) != NACRE_OK);
    }
    end_agent(&key);
}

/* ssh runs "exit 6" with the key of the agent. Its status. */
static int run_ssh(const security_key *key, uint16_t port)
{
    char number[16], agent[128];
    pid_t child;
    snprintf(number, sizeof number, "%u", (unsigned)port);
    snprintf(agent, sizeof agent, "IdentityAgent=%s", key->socket);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (getenv("NACRE_TEST_VERBOSE") == NULL) freopen("/dev/null", "w", stderr);
        execlp("ssh", "ssh", "-v", "-F", "none", "-o", agent, "-o", "IdentityFile=none", "-o", "BatchMode=yes", "-o",
               "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=no", "-p",
               number, "tester@127.0.0.1", "exit 6", (char *)NULL);
        _exit(127);
    }
    return child;
}

/* One login: with these rules, when the key says these flags. */
static void ssh_logs_in(security_key *key, int32_t presence, int32_t verification, unsigned char flags, int gets_in)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    key_server server;
    nacre_server_callbacks callbacks = callbacks_of(&server, key->public);
    nacre_engine *engine = new_engine();
    nacre_transport *transport;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0, fd;
    int64_t until = now_ms() + SOON;
    pid_t child;
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    key->flags = flags;
    child = run_ssh(key, ntohs(address.sin_port));
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    close(listener);
    transport = transport_over(engine, fd);
    OK(nacre_transport_add_host_key(transport, host_key()));
    OK(nacre_transport_set_signature_rules(transport, 0, presence, verification));
    start_server(transport, &callbacks);
    while (waitpid(child, &status, WNOHANG) == 0) {
        CHECK(now_ms() < until);
        if (with_threads) pause_ms(5);
        else (void)nacre_engine_dispatch(engine, 20);
    }
    if (WEXITSTATUS(status) == 127) FAIL("ssh is missing: install openssh-client");
    CHECK(WIFEXITED(status));
    EQUAL(WEXITSTATUS(status), gets_in ? 6 : 255);
    EQUAL(COUNT(server.signed_), gets_in);
    /* Asked about first, and then there is nothing to tell. */
    EQUAL(COUNT(server.asked), 1);
    if (gets_in) {
        EQUAL(server.told, NACRE_OK);
        EQUAL(server.flags, flags & (NACRE_SECURITY_KEY_PRESENT | NACRE_SECURITY_KEY_VERIFIED));
        EQUAL(server.counter, key->counter);
    } else {
        EQUAL(server.told, NACRE_ERR_NOT_FOUND);
    }
    nacre_transport_free(transport);
    end_engine(engine);
    EVENTUALLY(COUNT(server.commands.destroyed) == 1);
}
static void security_keys(void)
{
    const unsigned char present = NACRE_SECURITY_KEY_PRESENT, verified = NACRE_SECURITY_KEY_VERIFIED;
    security_key key;
    start_agent(&key);
    key.counter = 0xfffffff0;
    ssh_logs_in(&key, 1, 0, present, 1);
    ssh_logs_in(&key, 1, 0, 0, 0);
    if (!is_short_run()) {
        ssh_logs_in(&key, 0, 0, 0, 1);
        ssh_logs_in(&key, 1, 1, present, 0);
        ssh_logs_in(&key, 1, 1, present | verified, 1);
        ssh_logs_in(&key, 0, 1, verified | 0xf2, 1);
    }
    end_agent(&key);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    small_key = key_of(small_key_text);
    (void)host_key();
    (void)user_key();
    RUN(rules);
    RUN(small_keys_alone);
    RUN(sha1_by_name);
    RUN(small_host_keys);
    RUN(small_user_keys);
    RUN(security_keys_alone);
    RUN(security_keys);
    nacre_key_free(small_key);
    return 0;
}
