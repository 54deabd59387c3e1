/* The muxer as it is where the CPU has no AVX: its packets are written by the plain loop then, and
 * must be the same. Flows in: the cases of test_ts_frames.c. */
#include "cpu.h"

#define om__cpu() 0u

#include "../../csrc/ts_pes.c"

#include "test_ts_frames.c"
