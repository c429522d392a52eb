/* Dialing: names, both families, ports, refusals, deadlines of the caller, and nothing that waits when nothing may. */
#include "ends.h"

#include <netdb.h>

#define NO_ENGINE_WAITS 3000

static nacre_engine *engine;

typedef struct peer {
    listening port;
    pthread_t thread;
    int accepted;
} peer;

/* Takes one connection and holds it. */
static void *take_one(void *argument)
{
    peer *self = argument;
    self->accepted = accept(self->port.fd, NULL, NULL);
    CHECK(self->accepted >= 0);
    return NULL;
}

static void dial_to(int family, const char *address)
{
    peer self = {listen_on(family, 4), 0, -1};
    nacre_transport *transport = NULL;
    nacre_error *err = NULL;
    uint64_t op = 0;
    int32_t fd = -1;
    char full[256], version[64] = "";
    if (self.port.fd < 0) return;
    snprintf(full, sizeof full, address, (unsigned)self.port.port);
    CHECK(pthread_create(&self.thread, NULL, take_one, &self) == 0);
    OK(nacre_transport_dial(engine, full, SOON, &transport, &op, &err));
    CHECK(transport != NULL && err == NULL);
    pthread_join(self.thread, NULL);
    OK(nacre_transport_fd(transport, &fd));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    /* Nothing of SSH is sent before the start, and then our identification comes first. */
    struct pollfd quiet = {self.accepted, POLLIN, 0};
    EQUAL(poll(&quiet, 1, 20), 0);
    EXPECT(nacre_transport_start_client(transport, 0, NULL), NACRE_ERR_AGAIN);
    if (!with_threads) nacre_engine_dispatch(engine, 0);
    EQUAL(poll(&quiet, 1, SOON), 1);
    CHECK(recv(self.accepted, version, 8, MSG_WAITALL) == 8);
    CHECK(memcmp(version, "SSH-2.0-", 8) == 0);
    close(self.accepted);
    stop_listening(&self.port);
    nacre_transport_free(transport);
}

static void numeric_v4(void) { dial_to(AF_INET, "127.0.0.1:%u"); }
static void numeric_v6(void) { dial_to(AF_INET6, "[::1]:%u"); }
static void a_name(void) { dial_to(AF_INET, "localhost:%u"); }

/* A name with several addresses: the one that answers is found, whichever comes first. */
static void several_addresses(void)
{
    struct addrinfo hints, *found = NULL;
    int families[2] = {0, 0};
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    CHECK(getaddrinfo("localhost", NULL, &hints, &found) == 0);
    for (struct addrinfo *it = found; it != NULL; it = it->ai_next) families[it->ai_family == AF_INET6] = 1;
    freeaddrinfo(found);
    if (families[0]) dial_to(AF_INET, "localhost:%u");
    if (families[1]) dial_to(AF_INET6, "localhost:%u");
}

static void wrong_addresses(void)
{
    static const char *const wrong[] = {"", ":", ":22", "host:", "host:0", "host:65536", "host:-1", "host:x", "host: 22",
                                        "host:22x", "[::1", "[::1]22", "[::1]:", "[]:22", "[::1]:0", "a b", "a:b:c", "1:2:3:22"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        nacre_transport *transport = (nacre_transport *)wrong;
        nacre_error *err = NULL;
        uint64_t op = 77;
        nacre_status status = nacre_transport_dial(engine, wrong[i], SOON, &transport, &op, &err);
        if (status != NACRE_ERR_ARGUMENT) FAIL("\"%s\": %s", wrong[i], nacre_status_name(status));
        CHECK(transport == NULL && op == 0);
        EXPECT(nacre_error_status(err), NACRE_ERR_ARGUMENT);
        nacre_error_free(err);
    }
    nacre_transport *transport = (nacre_transport *)wrong;
    EXPECT(nacre_transport_dial(engine, NULL, SOON, &transport, NULL, NULL), NACRE_ERR_ARGUMENT);
    CHECK(transport == NULL);
    EXPECT(nacre_transport_dial(engine, "127.0.0.1", -2, &transport, NULL, NULL), NACRE_ERR_ARGUMENT);
    EXPECT(nacre_transport_dial(engine, "127.0.0.1", SOON, NULL, NULL, NULL), NACRE_ERR_ARGUMENT);
}

