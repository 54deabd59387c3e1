/* work.h - what a client program of the benchmarks is asked to do, and how it measures itself: arguments flow in, one line of
 * JSON flows out. Shared by raw.c, core.c and curl.c; it never talks to the network. */
#ifndef OM_BENCH_WORK_H
#define OM_BENCH_WORK_H

#include "crc64.h"
#include "ossmedia.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOBS = 8, FRAMES_MAX = 100000, BUFFER = 1 << 20, STEP = 256 * 1024, PARALLEL = 4 };

typedef struct work {
    const char *endpoint, *what, *payload, *frames, *ca; /* what: put, append, camera, file, parts */
    uint64_t size, count;                                 /* of one operation, bytes; operations */
    int sign, crc;
    char *data; /* the payload, for what comes from memory */
    uint64_t data_len;
    uint32_t frame[FRAMES_MAX];    /* sizes of a camera's frames, in order */
    const char *place[FRAMES_MAX]; /* where each lies */
    int https;
    char host[64];
    uint16_t port;
} work;

typedef struct usage {
    double cpu, user, sys, wall;
    long switches, resident; /* resident: the high-water mark, KiB */
} usage;

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* The rest of a status line like "VmHWM:  123 kB". */
static long high_water(void)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && kib < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void look(usage *u)
{
    struct rusage own;

    getrusage(RUSAGE_SELF, &own);
    u->cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    u->wall = seconds(CLOCK_MONOTONIC);
    u->user = (double)own.ru_utime.tv_sec + (double)own.ru_utime.tv_usec / 1e6;
    u->sys = (double)own.ru_stime.tv_sec + (double)own.ru_stime.tv_usec / 1e6;
    u->switches = own.ru_nvcsw + own.ru_nivcsw;
    u->resident = high_water();
}

/* From here on work is measured. The call of getppid is a mark for what counts instructions. */
static void begin(usage *u)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");

    if (f) {
        fputs("5", f);
        fclose(f);
    }
    look(u);
    (void)getppid();
}

static void end(const usage *from)
{
    usage now;

    (void)getppid();
    look(&now);
    printf("{\"cpu\": %.9f, \"user\": %.6f, \"sys\": %.6f, \"wall\": %.9f, \"switches\": %ld, \"growth\": %ld, "
           "\"peak\": %ld}\n",
           now.cpu - from->cpu, now.user - from->user, now.sys - from->sys, now.wall - from->wall,
           now.switches - from->switches, (now.resident - from->resident) * 1024, now.resident * 1024);
}

static void read_frames(work *w)
{
    FILE *f = fopen(w->frames, "r");
    uint64_t i = 0;

    while (f && i < w->count && i < FRAMES_MAX && fscanf(f, "%" SCNu32, &w->frame[i]) == 1)
        i++;
    if (!f || i < w->count)
        fail("--frames: not as many as --count");
    fclose(f);
}

