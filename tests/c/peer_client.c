/*
 * A client for the tests against real servers: one connection with chosen algorithms, in either engine mode.
 *
 *   peer_client --host H --port P --user U [option ...] exec COMMAND | echo BYTES | channels N | idle
 *
 * exec: the command's output and exit status are this program's. echo: BYTES go through `cat` and back,
 * compared on the way. channels: N channels at once, each with its own command. idle: one channel is read
 * for ever. Without a connection: peer_client available, the algorithms of the library.
 */
#include <getopt.h>
#include <nacre.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *host = "127.0.0.1", *port = "22", *user = "", *key_file, *password, *method = "publickey";
static const char *kex, *ciphers, *macs, *host_key_algorithms, *compression, *known_host_key_file;
static unsigned long long rekey_bytes;
static int threads = 1, verbose;

static void fail(const char *what, nacre_status status, nacre_error *err) {
    char text[2048] = "", methods[256] = "";
    if (err != NULL) {
        nacre_error_text(err, text, sizeof text, NULL);
        nacre_error_auth_methods(err, methods, sizeof methods, NULL);
    }
    fprintf(stderr, "peer_client: %s: %s: %s%s%s\n", what, nacre_status_name(status), text,
            methods[0] ? "; may continue: " : "", methods);
    exit(255);
}

static void must(nacre_transport *transport, const char *what, nacre_status status) {
    if (status != NACRE_OK) {
        nacre_error *err = NULL;
        nacre_transport_take_error(transport, 0, &err);
        fail(what, status, err);
    }
}

static nacre_decision answer_prompts(void *userdata, nacre_transport *transport, nacre_ticket *ticket) {
    const char *answers[16];
    size_t count = 0;
    (void)userdata;
    (void)transport;
    if (nacre_ticket_text_count(ticket, &count) != NACRE_OK || count > 16) return NACRE_REJECT;
    for (size_t i = 0; i < count; i++) answers[i] = password;
    if (nacre_ticket_answer_texts(ticket, answers, count) != NACRE_OK) return NACRE_REJECT;
    return NACRE_ACCEPT;
}

/* Without a key to compare with, any is taken. */
static void check_host_key(nacre_transport *transport) {
    nacre_key *known = NULL, *shown = NULL;
    nacre_error *err = NULL;
    if (known_host_key_file != NULL) {
        nacre_status status = nacre_key_load_file(known_host_key_file, NULL, &known, &err);
        if (status != NACRE_OK) fail(known_host_key_file, status, err);
        must(transport, "host key", nacre_transport_remote_host_key(transport, &shown));
        int32_t equal = 0;
        must(transport, "host key", nacre_key_equal(known, shown, &equal));
        if (!equal) fail("host key", NACRE_ERR_HOST_KEY, NULL);
        nacre_key_free(known);
        nacre_key_free(shown);
    }
    must(transport, "trust", nacre_transport_trust_host_key(transport));
}

static void log_in(nacre_transport *transport) {
    if (strcmp(method, "none") == 0) {
        must(transport, "none", nacre_transport_auth_none(transport, user, -1, NULL));
    } else if (strcmp(method, "password") == 0) {
        must(transport, "password",
             nacre_transport_auth_password(transport, user, password, NACRE_AUTH_NO_FALLBACK, -1, NULL));
    } else if (strcmp(method, "keyboard-interactive") == 0) {
        must(transport, "interactive",
             nacre_transport_auth_interactive(transport, user, "", answer_prompts, NULL, NULL, -1, NULL));
    } else {
        nacre_key *key = NULL;
        nacre_error *err = NULL;
        nacre_status status = nacre_key_load_file(key_file, NULL, &key, &err);
        if (status != NACRE_OK) fail(key_file, status, err);
        must(transport, "publickey", nacre_transport_auth_publickey(transport, user, key, -1, NULL));
        nacre_key_free(key);
    }
}

static nacre_channel *open_exec(nacre_transport *transport, const char *command) {
    nacre_channel *channel = NULL;
    must(transport, "open", nacre_transport_open_session(transport, -1, &channel, NULL));
    must(transport, "exec", nacre_channel_exec(channel, command, -1, NULL));
    return channel;
}

static int exit_code(nacre_transport *transport, nacre_channel *channel) {
    nacre_exit ended = NACRE_INIT(nacre_exit);
    must(transport, "exit", nacre_channel_wait_exit(channel, -1, &ended));
    if (ended.kind != NACRE_EXIT_STATUS) {
        fprintf(stderr, "peer_client: ended by signal %s\n", ended.signal);
        return 255;
    }
    return (int)ended.status;
}

