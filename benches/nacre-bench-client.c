/*
 * The yardstick of clients: one job against any server, and its cost as one line of JSON.
 *
 *     nacre-bench-client JOB --port P --user U --key FILE [--host H] [--cipher NAME] [--kex NAMES]
 *                        [--bytes N] [--count N] [--engine threads|caller]
 *
 * download, upload: N bytes on one channel. pingpong: so many round trips of 32 bytes. exec: so many commands, each on a
 * channel of its own, one after another. handshake: so many connections with login. idle: so many connections held open.
 */
#include "common.h"

enum { PING = 32 };

static settings given;
static nacre_engine *engine;
static nacre_key *user_key;
static char chunk[CHUNK];
static double wall_begin, cpu_begin;

_Noreturn static void transport_gave_up(const char *what, nacre_status status, nacre_transport *transport) {
    nacre_error *err = NULL;
    nacre_transport_take_error(transport, 0, &err);
    give_up(what, status, err);
}

static void start_clocks(void) {
    wall_begin = wall_seconds();
    cpu_begin = cpu_seconds();
}

static nacre_transport *log_in(void) {
    char address[300];
    nacre_transport *transport = NULL;
    nacre_error *err = NULL;
    snprintf(address, sizeof address, strchr(given.host, ':') ? "[%s]:%d" : "%s:%d", given.host, given.port);
    nacre_status status = nacre_transport_dial(engine, address, -1, &transport, NULL, &err);
    if (status != NACRE_OK) give_up("connect", status, err);
    if (!set_algorithms(transport, &given)) {
        fprintf(stderr, "unsupported: cipher %s, kex %s\n", given.cipher != NULL ? given.cipher : "", given.kex);
        exit(1);
    }
    /* Nothing of worth goes over these connections, and no peer of the comparison looks at the key either. */
    nacre_host_key_check any = NACRE_INIT(nacre_host_key_check);
    any.flags = NACRE_HOST_KEY_ANY;
    nacre_connect_options options = NACRE_INIT(nacre_connect_options);
    options.host_key_check = &any;
    options.user = given.user;
    options.key = user_key;
    status = nacre_transport_connect(transport, &options, -1, NULL);
    if (status != NACRE_OK) transport_gave_up("login", status, transport);
    return transport;
}

static void log_out(nacre_transport *transport) {
    nacre_transport_disconnect(transport, 11, NULL);
    nacre_transport_free(transport);
}

static nacre_channel *start(nacre_transport *transport, const char *command) {
    nacre_channel *channel = NULL;
    nacre_status status = nacre_transport_open_session(transport, -1, &channel, NULL);
    if (status == NACRE_OK) status = nacre_channel_exec(channel, command, -1, NULL);
    if (status != NACRE_OK) transport_gave_up(command, status, transport);
    return channel;
}

static unsigned long long read_to_the_end(nacre_channel *channel) {
    unsigned long long total = 0;
    size_t n;
    nacre_status status;
    while ((status = nacre_channel_read(channel, chunk, sizeof chunk, -1, &n)) == NACRE_OK) total += n;
    if (status != NACRE_ERR_EOF) give_up("read", status, NULL);
    return total;
}

/* The command must have ended well. */
static void finish(nacre_channel *channel) {
    nacre_exit ended = NACRE_INIT(nacre_exit);
    check("exit status", nacre_channel_wait_exit(channel, -1, &ended));
    if (ended.kind != NACRE_EXIT_STATUS || ended.status != 0) give_up("the command failed", NACRE_OK, NULL);
    nacre_channel_free(channel);
}

static void write_all(nacre_channel *channel, size_t len) {
    size_t n;
    check("write", nacre_channel_write_all(channel, chunk, len, -1, &n));
}

static void download(nacre_transport *transport) {
    char command[64];
    snprintf(command, sizeof command, "head -c %llu /dev/zero", given.bytes);
    nacre_channel *channel = start(transport, command);
    if (read_to_the_end(channel) != given.bytes) give_up("bytes are missing", NACRE_ERR_EOF, NULL);
    finish(channel);
}

