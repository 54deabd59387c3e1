/* crc64.h - the CRC-64/XZ kernels behind om_crc64, for tests and benches. */
#ifndef OM_CRC64_H
#define OM_CRC64_H

#include "ossmedia.h"

typedef uint64_t om__crc64_fn(uint64_t crc, const void *data, size_t len);

typedef struct om__crc64_kernel {
    const char *name; /* "vpclmul", "pclmul", "pmull", "slicing16", "bytewise" */
    om__crc64_fn *run;
    int usable; /* 1: this CPU has the instructions */
} om__crc64_kernel;

/* All kernels compiled in, fastest first; the table ends with a NULL name. om_crc64 uses the
 * first usable one. */
const om__crc64_kernel *om__crc64_kernels(void);

#endif
