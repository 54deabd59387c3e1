/* driver.c - a camera in C over the public header alone, to be starved of memory.
 *
 *   driver ENDPOINT BUCKET REGION KEY_ID SECRET TOKEN starve        every allocation fails in turn
 *   driver ENDPOINT BUCKET REGION KEY_ID SECRET TOKEN stream MIB    so much video by multipart
 *
 * In flow a running cloud, out flow lines "name value". With malloc.so preloaded `starve` makes
 * every allocation of the process fail once and from it on all: a call that fails must say so,
 * leave nothing behind and work when it is made again. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ossmedia.h"

enum { BLOCK = 131072, BLOCKS = 3 }; /* 1 GiB is 8,192 parts of OSS's 10,000 */

static void (*arm)(uintptr_t, uintptr_t, long, int);
static long (*disarm)(void);
static long (*seen)(void);
static long (*alive)(void);

static om_config config;
static om_credentials credentials;
static int refusals, silent;

/* Whether a call has to be made again: it failed while memory was short. Anything else is wrong. */
static int again(int rc, const om_error *err)
{
    if (rc >= 0)
        return 0;
    if (!disarm || disarm() == 0 || refusals > 0) {
        fprintf(stderr, "call failed with memory: %d %s\n", rc, err->message);
        exit(1);
    }
    refusals++;
    silent += err->code != rc || !err->message[0];
    return 1;
}

#define TRY(rc, call)                                                                              \
    do                                                                                             \
        (rc) = (call);                                                                             \
    while (again((rc), &err))

static void fill(char *data, uint64_t number)
{
    for (int i = 0; i < BLOCK; i += 8) {
        number = number * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(data + i, &number, 8);
    }
}

/* `count` blocks into one object; returns the CRC-64 that OSS confirmed. */
static uint64_t record(om_store *store, const char *key, int mode, uint64_t count, uint64_t *mine)
{
    om_options options = {.key = key, .mode = mode, .block_size = BLOCK, .block_count = BLOCKS};
    om_stream *stream;
    om_error err;
    om_stats stats;
    uint64_t given = 0;
    int rc;

    *mine = 0;
    TRY(rc, om_stream_open(&stream, store, &options, &err));
    do {
        void *data;

        while (given < count) {
            TRY(rc, om_stream_take(stream, 0, &data, &err));
            if (rc == 0)
                break;
            fill(data, given++);
            *mine = om_crc64(*mine, data, BLOCK);
            TRY(rc, om_stream_give(stream, BLOCK, given == count, &err));
        }
        TRY(rc, om_stream_pump(stream, 0, &err));
    } while (rc != OM_DONE);
    om_stream_get_stats(stream, &stats);
    om_stream_free(stream);
    return stats.crc64;
}

static void flow(long round)
{
    static const int modes[] = {OM_REPLACE, OM_CREATE, OM_APPEND};
    om_store *store;
    om_error err;
    char key[64];
    int rc;

    TRY(rc, om_store_new(&store, &config, &err));
    TRY(rc, om_store_set_credentials(store, &credentials, &err));
    for (int i = 0; i < 3; i++) {
        uint64_t mine, stored;

        snprintf(key, sizeof key, "starve/%ld-%d", round, i);
        stored = record(store, key, modes[i], 2, &mine);
        if (stored != mine) {
            fprintf(stderr, "%s: another CRC-64\n", key);
            exit(1);
        }
    }
    om_store_free(store);
}

static void starve(void)
{
    long all, before, points = 0, leaks = 0, round = 0;

    flow(round++); /* what libc allocates once and keeps */
    arm(0, UINTPTR_MAX, 0, 0);
    flow(round++);
    all = seen();
    before = alive();
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (long n = 1; n <= all; n++) {
            refusals = 0;
            arm(0, UINTPTR_MAX, n, for_ever);
            flow(round++);
            points += disarm() > 0;
            leaks += alive() != before;
            before = alive();
        }
    printf("allocations %ld\npoints %ld\nsilent %d\nleaks %ld\n", all, points, silent, leaks);
}

static void load_shim(void)
{
    *(void **)&arm = dlsym(RTLD_DEFAULT, "faults_arm");
    *(void **)&disarm = dlsym(RTLD_DEFAULT, "faults_disarm");
    *(void **)&seen = dlsym(RTLD_DEFAULT, "faults_seen");
    *(void **)&alive = dlsym(RTLD_DEFAULT, "faults_alive");
}

int main(int argc, char **argv)
{
    if (argc < 8)
        return 2;
    config = (om_config){.endpoint = argv[1],
                         .bucket = argv[2],
                         .region = argv[3],
                         .signature = 4,
                         .address = OM_ADDRESS_PATH,
                         .verify_crc = 1};
    credentials = (om_credentials){argv[4], argv[5], argv[6]};
    setvbuf(stdout, NULL, _IONBF, 0);
    if (strcmp(argv[7], "starve") == 0) {
        load_shim();
        if (!arm || !disarm || !seen || !alive)
            return 2;
        starve();
    } else {
        uint64_t mine, stored, blocks = (uint64_t)atoi(argv[8]) * 1048576 / BLOCK;
        om_store *store;
        om_error err;

        if (om_store_new(&store, &config, &err) < 0 ||
            om_store_set_credentials(store, &credentials, &err) < 0)
            return 1;
        stored = record(store, "stream/c", OM_REPLACE, blocks, &mine);
        om_store_free(store);
        printf("bytes %" PRIu64 "\nequal %d\n", blocks * BLOCK, stored == mine);
    }
    return 0;
}
