/*
 * Descriptors and memory: back to the start after a thousand connections and after each end of the default engine; and when
 * there are no descriptors left, a clear error, nothing lost, and everything works again afterwards.
 */
#include "ends.h"

#include <malloc.h>
#include <sys/resource.h>

/* What threads that come and go keep more or less of: a few bytes a connection would be more. */
#define WOBBLE (16 * 1024)

/* Bytes that are allocated. A sanitizer or valgrind counts for itself, and this stays 0. */
static int64_t allocated(void)
{
    return (int64_t)mallinfo2().uordblks;
}

static void one_connection(nacre_engine *engine)
{
    nacre_channel *near_end, *far_end;
    pair both = connected_pair(engine);
    open_both(both, &near_end, &far_end);
    talk(near_end, far_end);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
}

/* --- what connections leave ------------------------------------------------------------------------------------------ */

static void a_thousand_connections(void)
{
    int connections = is_short_run() ? 20 : 1000, warm = connections / 20;
    int before = descriptors(), tasks = threads();
    nacre_engine *engine = new_engine();
    int fds = 0;
    int64_t memory = 0;
    for (int i = 0; i < connections; i++) {
        one_connection(engine);
        if (i + 1 == warm) {
            /* The last of them may still be on its way out. */
            pause_ms(100);
            fds = descriptors();
            memory = allocated();
        }
    }
    EVENTUALLY(descriptors() <= fds);
    EVENTUALLY(allocated() <= memory + WOBBLE);
    end_engine(engine);
    EVENTUALLY(threads() <= tasks);
    EVENTUALLY(descriptors() == before);
}

/* Many at once, half of them cut without a word. */
static void many_at_once(void)
{
    enum { MOST = 100 };
    int count = is_short_run() ? 5 : MOST;
    int before = descriptors();
    int64_t memory = 0;
    for (int round = 0; round < 3; round++) {
        pair all[MOST];
        nacre_channel *near_end[MOST], *far_end[MOST];
        nacre_engine *engine = new_engine();
        for (int i = 0; i < count; i++) {
            all[i] = connected_pair(engine);
            open_both(all[i], &near_end[i], &far_end[i]);
        }
        for (int i = 0; i < count; i++) talk(near_end[i], far_end[i]);
        for (int i = 0; i < count; i++) {
            int32_t fd = -1;
            OK(nacre_transport_fd(all[i].client, &fd));
            if (i % 2) shutdown(fd, SHUT_RDWR);
            nacre_channel_free(near_end[i]);
            free_pair(all[i]);
            nacre_channel_free(far_end[i]);
        }
        end_engine(engine);
        EVENTUALLY(descriptors() == before);
        if (round == 0) memory = allocated();
    }
    EVENTUALLY(allocated() <= memory + WOBBLE);
}

static int dropped;
static void drop(void *userdata)
{
    CHECK(userdata == &dropped);
    __atomic_add_fetch(&dropped, 1, __ATOMIC_ACQ_REL);
}

/* Pointers of the application's: given back as they are, and dropped once with what they are on. */
static void userdata(void)
{
    nacre_engine *engine = new_engine();
    nacre_channel *near_end, *far_end;
    pair both = connected_pair(engine);
    open_both(both, &near_end, &far_end);
    dropped = 0;
    CHECK(nacre_engine_userdata(engine) == NULL && nacre_channel_userdata(near_end) == NULL);
    OK(nacre_engine_set_userdata(engine, &dropped, drop));
    OK(nacre_transport_set_userdata(both.client, &dropped, drop));
    OK(nacre_channel_set_userdata(near_end, &dropped, drop));
    CHECK(nacre_engine_userdata(engine) == &dropped);
    CHECK(nacre_transport_userdata(both.client) == &dropped);
    CHECK(nacre_channel_userdata(near_end) == &dropped);
    CHECK(nacre_channel_userdata(far_end) == NULL && nacre_transport_userdata(both.server) == NULL);
    OK(nacre_channel_set_userdata(near_end, NULL, NULL));
    EQUAL(dropped, 1);
    OK(nacre_channel_set_userdata(near_end, &dropped, drop));
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
    EVENTUALLY(__atomic_load_n(&dropped, __ATOMIC_ACQUIRE) == 4);
}

