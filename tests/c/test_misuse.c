/*
 * Misuse of every function: NULL where a handle or a result belongs, unknown values, sizes of structs, buffers, and
 * `destroy` exactly once, also when the call fails.
 */
#include <nacre.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int failures;

#define IS(status, call)                                                                                               \
    do {                                                                                                               \
        nacre_status got_ = (call);                                                                                    \
        if (got_ != (status)) {                                                                                        \
            printf("%s:%d: %s: %s instead of %s\n", __FILE__, __LINE__, #call, nacre_status_name(got_),                \
                   nacre_status_name(status));                                                                         \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)
#define REFUSED(call) IS(NACRE_ERR_ARGUMENT, call)
#define OK(call) IS(NACRE_OK, call)
#define TRUE(what)                                                                                                     \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                                                  \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static int destroyed;
static void destroy(void *userdata) { destroyed += *(int *)userdata; }
static int one = 1;

static nacre_engine *engine;

static void statuses(void) {
    TRUE(strcmp(nacre_status_name(NACRE_OK), "OK") == 0);
    for (nacre_status status = NACRE_ERR_INTERNAL; status < 0; status++) {
        TRUE(strncmp(nacre_status_name(status), "ERR_", 4) == 0);
        TRUE(nacre_status_text(status)[0] != '\0');
    }
    TRUE(nacre_status_name(1) != NULL && nacre_status_text(-1000) != NULL);
    TRUE(nacre_version_number() == NACRE_VERSION_NUMBER);
    TRUE(nacre_abi() == 0);
    TRUE(nacre_has("client") == 1 && nacre_has("aes256-gcm@openssh.com") == 1 && nacre_has(NULL) == 0);
}

static void null_handles(void) {
    char buf[64];
    size_t n;
    uint64_t op, big;
    uint32_t number;
    int32_t fd;
    nacre_key *key;
    nacre_error *err;
    nacre_transport *transport;
    nacre_channel *channel;
    nacre_message *message;
    nacre_event event = NACRE_INIT(nacre_event);
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    nacre_channel_state state = NACRE_INIT(nacre_channel_state);
    nacre_exit ended = NACRE_INIT(nacre_exit);

    REFUSED(nacre_error_status(NULL));
    REFUSED(nacre_error_text(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_error_category(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_error_line(NULL, &number));
    nacre_error_free(NULL);

    REFUSED(nacre_key_public_blob(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_key_public_line(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_key_algorithm(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_key_bits(NULL, &number));
    REFUSED(nacre_key_comment(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_key_fingerprint(NULL, NACRE_FINGERPRINT_SHA256, buf, sizeof buf, &n));
    REFUSED(nacre_key_equal(NULL, NULL, &fd));
    REFUSED(nacre_key_sign(NULL, NULL, "", 0, buf, sizeof buf, &n));
    REFUSED(nacre_key_verify(NULL, NULL, "", 0, "", 0));
    REFUSED(nacre_key_save(NULL, "x", NACRE_KEY_OPENSSH, NULL));
    REFUSED(nacre_key_ref(NULL));
    TRUE(nacre_key_is_private(NULL) == 0);
    nacre_key_free(NULL);

    REFUSED(nacre_message_new(NULL));
    REFUSED(nacre_message_add_byte(NULL, 1));
    REFUSED(nacre_message_get_uint32(NULL, &number));
    REFUSED(nacre_message_rewind(NULL));
    REFUSED(nacre_message_bytes(NULL, buf, sizeof buf, &n));
    nacre_message_free(NULL);

    REFUSED(nacre_engine_new(NULL, NULL));
    REFUSED(nacre_engine_next_event(engine, NULL));
    REFUSED(nacre_engine_set_limit(engine, 0, 1));
    REFUSED(nacre_engine_limit(engine, NACRE_LIMIT_LOGIN, NULL));
    REFUSED(nacre_engine_close(engine, -2));
    nacre_engine_free(NULL);

    REFUSED(nacre_transport_from_fd(engine, -1, &transport, &err));
    TRUE(transport == NULL && nacre_error_status(err) == NACRE_ERR_ARGUMENT);
    nacre_error_free(err);
    REFUSED(nacre_transport_from_fd(engine, 0, NULL, NULL));
    REFUSED(nacre_transport_dial(engine, NULL, 0, &transport, &op, NULL));
    REFUSED(nacre_transport_dial(engine, "127.0.0.1:1", -2, &transport, &op, NULL));
    REFUSED(nacre_transport_dial(engine, "127.0.0.1:70000", 0, &transport, &op, NULL));
    REFUSED(nacre_transport_ref(NULL));
    nacre_transport_free(NULL);
    nacre_transport_atfork(NULL);
    REFUSED(nacre_transport_close(NULL));
    REFUSED(nacre_transport_disconnect(NULL, 11, NULL));
    REFUSED(nacre_transport_flush(NULL, 0));
    REFUSED(nacre_transport_fd(NULL, &fd));
    REFUSED(nacre_transport_take_error(NULL, 0, &err));
    REFUSED(nacre_transport_describe(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_transport_negotiated(NULL, &info));
    REFUSED(nacre_transport_remote_host_key(NULL, &key));
    TRUE(nacre_transport_is_active(NULL) == 0 && nacre_transport_is_authenticated(NULL) == 0);
    TRUE(nacre_transport_userdata(NULL) == NULL && nacre_channel_userdata(NULL) == NULL);
    REFUSED(nacre_transport_username(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_transport_banner(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_transport_remote_version(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_transport_auth_methods(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_transport_trust_host_key(NULL));
    REFUSED(nacre_transport_set_client_callbacks(NULL, NULL));
    REFUSED(nacre_transport_start_client(NULL, 0, &op));
    REFUSED(nacre_transport_auth_none(NULL, "u", 0, &op));
    REFUSED(nacre_transport_auth_password(NULL, "u", "p", 0, 0, &op));
    REFUSED(nacre_transport_auth_publickey(NULL, "u", NULL, 0, &op));
    REFUSED(nacre_transport_next_event(NULL, &event));
    REFUSED(nacre_transport_event_fd(NULL, &fd));
    REFUSED(nacre_transport_wait(NULL, 1, 0, &event));
    REFUSED(nacre_transport_cancel(NULL, 1));
    REFUSED(nacre_transport_set_questions(NULL, NACRE_AS_EVENTS));
    REFUSED(nacre_transport_open_session(NULL, 0, &channel, &op));
    REFUSED(nacre_transport_open_session_with(NULL, 0, 0, 0, &channel, &op));
    REFUSED(nacre_transport_accept(NULL, 0, &channel));
    REFUSED(nacre_transport_rekey(NULL, 0, &op));
    REFUSED(nacre_transport_global_request(NULL, "x", NULL, 0, 1, 0, &message, &op));
    REFUSED(nacre_transport_add_host_key(NULL, NULL));
    REFUSED(nacre_transport_host_key(NULL, &key));
    REFUSED(nacre_transport_send_banner(NULL, "x"));
    REFUSED(nacre_transport_set_algorithms(NULL, NACRE_ALG_KEX, "x"));
    REFUSED(nacre_transport_get_algorithms(NULL, NACRE_ALG_KEX, buf, sizeof buf, &n));
    REFUSED(nacre_transport_set_default_window(NULL, 1, 1));
    REFUSED(nacre_transport_default_window(NULL, &number, &number));
    REFUSED(nacre_transport_set_limit(NULL, NACRE_LIMIT_LOGIN, 1));
    REFUSED(nacre_transport_limit(NULL, NACRE_LIMIT_LOGIN, &big));
    REFUSED(nacre_transport_set_rekey_limits(NULL, 0, 0, 0));
    REFUSED(nacre_transport_rekey_limits(NULL, &big, &big, &number));
    REFUSED(nacre_transport_set_keepalive(NULL, 0, 0));
    REFUSED(nacre_transport_keepalive(NULL, &fd, &number));

    REFUSED(nacre_channel_read(NULL, buf, sizeof buf, 0, &n));
    REFUSED(nacre_channel_read_stderr(NULL, buf, sizeof buf, 0, &n));
    REFUSED(nacre_channel_peek(NULL, buf, sizeof buf, 0, &n));
    REFUSED(nacre_channel_write(NULL, "x", 1, 0, &n));
    REFUSED(nacre_channel_write_stderr(NULL, "x", 1, 0, &n));
    REFUSED(nacre_channel_write_all(NULL, "x", 1, 0, &n));
    REFUSED(nacre_channel_write_all_stderr(NULL, "x", 1, 0, &n));
    TRUE(n == 0);
    REFUSED(nacre_channel_flush(NULL, 0));
    REFUSED(nacre_channel_readable(NULL, &n));
    REFUSED(nacre_channel_readable_stderr(NULL, &n));
    REFUSED(nacre_channel_writable(NULL, &n));
    REFUSED(nacre_channel_send_eof(NULL));
    REFUSED(nacre_channel_set_stderr(NULL, NACRE_STDERR_COMBINE));
    REFUSED(nacre_channel_close(NULL));
    REFUSED(nacre_channel_ref(NULL));
    nacre_channel_free(NULL);
    REFUSED(nacre_channel_id(NULL, &number));
    REFUSED(nacre_channel_info(NULL, &state));
    REFUSED(nacre_channel_kind(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_channel_transport(NULL, &transport));
    REFUSED(nacre_channel_event_fd(NULL, NACRE_CHANNEL_READ, &fd));
    REFUSED(nacre_channel_wake(NULL));
    REFUSED(nacre_channel_take_error(NULL, 0, &err));
    REFUSED(nacre_channel_describe(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_channel_exec(NULL, "x", 0, &op));
    REFUSED(nacre_channel_shell(NULL, 0, &op));
    REFUSED(nacre_channel_subsystem(NULL, "x", 0, &op));
    REFUSED(nacre_channel_pty(NULL, "x", 1, 1, 0, 0, NULL, 0, 0, &op));
    REFUSED(nacre_channel_resize(NULL, 1, 1, 0, 0));
    REFUSED(nacre_channel_env(NULL, "a", "b", 0, &op));
    REFUSED(nacre_channel_send_signal(NULL, "TERM"));
    REFUSED(nacre_channel_send_break(NULL, 1, 0, &op));
    REFUSED(nacre_channel_send_exit_status(NULL, 1));
    REFUSED(nacre_channel_send_exit_signal(NULL, "TERM", 0, NULL));
    REFUSED(nacre_channel_finish(NULL, 0));
    REFUSED(nacre_channel_request(NULL, "x", NULL, 0, 0, 0, &op));
    REFUSED(nacre_channel_wait_exit(NULL, 0, &ended));
    REFUSED(nacre_channel_exit_message(NULL, buf, sizeof buf, &n));

    REFUSED(nacre_ticket_kind(NULL, &fd));
    REFUSED(nacre_ticket_transport(NULL, &transport));
    REFUSED(nacre_ticket_channel(NULL, &channel));
    REFUSED(nacre_ticket_user(NULL, buf, sizeof buf, &n));
    REFUSED(nacre_ticket_key(NULL, &key));
    REFUSED(nacre_ticket_text(NULL, 0, buf, sizeof buf, &n));
    REFUSED(nacre_ticket_answer(NULL, NACRE_ACCEPT));
    REFUSED(nacre_ticket_answer_texts(NULL, NULL, 0));
    REFUSED(nacre_ticket_answer_bytes(NULL, NULL, 0));
    REFUSED(nacre_ticket_answer_port(NULL, 1));
    REFUSED(nacre_ticket_answer_prompts(NULL, NULL, NULL, NULL, NULL, 0));
    REFUSED(nacre_ticket_answer_password_change(NULL, "x"));
    REFUSED(nacre_ticket_answer_refuse(NULL, 1, "x"));
    nacre_ticket_free(NULL);

    REFUSED(nacre_poll(NULL, 1, 0, &fd));
    REFUSED(nacre_poll(NULL, 0, 0, &fd));
}

/* A transport over one end of a socket pair; nobody speaks at the other. */
static nacre_transport *half(int *other) {
    int fds[2];
    nacre_transport *transport = NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) abort();
    OK(nacre_transport_from_fd(engine, fds[0], &transport, NULL));
    *other = fds[1];
    return transport;
}

static void structs(void) {
    struct {
        nacre_engine_options known;
        uint64_t unknown;
    } newer = {.known = {.size = sizeof newer}};
    nacre_engine *made = NULL;
    OK(nacre_engine_new(&newer.known, &made));
    nacre_engine_free(made);
    newer.unknown = 1;
    IS(NACRE_ERR_UNSUPPORTED, nacre_engine_new(&newer.known, &made));
    TRUE(made == NULL);
    nacre_engine_options unset = {0};
    REFUSED(nacre_engine_new(&unset, &made));
    size_t alone = sizeof alone;
    OK(nacre_engine_new((const nacre_engine_options *)&alone, &made));
    nacre_engine_free(made);

    int other;
    nacre_transport *transport = half(&other);
    nacre_event event = {0};
    REFUSED(nacre_transport_next_event(transport, &event));
    event.size = sizeof event;
    IS(NACRE_ERR_AGAIN, nacre_transport_next_event(transport, &event));
    nacre_transport_free(transport);
    close(other);
}

static void buffers(void) {
    char buf[1024];
    size_t needed = 0;
    IS(NACRE_ERR_BUFFER, nacre_algorithms_available(NACRE_ALG_CIPHER, NULL, 0, &needed));
    TRUE(needed > 1 && needed < sizeof buf);
    memset(buf, 'x', sizeof buf);
    IS(NACRE_ERR_BUFFER, nacre_algorithms_available(NACRE_ALG_CIPHER, buf, needed - 1, NULL));
    TRUE(buf[0] == 'x' && buf[needed - 1] == 'x');
    OK(nacre_algorithms_available(NACRE_ALG_CIPHER, buf, needed, &needed));
    TRUE(strlen(buf) + 1 == needed);
    REFUSED(nacre_algorithms_available(0, buf, sizeof buf, NULL));
    REFUSED(nacre_algorithms_available(NACRE_ALG_KEX, NULL, 1000, NULL));
}

static void algorithms(void) {
    int other;
    char before[1024], after[1024], text[256];
    nacre_error *err = NULL;
    nacre_transport *transport = half(&other);
    OK(nacre_transport_get_algorithms(transport, NACRE_ALG_CIPHER, before, sizeof before, NULL));
    IS(NACRE_ERR_ALGORITHM, nacre_transport_set_algorithms(transport, NACRE_ALG_CIPHER, "aes128-ctr,rot13"));
    OK(nacre_transport_get_algorithms(transport, NACRE_ALG_CIPHER, after, sizeof after, NULL));
    TRUE(strcmp(before, after) == 0);
    OK(nacre_transport_take_error(transport, 0, &err));
    TRUE(nacre_error_status(err) == NACRE_ERR_ALGORITHM);
    OK(nacre_error_text(err, text, sizeof text, NULL));
    TRUE(strstr(text, "rot13") != NULL);
    IS(NACRE_ERR_NOT_FOUND, nacre_error_category(err, text, sizeof text, NULL));
    nacre_error_free(err);
    IS(NACRE_ERR_NOT_FOUND, nacre_transport_take_error(transport, 0, &err));
    TRUE(err == NULL);
    OK(nacre_transport_set_algorithms(transport, NACRE_ALG_CIPHER, "aes128-ctr"));
    OK(nacre_transport_get_algorithms(transport, NACRE_ALG_CIPHER, after, sizeof after, NULL));
    TRUE(strcmp(after, "aes128-ctr") == 0);
    IS(NACRE_ERR_AGAIN, nacre_transport_start_client(transport, 0, NULL));
    IS(NACRE_ERR_STATE, nacre_transport_set_algorithms(transport, NACRE_ALG_CIPHER, "aes128-ctr"));
    IS(NACRE_ERR_STATE, nacre_transport_start_client(transport, 0, NULL));
    nacre_transport_free(transport);
    close(other);
}

static void settings(void) {
    int other;
    uint64_t value = 0, packets = 0;
    uint32_t seconds = 0, unanswered = 0, window = 0, packet = 0;
    int32_t interval = 0;
    nacre_transport *transport = half(&other);
    OK(nacre_transport_set_limit(transport, NACRE_LIMIT_LOGIN, 1234));
    OK(nacre_transport_limit(transport, NACRE_LIMIT_LOGIN, &value));
    TRUE(value == 1234);
    REFUSED(nacre_transport_set_limit(transport, NACRE_LIMIT_MAX_PACKET, 1));
    REFUSED(nacre_transport_set_limit(transport, 99, 1));
    OK(nacre_engine_set_limit(engine, NACRE_LIMIT_CHANNELS, 77));
    OK(nacre_engine_limit(engine, NACRE_LIMIT_CHANNELS, &value));
    TRUE(value == 77);
    OK(nacre_transport_set_rekey_limits(transport, 1 << 20, 0, 60));
    OK(nacre_transport_rekey_limits(transport, &value, &packets, &seconds));
    TRUE(value == 1 << 20 && packets == (uint64_t)1 << 31 && seconds == 60);
    REFUSED(nacre_transport_set_keepalive(transport, -1, 0));
    OK(nacre_transport_set_keepalive(transport, 5000, 3));
    OK(nacre_transport_keepalive(transport, &interval, &unanswered));
    TRUE(interval == 5000 && unanswered == 3);
    OK(nacre_transport_set_default_window(transport, 1 << 20, 1 << 15));
    OK(nacre_transport_default_window(transport, &window, &packet));
    TRUE(window == 1 << 20 && packet == 1 << 15);
    REFUSED(nacre_transport_set_questions(transport, 7));
    OK(nacre_transport_set_questions(transport, NACRE_AS_EVENTS));
    OK(nacre_transport_questions(transport, &interval));
    TRUE(interval == NACRE_AS_EVENTS);
    nacre_transport_free(transport);
    close(other);
}

static nacre_decision prompts(void *userdata, nacre_transport *transport, nacre_ticket *ticket) {
    (void)userdata, (void)transport, (void)ticket;
    return NACRE_REJECT;
}

/* Ownership passes with the call, whatever comes of it. */
static void destroys(void) {
    int other, fd;
    nacre_transport *transport = half(&other);
    destroyed = 0;
    REFUSED(nacre_transport_set_userdata(NULL, &one, destroy));
    TRUE(destroyed == 1);
    REFUSED(nacre_channel_set_userdata(NULL, &one, destroy));
    TRUE(destroyed == 2);
    OK(nacre_transport_set_userdata(transport, &one, destroy));
    TRUE(destroyed == 2 && nacre_transport_userdata(transport) == &one);
    OK(nacre_transport_set_userdata(transport, NULL, NULL));
    TRUE(destroyed == 3 && nacre_transport_userdata(transport) == NULL);
    OK(nacre_engine_set_userdata(engine, &one, destroy));
    OK(nacre_engine_set_userdata(engine, NULL, NULL));
    TRUE(destroyed == 4);

    IS(NACRE_ERR_STATE, nacre_transport_auth_interactive(transport, "u", NULL, prompts, &one, destroy, 0, NULL));
    TRUE(destroyed == 5);
    REFUSED(nacre_transport_auth_interactive(transport, NULL, NULL, prompts, &one, destroy, 0, NULL));
    TRUE(destroyed == 6);

    nacre_server_callbacks server = NACRE_INIT(nacre_server_callbacks);
    server.userdata = &one;
    server.destroy = destroy;
    REFUSED(nacre_transport_start_server(NULL, &server, 0, NULL));
    TRUE(destroyed == 7);
    IS(NACRE_ERR_STATE, nacre_transport_start_server(transport, &server, 0, NULL));
    TRUE(destroyed == 8);
    REFUSED(nacre_transport_start_server(transport, &server, -5, NULL));
    TRUE(destroyed == 9);

    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    check.userdata = &one;
    check.destroy = destroy;
    REFUSED(nacre_transport_set_host_key_check(transport, &check));
    TRUE(destroyed == 10);
    check.flags = 0x80;
    REFUSED(nacre_transport_set_host_key_check(transport, &check));
    TRUE(destroyed == 11);
    check.flags = NACRE_HOST_KEY_ANY;
    nacre_client_callbacks client = NACRE_INIT(nacre_client_callbacks);
    client.userdata = &one;
    client.destroy = destroy;
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    REFUSED(nacre_transport_connect(transport, &options, 0, NULL));
    options.callbacks = &client;
    REFUSED(nacre_transport_connect(transport, &options, 0, NULL));
    TRUE(destroyed == 12);
    options.host_key_check = &check;
    REFUSED(nacre_transport_connect(NULL, &options, 0, NULL));
    TRUE(destroyed == 14);
    IS(NACRE_ERR_AGAIN, nacre_transport_connect(transport, &options, 0, NULL));
    TRUE(destroyed == 14);
    OK(nacre_transport_set_userdata(transport, &one, destroy));
    OK(nacre_transport_fd(transport, &fd));
    nacre_transport_free(transport);
    close(other);
    nacre_engine_dispatch(engine, 0);
    /* With threads the last of them may be at work on it for a moment. */
    for (int i = 0; i < 1000 && destroyed < 17; i++) usleep(1000);
    TRUE(destroyed == 17);
}

static void messages(void) {
    nacre_message *message;
    uint8_t byte;
    uint32_t number;
    uint64_t big;
    int32_t truth;
    char buf[64];
    size_t n;
    OK(nacre_message_new(&message));
    OK(nacre_message_add_byte(message, 7));
    OK(nacre_message_add_boolean(message, 1));
    REFUSED(nacre_message_add_boolean(message, 2));
    OK(nacre_message_add_uint32(message, 0x01020304));
    OK(nacre_message_add_uint64(message, (uint64_t)1 << 40));
    OK(nacre_message_add_string(message, "a\0b", 3));
    OK(nacre_message_add_mpint(message, "\x00\x80", 2));
    OK(nacre_message_add_name_list(message, "x,yz"));
    OK(nacre_message_add_bytes(message, "rest", 4));
    REFUSED(nacre_message_add_string(message, NULL, 3));
    OK(nacre_message_get_byte(message, &byte));
    OK(nacre_message_get_boolean(message, &truth));
    OK(nacre_message_get_uint32(message, &number));
    OK(nacre_message_get_uint64(message, &big));
    TRUE(byte == 7 && truth == 1 && number == 0x01020304 && big == (uint64_t)1 << 40);
    IS(NACRE_ERR_BUFFER, nacre_message_get_string(message, buf, 2, &n));
    OK(nacre_message_get_string(message, buf, sizeof buf, &n));
    TRUE(n == 3 && memcmp(buf, "a\0b", 3) == 0);
    OK(nacre_message_get_mpint(message, buf, sizeof buf, &n));
    TRUE(n == 1 && (unsigned char)buf[0] == 0x80);
    OK(nacre_message_get_name_list(message, buf, sizeof buf, &n));
    TRUE(strcmp(buf, "x,yz") == 0);
    IS(NACRE_ERR_PROTOCOL, nacre_message_get_uint64(message, &big));
    OK(nacre_message_remainder(message, buf, sizeof buf, &n));
    TRUE(n == 4 && memcmp(buf, "rest", 4) == 0);
    OK(nacre_message_get_bytes(message, buf, 4));
    OK(nacre_message_rewind(message));
    OK(nacre_message_get_byte(message, &byte));
    TRUE(byte == 7);
    nacre_message_free(message);
}

static void keys(void) {
    nacre_key *key, *copy;
    nacre_error *err;
    char line[256], text[256], path[] = "/tmp/nacre-key-XXXXXX";
    unsigned char signature[4096];
    size_t n;
    int32_t equal;
    REFUSED(nacre_key_generate(9, 0, NULL, &key, &err));
    TRUE(key == NULL && err != NULL);
    nacre_error_free(err);
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, "me", &key, &err));
    TRUE(err == NULL && nacre_key_is_private(key));
    OK(nacre_key_public_line(key, line, sizeof line, NULL));
    OK(nacre_key_load_memory(line, strlen(line), NULL, &copy, NULL));
    TRUE(!nacre_key_is_private(copy));
    OK(nacre_key_equal(key, copy, &equal));
    TRUE(equal == 1);
    OK(nacre_key_sign(key, NULL, "data", 4, signature, sizeof signature, &n));
    REFUSED(nacre_key_sign(copy, NULL, "data", 4, signature, sizeof signature, &n));
    OK(nacre_key_sign(key, "ssh-ed25519", "data", 4, signature, sizeof signature, &n));
    OK(nacre_key_verify(copy, NULL, "data", 4, signature, n));
    OK(nacre_key_verify(copy, "ssh-ed25519", "data", 4, signature, n));
    TRUE(nacre_key_verify(copy, NULL, "dato", 4, signature, n) != NACRE_OK);
    IS(NACRE_ERR_ALGORITHM, nacre_key_verify(copy, "rsa-sha2-256", "data", 4, signature, n));
    nacre_key_free(copy);
    int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    OK(nacre_key_save(key, path, NACRE_KEY_OPENSSH, "secret"));
    IS(NACRE_ERR_PASSPHRASE, nacre_key_load_file(path, NULL, &copy, &err));
    nacre_error_free(err);
    IS(NACRE_ERR_PASSPHRASE, nacre_key_load_file(path, "wrong", &copy, NULL));
    OK(nacre_key_load_file(path, "secret", &copy, NULL));
    OK(nacre_key_comment(copy, text, sizeof text, NULL));
    TRUE(strcmp(text, "me") == 0);
    OK(nacre_key_equal(key, copy, &equal));
    TRUE(equal == 1);
    nacre_key_free(copy);
    unlink(path);
    IS(NACRE_ERR_NOT_FOUND, nacre_key_load_file(path, NULL, &copy, NULL));
    IS(NACRE_ERR_KEY_FORMAT, nacre_key_load_memory("nonsense", 8, NULL, &copy, NULL));
    OK(nacre_key_ref(key));
    nacre_key_free(key);
    OK(nacre_key_comment(key, text, sizeof text, NULL));
    nacre_key_free(key);
}

int main(int argc, char **argv) {
    nacre_engine_options options = NACRE_INIT(nacre_engine_options);
    options.threads = argc > 1 && strcmp(argv[1], "caller") == 0 ? 0 : 1;
    OK(nacre_engine_new(&options, &engine));
    statuses();
    null_handles();
    structs();
    buffers();
    algorithms();
    settings();
    destroys();
    messages();
    keys();
    OK(nacre_engine_close(engine, 5000));
    nacre_engine_free(engine);
    if (failures > 0) printf("%d failures\n", failures);
    return failures > 0;
}
