/* Channels of every type, and asking the server to listen: what is asked, what comes, who gets it, what is cancelled. */
#include "ends.h"

static nacre_engine *engine;

/* --- channels of every type --------------------------------------------------------------------------- */

static nacre_decision take_all(void *userdata, nacre_transport *transport, nacre_channel *channel, const char *kind,
                               const void *data, size_t len, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)channel, (void)kind, (void)data, (void)len, (void)ticket;
    return NACRE_ACCEPT;
}

/* A client and a server that take every channel. */
static pair open_pair(void)
{
    nacre_server_callbacks server = plain_server();
    nacre_client_callbacks client = NACRE_INIT(nacre_client_callbacks);
    server.channel_open = take_all;
    client.channel_open = take_all;
    pair both = connected_pair_of(engine, engine, &server);
    OK(nacre_transport_set_client_callbacks(both.client, &client));
    return both;
}

static void expect_address(nacre_status (*getter)(const nacre_channel *, char *, size_t, size_t *, uint32_t *),
                           nacre_channel *channel, const char *host, uint32_t port)
{
    char got[256] = "";
    uint32_t number = 77777;
    size_t needed = 0;
    if (host == NULL) {
        EXPECT(getter(channel, got, sizeof got, &needed, &number), NACRE_ERR_NOT_FOUND);
        return;
    }
    EXPECT(getter(channel, got, strlen(host), &needed, &number), NACRE_ERR_BUFFER);
    EQUAL(needed, strlen(host) + 1);
    OK(getter(channel, got, sizeof got, &needed, &number));
    if (strcmp(got, host) != 0) FAIL("the host is \"%s\", not \"%s\"", got, host);
    EQUAL(number, port);
}

/* What is known of it is the same at both ends, and bytes go both ways. */
static void expect_channel(nacre_channel *ours, nacre_transport *to, const char *kind, const char *to_host,
                           uint32_t to_port, const char *from_host, uint32_t from_port, const char *path)
{
    nacre_channel *ends[2] = {ours, NULL};
    OK(nacre_transport_accept(to, SOON, &ends[1]));
    for (int i = 0; i < 2; i++) {
        char text[256] = "";
        OK(nacre_channel_kind(ends[i], text, sizeof text, NULL));
        if (strcmp(text, kind) != 0) FAIL("the type is \"%s\", not \"%s\"", text, kind);
        expect_address(nacre_channel_destination, ends[i], to_host, to_port);
        expect_address(nacre_channel_originator, ends[i], from_host, from_port);
        if (path == NULL) {
            EXPECT(nacre_channel_path(ends[i], text, sizeof text, NULL), NACRE_ERR_NOT_FOUND);
        } else {
            OK(nacre_channel_path(ends[i], text, sizeof text, NULL));
            if (strcmp(text, path) != 0) FAIL("the path is \"%s\", not \"%s\"", text, path);
        }
    }
    talk(ends[0], ends[1]);
    nacre_channel_free(ends[0]);
    nacre_channel_free(ends[1]);
}

static void every_type(void)
{
    pair both = open_pair();
    nacre_channel *channel = NULL;
    OK(nacre_transport_open_direct_tcpip(both.client, "example.net", 443, "10.0.0.1", 50000, SOON, &channel, NULL));
    expect_channel(channel, both.server, "direct-tcpip", "example.net", 443, "10.0.0.1", 50000, NULL);
    OK(nacre_transport_open_direct_tcpip(both.client, "::1", 65535, NULL, 0, SOON, &channel, NULL));
    expect_channel(channel, both.server, "direct-tcpip", "::1", 65535, "127.0.0.1", 0, NULL);
    OK(nacre_transport_open_direct_streamlocal(both.client, "/run/\xff", SOON, &channel, NULL));
    expect_channel(channel, both.server, "direct-streamlocal@openssh.com", NULL, 0, NULL, 0, "/run/\xff");
    OK(nacre_transport_open_forwarded_tcpip(both.server, "", 8080, "fe80::1", 1, SOON, &channel, NULL));
    expect_channel(channel, both.client, "forwarded-tcpip", "", 8080, "fe80::1", 1, NULL);
    OK(nacre_transport_open_forwarded_streamlocal(both.server, "/tmp/s", SOON, &channel, NULL));
    expect_channel(channel, both.client, "forwarded-streamlocal@openssh.com", NULL, 0, NULL, 0, "/tmp/s");
    OK(nacre_transport_open_x11(both.server, "localhost", 6010, SOON, &channel, NULL));
    expect_channel(channel, both.client, "x11", NULL, 0, "localhost", 6010, NULL);
    OK(nacre_transport_open_agent(both.server, SOON, &channel, NULL));
    expect_channel(channel, both.client, "auth-agent@openssh.com", NULL, 0, NULL, 0, NULL);
    free_pair(both);
}

