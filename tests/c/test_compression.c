/* Compression: asked for and refused, from the login on, in both directions, over new keys. */
#include "ends.h"

#define MUCH (1 << 20)

static nacre_engine *engine;

static void expect_list(nacre_transport *transport, const char *expected)
{
    char list[128];
    OK(nacre_transport_get_algorithms(transport, NACRE_ALG_COMPRESSION, list, sizeof list, NULL));
    if (strcmp(list, expected) != 0) FAIL("the list is %s, not %s", list, expected);
}

static void settings(void)
{
    static const int32_t wrong[] = {2, -1, INT32_MIN, INT32_MAX};
    nacre_server_callbacks plain = plain_server();
    pair both = new_pair(engine, engine);
    expect_list(both.client, "none,zlib@openssh.com");
    OK(nacre_transport_use_compression(both.client, 1));
    expect_list(both.client, "zlib@openssh.com,none");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        EXPECT(nacre_transport_use_compression(both.client, wrong[i]), NACRE_ERR_ARGUMENT);
        expect_list(both.client, "zlib@openssh.com,none");
    }
    OK(nacre_transport_use_compression(both.client, 0));
    expect_list(both.client, "none");
    EXPECT(nacre_transport_use_compression(NULL, 1), NACRE_ERR_ARGUMENT);
    start_server(both.server, &plain);
    EXPECT(nacre_transport_use_compression(both.server, 1), NACRE_ERR_STATE);
    OK(log_in(both.client, SOON, NULL));
    EXPECT(nacre_transport_use_compression(both.client, 1), NACRE_ERR_STATE);
    free_pair(both);
}

static nacre_negotiated info_of(nacre_transport *transport)
{
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    OK(nacre_transport_negotiated(transport, &info));
    return info;
}

/* How many bytes a megabyte of zeros took on the line; it arrives whole. */
static uint64_t cost(nacre_transport *from, nacre_channel *to_write, nacre_channel *to_read)
{
    static unsigned char sent[MUCH], got[MUCH];
    uint64_t before = info_of(from).bytes_out;
    size_t n = 0;
    OK(nacre_channel_write_all(to_write, sent, sizeof sent, SOON, &n));
    EQUAL(n, sizeof sent);
    memset(got, 1, sizeof got);
    read_exactly(to_read, got, sizeof got);
    CHECK(memcmp(sent, got, sizeof got) == 0);
    return info_of(from).bytes_out - before;
}

static void transfer(const char *client, const char *server, const char *expected)
{
    nacre_server_callbacks plain = plain_server();
    nacre_channel *near_end, *far_end;
    pair both = new_pair(engine, engine);
    OK(nacre_transport_set_algorithms(both.client, NACRE_ALG_COMPRESSION, client));
    OK(nacre_transport_set_algorithms(both.server, NACRE_ALG_COMPRESSION, server));
    start_server(both.server, &plain);
    OK(log_in(both.client, SOON, NULL));
    nacre_negotiated info = info_of(both.client);
    CHECK(strcmp(info.compression_in, expected) == 0 && strcmp(info.compression_out, expected) == 0);
    open_both(both, &near_end, &far_end);
    for (int round = 0; round < 3; round++) {
        uint64_t up = cost(both.client, near_end, far_end), down = cost(both.server, far_end, near_end);
        if (strcmp(expected, "none") == 0) CHECK(up > MUCH && down > MUCH);
        else CHECK(up < MUCH / 20 && down < MUCH / 20);
        talk(near_end, far_end);
        OK(nacre_transport_rekey(round % 2 ? both.client : both.server, SOON, NULL));
    }
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

static void transfers(void)
{
    transfer("zlib@openssh.com,none", "none,zlib@openssh.com", "zlib@openssh.com");
    transfer("none", "none,zlib@openssh.com", "none");
    transfer("zlib", "zlib", "zlib");
    transfer("none,zlib@openssh.com", "zlib@openssh.com,none", "none");
}

/* What cannot be compressed arrives as well. */
static void noise(void)
{
    static unsigned char sent[MUCH], got[MUCH];
    nacre_server_callbacks plain = plain_server();
    nacre_channel *near_end, *far_end;
    size_t n = 0;
    pair both = new_pair(engine, engine);
    OK(nacre_transport_use_compression(both.client, 1));
    OK(nacre_transport_use_compression(both.server, 1));
    start_server(both.server, &plain);
    OK(log_in(both.client, SOON, NULL));
    open_both(both, &near_end, &far_end);
    pattern(sent, sizeof sent, 0, 5);
    OK(nacre_channel_write_all(near_end, sent, sizeof sent, SOON, &n));
    read_exactly(far_end, got, sizeof got);
    CHECK(memcmp(sent, got, sizeof got) == 0);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    engine = new_engine();
    RUN(settings);
    RUN(transfers);
    RUN(noise);
    end_engine(engine);
    return 0;
}
