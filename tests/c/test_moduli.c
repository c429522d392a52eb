/* nacre_load_moduli, and what servers give out in group exchanges after it. */
#include "common.h"

/* The prime of group 14 of RFC 3526: of 2,048 bits. Its generator tells here whether it comes from a file: the library's
 * own is 2. */
#define PRIME                                                                                                          \
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd" \
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed" \
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f" \
    "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b" \
    "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510" \
    "15728e5a8aacaa68ffffffffffffffff"
#define LINE(type, tests, generator) "20260101000000 " type " " tests " 100 2047 " generator " " PRIME "\n"

static char path[64];

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0 && fclose(file) == 0);
}

/* --- a client without keys: it gets as far as the group -------------------------------------------------------------- */

typedef struct {
    unsigned char bytes[4096];
    size_t len;
} packet;

static void add_u32(packet *p, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) p->bytes[p->len++] = (unsigned char)(value >> shift);
}
static void add_string(packet *p, const char *text)
{
    add_u32(p, (uint32_t)strlen(text));
    memcpy(p->bytes + p->len, text, strlen(text));
    p->len += strlen(text);
}
static void send_packet(int fd, const packet *payload)
{
    packet out = {{0}, 0};
    size_t padding = 8 + (8 - (payload->len + 5) % 8) % 8;
    add_u32(&out, (uint32_t)(1 + payload->len + padding));
    out.bytes[out.len++] = (unsigned char)padding;
    memcpy(out.bytes + out.len, payload->bytes, payload->len);
    out.len += payload->len + padding;
    CHECK(write(fd, out.bytes, out.len) == (ssize_t)out.len);
}
/* The server works while we wait. */
static void read_all(nacre_engine *engine, int fd, void *buf, size_t len)
{
    int64_t until = now_ms() + SOON;
    for (size_t done = 0; done < len;) {
        if (!with_threads) nacre_engine_dispatch(engine, 0);
        if (is_readable_within(fd, 5)) {
            ssize_t n = read(fd, (char *)buf + done, len - done);
            if (n <= 0) FAIL("the server left");
            done += (size_t)n;
        }
        CHECK(now_ms() < until);
    }
}
static void receive_packet(nacre_engine *engine, int fd, packet *p)
{
    unsigned char head[5];
    read_all(engine, fd, head, 5);
    size_t rest = ((size_t)head[2] << 8 | head[3]) - 1;
    CHECK(rest <= sizeof p->bytes);
    read_all(engine, fd, p->bytes, rest);
    p->len = rest - head[4];
}

/* The generator of the group that a new server gives out for 2,048 bits. */
static int generator_given(void)
{
    static const char hello[] = "SSH-2.0-test\r\n";
    nacre_server_callbacks callbacks = accepting();
    nacre_engine *engine = new_engine();
    packet kexinit = {{20}, 17}, request = {{34}, 1}, got;
    int fds[2];
    char byte = 0;
    socket_pair(fds);
    nacre_transport *server = transport_over(engine, fds[0]);
    OK(nacre_transport_add_host_key(server, host_key()));
    OK(nacre_transport_set_algorithms(server, NACRE_ALG_KEX, "+diffie-hellman-group-exchange-sha256"));
    start_server(server, &callbacks);
    CHECK(write(fds[1], hello, sizeof hello - 1) == sizeof hello - 1);
    add_string(&kexinit, "diffie-hellman-group-exchange-sha256");
    add_string(&kexinit, "ssh-ed25519");
    for (int i = 0; i < 2; i++) add_string(&kexinit, "aes128-ctr");
    for (int i = 0; i < 2; i++) add_string(&kexinit, "hmac-sha2-256");
    for (int i = 0; i < 2; i++) add_string(&kexinit, "none");
    for (int i = 0; i < 2; i++) add_string(&kexinit, "");
    kexinit.bytes[kexinit.len++] = 0;
    add_u32(&kexinit, 0);
    send_packet(fds[1], &kexinit);
    add_u32(&request, 2048);
    add_u32(&request, 2048);
    add_u32(&request, 8192);
    send_packet(fds[1], &request);
    while (byte != '\n') read_all(engine, fds[1], &byte, 1);
    receive_packet(engine, fds[1], &got);
    EQUAL(got.bytes[0], 20);
    receive_packet(engine, fds[1], &got);
    EQUAL(got.bytes[0], 31);
    /* Two mpints: 257 bytes with the sign, and one byte. */
    EQUAL(got.len, 1 + 4 + 257 + 4 + 1);
    nacre_transport_free(server);
    close(fds[1]);
    end_engine(engine);
    return got.bytes[got.len - 1];
}