static void expect_opened(pair both, const nacre_channel_options *options, const char *kind, const char *to_host,
                          uint32_t to_port, const char *from_host, uint32_t from_port, const char *path)
{
    nacre_channel *channel = NULL;
    OK(nacre_transport_open_channel(both.client, options, SOON, &channel, NULL));
    expect_channel(channel, both.server, kind, to_host, to_port, from_host, from_port, path);
}

static void by_options(void)
{
    pair both = open_pair();
    nacre_channel *channel = NULL;
    nacre_channel_options options = NACRE_INIT(nacre_channel_options);
    nacre_channel_state state = NACRE_INIT(nacre_channel_state);
    OK(nacre_transport_open_channel(both.client, NULL, SOON, &channel, NULL));
    expect_channel(channel, both.server, "session", NULL, 0, NULL, 0, NULL);
    options.kind = "direct-tcpip";
    EXPECT(nacre_transport_open_channel(both.client, &options, SOON, &channel, NULL), NACRE_ERR_ARGUMENT);
    CHECK(channel == NULL);
    options.destination_host = "db";
    options.destination_port = 5432;
    expect_opened(both, &options, "direct-tcpip", "db", 5432, "127.0.0.1", 0, NULL);
    options.originator_host = "web";
    options.originator_port = 9;
    expect_opened(both, &options, "direct-tcpip", "db", 5432, "web", 9, NULL);
    options.kind = "forwarded-tcpip";
    expect_opened(both, &options, "forwarded-tcpip", "db", 5432, "web", 9, NULL);
    options.destination_port = 65536;
    EXPECT(nacre_transport_open_channel(both.client, &options, SOON, &channel, NULL), NACRE_ERR_ARGUMENT);
    options.destination_port = 0;
    options.kind = "x11";
    EXPECT(nacre_transport_open_channel(both.client, &options, SOON, &channel, NULL), NACRE_ERR_ARGUMENT);
    options.destination_host = NULL;
    expect_opened(both, &options, "x11", NULL, 0, "web", 9, NULL);
    options = (nacre_channel_options)NACRE_INIT(nacre_channel_options);
    options.kind = "direct-streamlocal@openssh.com";
    options.path = "/p";
    expect_opened(both, &options, options.kind, NULL, 0, NULL, 0, "/p");
    options.kind = "forwarded-streamlocal@openssh.com";
    expect_opened(both, &options, options.kind, NULL, 0, NULL, 0, "/p");
    options.path = NULL;
    options.kind = "mine@example.com";
    options.data = "\0\1\2";
    options.data_len = 3;
    options.window_bytes = 40000;
    options.max_packet_bytes = 9000;
    OK(nacre_transport_open_channel(both.client, &options, SOON, &channel, NULL));
    OK(nacre_channel_info(channel, &state));
    EQUAL(state.local_window, 40000);
    EQUAL(state.local_max_packet, 9000);
    expect_channel(channel, both.server, "mine@example.com", NULL, 0, NULL, 0, NULL);
    options.path = "/p";
    EXPECT(nacre_transport_open_channel(both.client, &options, SOON, &channel, NULL), NACRE_ERR_ARGUMENT);
    options.path = NULL;
    options.kind = "a type with blanks";
    EXPECT(nacre_transport_open_channel(both.client, &options, SOON, &channel, NULL), NACRE_ERR_ARGUMENT);
    free_pair(both);
}

/* --- listening ---------------------------------------------------------------------------------------- */

/* A server that listens at nothing, but says so: every question that came, and what it is answered. */
typedef struct listener {
    int listens, cancels, path_listens, path_cancels;
    char host[64];
    uint32_t port;
    uint32_t bound;
    nacre_decision decision;
    nacre_ticket *kept;
} listener;

