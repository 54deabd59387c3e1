/* harden.h - a process whose memory is nobody else's. */
#ifndef OM_HARDEN_H
#define OM_HARDEN_H

#include "error.h"

/* From now on the kernel writes no core file of this process, and only root may trace it or read
 * its memory. For the whole process, and for good: a later store without it changes nothing.
 * Returns OM_OK; OM_E_STATE: the system refused. */
int om__harden(om_error *err);

#endif