static void expect_refused(nacre_error *err, const char *address)
{
    char text[256] = "";
    int32_t number = 0;
    EXPECT(nacre_error_status(err), NACRE_ERR_CONNECT);
    OK(nacre_error_address(err, text, sizeof text, NULL));
    if (strcmp(text, address) != 0) FAIL("\"%s\", not \"%s\"", text, address);
    OK(nacre_error_errno(err, &number));
    EQUAL(number, ECONNREFUSED);
    OK(nacre_error_text(err, text, sizeof text, NULL));
    CHECK(strstr(text, address) != NULL);
    nacre_error_free(err);
}

static void refused(void)
{
    nacre_transport *transport = (nacre_transport *)&engine;
    nacre_error *err = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0;
    const char *address = address_of("127.0.0.1", closed_port());
    EXPECT(nacre_transport_dial(engine, address, SOON, &transport, &op, &err), NACRE_ERR_CONNECT);
    CHECK(transport == NULL);
    expect_refused(err, address);
    /* The same as an event. */
    nacre_status status = nacre_transport_dial(engine, address, 0, &transport, &op, &err);
    if (status == NACRE_ERR_AGAIN) {
        CHECK(transport != NULL && op != 0 && err == NULL);
        int64_t until = now_ms() + SOON;
        while (nacre_transport_next_event(transport, &event) == NACRE_ERR_AGAIN || event.op != op) {
            CHECK(now_ms() < until);
            if (with_threads) pause_ms(1);
            else nacre_engine_dispatch(engine, 10);
        }
        EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
        EXPECT(event.status, NACRE_ERR_CONNECT);
        CHECK(event.transport == transport);
        OK(nacre_transport_take_error(transport, op, &err));
        expect_refused(err, address);
        EXPECT(nacre_transport_start_client(transport, SOON, NULL), NACRE_ERR_CONNECT);
        nacre_transport_free(transport);
    } else {
        EXPECT(status, NACRE_ERR_CONNECT);
        nacre_error_free(err);
    }
    /* By a name: the address that was tried is told, not the name. */
    char text[128] = "";
    EXPECT(nacre_transport_dial(engine, address_of("localhost", closed_port()), SOON, &transport, NULL, &err),
           NACRE_ERR_CONNECT);
    OK(nacre_error_address(err, text, sizeof text, NULL));
    CHECK(strncmp(text, "127.0.0.1:", 10) == 0 || strncmp(text, "[::1]:", 6) == 0);
    nacre_error_free(err);
}

static void unknown_name(void)
{
    nacre_transport *transport = (nacre_transport *)&engine;
    nacre_error *err = NULL;
    char text[256] = "";
    nacre_status status = nacre_transport_dial(engine, "no-such-host.invalid", SOON, &transport, NULL, &err);
    /* A resolver that answers nothing at all is no fault of ours. */
    if (status == NACRE_ERR_AGAIN) {
        nacre_transport_free(transport);
        return;
    }
    EXPECT(status, NACRE_ERR_RESOLVE);
    CHECK(transport == NULL);
    EXPECT(nacre_error_status(err), NACRE_ERR_RESOLVE);
    OK(nacre_error_text(err, text, sizeof text, NULL));
    CHECK(strstr(text, "no-such-host.invalid") != NULL);
    EXPECT(nacre_error_address(err, text, sizeof text, NULL), NACRE_ERR_NOT_FOUND);
    nacre_error_free(err);
}

