/*
 * Sizes beyond 32 bits, over sparse memory: what is written and read is what the peer allows, never the size modulo 2^32;
 * and what has to fit into one packet is refused, without a copy.
 */
#include "ends.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* Cut to 32 bits it is 5. */
#define HUGE ((size_t)(1ull << 32) + 5)
/* Some of what is written at a time. */
#define PART ((size_t)2 << 20)

/* The same two megabytes of 'x' again and again, and a NUL after HUGE of them. */
static const char *huge_text(void)
{
    size_t parts = HUGE / PART + 1, page = (size_t)sysconf(_SC_PAGESIZE);
    int fd = memfd_create("part", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)PART) == 0);
    char *part = mmap(NULL, PART, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(part != MAP_FAILED);
    memset(part, 'x', PART);
    char *all = mmap(NULL, parts * PART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(all != MAP_FAILED);
    for (size_t i = 0; i + 1 < parts; i++)
        CHECK(mmap(all + i * PART, PART, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
    char *last = all + (parts - 1) * PART;
    CHECK(mmap(last, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    memset(last, 'x', 5);
    munmap(part, PART);
    close(fd);
    return all;
}
static char *huge_buffer(void)
{
    char *all = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(all != MAP_FAILED);
    return all;
}

static const char *huge;
static char *buffer;
static nacre_engine *engine;
static pair both;
static nacre_channel *near_end, *far_end;

static void read_xs(size_t len)
{
    static char part[65536], xs[65536];
    memset(xs, 'x', sizeof xs);
    while (len > 0) {
        size_t n = 0, want = len < sizeof part ? len : sizeof part;
        OK(nacre_channel_read(far_end, part, want, SOON, &n));
        CHECK(n > 0 && n <= want && memcmp(part, xs, n) == 0);
        len -= n;
    }
}

static void written(void)
{
    size_t n = 0, total = 0;
    OK(nacre_channel_write(near_end, huge, HUGE, SOON, &n));
    CHECK(n > 5 && n < HUGE);
    total += n;
    /* All of it takes longer than this; what was taken is told. */
    EXPECT(nacre_channel_write_all(near_end, huge, HUGE, 100, &n), NACRE_ERR_AGAIN);
    CHECK(n > 5 && n < HUGE);
    total += n;
    CHECK(total < (size_t)256 << 20);
    read_xs(total);
    OK(nacre_channel_write_stderr(far_end, huge, HUGE, SOON, &n));
    CHECK(n > 5 && n < HUGE);
    while (n > 0) {
        size_t got = 0;
        OK(nacre_channel_read_stderr(near_end, buffer, HUGE, SOON, &got));
        CHECK(got > 0 && got <= n && buffer[0] == 'x' && buffer[got - 1] == 'x');
        n -= got;
    }
    talk(near_end, far_end);
}

static void read_into(void)
{
    size_t n = 0;
    write_text(far_end, "hello");
    OK(nacre_channel_peek(near_end, buffer, HUGE, SOON, &n));
    CHECK(n >= 1 && n <= 5);
    for (size_t done = 0; done < 5; done += n) {
        OK(nacre_channel_read(near_end, buffer + done, HUGE - done, SOON, &n));
        CHECK(n >= 1 && n <= 5 - done);
    }
    CHECK(memcmp(buffer, "hello", 5) == 0);
    EXPECT(nacre_channel_read(near_end, buffer, HUGE, 0, &n), NACRE_ERR_AGAIN);
    EQUAL(n, 0);
    OK(nacre_transport_describe(both.client, buffer, HUGE, &n));
    EQUAL(n, strlen(buffer) + 1);
}

/* From here on a copy of something huge is not to be had: the library would have to give up. */
static void leave_no_room_for_copies(void)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmData: %ld", &kib) == 1) break;
    fclose(file);
    CHECK(kib > 0);
    struct rlimit limit = {((rlim_t)kib << 10) + ((rlim_t)1 << 30), RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
}

/* Quickly and without a copy. */
static void refused(const char *name, nacre_status status)
{
    if (status != NACRE_ERR_ARGUMENT && status != NACRE_ERR_LIMIT && status != NACRE_ERR_KEY_FORMAT)
        FAIL("%s: %s", name, nacre_status_name(status));
}
#define REFUSED(call) refused(#call, call)

static void bytes(void)
{
    nacre_message *message = NULL;
    nacre_key *key = NULL;
    size_t n = 0;
    uint64_t op = 0;
    OK(nacre_message_new(&message));
    OK(nacre_message_add_uint32(message, 7));
    REFUSED(nacre_message_add_string(message, huge, HUGE));
    REFUSED(nacre_message_add_bytes(message, huge, HUGE));
    REFUSED(nacre_message_add_mpint(message, huge, HUGE));
    OK(nacre_message_bytes(message, buffer, HUGE, &n));
    EQUAL(n, 4);
    REFUSED(nacre_message_get_bytes(message, buffer, HUGE) == NACRE_ERR_PROTOCOL ? NACRE_ERR_LIMIT : NACRE_OK);
    nacre_message_free(message);
    REFUSED(nacre_transport_global_request(both.client, "x@example", huge, HUGE, 1, 0, NULL, &op));
    REFUSED(nacre_channel_request(near_end, "x@example", huge, HUGE, 1, 0, &op));
    REFUSED(nacre_channel_pty(near_end, "vt100", 80, 24, 0, 0, huge, HUGE, 0, &op));
    REFUSED(nacre_key_from_blob(huge, HUGE, &key, NULL));
    REFUSED(nacre_key_load_memory(huge, HUGE, NULL, &key, NULL));
    CHECK(key == NULL && op == 0);
    talk(near_end, far_end);
}

static void texts(void)
{
    pair fresh = new_pair(engine, engine);
    nacre_transport *transport = NULL;
    nacre_key *key = NULL;
    uint64_t op = 0;
    REFUSED(nacre_channel_exec(near_end, huge, 0, &op));
    /* All of it takes half a second each time: the rest is only longer than what is refused, but for the long form. */
    const char *text = is_long_run() ? huge : huge + (HUGE - ((size_t)17 << 20));
    REFUSED(nacre_channel_exec(near_end, text, 0, &op));
    REFUSED(nacre_channel_subsystem(near_end, text, 0, &op));
    REFUSED(nacre_channel_env(near_end, text, "value", 0, &op));
    REFUSED(nacre_channel_env(near_end, "name", text, 0, &op));
    REFUSED(nacre_channel_pty(near_end, text, 80, 24, 0, 0, NULL, 0, 0, &op));
    REFUSED(nacre_channel_send_signal(near_end, text));
    REFUSED(nacre_channel_send_exit_signal(far_end, "TERM", 0, text));
    REFUSED(nacre_channel_request(near_end, text, NULL, 0, 1, 0, &op));
    REFUSED(nacre_transport_global_request(both.client, text, NULL, 0, 1, 0, NULL, &op));
    REFUSED(nacre_transport_dial(engine, text, 0, &transport, &op, NULL));
    REFUSED(nacre_transport_send_banner(fresh.server, text));
    REFUSED(nacre_key_generate(NACRE_KEY_ED25519, 0, text, &key, NULL));
    /* Not yet: the session decides when it is asked to authenticate. */
    nacre_server_callbacks plain = plain_server();
    nacre_host_key_check any = NACRE_INIT(nacre_host_key_check);
    any.flags = NACRE_HOST_KEY_ANY;
    start_server(fresh.server, &plain);
    OK(nacre_transport_set_host_key_check(fresh.client, &any));
    OK(nacre_transport_start_client(fresh.client, SOON, NULL));
    REFUSED(nacre_transport_auth_none(fresh.client, text, 0, &op));
    REFUSED(nacre_transport_auth_password(fresh.client, text, "secret", 0, 0, &op));
    REFUSED(nacre_transport_auth_password(fresh.client, "tester", text, 0, 0, &op));
    REFUSED(nacre_transport_auth_publickey(fresh.client, text, host_key(), 0, &op));
    REFUSED(nacre_transport_auth_interactive(fresh.client, text, NULL, NULL, NULL, NULL, 0, &op));
    REFUSED(nacre_transport_auth_interactive(fresh.client, "tester", text, NULL, NULL, NULL, 0, &op));
    OK(nacre_transport_auth_password(fresh.client, "tester", "secret", 0, SOON, NULL));
    REFUSED(nacre_transport_disconnect(fresh.client, 11, text));
    CHECK(transport == NULL && key == NULL && op == 0);
    free_pair(fresh);
    talk(near_end, far_end);
}

/* The whole of it is what is signed. */
static void signed_data(void)
{
    unsigned char signature[512];
    size_t len = 0;
    OK(nacre_key_sign(host_key(), NULL, "xxxxx", 5, signature, sizeof signature, &len));
    CHECK(nacre_key_verify(host_key(), NULL, huge, HUGE, signature, len) != NACRE_OK);
    OK(nacre_key_verify(host_key(), NULL, huge, 5, signature, len));
    CHECK(nacre_key_verify(host_key(), NULL, huge, 5, huge, HUGE) != NACRE_OK);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    watchdog(is_short_run() || is_long_run() ? 1200 : 110);
    huge = huge_text();
    buffer = huge_buffer();
    engine = new_engine();
    both = connected_pair(engine);
    open_both(both, &near_end, &far_end);
    RUN(written);
    RUN(read_into);
    /* A sanitizer has its own ways with memory. */
    if (!is_short_run()) leave_no_room_for_copies();
    RUN(bytes);
    /* A sanitizer would look at each of the bytes. */
    if (!is_short_run()) RUN(texts);
    if (is_long_run()) RUN(signed_data);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
    return 0;
}