/* What belongs to no connection. */
static void keys_and_messages(void)
{
    int64_t memory = 0;
    for (int i = 0; i < 300; i++) {
        nacre_key *key = NULL, *copy = NULL;
        nacre_message *message = NULL;
        nacre_error *err = NULL;
        unsigned char blob[256];
        size_t len = 0;
        OK(nacre_key_generate(NACRE_KEY_ED25519, 0, "one of many", &key, NULL));
        OK(nacre_key_public_blob(key, blob, sizeof blob, &len));
        OK(nacre_key_from_blob(blob, len, &copy, NULL));
        nacre_key_free(copy);
        EXPECT(nacre_key_from_blob(blob, len - 1, &copy, &err), NACRE_ERR_KEY_FORMAT);
        CHECK(copy == NULL && err != NULL);
        OK(nacre_message_new(&message));
        OK(nacre_message_add_string(message, blob, len));
        nacre_message_free(message);
        nacre_error_free(err);
        nacre_key_free(key);
        if (i == 10) memory = allocated();
    }
    CHECK(allocated() <= memory + 1024);
}

static int over;
static void *wake_default(void *argument)
{
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) OK(nacre_engine_wake(NULL));
    return argument;
}

/* The default engine is of the process; nacre_engine_close(NULL) leaves nothing of it. */
static void the_default_engine(void)
{
    int before = descriptors(), tasks = threads();
    int rounds = is_short_run() ? 3 : 30;
    OK(nacre_engine_close(NULL, SOON));
    EQUAL(descriptors(), before);
    for (int i = 0; i < rounds; i++) {
        one_connection(NULL);
        CHECK(descriptors() > before);
        OK(nacre_engine_close(NULL, SOON));
        EQUAL(descriptors(), before);
        EVENTUALLY(threads() <= tasks);
    }
    /* While others look at it. */
    pthread_t waker;
    over = 0;
    CHECK(pthread_create(&waker, NULL, wake_default, NULL) == 0);
    for (int i = 0; i < rounds * 10; i++) {
        uint64_t value = 0;
        nacre_status status;
        OK(nacre_engine_limit(NULL, NACRE_LIMIT_CLOSE, &value));
        while ((status = nacre_engine_close(NULL, SOON)) == NACRE_ERR_INTERRUPTED) {
        }
        OK(status);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    pthread_join(waker, NULL);
    EVENTUALLY(descriptors() == before);
    EVENTUALLY(threads() <= tasks);
}

/* --- no descriptors left --------------------------------------------------------------------------------------------- */

enum { NUMBERS = 400 };
static int fillers[NUMBERS], filled;

/* Just so many more descriptors can be opened. */
static void leave_room(int room)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = NUMBERS;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (filled = 0; filled < NUMBERS; filled++)
        if ((fillers[filled] = fcntl(2, F_DUPFD_CLOEXEC, 0)) < 0) break;
    CHECK(errno == EMFILE && filled > room);
    while (room-- > 0) close(fillers[--filled]);
}
static void give_room(void)
{
    while (filled > 0) close(fillers[--filled]);
}

static void no_descriptor_for_an_engine(void)
{
    int before = descriptors(), tasks = threads();
    for (int room = 0;; room++) {
        nacre_engine_options options = NACRE_INIT(nacre_engine_options);
        nacre_engine *engine = (nacre_engine *)&options;
        options.threads = with_threads ? 3 : 0;
        leave_room(room);
        nacre_status status = nacre_engine_new(&options, &engine);
        give_room();
        if (status == NACRE_OK) {
            CHECK(room > 1);
            one_connection(engine);
            end_engine(engine);
            break;
        }
        EXPECT(status, NACRE_ERR_IO);
        CHECK(engine == NULL);
        EQUAL(descriptors(), before);
        EVENTUALLY(threads() <= tasks);
    }
    /* The default one, at its first use. */
    nacre_transport *transport = NULL;
    nacre_error *err = NULL;
    int32_t number = 0;
    int fds[2];
    socket_pair(fds);
    leave_room(1);
    EXPECT(nacre_transport_from_fd(NULL, fds[0], &transport, &err), NACRE_ERR_IO);
    give_room();
    CHECK(transport == NULL && fcntl(fds[0], F_GETFD) >= 0);
    OK(nacre_error_errno(err, &number));
    EQUAL(number, EMFILE);
    nacre_error_free(err);
    close(fds[0]);
    close(fds[1]);
    one_connection(NULL);
    OK(nacre_engine_close(NULL, SOON));
    EVENTUALLY(descriptors() == before);
}

