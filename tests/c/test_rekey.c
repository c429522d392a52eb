/* New keys while data flows: from either side, by limits, by both at once; the session stays the same. */
#include "common.h"

static nacre_negotiated info_of(nacre_transport *transport)
{
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    OK(nacre_transport_negotiated(transport, &info));
    return info;
}
static void expect_same_session(const nacre_negotiated *before, const nacre_negotiated *after)
{
    EQUAL(before->session_id_len, after->session_id_len);
    CHECK(before->session_id_len >= 20 && before->session_id_len <= sizeof before->session_id);
    CHECK(memcmp(before->session_id, after->session_id, before->session_id_len) == 0);
}

static void forced(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    uint64_t op = 0;
    pair both = new_pair();
    EXPECT(nacre_transport_rekey(both.client, SOON, NULL), NACRE_ERR_STATE);
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    open_both(&both, &near_end, &far_end);
    nacre_negotiated client = info_of(both.client), server = info_of(both.server);
    EQUAL(client.rekeys, 0);
    EQUAL(server.rekeys, 0);
    expect_same_session(&client, &server);
    SAME(client.kex, server.kex);
    SAME(client.cipher_out, server.cipher_in);
    SAME(client.cipher_in, server.cipher_out);
    SAME(client.mac_out, server.mac_in);
    SAME(client.host_key, "ssh-ed25519");
    EQUAL(client.strict_kex, 1);
    for (int i = 1; i <= 3; i++) {
        OK(nacre_transport_rekey(both.client, SOON, NULL));
        EQUAL(info_of(both.client).rekeys, 2 * i - 1);
        write_text(near_end, "between");
        read_text(far_end, "between");
        OK(nacre_transport_rekey(both.server, SOON, &op));
        EQUAL(info_of(both.server).rekeys, 2 * i);
        write_text(far_end, "after");
        read_text(near_end, "after");
    }
    nacre_negotiated after = info_of(both.client), at_server = info_of(both.server);
    EQUAL(after.rekeys, 6);
    EQUAL(at_server.rekeys, 6);
    expect_same_session(&client, &after);
    expect_same_session(&client, &at_server);
    SAME(client.cipher_in, after.cipher_in);
    CHECK(after.bytes_in > client.bytes_in && after.packets_out > client.packets_out);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}
/* Both sides begin at the same time: one exchange, and both operations end. */
static void crossing(void)
{
    nacre_server_callbacks callbacks = accepting();
    nacre_channel *near_end, *far_end;
    nacre_event event = NACRE_INIT(nacre_event);
    pair both = connected_pair(&callbacks);
    open_both(&both, &near_end, &far_end);
    for (int i = 0; i < 5; i++) {
        uint64_t mine = 0, theirs = 0, third = 0;
        size_t n = 0;
        EXPECT(nacre_transport_rekey(both.client, 0, &mine), NACRE_ERR_AGAIN);
        nacre_status status = nacre_transport_rekey(both.server, 0, &theirs);
        CHECK(status == NACRE_ERR_AGAIN || (with_threads && status == NACRE_ERR_STATE));
        if (!with_threads) EXPECT(nacre_transport_rekey(both.client, 0, &third), NACRE_ERR_STATE);
        /* Data is taken meanwhile, and arrives. */
        OK(nacre_channel_write(near_end, "during", 6, 0, &n));
        EQUAL(n, 6);
        OK(nacre_transport_wait(both.client, mine, SOON, &event));
        OK(event.status);
        EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
        if (status == NACRE_ERR_AGAIN) {
            OK(nacre_transport_wait(both.server, theirs, SOON, &event));
            OK(event.status);
        }
        read_text(far_end, "during");
    }
    EQUAL(info_of(both.client).rekeys, info_of(both.server).rekeys);
    CHECK(info_of(both.client).rekeys >= 5 && info_of(both.client).rekeys <= 10);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    end_pair(&both);
}

