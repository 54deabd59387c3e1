/* cpu.c - asks the CPU, or the system, what it can do. Nothing flows in; a set of bits flows out.
 * Never relies on the compiler's own detection: some tool chains link one that always says no. */
#include "cpu.h"

#include <stdatomic.h>

#if defined(__x86_64__)

#include <cpuid.h>

enum { AVX = 6, AVX512 = 0xe6 };

/* 1: the system saves these registers. Only when OSXSAVE is there. */
static int saves(unsigned registers)
{
    unsigned low, high;

    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0)); /* XGETBV */
    return (low & registers) == registers;
}

static unsigned ask(void)
{
    unsigned eax, ebx, ecx, edx, more, wide, has = 0;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return 0;
    if (!__get_cpuid_count(7, 0, &eax, &more, &wide, &edx))
        more = wide = 0;
    if (ecx >> 1 & 1 && ecx >> 19 & 1)
        has |= OM__CPU_PCLMUL;
    if (more >> 3 & 1 && more >> 8 & 1 && ecx >> 28 & 1 && ecx >> 27 & 1 && saves(AVX))
        has |= OM__CPU_BMI2;
    if (has & OM__CPU_PCLMUL && more >> 16 & 1 && wide >> 10 & 1 && ecx >> 27 & 1 && saves(AVX512))
        has |= OM__CPU_VPCLMUL;
    if (more >> 29 & 1 && ecx >> 19 & 1)
        has |= OM__CPU_SHA;
    return has;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

static unsigned ask(void)
{
    unsigned long flags = getauxval(AT_HWCAP);
    unsigned has = 0;

    if (flags >> 4 & 1) /* HWCAP_PMULL */
        has |= OM__CPU_PMULL;
    if (flags >> 6 & 1) /* HWCAP_SHA2 */
        has |= OM__CPU_SHA;
    return has;
}

#elif defined(__aarch64__)

/* Every other system runs on CPUs that have them. */
static unsigned ask(void)
{
    return OM__CPU_PMULL | OM__CPU_SHA;
}

#else

static unsigned ask(void)
{
    return 0;
}

#endif

unsigned om__cpu(void)
{
    enum { ASKED = 1 << 16 };
    static atomic_uint known; /* CPUID is slow, in a virtual machine very */
    unsigned has = atomic_load_explicit(&known, memory_order_relaxed);

    if (!has) {
        has = ask() | ASKED;
        atomic_store_explicit(&known, has, memory_order_relaxed);
    }
    return has & ~(unsigned)ASKED;
}
