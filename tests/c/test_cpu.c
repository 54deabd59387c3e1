/* test_cpu.c - what om__cpu says against what the system says in /proc/cpuinfo. */
#include "cpu.h"

#include "tap.h"

/* 1: the line of flags names all of the words. */
static int has_all(const char *flags, const char *words)
{
    while (*words) {
        size_t len = strcspn(words, " ");
        const char *at = flags;
        int found = 0;

        while (!found && (at = strchr(at, ' ')) != NULL) {
            at++;
            found = strncmp(at, words, len) == 0 && (at[len] == ' ' || at[len] == '\n' || !at[len]);
        }
        if (!found)
            return 0;
        words += len + (words[len] == ' ');
    }
    return 1;
}

/* The line of the first CPU's flags; "" when the system has no such file or line. */
static const char *read_flags(void)
{
#if defined(__x86_64__)
    static const char name[] = "flags";
#else
    static const char name[] = "Features";
#endif
    static char line[8192];
    FILE *file = fopen("/proc/cpuinfo", "r");

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0) {
            fclose(file);
            return line;
        }
    if (file)
        fclose(file);
    return "";
}

int main(void)
{
#if defined(__x86_64__)
    static const struct {
        unsigned bit;
        const char *words;
    } all[] = {{OM__CPU_PCLMUL, "pclmulqdq sse4_1"},
               {OM__CPU_BMI2, "avx bmi1 bmi2"},
               {OM__CPU_SHA, "sha_ni sse4_1"},
               {OM__CPU_VPCLMUL, "pclmulqdq sse4_1 avx512f vpclmulqdq"}};
#else
    static const struct {
        unsigned bit;
        const char *words;
    } all[] = {{OM__CPU_PMULL, "pmull"}, {OM__CPU_SHA, "sha2"}};
#endif
    const char *flags = read_flags();
    unsigned cpu = om__cpu();
    size_t i;

#if defined(__x86_64__) || defined(__aarch64__)
    for (i = 0; *flags && i < sizeof all / sizeof *all; i++)
        OK(((cpu & all[i].bit) != 0) == has_all(flags, all[i].words), "%s", all[i].words);
#else
    for (i = 0; i < sizeof all / sizeof *all; i++)
        OK(!(cpu & all[i].bit) && !has_all("flags: x", all[i].words), "no %s", all[i].words);
    (void)flags;
#endif
    OK(om__cpu() == cpu, "the same answer twice");
    return tap_done();
}
