/* blocks.h - a fixed number of equal blocks between one writer and the pumps. All memory is taken
 * once; "full" is an answer. Not thread-safe: the stream's lock guards it. */
#ifndef OM_BLOCKS_H
#define OM_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

enum { OM__BLOCK_FREE = 0, OM__BLOCK_TAKEN, OM__BLOCK_READY, OM__BLOCK_SENDING };

typedef struct om__block {
    char *data; /* in the arena, or a lender's, which is only read */
    size_t len;      /* bytes given */
    size_t offset;   /* of them already stored (appends only) */
    uint64_t number; /* 0, 1, 2, ... in the order given */
    int state;       /* OM__BLOCK_* */
    int last;        /* 1: the writer gives nothing after it */
} om__block;

typedef struct om__blocks {
    om__block *block;
    uint32_t count;
    size_t size;       /* bytes in each */
    char *arena;
    uint64_t given;    /* blocks given so far: the next one's number */
    uint64_t bytes;    /* given so far */
} om__blocks;

/* `count` 0: one block without memory, whose `data` is a lender's.
 * Returns OM_OK, OM_E_NOMEM. */
int om__blocks_init(om__blocks *blocks, uint32_t count, size_t size);
void om__blocks_free(om__blocks *blocks);

/* The block already taken, else a free one that is taken now; NULL: all are busy. */
om__block *om__blocks_take(om__blocks *blocks);
/* The taken block, or NULL. */
om__block *om__blocks_taken(om__blocks *blocks);
void om__blocks_give(om__blocks *blocks, om__block *block, size_t len, int last);
/* The READY block with the lowest number, or NULL. */
om__block *om__blocks_next(om__blocks *blocks);
void om__blocks_release(om__block *block);
/* Blocks that are neither free nor taken. */
uint32_t om__blocks_busy(const om__blocks *blocks);
/* Frees every block that is not being sent. */
void om__blocks_drop(om__blocks *blocks);

#endif
