#include "blocks.h"

#include <stdlib.h>
#include <string.h>

#include "ossmedia.h"

int om__blocks_init(om__blocks *blocks, uint32_t count, size_t size)
{
    memset(blocks, 0, sizeof *blocks);
    if (count == 0) {
        blocks->block = calloc(1, sizeof *blocks->block);
        blocks->count = blocks->block ? 1 : 0;
        return blocks->block ? OM_OK : OM_E_NOMEM;
    }
    if (size > SIZE_MAX / count)
        return OM_E_NOMEM;
    blocks->block = calloc(count, sizeof *blocks->block);
    /* One malloc: the pages of a block cost nothing before its first byte is written. */
    blocks->arena = malloc(size * count);
    if (!blocks->block || !blocks->arena) {
        om__blocks_free(blocks);
        return OM_E_NOMEM;
    }
    blocks->count = count;
    blocks->size = size;
    for (uint32_t i = 0; i < count; i++)
        blocks->block[i].data = blocks->arena + size * i;
    return OM_OK;
}

void om__blocks_free(om__blocks *blocks)
{
    free(blocks->block);
    free(blocks->arena);
    memset(blocks, 0, sizeof *blocks);
}

static om__block *in_state(om__blocks *blocks, int state)
{
    for (uint32_t i = 0; i < blocks->count; i++)
        if (blocks->block[i].state == state)
            return &blocks->block[i];
    return NULL;
}

om__block *om__blocks_taken(om__blocks *blocks)
{
    return in_state(blocks, OM__BLOCK_TAKEN);
}

om__block *om__blocks_take(om__blocks *blocks)
{
    om__block *block = om__blocks_taken(blocks);

    if (block)
        return block;
    block = in_state(blocks, OM__BLOCK_FREE);
    if (block)
        block->state = OM__BLOCK_TAKEN;
    return block;
}

void om__blocks_give(om__blocks *blocks, om__block *block, size_t len, int last)
{
    block->len = len;
    block->offset = 0;
    block->number = blocks->given++;
    block->last = last;
    block->state = OM__BLOCK_READY;
    blocks->bytes += len;
}

om__block *om__blocks_next(om__blocks *blocks)
{
    om__block *found = NULL;

    for (uint32_t i = 0; i < blocks->count; i++) {
        om__block *block = &blocks->block[i];

        if (block->state == OM__BLOCK_READY && (!found || block->number < found->number))
            found = block;
    }
    return found;
}

void om__blocks_release(om__block *block)
{
    block->state = OM__BLOCK_FREE;
    block->len = 0;
    block->offset = 0;
}

uint32_t om__blocks_busy(const om__blocks *blocks)
{
    uint32_t busy = 0;

    for (uint32_t i = 0; i < blocks->count; i++)
        busy += blocks->block[i].state >= OM__BLOCK_READY;
    return busy;
}

void om__blocks_drop(om__blocks *blocks)
{
    for (uint32_t i = 0; i < blocks->count; i++)
        if (blocks->block[i].state != OM__BLOCK_SENDING)
            om__blocks_release(&blocks->block[i]);
}
