/* test_crc64_once.c - the first use of slicing-by-16, which makes its table: by many threads at the
 * same time, and in a process that is forked meanwhile. Every CRC is right, whoever makes the table
 * and whoever does without. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "crc64.h"

#include "tap.h"

enum { THREADS = 16, CALLS = 200, LEN = 1000, FORKS = 100 };

static uint8_t data[LEN];
static uint64_t whole;
static om__crc64_fn *slicing, *bytewise;
static pthread_barrier_t together;
static atomic_int begun, ended;

static int is_right(void)
{
    return slicing(0, data, LEN) == whole;
}

/* Its number of wrong CRCs. */
static void *first_use(void *arg)
{
    uintptr_t wrong = 0;
    int i;

    (void)arg;
    pthread_barrier_wait(&together);
    for (i = 0; i < CALLS; i++)
        wrong += is_right() ? 0 : 1;
    return (void *)wrong;
}

static void check_threads(void)
{
    pthread_t threads[THREADS];
    void *wrong, *any = NULL;
    int i;

    pthread_barrier_init(&together, NULL, THREADS);
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, first_use, NULL))
            abort();
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &wrong);
        any = wrong ? wrong : any;
    }
    pthread_barrier_destroy(&together);
    OK(any == NULL, "%d threads use it for the first time together", THREADS);
}

static void *use(void *arg)
{
    (void)arg;
    atomic_store(&begun, 1);
    atomic_store(&ended, is_right() ? 1 : -1);
    return NULL;
}

/* In a fresh process: a thread uses it for the first time, and the process is forked meanwhile. 0:
 * both were right. */
static int fork_meanwhile(int spins)
{
    pthread_t maker;
    int status;
    pid_t child;

    if (pthread_create(&maker, NULL, use, NULL) || pthread_detach(maker))
        return 1;
    while (!atomic_load(&begun) || spins-- > 0)
        ;
    child = fork();
    if (child == 0)
        _exit(!is_right());
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return 1;
    while (!atomic_load(&ended))
        ;
    return atomic_load(&ended) < 0 || !is_right();
}

static void check_forks(void)
{
    int i, status, good = 1;

    for (i = 0; i < FORKS; i++) {
        pid_t child = fork();

        if (child == 0)
            _exit(fork_meanwhile(i * 50));
        good = good && child > 0 && waitpid(child, &status, 0) == child && status == 0;
    }
    OK(good, "%d processes are forked around its first use", FORKS);
}

int main(void)
{
    const om__crc64_kernel *k;
    size_t i;

    for (k = om__crc64_kernels(); k->name; k++) {
        slicing = strcmp(k->name, "slicing16") == 0 ? k->run : slicing;
        bytewise = strcmp(k->name, "bytewise") == 0 ? k->run : bytewise;
    }
    for (i = 0; i < LEN; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    whole = bytewise(0, data, LEN);
    check_forks(); /* first: these processes must not have the table yet */
    check_threads();
    return tap_done();
}