static void note(listener *server, const char *host, uint32_t port, nacre_ticket *ticket)
{
    char text[64] = "";
    uint32_t number = 1;
    snprintf(server->host, sizeof server->host, "%s", host);
    server->port = port;
    OK(nacre_ticket_address(ticket, text, sizeof text, NULL, &number));
    CHECK(strcmp(text, host) == 0);
    EQUAL(number, port);
}
static nacre_decision port_forward(void *userdata, nacre_transport *transport, const char *host, uint32_t port,
                                   nacre_ticket *ticket)
{
    listener *server = userdata;
    (void)transport;
    note(server, host, port, ticket);
    if (server->decision == NACRE_DEFER) __atomic_store_n(&server->kept, ticket, __ATOMIC_RELEASE);
    if (server->decision == NACRE_ACCEPT && port == 0 && server->bound != 0) {
        EXPECT(nacre_ticket_answer(ticket, NACRE_ACCEPT), NACRE_ERR_ARGUMENT);
        OK(nacre_ticket_answer_port(ticket, server->bound));
    }
    __atomic_add_fetch(&server->listens, 1, __ATOMIC_ACQ_REL);
    return server->decision;
}
static nacre_decision cancel_port_forward(void *userdata, nacre_transport *transport, const char *host, uint32_t port,
                                          nacre_ticket *ticket)
{
    listener *server = userdata;
    (void)transport;
    note(server, host, port, ticket);
    __atomic_add_fetch(&server->cancels, 1, __ATOMIC_ACQ_REL);
    return NACRE_ACCEPT;
}
static nacre_decision streamlocal_forward(void *userdata, nacre_transport *transport, const char *path,
                                          nacre_ticket *ticket)
{
    listener *server = userdata;
    (void)transport;
    note(server, path, 0, ticket);
    __atomic_add_fetch(&server->path_listens, 1, __ATOMIC_ACQ_REL);
    return server->decision;
}
static nacre_decision cancel_streamlocal_forward(void *userdata, nacre_transport *transport, const char *path,
                                                 nacre_ticket *ticket)
{
    listener *server = userdata;
    (void)transport;
    note(server, path, 0, ticket);
    __atomic_add_fetch(&server->path_cancels, 1, __ATOMIC_ACQ_REL);
    return NACRE_ACCEPT;
}

static pair listening_pair(listener *server)
{
    nacre_server_callbacks callbacks = plain_server();
    memset(server, 0, sizeof *server);
    server->decision = NACRE_ACCEPT;
    callbacks.userdata = server;
    callbacks.port_forward = port_forward;
    callbacks.cancel_port_forward = cancel_port_forward;
    callbacks.streamlocal_forward = streamlocal_forward;
    callbacks.cancel_streamlocal_forward = cancel_streamlocal_forward;
    return connected_pair_of(engine, engine, &callbacks);
}

/* What a handler was given. */
typedef struct handler {
    nacre_channel *channels[16];
    int count, destroyed;
} handler;

static void handle(void *userdata, nacre_transport *transport, nacre_channel *channel)
{
    handler *to = userdata;
    int count = __atomic_load_n(&to->count, __ATOMIC_ACQUIRE);
    CHECK(transport != NULL && count < 16);
    EQUAL(__atomic_load_n(&to->destroyed, __ATOMIC_ACQUIRE), 0);
    to->channels[count] = channel;
    __atomic_add_fetch(&to->count, 1, __ATOMIC_ACQ_REL);
}
static void destroy(void *userdata)
{
    __atomic_add_fetch(&((handler *)userdata)->destroyed, 1, __ATOMIC_ACQ_REL);
}
static void until_count(const int *count, int wanted)
{
    int64_t until = now_ms() + SOON;
    while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < wanted) {
        if (now_ms() > until) FAIL("%d came, not %d", *count, wanted);
        if (with_threads) pause_ms(1);
        else (void)nacre_engine_dispatch(engine, 10);
    }
    EQUAL(__atomic_load_n(count, __ATOMIC_ACQUIRE), wanted);
}

/* A connection "comes" to the server's port, and reaches the handler's next channel, or the accept queue. */
static void come(pair both, const char *host, uint32_t port, handler *to)
{
    nacre_channel *far_end = NULL, *near_end = NULL;
    int before = to ? __atomic_load_n(&to->count, __ATOMIC_ACQUIRE) : 0;
    OK(nacre_transport_open_forwarded_tcpip(both.server, host, port, "192.0.2.7", 4711, SOON, &far_end, NULL));
    if (to) {
        until_count(&to->count, before + 1);
        near_end = to->channels[before];
    } else {
        OK(nacre_transport_accept(both.client, SOON, &near_end));
    }
    expect_address(nacre_channel_destination, near_end, host, port);
    expect_address(nacre_channel_originator, near_end, "192.0.2.7", 4711);
    talk(near_end, far_end);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
}
static void expect_nobody(pair both, const char *host, uint32_t port)
{
    nacre_channel *channel = NULL;
    EXPECT(nacre_transport_open_forwarded_tcpip(both.server, host, port, "x", 1, SOON, &channel, NULL),
           NACRE_ERR_CHANNEL_REFUSED);
    CHECK(channel == NULL);
}