static size_t much(void)
{
    return is_short_run() ? 1 << 18 : 4 << 20;
}
static void *write_much(void *argument)
{
    unsigned char buf[50000];
    nacre_channel *channel = argument;
    for (size_t done = 0; done < much();) {
        size_t part = much() - done < sizeof buf ? much() - done : sizeof buf;
        pattern(buf, part, done, 3);
        write_bytes(channel, buf, part);
        done += part;
    }
    OK(nacre_channel_send_eof(channel));
    return NULL;
}
/* Data goes there and back through "cat" while keys change. */
static void flow(pair *both, uint64_t at_least)
{
    static unsigned char buf[100000];
    nacre_negotiated before = info_of(both->client);
    uint64_t total = 0;
    size_t n = 0;
    pthread_t thread;
    nacre_status status;
    nacre_channel *channel = exec(both->client, "cat");
    CHECK(pthread_create(&thread, NULL, write_much, channel) == 0);
    while ((status = nacre_channel_read(channel, buf, sizeof buf, SOON, &n)) == NACRE_OK) {
        check_pattern(buf, n, total, 3);
        total += n;
    }
    EXPECT(status, NACRE_ERR_EOF);
    EQUAL(total, much());
    CHECK(pthread_join(thread, NULL) == 0);
    expect_exit_status(channel, 0);
    nacre_channel_free(channel);
    nacre_negotiated client = info_of(both->client);
    if (client.rekeys < before.rekeys + at_least)
        FAIL("%llu key exchanges, not %llu", (unsigned long long)(client.rekeys - before.rekeys),
             (unsigned long long)at_least);
    expect_same_session(&before, &client);
}
static void by_bytes(int client_too, int server_too)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pair both = new_pair();
    uint64_t limit = much() / 16, bytes = 0, packets = 0;
    uint32_t seconds = 0;
    if (client_too) OK(nacre_transport_set_rekey_limits(both.client, limit, 0, 0));
    if (server_too) OK(nacre_transport_set_rekey_limits(both.server, limit, 0, 0));
    OK(nacre_transport_rekey_limits(client_too ? both.client : both.server, &bytes, &packets, &seconds));
    EQUAL(bytes, limit);
    EQUAL(packets, 1LL << 31);
    EQUAL(seconds, 3600);
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    flow(&both, is_short_run() ? 1 : 4);
    end_commands(&both, &server);
}
static void by_client_limit(void)
{
    by_bytes(1, 0);
}
static void by_server_limit(void)
{
    by_bytes(0, 1);
}
static void by_both_limits(void)
{
    by_bytes(1, 1);
}
static void by_packets(void)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pair both = new_pair();
    OK(nacre_transport_set_rekey_limits(both.client, 0, is_short_run() ? 6 : 20, 0));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    flow(&both, is_short_run() ? 1 : 5);
    end_commands(&both, &server);
}
static void by_time(void)
{
    nacre_server_callbacks callbacks = accepting();
    pair both = new_pair();
    OK(nacre_transport_set_rekey_limits(both.client, 0, 0, 1));
    start_server(both.server, &callbacks);
    expect_logged_in(both.client);
    int64_t begun = now_ms();
    while (info_of(both.client).rekeys == 0) {
        CHECK(now_ms() - begun < 20000);
        if (with_threads) pause_ms(5);
        else (void)nacre_engine_dispatch(both.engine, 100);
    }
    CHECK(now_ms() - begun >= 900);
    end_pair(&both);
}
/* Threads that rekey on both sides while data flows. */
typedef struct rekeyer {
    nacre_transport *transport;
    int stop, done, ended;
} rekeyer;
static void *rekey_again(void *argument)
{
    rekeyer *job = argument;
    while (!COUNT(job->stop)) {
        nacre_status status = nacre_transport_rekey(job->transport, SOON, NULL);
        if (status != NACRE_ERR_STATE) {
            OK(status);
            ADD(job->done, 1);
        }
        pause_ms(1);
    }
    ADD(job->ended, 1);
    return NULL;
}
static void forced_in_the_flow(void)
{
    command_server server;
    nacre_server_callbacks callbacks = commands(&server);
    pthread_t threads[2];
    pair both = connected_apart_pair(&callbacks);
    rekeyer jobs[2] = {{both.client, 0, 0, 0}, {both.server, 0, 0, 0}};
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, rekey_again, &jobs[i]) == 0);
    flow(&both, 2);
    for (int i = 0; i < 2; i++) ADD(jobs[i].stop, 1);
    for (int i = 0; i < 2; i++) {
        /* The server's last exchange needs a client that is driven. */
        while (!with_threads && !COUNT(jobs[i].ended)) (void)nacre_engine_dispatch(both.engine, 10);
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(jobs[0].done + jobs[1].done >= 2);
    EQUAL(nacre_transport_is_active(both.client), 1);
    end_commands(&both, &server);
}
/* Each cipher and each way of key exchange lives through a change of keys. */
static void each_algorithm(void)
{
    char list[1024] = "";
    for (int kind = NACRE_ALG_KEX; kind <= NACRE_ALG_CIPHER; kind += NACRE_ALG_CIPHER - NACRE_ALG_KEX) {
        TEXT_OF(list, nacre_algorithms_available, kind);
        for (char *rest = list, *name; (name = strtok_r(rest, ",", &rest)) != NULL;) {
            nacre_server_callbacks callbacks = accepting();
            nacre_channel *near_end, *far_end;
            pair both = new_pair();
            OK(nacre_transport_set_algorithms(both.client, kind, name));
            OK(nacre_transport_set_algorithms(both.server, kind, name));
            EXPECT_TEXT(name, nacre_transport_get_algorithms, both.client, kind);
            start_server(both.server, &callbacks);
            expect_logged_in(both.client);
            nacre_negotiated info = info_of(both.client);
            SAME(kind == NACRE_ALG_KEX ? info.kex : info.cipher_out, name);
            SAME(kind == NACRE_ALG_KEX ? info.kex : info.cipher_in, name);
            open_both(&both, &near_end, &far_end);
            write_text(near_end, "before");
            OK(nacre_transport_rekey(both.client, SOON, NULL));
            write_text(near_end, " and after");
            read_text(far_end, "before and after");
            EXPECT(nacre_transport_set_algorithms(both.client, kind, name), NACRE_ERR_STATE);
            nacre_channel_free(near_end);
            nacre_channel_free(far_end);
            end_pair(&both);
        }
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(forced);
    RUN(crossing);
    RUN(by_client_limit);
    RUN(by_server_limit);
    RUN(by_both_limits);
    RUN(by_packets);
    RUN(by_time);
    RUN(forced_in_the_flow);
    RUN(each_algorithm);
    return 0;
}