/* Reads to the end of the stream; returns how much it was. */
static size_t drain(nacre_transport *transport, nacre_channel *channel, FILE *out) {
    static char buf[65536];
    size_t total = 0, n = 0;
    nacre_status status;
    while ((status = nacre_channel_read(channel, buf, sizeof buf, -1, &n)) == NACRE_OK) {
        total += n;
        if (out != NULL) fwrite(buf, 1, n, out);
    }
    if (status != NACRE_ERR_EOF) must(transport, "read", status);
    return total;
}

static int job_exec(nacre_transport *transport, const char *command) {
    nacre_channel *channel = open_exec(transport, command);
    nacre_channel_send_eof(channel);
    drain(transport, channel, stdout);
    int code = exit_code(transport, channel);
    nacre_channel_free(channel);
    return code;
}

/* Of no shape that compression could use: as many bytes as asked for have to go over the wire. */
static unsigned char noise(size_t at) {
    uint64_t mixed = ((uint64_t)at + 1) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
    return (unsigned char)((mixed ^ mixed >> 32) >> 24);
}

/* Writes and reads in turn, so that neither direction waits for the other. */
static int job_echo(nacre_transport *transport, size_t bytes) {
    static unsigned char out[65536], in[65536];
    nacre_channel *channel = open_exec(transport, "cat");
    size_t sent = 0, got = 0, n;
    while (got < bytes) {
        nacre_status status = NACRE_ERR_AGAIN;
        if (sent < bytes) {
            size_t len = bytes - sent < sizeof out ? bytes - sent : sizeof out;
            for (size_t i = 0; i < len; i++) out[i] = noise(sent + i);
            status = nacre_channel_write(channel, out, len, 0, &n);
            if (status != NACRE_OK && status != NACRE_ERR_AGAIN) must(transport, "write", status);
            sent += n;
            if (sent == bytes) nacre_channel_send_eof(channel);
        }
        /* Waits for data only when nothing could be written. */
        status = nacre_channel_read(channel, in, sizeof in, status == NACRE_OK ? 0 : 1000, &n);
        if (status == NACRE_ERR_AGAIN) continue;
        must(transport, "read", status);
        for (size_t i = 0; i < n; i++) {
            if (in[i] != noise(got + i)) {
                fprintf(stderr, "peer_client: byte %zu came back wrong\n", got + i);
                return 1;
            }
        }
        got += n;
    }
    if (drain(transport, channel, NULL) != 0) {
        fprintf(stderr, "peer_client: more came back than was sent\n");
        return 1;
    }
    int code = exit_code(transport, channel);
    nacre_channel_free(channel);
    return code;
}

static int job_channels(nacre_transport *transport, int count) {
    nacre_channel **channels = calloc((size_t)count, sizeof *channels);
    char command[64], expected[64], got[64];
    if (channels == NULL) return 1;
    for (int i = 0; i < count; i++) {
        snprintf(command, sizeof command, "read go; echo $go %d; exit %d", i, i % 7);
        channels[i] = open_exec(transport, command);
    }
    /* All are open now: let them go, the last first. */
    for (int i = count - 1; i >= 0; i--) {
        size_t n;
        must(transport, "write", nacre_channel_write_all(channels[i], "go\n", 3, -1, &n));
    }
    for (int i = 0; i < count; i++) {
        size_t len = 0, n;
        nacre_status status;
        while ((status = nacre_channel_read(channels[i], got + len, sizeof got - 1 - len, -1, &n)) == NACRE_OK) len += n;
        if (status != NACRE_ERR_EOF) must(transport, "read", status);
        got[len] = 0;
        snprintf(expected, sizeof expected, "go %d\n", i);
        if (strcmp(got, expected) != 0 || exit_code(transport, channels[i]) != i % 7) {
            fprintf(stderr, "peer_client: channel %d said '%s'\n", i, got);
            return 1;
        }
        nacre_channel_free(channels[i]);
    }
    free(channels);
    return 0;
}

static int job_idle(nacre_transport *transport) {
    char byte;
    size_t n;
    nacre_channel *channel = open_exec(transport, "cat");
    puts("idle");
    fflush(stdout);
    must(transport, "read", nacre_channel_read(channel, &byte, 1, -1, &n));
    return 1;
}

static void set_list(nacre_transport *transport, nacre_algorithm_kind kind, const char *list) {
    if (list != NULL) must(transport, list, nacre_transport_set_algorithms(transport, kind, list));
}

static void show_negotiated(nacre_transport *transport) {
    nacre_negotiated info = NACRE_INIT(nacre_negotiated);
    must(transport, "negotiated", nacre_transport_negotiated(transport, &info));
    fprintf(stderr, "kex %s\nhost-key %s\ncipher %s\nmac %s\ncompression %s\nstrict %d\nrekeys %llu\n", info.kex,
            info.host_key, info.cipher_out, info.mac_out, info.compression_out, info.strict_kex,
            (unsigned long long)info.rekeys);
}