static void upload(nacre_transport *transport) {
    nacre_channel *channel = start(transport, "cat > /dev/null");
    for (unsigned long long left = given.bytes; left > 0;) {
        size_t len = left < CHUNK ? (size_t)left : CHUNK;
        write_all(channel, len);
        left -= len;
    }
    check("end of data", nacre_channel_send_eof(channel));
    read_to_the_end(channel);
    finish(channel);
}

static void pingpong(nacre_transport *transport) {
    nacre_channel *channel = start(transport, "cat");
    for (long i = 0; i < given.count; i++) {
        write_all(channel, PING);
        for (size_t got = 0, n; got < PING; got += n) {
            check("read", nacre_channel_read(channel, chunk, PING - got, -1, &n));
        }
    }
    check("end of data", nacre_channel_send_eof(channel));
    read_to_the_end(channel);
    finish(channel);
}

static void execute(nacre_transport *transport) {
    for (long i = 0; i < given.count; i++) {
        nacre_channel *channel = start(transport, "true");
        read_to_the_end(channel);
        finish(channel);
    }
}

static void print_rate(const char *name, double value, int known) {
    if (known) {
        printf(", \"%s\": %.4f", name, value);
    } else {
        printf(", \"%s\": null", name);
    }
}

/* `before`: kilobytes resident before the connections of the idle job, else -1. */
static void report(long before) {
    double seconds = wall_seconds() - wall_begin, cpu = cpu_seconds() - cpu_begin;
    double bytes = (double)given.bytes, count = (double)given.count;
    printf("{\"impl\": \"nacre\", \"version\": \"%s\", \"engine\": \"%s\", \"job\": \"%s\", \"cipher\": \"%s\", "
           "\"bytes\": %llu, \"count\": %ld, \"seconds\": %.6f",
           nacre_version(), given.engine, given.job, given.cipher != NULL ? given.cipher : "default", given.bytes,
           given.count, seconds);
    print_rate("mib_per_s", bytes / seconds / 1048576, given.bytes > 0);
    print_rate("ops_per_s", count / seconds, given.count > 0);
    printf(", \"cpu_s\": %.6f", cpu);
    print_rate("cpu_s_per_gib", given.bytes > 0 ? cpu / bytes * 1073741824 : 0, given.bytes > 0);
    printf(", \"maxrss_kib\": %ld", own_status("VmHWM"));
    if (before >= 0) {
        printf(", \"rss_kib_per_conn\": %.1f, \"threads\": %ld", (double)(own_status("VmRSS") - before) / count,
               own_status("Threads"));
    }
    printf("}\n");
}

typedef void (*job)(nacre_transport *);

static job find_job(void) {
    static const struct {
        const char *name;
        job run;
    } jobs[] = {{"download", download}, {"upload", upload}, {"pingpong", pingpong}, {"exec", execute}};
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        if (strcmp(jobs[i].name, given.job) == 0) return jobs[i].run;
    }
    fprintf(stderr, "unsupported: job %s\n", given.job);
    exit(1);
}

int main(int argc, char **argv) {
    given = read_settings(argc, argv);
    if (given.job == NULL || given.key == NULL || given.port == 0 || given.user == NULL) {
        fprintf(stderr, "usage: nacre-bench-client JOB --port P --user U --key FILE [--host H] [--cipher NAME] "
                        "[--kex NAMES] [--bytes N] [--count N] [--engine threads|caller]\n");
        return 2;
    }
    long before = -1;
    user_key = load_key(given.key);
    engine = make_engine(&given);
    if (strcmp(given.job, "handshake") == 0) {
        start_clocks();
        for (long i = 0; i < given.count; i++) log_out(log_in());
    } else if (strcmp(given.job, "idle") == 0) {
        before = own_status("VmRSS");
        start_clocks();
        for (long i = 0; i < given.count; i++) log_in(); /* held open until the process ends */
    } else {
        job run = find_job();
        nacre_transport *transport = log_in();
        start_clocks();
        run(transport);
    }
    report(before);
    return 0;
}