/* --- steps --------------------------------------------------------------------------------------------------------- */

static void built_in_without_a_file(void)
{
    EQUAL(generator_given(), 2);
}
static void errors(void)
{
    size_t count = 77;
    EXPECT(nacre_load_moduli("/nowhere/moduli", &count), NACRE_ERR_NOT_FOUND);
    EQUAL(count, 0);
    EXPECT(nacre_load_moduli("/", &count), NACRE_ERR_IO);
    EXPECT(nacre_load_moduli("", NULL), NACRE_ERR_NOT_FOUND);
    count = 77;
    write_file("# nothing here\n");
    EXPECT(nacre_load_moduli(path, &count), NACRE_ERR_KEY_FORMAT);
    EQUAL(count, 0);
    write_file(LINE("1", "6", "5") LINE("2", "7", "5") "x\n");
    EXPECT(nacre_load_moduli(path, NULL), NACRE_ERR_KEY_FORMAT);
    EQUAL(generator_given(), 2);
}
static void primes_of_a_file_are_given_out(void)
{
    size_t count = 77;
    write_file("# Time Type Tests Tries Size Generator Modulus\n" LINE("2", "6", "5") LINE("4", "6", "7"));
    OK(nacre_load_moduli(path, &count));
    EQUAL(count, 1);
    EQUAL(generator_given(), 5);
    /* A file that is no good leaves the one before. */
    write_file("x");
    EXPECT(nacre_load_moduli(path, &count), NACRE_ERR_KEY_FORMAT);
    EQUAL(generator_given(), 5);
    write_file(LINE("2", "6", "B"));
    OK(nacre_load_moduli(path, NULL));
    EQUAL(generator_given(), 11);
}
static void the_system_has_a_file(void)
{
    size_t count = 0;
    if (access("/etc/ssh/moduli", R_OK) != 0 && access("/usr/local/etc/moduli", R_OK) != 0 &&
        access("/etc/moduli", R_OK) != 0) {
        FAIL("no moduli file is on this system: install Debian's openssh-server");
    }
    OK(nacre_load_moduli(NULL, &count));
    CHECK(count >= 10);
}
/* Both sides are the library's. */
static void group_exchanges_in_full(void)
{
    nacre_server_callbacks callbacks = accepting();
    static const char *const names[] = {"diffie-hellman-group-exchange-sha256", "diffie-hellman-group-exchange-sha1"};
    for (size_t i = 0; i < 2; i++) {
        nacre_negotiated info = NACRE_INIT(nacre_negotiated);
        pair both = new_pair();
        OK(nacre_transport_set_algorithms(both.client, NACRE_ALG_KEX, names[i]));
        OK(nacre_transport_set_algorithms(both.server, NACRE_ALG_KEX, names[i]));
        start_server(both.server, &callbacks);
        expect_logged_in(both.client);
        OK(nacre_transport_rekey(both.client, SOON, NULL));
        OK(nacre_transport_rekey(both.client, SOON, NULL));
        OK(nacre_transport_negotiated(both.client, &info));
        SAME(info.kex, names[i]);
        EQUAL(info.rekeys, 2);
        end_pair(&both);
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    snprintf(path, sizeof path, "/tmp/nacre-moduli-%d", (int)getpid());
    host_key();
    RUN(built_in_without_a_file);
    RUN(errors);
    RUN(primes_of_a_file_are_given_out);
    RUN(group_exchanges_in_full);
    RUN(the_system_has_a_file);
    RUN(group_exchanges_in_full);
    unlink(path);
    return 0;
}