/* The time of the call runs out, and the dial goes on; freeing it ends it. */
static void no_answer(void)
{
    listening hole = black_hole();
    nacre_transport *transport = NULL;
    nacre_error *err = NULL;
    nacre_event event = NACRE_INIT(nacre_event);
    uint64_t op = 0, start = 0;
    int64_t begun = now_ms();
    const char *address = address_of("127.0.0.1", hole.port);
    EXPECT(nacre_transport_dial(engine, address, 100, &transport, &op, &err), NACRE_ERR_AGAIN);
    CHECK(now_ms() - begun >= 100 && now_ms() - begun < NO_ENGINE_WAITS);
    CHECK(transport != NULL && op != 0 && err == NULL);
    begun = now_ms();
    EXPECT(nacre_transport_wait(transport, op, 50, &event), NACRE_ERR_AGAIN);
    CHECK(now_ms() - begun >= 50);
    EXPECT(nacre_transport_next_event(transport, &event), NACRE_ERR_AGAIN);
    EQUAL(nacre_transport_is_active(transport), 0);
    /* What is called on it waits its turn. */
    EXPECT(nacre_transport_start_client(transport, 0, &start), NACRE_ERR_AGAIN);
    CHECK(start != 0 && start != op);
    EXPECT(nacre_transport_start_client(transport, 0, NULL), NACRE_ERR_STATE);
    OK(nacre_transport_close(transport));
    OK(nacre_transport_wait(transport, start, SOON, &event));
    EXPECT(event.status, NACRE_ERR_CLOSED);
    OK(nacre_transport_wait(transport, op, SOON, &event));
    EXPECT(event.status, NACRE_ERR_CLOSED);
    nacre_transport_free(transport);
    /* Cancelled. */
    EXPECT(nacre_transport_dial(engine, address, 0, &transport, &op, NULL), NACRE_ERR_AGAIN);
    OK(nacre_transport_cancel(transport, op));
    EXPECT(nacre_transport_wait(transport, op, 0, &event), NACRE_ERR_NOT_FOUND);
    nacre_transport_free(transport);
    stop_listening(&hole);
}

/* Nothing waits, no library thread is there but for names: everything by events. */
static void by_events(void)
{
    listening port = listen_on(AF_INET, 4);
    nacre_transport *client = NULL, *server = NULL;
    nacre_server_callbacks plain = plain_server();
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_channel *channel = NULL;
    uint64_t dial = 0, login = 0, open = 0;
    int32_t fd = -1;
    int dialed = 0, logged_in = 0, opened = 0;
    nacre_status status =
        nacre_transport_dial(engine, address_of("127.0.0.1", port.port), 0, &client, &dial, NULL);
    if (status == NACRE_OK) dialed = 1;
    else EXPECT(status, NACRE_ERR_AGAIN);
    CHECK(client != NULL);
    /* Both wait for the connection. */
    EXPECT(log_in(client, 0, &login), NACRE_ERR_AGAIN);
    OK(nacre_transport_event_fd(client, &fd));
    int accepted = accept(port.fd, NULL, NULL);
    CHECK(accepted >= 0);
    OK(nacre_transport_from_fd(engine, accepted, &server, NULL));
    OK(nacre_transport_add_host_key(server, host_key()));
    start_server(server, &plain);
    int64_t until = now_ms() + SOON;
    while (!opened) {
        struct pollfd polled = {fd, POLLIN, 0};
        CHECK(now_ms() < until);
        if (!with_threads) {
            status = nacre_engine_dispatch(engine, 20);
            CHECK(status == NACRE_OK || status == NACRE_ERR_AGAIN);
        }
        if (poll(&polled, 1, with_threads ? 20 : 0) == 0) continue;
        OK(nacre_transport_next_event(client, &event));
        CHECK(event.transport == client);
        OK(event.status);
        if (event.op == dial) {
            EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
            CHECK(!dialed && !logged_in);
            dialed = 1;
        } else if (event.op == login) {
            EQUAL(event.kind, NACRE_EVENT_AUTH_RESULT);
            CHECK(dialed && !logged_in);
            logged_in = 1;
            EXPECT(nacre_transport_open_session(client, 0, &channel, &open), NACRE_ERR_AGAIN);
            CHECK(channel != NULL);
        } else {
            CHECK(event.op == open && open != 0);
            EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
            CHECK(event.channel == channel);
            opened = 1;
        }
    }
    nacre_channel_free(channel);
    nacre_transport_free(client);
    nacre_transport_free(server);
    stop_listening(&port);
}