static void no_descriptor_for_a_dial(void)
{
    int before = descriptors();
    nacre_engine *engine = new_engine();
    listening port = listen_on(AF_INET, 8);
    const char *names[2] = {"127.0.0.1", "localhost"};
    CHECK(port.fd >= 0);
    for (int i = 0; i < 2; i++) {
        const char *address = address_of(names[i], port.port);
        for (int room = 0;; room++) {
            nacre_transport *transport = NULL;
            nacre_error *err = NULL;
            leave_room(room);
            nacre_status status = nacre_transport_dial(engine, address, SOON, &transport, NULL, &err);
            give_room();
            if (status == NACRE_OK) {
                CHECK(room > 0 && transport != NULL && err == NULL);
                nacre_transport_free(transport);
                break;
            }
            CHECK(transport == NULL && err != NULL);
            EQUAL(nacre_error_status(err), status);
            if (i == 0) {
                int32_t number = 0;
                char text[512] = "";
                CHECK(status == NACRE_ERR_CONNECT || status == NACRE_ERR_IO);
                OK(nacre_error_errno(err, &number));
                EQUAL(number, EMFILE);
                OK(nacre_error_text(err, text, sizeof text, NULL));
                CHECK(strstr(text, strerror(EMFILE)) != NULL);
            } else {
                CHECK(status == NACRE_ERR_RESOLVE || status == NACRE_ERR_CONNECT || status == NACRE_ERR_IO);
            }
            nacre_error_free(err);
            CHECK(room < 10);
        }
    }
    end_engine(engine);
    stop_listening(&port);
    EVENTUALLY(descriptors() == before);
}

static nacre_channel *to_write;
static void *write_later(void *argument)
{
    pause_ms(30);
    write_text(to_write, "later");
    return argument;
}

/* What waits needs no descriptor; what is one says so. */
static void no_descriptor_on_a_connection(void)
{
    int before = descriptors();
    nacre_engine *engine = new_engine();
    nacre_channel *near_end = NULL, *far_end = NULL;
    nacre_error *err = NULL;
    nacre_poll_item item = NACRE_INIT(nacre_poll_item);
    const nacre_poll_item *items[1] = {&item};
    int32_t fd = -7, number = 0, ready = 0;
    pthread_t writer;
    pair both = new_pair(engine, engine);
    nacre_server_callbacks callbacks = plain_server();
    leave_room(0);
    start_server(both.server, &callbacks);
    OK(log_in(both.client, SOON, NULL));
    open_both(both, &near_end, &far_end);
    EXPECT(nacre_transport_event_fd(both.client, &fd), NACRE_ERR_IO);
    OK(nacre_transport_take_error(both.client, 0, &err));
    OK(nacre_error_errno(err, &number));
    EQUAL(number, EMFILE);
    nacre_error_free(err);
    EXPECT(nacre_engine_event_fd(engine, &fd), NACRE_ERR_IO);
    if (!with_threads) EXPECT(nacre_engine_fd(engine, &fd), NACRE_ERR_IO);
    for (nacre_channel_what what = NACRE_CHANNEL_READ; what <= NACRE_CHANNEL_STATE; what++)
        EXPECT(nacre_channel_event_fd(near_end, what, &fd), NACRE_ERR_IO);
    EQUAL(fd, -7);
    item.channel = near_end;
    item.what = NACRE_CHANNEL_READ;
    EXPECT(nacre_poll(items, 1, SOON, &ready), NACRE_ERR_IO);
    talk(near_end, far_end);
    to_write = far_end;
    CHECK(pthread_create(&writer, NULL, write_later, NULL) == 0);
    read_text(near_end, "later");
    pthread_join(writer, NULL);
    OK(nacre_transport_rekey(both.client, SOON, NULL));
    EXPECT(nacre_key_save(host_key(), "/tmp/nacre-no-room", NACRE_KEY_OPENSSH, NULL), NACRE_ERR_IO);
    give_room();
    /* Again, as if nothing had been. */
    OK(nacre_channel_event_fd(near_end, NACRE_CHANNEL_READ, &fd));
    OK(nacre_transport_event_fd(both.client, &fd));
    OK(nacre_engine_event_fd(engine, &fd));
    if (!with_threads) OK(nacre_engine_fd(engine, &fd));
    write_text(far_end, "more");
    OK(nacre_poll(items, 1, SOON, &ready));
    EQUAL(ready, 1);
    read_text(near_end, "more");
    talk(near_end, far_end);
    nacre_channel_free(near_end);
    nacre_channel_free(far_end);
    free_pair(both);
    end_engine(engine);
    EVENTUALLY(descriptors() == before);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    if (getenv("GLIBC_TUNABLES") == NULL) {
        /* What a thread's cache of the allocator keeps counts as allocated. */
        setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
        execv("/proc/self/exe", argv);
        FAIL("execv: %s", strerror(errno));
    }
    host_key();
    RUN(the_default_engine);
    RUN(keys_and_messages);
    RUN(userdata);
    RUN(a_thousand_connections);
    RUN(many_at_once);
    RUN(no_descriptor_for_an_engine);
    RUN(no_descriptor_for_a_dial);
    RUN(no_descriptor_on_a_connection);
    return 0;
}
