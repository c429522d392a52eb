/*
 * What the client programs and the server share: the options that say which algorithms may be used, and which keys.
 */
#ifndef ALGORITHMS_H
#define ALGORITHMS_H

#include <getopt.h>
#include <nacre.h>
#include <stddef.h>
#include <stdlib.h>

/* One option a category. Its value in getopt's table is FIRST_ALGORITHM_OPTION and the row's number. */
enum { FIRST_ALGORITHM_OPTION = 1000, ALGORITHM_OPTIONS = 6, STRICT_OPTION, RSA_OPTION };

static const nacre_algorithm_kind algorithm_kinds[ALGORITHM_OPTIONS] = {
    NACRE_ALG_KEX, NACRE_ALG_HOST_KEY, NACRE_ALG_CIPHER, NACRE_ALG_MAC, NACRE_ALG_COMPRESSION, NACRE_ALG_PUBKEY_SIGNATURE};

#define ALGORITHM_LISTS                                                                                                \
    {"kex", required_argument, NULL, FIRST_ALGORITHM_OPTION},                                                          \
        {"host-key-algorithms", required_argument, NULL, FIRST_ALGORITHM_OPTION + 1},                                  \
        {"ciphers", required_argument, NULL, FIRST_ALGORITHM_OPTION + 2},                                              \
        {"macs", required_argument, NULL, FIRST_ALGORITHM_OPTION + 3},                                                 \
        {"compression", required_argument, NULL, FIRST_ALGORITHM_OPTION + 4},                                          \
        {"user-key-algorithms", required_argument, NULL, FIRST_ALGORITHM_OPTION + 5},                                  \
        {"strict", no_argument, NULL, FIRST_ALGORITHM_OPTION + STRICT_OPTION},                                         \
        {"rsa-bits", required_argument, NULL, FIRST_ALGORITHM_OPTION + RSA_OPTION}

static const char algorithms_usage[] =
    "  --kex L                    offer these key exchanges; L is a,b,c in order, or +a,b to add, -a,b to take away,\n"
    "                             ^a,b to put first\n"
    "  --host-key-algorithms L    the same for the signatures of host keys\n"
    "  --ciphers L                for ciphers\n"
    "  --macs L                   for MACs\n"
    "  --compression L            for compression\n"
    "  --user-key-algorithms L    for the signatures of users' keys\n"
    "  --strict                   only what the strict policy has: post-quantum, AEAD or encrypt-then-MAC\n"
    "  --rsa-bits N               the least size of RSA keys, of hosts and users (2048)\n";

/* What was asked for; NULL: as the library has it. */
typedef struct {
    const char *lists[ALGORITHM_OPTIONS];
    int strict;
    /* 0: as the library has it. */
    uint32_t rsa_bits;
} algorithms;

/* Takes one option; 0: it is none of these. */
static inline int algorithms_option(algorithms *algorithms, int option, const char *value) {
    int row = option - FIRST_ALGORITHM_OPTION;
    if (row == STRICT_OPTION) return algorithms->strict = 1;
    if (row == RSA_OPTION) return algorithms->rsa_bits = (uint32_t)strtoul(value, NULL, 10), 1;
    if (row < 0 || row >= ALGORITHM_OPTIONS) return 0;
    algorithms->lists[row] = value;
    return 1;
}

/* Before the transport starts. A server takes security keys that were touched. The transport's error says which name is unknown. */
static inline nacre_status algorithms_apply(const algorithms *algorithms, nacre_transport *transport) {
    nacre_status status = NACRE_OK;
    if (algorithms->strict) status = nacre_transport_set_policy(transport, NACRE_POLICY_STRICT);
    for (int row = 0; row < ALGORITHM_OPTIONS && status == NACRE_OK; row++) {
        if (algorithms->lists[row] == NULL) continue;
        status = nacre_transport_set_algorithms(transport, algorithm_kinds[row], algorithms->lists[row]);
    }
    if (status == NACRE_OK) status = nacre_transport_set_signature_rules(transport, algorithms->rsa_bits, 1, 0);
    return status;
}

#endif
