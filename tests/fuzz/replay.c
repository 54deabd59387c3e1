/* replay.c - runs a fuzz harness without a fuzzer. Flows in: files and directories named as
 * arguments, each file one input; with "--random N SEED", N random mutations of these inputs,
 * too. Ends with 0 when every input came back; a broken invariant aborts. Never writes a file. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, INPUTS_MAX = 4096 };

typedef struct input {
    uint8_t *data;
    size_t size;
} input;

static input inputs[INPUTS_MAX];
static size_t input_count;
static uint64_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33);
}

/* A copy of exactly the right size, so that the sanitizer sees an over-read. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int take_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);

    if (!file || !data || input_count == INPUTS_MAX) {
        fprintf(stderr, "%s: cannot be read, or there are more than %d inputs\n", path, INPUTS_MAX);
        if (file)
            fclose(file);
        free(data);
        return 1;
    }
    inputs[input_count].size = fread(data, 1, INPUT_MAX, file);
    inputs[input_count++].data = data;
    fclose(file);
    return 0;
}

static int take(const char *path)
{
    char inner[4096];
    struct stat about;
    struct dirent *entry;
    DIR *directory;
    int failed = 0;

    if (stat(path, &about) < 0 || !S_ISDIR(about.st_mode))
        return take_file(path);
    directory = opendir(path);
    if (!directory)
        return 1;
    while (!failed && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        failed = take(inner);
    }
    closedir(directory);
    return failed;
}

/* One small change, or a piece of another input. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const char special[] = "\0\n\r\t :;&=%/<>\\\"?#+-0a\x7f\x80\xff";
    size_t at = size ? next_random() % size : 0, n = next_random() % 16 + 1;
    const input *other = &inputs[next_random() % input_count];

    switch (next_random() % 6) {
    case 0: /* a bit */
        if (size)
            data[at] ^= (uint8_t)(1u << next_random() % 8);
        break;
    case 1: /* a byte that means something */
        if (size)
            data[at] = (uint8_t)special[next_random() % (sizeof special - 1)];
        break;
    case 2: /* a piece less */
        n = n < size - at ? n : size - at;
        memmove(data + at, data + at + n, size - at - n);
        size -= n;
        break;
    case 3: /* a piece twice */
        n = n < size - at ? n : size - at;
        n = n < INPUT_MAX - size ? n : INPUT_MAX - size;
        memmove(data + at + n, data + at, size - at);
        size += n;
        break;
    case 4: /* the rest of another input */
        n = other->size ? next_random() % other->size : 0;
        if (other->size - n <= INPUT_MAX - at) {
            memcpy(data + at, other->data + n, other->size - n);
            size = at + other->size - n;
        }
        break;
    default: /* a cut */ size = at;
    }
    return size;
}

static void run_random(uint64_t rounds)
{
    uint8_t *data = malloc(INPUT_MAX);
    uint32_t changes;
    size_t size;

    if (!data)
        abort();
    while (rounds--) {
        const input *from = &inputs[next_random() % input_count];

        memcpy(data, from->data, from->size);
        size = from->size;
        for (changes = next_random() % 4 + 1; changes; changes--)
            size = mutate(data, size);
        run(data, size);
    }
    free(data);
}

int main(int argc, char **argv)
{
    uint64_t rounds = 0;
    size_t i;
    int k;

    for (k = 1; k < argc; k++) {
        if (strcmp(argv[k], "--random") == 0 && argc - k > 2) {
            rounds = strtoull(argv[k + 1], NULL, 10);
            seed = strtoull(argv[k + 2], NULL, 10);
            k += 2;
        } else if (take(argv[k])) {
            return 2;
        }
    }
    if (input_count == 0) {
        fprintf(stderr, "usage: %s [--random N SEED] FILE-OR-DIRECTORY...: no input was found\n",
                argv[0]);
        return 2;
    }
    for (i = 0; i < input_count; i++)
        run(inputs[i].data, inputs[i].size);
    run_random(rounds);
    printf("%zu inputs and %llu mutations\n", input_count, (unsigned long long)rounds);
    for (i = 0; i < input_count; i++)
        free(inputs[i].data);
    return 0;
}