static void ports(void)
{
    listener server;
    handler first = {{NULL}, 0, 0}, second = {{NULL}, 0, 0};
    uint32_t bound = 1;
    pair both = listening_pair(&server);
    expect_nobody(both, "localhost", 8080);
    OK(nacre_transport_request_forward(both.client, "localhost", 8080, handle, &first, destroy, SOON, &bound, NULL));
    EQUAL(bound, 8080);
    CHECK(strcmp(server.host, "localhost") == 0);
    EQUAL(server.port, 8080);
    server.bound = 40001;
    OK(nacre_transport_request_forward(both.client, "", 0, handle, &second, destroy, SOON, &bound, NULL));
    EQUAL(bound, 40001);
    OK(nacre_transport_request_forward(both.client, "::", 9090, NULL, NULL, NULL, SOON, NULL, NULL));
    come(both, "localhost", 8080, &first);
    come(both, "127.0.0.1", 8080, &first); /* As servers write it. */
    come(both, "", 40001, &second);
    come(both, "::", 9090, NULL);
    until_count(&first.count, 2);
    until_count(&second.count, 1);
    expect_nobody(both, "localhost", 8081);
    EXPECT(nacre_transport_cancel_forward(both.client, "localhost", 8081, SOON, NULL), NACRE_ERR_NOT_FOUND);
    EXPECT(nacre_transport_cancel_forward(both.client, "other", 8080, SOON, NULL), NACRE_ERR_NOT_FOUND);
    OK(nacre_transport_cancel_forward(both.client, "localhost", 8080, SOON, NULL));
    until_count(&server.cancels, 1);
    until_count(&first.destroyed, 1);
    expect_nobody(both, "localhost", 8080);
    until_count(&first.count, 2);
    OK(nacre_transport_cancel_forward(both.client, "", 40001, SOON, NULL));
    EQUAL(server.port, 40001);
    expect_nobody(both, "", 40001);
    come(both, "::", 9090, NULL);
    free_pair(both);
    until_count(&second.destroyed, 1);
}

/* The same port at two addresses: each has its own handler. */
static void addresses(void)
{
    listener server;
    handler first = {{NULL}, 0, 0}, second = {{NULL}, 0, 0};
    pair both = listening_pair(&server);
    OK(nacre_transport_request_forward(both.client, "10.0.0.1", 80, handle, &first, destroy, SOON, NULL, NULL));
    OK(nacre_transport_request_forward(both.client, "10.0.0.2", 80, handle, &second, destroy, SOON, NULL, NULL));
    come(both, "10.0.0.1", 80, &first);
    come(both, "10.0.0.2", 80, &second);
    come(both, "10.0.0.1", 80, &first);
    until_count(&first.count, 2);
    until_count(&second.count, 1);
    free_pair(both);
    until_count(&first.destroyed, 1);
    until_count(&second.destroyed, 1);
}

static void paths(void)
{
    listener server;
    handler handled = {{NULL}, 0, 0};
    nacre_channel *far_end = NULL;
    char text[64] = "";
    pair both = listening_pair(&server);
    OK(nacre_transport_request_streamlocal_forward(both.client, "/run/a", handle, &handled, destroy, SOON, NULL));
    until_count(&server.path_listens, 1);
    OK(nacre_transport_open_forwarded_streamlocal(both.server, "/run/a", SOON, &far_end, NULL));
    until_count(&handled.count, 1);
    OK(nacre_channel_path(handled.channels[0], text, sizeof text, NULL));
    CHECK(strcmp(text, "/run/a") == 0);
    talk(handled.channels[0], far_end);
    nacre_channel_free(handled.channels[0]);
    nacre_channel_free(far_end);
    EXPECT(nacre_transport_open_forwarded_streamlocal(both.server, "/run/b", SOON, &far_end, NULL),
           NACRE_ERR_CHANNEL_REFUSED);
    EXPECT(nacre_transport_cancel_streamlocal_forward(both.client, "/run/b", SOON, NULL), NACRE_ERR_NOT_FOUND);
    OK(nacre_transport_cancel_streamlocal_forward(both.client, "/run/a", SOON, NULL));
    until_count(&server.path_cancels, 1);
    until_count(&handled.destroyed, 1);
    EXPECT(nacre_transport_open_forwarded_streamlocal(both.server, "/run/a", SOON, &far_end, NULL),
           NACRE_ERR_CHANNEL_REFUSED);
    free_pair(both);
}