/* The port is 22 when none is given, also for a bare IPv6 address. */
static void the_usual_port(void)
{
    static const char *const hosts[][2] = {{"127.0.0.1", "127.0.0.1:22"}, {"::1", "[::1]:22"}, {"[::1]", "[::1]:22"}};
    for (size_t i = 0; i < 3; i++) {
        nacre_transport *transport = NULL;
        nacre_error *err = NULL;
        char text[128] = "";
        nacre_status status = nacre_transport_dial(engine, hosts[i][0], SOON, &transport, NULL, &err);
        if (status == NACRE_ERR_CONNECT) {
            OK(nacre_error_address(err, text, sizeof text, NULL));
            if (strcmp(text, hosts[i][1]) != 0) FAIL("\"%s\", not \"%s\"", text, hosts[i][1]);
        } else {
            /* Somebody has an sshd. */
            OK(status);
        }
        nacre_error_free(err);
        nacre_transport_free(transport);
    }
}

/* A numeric address starts no helper thread. */
static void no_thread_for_numbers(void)
{
    listening hole = black_hole();
    nacre_transport *transport = NULL;
    int tasks = threads();
    EXPECT(nacre_transport_dial(engine, address_of("127.0.0.1", hole.port), 20, &transport, NULL, NULL),
           NACRE_ERR_AGAIN);
    EQUAL(threads(), tasks);
    nacre_transport_free(transport);
    stop_listening(&hole);
}

/* Many at once, some of them dead. */
static void many(void)
{
    enum { MANY = 40 };
    listening port = listen_on(AF_INET, 64), hole = black_hole();
    nacre_transport *transports[MANY];
    uint64_t ops[MANY];
    uint16_t nobody = closed_port();
    nacre_event event = NACRE_INIT(nacre_event);
    for (int i = 0; i < MANY; i++) {
        uint16_t number = i % 3 == 0 ? port.port : i % 3 == 1 ? nobody : hole.port;
        ops[i] = 0;
        nacre_status status =
            nacre_transport_dial(engine, address_of("127.0.0.1", number), 0, &transports[i], &ops[i], NULL);
        if (status == NACRE_ERR_AGAIN) CHECK(transports[i] != NULL && ops[i] != 0);
        else EXPECT(status, i % 3 == 0 ? NACRE_OK : NACRE_ERR_CONNECT);
        if (status != NACRE_ERR_AGAIN) ops[i] = 0;
    }
    for (int i = 0; i < MANY; i++) {
        if (transports[i] == NULL || ops[i] == 0) continue;
        nacre_status status = nacre_transport_wait(transports[i], ops[i], i % 3 == 2 ? 5 : SOON, &event);
        EXPECT(status, i % 3 == 2 ? NACRE_ERR_AGAIN : NACRE_OK);
        if (status == NACRE_OK) EXPECT(event.status, i % 3 == 0 ? NACRE_OK : NACRE_ERR_CONNECT);
    }
    for (int i = 0; i < MANY; i++) nacre_transport_free(transports[i]);
    stop_listening(&port);
    stop_listening(&hole);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    host_key();
    int fds = descriptors(), tasks = threads();
    engine = new_engine();
    RUN(numeric_v4);
    RUN(numeric_v6);
    RUN(a_name);
    RUN(several_addresses);
    RUN(wrong_addresses);
    RUN(refused);
    RUN(unknown_name);
    RUN(no_answer);
    RUN(by_events);
    RUN(the_usual_port);
    RUN(no_thread_for_numbers);
    RUN(many);
    end_engine(engine);
    EVENTUALLY(threads() == tasks);
    EVENTUALLY(descriptors() == fds);
    return 0;
}