static int by_size(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

/* A camera's frames of one size are the same bytes, those of another size others: the places lie one behind the other in the
 * payload, the smallest first, as `places` of peers/client.py says. Fills `offset` by frame; returns the bytes of all places. */
static uint64_t lay_out(const work *w, uint64_t *offset)
{
    static uint32_t sorted[FRAMES_MAX];
    static uint64_t at[FRAMES_MAX];
    uint64_t sizes = 0, end = 0;

    memcpy(sorted, w->frame, w->count * sizeof *sorted);
    qsort(sorted, w->count, sizeof *sorted, by_size);
    for (uint64_t i = 0; i < w->count; i++) {
        if (sizes > 0 && sorted[sizes - 1] == sorted[i])
            continue;
        sorted[sizes] = sorted[i];
        at[sizes++] = end;
        end += sorted[i];
    }
    for (uint64_t i = 0; i < w->count; i++) {
        const uint32_t *found = bsearch(&w->frame[i], sorted, sizes, sizeof *sorted, by_size);

        offset[i] = at[found - sorted];
    }
    return end;
}

static void read_payload(work *w)
{
    static uint64_t offset[FRAMES_MAX];
    int camera = strcmp(w->what, "camera") == 0;
    struct stat about;
    int fd = open(w->payload, O_RDONLY | O_CLOEXEC);
    uint64_t want = camera ? lay_out(w, offset) : w->size * (w->count < BLOBS ? w->count : BLOBS);

    if (fd < 0 || fstat(fd, &about) != 0 || (uint64_t)about.st_size < want)
        fail("--payload: not there, or too short");
    w->data = malloc(want);
    w->data_len = want;
    for (uint64_t at = 0; w->data && at < want;) {
        ssize_t n = read(fd, w->data + at, want - at);

        if (n <= 0)
            fail("--payload: cannot be read");
        at += (uint64_t)n;
    }
    close(fd);
    if (!w->data)
        fail("no memory for the payload");
    for (uint64_t i = 0; camera && i < w->count; i++)
        w->place[i] = w->data + offset[i];
}

static void read_arguments(work *w, int argc, char **argv)
{
    static const char *const names[] = {"--endpoint", "--what",  "--payload", "--frames", "--ca",
                                        "--size",     "--count", "--sign",    "--crc"};
    const char *value[9] = {NULL};
    unsigned port = 0;

    for (int i = 1; i + 1 < argc; i += 2)
        for (int k = 0; k < 9; k++)
            if (strcmp(argv[i], names[k]) == 0)
                value[k] = argv[i + 1];
    if (!value[0] || !value[1] || !value[2] || !value[5] || !value[6])
        fail("--endpoint, --what, --payload, --size and --count must be given");
    memset(w, 0, sizeof *w);
    w->endpoint = value[0];
    w->what = value[1];
    w->payload = value[2];
    w->frames = value[3];
    w->ca = value[4];
    w->size = strtoull(value[5], NULL, 10);
    w->count = strtoull(value[6], NULL, 10);
    w->sign = value[7] && strcmp(value[7], "1") == 0;
    w->crc = value[8] && strcmp(value[8], "1") == 0;
    w->https = strncmp(w->endpoint, "https", 5) == 0;
    if (sscanf(w->endpoint, "http%*[s:/]%63[^:]:%u", w->host, &port) != 2)
        fail("--endpoint: must be http://127.0.0.1:PORT");
    w->port = (uint16_t)port;
    if (strcmp(w->what, "camera") == 0)
        read_frames(w);
    if (strcmp(w->what, "file") != 0 && strcmp(w->what, "parts") != 0)
        read_payload(w);
}

/* 1: all the work goes into one object. */
static int grows(const work *w)
{
    return strcmp(w->what, "append") == 0 || strcmp(w->what, "camera") == 0;
}

/* The key that the driver asks for afterwards, to see what arrived. */
static void leave_name(const work *w)
{
    printf("{\"key\": \"peers-%d%s\"}\n", (int)getpid(), grows(w) ? "" : "-0");
}

typedef void give_piece(void *object, const char *data, uint64_t len);

/* What one object grows by, in order: blobs of --size, or a camera's frames by whole buffers, as io.BufferedWriter gathers
 * them, and the rest. */
static void grow(const work *w, give_piece *give, void *object)
{
    char *buffer = malloc(BUFFER);
    int camera = strcmp(w->what, "camera") == 0;
    uint64_t used = 0;

    if (!buffer)
        fail("no memory for the buffer");
    for (uint64_t i = 0; i < w->count; i++) {
        if (!camera)
            give(object, w->data + i % BLOBS * w->size % w->data_len, w->size);
        for (uint64_t done = 0, take; camera && done < w->frame[i]; done += take) {
            take = w->frame[i] - done < BUFFER - used ? w->frame[i] - done : BUFFER - used;
            memcpy(buffer + used, w->place[i] + done, take);
            used += take;
            if (used == BUFFER) {
                give(object, buffer, used);
                used = 0;
            }
        }
    }
    if (used > 0)
        give(object, buffer, used);
    free(buffer);
}

static const om_credentials bench_credentials = {
    .key_id = "STS.bench", .key_secret = "bench-secret", .token = "bench-token"};

#endif
