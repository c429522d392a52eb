/*
 * Random numbers after fork(): parents, children and grandchildren that go on without exec make different keys, and begin
 * different key exchanges.
 */
#include "ends.h"

enum { COOKIE = 16, FINGERPRINT = 64, MOST = 256 };

typedef struct drawn {
    char fingerprint[FINGERPRINT];
    unsigned char cookie[COOKIE];
} drawn;

static void read_all(int fd, void *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (char *)buf + done, len - done);
        CHECK(n > 0);
        done += (size_t)n;
    }
}

/* The cookie of a KEXINIT (RFC 4253 section 7.1), as it goes over the wire. */
static void draw_cookie(nacre_engine *engine, unsigned char *cookie)
{
    nacre_transport *client = NULL;
    unsigned char head[6];
    char byte = 0;
    int fds[2];
    socket_pair(fds);
    OK(nacre_transport_from_fd(engine, fds[0], &client, NULL));
    EXPECT(nacre_transport_start_client(client, 0, NULL), NACRE_ERR_AGAIN);
    while (byte != '\n') read_all(fds[1], &byte, 1);
    /* Length, padding length, message number. */
    read_all(fds[1], head, sizeof head);
    EQUAL(head[5], 20);
    read_all(fds[1], cookie, COOKIE);
    nacre_transport_free(client);
    close(fds[1]);
}

static drawn draw(nacre_engine *engine)
{
    drawn made;
    nacre_key *key = NULL;
    memset(&made, 0, sizeof made);
    OK(nacre_key_generate(NACRE_KEY_ED25519, 0, NULL, &key, NULL));
    OK(nacre_key_fingerprint(key, NACRE_FINGERPRINT_SHA256, made.fingerprint, sizeof made.fingerprint, NULL));
    nacre_key_free(key);
    draw_cookie(engine, made.cookie);
    return made;
}

/* In a child: an engine of its own, or, in an engine without threads, the parent's. */
static nacre_engine *engine_here(nacre_engine *before, int adopts)
{
    if (adopts) {
        OK(nacre_engine_adopt(before));
        return before;
    }
    return new_engine();
}

static void draw_and_tell(nacre_engine *before, int out, int generations)
{
    nacre_engine *engine = engine_here(before, !with_threads && generations % 2 == 0);
    drawn made = draw(engine);
    CHECK(write(out, &made, sizeof made) == (ssize_t)sizeof made);
    if (generations > 0) {
        int status = -1;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            draw_and_tell(engine, out, generations - 1);
            _exit(0);
        }
        made = draw(engine);
        CHECK(write(out, &made, sizeof made) == (ssize_t)sizeof made);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    static drawn all[MOST];
    int count = 0, children = is_short_run() ? 2 : 12, pipes[2];
    nacre_engine *engine = new_engine();
    test_step = "forks";
    CHECK(pipe(pipes) == 0);
    /* The generator has been used before the first fork: its state is there to be copied. */
    all[count++] = draw(engine);
    for (int i = 0; i < children; i++) {
        int status = -1;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            close(pipes[0]);
            draw_and_tell(engine, pipes[1], i % 4);
            _exit(0);
        }
        all[count++] = draw(engine);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        /* Itself, and twice each of those that have children. */
        for (int told = 1 + 2 * (i % 4); told > 0; told--) read_all(pipes[0], &all[count++], sizeof(drawn));
    }
    for (int i = 0; i < count; i++) {
        CHECK(strncmp(all[i].fingerprint, "SHA256:", 7) == 0);
        for (int j = 0; j < i; j++) {
            CHECK(strcmp(all[i].fingerprint, all[j].fingerprint) != 0);
            CHECK(memcmp(all[i].cookie, all[j].cookie, COOKIE) != 0);
        }
    }
    EQUAL(count, is_short_run() ? 7 : 61);
    end_engine(engine);
    close(pipes[0]);
    close(pipes[1]);
    return 0;
}