static void refused(void)
{
    listener server;
    handler handled = {{NULL}, 0, 0};
    uint32_t bound = 1;
    pair both = listening_pair(&server);
    server.decision = NACRE_REJECT;
    EXPECT(nacre_transport_request_forward(both.client, "", 80, handle, &handled, destroy, SOON, &bound, NULL),
           NACRE_ERR_REQUEST_DENIED);
    EQUAL(bound, 0);
    until_count(&handled.destroyed, 1);
    expect_nobody(both, "", 80);
    /* Accepting port 0 without saying which one it is refuses. */
    server.decision = NACRE_ACCEPT;
    EXPECT(nacre_transport_request_forward(both.client, "", 0, handle, &handled, destroy, SOON, &bound, NULL),
           NACRE_ERR_REQUEST_DENIED);
    until_count(&handled.destroyed, 2);
    /* Wrong from the start: `destroy` runs all the same. */
    EXPECT(nacre_transport_request_forward(both.client, "", 65536, handle, &handled, destroy, SOON, &bound, NULL),
           NACRE_ERR_ARGUMENT);
    until_count(&handled.destroyed, 3);
    EXPECT(nacre_transport_request_forward(NULL, "", 80, handle, &handled, destroy, SOON, &bound, NULL),
           NACRE_ERR_ARGUMENT);
    until_count(&handled.destroyed, 4);
    /* Only a client asks. */
    EXPECT(nacre_transport_request_forward(both.server, "", 80, handle, &handled, destroy, SOON, &bound, NULL),
           NACRE_ERR_STATE);
    until_count(&handled.destroyed, 5);
    until_count(&server.listens, 2);
    free_pair(both);
}

static nacre_decision any_request(void *userdata, nacre_transport *transport, const char *name, const void *data,
                                  size_t len, nacre_ticket *ticket)
{
    (void)userdata, (void)transport, (void)data, (void)ticket;
    CHECK(strcmp(name, "tcpip-forward") == 0 && len == 4 + 9 + 4);
    return NACRE_ACCEPT;
}
/* A server without these callbacks is asked by global_request; without that one it refuses. */
static void as_global_request(void)
{
    nacre_server_callbacks callbacks = plain_server();
    pair both = connected_pair_of(engine, engine, &callbacks);
    EXPECT(nacre_transport_request_forward(both.client, "localhost", 80, NULL, NULL, NULL, SOON, NULL, NULL),
           NACRE_ERR_REQUEST_DENIED);
    free_pair(both);
    callbacks.global_request = any_request;
    both = connected_pair_of(engine, engine, &callbacks);
    OK(nacre_transport_request_forward(both.client, "localhost", 80, NULL, NULL, NULL, SOON, NULL, NULL));
    come(both, "localhost", 80, NULL);
    free_pair(both);
}

/* The answer comes as an event; cancelled before it, what the server grants is undone. */
static void later(void)
{
    listener server;
    handler handled = {{NULL}, 0, 0};
    uint64_t op = 0;
    uint32_t bound = 1;
    nacre_event event = NACRE_INIT(nacre_event);
    pair both = listening_pair(&server);
    server.decision = NACRE_DEFER;
    EXPECT(nacre_transport_request_forward(both.client, "", 0, handle, &handled, destroy, 0, &bound, &op), NACRE_ERR_AGAIN);
    CHECK(op != 0);
    until_count(&server.listens, 1);
    OK(nacre_ticket_answer_port(server.kept, 50000));
    nacre_ticket_free(server.kept);
    OK(nacre_transport_wait(both.client, op, SOON, &event));
    EQUAL(event.kind, NACRE_EVENT_OPERATION_DONE);
    EQUAL(event.status, NACRE_OK);
    EQUAL(event.value, 50000);
    CHECK(event.message == NULL);
    come(both, "", 50000, &handled);
    EXPECT(nacre_transport_request_forward(both.client, "", 81, handle, &handled, destroy, 0, &bound, &op), NACRE_ERR_AGAIN);
    until_count(&server.listens, 2);
    OK(nacre_transport_cancel(both.client, op));
    until_count(&handled.destroyed, 1);
    OK(nacre_ticket_answer(server.kept, NACRE_ACCEPT));
    nacre_ticket_free(server.kept);
    until_count(&server.cancels, 1);
    EQUAL(server.port, 81);
    expect_nobody(both, "", 81);
    free_pair(both);
    until_count(&handled.destroyed, 2);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    engine = new_engine();
    RUN(every_type);
    RUN(by_options);
    RUN(ports);
    RUN(addresses);
    RUN(paths);
    RUN(refused);
    RUN(as_global_request);
    RUN(later);
    end_engine(engine);
    return 0;
}
