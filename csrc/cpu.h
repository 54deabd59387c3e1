/* cpu.h - which instructions this CPU has, for the kernels that are chosen at run time. */
#ifndef OM_CPU_H
#define OM_CPU_H

enum {
    OM__CPU_PCLMUL = 1,   /* x86: PCLMULQDQ and SSE4.1 */
    OM__CPU_BMI2 = 2,     /* x86: BMI1, BMI2 and AVX, kept by the system */
    OM__CPU_SHA = 4,      /* x86: SHA extensions and SSE4.1; Arm: SHA2 */
    OM__CPU_PMULL = 8,    /* Arm: 64-bit polynomial multiplication */
    OM__CPU_VPCLMUL = 16, /* x86: PCLMULQDQ of 512 bits and AVX-512F, kept by the system */
};

/* The sum of what it has; 0 on CPUs that none of the kernels is for. Asked once, then one load. */
unsigned om__cpu(void);

#endif
