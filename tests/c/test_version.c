/* What the library says of itself, and that it is what the header is of. */
#include "ends.h"

static void numbers(void)
{
    char text[32];
    uint32_t number = nacre_version_number();
    snprintf(text, sizeof text, "%u.%u.%u", number >> 16, (number >> 8) & 0xff, number & 0xff);
    CHECK(strcmp(nacre_version(), text) == 0);
    EQUAL(number, NACRE_VERSION_NUMBER);
    EQUAL(nacre_abi(), 0);
    CHECK(nacre_version() == nacre_version());
}

static void has_each(nacre_algorithm_kind kind, const char *expected)
{
    char list[2048] = "", wanted[128];
    size_t needed = 0;
    int found = 0;
    EXPECT(nacre_algorithms_available(kind, NULL, 0, &needed), NACRE_ERR_BUFFER);
    CHECK(needed > 1 && needed <= sizeof list);
    OK(nacre_algorithms_available(kind, list, sizeof list, NULL));
    EQUAL(strlen(list) + 1, needed);
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
        CHECK(nacre_has(name) == 1);
        found |= strcmp(name, expected) == 0;
        snprintf(wanted, sizeof wanted, "%s-not", name);
        CHECK(nacre_has(wanted) == 0);
    }
    CHECK(found);
}

static void features(void)
{
    EQUAL(nacre_has("client"), 1);
    EQUAL(nacre_has("server"), 1);
    EQUAL(nacre_has("no such thing"), 0);
    EQUAL(nacre_has(""), 0);
    EQUAL(nacre_has(","), 0);
    EQUAL(nacre_has(NULL), 0);
    EQUAL(nacre_has("\xff"), 0);
    has_each(NACRE_ALG_KEX, "mlkem768x25519-sha256");
    has_each(NACRE_ALG_KEX, "ecdh-sha2-nistp521");
    has_each(NACRE_ALG_HOST_KEY, "ssh-ed25519");
    has_each(NACRE_ALG_CIPHER, "chacha20-poly1305@openssh.com");
    has_each(NACRE_ALG_CIPHER, "aes128-ctr");
    has_each(NACRE_ALG_MAC, "hmac-sha2-512-etm@openssh.com");
    has_each(NACRE_ALG_COMPRESSION, "none");
    has_each(NACRE_ALG_PUBKEY_SIGNATURE, "rsa-sha2-256");
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    RUN(numbers);
    RUN(features);
    return 0;
}