/* All algorithms that the library has, one category a line. */
static int show_available(void) {
    static const struct {
        const char *name;
        nacre_algorithm_kind kind;
    } categories[] = {{"kex", NACRE_ALG_KEX},
                      {"host-key", NACRE_ALG_HOST_KEY},
                      {"cipher", NACRE_ALG_CIPHER},
                      {"mac", NACRE_ALG_MAC},
                      {"compression", NACRE_ALG_COMPRESSION}};
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++) {
        char list[4096];
        nacre_status status = nacre_algorithms_available(categories[i].kind, list, sizeof list, NULL);
        if (status != NACRE_OK) fail(categories[i].name, status, NULL);
        printf("%s %s\n", categories[i].name, list);
    }
    return 0;
}

static const struct option options[] = {
    {"host", required_argument, NULL, 'h'},    {"port", required_argument, NULL, 'p'},
    {"user", required_argument, NULL, 'u'},    {"key", required_argument, NULL, 'k'},
    {"password", required_argument, NULL, 'w'}, {"auth", required_argument, NULL, 'm'},
    {"kex", required_argument, NULL, 'x'},     {"ciphers", required_argument, NULL, 'c'},
    {"macs", required_argument, NULL, 'a'},    {"host-key-algorithms", required_argument, NULL, 'g'},
    {"compression", required_argument, NULL, 'z'}, {"known-host-key", required_argument, NULL, 'H'},
    {"rekey-bytes", required_argument, NULL, 'r'}, {"engine", required_argument, NULL, 'e'},
    {"verbose", no_argument, NULL, 'v'},       {NULL, 0, NULL, 0}};

static void read_options(int argc, char **argv) {
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (option) {
        case 'h': host = optarg; break;
        case 'p': port = optarg; break;
        case 'u': user = optarg; break;
        case 'k': key_file = optarg; break;
        case 'w': password = optarg; break;
        case 'm': method = optarg; break;
        case 'x': kex = optarg; break;
        case 'c': ciphers = optarg; break;
        case 'a': macs = optarg; break;
        case 'g': host_key_algorithms = optarg; break;
        case 'z': compression = optarg; break;
        case 'H': known_host_key_file = optarg; break;
        case 'r': rekey_bytes = strtoull(optarg, NULL, 10); break;
        case 'e': threads = strcmp(optarg, "caller") != 0; break;
        case 'v': verbose = 1; break;
        default: exit(255);
        }
    }
}

static int run_job(nacre_transport *transport, char **job) {
    const char *argument = job[0] != NULL && job[1] != NULL ? job[1] : "0";
    if (job[0] == NULL) return 255;
    if (strcmp(job[0], "exec") == 0) return job_exec(transport, argument);
    if (strcmp(job[0], "echo") == 0) return job_echo(transport, strtoull(argument, NULL, 10));
    if (strcmp(job[0], "channels") == 0) return job_channels(transport, atoi(argument));
    if (strcmp(job[0], "idle") == 0) return job_idle(transport);
    return 255;
}

int main(int argc, char **argv) {
    char address[300];
    nacre_engine *engine = NULL;
    nacre_transport *transport = NULL;
    nacre_error *err = NULL;
    read_options(argc, argv);
    if (argv[optind] != NULL && strcmp(argv[optind], "available") == 0) return show_available();

    nacre_engine_options engine_options = NACRE_INIT(nacre_engine_options);
    engine_options.threads = (uint32_t)threads;
    nacre_status status = nacre_engine_new(&engine_options, &engine);
    if (status != NACRE_OK) fail("engine", status, NULL);
    snprintf(address, sizeof address, "%s:%s", host, port);
    status = nacre_transport_dial(engine, address, 10000, &transport, NULL, &err);
    if (status != NACRE_OK) fail(address, status, err);
    set_list(transport, NACRE_ALG_KEX, kex);
    set_list(transport, NACRE_ALG_CIPHER, ciphers);
    set_list(transport, NACRE_ALG_MAC, macs);
    set_list(transport, NACRE_ALG_HOST_KEY, host_key_algorithms);
    set_list(transport, NACRE_ALG_COMPRESSION, compression);
    if (rekey_bytes != 0) must(transport, "rekey", nacre_transport_set_rekey_limits(transport, rekey_bytes, 0, 0));
    must(transport, "negotiation", nacre_transport_start_client(transport, -1, NULL));
    check_host_key(transport);
    log_in(transport);

    int code = run_job(transport, argv + optind);
    if (verbose) show_negotiated(transport);
    nacre_transport_close(transport);
    nacre_transport_free(transport);
    nacre_engine_free(engine);
    return code;
}
