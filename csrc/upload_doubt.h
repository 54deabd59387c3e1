/* upload_doubt.h - whether a put or complete that was refused had made the object before: its
 * answer was lost, or the network delivered it twice. What stands at the key is ours when its
 * length and CRC-64 are. Somebody else's object with the same bytes cannot be told from ours, and
 * does no harm: what was to be stored is stored. */
#ifndef OM_UPLOAD_DOUBT_H
#define OM_UPLOAD_DOUBT_H

#include "upload.h"

/* The header of an object's beginning that refuses what stands at the key already. */
#define OM__FORBID "x-oss-forbid-overwrite: true\n"

/* A put was refused with FileAlreadyExists: HEAD decides. Sets step->rc, or keeps the refusal, as
 * it does where the credentials may not look. */
void om__upload_settle_put(const om__upload *upload, om_store *store, om__step *step);

/* A complete was refused with NoSuchUpload or FileAlreadyExists: HEAD decides; an upload that is
 * still there is aborted then. Where the credentials may not look, it was ours if all of this
 * holds: a complete of ours is in doubt, nothing stood at the key when the upload was begun, the
 * upload is gone, and something stands at the key now; that is asked with the right to write alone.
 * Each part's CRC-64 was checked before. Sets step->rc, or keeps the refusal. */
void om__upload_settle_complete(const om__upload *upload, om_store *store, om__step *step);

/* "partNumber=7&uploadId=...", or "uploadId=..." for number 0. */
void om__upload_query(const om__upload *upload, uint64_t number, char *out, size_t size);

#endif
