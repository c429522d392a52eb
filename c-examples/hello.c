/* Runs a command on a server: hello HOST[:PORT] USER KEY_FILE SHA256:FINGERPRINT COMMAND */
#include <nacre.h>
#include <stdio.h>

static int fail(nacre_error *err) {
    char text[1024] = "";
    nacre_error_text(err, text, sizeof text, NULL);
    fprintf(stderr, "hello: %s\n", text);
    return 255;
}

int main(int argc, char **argv) {
    if (argc != 6) return fprintf(stderr, "usage: hello HOST[:PORT] USER KEY_FILE SHA256:FINGERPRINT COMMAND\n"), 255;
    nacre_error *err = NULL;
    nacre_key *key = NULL;
    nacre_transport *transport = NULL;
    nacre_channel *channel = NULL;
    if (nacre_key_load_file(argv[3], NULL, &key, &err) || nacre_transport_dial(NULL, argv[1], -1, &transport, NULL, &err))
        return fail(err);
    const char *fingerprints[] = {argv[4]};
    nacre_host_key_check check = NACRE_INIT(nacre_host_key_check);
    check.fingerprints = fingerprints, check.fingerprint_count = 1;
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    options.host_key_check = &check, options.user = argv[2], options.key = key;
    if (nacre_transport_connect(transport, &options, -1, NULL) ||
        nacre_transport_open_session(transport, -1, &channel, NULL) || nacre_channel_exec(channel, argv[5], -1, NULL))
        return nacre_transport_take_error(transport, 0, &err), fail(err);
    char buf[4096];
    size_t n;
    while (nacre_channel_read(channel, buf, sizeof buf, -1, &n) == NACRE_OK) fwrite(buf, 1, n, stdout);
    while (nacre_channel_read_stderr(channel, buf, sizeof buf, -1, &n) == NACRE_OK) fwrite(buf, 1, n, stderr);
    nacre_exit ended = NACRE_INIT(nacre_exit);
    if (nacre_channel_wait_exit(channel, -1, &ended)) return nacre_channel_take_error(channel, 0, &err), fail(err);
    nacre_channel_free(channel);
    nacre_transport_free(transport);
    nacre_key_free(key);
    return ended.kind == NACRE_EXIT_STATUS ? (int)ended.status : 255;
}
